//! Revocations: written with the act that ends sessions or changes a user's claims, and kept in memory by every process
//! that checks credentials.
//!
//! One session that ends is one row. The end of many sessions of a user, a new role and a new password are also one
//! row. The user's claims version rises, and tokens of a lower version are stale. Their clients refresh, and learn from
//! the session's row whether it has ended.
//!
//! The act's transaction writes the row; after its commit, and before the answer, the set in memory is updated. Other
//! processes on the same database (the command line, another node) follow the tables.

mod since;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use doorward_core::revocation::{Least, RevocationSet};
use doorward_core::{SessionId, Timestamp, UserId};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::steady;
use crate::store::{Store, StoreError, Tx, values};
use crate::users::Subject;
pub(crate) use since::Page;

/// Before every position.
const BEGINNING: i64 = -1;
/// How long a revocation is kept after the last token that it concerns has expired.
const MARGIN: Duration = Duration::from_secs(600);

/// Why a session ended, as the store and the audit log have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Its owner logged out.
    Logout,
    /// Its owner logged out everywhere, or ended it from another device.
    EndedByUser,
    /// A new sign-in from the same client took its place.
    Replaced,
    /// The user had too many sessions; this was the one longest unused.
    TooMany,
    /// The password was changed or reset.
    PasswordChanged,
    /// A refresh token was used twice.
    RefreshReused,
    /// The account was disabled.
    Disabled,
    /// The account was deleted.
    Deleted,
    /// An admin or the command line ended it.
    EndedByAdmin,
    /// A registered client revoked its token.
    Revoked,
}

impl EndReason {
    /// The reason's name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::EndedByUser => "ended_by_user",
            Self::Replaced => "replaced",
            Self::TooMany => "too_many",
            Self::PasswordChanged => "password_changed",
            Self::RefreshReused => "refresh_reused",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::EndedByAdmin => "ended_by_admin",
            Self::Revoked => "revoked",
        }
    }

    /// Whether an attacker may have had the session: if so, what was made in it is void too (attack X05).
    pub(crate) const fn is_for_cause(self) -> bool {
        !matches!(self, Self::Logout | Self::Replaced | Self::TooMany)
    }
}

const REVOKE_ONE: &str = "INSERT INTO revocations (session_id, user_id, reason, position, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (session_id) DO NOTHING";
const NEXT: &str = "INSERT INTO facts (name, value) VALUES ('revocation_position', 1) \
     ON CONFLICT (name) DO UPDATE SET value = facts.value + 1 RETURNING value";

/// The position of an act's revocations. The row stays locked until the commit, so positions rise in the order of
/// commits. A follower that has read up to one has missed none before it.
async fn next_position(tx: &mut Tx) -> Result<i64, StoreError> {
    let row = tx.find(NEXT, values![]).await?;
    row.ok_or_else(|| StoreError::Corrupt("there is no revocation_position".into()))?.get("value")
}

/// A session that an act ended, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Revoked {
    pub(crate) session: SessionId,
    pub(crate) user: UserId,
    pub(crate) reason: EndReason,
}

const REQUIRE: &str = "INSERT INTO least_versions (user_id, version, position, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (user_id) DO UPDATE SET version = excluded.version, \
     position = excluded.position, created_at = excluded.created_at, expires_at = excluded.expires_at";

/// Writes what an act revoked, within its transaction and as its last step: the position keeps other acts waiting until
/// the commit. Rows are written in the order of their ids, so that no two acts deadlock (attack X16).
pub(crate) async fn record(
    tx: &mut Tx,
    ended: &[Revoked],
    raised: &[Subject],
    at: Timestamp,
    until: Timestamp,
) -> Result<(), StoreError> {
    if ended.is_empty() && raised.is_empty() {
        return Ok(());
    }
    let mut ended = ended.to_vec();
    ended.sort_unstable_by_key(|revoked| revoked.session);
    let position = next_position(tx).await?;
    for Revoked { session, user, reason } in ended {
        tx.execute(REVOKE_ONE, values![session, user, reason.as_str(), position, at, until]).await?;
    }
    for Subject { user, version, .. } in raised {
        tx.execute(REQUIRE, values![*user, *version, position, at, until]).await?;
    }
    Ok(())
}

