//! The set of revocations: which sessions have ended and which tokens are stale. Every process that checks credentials
//! keeps it in memory.
//!
//! Look-ups take no lock. They come after the signature was verified, so an attacker chooses none of the keys. An entry
//! is kept until the last token that it concerns has expired. Entries may come twice and in any order: of two versions
//! for one user the greater counts, and of two ends the later.
//!
//! A full set drops the entries that would go first. It knows until when one of them would have counted: until then, a
//! miss is an answer only for a token that dies later.

mod snapshot;
mod table;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;

use crate::{ClaimsVersion, SessionId, Timestamp, UserId};
pub use snapshot::{Kept, Revocation, Snapshot};
use table::{Entry, Key, Kind, Shard, Table, hash};

/// How many shards a table has at most, and how many entries make one more worth it. One is copied at a time.
const SHARDS: usize = 256;
const OF_A_SHARD: usize = 4_096;
/// A full shard drops one entry in so many.
const DROPPED: usize = 16;

/// What the set says of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationCheck {
    /// Not revoked.
    Good,
    /// Its session has ended.
    Ended,
    /// It was made from a version below the user's least version.
    Stale,
    /// The set doesn't hold every revocation at the moment: ask the store, unless [`RevocationSet::covers`] the
    /// credential.
    Unknown,
}

/// The least version of a user's tokens that is not stale, and until when the set keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Least {
    /// The version.
    pub version: ClaimsVersion,
    /// Until when a token of a lower version could live.
    pub expires_at: Timestamp,
}

impl Least {
    /// Merges two entries for one user, in whatever order they came.
    pub fn and(self, other: Self) -> Self {
        let (version, expires_at) = (self.version.max(other.version), self.expires_at.max(other.expires_at));
        Self { version, expires_at }
    }
}

/// Both tables, as readers find them.
#[derive(Clone, Default)]
struct Tables {
    sessions: Table,
    users: Table,
}

