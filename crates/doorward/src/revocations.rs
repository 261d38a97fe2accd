//! Revocations: written with the act that ends sessions or changes a user's claims, kept in memory by everybody who checks.
//!
//! One session that ends is one row. The end of many sessions of a user, a new role and a new password are one row too: the
//! user's claims version rises, and tokens of a lower one are stale. Their clients refresh, and learn from the session's row
//! whether it is over.
//!
//! The act's transaction writes the row; after its commit, and before the answer, the set in memory is written. Other
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
use crate::links;
use crate::store::{Reads, Store, StoreError, Tx, values};
use crate::users::Subject;
pub(crate) use since::Page;

/// Before every position.
const BEGINNING: i64 = -1;
/// How long a revocation is kept after the last token that it concerns is dead.
const MARGIN: Duration = Duration::from_secs(600);

/// Why a session ended, as the store and the audit log have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// Its owner logged out.
    Logout,
    /// Its owner logged out everywhere, or ended it from another device.
    EndedByUser,
    /// A new sign-in from the same client took its place.
    Replaced,
    /// The user had too many; it was the one longest unused.
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

impl Because {
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

    /// Whether somebody may have had the session who should not: then what was made in it is void too (attack X05).
    const fn is_for_cause(self) -> bool {
        !matches!(self, Self::Logout | Self::Replaced | Self::TooMany)
    }
}

/// An end of sessions: when, why, and until when it must be remembered.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// When they end.
    pub at: Timestamp,
    /// Why.
    pub because: Because,
    /// Until when a token of theirs could live.
    pub remembered_until: Timestamp,
}

const END_ONE: &str =
    "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE id = $1 AND ended_at IS NULL RETURNING user_id";
const REVOKE_ONE: &str = "INSERT INTO revocations (session_id, user_id, reason, position, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (session_id) DO NOTHING";
const END_ALL: &str = "UPDATE sessions SET ended_at = $2, end_reason = $3 \
     WHERE user_id = $1 AND ended_at IS NULL AND id <> $4 RETURNING expires_at";
const OVER: &str = "SELECT id FROM sessions WHERE user_id = $1 AND ended_at > $2 AND id <> $3";
const IS_LEFT: &str = "SELECT id FROM sessions WHERE id = $1 AND ended_at IS NULL";
const IS_LEFT_WITH_LINKS: &str = "SELECT id FROM sessions WHERE id = $1 AND (ended_at IS NULL OR id IN \
     (SELECT maker_session_id FROM one_time_links WHERE maker_session_id = $1))";
const LEFT: &str = "SELECT role, claims_version, CAST((SELECT COUNT(*) FROM sessions \
     WHERE user_id = $1 AND ended_at IS NULL AND id <> $2) + (SELECT COUNT(*) FROM one_time_links \
     WHERE maker_id = $1 AND (maker_session_id IS NULL OR maker_session_id <> $2)) AS BIGINT) FROM users WHERE id = $1";
const NEXT: &str = "INSERT INTO facts (name, value) VALUES ('revocation_position', 1) \
     ON CONFLICT (name) DO UPDATE SET value = facts.value + 1 RETURNING value";

/// The position of an act's revocations. The row stays written until the commit, so positions rise in the order of
/// commits, and a follower that has read up to one has missed none before it.
async fn next_position(tx: &mut Tx) -> Result<i64, StoreError> {
    let row = tx.find(NEXT, values![]).await?;
    row.ok_or_else(|| StoreError::Corrupt("there is no revocation_position".into()))?.get(0)
}

/// The end of one session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// Which.
    pub(crate) session: SessionId,
    /// When and why.
    pub(crate) ending: Ending,
}

/// Ends these sessions within their act's transaction; gives those that were not over already, with their users.
pub(crate) async fn end_each(
    tx: &mut Tx,
    sessions: &[SessionId],
    ending: Ending,
) -> Result<Vec<(SessionId, UserId)>, StoreError> {
    end_in_order(tx, sessions.iter().map(|session| End { session: *session, ending }).collect()).await
}

/// The same, each for a reason of its own. Their rows are written in the order of their ids, and the position last: acts
/// that end the same sessions never wait for each other in a circle (attack X16).
pub(crate) async fn end_in_order(
    tx: &mut Tx,
    mut ends: Vec<End>,
) -> Result<Vec<(SessionId, UserId)>, StoreError> {
    ends.sort_unstable_by_key(|end| end.session);
    let mut ended = Vec::new();
    for End { session, ending } in ends {
        let because = ending.because.as_str();
        if let Some(row) = tx.find(END_ONE, values![session, ending.at, because]).await? {
            ended.push((session, row.get(0)?, ending));
        }
        if ending.because.is_for_cause() {
            links::void_of_session(tx, session).await?;
        }
    }
    if !ended.is_empty() {
        let position = next_position(tx).await?;
        for (session, user, ending) in &ended {
            let (at, until, because) = (ending.at, ending.remembered_until, ending.because.as_str());
            tx.execute(REVOKE_ONE, values![*session, *user, because, position, at, until]).await?;
        }
    }
    Ok(ended.into_iter().map(|(session, user, _)| (session, user)).collect())
}

