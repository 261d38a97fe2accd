//! The set of revocations: which sessions have ended and which tokens are stale. Every process that checks credentials
//! keeps it in memory.
//!
//! Look-ups take no lock that a writer can hold. They come after the signature was verified, so an attacker chooses
//! none of the keys. An entry is kept until the last token that it concerns has expired. Entries may come twice and in
//! any order: of two versions for one user the greater counts, and of two ends the later.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use foldhash::fast::RandomState;

use crate::{ClaimsVersion, SessionId, Timestamp, UserId};

/// What the set says of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationCheck {
    /// Not revoked.
    Good,
    /// Its session has ended.
    Ended,
    /// It was made from a version below the user's least version.
    Stale,
    /// The set doesn't hold every revocation at the moment: ask the store.
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

/// The revocations that this process knows, at most `max` entries.
#[derive(Debug)]
pub struct RevocationSet {
    // Ids are the server's own and looked up after the signature, so nobody can choose colliding ones.
    sessions: papaya::HashMap<SessionId, Timestamp, RandomState>,
    users: papaya::HashMap<UserId, Least, RandomState>,
    max: usize,
    overflows: AtomicU64,
    whole_at: AtomicU64,
    behind: AtomicBool,
}

impl RevocationSet {
    /// An empty set for at most `max` sessions and as many users.
    pub fn new(max: usize) -> Self {
        let (overflows, whole_at) = (AtomicU64::new(0), AtomicU64::new(0));
        Self {
            sessions: papaya::HashMap::default(),
            users: papaya::HashMap::default(),
            max,
            overflows,
            whole_at,
            behind: AtomicBool::new(false),
        }
    }

    /// Judges a credential of `user` in `session` that was made from this version of the user's claims.
    pub fn check(&self, user: UserId, session: SessionId, version: ClaimsVersion) -> RevocationCheck {
        if self.sessions.pin().contains_key(&session) {
            return RevocationCheck::Ended;
        }
        match self.users.pin().get(&user) {
            Some(least) if version < least.version => RevocationCheck::Stale,
            _ if self.is_whole() => RevocationCheck::Good,
            _ => RevocationCheck::Unknown,
        }
    }

    /// Whether the session is in the set.
    pub fn has_ended(&self, session: SessionId) -> bool {
        self.sessions.pin().contains_key(&session)
    }

    /// The least version of the user's tokens that is not stale, if the set has one.
    pub fn least_version(&self, user: UserId) -> Option<ClaimsVersion> {
        self.users.pin().get(&user).map(|least| least.version)
    }

    /// Refuses every credential of this session until `expires_at` at the earliest. Returns whether the set did not
    /// have the session.
    pub fn end_session(&self, session: SessionId, expires_at: Timestamp) -> bool {
        let sessions = self.sessions.pin();
        if sessions.len() >= self.max && !sessions.contains_key(&session) {
            self.overflows.fetch_add(1, Ordering::SeqCst);
            return true;
        }
        // Inserts a new entry first. Unlike an update, an insert helps to move a growing table, and look-ups take
        // longer while a table is being moved.
        if sessions.try_insert(session, expires_at).is_ok() {
            return true;
        }
        sessions.update_or_insert(session, |known| expires_at.max(*known), expires_at);
        false
    }

    /// Makes every token of this user with a lower version stale. Returns whether the set did not require that version.
    pub fn require_version(&self, user: UserId, least: Least) -> bool {
        let users = self.users.pin();
        if users.len() >= self.max && !users.contains_key(&user) {
            self.overflows.fetch_add(1, Ordering::SeqCst);
            return true;
        }
        if users.try_insert(user, least).is_ok() {
            return true;
        }
        let is_new = users.get(&user).is_none_or(|known| known.version < least.version);
        users.update_or_insert(user, |known| known.and(least), least);
        is_new
    }

    /// The sessions in the set, and until when it keeps each.
    pub fn sessions(&self) -> Vec<(SessionId, Timestamp)> {
        self.sessions.pin().iter().map(|(session, expires_at)| (*session, *expires_at)).collect()
    }

    /// The users in the set, and the least version of each.
    pub fn versions(&self) -> Vec<(UserId, Least)> {
        self.users.pin().iter().map(|(user, least)| (*user, *least)).collect()
    }

    /// Drops the entries whose last token has expired, and returns how many there were. A grown table also gets more
    /// room, since look-ups in a nearly full table take several times as long.
    pub fn sweep(&self, now: Timestamp) -> usize {
        let before = self.len();
        let (sessions, users) = (self.sessions.pin(), self.users.pin());
        sessions.retain(|_, expires_at| *expires_at > now);
        users.retain(|_, least| least.expires_at > now);
        sessions.reserve(sessions.len());
        users.reserve(users.len());
        before.saturating_sub(self.len())
    }

    /// How many sessions fit, and how many users.
    pub fn max(&self) -> usize {
        self.max
    }

    /// How many entries the set has.
    pub fn len(&self) -> usize {
        self.sessions.len() + self.users.len()
    }

    /// Whether the set has no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the set holds every revocation. If not, a miss must ask the store.
    pub fn is_whole(&self) -> bool {
        !self.has_overflowed() && !self.is_behind()
    }

    /// Whether an entry was dropped for lack of room since all revocations were loaded.
    pub fn has_overflowed(&self) -> bool {
        self.whole_at.load(Ordering::SeqCst) != self.overflows.load(Ordering::SeqCst)
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

    /// A mark for [`RevocationSet::loaded`]. Take it before you load all revocations again.
    pub fn mark(&self) -> u64 {
        self.overflows.load(Ordering::SeqCst)
    }

    /// Everything that the store had at `mark` or later is in the set: it is complete again, unless it overflowed
    /// since.
    pub fn loaded(&self, mark: u64) {
        self.whole_at.store(mark, Ordering::SeqCst);
    }
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
        assert_eq!(set.check(ADA, session(1), version(2)), RevocationCheck::Unknown);
        assert_eq!((set.sweep(Timestamp::from_secs(99)), set.sweep(LATER)), (0, 1));
        assert_eq!(set.least_version(ADA), None);
    }

    #[test]
    fn while_others_cannot_be_followed_a_miss_is_no_answer() {
        let set = RevocationSet::new(10);
        set.end_session(session(1), LATER);
        set.fall_behind();
        assert_eq!(set.check(ADA, session(1), version(0)), RevocationCheck::Ended);
        assert_eq!(set.check(ADA, session(2), version(0)), RevocationCheck::Unknown);
        set.caught_up();
        assert_eq!(set.check(ADA, session(2), version(0)), RevocationCheck::Good);
    }

    #[test]
    fn an_overflowing_set_says_so_until_it_is_loaded_again() {
        let set = RevocationSet::new(1);
        set.end_session(session(1), LATER);
        set.end_session(session(2), LATER);
        assert_eq!(set.check(ADA, session(1), version(0)), RevocationCheck::Ended);
        assert_eq!(set.check(ADA, session(2), version(0)), RevocationCheck::Unknown);
        let mark = set.mark();
        set.sweep(LATER);
        set.end_session(session(2), LATER + std::time::Duration::from_secs(9));
        set.loaded(mark);
        assert_eq!(set.check(ADA, session(3), version(0)), RevocationCheck::Good);
    }
}
