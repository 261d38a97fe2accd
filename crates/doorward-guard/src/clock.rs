//! The default clock of guards.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use doorward_core::Timestamp;

/// Now, by the system's clock.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate that asks the system")]
pub(crate) fn now() -> Timestamp {
    let since: Duration = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Monotonic time, which doesn't change when the clock is set.
#[cfg(feature = "remote")]
pub(crate) fn steady() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
