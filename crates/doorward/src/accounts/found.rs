//! The user that an act concerns, found before the act and again within it.

use std::vec::IntoIter;

use doorward_core::role::RoleName;
use doorward_core::{ClaimsVersion, SessionId, UserId};

use super::{Actor, Owner};
use crate::actors::{Asking, Looked, Standing};
use crate::acts::Change;
use crate::error::{Error, Result};
use crate::revocations::EndReason;
use crate::sessions::end::{Ended, end_all};
use crate::store::{Reads, Row, Statement, Store, StoreError, values};
use crate::users::{self, User};

/// Taken first by an act that could remove the last admin, if the user is one.
const LOCK_ADMINS: &str = "UPDATE facts SET value = value + 1 WHERE name = 'admins_lock' \
     AND EXISTS (SELECT 1 FROM users WHERE id = $1 AND role = 'admin' AND disabled_at IS NULL)";
const LOCK_ADMINS_LATE: &str = "UPDATE facts SET value = value + 1 WHERE name = 'admins_lock'";
const OTHER_ADMINS: &str =
    "SELECT id FROM users WHERE role = 'admin' AND disabled_at IS NULL AND id <> $1 LIMIT 1";

/// The user that an act concerns, and what its actor may do.
pub(super) struct Found {
    pub(super) user: User,
    pub(super) version: ClaimsVersion,
    pub(super) standing: Standing,
    /// The rows of each other read.
    pub(super) also: IntoIter<Vec<Row>>,
}

impl Found {
    fn is_admin(&self) -> bool {
        self.user.role == RoleName::ADMIN && self.user.disabled_at.is_none()
    }
}

/// Takes the locks that an act on a user needs, always in this order; checks the actor, and reads the user. All of it
/// is one round trip to PostgreSQL.
pub(super) async fn locked(
    change: &mut Change<'_>,
    id: UserId,
    asking: &Asking,
    also: Vec<Statement>,
) -> Result<Found> {
    asking.hold(change, Some(id))?;
    found(&mut **change, id, asking, also).await
}

/// The same for an act that makes the user no admin any more, if they are one: never the last (attack A05).
pub(super) async fn locked_unless_last_admin(
    change: &mut Change<'_>,
    id: UserId,
    asking: &Asking,
    mut also: Vec<Statement>,
) -> Result<Found> {
    let lock = change.ask(LOCK_ADMINS, values![id])?;
    also.push(Statement { sql: OTHER_ADMINS, values: values![id] });
    let mut found = locked(change, id, asking, also).await?;
    let mut are_others = found.also.next_back().is_some_and(|others| !others.is_empty());
    if found.is_admin() {
        // They became one after the first look.
        if change.answer(lock).await?.changed == 0 {
            change.queue(LOCK_ADMINS_LATE, values![])?;
            are_others = change.find(OTHER_ADMINS, values![id]).await?.is_some();
        }
        if !are_others {
            return Err(Error::LastAdmin);
        }
    }
    Ok(found)
}

/// The user without the locks, before the transaction: an act that is refused or changes nothing begins none, and so
/// writes nothing (attack X10).
pub(super) async fn unlocked(
    store: &Store,
    id: UserId,
    asking: &Asking,
    also: Vec<Statement>,
) -> Result<Found> {
    found(store, id, asking, also).await
}

async fn found(reads: impl Reads, id: UserId, asking: &Asking, also: Vec<Statement>) -> Result<Found> {
    let find = Statement { sql: users::FIND, values: values![id] };
    let Looked { standing, rows: mut also } =
        asking.look(reads, std::iter::once(find).chain(also).collect()).await?;
    let row = also.next().and_then(|rows| rows.into_iter().next()).ok_or(Error::NotFound)?;
    let (user, version) = (users::read(&row)?, row.get("claims_version")?);
    standing.covers(&asking.roles, user.role)?;
    if let Actor::Owner(Owner { confirmed_by: Some(at), .. }) = asking.actor
        && at != row.get("credentials_version")?
    {
        return Err(Error::WrongPassword);
    }
    Ok(Found { user, version, standing, also })
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
