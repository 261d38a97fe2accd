//! The user that an act concerns, found before the act and again within it.

use doorward_core::role::RoleName;
use doorward_core::{ClaimsVersion, SessionId, UserId};

use super::{Actor, Owner};
use crate::actors::{Asking, Standing};
use crate::acts::Change;
use crate::error::{Error, Result};
use crate::revocations::EndReason;
use crate::sessions::end::{Ended, end_all};
use crate::store::{Reads, Store, StoreError, Tx, values};
use crate::users::{self, User};

const LOCK_ADMINS: &str = "UPDATE facts SET value = value + 1 WHERE name = 'admins_lock'";
const OTHER_ADMINS: &str =
    "SELECT id FROM users WHERE role = 'admin' AND disabled_at IS NULL AND id <> $1 LIMIT 1";

/// The user that an act concerns, and what its actor may do.
pub(super) struct Found {
    pub(super) user: User,
    pub(super) version: ClaimsVersion,
    pub(super) standing: Standing,
}

/// Takes the locks that an act on a user needs, always in this order; checks the actor, and reads the user. The lock of
/// admins is for an act that could remove the last one.
pub(super) async fn locked(
    change: &mut Change<'_>,
    id: UserId,
    asking: &Asking,
    locks_admins: bool,
) -> Result<Found> {
    if locks_admins {
        change.execute(LOCK_ADMINS, values![]).await?;
    }
    let standing = asking.stands(change).await?;
    change.execute(users::LOCK, values![id]).await?;
    found(&mut **change, id, asking, standing).await
}

/// The same without the locks, before the transaction: an act that is refused or changes nothing begins none, and so
/// writes nothing (attack X10).
pub(super) async fn unlocked(store: &Store, id: UserId, asking: &Asking) -> Result<Found> {
    let standing = asking.standing_unlocked(store).await?;
    found(store, id, asking, standing).await
}

async fn found(mut reads: impl Reads, id: UserId, asking: &Asking, standing: Standing) -> Result<Found> {
    let row = reads.find(users::FIND, values![id]).await?.ok_or(Error::NotFound)?;
    let (user, version) = (users::read(&row)?, row.get("claims_version")?);
    standing.covers(&asking.roles, user.role)?;
    if let Actor::Owner(Owner { confirmed_by: Some(at), .. }) = asking.actor
        && at != row.get("credentials_version")?
    {
        return Err(Error::WrongPassword);
    }
    Ok(Found { user, version, standing })
}

/// Ends the sessions of a user whose row the change has written.
pub(super) async fn end_every(
    change: &mut Change<'_>,
    id: UserId,
    keep: Option<SessionId>,
    reason: EndReason,
) -> Result<Ended, StoreError> {
    end_all(change, id, keep, reason).await?.ok_or_else(gone)
}

pub(super) fn gone() -> StoreError {
    StoreError::Corrupt("a user is gone whose row is locked".into())
}

pub(super) async fn is_last_admin(tx: &mut Tx, user: &User) -> Result<bool, StoreError> {
    let counts = user.role == RoleName::ADMIN && user.disabled_at.is_none();
    Ok(counts && tx.find(OTHER_ADMINS, values![user.id]).await?.is_none())
}