/// What an act that ends the sessions of a user came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    /// How many of them this act ended while they were still of use.
    pub(crate) live: u32,
    /// The user from now on: tokens of a lower version are stale.
    pub(crate) subject: Subject,
}

/// Ends every session of a user except `keep`, within its act's transaction, and makes all their tokens stale; `None` if
/// there is no such user. The act wrote the user's row first, so that no sign-in slips in between (attack R05).
pub(crate) async fn end_all(
    tx: &mut Tx,
    user: UserId,
    keep: Option<SessionId>,
    ending: Ending,
) -> Result<Option<Ended>, StoreError> {
    let kept = keep.unwrap_or(SessionId::from_bytes([0; 16]));
    let rows = tx.list(END_ALL, values![user, ending.at, ending.because.as_str(), kept]).await?;
    if ending.because.is_for_cause() {
        links::void_of_maker(tx, user, keep).await?;
    }
    let mut live = 0;
    for row in rows {
        live += u32::from(row.get::<Timestamp>(0)? > ending.at);
    }
    Ok(raise_version(tx, user, ending).await?.map(|subject| Ended { live, subject }))
}

/// The sessions of a user that are over, except `keep`, of which a token could still be alive.
async fn over(
    mut reads: impl Reads,
    user: UserId,
    keep: Option<SessionId>,
    ending: Ending,
) -> Result<Vec<SessionId>, StoreError> {
    let kept = keep.unwrap_or(SessionId::from_bytes([0; 16]));
    let since = ending.at - ending.remembered_until.since(ending.at);
    reads.list(OVER, values![user, since, kept]).await?.iter().map(|row| row.get(0)).collect()
}

/// What an end of all sessions of a user would find.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    /// How many rows it would change, links that were made in the sessions too. If it is 0, nothing is to be written
    /// (attack X10).
    pub(crate) rows: i64,
    pub(crate) subject: Subject,
}

/// What an end of all sessions of a user except `keep` would find; `None` if there is no such user.
pub(crate) async fn left_to_end(
    mut reads: impl Reads,
    user: UserId,
    keep: Option<SessionId>,
) -> Result<Option<Left>, StoreError> {
    let kept = keep.unwrap_or(SessionId::from_bytes([0; 16]));
    let row = reads.find(LEFT, values![user, kept]).await?;
    row.map(|row| Ok(Left { rows: row.get(2)?, subject: Subject::of(user, &row)? })).transpose()
}

