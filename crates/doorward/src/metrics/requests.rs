//! Requests by method, route and status, and how long they took. Each request is counted without a lock, in memory of
//! its thread.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use matchit::Router;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

/// The name for a path that is not a route.
const OTHER: &str = "other";
const METHODS: [&str; 6] = ["GET", "POST", "DELETE", "PATCH", "HEAD", "other"];
const STATUSES: [&str; 21] = [
    "200", "401", "303", "302", "201", "304", "400", "403", "404", "405", "408", "409", "413", "415", "422",
    "429", "431", "500", "503", "204", "other",
];
/// Upper bounds of the duration buckets, in microseconds.
const CLASSES: [u64; 10] = [100, 500, 1_000, 5_000, 25_000, 100_000, 250_000, 1_000_000, 5_000_000, u64::MAX];
/// For each route: the count for each method and status, then the durations by bucket, then their sum.
const DURATIONS: usize = METHODS.len() * STATUSES.len();
const SUM: usize = DURATIONS + CLASSES.len();
const PER_ROUTE: usize = SUM + 1;

/// A route that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    at: usize,
    name: &'static str,
}

impl Route {
    const OTHER: Self = Self { at: 0, name: OTHER };

    /// As its feature writes it: `/sessions/{id}`.
    pub(crate) fn name(self) -> &'static str {
        self.name
    }
}

/// The counters of all requests.
pub(crate) struct Requests {
    routes: Router<Route>,
    /// The names of the routes, by index.
    names: Vec<&'static str>,
    shards: Box<[Box<[AtomicU64]>]>,
}

impl Requests {
    pub(crate) fn new(base_path: &str, paths: &[&'static str]) -> Self {
        let mut routes = Router::new();
        let names: Vec<_> = std::iter::once(OTHER).chain(paths.iter().copied()).collect();
        for (at, name) in names.iter().enumerate().skip(1) {
            let path = if *name == "/" && !base_path.is_empty() { "" } else { name };
            // No two are the same, which is the only reason to refuse one.
            let _ = routes.insert(format!("{base_path}{path}"), Route { at, name });
        }
        let threads = std::thread::available_parallelism().map_or(4, std::num::NonZero::get);
        let shard = || (0..names.len() * PER_ROUTE).map(|_| AtomicU64::new(0)).collect();
        Self { routes, shards: (0..threads).map(|_| shard()).collect(), names }
    }

    /// The route of a path: never the path itself, which is the client's.
    pub(crate) fn route(&self, path: &str) -> Route {
        self.routes.at(path).map_or(Route::OTHER, |found| *found.value)
    }

    /// Counts one answered request.
    pub(crate) fn answered(&self, route: Route, method: &Method, status: StatusCode, took: Duration) {
        let Some(shard) = self.shards.get(own_shard() % self.shards.len()) else { return };
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = CLASSES.iter().position(|end| micros <= *end).unwrap_or(CLASSES.len() - 1);
        let kind = method_at(method) * STATUSES.len() + status_at(status);
        for (place, by) in [(kind, 1), (DURATIONS + class, 1), (SUM, micros)] {
            if let Some(counter) = shard.get(route.at * PER_ROUTE + place) {
                counter.fetch_add(by, Ordering::Relaxed);
            }
        }
    }

    fn total(&self, route: usize, place: usize) -> u64 {
        let of = |shard: &[AtomicU64]| {
            shard.get(route * PER_ROUTE + place).map_or(0, |counter| counter.load(Ordering::Relaxed))
        };
        self.shards.iter().map(|shard| of(shard)).sum()
    }

    /// Writes the counters.
    pub(crate) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = ("requests", "Answered requests by method, route and status");
        let mut requests = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (at, route) in self.names.iter().enumerate() {
            for (m, method) in METHODS.iter().enumerate() {
                for (s, status) in STATUSES.iter().enumerate() {
                    let counted = self.total(at, m * STATUSES.len() + s);
                    if counted > 0 {
                        let labels = [("method", *method), ("route", *route), ("status", *status)];
                        ConstCounter::new(counted).encode(requests.encode_family(&labels)?)?;
                    }
                }
            }
        }
        let (name, help) =
            ("request_duration_seconds", "From the head of a request to the head of its answer");
        let mut durations = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (at, route) in self.names.iter().enumerate() {
            let classes: Vec<(f64, u64)> =
                (0..CLASSES.len()).map(|class| (seconds(class), self.total(at, DURATIONS + class))).collect();
            let counted = classes.iter().map(|(_, counted)| counted).sum();
            if counted > 0 {
                let sum = self.total(at, SUM) as f64 / 1e6;
                let labels = [("route", *route)];
                durations
                    .encode_family(&labels)?
                    .encode_histogram::<NoLabelSet>(sum, counted, &classes, None)?;
            }
        }
        Ok(())
    }
}

fn seconds(class: usize) -> f64 {
    match CLASSES.get(class) {
        Some(micros) if *micros < u64::MAX => *micros as f64 / 1e6,
        _ => f64::INFINITY,
    }
}

fn method_at(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::POST => 1,
        Method::DELETE => 2,
        Method::PATCH => 3,
        Method::HEAD => 4,
        _ => METHODS.len() - 1,
    }
}

fn status_at(status: StatusCode) -> usize {
    match status.as_u16() {
        200 => 0,
        401 => 1,
        _ => STATUSES.iter().position(|one| *one == status.as_str()).unwrap_or(STATUSES.len() - 1),
    }
}

/// The number of this thread: two threads on one counter would pass its cache line to and fro.
fn own_shard() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: Cell<Option<usize>> = const { Cell::new(None) });
    OWN.with(|own| {
        own.get().unwrap_or_else(|| {
            let number = THREADS.fetch_add(1, Ordering::Relaxed);
            own.set(Some(number));
            number
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: [&str; 4] = ["/", "/profile", "/sessions/end-others", "/sessions/{id}"];

    #[test]
    fn a_path_is_counted_under_its_route_and_a_strange_one_under_other() {
        for base in ["", "/auth"] {
            let requests = Requests::new(base, &PATHS);
            let name = |path: &str| requests.route(&format!("{base}{path}")).name();
            assert_eq!(name("/profile"), "/profile");
            assert_eq!(name("/sessions/0192"), "/sessions/{id}");
            assert_eq!(name("/sessions/end-others"), "/sessions/end-others");
            assert_eq!((name("/profile/"), name("/.env"), name("//")), ("other", "other", "other"));
            assert_eq!(name(if base.is_empty() { "/" } else { "" }), "/");
        }
        assert_eq!(Requests::new("/auth", &PATHS).route("/profile").name(), "other");
    }

    #[test]
    fn what_every_thread_counted_is_added_up() {
        let requests = Requests::new("", &PATHS);
        let route = requests.route("/profile");
        std::thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        requests.answered(route, &Method::GET, StatusCode::OK, Duration::from_micros(200));
                    }
                });
            }
        });
        assert_eq!(requests.total(route.at, 0), 5_000);
        assert_eq!(requests.total(route.at, DURATIONS + 1), 5_000);
        assert_eq!(requests.total(route.at, SUM), 1_000_000);
    }
}
