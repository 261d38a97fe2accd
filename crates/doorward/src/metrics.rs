//! What is counted, for the operator's monitoring: how many and how long, never who. Every label has few values.
//!
//! Each part counts what it does by the kinds here; `serve::metrics` writes all of it down where it is asked for.

mod requests;

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use crate::error::Error;
pub(crate) use requests::{Requests, Route};

/// Numbers by the values of one label, all of them written in this program.
pub(crate) type Counts = Family<[(&'static str, &'static str); 1], Counter>;

/// One more of this kind.
pub(crate) fn count(counts: &Counts, label: &'static str, value: &'static str) {
    counts.get_or_create(&[(label, value)]).inc();
}

/// Lines of the log that were given up, since nobody took the log in time: counted by who writes it.
pub static LOG_LINES_DROPPED: AtomicU64 = AtomicU64::new(0);

/// How long something takes, in seconds.
pub(crate) fn seconds() -> Histogram {
    Histogram::new([0.000_1, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0])
}

/// What the doors count.
pub(crate) struct Metrics {
    pub(crate) requests: Requests,
    pub(crate) refusals: Counts,
    pub(crate) sign_ins: Counts,
    /// Checks of forward-auth that were denied for what an operator may mend, by the reason.
    pub(crate) denied: Counts,
    /// Connections that were closed, since their client had as many as it may.
    pub(crate) closed: Counter,
    /// Tries to accept a connection that the system refused.
    pub(crate) unaccepted: Counter,
}

impl Metrics {
    pub(crate) fn new(base_path: &str) -> Self {
        Self {
            requests: Requests::new(base_path),
            refusals: Counts::default(),
            sign_ins: Counts::default(),
            denied: Counts::default(),
            closed: Counter::default(),
            unaccepted: Counter::default(),
        }
    }

    /// A sign-in with a password, and what came of it.
    pub(crate) fn sign_in<T>(&self, outcome: &Result<T, Error>) {
        let outcome = outcome.as_ref().map_or_else(|error| error.row().1, |_| "ok");
        count(&self.sign_ins, "outcome", outcome);
    }
}
