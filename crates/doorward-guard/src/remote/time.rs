//! The server's time, as the feed says it, carried on by this machine's steady time. So it doesn't matter how this
//! machine's clock is set.
//!
//! A word can be late: held up on its way, or read by a process that stood still. It is never early. So time goes ahead
//! at once, and a word that is much too late makes the guard connect again. The first word of a connection was said after
//! the guard asked for it: only such a word shows that the server's clock was set back. Even then time goes back only to
//! take back a jump ahead, so that no expired token is good again.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorward_core::{DeletionClock, Timestamp};

use crate::clock::Moment;

/// How late a word may be, in microseconds: as long as a connection may be silent.
const LATEST: i64 = 15_000_000;
/// A jump ahead counts for good once it has lasted so long.
const LASTS: Duration = Duration::from_secs(600);
/// Time that is ahead of the server's goes this part slower. Two steady clocks differ by less.
const SLOWER: i64 = 1_000;
/// No time was said yet.
const UNKNOWN: i64 = i64::MIN;

/// What the server said of its time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    pub(super) now: Timestamp,
    /// For the first word of a connection: when the guard asked, by [`boot`](crate::clock::boot).
    pub(super) asked_at: Option<Duration>,
}

/// The word is too old to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Late;

/// The server's time.
pub(super) struct ServerTime {
    /// What is added to [`boot`](crate::clock::boot), in microseconds.
    base: AtomicI64,
    /// By how much this machine's clock was ahead of [`boot`](crate::clock::boot) at the last word, in microseconds.
    wall: AtomicI64,
    stale_after: i64,
    heard: Mutex<Option<Heard>>,
}

/// How far the server's time is ahead of this machine's steady time, in microseconds.
#[derive(Debug)]
struct Heard {
    at: Duration,
    /// By its words.
    said: i64,
    /// The guard's time doesn't go back behind this.
    least: i64,
    lasting: DeletionClock,
}

impl Heard {
    fn first(word: Word, at: Moment) -> Self {
        let said = ahead(word, at);
        Self { at: at.boot, said, least: said, lasting: DeletionClock::new(word.now, at.boot) }
    }

    fn next(&mut self, word: Word, at: Moment) -> Result<(), Late> {
        let new = ahead(word, at);
        let slower = micros(at.boot.saturating_sub(self.at)) / SLOWER;
        if new >= self.said.saturating_sub(LATEST) {
            self.said = new.max(self.said.saturating_sub(slower));
        } else {
            let asked_at = word.asked_at.ok_or(Late)?;
            if word.now.as_micros().saturating_sub(micros(asked_at)) >= self.said {
                return Err(Late);
            }
            self.said = new;
        }
        let now = Timestamp::from_micros(self.said.saturating_add(micros(at.boot)));
        let lasting = self.lasting.at(now, at.boot, LASTS).as_micros().saturating_sub(micros(at.boot));
        self.least = lasting.max(self.least.saturating_sub(slower));
        self.at = at.boot;
        Ok(())
    }

    fn base(&self) -> i64 {
        self.said.max(self.least)
    }

    /// By how much the guard's time is ahead of the server's.
    fn held(&self) -> Duration {
        Duration::from_micros(self.base().saturating_sub(self.said).max(0).unsigned_abs())
    }
}

impl ServerTime {
    pub(super) fn new(stale_after: Duration) -> Self {
        let (base, wall) = (AtomicI64::new(UNKNOWN), AtomicI64::new(0));
        Self { base, wall, stale_after: micros(stale_after), heard: Mutex::new(None) }
    }

    fn heard(&self) -> MutexGuard<'_, Option<Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what the server says.
    ///
    /// # Errors
    /// [`Late`]: the guard has to connect again.
    pub(super) fn hear(&self, word: Word, at: Moment) -> Result<(), Late> {
        let mut heard = self.heard();
        match heard.as_mut() {
            Some(heard) => heard.next(word, at)?,
            None => *heard = Some(Heard::first(word, at)),
        }
        self.base.store(heard.as_ref().map_or(UNKNOWN, Heard::base), Ordering::SeqCst);
        self.wall.store(at.wall.as_micros().saturating_sub(micros(at.boot)), Ordering::SeqCst);
        Ok(())
    }

    /// The time: this machine's own until the server has said its.
    ///
    /// A steady clock may stand still while the machine sleeps. So the wall clock counts too if it has gone further, but
    /// not if it has gone so far that the guard is stale.
    pub(super) fn at(&self, at: Moment) -> Timestamp {
        let base = self.base.load(Ordering::Relaxed);
        if base == UNKNOWN {
            return at.wall;
        }
        let boot = micros(at.boot);
        let slept =
            at.wall.as_micros().saturating_sub(boot).saturating_sub(self.wall.load(Ordering::Relaxed));
        let slept = if (0..=self.stale_after).contains(&slept) { slept } else { 0 };
        Timestamp::from_micros(base.saturating_add(boot).saturating_add(slept))
    }

    /// How many seconds this machine's clock is ahead of the server's; 0 if that is unknown.
    pub(super) fn clock_ahead(&self, at: Moment) -> i64 {
        let said = self.heard().as_ref().map(|heard| heard.said);
        said.map_or(0, |said| {
            at.wall.as_micros().saturating_sub(micros(at.boot)).saturating_sub(said) / 1_000_000
        })
    }

