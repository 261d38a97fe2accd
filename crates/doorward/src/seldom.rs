//! Log lines that requests of strangers, or a failing store, could cause without end: each is written at most once a
//! minute, with a count (attack X01).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorward_core::seldom::Seldom;
use tracing::Level;

use crate::clock::Clock;

/// A kind of line: only texts of this program, so that there are few.
type Kind = (Level, &'static str, &'static str);

/// One for the process, like the log.
static LINES: Mutex<Seldom<Kind>> = Mutex::new(Seldom::new());

fn lines() -> MutexGuard<'static, Seldom<Kind>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Monotonic, and the same for all applications in this process.
fn now() -> Duration {
    Clock::system().ran()
}

/// How often `what` happened to `which` since the last line; `None` if no line is due.
pub(crate) fn due(level: Level, what: &'static str, which: &'static str) -> Option<u64> {
    lines().happened((level, what, which), now())
}

/// Writes the lines that are due although nothing more happens. Called about once a second.
pub(crate) fn write_rest() {
    let rest = lines().rest(now());
    write(rest);
}

/// Writes all pending lines, before the process ends.
pub(crate) fn write_last() {
    let last = lines().last();
    write(last);
}

fn write(counted: Vec<(Kind, u64)>) {
    for ((level, what, which), times) in counted {
        let which = (!which.is_empty()).then_some(which);
        if level == Level::ERROR {
            tracing::error!(which, times, "{what}");
        } else {
            tracing::warn!(which, times, "{what}");
        }
    }
}

/// Writes a line at most once a minute, with the number of `times`: `seldom!(WARN, "what happened", %error)`. In
/// brackets after it comes the object of the event; each object has a line of its own. While a request is answered, the
/// line has its id.
macro_rules! seldom {
    ($level:ident, $what:literal [$which:expr] $(, $($fields:tt)*)?) => {
        if let Some(times) = $crate::seldom::due(tracing::Level::$level, $what, $which) {
            let request_id = $crate::request_id::current().map(tracing::field::display);
            tracing::event!(tracing::Level::$level, request_id, $($($fields)*,)? which = $which, times, $what);
        }
    };
    ($level:ident, $what:literal $(, $($fields:tt)*)?) => {
        if let Some(times) = $crate::seldom::due(tracing::Level::$level, $what, "") {
            let request_id = $crate::request_id::current().map(tracing::field::display);
            tracing::event!(tracing::Level::$level, request_id, $($($fields)*,)? times, $what);
        }
    };
}
pub(crate) use seldom;
