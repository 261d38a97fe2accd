//! Who acts on accounts, and whether they still may: asked once more inside the transaction of the act, since a request
//! can take long between its head and its end.

use doorward_core::role::{RoleName, Roles};
use doorward_core::{Refusal, SessionId, UserId};

use crate::error::{Error, Result};
use crate::links::Maker;
use crate::store::{StoreError, Tx, values};
use crate::users;

/// Who acts.
#[derive(Debug, Clone, Copy)]
pub enum Actor {
    /// The user's own act, in this session.
    Owner(SessionId),
    /// Another signed-in user, in this session, with this role.
    Admin(UserId, Option<SessionId>, RoleName),
    /// The command line: whoever can write the database may do everything.
    CommandLine,
}

const ROLE: &str = "SELECT role FROM users WHERE id = $1 AND disabled_at IS NULL";
const LIVE: &str = "SELECT id FROM sessions WHERE id = $1 AND ended_at IS NULL";
/// Writes the session's row without changing it, as [`users::LOCK`] does the user's.
const HOLD: &str = "UPDATE sessions SET ended_at = ended_at WHERE id = $1 AND ended_at IS NULL";

impl Actor {
    /// The acting user, for the audit log.
    pub fn id(self) -> Option<UserId> {
        if let Self::Admin(id, ..) = self { Some(id) } else { None }
    }

    /// The maker of a link that this actor makes.
    pub(crate) fn maker(self) -> Option<Maker> {
        if let Self::Admin(user, session, _) = self { Some(Maker { user, session }) } else { None }
    }

    /// Whether the actor may act on somebody with this role, or give it (attack A06).
    pub(crate) fn covers(self, roles: &Roles, role: RoleName) -> bool {
        match self {
            Self::Admin(_, _, own) => roles.covers(own, role),
            Self::Owner(_) | Self::CommandLine => true,
        }
    }

    /// The actor as the store has them now, within the act's transaction: enabled, in a live session, with a role that
    /// grants `permission`. Somebody who was disabled, demoted or logged out while their request was on its way does
    /// nothing any more. Writes the rows of an acting admin and of their session first, so that an act against either and
    /// this one come one after the other.
    pub(crate) async fn confirm(
        self,
        tx: &mut Tx,
        roles: &Roles,
        permission: &str,
    ) -> Result<Result<Self>, StoreError> {
        let (is_live, confirmed) = match self {
            Self::CommandLine => return Ok(Ok(self)),
            Self::Owner(session) => (tx.find(LIVE, values![session]).await?.is_some(), self),
            Self::Admin(user, session, _) => {
                tx.execute(users::LOCK, values![user]).await?;
                let Some(row) = tx.find(ROLE, values![user]).await? else {
                    return Ok(Err(Refusal::SessionEnded.into()));
                };
                let role = row.get(0)?;
                if !roles.grants(role, permission) {
                    return Ok(Err(Error::Forbidden));
                }
                let is_live = match session {
                    Some(session) => tx.execute(HOLD, values![session]).await? == 1,
                    None => true,
                };
                (is_live, Self::Admin(user, session, role))
            }
        };
        Ok(if is_live { Ok(confirmed) } else { Err(Refusal::SessionEnded.into()) })
    }
}