impl Tables {
    fn of(&self, kind: Kind) -> &Table {
        match kind {
            Kind::Sessions => &self.sessions,
            Kind::Users => &self.users,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut Table {
        match kind {
            Kind::Sessions => &mut self.sessions,
            Kind::Users => &mut self.users,
        }
    }
}

/// The revocations that this process knows, at most `max` sessions and as many users: about 25 and 35 bytes each. Times
/// are those of its owner, who gives them; the set has whole seconds.
pub struct RevocationSet {
    tables: ArcSwap<Tables>,
    /// Whose turn it is to write.
    writer: Mutex<()>,
    hasher: RandomState,
    max: usize,
    len: AtomicUsize,
    /// The latest time that the set was given.
    now: AtomicU32,
    /// Until when one of the missing entries would have counted.
    missing_until: AtomicU32,
    behind: AtomicBool,
}

impl fmt::Debug for RevocationSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationSet")
            .field("len", &self.len())
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

impl RevocationSet {
    /// An empty set for at most `max` sessions and as many users.
    pub fn new(max: usize) -> Self {
        Self {
            tables: ArcSwap::default(),
            writer: Mutex::default(),
            hasher: RandomState::default(),
            max: max.max(1),
            len: AtomicUsize::new(0),
            now: AtomicU32::new(0),
            missing_until: AtomicU32::new(0),
            behind: AtomicBool::new(false),
        }
    }

    /// Judges a credential of `user` in `session` that was made from this version of the user's claims.
    pub fn check(&self, user: UserId, session: SessionId, version: ClaimsVersion) -> RevocationCheck {
        let tables = self.tables.load();
        if tables.sessions.find(Key::of(session.as_bytes()), &self.hasher).is_some() {
            return RevocationCheck::Ended;
        }
        match self.least_of(&tables, user) {
            Some(least) if version.get().unsigned_abs() < least => RevocationCheck::Stale,
            // Read after the tables: what they lack was noted before it was dropped.
            _ if self.is_whole() => RevocationCheck::Good,
            _ => RevocationCheck::Unknown,
        }
    }

    fn least_of(&self, tables: &Tables, user: UserId) -> Option<u64> {
        let (shard, place) = tables.users.find(Key::of(user.as_bytes()), &self.hasher)?;
        shard.version(place)
    }

    /// Whether the session is in the set.
    pub fn has_ended(&self, session: SessionId) -> bool {
        self.tables.load().sessions.find(Key::of(session.as_bytes()), &self.hasher).is_some()
    }

    /// The least version of the user's tokens that is not stale, if the set has one.
    pub fn least_version(&self, user: UserId) -> Option<ClaimsVersion> {
        version(self.least_of(&self.tables.load(), user)?)
    }

    /// Refuses every credential of this session until `expires_at` at the earliest. Returns whether the set did not
    /// have the session.
    pub fn end_session(&self, session: SessionId, expires_at: Timestamp) -> bool {
        let key = Key::of(session.as_bytes());
        self.put(Kind::Sessions, Entry { key, until: rounded_up(expires_at), version: 0 })
    }

    /// Makes every token of this user with a lower version stale. Returns whether the set did not require that version.
    pub fn require_version(&self, user: UserId, least: Least) -> bool {
        let (key, version) = (Key::of(user.as_bytes()), least.version.get().unsigned_abs());
        self.put(Kind::Users, Entry { key, until: rounded_up(least.expires_at), version })
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry, or raises the one that is there. Returns whether that is news.
    fn put(&self, kind: Kind, entry: Entry) -> bool {
        let (hash, _turn) = (hash(entry.key, &self.hasher), self.turn());
        let tables = self.tables.load();
        if tables.of(kind).is_unused() {
            let mut tables = Tables::clone(&tables);
            *tables.of_mut(kind) = Table::with_shards(self.shards());
            self.tables.store(Arc::new(tables));
        }
        let tables = self.tables.load();
        let table = tables.of(kind);
        let index = table.shard_of(hash);
        let Some(shard) = table.shard(index) else { return true };
        if let Some(place) = shard.find(entry.key, hash) {
            return shard.raise(place, entry);
        }
        let is_at_max = shard.len() >= (self.max / self.shards()).max(1);
        if is_at_max || shard.is_full() {
            let mut entries: Vec<Entry> = shard.entries(0).map(|(_, entry)| entry).collect();
            if is_at_max {
                self.drop_first(&mut entries);
            }
            entries.push(entry);
            self.replace(&tables, kind, index, &entries);
        } else {
            shard.insert(entry, hash);
            self.len.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// How many shards a table has. Each holds its part of `max`.
    fn shards(&self) -> usize {
        (self.max / OF_A_SHARD).next_power_of_two().clamp(1, SHARDS)
    }

    /// Puts a new shard with these entries in place of another one. Look-ups that have begun go on in the old one.
    fn replace(&self, tables: &Tables, kind: Kind, index: usize, entries: &[Entry]) {
        let mut tables = tables.clone();
        let table = tables.of_mut(kind);
        let before = table.shard(index).map_or(0, |shard| shard.len());
        table.put(index, Shard::of(entries, kind, &self.hasher));
        self.tables.store(Arc::new(tables));
        let len = self.len.load(Ordering::Relaxed);
        self.len.store((len + entries.len()).saturating_sub(before), Ordering::Relaxed);
    }

    /// Drops the entries that would go first, and notes until when they would have counted.
    fn drop_first(&self, entries: &mut Vec<Entry>) {
        let count = 1 + entries.len() / DROPPED;
        if let Some(last) = count.checked_sub(1).filter(|last| *last < entries.len()) {
            entries.select_nth_unstable_by_key(last, |entry| entry.until);
        }
        let until = entries.drain(..count.min(entries.len())).map(|entry| entry.until).max();
        // Before they are gone, so that no miss counts meanwhile.
        self.missing_until.fetch_max(until.unwrap_or_default(), Ordering::SeqCst);
    }

    /// Everything in the set, for one who reads it at leisure.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.tables.load_full())
    }

    /// Drops the entries whose last token has expired, and returns how many there were. Memory goes back. It takes a
    /// while in a large set: 20 ms for a million entries.
    pub fn sweep(&self, now: Timestamp) -> usize {
        let now = rounded_down(now);
        let mut dropped = 0;
        for kind in [Kind::Sessions, Kind::Users] {
            for index in 0..self.shards() {
                // One shard at a time, so that nobody waits long for a turn.
                let _turn = self.turn();
                let tables = self.tables.load();
                let Some(shard) = tables.of(kind).shard(index) else { break };
                let live = shard.entries(0).map(|(_, entry)| entry).filter(|entry| entry.until > now);
                let entries: Vec<Entry> = live.collect();
                if entries.len() < shard.len() {
                    dropped += shard.len() - entries.len();
                    self.replace(&tables, kind, index, &entries);
                }
            }
        }
        self.now.fetch_max(now, Ordering::SeqCst);
        dropped
    }

    /// How many sessions fit, and how many users.
    pub fn max(&self) -> usize {
        self.max
    }

    /// How many entries the set has.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether the set has no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the set holds every revocation. If not, a miss must ask the store.
    pub fn is_whole(&self) -> bool {
        !self.has_overflowed() && !self.is_behind()
    }

    /// Whether an entry is missing that still counts, as it was dropped for lack of room or never came.
    pub fn has_overflowed(&self) -> bool {
        self.missing_until.load(Ordering::SeqCst) > self.now.load(Ordering::SeqCst)
    }

    /// Until when one of the missing entries counts, if there is one.
    pub fn missing_until(&self) -> Option<Timestamp> {
        let until = self.missing_until.load(Ordering::SeqCst);
        self.has_overflowed().then(|| Timestamp::from_secs(until.into()))
    }

    /// Entries that count until then at the latest never came.
    pub fn lacks(&self, until: Timestamp) {
        self.missing_until.fetch_max(rounded_up(until), Ordering::SeqCst);
    }

    /// Whether no missing entry concerns a credential that dies after this span. An entry is kept for longer than any
    /// token that it concerns lives, so a token that dies after the last missing entry is younger than all of them.
    pub fn covers(&self, left: Duration) -> bool {
        let dies_at = u64::from(self.now.load(Ordering::SeqCst)).saturating_add(left.as_secs());
        !self.is_behind() && dies_at > u64::from(self.missing_until.load(Ordering::SeqCst))
    }

    /// Revocations of other processes could not be read: until [`RevocationSet::caught_up`] a miss must ask the store.
    pub fn fall_behind(&self) {
        self.behind.store(true, Ordering::SeqCst);
    }

    /// The revocations of other processes are read again.
    pub fn caught_up(&self) {
        self.behind.store(false, Ordering::SeqCst);
    }

    /// Whether revocations of other processes may be missing.
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::SeqCst)
    }
}

/// Whole seconds, so that nothing goes too early.
fn rounded_up(time: Timestamp) -> u32 {
    seconds((time + Duration::from_micros(999_999)).as_secs()).max(1)
}

fn rounded_down(time: Timestamp) -> u32 {
    seconds(time.as_secs())
}

fn seconds(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

fn version(number: u64) -> Option<ClaimsVersion> {
    ClaimsVersion::new(i64::try_from(number).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ADA: UserId = UserId::from_bytes([1; 16]);
    const LATER: Timestamp = Timestamp::from_secs(100);

    fn session(n: u8) -> SessionId {
        SessionId::from_bytes([n; 16])
    }

    fn version(number: i64) -> ClaimsVersion {
        ClaimsVersion::new(number).unwrap()
    }

    fn least(number: i64, expires_at: Timestamp) -> Least {
        Least { version: version(number), expires_at }
    }

    #[test]
    fn an_ended_session_is_refused_until_its_last_token_is_dead() {
        let set = RevocationSet::new(10);
        set.end_session(session(1), LATER);
        set.end_session(session(1), Timestamp::from_secs(7));
        assert_eq!(set.check(ADA, session(1), version(0)), RevocationCheck::Ended);
        assert_eq!(set.check(ADA, session(2), version(0)), RevocationCheck::Good);
        assert_eq!(set.sweep(Timestamp::from_secs(99)), 0);
        assert_eq!(set.sweep(LATER), 1);
        assert_eq!(set.check(ADA, session(1), version(0)), RevocationCheck::Good);
    }

    #[test]
    fn tokens_below_the_least_version_are_stale_and_those_of_it_and_above_are_good() {
        let set = RevocationSet::new(10);
        set.require_version(ADA, least(5, LATER));
        for (number, standing) in [
            (0, RevocationCheck::Stale),
            (4, RevocationCheck::Stale),
            (5, RevocationCheck::Good),
            (6, RevocationCheck::Good),
        ] {
            assert_eq!(set.check(ADA, session(1), version(number)), standing, "{number}");
        }
        assert_eq!(set.check(UserId::from_bytes([2; 16]), session(1), version(0)), RevocationCheck::Good);
    }

    proptest! {
        #[test]
        fn entries_say_the_same_in_whatever_order_and_however_often_they_come(
            entries in prop::collection::vec((0..9_i64, 0..200_i64), 1..9), seed: u64,
        ) {
            let of = |entries: &[(i64, i64)]| {
                let set = RevocationSet::new(10);
                for (number, secs) in entries {
                    set.require_version(ADA, least(*number, Timestamp::from_secs(*secs)));
                    set.end_session(session(1), Timestamp::from_secs(*secs));
                }
                let seen = [0, 50, 100, 150, 199].map(|now| {
                    set.sweep(Timestamp::from_secs(now));
                    (set.least_version(ADA), set.has_ended(session(1)))
                });
                (seen, set.len())
            };
            let mut other = [entries.clone(), entries.clone()].concat();
            let turn = usize::try_from(seed % 9).unwrap() % other.len();
            other.rotate_left(turn);
            other.reverse();
            prop_assert_eq!(of(&entries), of(&other));
        }
    }

    #[test]
    fn a_full_set_takes_the_next_version_of_a_user_that_it_has() {
        let set = RevocationSet::new(1);
        set.require_version(ADA, least(1, LATER));
        set.require_version(ADA, least(2, LATER));
        assert!(!set.has_overflowed());
        assert_eq!(set.check(ADA, session(1), version(1)), RevocationCheck::Stale);
        set.require_version(UserId::from_bytes([2; 16]), least(1, LATER));
        assert!(set.has_overflowed());
        assert_eq!(set.check(ADA, session(1), version(1)), RevocationCheck::Unknown);
    }

    #[test]
    fn while_others_cannot_be_followed_a_miss_is_no_answer() {
        let set = RevocationSet::new(10);
        set.end_session(session(1), LATER);
        set.fall_behind();
        assert_eq!(set.check(ADA, session(1), version(0)), RevocationCheck::Ended);
        assert_eq!(set.check(ADA, session(2), version(0)), RevocationCheck::Unknown);
        assert!(!set.covers(Duration::MAX));
        set.caught_up();
        assert_eq!(set.check(ADA, session(2), version(0)), RevocationCheck::Good);
    }

    #[test]
    fn a_full_set_keeps_what_counts_longest_and_knows_until_when_something_is_missing() {
        let set = RevocationSet::new(3);
        for (number, secs) in [(1, 90), (2, 50), (3, 70), (4, 80)] {
            set.end_session(session(number), Timestamp::from_secs(secs));
        }
        let check = |number| set.check(ADA, session(number), version(0));
        assert_eq!([1, 3, 4].map(check), [RevocationCheck::Ended; 3]);
        assert_eq!(check(2), RevocationCheck::Unknown);
        assert_eq!((set.len(), set.missing_until()), (3, Some(Timestamp::from_secs(50))));
        // A token that dies in 50 s may be that of the session that was dropped, a later one can't.
        assert_eq!([49, 50, 51].map(|left| set.covers(Duration::from_secs(left))), [false, false, true]);
        set.sweep(Timestamp::from_secs(20));
        assert_eq!([30, 31].map(|left| set.covers(Duration::from_secs(left))), [false, true]);
        set.sweep(Timestamp::from_secs(49));
        assert_eq!(check(2), RevocationCheck::Unknown);
        set.sweep(Timestamp::from_secs(50));
        assert_eq!((check(2), set.missing_until()), (RevocationCheck::Good, None));
        set.lacks(LATER);
        assert_eq!((check(2), check(4)), (RevocationCheck::Unknown, RevocationCheck::Ended));
    }

    #[test]
    fn every_id_is_one_of_its_own() {
        let set = RevocationSet::new(1_000);
        let ids = [0, 1, 1 << 63, 1 << 64, (1 << 64) + 1, u128::MAX, 1 << 127];
        let id = |number: u128| SessionId::from_bytes(number.to_be_bytes());
        for (count, number) in ids.into_iter().enumerate() {
            assert!(!set.has_ended(id(number)), "{number:x}");
            assert!(set.end_session(id(number), LATER));
            assert!(!set.end_session(id(number), LATER));
            assert_eq!((set.has_ended(id(number)), set.len()), (true, count + 1));
        }
    }

    #[test]
    fn a_snapshot_read_in_pieces_has_everything_once() {
        let set = RevocationSet::new(100_000);
        let all: Vec<_> = (0..5_000_u128).map(|number| SessionId::from_bytes(number.to_be_bytes())).collect();
        all.iter().for_each(|session| assert!(set.end_session(*session, LATER)));
        set.require_version(ADA, least(7, LATER));
        let (snapshot, mut place, mut read) = (set.snapshot(), 0, Vec::new());
        set.sweep(LATER);
        loop {
            let piece: Vec<_> = snapshot.entries(place).take(99).collect();
            let Some((next, _)) = piece.last() else { break };
            place = *next;
            read.extend(piece.into_iter().map(|(_, kept)| kept));
        }
        assert!(read.iter().all(|kept| kept.expires_at == LATER));
        let mut sessions: Vec<_> = read
            .iter()
            .filter_map(|kept| match kept.revocation {
                Revocation::Session(session) => Some(session),
                Revocation::User(..) => None,
            })
            .collect();
        sessions.sort_unstable();
        assert_eq!(sessions, all);
        assert_eq!(read.last().unwrap().revocation, Revocation::User(ADA, version(7)));
        assert!(set.is_empty());
    }

    #[test]
    fn what_is_in_the_set_is_seen_while_the_set_grows_drops_and_sweeps() {
        let set = RevocationSet::new(10_000);
        let id = |thread: u128, number: u128| SessionId::from_bytes(((thread << 64) | number).to_be_bytes());
        let kept: Vec<_> = (0..500).map(|number| id(9, number)).collect();
        let end_of_time = Timestamp::from_secs(1_000_000);
        kept.iter().for_each(|session| assert!(set.end_session(*session, end_of_time)));
        set.require_version(ADA, least(1, end_of_time));
        let (done, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) || seen.load(Ordering::SeqCst) < 10 {
                        assert!(kept.iter().all(|session| set.has_ended(*session)));
                        assert_eq!(set.check(ADA, id(8, 0), version(0)), RevocationCheck::Stale);
                        seen.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            let writers: Vec<_> = (0..2)
                .map(|thread| {
                    let set = &set;
                    scope.spawn(move || {
                        for number in 0..15_000_u32 {
                            let session = id(thread, number.into());
                            set.end_session(session, Timestamp::from_secs(i64::from(number / 100) + 100));
                            // In the set as soon as the writer knows it; or dropped, which the set knows.
                            assert!(set.has_ended(session) || set.has_overflowed());
                            set.require_version(ADA, least(number.into(), end_of_time));
                            if number % 2_500 == 0 {
                                set.sweep(Timestamp::from_secs((number / 200).into()));
                            }
                        }
                    })
                })
                .collect();
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            done.store(true, Ordering::SeqCst);
        });
        assert_eq!(set.least_version(ADA), Some(version(14_999)));
        assert!(set.len() <= 10_001);
        assert_eq!(set.snapshot().entries(0).count(), set.len());
    }
}
