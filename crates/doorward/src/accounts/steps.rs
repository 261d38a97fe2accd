//! The steps of acts on accounts, each within its act's transaction.

use std::time::Duration;

use doorward_core::role::RoleName;
use doorward_core::{ClaimsVersion, SessionId, Timestamp, UserId};

use super::{Actor, NewUser, Owner, UserChange};
use crate::actors::{Asking, Standing};
use crate::acts::Change;
use crate::error::{Error, Result};
use crate::revocations::EndReason;
use crate::sessions::end::{Ended, end_all, raise_version};
use crate::store::{Reads, Store, StoreError, Tx, values};
use crate::users::{self, Subject, User, VouchedBy, folded};
use crate::{authenticators, challenges, known_devices};

const INSERT: &str = "INSERT INTO users (id, name, name_folded, role, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $5) RETURNING role, claims_version";
const INSERT_EMAIL: &str = "INSERT INTO emails (address, user_id, folded, is_primary, verified_at, verified_by) \
     VALUES ($1, $2, $3, 1, $4, $5) ON CONFLICT (address) DO NOTHING";
const UPDATE: &str = "UPDATE users SET name = $2, name_folded = $3, role = $4, disabled_at = $5, updated_at = $6 WHERE id = $1";
const UPDATE_EMAIL: &str = "UPDATE emails SET address = $2, folded = $3, verified_at = $4, verified_by = $5 \
     WHERE user_id = $1 AND is_primary = 1";
const UNCONFIRM: &str =
    "UPDATE sessions SET confirmed_at = NULL WHERE user_id = $1 AND confirmed_at IS NOT NULL";
const OTHER_WITH_EMAIL: &str = "SELECT user_id FROM emails WHERE address = $1 AND user_id <> $2";
const LOCK_ADMINS: &str = "UPDATE facts SET value = value + 1 WHERE name = 'admins_lock'";
const OTHER_ADMINS: &str =
    "SELECT id FROM users WHERE role = 'admin' AND disabled_at IS NULL AND id <> $1 LIMIT 1";
const SHORTEN: &str = "UPDATE sessions SET absolute_expires_at = CASE WHEN absolute_expires_at > created_at + $2 \
     THEN created_at + $2 ELSE absolute_expires_at END, expires_at = CASE WHEN expires_at > created_at + $2 \
     THEN created_at + $2 ELSE expires_at END WHERE user_id = $1 AND ended_at IS NULL";

/// A user who was inserted.
#[derive(Debug, Clone)]
pub(crate) struct Inserted {
    pub(crate) user: User,
    pub(crate) subject: Subject,
}

/// Inserts a user within its act's transaction, whose address somebody vouched for or nobody; `None` where somebody has
/// the address.
pub(crate) async fn insert(
    tx: &mut Tx,
    id: UserId,
    (new, email_vouched_by): (&NewUser, Option<VouchedBy>),
    now: Timestamp,
) -> Result<Option<Inserted>, StoreError> {
    let (name, email) = (new.name.as_str(), &new.email);
    let row = tx.find(INSERT, values![id, name, folded(name), new.role, now]).await?.ok_or_else(gone)?;
    let (verified_at, verified_by) = verified(email_vouched_by, now);
    let searched = folded(&email.searched());
    let values = values![email, id, searched, verified_at, verified_by];
    if tx.execute(INSERT_EMAIL, values).await? == 0 {
        return Ok(None);
    }
    if let Some(hash) = &new.password_hash {
        authenticators::add_password(tx, id, hash, now).await?;
    }
    let user = User {
        id,
        name: name.to_owned(),
        email: email.clone(),
        email_vouched_by,
        role: new.role,
        created_at: now,
        disabled_at: None,
    };
    Ok(Some(Inserted { user, subject: Subject::of(id, &row)? }))
}

