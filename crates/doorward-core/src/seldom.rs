//! Log lines that are written at most once a minute, with a count: a stranger's requests must not make the log grow
//! (attack X01).

use std::collections::BTreeMap;
use std::time::Duration;

/// How often a line of one kind may be written.
const EVERY: Duration = Duration::from_secs(60);

/// Counts events by kind, and says when a line is due. Use few kinds: each takes memory for good.
#[derive(Debug)]
pub struct Seldom<K>(BTreeMap<K, Count>);

#[derive(Debug)]
struct Count {
    written_at: Duration,
    unwritten: u64,
}

impl<K> Default for Seldom<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Seldom<K> {
    /// Nothing has happened yet.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Copy> Seldom<K> {
    /// Counts one event at this steady time. If a line is due, returns how many events there were since the last one.
    pub fn happened(&mut self, kind: K, now: Duration) -> Option<u64> {
        match self.0.get_mut(&kind) {
            Some(count) => {
                count.unwritten += 1;
                count.due(now)
            }
            None => {
                self.0.insert(kind, Count { written_at: now, unwritten: 0 });
                Some(1)
            }
        }
    }

    /// The kinds with unwritten events whose line is due now, although no more may happen.
    pub fn rest(&mut self, now: Duration) -> Vec<(K, u64)> {
        self.0.iter_mut().filter_map(|(kind, count)| Some((*kind, count.due(now)?))).collect()
    }

    /// All events that have no line yet, at the end of the process.
    pub fn last(&mut self) -> Vec<(K, u64)> {
        self.rest(Duration::MAX)
    }
}

impl Count {
    fn due(&mut self, now: Duration) -> Option<u64> {
        let is_due = self.unwritten > 0 && now.saturating_sub(self.written_at) >= EVERY;
        is_due.then(|| {
            self.written_at = now;
            std::mem::take(&mut self.unwritten)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_is_written_at_once_and_the_others_once_a_minute_with_their_number() {
        let mut seldom = Seldom::new();
        assert_eq!(seldom.happened("a", at(0)), Some(1));
        assert!((0..60).all(|second| seldom.happened("a", at(second)).is_none()));
        assert_eq!(seldom.happened("b", at(59)), Some(1));
        assert_eq!(seldom.happened("a", at(60)), Some(61));
        assert_eq!(seldom.happened("a", at(61)), None);
        assert_eq!(seldom.happened("a", at(500)), Some(2));
    }

    #[test]
    fn the_number_of_a_burst_is_written_although_nothing_follows_it() {
        let mut seldom = Seldom::new();
        for _ in 0..100 {
            seldom.happened("a", at(0));
        }
        seldom.happened("b", at(0));
        assert_eq!(seldom.rest(at(59)), []);
        assert_eq!(seldom.rest(at(60)), [("a", 99)]);
        assert_eq!(seldom.rest(at(200)), []);
        seldom.happened("a", at(201));
        seldom.happened("a", at(202));
        assert_eq!(seldom.last(), [("a", 1)]);
    }
}
