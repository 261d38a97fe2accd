//! Who acts on accounts, and whether they still may: asked once more inside the transaction of the act, since a request
//! can take long between its head and its end.

use std::net::IpAddr;

use doorward_core::role::{RoleName, Roles};
use doorward_core::{Refusal, SessionId, UserId};

use crate::audit::By;
use crate::error::{Error, Result};
use crate::links::Maker;
use crate::store::{StoreError, Tx, values};
use crate::users;

/// Who acts, and from where: each act asks for it, so that the audit log always has both.
#[derive(Debug, Clone)]
pub enum Actor {
    /// The user that the act is about.
    Owner(Owner),
    /// Another signed-in user.
    Admin(Admin),
    /// The command line, which can write the database and so may do everything.
    CommandLine,
}

/// A user who acts on their own account.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The session of the request.
    pub session: SessionId,
    /// The address of the request.
    pub ip: IpAddr,
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
}

const ROLE: &str = "SELECT role FROM users WHERE id = $1 AND disabled_at IS NULL";
const LIVE: &str = "SELECT id FROM sessions WHERE id = $1 AND ended_at IS NULL";
/// Writes the session's row without changing it, as [`users::LOCK`] does the user's.
const HOLD: &str = "UPDATE sessions SET ended_at = ended_at WHERE id = $1 AND ended_at IS NULL";

impl Actor {
    /// The acting admin.
    pub fn admin(&self) -> Option<UserId> {
        if let Self::Admin(admin) = self { Some(admin.user) } else { None }
    }

    /// As the audit log has it.
    pub fn by(&self) -> By {
        match self {
            Self::Owner(owner) => By::Owner(owner.ip),
            Self::Admin(admin) => By::Admin(admin.user, admin.ip),
            Self::CommandLine => By::CommandLine,
        }
    }

    /// The maker of a link that this actor makes.
    pub(crate) fn maker(&self) -> Option<Maker> {
        match self {
            Self::Admin(Admin { user, session, .. }) => Some(Maker { user: *user, session: *session }),
            Self::Owner(_) | Self::CommandLine => None,
        }
    }

    /// Whether the actor may act on somebody with this role, or give it (attack A06).
    pub(crate) fn covers(&self, roles: &Roles, role: RoleName) -> bool {
        match self {
            Self::Admin(admin) => roles.covers(admin.role, role),
            Self::Owner(_) | Self::CommandLine => true,
        }
    }

    /// The actor as the store has them now, within the act's transaction: enabled, in a live session, with a role that
    /// grants `permission`. Somebody who was disabled, demoted or logged out while their request was on its way does
    /// nothing any more. Writes the rows of an acting admin and of their session first, so that an act against either and
    /// this one come one after the other.
    pub(crate) async fn confirm(
        &self,
        tx: &mut Tx,
        roles: &Roles,
        permission: &str,
    ) -> Result<Result<Self>, StoreError> {
        let (is_live, confirmed) = match self {
            Self::CommandLine => (true, self.clone()),
            Self::Owner(owner) => (tx.find(LIVE, values![owner.session]).await?.is_some(), self.clone()),
            Self::Admin(admin) => {
                tx.execute(users::LOCK, values![admin.user]).await?;
                let Some(row) = tx.find(ROLE, values![admin.user]).await? else {
                    return Ok(Err(Refusal::SessionEnded.into()));
                };
                let role = row.get(0)?;
                if !roles.grants(role, permission) {
                    return Ok(Err(Error::Forbidden));
                }
                let is_live = match admin.session {
                    Some(session) => tx.execute(HOLD, values![session]).await? == 1,
                    None => true,
                };
                (is_live, Self::Admin(Admin { role, ..admin.clone() }))
            }
        };
        Ok(if is_live { Ok(confirmed) } else { Err(Refusal::SessionEnded.into()) })
    }
}
