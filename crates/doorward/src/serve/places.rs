//! How many connections can be open at once: what the settings say, as far as the system's limit on descriptors goes.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors that are not for connections: the database's, the listener, the log, files of the moment.
const KEPT_BACK: usize = 256;

/// The number of places for connections. Raises the soft limit on descriptors where the hard one allows it: a server out
/// of descriptors can accept nobody, and its database may fail in the middle of something (attack H06).
pub(super) fn places(wanted: usize) -> usize {
    let limit = raise_limit(wanted.saturating_add(KEPT_BACK));
    let places = fitting(wanted, limit);
    if places < wanted {
        tracing::warn!(
            limit,
            places,
            wanted,
            "http.max_connections is more than the limit on open files allows: raise it (ulimit -n, LimitNOFILE=)"
        );
    }
    places
}

/// The soft limit afterwards.
fn raise_limit(needed: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.current.unwrap_or(u64::MAX);
    let goal = (needed as u64).min(limit.maximum.unwrap_or(u64::MAX));
    let raised = rustix::process::Rlimit { current: Some(goal), ..limit };
    let now = if goal > soft && setrlimit(Resource::Nofile, raised).is_ok() { goal } else { soft };
    usize::try_from(now).unwrap_or(usize::MAX)
}

/// Under a very low limit half of it is kept back: better few connections than none.
fn fitting(wanted: usize, limit: usize) -> usize {
    wanted.min(limit - KEPT_BACK.min(limit / 2)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h06_connections_never_take_the_last_descriptors() {
        assert_eq!(fitting(16_384, 20_000), 16_384);
        assert_eq!(fitting(16_384, 16_400), 16_144);
        assert_eq!(fitting(16_384, 1_024), 768);
        assert_eq!(fitting(16_384, 64), 32);
        assert_eq!(fitting(16_384, 0), 1);
        assert_eq!(fitting(10, usize::MAX), 10);
    }
}
