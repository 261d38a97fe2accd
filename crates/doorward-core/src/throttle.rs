//! The arithmetic of limits: so many at once, then one each period (the generic cell rate algorithm, ITU-T I.371).

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::Timestamp;

/// A limit: `burst` at once, and one more each `period` after that.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    burst: i64,
    period: i64,
}

/// How much of a limit is used up. Use one bucket with one limit only.
#[derive(Debug, Default)]
pub struct Bucket(AtomicI64);

impl Limit {
    /// `burst` at once, then one each `period`.
    pub const fn new(burst: u32, period: Duration) -> Self {
        Self { burst: burst as i64, period: period.as_micros() as i64 }
    }

    /// The same limit, times `n`.
    #[must_use]
    pub const fn times(self, n: u32) -> Self {
        let n = n as i64;
        Self { burst: self.burst.saturating_mul(n), period: self.period / n }
    }

    /// Takes one from the bucket, or says how long to wait for the next. A hundred callers at once get no more than
    /// the burst between them (attack L04).
    ///
    /// # Errors
    /// The time until the next one is available.
    pub fn take(&self, bucket: &Bucket, now: Timestamp) -> Result<(), Duration> {
        let (now, full) = (now.as_micros(), self.burst.saturating_mul(self.period));
        let latest = now.saturating_add(full);
        let taken = bucket.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
            // After a clock was set back, buckets lie in the future: they become full, and empty from there on.
            if full_at > latest {
                return Some(latest);
            }
            let next = full_at.max(now).saturating_add(self.period);
            (next <= latest).then_some(next)
        });
        let (Ok(full_at) | Err(full_at)) = taken;
        if taken.is_ok() && full_at <= latest {
            return Ok(());
        }
        let wait = full_at.min(latest).saturating_sub(now).saturating_add(self.period) - full;
        Err(Duration::from_micros(wait.unsigned_abs()))
    }

    /// Puts back what [`Limit::take`] took, since the attempt was not a failure.
    pub fn give_back(&self, bucket: &Bucket) {
        bucket.0.fetch_sub(self.period, Ordering::AcqRel);
    }

    /// The time that one more each takes.
    pub const fn period(&self) -> Duration {
        Duration::from_micros(self.period.unsigned_abs())
    }

    /// How long to wait until the bucket has room for one more.
    pub fn wait(&self, bucket: &Bucket, now: Timestamp) -> Duration {
        bucket.full_at().since(self.room_until(now))
    }

    /// A bucket has room for one more if it is full again by this time.
    pub fn room_until(&self, now: Timestamp) -> Timestamp {
        let before_last = self.burst.saturating_sub(1).saturating_mul(self.period);
        Timestamp::from_micros(now.as_micros().saturating_add(before_last))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:?}", self.burst, self.period())
    }
}

impl Bucket {
    /// When nothing of it will be used up any more.
    pub fn full_at(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Acquire))
    }

    /// Takes over what is used up according to somebody who knows more.
    pub fn learn(&self, full_at: Timestamp) {
        self.0.store(full_at.as_micros(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUESSES: Limit = Limit::new(10, Duration::from_secs(30));

    #[test]
    fn ten_at_once_then_one_each_thirty_seconds() {
        let (bucket, start) = (Bucket::default(), Timestamp::from_secs(1_000_000));
        assert!((0..10).all(|_| GUESSES.take(&bucket, start).is_ok()));
        assert_eq!(GUESSES.take(&bucket, start), Err(Duration::from_secs(30)));
        let later = start + Duration::from_secs(30);
        assert_eq!(GUESSES.take(&bucket, later), Ok(()));
        assert_eq!(GUESSES.take(&bucket, later), Err(Duration::from_secs(30)));
    }

    #[test]
    fn what_is_given_back_does_not_count() {
        let (bucket, start) = (Bucket::default(), Timestamp::from_secs(1_000_000));
        for _ in 0..1_000 {
            assert_eq!(GUESSES.take(&bucket, start), Ok(()));
            GUESSES.give_back(&bucket);
        }
        assert!((0..10).all(|_| GUESSES.take(&bucket, start).is_ok()));
        assert!(GUESSES.take(&bucket, start).is_err());
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nobody_out_for_longer_than_a_full_bucket() {
        let (bucket, ahead) = (Bucket::default(), Timestamp::from_secs(1_000_000));
        assert_eq!(GUESSES.take(&bucket, ahead), Ok(()));
        let now = ahead - Duration::from_secs(86_400);
        let wait = Duration::from_secs(30);
        for turn in 0..3 {
            assert_eq!(GUESSES.take(&bucket, now + turn * wait), Err(wait), "{turn}");
            assert_eq!(GUESSES.take(&bucket, now + (turn + 1) * wait), Ok(()), "{turn}");
        }
        assert!((0..10).all(|_| GUESSES.take(&bucket, now + 20 * wait).is_ok()));
    }

    #[test]
    fn l04_a_thousand_parallel_guesses_get_ten() {
        let (bucket, now) = (Bucket::default(), Timestamp::from_secs(1_000_000));
        let passed = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..125).filter(|_| GUESSES.take(&bucket, now).is_ok()).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(passed, 10);
    }
}
