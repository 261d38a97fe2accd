//! The lane of this process: the order of its acts that end something.
//!
//! The row of the lane stays locked from the act's last statements until its commit, so positions rise in the order of
//! commits. A follower that has read up to one has missed none before it. Each act brings a number that is larger than
//! all before it in this process. So even if the database loses commits, no position is used twice, and no follower
//! passes over an act that has the position of a lost one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::signs::Signs;
use crate::store::{StoreError, Tx, values};

/// The space between the numbers of two acts. Acts whose statements arrive in another order than their numbers take
/// positions in between: far fewer than half of it are under way at once.
const STRIDE: i64 = 4_096;
/// What is added to the position of an act that finds the lane below what was committed on it. Otherwise the act would
/// lift the lane over everybody's mark, and nobody would notice that commits are lost.
const SET_BACK: i64 = STRIDE / 2;

/// Takes the next position of the lane; makes the row if there is none. `$2` is the number of the act, and `$4` the highest
/// that was acknowledged. `$5` is the position if the row is gone, `$6` if it was set back.
const NEXT: &str = "INSERT INTO lanes (id, position, owner, seen_at) \
     VALUES ($1, $5, $3, (SELECT micros FROM store_state)) ON CONFLICT (id) DO UPDATE SET \
     position = CASE WHEN lanes.position < $4 THEN $6 WHEN lanes.position < $2 THEN $2 ELSE lanes.position + 1 END, \
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
    signs: Arc<Signs>,
}

/// Whether the act at this position found its lane set back.
pub(super) fn found_set_back(position: i64) -> bool {
    position % STRIDE >= SET_BACK
}

impl Lane {
    pub(super) fn new(signs: Arc<Signs>) -> Self {
        let id = i64::from_be_bytes(crate::random::bytes()) & i64::MAX;
        let (last, acknowledged) = (AtomicI64::new(0), AtomicI64::new(0));
        Self { id: id.max(1), owner: owner(), last, acknowledged, signs }
    }

    /// Takes the next position, within the act's transaction. The number of the act is returned for
    /// [`Lane::committed`].
    pub(super) fn next(&self, tx: &mut Tx) -> Result<i64, StoreError> {
        let acknowledged = self.acknowledged();
        let number = self.last.fetch_add(STRIDE, Ordering::SeqCst) + STRIDE;
        // The row of a process that gives no signs of life may have been swept.
        let set_back = number + SET_BACK;
        let if_gone = if self.signs.are_written() && acknowledged > 0 { set_back } else { number };
        let values = values![self.id, number, self.owner.clone(), acknowledged, if_gone, set_back];
        tx.queue(NEXT, values)?;
        Ok(number)
    }

    /// The act with this number was committed.
    pub(super) fn committed(&self, number: i64) {
        self.acknowledged.fetch_max(number, Ordering::SeqCst);
    }

    /// Its row may have been swept.
    pub(super) fn forget(&self) {
        self.acknowledged.store(0, Ordering::SeqCst);
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
