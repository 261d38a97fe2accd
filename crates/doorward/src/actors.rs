//! Who acts on accounts, and whether they still may. This is checked again inside the act's transaction, since a
//! request can take long between its head and its end.

use std::net::IpAddr;
use std::time::Duration;

use doorward_core::role::{RoleName, Roles, permission};
use doorward_core::{Refusal, SessionId, Timestamp, UserId};

use crate::acts::{Act, Change};
use crate::audit::By;
use crate::authenticators::CredentialsVersion;
use crate::challenges::Maker;
use crate::error::{Error, Result};
use crate::flow::{Step, Verb, note};
use crate::store::{Reads, Row, Statement, Store, StoreError, values};
use crate::users::{self, VouchedBy};

/// The actor, and the address: each act requires both, so that the audit log always has them.
#[derive(Debug, Clone)]
pub enum Actor {
    /// The user that the act concerns.
    Owner(Owner),
    /// Another signed-in user.
    Admin(Admin),
    /// The command line, which can write the database and so may do everything.
    CommandLine,
}

/// A user who acts on their own account.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The id.
    pub user: UserId,
    /// The session of the request.
    pub session: SessionId,
    /// The address of the request.
    pub ip: IpAddr,
    /// The version at which the owner has confirmed the act, if it needs that: if it has changed, nothing is done.
    pub confirmed_by: Option<CredentialsVersion>,
}

/// A user who acts on others.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The id.
    pub user: UserId,
    /// The session of the request.
    pub session: Option<SessionId>,
    /// The role.
    pub role: RoleName,
    /// The address of the request.
    pub ip: IpAddr,
    /// How the request shows that its sender knows the admin's password.
    pub confirmation: Confirmation,
}

/// How a request shows that its sender can prove their identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// Not at all.
    None,
    /// By an authenticator, at this version of all of them.
    Proved(CredentialsVersion),
    /// It came with the cookie of the session, so the session's own confirmation counts.
    Session,
}

/// How long a session counts as confirmed.
pub(crate) const CONFIRMED_FOR: Duration = Duration::from_secs(600);

/// The user who acts, with their session if it is alive.
const ADMIN: &str = "SELECT u.role, u.credentials_version, s.id AS session, s.confirmed_at FROM users u \
     LEFT JOIN sessions s ON s.id = $2 AND s.ended_at IS NULL WHERE u.id = $1 AND u.disabled_at IS NULL";
const LIVE: &str = "SELECT id FROM sessions WHERE id = $1 AND ended_at IS NULL";
/// Writes the session's row without changing it, as [`users::LOCK`] does the user's.
const HOLD: &str = "UPDATE sessions SET ended_at = ended_at WHERE id = $1 AND ended_at IS NULL";

impl Actor {
    /// The actor in the audit log.
    pub fn by(&self) -> By {
        match self {
            Self::Owner(owner) => By::Owner(owner.ip),
            Self::Admin(admin) => By::Admin(admin.user, admin.ip),
            Self::CommandLine => By::CommandLine,
        }
    }

    /// The actor as a voucher for the addresses that they write. Owners don't vouch for their own.
    pub(crate) fn vouches(&self) -> Option<VouchedBy> {
        match self {
            Self::Owner(_) => None,
            Self::Admin(_) => Some(VouchedBy::Admin),
            Self::CommandLine => Some(VouchedBy::CommandLine),
        }
    }

    /// The maker of a link that this actor makes.
    pub(crate) fn maker(&self) -> Option<Maker> {
        match self {
            Self::Admin(Admin { user, session, .. }) => Some(Maker { user: *user, session: *session }),
            Self::Owner(_) | Self::CommandLine => None,
        }
    }

    /// The user who acts; `None` for the command line.
    pub(crate) fn user(&self) -> Option<UserId> {
        match self {
            Self::Owner(owner) => Some(owner.user),
            Self::Admin(admin) => Some(admin.user),
            Self::CommandLine => None,
        }
    }

    /// The read that shows whether the actor may still act; none for the command line.
    fn read(&self) -> Option<Statement> {
        match self {
            Self::CommandLine => None,
            Self::Owner(owner) => Some(Statement { sql: LIVE, values: values![owner.session] }),
            Self::Admin(admin) => Some(Statement { sql: ADMIN, values: values![admin.user, admin.session] }),
        }
    }
}

/// An actor with an act that needs a permission.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    pub(crate) actor: Actor,
    pub(crate) roles: Roles,
    pub(crate) permission: &'static str,
    pub(crate) at: Timestamp,
}

impl Asking {
    /// The circumstances of the act.
    pub(crate) fn act(&self) -> Act {
        Act::new(self.actor.by(), self.at)
    }

    /// The circumstances of an act that takes access away.
    pub(crate) fn ending(&self) -> Act {
        Act::ending(self.actor.by(), self.at)
    }

    /// The actor as the store has them now, within the change: enabled, in a live session, with a role that grants the
    /// permission. An actor who was disabled, demoted or logged out while their request was on its way can no longer
    /// act.
    pub(crate) async fn stands(&self, change: &mut Change<'_>) -> Result<Standing> {
        self.hold(change, None)?;
        Ok(self.look(&mut **change, Vec::new()).await?.standing)
    }

