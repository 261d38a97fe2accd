//! The time, which is passed to every rule.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, UNIX_EPOCH};

use doorward_core::Timestamp;
use tokio::time::Instant;

/// The source of the time: the system's clock, the store's, or one that a test moves.
#[derive(Debug, Clone, Default)]
pub struct Clock(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    System,
    Store(Arc<Carried>),
    Manual(Arc<Manual>),
}

/// The store's time, carried on by this machine's steady time. So all nodes on one store agree, however their own clocks
/// are set.
#[derive(Debug)]
struct Carried {
    /// The store's time, less [`boot`], in microseconds.
    base: AtomicI64,
}

impl Carried {
    fn at(&self, boot: Duration) -> Timestamp {
        Timestamp::from_micros(self.base.load(Ordering::Relaxed).saturating_add(micros(boot)))
    }
}

/// A clock that tests move.
#[derive(Debug)]
struct Manual {
    /// What the clock says.
    micros: AtomicI64,
    /// What monotonic time says.
    ran: AtomicU64,
}

/// A time as the store said it, and when it was asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) store: Timestamp,
    /// [`boot`] before the question and after the answer.
    pub(crate) asked: Duration,
    pub(crate) answered: Duration,
}

/// The time by this machine's own clocks, read once for all that a check needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Counts while the machine sleeps.
    pub(crate) boot: Duration,
    pub(crate) wall: Timestamp,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { boot: boot(), wall: wall() }
    }
}

impl Told {
    /// How much the store's time is ahead of [`boot`], and by how much that may be wrong.
    fn base(self) -> (i64, i64) {
        let half = self.answered.saturating_sub(self.asked) / 2;
        let middle = micros(self.asked.saturating_add(half));
        (self.store.as_micros().saturating_sub(middle), micros(half))
    }
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        let (micros, ran) = (AtomicI64::new(start.as_micros()), AtomicU64::new(0));
        Self(Source::Manual(Arc::new(Manual { micros, ran })))
    }

    /// The store's clock, unless a test moves this one.
    pub(crate) fn of_store(self, told: Told) -> Self {
        match self.0 {
            Source::Manual(manual) => Self(Source::Manual(manual)),
            _ => Self(Source::Store(Arc::new(Carried { base: AtomicI64::new(told.base().0) }))),
        }
    }

    /// Takes over the store's time, if this is the store's clock and differs by more than the answer may be late.
    pub(crate) fn hear(&self, told: Told) {
        if let Source::Store(carried) = &self.0 {
            let base = &carried.base;
            let (new, doubt) = told.base();
            if base.load(Ordering::Relaxed).abs_diff(new) > doubt.unsigned_abs() {
                base.store(new, Ordering::Relaxed);
            }
        }
    }

    /// How much this machine's clock is ahead of the store's, in microseconds; 0 if the store's is not used.
    pub(crate) fn ahead(&self) -> i64 {
        match &self.0 {
            Source::Store(_) => wall().as_micros().saturating_sub(self.now().as_micros()),
            _ => 0,
        }
    }

    /// Whether it only moves if told to.
    pub(crate) fn is_manual(&self) -> bool {
        matches!(self.0, Source::Manual(_))
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => wall(),
            Source::Store(carried) => carried.at(boot()),
            Source::Manual(manual) => Timestamp::from_micros(manual.micros.load(Ordering::SeqCst)),
        }
    }

    /// The current time, if this machine's clocks have just been read.
    pub(crate) fn at(&self, moment: Moment) -> Timestamp {
        match &self.0 {
            Source::System => moment.wall,
            Source::Store(carried) => carried.at(moment.boot),
            Source::Manual(_) => self.now(),
        }
    }

    /// Monotonic time since the start, whatever the clock was set to meanwhile. It goes on while the machine sleeps.
    pub(crate) fn ran(&self) -> Duration {
        static START: LazyLock<Duration> = LazyLock::new(boot);
        match &self.0 {
            Source::Manual(manual) => Duration::from_micros(manual.ran.load(Ordering::SeqCst)),
            _ => {
                let start = *START;
                boot().saturating_sub(start)
            }
        }
    }

    fn manual_one(&self) -> Option<&Manual> {
        match &self.0 {
            Source::Manual(manual) => Some(manual),
            _ => None,
        }
    }

    /// Moves a manual clock and its monotonic time; the system's stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = self.manual_one() {
            manual.ran.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
        self.turn_ahead(by);
    }

    /// Sets a manual clock ahead, without monotonic time.
    pub fn turn_ahead(&self, by: Duration) {
        if let Some(manual) = self.manual_one() {
            manual.micros.fetch_add(micros(by), Ordering::SeqCst);
        }
    }

    /// Sets a manual clock back, as a corrected system clock would.
    pub fn turn_back(&self, by: Duration) {
        if let Some(manual) = self.manual_one() {
            manual.micros.fetch_sub(micros(by), Ordering::SeqCst);
        }
    }
}

/// The system's clock.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
pub(crate) fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(micros(since))
}

/// Monotonic time that goes on while the machine sleeps.
#[cfg(target_os = "linux")]
pub(crate) fn boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(time.tv_sec.unsigned_abs(), nanos)
}

/// Monotonic time.
#[cfg(not(target_os = "linux"))]
pub(crate) fn boot() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(steady);
    START.elapsed()
}

/// A span in microseconds, as the store has it.
pub(crate) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// Monotonic time, for the deadlines of connections: setting the clock doesn't change it.
pub(crate) fn steady() -> Instant {
    Instant::now()
}
