//! What is new in the set, in the order in which this process learned it, for the followers of this process.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use doorward_core::revocation::Revocation as Entry;

/// How many entries are kept for followers that come back, or are slow.
const KEPT: usize = 65_536;

/// The entries, each with a number of this process alone: the first one has the number 1.
pub(crate) struct Log(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    entries: VecDeque<Entry>,
    /// The number of the last entry.
    last: u64,
}

/// The entries were dropped already, or never existed: start from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed;

impl Log {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds these, which are in the set already; returns whether there was any.
    pub(super) fn add(&self, new: impl IntoIterator<Item = Entry>) -> bool {
        let mut new = new.into_iter().peekable();
        if new.peek().is_none() {
            return false;
        }
        let mut kept = self.kept();
        for entry in new {
            kept.entries.push_back(entry);
            kept.last += 1;
        }
        let surplus = kept.entries.len().saturating_sub(KEPT);
        kept.entries.drain(..surplus);
        true
    }

    /// The number of the last entry.
    pub(crate) fn last(&self) -> u64 {
        self.kept().last
    }

    /// At most so many entries after this number.
    ///
    /// # Errors
    /// [`Passed`].
    pub(crate) fn after(&self, number: u64, most: usize) -> Result<Vec<Entry>, Passed> {
        let kept = self.kept();
        let missing = kept.last.checked_sub(number).and_then(|count| usize::try_from(count).ok());
        let first = missing.and_then(|count| kept.entries.len().checked_sub(count)).ok_or(Passed)?;
        Ok(kept.entries.range(first..).take(most).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use doorward_core::SessionId;

    use super::*;

    fn session(number: usize) -> Entry {
        Entry::Session(SessionId::from_bytes(u128::try_from(number).unwrap().to_be_bytes()))
    }

    #[test]
    fn who_comes_back_gets_what_came_after_and_who_is_too_late_begins_anew() {
        let log = Log::new();
        assert!(!log.add([]));
        assert!(log.add((1..=3).map(session)));
        assert_eq!(log.after(0, 2), Ok(vec![session(1), session(2)]));
        assert_eq!(log.after(2, 9), Ok(vec![session(3)]));
        assert_eq!((log.after(3, 9), log.after(4, 9)), (Ok(vec![]), Err(Passed)));
        log.add((4..=KEPT + 2).map(session));
        assert_eq!((log.after(1, 1), log.last()), (Err(Passed), KEPT as u64 + 2));
        assert_eq!(log.after(2, 1), Ok(vec![session(3)]));
    }
}
