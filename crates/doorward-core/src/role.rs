//! Roles: each has a name and the permissions that it grants.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::message::{Message, error_with_message};

const MAX: usize = 31;

/// Why a text is not a role name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleNameError;

impl RoleNameError {
    /// What it says.
    pub fn message(self) -> Message {
        Message::new("role-form").with("most", MAX)
    }
}

error_with_message!(RoleNameError);

/// The name of a role: 1 to 31 lower-case ASCII characters, kept inline, so that a check allocates nothing.
///
/// There is one spelling of each name: no case folding, no trimming, no Unicode (attack A04).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleName {
    bytes: [u8; MAX],
    len: u8,
}

impl RoleName {
    /// The role of every user who registers.
    pub const USER: Self = Self::literal("user");
    /// The role that may do everything.
    pub const ADMIN: Self = Self::literal("admin");

    const fn literal(name: &str) -> Self {
        let mut bytes = [0; MAX];
        let (head, _) = bytes.split_at_mut(name.len());
        head.copy_from_slice(name.as_bytes());
        Self { bytes, len: name.len() as u8 }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let name = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        str::from_utf8(name).unwrap_or_default()
    }
}

impl FromStr for RoleName {
    type Err = RoleNameError;

    fn from_str(text: &str) -> Result<Self, RoleNameError> {
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest =
            text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        if first && rest && text.len() <= MAX { Ok(Self::literal(text)) } else { Err(RoleNameError) }
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RoleName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RoleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = RoleName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a role name")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RoleName, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// What a user may do, by exact name: one of Doorward's own below, or an application's, such as `posts:write`.
pub type Permission = String;

/// Doorward's own permissions.
pub mod permission {
    /// See users, one or all.
    pub const USERS_READ: &str = "users:read";
    /// Create, change, disable and delete users; make reset links and invitations.
    pub const USERS_WRITE: &str = "users:write";
    /// See everybody's sessions.
    pub const SESSIONS_READ: &str = "sessions:read";
    /// End anybody's sessions.
    pub const SESSIONS_END: &str = "sessions:end";
    /// Read the audit log.
    pub const AUDIT_READ: &str = "audit:read";
    /// See the registered clients.
    pub const CLIENTS_READ: &str = "clients:read";
    /// Register and delete clients.
    pub const CLIENTS_WRITE: &str = "clients:write";
    /// See what requests do, step by step, and inspect tokens.
    pub const FLOW_READ: &str = "flow:read";
    /// All of them.
    pub const ALL: [&str; 8] = [
        USERS_READ,
        USERS_WRITE,
        SESSIONS_READ,
        SESSIONS_END,
        AUDIT_READ,
        CLIENTS_READ,
        CLIENTS_WRITE,
        FLOW_READ,
    ];
}

/// The roles that exist, each with its permissions. `user` has none of Doorward's own, `admin` has every one.
///
/// Clones share them: [`Roles::replace`] changes all.
#[derive(Debug, Clone)]
pub struct Roles(Arc<RwLock<Granted>>);

type Granted = BTreeMap<RoleName, BTreeSet<Permission>>;

impl Roles {
    /// `user`, `admin`, and the further roles of the settings. An entry for `user` adds permissions to it; one for
    /// `admin` changes nothing, since an admin may do everything.
    pub fn new(further: impl IntoIterator<Item = (RoleName, BTreeSet<Permission>)>) -> Self {
        Self(Arc::new(RwLock::new(with_own(further))))
    }

    /// These further roles exist from now on, and no others.
    pub fn replace(&self, further: impl IntoIterator<Item = (RoleName, BTreeSet<Permission>)>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = with_own(further);
    }

    /// All roles, with their permissions.
    pub fn granted(&self) -> BTreeMap<RoleName, BTreeSet<Permission>> {
        self.read().clone()
    }

    fn read(&self) -> RwLockReadGuard<'_, Granted> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this role exists.
    pub fn contains(&self, role: RoleName) -> bool {
        self.read().contains_key(&role)
    }

    /// The names of all roles.
    pub fn names(&self) -> impl Iterator<Item = RoleName> + use<> {
        self.read().keys().copied().collect::<Vec<_>>().into_iter()
    }

    /// Whether `role` grants `permission`; a role that is not in the settings (any more) grants nothing.
    pub fn grants(&self, role: RoleName, permission: &str) -> bool {
        role == RoleName::ADMIN || grants(&self.read(), role, permission)
    }

    /// Whether `actor` may give the role `other`, or change a user who has it: only if `other` grants nothing that
    /// `actor` lacks (attack A06).
    pub fn covers(&self, actor: RoleName, other: RoleName) -> bool {
        let roles = self.read();
        let covered = |granted: &BTreeSet<Permission>| granted.iter().all(|one| grants(&roles, actor, one));
        actor == RoleName::ADMIN || (other != RoleName::ADMIN && roles.get(&other).is_none_or(covered))
    }
}

fn grants(roles: &Granted, role: RoleName, permission: &str) -> bool {
    roles.get(&role).is_some_and(|granted| granted.contains(permission))
}

fn with_own(further: impl IntoIterator<Item = (RoleName, BTreeSet<Permission>)>) -> Granted {
    let mut roles = BTreeMap::from([(RoleName::USER, BTreeSet::new())]);
    roles.extend(further);
    roles.insert(RoleName::ADMIN, BTreeSet::new());
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_name_has_one_spelling() {
        assert_eq!("admin".parse(), Ok(RoleName::ADMIN));
        for bad in ["", "ADMIN", " admin", "admin\0", "\u{430}dmin", "*", "1st", &"a".repeat(32)] {
            assert_eq!(bad.parse::<RoleName>(), Err(RoleNameError), "{bad:?}");
        }
    }

    #[test]
    fn nobody_gives_more_than_they_have() {
        let name = |name: &str| name.parse::<RoleName>().unwrap();
        let grants = |list: &[&str]| list.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let roles = Roles::new([
            (name("support"), grants(&[permission::USERS_READ, permission::USERS_WRITE])),
            (name("auditor"), grants(&[permission::AUDIT_READ])),
        ]);
        assert!(
            roles.grants(RoleName::ADMIN, "anything")
                && !roles.grants(RoleName::USER, permission::USERS_READ)
        );
        assert!(!roles.grants(name("gone"), permission::USERS_READ));
        assert!(
            roles.covers(name("support"), RoleName::USER) && roles.covers(name("support"), name("support"))
        );
        assert!(
            !roles.covers(name("support"), RoleName::ADMIN)
                && !roles.covers(name("support"), name("auditor"))
        );
        assert!(roles.covers(RoleName::ADMIN, RoleName::ADMIN));
    }
}
