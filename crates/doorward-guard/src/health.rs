use std::time::Duration;

use crate::verifier::Verifier;

/// How fresh and how large a guard's data is. For metrics: each number is a gauge, except `reconnects`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The position in the feed of revocations, as the server names it; `None` without a feed.
    pub position: Option<String>,
    /// How long ago the data was last known to be complete; zero if nothing comes from elsewhere.
    pub stale_for: Duration,
    /// Whether that is longer than [`Builder::stale_after`](crate::Builder::stale_after), so that
    /// [`WhenStale`](crate::WhenStale) applies; or there were more revocations than fit, here or at the server, so that
    /// older tokens are refused.
    pub is_stale: bool,
    /// How many revocations are remembered.
    pub revocations: usize,
    /// How many keys can verify.
    pub keys: usize,
    /// How often the guard reconnected to the feed.
    pub reconnects: u64,
    /// How many seconds this machine's clock is ahead of the server's, which counts; negative if it is behind, and 0 if
    /// the server's time is not known.
    pub clock_ahead: i64,
    /// The current failure, if there is one.
    pub problem: Option<String>,
}

impl Health {
    /// The health of a guard without a server.
    pub(crate) fn of(verifier: &Verifier) -> Self {
        Self {
            position: None,
            stale_for: Duration::ZERO,
            is_stale: !verifier.revocations.is_whole(),
            revocations: verifier.revocations.len(),
            keys: verifier.keys(),
            reconnects: 0,
            clock_ahead: 0,
            problem: None,
        }
    }
}
