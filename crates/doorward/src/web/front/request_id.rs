//! The id of a request: in its answer, in the bodies of refusals and in the log.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Names a request, also in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Unique among all processes, without asking the generator for each request: 64 random bits of the process, and a count.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestId(u64);

impl RequestId {
    pub(super) fn next() -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        Self(COUNTER.fetch_add(1, Ordering::Relaxed))
    }

    /// Puts it into the headers of an answer.
    pub(super) fn put(self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::try_from(self.to_string()) {
            headers.insert(REQUEST_ID, id);
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        static PROCESS: LazyLock<u64> = LazyLock::new(|| u64::from_be_bytes(crate::random::bytes()));
        write!(f, "{:016x}{:08x}", *PROCESS, self.0)
    }
}
