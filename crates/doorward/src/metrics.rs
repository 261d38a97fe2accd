//! Metrics for the operator's monitoring: how many and how long, never who. Every label has few values.
//!
//! These are the counters of the routes. Every other part keeps its own; `serve::metrics` writes all of them.

mod requests;

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;

use crate::counters::{Counts, count};
use crate::error::Error;
pub(crate) use requests::{Requests, Route};

/// Lines of the log that were dropped, since nobody read the log in time: counted by the writer of the log.
pub static LOG_LINES_DROPPED: AtomicU64 = AtomicU64::new(0);

/// Counters of the routes.
pub(crate) struct Metrics {
    pub(crate) requests: Requests,
    pub(crate) refusals: Counts,
    pub(crate) sign_ins: Counts,
    /// Forward-auth checks that were denied for a reason that an operator can fix, by that reason.
    pub(crate) denied: Counts,
    /// Connections that were closed because their client had too many.
    pub(crate) closed: Counter,
    /// Failed attempts to accept a connection.
    pub(crate) unaccepted: Counter,
}

impl Metrics {
    /// Counters of these routes, which are below the base path.
    pub(crate) fn new(base_path: &str, paths: &[&'static str]) -> Self {
        Self {
            requests: Requests::new(base_path, paths),
            refusals: Counts::default(),
            sign_ins: Counts::default(),
            denied: Counts::default(),
            closed: Counter::default(),
            unaccepted: Counter::default(),
        }
    }

    /// A sign-in with a password, and its result.
    pub(crate) fn sign_in<T>(&self, outcome: &Result<T, Error>) {
        let outcome = outcome.as_ref().map_or_else(Error::code, |_| "ok");
        count(&self.sign_ins, "outcome", outcome);
    }
}
