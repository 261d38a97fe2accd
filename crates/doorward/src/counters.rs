//! The kinds of counters that the parts of the program keep.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

/// Counts by the values of one label, all of which are constants of this program.
pub(crate) type Counts = Family<[(&'static str, &'static str); 1], Counter>;

/// One more of this kind.
pub(crate) fn count(counts: &Counts, label: &'static str, value: &'static str) {
    counts.get_or_create(&[(label, value)]).inc();
}

/// So many more of this kind.
pub(crate) fn count_many(counts: &Counts, label: &'static str, value: &'static str, many: usize) {
    counts.get_or_create(&[(label, value)]).inc_by(many as u64);
}

/// How long something takes, in seconds.
pub(crate) fn seconds() -> Histogram {
    Histogram::new([0.000_1, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0])
}