    /// The same without a write, before the transaction: an act that is refused or changes nothing begins none.
    pub(crate) async fn standing_unlocked(&self, store: &Store) -> Result<Standing> {
        Ok(self.look(store, Vec::new()).await?.standing)
    }

    /// Writes three rows within the change: those of the acting admin, of their session, and of the user that the act is
    /// about. So acts against any of them don't overlap with this one. Users come first, in the order of their ids: two
    /// admins who act on each other at once never deadlock.
    pub(crate) fn hold(&self, change: &mut Change<'_>, concerns: Option<UserId>) -> Result<(), StoreError> {
        let (mut users, mut session) = (Vec::from_iter(concerns), None);
        if let Actor::Admin(admin) = &self.actor {
            users.push(admin.user);
            session = admin.session;
        }
        users.sort_unstable();
        users.dedup();
        for user in users {
            change.queue(users::LOCK, values![user])?;
        }
        session.map_or(Ok(()), |session| change.queue(HOLD, values![session]))
    }

    /// Whether the actor may still act, and what else is read in the same round trip. Only reads.
    pub(crate) async fn look(&self, mut reads: impl Reads, also: Vec<Statement>) -> Result<Looked> {
        let own = self.actor.read();
        let is_read = own.is_some();
        let mut rows = reads.each(own.into_iter().chain(also).collect()).await?.into_iter();
        let own = if is_read { rows.next().and_then(|rows| rows.into_iter().next()) } else { None };
        Ok(Looked { standing: self.standing(own)?, rows })
    }

    /// What the actor may do, by the row that was read of them.
    fn standing(&self, row: Option<Row>) -> Result<Standing> {
        match &self.actor {
            Actor::CommandLine => Ok(Standing::Trusted),
            Actor::Owner(_) => row.map(|_| Standing::Trusted).ok_or_else(|| Refusal::SessionEnded.into()),
            Actor::Admin(admin) => {
                let row = row.ok_or(Refusal::SessionEnded)?;
                let role: RoleName = row.get("role")?;
                if !self.roles.grants(role, self.permission) {
                    return Err(Error::Forbidden);
                }
                Ok(Standing::Admin { role, is_confirmed: admin.is_confirmed(&row, self.at)? })
            }
        }
    }
}

/// What [`Asking::look`] found.
pub(crate) struct Looked {
    pub(crate) standing: Standing,
    /// The rows of each of the other reads.
    pub(crate) rows: std::vec::IntoIter<Vec<Row>>,
}

impl Admin {
    /// Whether the request shows that its sender knows the admin's password.
    fn is_confirmed(&self, row: &Row, now: Timestamp) -> Result<bool> {
        let (session, credentials): (Option<SessionId>, CredentialsVersion) =
            (row.get("session")?, row.get("credentials_version")?);
        if session != self.session {
            return Err(Refusal::SessionEnded.into());
        }
        match &self.confirmation {
            Confirmation::None => Ok(false),
            Confirmation::Session => {
                let confirmed_at: Option<Timestamp> = row.get("confirmed_at")?;
                Ok(confirmed_at.is_some_and(|at| is_recent(at, now)))
            }
            Confirmation::Proved(at) if credentials == *at => Ok(true),
            Confirmation::Proved(_) => Err(Error::WrongPassword),
        }
    }
}

/// In both directions: a node whose clock is behind must not make the confirmation last longer.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now < at + CONFIRMED_FOR && at < now + CONFIRMED_FOR
}

/// What an actor may do, according to the store within an act's transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Standing {
    /// Everything.
    Trusted,
    /// What their role allows.
    Admin { role: RoleName, is_confirmed: bool },
}

impl Standing {
    /// Whether they may change a user with this role, or give it (attack A06).
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub(crate) fn covers(self, roles: &Roles, other: RoleName) -> Result<()> {
        match self {
            Self::Admin { role, .. } if !roles.covers(role, other) => Err(Error::Forbidden),
            Self::Admin { .. } | Self::Trusted => Ok(()),
        }
    }

    /// For an act that gives a way into an account (attack X07).
    ///
    /// # Errors
    /// [`Error::ConfirmationRequired`].
    pub(crate) fn is_confirmed(self) -> Result<()> {
        if let Self::Admin { is_confirmed, .. } = self {
            note(|| Step::check(Verb::CheckConfirmation, is_confirmed));
        }
        match self {
            Self::Admin { is_confirmed: false, .. } => Err(Error::ConfirmationRequired),
            Self::Admin { .. } | Self::Trusted => Ok(()),
        }
    }

    /// For an act that makes or removes a user with one of these roles. It needs a confirmation if the role may do as
    /// much as the actor's, or change users, and so could gain more.
    ///
    /// # Errors
    /// [`Error::ConfirmationRequired`].
    pub(crate) fn is_confirmed_for(self, roles: &Roles, others: &[RoleName]) -> Result<()> {
        let Self::Admin { role, .. } = self else { return Ok(()) };
        let is_powerful =
            |other: &RoleName| roles.covers(*other, role) || roles.grants(*other, permission::USERS_WRITE);
        if others.iter().any(is_powerful) { self.is_confirmed() } else { Ok(()) }
    }
}
