//! Log lines that requests of strangers, or a failing server, could cause without end. Each is written at most once a
//! minute, with a count.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use doorward_core::seldom::Seldom;
use tokio::time::Instant;

use crate::clock::steady;

static STARTED_AT: LazyLock<Instant> = LazyLock::new(steady);
/// One for the process, like the log.
static LINES: Mutex<Seldom<&'static str>> = Mutex::new(Seldom::new());

fn lines() -> MutexGuard<'static, Seldom<&'static str>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often it happened since the last line; `None` if no line is due.
pub(super) fn due(what: &'static str) -> Option<u64> {
    lines().happened(what, STARTED_AT.elapsed())
}

/// Writes the lines that are due although nothing more happens. Called about once a second.
pub(super) fn write_rest() {
    let rest = lines().rest(STARTED_AT.elapsed());
    for (what, times) in rest {
        tracing::warn!(times, "{what}");
    }
}

/// Warns at most once a minute, with the number of `times`.
macro_rules! seldom {
    ($what:literal, $failure:expr) => {
        if let Some(times) = $crate::remote::seldom::due($what) {
            tracing::warn!(failure = %$failure, times, $what);
        }
    };
}
pub(super) use seldom;
