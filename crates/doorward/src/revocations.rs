//! Revocations: written with the act that ends sessions or changes a user's claims, and kept in memory by every process
//! that checks credentials.
//!
//! One session that ends is one row. The end of many sessions of a user, a new role and a new password are also one
//! row. The user's claims version rises, and tokens of a lower version are stale. Their clients refresh, and learn from
//! the session's row whether it has ended.
//!
//! The act's transaction writes the row on the lane of its process; after its commit, and before the answer, the set in
//! memory is updated. Other processes on the same database (the command line, another node) follow all lanes.

mod follow;
mod freshness;
mod heal;
mod lane;
mod log;
mod signs;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorward_core::revocation::{Least, RevocationSet};
use doorward_core::{SessionId, Timestamp, UserId};
use tokio::sync::Notify;

use crate::clock::{Clock, Moment};
use crate::store::{Store, StoreError, Tx, values};
use crate::sweeps::Expired;
use crate::users::Subject;
pub(crate) use follow::Followed;
use follow::Marks;
use freshness::Freshness;
use lane::Lane;
pub(crate) use log::{Entry, Log, Passed};
pub(crate) use signs::Signs;

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
    /// It had ended, and the database had lost that.
    Recovered,
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
            Self::Recovered => "recovered",
        }
    }

    /// Whether an attacker may have had the session: if so, what was made in it is void too (attack X05).
    pub(crate) const fn is_for_cause(self) -> bool {
        !matches!(self, Self::Logout | Self::Replaced | Self::TooMany)
    }
}

const REVOKE_ONE: &str = "INSERT INTO revocations (session_id, user_id, reason, lane, position, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, (SELECT position FROM lanes WHERE id = $4), $5, $6) ON CONFLICT (session_id) DO NOTHING";

/// A session that an act ended, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Revoked {
    pub(crate) session: SessionId,
    pub(crate) user: UserId,
    pub(crate) reason: EndReason,
}

/// An act that ends no session leaves what an earlier one ended.
const REQUIRE: &str = "INSERT INTO least_versions (user_id, version, lane, position, created_at, expires_at, \
     ended_until, kept) VALUES ($1, $2, $3, (SELECT position FROM lanes WHERE id = $3), $4, $5, $6, $7) \
     ON CONFLICT (user_id) DO UPDATE SET version = excluded.version, lane = excluded.lane, \
     position = excluded.position, created_at = excluded.created_at, expires_at = excluded.expires_at, \
     kept = CASE WHEN excluded.ended_until IS NULL THEN least_versions.kept ELSE excluded.kept END, \
     ended_until = COALESCE(excluded.ended_until, least_versions.ended_until)";

/// A user whose claims version an act raised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raised {
    pub(crate) subject: Subject,
    /// If it also ended their sessions.
    pub(crate) all_ended: Option<AllEnded>,
}

/// All sessions of a user that began until a time have ended, except one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AllEnded {
    pub(crate) until: Timestamp,
    pub(crate) kept: Option<SessionId>,
}

/// What an act revoked.
pub(crate) struct Recording<'a> {
    pub(crate) ended: &'a [Revoked],
    pub(crate) raised: &'a [Raised],
    pub(crate) at: Timestamp,
    /// Until when the rows are kept.
    pub(crate) until: Timestamp,
}

/// The set in memory and the table behind it.
pub struct Revocations {
    /// The set that every check reads.
    pub set: Arc<RevocationSet>,
    /// What is new in the set, for followers of this process.
    pub(crate) log: Log,
    store: Store,
    clock: Clock,
    lane: Arc<Lane>,
    /// This process's signs of life, on its lane.
    pub(crate) signs: Arc<Signs>,
    margin: Duration,
    /// In seconds. Another node may raise it.
    max_access_ttl: AtomicU64,
    /// Whether the lanes are read. If not, each check would ask the store.
    loads: bool,
    /// Up to where each lane was read. One look at a time.
    marks: tokio::sync::Mutex<Marks>,
    freshness: Freshness,
    /// Whose sessions have all ended, as long as the set has the user's version. Checks don't need it: it is there to be
    /// written back.
    all_ended: Mutex<HashMap<UserId, AllEnded>>,
    /// Whether entries that the store has lost are being written back.
    heals: AtomicBool,
    /// Notified if something was revoked, here or elsewhere.
    pub(crate) news: Notify,
}

const RAISED_AT: &str = "SELECT created_at FROM least_versions WHERE user_id = $1";
const REASON: &str = "SELECT reason, created_at FROM revocations WHERE session_id = $1";
const LARGEST_TTL: &str = "UPDATE facts SET value = CASE WHEN value < $1 THEN $1 ELSE value END \
     WHERE name = 'max_access_ttl' RETURNING value";
