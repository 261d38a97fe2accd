//! The lane of this process: the order of its acts that end something.
//!
//! The row of the lane stays locked from the act's last statements until its commit, so positions rise in the order of
//! commits. A follower that has read up to one has missed none before it. Each act brings a number that is larger than
//! all before it in this process. So even if the database loses commits, no position is used twice, and no follower
//! passes over an act that has the position of a lost one.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::store::{StoreError, Tx, values};

/// The space between the numbers of two acts. Acts whose statements arrive in another order than their numbers take
/// positions in between: fewer than may be under way at once.
const STRIDE: i64 = 4_096;

/// Takes the next position of the lane; makes the row if there is none. `$2` is the number of the act.
const NEXT: &str = "INSERT INTO lanes (id, position, owner, seen_at) \
     VALUES ($1, $2, $3, (SELECT micros FROM store_state)) ON CONFLICT (id) DO UPDATE SET \
     position = CASE WHEN lanes.position < excluded.position THEN excluded.position ELSE lanes.position + 1 END, \
     seen_at = excluded.seen_at";
/// Writes that the owner lives.
pub(super) const BEAT: &str = "INSERT INTO lanes (id, position, owner, seen_at) \
     VALUES ($1, 0, $2, (SELECT micros FROM store_state)) ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at";

/// The lane of this process. Its row is made with its first act, or with its first sign of life.
pub(crate) struct Lane {
    pub(super) id: i64,
    /// Which process it is, for people.
    pub(super) owner: String,
    last: AtomicI64,
    acknowledged: AtomicI64,
}

impl Lane {
    pub(super) fn new() -> Self {
        let id = i64::from_be_bytes(crate::random::bytes()) & i64::MAX;
        let (last, acknowledged) = (AtomicI64::new(0), AtomicI64::new(0));
        Self { id: id.max(1), owner: owner(), last, acknowledged }
    }

    /// Takes the next position, within the act's transaction. The number of the act is returned for
    /// [`Lane::committed`].
    pub(super) fn next(&self, tx: &mut Tx) -> Result<i64, StoreError> {
        let number = self.last.fetch_add(STRIDE, Ordering::SeqCst) + STRIDE;
        tx.queue(NEXT, values![self.id, number, self.owner.clone()])?;
        Ok(number)
    }

    /// The act with this number was committed.
    pub(super) fn committed(&self, number: i64) {
        self.acknowledged.fetch_max(number, Ordering::SeqCst);
    }

    /// The database has at least this position, unless it has lost commits.
    pub(super) fn acknowledged(&self) -> i64 {
        self.acknowledged.load(Ordering::SeqCst)
    }
}

/// The machine and the process, as people know them.
fn owner() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let host: String = host.chars().filter(|character| !character.is_control()).take(64).collect();
    format!("{host} {}", std::process::id())
}
