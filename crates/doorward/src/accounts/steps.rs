//! The steps of acts on accounts, each within its act's transaction.

use doorward_core::role::{RoleName, Roles};
use doorward_core::{ClaimsVersion, SessionId, Timestamp, UserId};

use super::{Actor, Change, NewUser, Owner};
use crate::actors::Standing;
use crate::audit::{Entry, Log};
use crate::error::{Error, Result};
use crate::revocations::{self, Ended, Ending};
use crate::store::{Reads, Store, StoreError, Tx, values};
use crate::users::{self, Subject, User, VouchedBy, folded};
use crate::{known_devices, links};

const INSERT: &str = "INSERT INTO users (id, name, name_folded, email, role, password_hash, created_at, updated_at, \
     email_vouched_by, email_folded) VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9) \
     ON CONFLICT (email) DO NOTHING RETURNING role, claims_version";
const FIND: &str = "SELECT id, name, email, role, created_at, disabled_at, email_vouched_by, claims_version \
     FROM users WHERE id = $1";
const UPDATE: &str = "UPDATE users SET name = $2, name_folded = $3, email = $4, role = $5, disabled_at = $6, \
     updated_at = $7, email_vouched_by = $8, email_folded = $9 WHERE id = $1";
pub(super) const WITH_HASH: &str = "SELECT id FROM users WHERE id = $1 AND password_hash = $2";
const UNCONFIRM: &str =
    "UPDATE sessions SET confirmed_at = NULL WHERE user_id = $1 AND confirmed_at IS NOT NULL";
const OTHER_WITH_EMAIL: &str = "SELECT id FROM users WHERE email = $1 AND id <> $2";
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
    let hash = new.password_hash.clone();
    let vouched = email_vouched_by.map(|by| by.as_str().to_owned());
    let searched = folded(&email.searched());
    let values = values![id, name, folded(name), email, new.role, hash, now, vouched, searched];
    let Some(row) = tx.find(INSERT, values).await? else { return Ok(None) };
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

/// What an act did, to be put in force after its commit.
pub(super) struct Done {
    pub(super) user: User,
    /// If tokens from before may be stale now: the user's claims since.
    pub(super) claims: Option<Subject>,
}

/// What an act on a user needs.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    /// It could remove the last admin.
    pub(super) admins: bool,
    pub(super) permission: &'static str,
    pub(super) now: Timestamp,
}

/// The user that an act is about, and what its actor may do.
pub(super) struct Found {
    pub(super) user: User,
    pub(super) version: ClaimsVersion,
    pub(super) standing: Standing,
}

/// Takes the locks that an act on a user needs, always in this order; checks the actor, and reads the user.
pub(super) async fn locked(
    tx: &mut Tx,
    id: UserId,
    (actor, roles): (&Actor, &Roles),
    needs: Needs,
) -> Result<Result<Found>, StoreError> {
    if needs.admins {
        tx.execute(LOCK_ADMINS, values![]).await?;
    }
    let standing = match actor.stands(tx, (roles, needs.permission), needs.now).await? {
        Ok(standing) => standing,
        Err(error) => return Ok(Err(error)),
    };
    tx.execute(users::LOCK, values![id]).await?;
    found(tx, id, (actor, roles), standing).await
}

/// The same without the locks, before the transaction: an act that is refused or changes nothing begins none, and so
/// writes nothing (attack X10).
pub(super) async fn seen(
    store: &Store,
    id: UserId,
    (actor, roles): (&Actor, &Roles),
    needs: Needs,
) -> Result<Found> {
    let standing = actor.is_seen_to_stand(store, (roles, needs.permission), needs.now).await??;
    found(store, id, (actor, roles), standing).await?
}

async fn found(
    mut reads: impl Reads,
    id: UserId,
    (actor, roles): (&Actor, &Roles),
    standing: Standing,
) -> Result<Result<Found>, StoreError> {
    let Some(row) = reads.find(FIND, values![id]).await? else { return Ok(Err(Error::NotFound)) };
    let (user, version) = (users::read(&row)?, row.get(7)?);
    if let Err(error) = standing.covers(roles, user.role) {
        return Ok(Err(error));
    }
    if let Actor::Owner(Owner { confirmed_by: Some(hash), .. }) = actor
        && reads.find(WITH_HASH, values![id, hash]).await?.is_none()
    {
        return Ok(Err(Error::WrongPassword));
    }
    Ok(Ok(Found { user, version, standing }))
}