const EXPIRED: &str = "DELETE FROM revocations WHERE session_id IN \
     (SELECT session_id FROM revocations WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
const EXPIRED_VERSIONS: &str = "DELETE FROM least_versions WHERE user_id IN \
     (SELECT user_id FROM least_versions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
/// Lanes whose owner has been silent for longer than their rows are kept, by the store's own time.
const SILENT_LANES: &str = "DELETE FROM lanes WHERE id IN (SELECT id FROM lanes \
     WHERE seen_at < (SELECT micros - $1 FROM store_state) \
     AND NOT EXISTS (SELECT 1 FROM revocations WHERE lane = lanes.id) \
     AND NOT EXISTS (SELECT 1 FROM least_versions WHERE lane = lanes.id) ORDER BY seen_at LIMIT $2)";

/// How many times as many sessions the set holds as it is known of users that all their sessions ended.
const ALL_ENDED: usize = 8;

/// Drops the sixteenth that ended first, which the store has lost least likely.
fn drop_first(known: &mut HashMap<UserId, AllEnded>) {
    let mut ends: Vec<_> = known.values().map(|all| all.until).collect();
    let place = ends.len() / 16;
    if place < ends.len() {
        let last = *ends.select_nth_unstable(place).1;
        known.retain(|_, all| all.until > last);
    }
}

/// What the set and its followers need to know.
pub(crate) struct Kept {
    /// How many sessions, and how many users, the set holds at most.
    pub(crate) max: usize,
    /// Whether what was revoked before is read. A command doesn't: it checks no credential.
    pub(crate) loads: bool,
    /// How long other processes' revocations may go unread.
    pub(crate) stale_after: Duration,
    /// The lifetime of the access tokens that may be issued from now on.
    pub(crate) access_ttl: Duration,
    /// How long a revocation is kept after the last token that it concerns has expired.
    pub(crate) margin: Duration,
}

impl Revocations {
    /// Notes the largest lifetime of a token. The set is empty until [`Revocations::follow`].
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn open(store: Store, clock: Clock, kept: Kept) -> Result<Self, StoreError> {
        let wanted = i64::try_from(kept.access_ttl.as_secs()).unwrap_or(i64::MAX);
        let largest = store
            .transaction(async move |tx: &mut Tx| tx.find(LARGEST_TTL, values![wanted]).await)
            .await?
            .map_or(Ok(wanted), |row| row.get::<i64>("value"))?;
        let set = RevocationSet::new(kept.max);
        if !kept.loads {
            set.fall_behind();
        }
        let signs = Arc::<Signs>::default();
        Ok(Self {
            set: Arc::new(set),
            loads: kept.loads,
            log: Log::new(),
            store,
            freshness: Freshness::new(kept.stale_after, clock.is_manual()),
            clock,
            margin: kept.margin,
            lane: Arc::new(Lane::new(signs.clone())),
            signs,
            max_access_ttl: AtomicU64::new(largest.unsigned_abs()),
            marks: tokio::sync::Mutex::default(),
            all_ended: Mutex::default(),
            heals: AtomicBool::new(false),
            news: Notify::new(),
        })
    }

    /// Writes what an act revoked, within its transaction and as its last step: the row of the lane stays locked until
    /// the commit, with which all of it is sent. Rows are written in the order of their ids, so that no two acts deadlock
    /// (attack X16). Returns the number of the act, for [`Revocations::committed`].
    pub(crate) fn record(&self, tx: &mut Tx, recording: Recording<'_>) -> Result<Option<i64>, StoreError> {
        let Recording { ended, raised, at, until } = recording;
        if ended.is_empty() && raised.is_empty() {
            return Ok(None);
        }
        let mut ended = ended.to_vec();
        ended.sort_unstable_by_key(|revoked| revoked.session);
        let number = self.lane.next(tx)?;
        for Revoked { session, user, reason } in ended {
            tx.queue(REVOKE_ONE, values![session, user, reason.as_str(), self.lane.id, at, until])?;
        }
        for Raised { subject: Subject { user, version, .. }, all_ended } in raised {
            let (ended_until, kept) = (all_ended.map(|all| all.until), all_ended.and_then(|all| all.kept));
            let row = values![*user, *version, self.lane.id, at, until, ended_until, kept];
            tx.queue(REQUIRE, row)?;
        }
        Ok(Some(number))
    }

    /// The act with this number was committed.
    pub(crate) fn committed(&self, number: i64) {
        self.lane.committed(number);
    }

