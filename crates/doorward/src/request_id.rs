//! The id of a request. It is in the answer's header, in the body of an error, and in each log line of the request.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Identifies a request, also in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Unique among all processes, without a random number for each request: 64 random bits of the process, and a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(u64);

tokio::task_local! {
    static CURRENT: RequestId;
}

/// How many ids this process has made.
static COUNTER: AtomicU64 = AtomicU64::new(0);

impl RequestId {
    /// The number of requests until now.
    pub(crate) fn count() -> u64 {
        COUNTER.load(Ordering::Relaxed)
    }

    /// The next one of this process.
    pub(crate) fn next() -> Self {
        Self(COUNTER.fetch_add(1, Ordering::Relaxed))
    }

    /// Adds it to the headers of an answer.
    pub(crate) fn put(self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::try_from(self.to_string()) {
            headers.insert(REQUEST_ID, id);
        }
    }

    /// Runs the request's work, so that its log lines have the id.
    pub(crate) async fn names<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        static PROCESS: LazyLock<u64> = LazyLock::new(|| u64::from_be_bytes(crate::random::bytes()));
        write!(f, "{:016x}{:08x}", *PROCESS, self.0)
    }
}

/// The id of the request that this task answers; `None` outside of one.
pub fn current() -> Option<RequestId> {
    CURRENT.try_with(|id| *id).ok()
}
