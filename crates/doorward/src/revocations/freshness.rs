//! How long ago it was last known that no other process's revocation is missing.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use doorward_core::Timestamp;

use crate::clock::{Moment, boot, micros};

/// The time between two looks is never so long while the process runs and the store answers.
const USUAL: Duration = Duration::from_secs(2);

/// How long after it stood still a process may answer what was sent to it before.
const QUEUED: Duration = Duration::from_secs(10);

/// Measured by two clocks: one that counts while the machine sleeps, and the wall clock, which is set right when a
/// machine resumes. The longer time counts.
pub(super) struct Freshness {
    stale_after: Duration,
    /// Tests move their own time.
    ignores_time: bool,
    boot: AtomicI64,
    wall: AtomicI64,
    /// The store's time.
    told: AtomicI64,
    /// When a look came later than usual, by the first clock; 0 if none ever did.
    late_at: AtomicI64,
}

impl Freshness {
    pub(super) fn new(stale_after: Duration, ignores_time: bool) -> Self {
        let Moment { boot, wall } = Moment::now();
        let (boot, wall) = (AtomicI64::new(micros(boot)), AtomicI64::new(wall.as_micros()));
        Self { stale_after, ignores_time, boot, wall, told: AtomicI64::new(0), late_at: AtomicI64::new(0) }
    }

    /// Everything until then was read; `told` is the store's time, or 0 where there is only this machine's. Returns whether
    /// this process stood still before, for so long that revocations may have come and gone.
    pub(super) fn looked(&self, at: Moment, told: Timestamp) -> bool {
        if self.since(at) > USUAL {
            self.late_at.store(micros(at.boot), Ordering::SeqCst);
        }
        let stood_still = self.was_away(at, told) >= self.stale_after;
        self.told.store(told.as_micros(), Ordering::SeqCst);
        self.boot.store(micros(at.boot), Ordering::SeqCst);
        self.wall.store(at.wall.as_micros(), Ordering::SeqCst);
        stood_still
    }

    /// How long ago the last look was, by this machine's clocks or by the store's time.
    pub(super) fn was_away(&self, at: Moment, told: Timestamp) -> Duration {
        let before = self.told.load(Ordering::SeqCst);
        let by_store = if before > 0 { told.as_micros().saturating_sub(before).max(0) } else { 0 };
        let by_clocks = if self.ignores_time { Duration::ZERO } else { self.since(at) };
        by_clocks.max(Duration::from_micros(by_store.unsigned_abs()))
    }

    pub(super) fn behind(&self) -> Duration {
        self.since(Moment::now())
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind() >= self.stale_after
    }

    /// Whether the last look is too old for an answer from memory.
    pub(super) fn is_stale(&self, at: Moment) -> bool {
        !self.ignores_time && self.since(at) >= self.stale_after
    }

    pub(super) fn may_have_stood_still(&self) -> bool {
        let late_at = self.late_at.load(Ordering::SeqCst);
        let was_late = late_at > 0 && micros(boot()).saturating_sub(late_at) < micros(QUEUED);
        !self.ignores_time && (self.behind() > USUAL || was_late)
    }

    fn since(&self, at: Moment) -> Duration {
        let boot = micros(at.boot).saturating_sub(self.boot.load(Ordering::SeqCst));
        let wall = at.wall.as_micros().saturating_sub(self.wall.load(Ordering::SeqCst));
        Duration::from_micros(boot.max(wall).max(0).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE_AFTER: Duration = Duration::from_secs(120);

    fn later(at: Moment, boot: u64, wall: u64) -> Moment {
        let secs = Duration::from_secs;
        Moment { boot: at.boot + secs(boot), wall: at.wall + secs(wall) }
    }

    #[test]
    fn x17_a_process_that_stood_still_by_any_clock_reads_everything_again() {
        let told = Timestamp::from_secs(1_000_000);
        for (boot, wall, store, stood_still) in [
            (1, 1, 1, false),
            (119, 119, 119, false),
            (120, 1, 1, true),
            (1, 120, 1, true),
            (1, 1, 120, true),
            // A node's clock that is set back hides nothing.
            (120, 0, 120, true),
        ] {
            let freshness = Freshness::new(STALE_AFTER, false);
            let began = Moment::now();
            assert!(!freshness.looked(began, told));
            let (at, told) = (later(began, boot, wall), told + Duration::from_secs(store));
            assert_eq!(freshness.looked(at, told), stood_still, "{boot} {wall} {store}");
            assert!(!freshness.looked(later(at, 1, 1), told + Duration::from_secs(1)), "once");
            // A request that waited meanwhile may be judged after the look that came late.
            assert_eq!(freshness.may_have_stood_still(), boot > 2 || wall > 2, "{boot} {wall}");
        }
    }

    #[test]
    fn without_a_look_for_long_memory_is_not_fresh() {
        let began = Moment::now();
        for (boot, wall, is_stale) in [(0, 0, false), (121, 0, true), (0, 121, true)] {
            let freshness = Freshness::new(STALE_AFTER, false);
            let before = Moment {
                boot: began.boot.saturating_sub(Duration::from_secs(boot)),
                wall: began.wall - Duration::from_secs(wall),
            };
            freshness.looked(before, Timestamp::from_secs(1));
            assert_eq!(freshness.is_stale(Moment::now()), is_stale, "{boot} {wall}");
        }
    }
}