/// Whether an address is proved, as its row says it.
fn verified(by: Option<VouchedBy>, now: Timestamp) -> (Option<Timestamp>, Option<String>) {
    by.map(|by| (now, by.as_str().to_owned())).unzip()
}

/// The user that an act is about, and what its actor may do.
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
pub(super) async fn seen(store: &Store, id: UserId, asking: &Asking) -> Result<Found> {
    let standing = asking.is_seen_to_stand(store).await?;
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

/// What every new password brings with it: challenges are void, the other sessions end, and the one that stays has to
/// be confirmed again, by the new password. One that was set without the current one also makes the account know no device.
pub(super) async fn after_new_password(
    change: &mut Change<'_>,
    id: UserId,
    keep: Option<SessionId>,
) -> Result<Ended, StoreError> {
    challenges::void_all_of_user(change, id).await?;
    change.execute(UNCONFIRM, values![id]).await?;
    if keep.is_none() {
        known_devices::void(change, id).await?;
    }
    end_every(change, id, keep, EndReason::PasswordChanged).await
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

fn gone() -> StoreError {
    StoreError::Corrupt("a user is gone whose row is locked".into())
}

pub(super) async fn is_last_admin(tx: &mut Tx, user: &User) -> Result<bool, StoreError> {
    let counts = user.role == RoleName::ADMIN && user.disabled_at.is_none();
    Ok(counts && tx.find(OTHER_ADMINS, values![user.id]).await?.is_none())
}

/// Writes what is to be changed of the user that was found; `admin_ttl` is how long a session of an admin lives.
pub(super) async fn apply(
    change: &mut Change<'_>,
    Found { user: old, version, .. }: Found,
    wanted: &UserChange,
    asking: &Asking,
    admin_ttl: Duration,
) -> Result<User> {
    let (id, now, new) = (old.id, change.at, wanted.applied_to(&old, asking.actor.vouches(), change.at));
    let stays_admin = new.role == RoleName::ADMIN && new.disabled_at.is_none();
    if !stays_admin && is_last_admin(change, &old).await? {
        return Err(Error::LastAdmin);
    }
    if new.email != old.email && change.find(OTHER_WITH_EMAIL, values![&new.email, id]).await?.is_some() {
        return Err(Error::EmailTaken);
    }
    let has_new_role = new.role != old.role;
    let name = new.name.as_str();
    let values = values![id, name, folded(name), new.role, new.disabled_at, now];
    change.execute(UPDATE, values).await?;
    if new.email != old.email || new.email_vouched_by != old.email_vouched_by {
        let (verified_at, verified_by) = verified(new.email_vouched_by, now);
        let searched = folded(&new.email.searched());
        change.execute(UPDATE_EMAIL, values![id, &new.email, searched, verified_at, verified_by]).await?;
    }
    if has_new_role && new.role == RoleName::ADMIN {
        let ttl = i64::try_from(admin_ttl.as_micros()).unwrap_or(i64::MAX / 2);
        change.execute(SHORTEN, values![id, ttl]).await?;
    }
    let disabled = old.disabled_at.is_none() && new.disabled_at.is_some();
    // A reset link that somebody kept opens the account as it was, never one that may do more by now (attack A06).
    if new.email != old.email || has_new_role || disabled {
        challenges::void_all_of_user(change, id).await?;
    }
    // Those that they made go if they lose anything; disabling ends their sessions, and the links with them.
    if has_new_role && !asking.roles.covers(new.role, old.role) {
        challenges::void_of_maker(change, id, None).await?;
    }
    // Also if another act did it already: what it wrote may be in no set in memory yet.
    match (wanted.disabled, wanted.role) {
        (Some(true), _) => drop(end_every(change, id, None, EndReason::Disabled).await?),
        (_, Some(_)) if has_new_role => drop(raise_version(change, id).await?.ok_or_else(gone)?),
        (_, Some(role)) => change.raised_before(Subject { user: id, role, version }),
        _ => {}
    }
    change.user_changed(id);
    Ok(new)
}