/// The set in memory and the table behind it.
pub struct Revocations {
    /// The set that every check reads.
    pub set: Arc<RevocationSet>,
    store: Store,
    /// In seconds. Another node may raise it.
    max_access_ttl: AtomicU64,
    /// The position up to which each table was read. One mark for both would skip rows that are committed between the
    /// two reads.
    ended_to: AtomicI64,
    versions_to: AtomicI64,
    /// When it was last known that nothing is missing.
    followed_at: ArcSwap<Instant>,
    /// How long other processes' revocations may go unread.
    stale_after: Duration,
    /// Notified if something was revoked, here or elsewhere.
    pub(crate) news: Notify,
}

const SINCE: &str = "SELECT session_id, user_id, position, expires_at FROM revocations WHERE position > $1 AND expires_at > $2";
const VERSIONS_SINCE: &str = "SELECT user_id, version, position, expires_at FROM least_versions WHERE position > $1 AND expires_at > $2";
const RAISED_AT: &str = "SELECT created_at FROM least_versions WHERE user_id = $1";
const REASON: &str = "SELECT reason, created_at FROM revocations WHERE session_id = $1";
const MAX_TTL: &str = "SELECT value FROM facts WHERE name = 'max_access_ttl'";
const LARGEST_TTL: &str = "UPDATE facts SET value = CASE WHEN value < $1 THEN $1 ELSE value END \
     WHERE name = 'max_access_ttl' RETURNING value";

impl Revocations {
    /// Loads the set; tokens of `access_ttl` may be issued from now on.
    ///
    /// # Errors
    /// The store's.
    pub async fn load(
        store: Store,
        max: usize,
        stale_after: Duration,
        access_ttl: Duration,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let wanted = i64::try_from(access_ttl.as_secs()).unwrap_or(i64::MAX);
        let largest = store
            .transaction(async move |tx: &mut Tx| tx.find(LARGEST_TTL, values![wanted]).await)
            .await?
            .map_or(Ok(wanted), |row| row.get::<i64>("value"))?;
        let max_access_ttl = AtomicU64::new(largest.unsigned_abs());
        let set = Arc::new(RevocationSet::new(max));
        let revocations = Self {
            set,
            store,
            max_access_ttl,
            ended_to: AtomicI64::new(BEGINNING),
            versions_to: AtomicI64::new(BEGINNING),
            stale_after,
            followed_at: ArcSwap::from_pointee(steady()),
            news: Notify::new(),
        };
        revocations.follow(now).await?;
        Ok(revocations)
    }

    /// The largest lifetime of an access token that was ever in force on this database.
    pub fn max_access_ttl(&self) -> Duration {
        Duration::from_secs(self.max_access_ttl.load(Ordering::Acquire))
    }

    /// How long the end of a session is remembered.
    pub fn remembered_for(&self) -> Duration {
        self.max_access_ttl() + MARGIN
    }

    /// Refuses these sessions from now on, which ended at `at` or before.
    pub(crate) fn apply(&self, sessions: &[SessionId], at: Timestamp) {
        let until = at + self.remembered_for();
        sessions.iter().for_each(|session| self.set.end_session(*session, until));
        if !sessions.is_empty() {
            self.news.notify_one();
        }
    }

    /// Makes tokens of a lower version stale from now on.
    pub(crate) fn apply_version(&self, subject: Subject, at: Timestamp) {
        let least = Least { version: subject.version, expires_at: at + self.remembered_for() };
        self.set.require_version(subject.user, least);
        self.news.notify_one();
    }

