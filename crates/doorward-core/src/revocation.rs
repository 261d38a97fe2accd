//! The set of revocations: which sessions are over and whose role has changed, as everybody who checks credentials
//! keeps it in memory.
//!
//! Look-ups take no lock that a writer can hold. They come after the signature was verified, so an attacker chooses
//! none of the keys. An entry is kept until the last token that it concerns is dead.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use foldhash::fast::RandomState;

use crate::role::RoleName;
use crate::{SessionId, Timestamp, UserId};

/// How a credential stands with the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing speaks against it.
    Good,
    /// Its session has ended.
    Ended,
    /// Its user has another role by now.
    Stale,
    /// The set doesn't hold every revocation at the moment: ask the store.
    Unknown,
}

#[derive(Debug, Clone, Copy)]
struct RoleChange {
    role: RoleName,
    version: i64,
    expires_at: Timestamp,
}

/// The revocations that this process knows, bounded by `max` entries.
#[derive(Debug)]
pub struct RevocationSet {
    // Ids are the server's own and looked up after the signature: nobody chooses them to collide.
    sessions: papaya::HashMap<SessionId, Timestamp, RandomState>,
    roles: papaya::HashMap<UserId, RoleChange, RandomState>,
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
            roles: papaya::HashMap::default(),
            max,
            overflows,
            whole_at,
            behind: AtomicBool::new(false),
        }
    }

    /// Judges a credential of `user` in `session` that says `role`.
    pub fn check(&self, user: UserId, session: SessionId, role: RoleName) -> Standing {
        if self.sessions.pin().contains_key(&session) {
            return Standing::Ended;
        }
        match self.roles.pin().get(&user) {
            Some(change) if change.role != role => Standing::Stale,
            _ if self.is_whole() => Standing::Good,
            _ => Standing::Unknown,
        }
    }

    /// Whether the session is in the set.
    pub fn has_ended(&self, session: SessionId) -> bool {
        self.sessions.pin().contains_key(&session)
    }

    /// The role that the user has by the latest change in the set, and the version of that change.
    pub fn role_of(&self, user: UserId) -> Option<(RoleName, i64)> {
        self.roles.pin().get(&user).map(|change| (change.role, change.version))
    }

    /// Refuses everything of this session until `expires_at`.
    pub fn end_session(&self, session: SessionId, expires_at: Timestamp) {
        let sessions = self.sessions.pin();
        if sessions.len() < self.max {
            sessions.insert(session, expires_at);
        } else if !sessions.contains_key(&session) {
            self.overflows.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Makes every token of this user stale that says another role. Of two changes the one with the higher `version`
    /// stands, in whatever order they arrive.
    pub fn change_role(&self, user: UserId, role: RoleName, version: i64, expires_at: Timestamp) {
        let roles = self.roles.pin();
        if roles.len() >= self.max && !roles.contains_key(&user) {
            self.overflows.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let new = RoleChange { role, version, expires_at };
        roles.update_or_insert(user, |old| if old.version < version { new } else { *old }, new);
    }

    /// Takes these changes of roles in place of all before: those of another store, beside whose versions the old ones
    /// say nothing.
    pub fn replace_roles(&self, changes: impl IntoIterator<Item = (UserId, (RoleName, i64, Timestamp))>) {
        let changes: HashMap<_, _> = changes.into_iter().collect();
        let roles = self.roles.pin();
        for (user, (role, version, expires_at)) in &changes {
            let (role, version, expires_at) = (*role, *version, *expires_at);
            roles.insert(*user, RoleChange { role, version, expires_at });
        }
        roles.retain(|user, _| changes.contains_key(user));
    }

    /// Drops the entries whose last token is dead, and says how many there were. What has grown gets room, which keeps
    /// look-ups short: a table that is nearly full makes them several times as long.
    pub fn sweep(&self, now: Timestamp) -> usize {
        let before = self.len();
        let (sessions, roles) = (self.sessions.pin(), self.roles.pin());
        sessions.retain(|_, expires_at| *expires_at > now);
        roles.retain(|_, change| change.expires_at > now);
        sessions.reserve(sessions.len());
        roles.reserve(roles.len());
        before.saturating_sub(self.len())
    }

    /// How many sessions fit, and as many users.
    pub fn max(&self) -> usize {
        self.max
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.sessions.len() + self.roles.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the set holds every revocation. Where it doesn't, a miss must ask the store.
    pub fn is_whole(&self) -> bool {
        !self.has_overflowed() && !self.is_behind()
    }

    /// Whether something found no place in the set since all revocations were loaded.
    pub fn has_overflowed(&self) -> bool {
        self.whole_at.load(Ordering::SeqCst) != self.overflows.load(Ordering::SeqCst)
    }

    /// Others may have written revocations that could not be read: until [`RevocationSet::caught_up`] a miss must ask
    /// the store.
    pub fn fall_behind(&self) {
        self.behind.store(true, Ordering::SeqCst);
    }

    /// What others wrote is read again.
    pub fn caught_up(&self) {
        self.behind.store(false, Ordering::SeqCst);
    }

    /// Whether revocations of others may be missing.
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::SeqCst)
    }

    /// A mark to take before loading all revocations again, for [`RevocationSet::loaded`].
    pub fn mark(&self) -> u64 {
        self.overflows.load(Ordering::SeqCst)
    }

    /// Everything that the store had at `mark` or later was put in: the set is whole again, unless it overflowed since.
    pub fn loaded(&self, mark: u64) {
        self.whole_at.store(mark, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: UserId = UserId::from_bytes([1; 16]);
    const LATER: Timestamp = Timestamp::from_secs(100);

    fn session(n: u8) -> SessionId {
        SessionId::from_bytes([n; 16])
    }

    #[test]
    fn an_ended_session_is_refused_until_its_last_token_is_dead() {
        let set = RevocationSet::new(10);
        set.end_session(session(1), LATER);
        assert_eq!(set.check(ADA, session(1), RoleName::USER), Standing::Ended);
        assert_eq!(set.check(ADA, session(2), RoleName::USER), Standing::Good);
        assert_eq!(set.sweep(Timestamp::from_secs(99)), 0);
        assert_eq!(set.sweep(LATER), 1);
        assert_eq!(set.check(ADA, session(1), RoleName::USER), Standing::Good);
    }

    #[test]
    fn the_latest_role_stands_in_whatever_order_changes_arrive() {
        let set = RevocationSet::new(10);
        set.change_role(ADA, RoleName::ADMIN, 2, LATER);
        set.change_role(ADA, RoleName::USER, 1, LATER);
        assert_eq!(set.role_of(ADA), Some((RoleName::ADMIN, 2)));
        assert_eq!(set.check(ADA, session(1), RoleName::USER), Standing::Stale);
        assert_eq!(set.check(ADA, session(1), RoleName::ADMIN), Standing::Good);
    }

    #[test]
    fn the_roles_of_another_store_take_the_place_of_all_before() {
        let set = RevocationSet::new(10);
        let grace = UserId::from_bytes([2; 16]);
        set.change_role(ADA, RoleName::ADMIN, 9, LATER);
        set.change_role(grace, RoleName::ADMIN, 1, LATER);
        set.replace_roles([(ADA, (RoleName::USER, 1, LATER))]);
        assert_eq!(set.role_of(ADA), Some((RoleName::USER, 1)));
        assert_eq!(set.role_of(grace), None);
    }

    #[test]
    fn a_change_of_role_is_in_force_until_its_last_token_is_dead_and_a_full_set_takes_the_next_one_of_the_same_user()
     {
        let set = RevocationSet::new(1);
        set.change_role(ADA, RoleName::ADMIN, 1, LATER);
        set.change_role(ADA, RoleName::USER, 2, LATER);
        assert_eq!(set.check(ADA, session(1), RoleName::ADMIN), Standing::Stale);
        assert_eq!(set.check(ADA, session(1), RoleName::USER), Standing::Good);
        set.change_role(UserId::from_bytes([2; 16]), RoleName::ADMIN, 1, LATER);
        assert!(set.has_overflowed());
        assert_eq!((set.sweep(Timestamp::from_secs(99)), set.sweep(LATER)), (0, 1));
        assert_eq!(set.role_of(ADA), None);
    }

    #[test]
    fn while_others_cannot_be_followed_a_miss_is_no_answer() {
        let set = RevocationSet::new(10);
        set.end_session(session(1), LATER);
        set.fall_behind();
        assert_eq!(set.check(ADA, session(1), RoleName::USER), Standing::Ended);
        assert_eq!(set.check(ADA, session(2), RoleName::USER), Standing::Unknown);
        set.caught_up();
        assert_eq!(set.check(ADA, session(2), RoleName::USER), Standing::Good);
    }

    #[test]
    fn an_overflowing_set_says_so_until_it_is_loaded_again() {
        let set = RevocationSet::new(1);
        set.end_session(session(1), LATER);
        set.end_session(session(2), LATER);
        assert_eq!(set.check(ADA, session(1), RoleName::USER), Standing::Ended);
        assert_eq!(set.check(ADA, session(2), RoleName::USER), Standing::Unknown);
        let mark = set.mark();
        set.sweep(LATER);
        set.end_session(session(2), LATER + std::time::Duration::from_secs(9));
        set.loaded(mark);
        assert_eq!(set.check(ADA, session(3), RoleName::USER), Standing::Good);
    }
}
