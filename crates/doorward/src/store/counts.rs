use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use super::StoreError;
use crate::counters::{self, Counts};

/// How long calls take, by kind, and why they fail.
pub(crate) struct StoreCounts {
    pub(crate) seconds: Family<[(&'static str, &'static str); 1], Histogram>,
    pub(crate) errors: Counts,
}

impl Default for StoreCounts {
    fn default() -> Self {
        Self { seconds: Family::new_with_constructor(counters::seconds), errors: Counts::default() }
    }
}

impl StoreCounts {
    pub(super) fn done<T>(&self, kind: &'static str, took: Duration, outcome: &Result<T, StoreError>) {
        self.seconds.get_or_create(&[("kind", kind)]).observe(took.as_secs_f64());
        if let Err(error) = outcome {
            counters::count(&self.errors, "reason", error.reason());
        }
    }
}