    /// Why and when a session was ended, even if its row no longer exists.
    ///
    /// # Errors
    /// The store's.
    pub async fn reason(&self, session: SessionId) -> Result<Option<(String, Timestamp)>, StoreError> {
        let row = self.store.find(REASON, values![session]).await?;
        row.map(|row| Ok((row.get("reason")?, row.get("created_at")?))).transpose()
    }

    /// When all the user's tokens became stale, as long as that is remembered: even for a deleted user.
    ///
    /// # Errors
    /// The store's.
    pub async fn raised_at(&self, user: UserId) -> Result<Option<Timestamp>, StoreError> {
        self.store.find(RAISED_AT, values![user]).await?.map(|row| row.get("created_at")).transpose()
    }

    /// Reads what is new in the table, and returns the users concerned.
    ///
    /// # Errors
    /// The store's; the next call reads it again.
    pub async fn follow(&self, now: Timestamp) -> Result<Vec<UserId>, StoreError> {
        for row in self.store.follow(MAX_TTL, values![]).await? {
            self.max_access_ttl.fetch_max(row.get::<i64>("value")?.unsigned_abs(), Ordering::AcqRel);
        }
        let (whole, mark) = (!self.set.has_overflowed(), self.set.mark());
        let since = |read_to: &AtomicI64| if whole { read_to.load(Ordering::SeqCst) } else { BEGINNING };
        let (mut ended_to, mut versions_to) = (since(&self.ended_to), since(&self.versions_to));
        let mut users = Vec::new();
        for row in self.store.follow(SINCE, values![ended_to, now]).await? {
            self.set.end_session(row.get("session_id")?, row.get("expires_at")?);
            ended_to = ended_to.max(row.get("position")?);
            users.push(row.get("user_id")?);
        }
        for row in self.store.follow(VERSIONS_SINCE, values![versions_to, now]).await? {
            let user = row.get("user_id")?;
            self.set.require_version(
                user,
                Least { version: row.get("version")?, expires_at: row.get("expires_at")? },
            );
            versions_to = versions_to.max(row.get("position")?);
            users.push(user);
        }
        self.ended_to.fetch_max(ended_to, Ordering::SeqCst);
        self.versions_to.fetch_max(versions_to, Ordering::SeqCst);
        if !whole {
            self.set.loaded(mark);
        }
        if !users.is_empty() {
            self.news.notify_one();
        }
        Ok(users)
    }

    /// The writes of other processes until `since` were read.
    pub(crate) fn followed(&self, since: Instant) {
        self.followed_at.store(Arc::new(since));
        if self.set.is_behind() {
            self.set.caught_up();
            tracing::info!("the revocations of other processes can be read again");
        }
    }

    /// Other processes' writes could not be read. After `revocations.stale_after` a miss in memory no longer counts,
    /// since a session may have ended elsewhere. Then each check asks the store, and is refused if that fails.
    pub(crate) fn not_followed(&self) {
        if self.behind() >= self.stale_after && !self.set.is_behind() {
            self.set.fall_behind();
            let behind = self.behind().as_secs();
            tracing::error!(
                "the revocations of other processes could not be read for {behind} s: checks ask the database"
            );
        }
    }

    /// How long ago it was last known that nothing is missing.
    pub(crate) fn behind(&self) -> Duration {
        self.followed_at.load().elapsed()
    }

    /// The position up to which the table was read.
    pub(crate) fn position(&self) -> i64 {
        self.ended_to.load(Ordering::Relaxed).max(self.versions_to.load(Ordering::Relaxed))
    }

    /// Drops what no token needs any more, in memory and in the table.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        self.set.sweep(now);
        self.store.execute("DELETE FROM revocations WHERE expires_at <= $1", values![now]).await?;
        self.store.execute("DELETE FROM least_versions WHERE expires_at <= $1", values![now]).await.map(drop)
    }
}
