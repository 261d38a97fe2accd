//! The clocks of this machine.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use doorward_core::Timestamp;

/// Now, by the system's clock.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate that asks the system")]
pub(crate) fn now() -> Timestamp {
    let since: Duration = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// This machine's clocks, read together.
#[cfg(feature = "remote")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// [`boot`].
    pub(crate) boot: Duration,
    /// [`now`].
    pub(crate) wall: Timestamp,
}

#[cfg(feature = "remote")]
impl Moment {
    pub(crate) fn now() -> Self {
        Self { boot: boot(), wall: now() }
    }
}

/// Monotonic time that goes on while the machine sleeps.
#[cfg(all(feature = "remote", target_os = "linux"))]
pub(crate) fn boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Monotonic time.
#[cfg(all(feature = "remote", not(target_os = "linux")))]
pub(crate) fn boot() -> Duration {
    static START: std::sync::LazyLock<tokio::time::Instant> = std::sync::LazyLock::new(steady);
    START.elapsed()
}

/// Monotonic time, which doesn't change when the clock is set.
#[cfg(feature = "remote")]
pub(crate) fn steady() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