/// Whether an end of these sessions would change anything.
pub(crate) async fn is_any_left(
    mut reads: impl Reads,
    sessions: &[SessionId],
    because: Because,
) -> Result<bool, StoreError> {
    let is_left = if because.is_for_cause() { IS_LEFT_WITH_LINKS } else { IS_LEFT };
    for session in sessions {
        if reads.find(is_left, values![*session]).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The next version is the greater of the old one plus one and the store's time: none is given twice, also if a failover or
/// a restored backup has lost the last ones.
const RAISE: &str = "UPDATE users SET claims_version = (SELECT CASE WHEN users.claims_version < millis THEN millis \
     ELSE users.claims_version + 1 END FROM store_time) WHERE id = $1 RETURNING role, claims_version";
const REQUIRE: &str = "INSERT INTO least_versions (user_id, version, position, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (user_id) DO UPDATE SET version = excluded.version, \
     position = excluded.position, created_at = excluded.created_at, expires_at = excluded.expires_at";

/// Makes every token of a user stale that was made before, within its act's transaction; `None` if there is no such user.
pub(crate) async fn raise_version(
    tx: &mut Tx,
    user: UserId,
    ending: Ending,
) -> Result<Option<Subject>, StoreError> {
    let Some(row) = tx.find(RAISE, values![user]).await? else { return Ok(None) };
    let subject = Subject::of(user, &row)?;
    let position = next_position(tx).await?;
    let values = values![user, subject.version, position, ending.at, ending.remembered_until];
    tx.execute(REQUIRE, values).await?;
    Ok(Some(subject))
}

/// The set in memory and the table behind it.
pub struct Revocations {
    /// What every check looks at.
    pub set: Arc<RevocationSet>,
    store: Store,
    /// In seconds. Another node may raise it.
    max_access_ttl: AtomicU64,
    /// How far each table was read. One mark for both would pass over what is committed between the two readings.
    ended_to: AtomicI64,
    versions_to: AtomicI64,
    /// When it was last known that nothing is missing.
    followed_at: ArcSwap<Instant>,
    /// How long what other processes revoke may go unread.
    stale_after: Duration,
    /// Told where something was revoked, here or elsewhere.
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
        (max, stale_after): (usize, Duration),
        access_ttl: Duration,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let wanted = i64::try_from(access_ttl.as_secs()).unwrap_or(i64::MAX);
        let largest = store
            .transaction(async move |tx: &mut Tx| tx.find(LARGEST_TTL, values![wanted]).await)
            .await?
            .map_or(Ok(wanted), |row| row.get::<i64>(0))?;
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

    /// How long an end of sessions is remembered.
    pub fn remembered_for(&self) -> Duration {
        self.max_access_ttl() + MARGIN
    }

    /// An end of sessions at this time.
    pub fn ending(&self, at: Timestamp, because: Because) -> Ending {
        Ending { at, because, remembered_until: at + self.remembered_for() }
    }

    /// Refuses these sessions from here on. Called after the commit and before the answer.
    pub fn apply(&self, sessions: &[SessionId], ending: Ending) {
        sessions.iter().for_each(|session| self.set.end_session(*session, ending.remembered_until));
        if !sessions.is_empty() {
            self.news.notify_one();
        }
    }

    /// Makes tokens of a lower version stale from here on. Called after the commit and before the answer.
    pub(crate) fn apply_version(&self, subject: Subject, ending: Ending) {
        let least = Least { version: subject.version, expires_at: ending.remembered_until };
        self.set.require_version(subject.user, least);
        self.news.notify_one();
    }

    /// Puts in force here what another act did before, perhaps in another process: every session of the user except `keep`
    /// is over, and tokens of a lower version are stale (attacks R04, R05).
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn apply_over(
        &self,
        subject: Subject,
        keep: Option<SessionId>,
        ending: Ending,
    ) -> Result<(), StoreError> {
        self.apply(&over(&self.store, subject.user, keep, ending).await?, ending);
        self.apply_version(subject, ending);
        Ok(())
    }

    /// Why and when a session was ended, also where the session itself is no more.
    ///
    /// # Errors
    /// The store's.
    pub async fn reason(&self, session: SessionId) -> Result<Option<(String, Timestamp)>, StoreError> {
        let row = self.store.find(REASON, values![session]).await?;
        row.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
    }

    /// When all tokens of a user of then became stale, as long as that is remembered: also of one who is no more.
    ///
    /// # Errors
    /// The store's.
    pub async fn raised_at(&self, user: UserId) -> Result<Option<Timestamp>, StoreError> {
        self.store.find(RAISED_AT, values![user]).await?.map(|row| row.get(0)).transpose()
    }

    /// Reads what is new in the table, and gives the users whom it concerns.
    ///
    /// # Errors
    /// The store's; the next call reads it again.
    pub async fn follow(&self, now: Timestamp) -> Result<Vec<UserId>, StoreError> {
        for row in self.store.follow(MAX_TTL, values![]).await? {
            self.max_access_ttl.fetch_max(row.get::<i64>(0)?.unsigned_abs(), Ordering::AcqRel);
        }
        let (whole, mark) = (!self.set.has_overflowed(), self.set.mark());
        let since = |read_to: &AtomicI64| if whole { read_to.load(Ordering::SeqCst) } else { BEGINNING };
        let (mut ended_to, mut versions_to) = (since(&self.ended_to), since(&self.versions_to));
        let mut users = Vec::new();
        for row in self.store.follow(SINCE, values![ended_to, now]).await? {
            self.set.end_session(row.get(0)?, row.get(3)?);
            ended_to = ended_to.max(row.get(2)?);
            users.push(row.get(1)?);
        }
        for row in self.store.follow(VERSIONS_SINCE, values![versions_to, now]).await? {
            let user = row.get(0)?;
            self.set.require_version(user, Least { version: row.get(1)?, expires_at: row.get(3)? });
            versions_to = versions_to.max(row.get(2)?);
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

    /// What others wrote until `since` was read.
    pub(crate) fn followed(&self, since: Instant) {
        self.followed_at.store(Arc::new(since));
        if self.set.is_behind() {
            self.set.caught_up();
            tracing::info!("the revocations of other processes can be read again");
        }
    }

    /// Reading what others wrote failed. After `revocations.stale_after` a miss in memory is no answer any more: somebody
    /// may have logged out elsewhere, so each check asks the store, and is refused where that fails.
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

    /// How far the table was read.
    pub(crate) fn position(&self) -> i64 {
        self.ended_to.load(Ordering::Relaxed).max(self.versions_to.load(Ordering::Relaxed))
    }

    /// Forgets what no token needs any more, in memory and in the table.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        self.set.sweep(now);
        self.store.execute("DELETE FROM revocations WHERE expires_at <= $1", values![now]).await?;
        self.store.execute("DELETE FROM least_versions WHERE expires_at <= $1", values![now]).await.map(drop)
    }
}
