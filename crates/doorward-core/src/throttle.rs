//! The arithmetic of limits: so many at once, then one each period (the generic cell rate algorithm, ITU-T I.371).

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::Timestamp;

/// A limit: `burst` at once, and one more each `period` after that.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    burst: i64,
    period: i64,
}

/// How much of a limit is used up; the same bucket always goes with the same limit.
#[derive(Debug, Default)]
pub struct Bucket(AtomicI64);

impl Limit {
    /// `burst` at once, then one each `period`.
    pub const fn new(burst: u32, period: Duration) -> Self {
        Self { burst: burst as i64, period: period.as_micros() as i64 }
    }

    /// Takes one from the bucket, or says how long to wait for the next. A hundred callers at once get no more than
    /// the burst between them (attack L04).
    ///
    /// # Errors
    /// The time until one will be there.
    pub fn take(&self, bucket: &Bucket, now: Timestamp) -> Result<(), Duration> {
        let now = now.as_micros();
        let taken = bucket.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
            // A clock that was set back leaves buckets of the future behind: they are full, and no fuller.
            let latest = now.saturating_add(self.burst.saturating_mul(self.period));
            let next = full_at.clamp(now, latest).saturating_add(self.period);
            (next.saturating_sub(now) <= self.burst.saturating_mul(self.period)).then_some(next)
        });
        taken.map(drop).map_err(|full_at| {
            let full = self.burst.saturating_mul(self.period);
            let wait = full_at.saturating_sub(now).min(full).saturating_add(self.period) - full;
            Duration::from_micros(wait.unsigned_abs())
        })
    }

    /// Puts back what [`Limit::take`] took: the attempt was no failure.
    pub fn give_back(&self, bucket: &Bucket) {
        bucket.0.fetch_sub(self.period, Ordering::AcqRel);
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
