//! Bringing the next look at the store forward: a token may name a signing key that another node made just now.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::timeout;

/// How many requests may wait for a look. Anybody can make up the name of a key.
const WAITING: usize = 64;
/// How long a request waits for a look.
const PATIENCE: Duration = Duration::from_millis(500);
/// The least time between two looks, whatever was asked.
pub(crate) const LEAST: Duration = Duration::from_millis(100);

/// The looks at the store of this process. Nothing is remembered of what was asked for.
pub(crate) struct NextLook {
    room: Semaphore,
    wanted: Notify,
    /// How many looks began, and the number of the last one that succeeded.
    begun: AtomicU64,
    done: watch::Sender<u64>,
    /// Whether the process looks by itself.
    goes_on: AtomicBool,
}

impl Default for NextLook {
    fn default() -> Self {
        let (room, done) = (Semaphore::new(WAITING), watch::Sender::new(0));
        Self { room, wanted: Notify::new(), begun: AtomicU64::new(0), done, goes_on: AtomicBool::new(false) }
    }
}

impl NextLook {
    /// Whether a look can be brought forward.
    pub(crate) fn is_coming(&self) -> bool {
        self.goes_on.load(Ordering::Acquire)
    }

    /// Waits for a look that begins from now on; false if none succeeds soon, or too many wait already.
    pub(crate) async fn wait(&self) -> bool {
        let Ok(_place) = self.room.try_acquire() else { return false };
        let begun = self.begun.load(Ordering::SeqCst);
        let mut done = self.done.subscribe();
        self.wanted.notify_one();
        timeout(PATIENCE, done.wait_for(|done| *done > begun)).await.is_ok_and(|seen| seen.is_ok())
    }

    /// Completes when a look was asked for.
    pub(crate) async fn wanted(&self) {
        self.goes_on.store(true, Ordering::Release);
        self.wanted.notified().await;
    }

    /// Notes that a look begins; returns its number.
    pub(crate) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Notes that the look with this number succeeded.
    pub(crate) fn succeeded(&self, number: u64) {
        self.done.send_replace(number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn x21_only_a_look_that_began_later_counts_and_only_so_many_wait() {
        let looks = Arc::new(NextLook::default());
        let under_way = looks.begin();
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let looks = looks.clone();
                tokio::spawn(async move { looks.wait().await })
            })
            .collect();
        looks.wanted().await;
        tokio::task::yield_now().await;
        assert!(!looks.wait().await, "there is no room");
        looks.succeeded(under_way);
        tokio::task::yield_now().await;
        assert!(waiting.iter().all(|one| !one.is_finished()));
        let later = looks.begin();
        looks.succeeded(later);
        for one in waiting {
            assert!(one.await.unwrap());
        }
    }
}