    /// What is wrong with the server's time.
    pub(super) fn problem(&self) -> Option<String> {
        let held = self.heard().as_ref().map(Heard::held).unwrap_or_default();
        (micros(held) > LATEST).then(|| {
            format!(
                "the server's clock was set back by {} s: tokens are judged by the time before; if its clock is right \
                 now, start this program again",
                held.as_secs()
            )
        })
    }
}

fn ahead(word: Word, at: Moment) -> i64 {
    word.now.as_micros().saturating_sub(micros(at.boot))
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    /// A guard that began in 1970 by its own clock; all in seconds.
    struct Scene {
        time: ServerTime,
        ran: u64,
        wall: i64,
    }

    impl Scene {
        fn new() -> Self {
            let mut scene = Self { time: ServerTime::new(Duration::from_secs(120)), ran: 1_000, wall: 1_000 };
            scene.says(NOW).unwrap();
            scene
        }

        fn moment(&self) -> Moment {
            Moment { boot: Duration::from_secs(self.ran), wall: Timestamp::from_secs(self.wall) }
        }

        fn runs(&mut self, seconds: u64) -> &mut Self {
            self.ran += seconds;
            self.wall += seconds.cast_signed();
            self
        }

        fn says(&mut self, now: i64) -> Result<(), Late> {
            self.time.hear(Word { now: Timestamp::from_secs(now), asked_at: None }, self.moment())
        }

        /// On a new connection, which was asked for a second ago.
        fn answers(&mut self, now: i64) -> Result<(), Late> {
            let asked_at = Some(Duration::from_secs(self.ran - 1));
            self.time.hear(Word { now: Timestamp::from_secs(now), asked_at }, self.moment())
        }

        /// The guard's time less that of the first word, in seconds.
        fn now(&self) -> i64 {
            self.time.at(self.moment()).as_secs() - NOW
        }
    }

    #[test]
    fn steady_time_carries_the_servers_on_however_the_clock_is_set() {
        let mut scene = Scene::new();
        for turned in [0, 86_400, -86_400, 40 * 60] {
            scene.runs(5).wall += turned;
            assert_eq!(scene.now(), scene.ran.cast_signed() - 1_000, "{turned}");
            scene.says(NOW + scene.ran.cast_signed() - 1_000).unwrap();
        }
        assert_eq!(scene.time.clock_ahead(scene.moment()), scene.wall - NOW - scene.now());
    }

    #[test]
    fn a_machine_that_slept_has_slept_by_its_wall_clock_too() {
        let mut scene = Scene::new();
        scene.wall += 60;
        assert_eq!(scene.now(), 60);
        scene.says(NOW + 60).unwrap();
        assert_eq!(scene.now(), 60);
        // So long a step makes the guard stale anyway, and more often it is a clock that was set.
        scene.wall += 121;
        assert_eq!(scene.now(), 60);
    }

    #[test]
    fn what_a_process_that_stood_still_finds_in_its_socket_is_too_late() {
        let mut scene = Scene::new();
        scene.runs(3_600);
        assert_eq!(scene.says(NOW + 5), Err(Late));
        assert_eq!((scene.now(), scene.answers(NOW + 3_600), scene.now()), (3_600, Ok(()), 3_600));
        // Nor does the first word of a connection count if it may be as old as the question.
        scene.runs(60);
        let asked_at = Some(Duration::from_secs(1_000));
        let word = Word { now: Timestamp::from_secs(NOW + 30), asked_at };
        assert_eq!((scene.time.hear(word, scene.moment()), scene.now()), (Err(Late), 3_660));
    }

    #[test]
    fn words_that_come_later_and_later_are_noticed() {
        let (mut scene, mut late) = (Scene::new(), 0);
        let ran = |scene: &mut Scene| scene.runs(5).ran.cast_signed() - 1_000;
        while {
            let now = NOW + ran(&mut scene) - late;
            scene.says(now).is_ok()
        } {
            late += 1;
        }
        assert_eq!(late, 16);
    }

    #[test]
    fn time_never_goes_back_and_clocks_that_drift_apart_stay_together() {
        let mut scene = Scene::new();
        for beat in 0..20_000_i64 {
            // The server's steady clock is slower, by half a second in a thousand.
            let (before, said) = (scene.now(), beat * 5 - beat * 5 / 2_000);
            scene.runs(5);
            scene.says(NOW + said + 5).unwrap();
            assert!(scene.now() >= before && (scene.now() - said - 5).abs() <= 2, "{beat}: {}", scene.now());
        }
        assert_eq!(scene.time.problem(), None);
    }

    #[test]
    fn a_jump_ahead_can_be_taken_back_for_ten_minutes_and_then_it_counts() {
        for (lasts, back) in [(300, true), (1_500, false)] {
            let mut scene = Scene::new();
            scene.says(NOW + 3_600).unwrap();
            for beat in 1..=lasts / 5 {
                scene.runs(5).says(NOW + 3_600 + beat * 5).unwrap();
            }
            assert_eq!(scene.now(), lasts + 3_600);
            assert_eq!(scene.says(NOW + lasts), Err(Late));
            scene.answers(NOW + lasts).unwrap();
            assert_eq!((scene.now() == lasts, scene.time.problem().is_none()), (back, back), "{lasts}");
            assert!(back || scene.now() >= lasts + 3_590);
        }
    }
}
