use std::time::Duration;

use crate::Verifier;

/// How fresh and how large is what a guard knows. For metrics: each number is a gauge, but for `reconnects`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How far the feed of revocations was read, as the server names it; `None` where none is followed.
    pub position: Option<String>,
    /// How long ago it was last known that nothing is missing; zero where nothing comes from elsewhere.
    pub stale_for: Duration,
    /// Whether that is longer than [`Builder::stale_after`](crate::Builder::stale_after), or there were more revocations
    /// than fit: [`WhenStale`](crate::WhenStale) is in force.
    pub is_stale: bool,
    /// How many revocations are remembered.
    pub revocations: usize,
    /// How many keys verify.
    pub keys: usize,
    /// How often the feed was connected to again.
    pub reconnects: u64,
    /// What went wrong last, while it does.
    pub problem: Option<String>,
}

impl Health {
    /// That of memory alone.
    pub(crate) fn of(verifier: &Verifier) -> Self {
        Self {
            position: None,
            stale_for: Duration::ZERO,
            is_stale: !verifier.revocations.is_whole(),
            revocations: verifier.revocations.len(),
            keys: verifier.keys(),
            reconnects: 0,
            problem: None,
        }
    }
}
