//! Whether the store takes writes, as the signs of life of this process show.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::{boot, micros};

/// How long the store may answer and refuse writes before this node is no good for anybody.
const REFUSES_FOR: Duration = Duration::from_secs(5);

/// What the last signs of life met.
pub(crate) struct Pulse {
    /// How long a node is still good for checks if the store can't be reached.
    unreachable_after: Duration,
    written_at: AtomicI64,
    answered_at: AtomicI64,
    fails: AtomicBool,
    beats: AtomicBool,
}

/// What a load balancer needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// The store takes writes.
    Whole,
    /// The store took no write a moment ago; checks go on.
    WithoutWrites,
    /// Others can do more than this node.
    Unfit,
}

impl Pulse {
    /// A store that has just taken a write.
    pub(crate) fn new(unreachable_after: Duration) -> Self {
        let now = micros(boot());
        Self {
            unreachable_after,
            written_at: AtomicI64::new(now),
            answered_at: AtomicI64::new(now),
            fails: AtomicBool::new(false),
            beats: AtomicBool::new(false),
        }
    }

    /// A sign of life was written, or was not.
    pub(crate) fn beat(&self, is_written: bool) {
        self.beats.store(true, Ordering::Relaxed);
        self.fails.store(!is_written, Ordering::Relaxed);
        if is_written {
            self.written_at.store(micros(boot()), Ordering::Relaxed);
        }
    }

    /// The store answered something.
    pub(crate) fn answered(&self) {
        self.answered_at.store(micros(boot()), Ordering::Relaxed);
    }

    /// `None` if this process writes no signs of life: ask the store.
    pub(crate) fn health(&self) -> Option<Health> {
        if !self.beats.load(Ordering::Relaxed) {
            return None;
        }
        let (written, answered) = (since(&self.written_at), since(&self.answered_at));
        Some(if written < REFUSES_FOR {
            if self.fails.load(Ordering::Relaxed) { Health::WithoutWrites } else { Health::Whole }
        } else if answered < REFUSES_FOR || written >= self.unreachable_after {
            Health::Unfit
        } else {
            Health::WithoutWrites
        })
    }
}

fn since(at: &AtomicI64) -> Duration {
    Duration::from_micros(micros(boot()).saturating_sub(at.load(Ordering::Relaxed)).max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pulse whose last written sign of life, and last answer, were so many seconds ago.
    fn pulse(written: i64, answered: i64) -> Pulse {
        let pulse = Pulse::new(Duration::from_secs(120));
        pulse.beat(true);
        pulse.beat(false);
        pulse.written_at.fetch_sub(written * 1_000_000, Ordering::Relaxed);
        pulse.answered_at.fetch_sub(answered * 1_000_000, Ordering::Relaxed);
        pulse
    }

    #[test]
    fn a_balancer_takes_off_a_node_that_can_do_less_than_others() {
        assert_eq!(Pulse::new(Duration::from_secs(120)).health(), None);
        for (written, answered, health) in [
            // A restart of the database, and a failover.
            (1, 1, Health::WithoutWrites),
            (30, 30, Health::WithoutWrites),
            (119, 119, Health::WithoutWrites),
            (121, 121, Health::Unfit),
            // A server that answers, and takes no writes.
            (4, 0, Health::WithoutWrites),
            (6, 0, Health::Unfit),
            (119, 0, Health::Unfit),
        ] {
            assert_eq!(pulse(written, answered).health(), Some(health), "{written} {answered}");
        }
        let pulse = pulse(30, 0);
        pulse.beat(true);
        assert_eq!(pulse.health(), Some(Health::Whole));
    }
}