    /// Writes that this process lives: other servers, and its own looks, go by that.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn beat(&self) -> Result<(), StoreError> {
        self.store.beat(lane::BEAT, values![self.lane.id, self.lane.owner.clone()]).await?;
        self.signs.taken();
        Ok(())
    }

    /// The largest lifetime of an access token that was ever in force on this database.
    pub fn max_access_ttl(&self) -> Duration {
        Duration::from_secs(self.max_access_ttl.load(Ordering::Acquire))
    }

    /// How long the end of a session is remembered, counted from when it is read.
    pub fn remembered_for(&self) -> Duration {
        self.max_access_ttl() + self.margin
    }

    /// The time that counts.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time by which entries are kept: steady time, since the process started.
    fn steady_now(&self) -> Timestamp {
        Timestamp::from_micros(0) + self.clock.ran()
    }

    /// Until when an entry that is read now is kept.
    fn kept_until(&self) -> Timestamp {
        self.steady_now() + self.remembered_for()
    }

    /// Refuses these sessions from now on.
    pub(crate) fn apply(&self, sessions: &[SessionId]) {
        let until = self.kept_until();
        let new = sessions.iter().filter(|session| self.set.end_session(**session, until));
        if self.log.add(new.map(|session| Entry::Session(*session))) {
            self.news.notify_one();
        }
    }

    /// Makes tokens of a lower version stale from now on.
    pub(crate) fn apply_version(&self, subject: Subject) {
        let least = Least { version: subject.version, expires_at: self.kept_until() };
        let is_new = self.set.require_version(subject.user, least);
        if is_new && self.log.add([Entry::User(subject.user, subject.version)]) {
            self.news.notify_one();
        }
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

    fn all_ended(&self) -> MutexGuard<'_, HashMap<UserId, AllEnded>> {
        self.all_ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All sessions of this user have ended.
    pub(crate) fn apply_all_ended(&self, user: UserId, all: AllEnded) {
        let mut known = self.all_ended();
        if known.len() >= self.set.max().div_ceil(ALL_ENDED) && !known.contains_key(&user) {
            drop_first(&mut known);
        }
        let latest = known.entry(user).or_insert(all);
        if latest.until < all.until {
            *latest = all;
        }
    }

    /// How long something is kept from now on that is kept until then: whole seconds, rounded up.
    pub(crate) fn keep(&self, until: Timestamp) -> Duration {
        until.since(self.steady_now()) + Duration::from_millis(999)
    }

    /// No other process has written anything until then.
    pub(crate) fn nothing_new(&self, at: Moment) {
        self.freshness.looked(at, Timestamp::from_micros(0));
        self.followed();
    }

    /// How long ago it was last known that nothing is missing.
    pub(crate) fn behind(&self) -> Duration {
        self.freshness.behind()
    }

    /// Whether this process may just have stood still: what it was asked before that may have been answered by others.
    pub(crate) fn may_have_stood_still(&self) -> bool {
        self.freshness.may_have_stood_still()
    }

    /// Before a check: notes if this process stood still, so that other processes' revocations may be missing.
    pub(crate) fn notice(&self, at: Moment) {
        if self.freshness.is_stale(at) && !self.set.is_behind() {
            self.fall_behind();
        }
    }

    /// Other processes' writes could not be read. After `revocations.stale_after` a miss in memory no longer counts,
    /// since a session may have ended elsewhere. Then each check asks the store, and is refused if that fails.
    pub(crate) fn not_followed(&self) {
        if self.freshness.is_behind() && !self.set.is_behind() {
            self.fall_behind();
        }
    }

    fn fall_behind(&self) {
        self.set.fall_behind();
        let behind = self.behind().as_secs();
        tracing::error!(
            "the revocations of other processes could not be read for {behind} s: checks ask the database"
        );
    }

    /// Drops what no token needs any more from memory. It takes a while in a large set.
    pub(crate) fn drop_old(&self) {
        self.set.sweep(self.steady_now());
        let mut known = self.all_ended();
        known.retain(|user, _| self.set.least_version(*user).is_some());
        let room = 2 * known.len();
        known.shrink_to(room);
    }

    /// What no token needs any more in the tables.
    pub(crate) fn expired(&self, now: Timestamp) -> [Expired; 3] {
        [
            Expired::of("revocations", EXPIRED, values![now]),
            Expired::of("least_versions", EXPIRED_VERSIONS, values![now]),
            Expired::of("lanes", SILENT_LANES, values![2 * self.remembered_for()]),
        ]
    }
}
