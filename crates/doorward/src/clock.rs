//! The time, which is passed to every rule.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, UNIX_EPOCH};

use doorward_core::Timestamp;
use tokio::time::Instant;

/// The source of the time: the system's clock, or one that a test moves.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<Manual>>);

/// A clock that tests move.
#[derive(Debug)]
struct Manual {
    /// What the clock says.
    micros: AtomicI64,
    /// What monotonic time says.
    ran: AtomicU64,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Some(Arc::new(Manual { micros: AtomicI64::new(start.as_micros()), ran: AtomicU64::new(0) })))
    }

    /// Whether it only moves if told to.
    pub(crate) fn is_manual(&self) -> bool {
        self.0.is_some()
    }

    /// The current time.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Some(manual) => Timestamp::from_micros(manual.micros.load(Ordering::SeqCst)),
            None => {
                let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
        }
    }

    /// Monotonic time since the start, whatever the clock was set to meanwhile.
    pub(crate) fn ran(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(steady);
        match &self.0 {
            Some(manual) => Duration::from_micros(manual.ran.load(Ordering::SeqCst)),
            None => START.elapsed(),
        }
    }

    /// Moves a manual clock and its monotonic time; the system's stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.0 {
            manual.ran.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
        self.turn_ahead(by);
    }

    /// Sets a manual clock ahead, without monotonic time.
    pub fn turn_ahead(&self, by: Duration) {
        if let Some(manual) = &self.0 {
            manual.micros.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// Sets a manual clock back, as a corrected system clock would.
    pub fn turn_back(&self, by: Duration) {
        if let Some(manual) = &self.0 {
            manual.micros.fetch_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}

/// Monotonic time, for the deadlines of connections: setting the clock doesn't change it.
pub(crate) fn steady() -> Instant {
    Instant::now()
}