/// What every new password brings with it: reset links are void, the other sessions end, and the one that stays has to
/// be confirmed again, by the new password. One that was set without the current one also makes the account know no device.
pub(super) async fn after_new_password(
    tx: &mut Tx,
    id: UserId,
    keep: Option<SessionId>,
    ending: Ending,
    (log, entry): (&Log, &Entry),
) -> Result<Ended, StoreError> {
    links::void_resets(tx, id).await?;
    tx.execute(UNCONFIRM, values![id]).await?;
    if keep.is_none() {
        known_devices::void(tx, id).await?;
    }
    let ended = end_all(tx, id, keep, ending).await?;
    log.record(tx, entry).await?;
    Ok(ended)
}

/// Ends the sessions of a user whose row the act has written.
pub(super) async fn end_all(
    tx: &mut Tx,
    id: UserId,
    keep: Option<SessionId>,
    ending: Ending,
) -> Result<Ended, StoreError> {
    revocations::end_all(tx, id, keep, ending).await?.ok_or_else(gone)
}

fn gone() -> StoreError {
    StoreError::Corrupt("a user is gone whose row is locked".into())
}

pub(super) async fn is_last_admin(tx: &mut Tx, user: &User) -> Result<bool, StoreError> {
    let counts = user.role == RoleName::ADMIN && user.disabled_at.is_none();
    Ok(counts && tx.find(OTHER_ADMINS, values![user.id]).await?.is_none())
}

/// What a change is made with.
pub(super) struct Doing<'a> {
    pub(super) now: Timestamp,
    pub(super) ending: Ending,
    /// How long a session of an admin lives.
    pub(super) admin_ttl: std::time::Duration,
    pub(super) roles: &'a Roles,
    /// As what the actor vouches for an address.
    pub(super) vouches: Option<VouchedBy>,
}

pub(super) async fn apply(
    tx: &mut Tx,
    Found { user: old, version, .. }: Found,
    change: &Change,
    doing: Doing<'_>,
    (log, entry): (&Log, &Entry),
) -> Result<Result<Done>, StoreError> {
    let Doing { now, ending, admin_ttl, roles, vouches } = doing;
    let id = old.id;
    let mut new = old.clone();
    if let Some(name) = &change.name {
        name.as_str().clone_into(&mut new.name);
    }
    if let Some(email) = &change.email {
        new.email = email.clone();
        // Who writes somebody else's address vouches for it, also if it is the same.
        if new.email != old.email || vouches.is_some() {
            new.email_vouched_by = vouches;
        }
    }
    new.role = change.role.unwrap_or(old.role);
    new.disabled_at = match change.disabled {
        Some(true) => Some(old.disabled_at.unwrap_or(now)),
        Some(false) => None,
        None => old.disabled_at,
    };
    let stays_admin = new.role == RoleName::ADMIN && new.disabled_at.is_none();
    if !stays_admin && is_last_admin(tx, &old).await? {
        return Ok(Err(Error::LastAdmin));
    }
    if new.email != old.email && tx.find(OTHER_WITH_EMAIL, values![&new.email, id]).await?.is_some() {
        return Ok(Err(Error::EmailTaken));
    }
    let has_new_role = new.role != old.role;
    let name = new.name.as_str();
    let vouched = new.email_vouched_by.map(|by| by.as_str().to_owned());
    let (email, searched) = (&new.email, folded(&new.email.searched()));
    let name_folded = folded(name);
    let values = values![id, name, name_folded, email, new.role, new.disabled_at, now, vouched, searched];
    tx.execute(UPDATE, values).await?;
    if has_new_role && new.role == RoleName::ADMIN {
        let ttl = i64::try_from(admin_ttl.as_micros()).unwrap_or(i64::MAX / 2);
        tx.execute(SHORTEN, values![id, ttl]).await?;
    }
    let disabled = old.disabled_at.is_none() && new.disabled_at.is_some();
    // A reset link that somebody kept opens the account as it was, never one that may do more by now (attack A06).
    if new.email != old.email || has_new_role || disabled {
        links::void_resets(tx, id).await?;
    }
    // Those that they made go where they lose anything; disabling ends their sessions, and the links with them.
    if has_new_role && !roles.covers(new.role, old.role) {
        links::void_of_maker(tx, id, None).await?;
    }
    // Also if another act did it already: what it wrote may be in no set in memory yet.
    let claims = match (change.disabled, change.role) {
        (Some(true), _) => Some(end_all(tx, id, None, ending).await?.subject),
        (_, Some(_)) if has_new_role => {
            Some(revocations::raise_version(tx, id, ending).await?.ok_or_else(gone)?)
        }
        (_, Some(role)) => Some(Subject { user: id, role, version }),
        _ => None,
    };
    log.record(tx, entry).await?;
    Ok(Ok(Done { user: new, claims }))
}
