use std::time::Duration;

use crate::Timestamp;

/// The time by which data is deleted for good. If the clock jumps ahead, it is not believed for a while, so nothing is
/// deleted that is needed once the clock is right.
///
/// It compares the wall clock with monotonic time, and keeps the smallest offset between them seen in this span and in the
/// one before.
#[derive(Debug, Clone)]
pub struct DeletionClock {
    began: Duration,
    /// The least that the clock was ahead of monotonic time, in microseconds.
    least: i64,
    least_before: i64,
}

impl DeletionClock {
    /// The clock says `now` when monotonic time says `ran`. There is no earlier observation to doubt it by.
    pub fn new(now: Timestamp, ran: Duration) -> Self {
        let ahead = now.as_micros().saturating_sub(micros(ran));
        Self { began: ran, least: ahead, least_before: ahead }
    }

    /// The time to delete by when the clock says `now`: never later than that. After a jump it follows the clock only once
    /// `span` of monotonic time has passed. Call it at least once in each `span`.
    pub fn at(&mut self, now: Timestamp, ran: Duration, span: Duration) -> Timestamp {
        let ahead = now.as_micros().saturating_sub(micros(ran));
        if ran.saturating_sub(self.began) >= span {
            (self.began, self.least_before, self.least) = (ran, self.least, ahead);
        }
        self.least = self.least.min(ahead);
        Timestamp::from_micros(self.least.min(self.least_before).saturating_add(micros(ran)))
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(1_500);
    const MINUTE: u64 = 60;

    /// Asks once a minute, and returns how far that time is behind the clock each time, in seconds.
    fn behind(clock: impl Fn(u64) -> i64, minutes: u64) -> Vec<u64> {
        let mut trusted = DeletionClock::new(Timestamp::from_secs(clock(0)), Duration::ZERO);
        let ask = |ran: u64| {
            let now = Timestamp::from_secs(clock(ran));
            now.since(trusted.at(now, Duration::from_secs(ran), SPAN)).as_secs()
        };
        (0..minutes).map(|minute| minute * MINUTE).map(ask).collect()
    }

    #[test]
    fn a_clock_that_goes_on_is_believed_and_one_that_is_set_back_too() {
        assert_eq!(behind(|ran| 1_000_000 + ran as i64, 100), [0; 100]);
        let set_back = |ran| 1_000_000 + ran as i64 - if ran >= 600 { 3_600 } else { 0 };
        assert_eq!(behind(set_back, 100), [0; 100]);
    }

    #[test]
    fn a_jump_ahead_is_believed_after_one_span_at_the_least_and_two_at_the_most() {
        for jump in [1, 60, 3_600, 10_000_000] {
            for at in (1..60).map(|minute| minute * MINUTE) {
                let clock = |ran| 1_000_000 + ran as i64 + if ran >= at { jump } else { 0 };
                let behind = behind(clock, 200);
                let since = |minute: usize| (minute as u64 * MINUTE).checked_sub(at);
                for (minute, behind) in behind.into_iter().enumerate() {
                    let Some(since) = since(minute) else {
                        assert_eq!(behind, 0);
                        continue;
                    };
                    assert!(behind == 0 || behind == jump as u64, "{since}");
                    assert!(behind > 0 || since > SPAN.as_secs() - MINUTE, "{since}");
                    assert!(behind == 0 || since < 2 * SPAN.as_secs(), "{since}");
                }
            }
        }
    }

    #[test]
    fn a_jump_that_is_taken_back_was_never_believed_and_a_later_one_begins_anew() {
        let clock = |ran| 1_000_000 + ran as i64 + if ran % 1_200 >= 600 { 3_600 } else { 0 };
        for (minute, behind) in behind(clock, 500).into_iter().enumerate() {
            assert_eq!(behind, if minute as u64 * MINUTE % 1_200 >= 600 { 3_600 } else { 0 }, "{minute}");
        }
    }

    #[test]
    fn the_ends_of_time_overflow_nothing() {
        let (first, last) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
        let mut trusted = DeletionClock::new(last, Duration::ZERO);
        assert_eq!(trusted.at(first, Duration::MAX, SPAN), Timestamp::from_micros(-1));
        assert!(trusted.at(last, Duration::MAX, SPAN) <= last);
    }
}
