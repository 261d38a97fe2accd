//! How many requests were refused in the last hour, by the first check that failed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use doorward_core::Timestamp;
use serde::Serialize;

use super::fact::millis;
use super::{Fact, Flow, Verb, Verdict};

/// Codes, verbs and checks stand in tables, so there are never as many.
const MOST_KINDS: usize = 512;
const MINUTES: usize = 60;
const MINUTE_MICROS: i64 = 60_000_000;

/// Why requests were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    code: &'static str,
    /// The first step that failed; `None` if that was not recorded.
    verb: Option<Verb>,
    check: Option<&'static str>,
}

/// The refusals of one kind.
#[derive(Debug)]
struct Counted {
    /// How many in each minute, with the minute since 1970: its place is its remainder.
    minutes: [(i64, u64); MINUTES],
    sample: String,
}

/// The counters of all kinds.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<Kind, Counted>>);

/// The refusals of the last hour whose first failed check is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedGroup {
    /// The code of their answers.
    pub code: &'static str,
    /// The first step that failed; `None` for those that were counted and not recorded.
    pub verb: Option<Verb>,
    /// The check that failed in it, if it has several.
    pub check: Option<&'static str>,
    /// How many.
    pub count: u64,
    /// The minute of the first one.
    #[serde(serialize_with = "millis")]
    pub since: Timestamp,
    /// The id of the last recorded one; empty if there is none.
    pub sample: String,
}

impl Refusals {
    /// Counts this flow, if it was refused.
    pub(super) fn add(&self, flow: &Flow) {
        let Some(code) = flow.code else { return };
        let is_reason = |verb| !matches!(verb, Verb::Refuse | Verb::LetPass);
        // A request stops at its first failed check; what failed before that did not have to pass.
        let mut failed =
            flow.steps.iter().filter(|step| step.verdict == Verdict::Failed && is_reason(step.verb));
        let first = failed.next_back();
        let check = first.and_then(|step| step.facts.iter().find_map(failed_check));
        self.count_kind(Kind { code, verb: first.map(|step| step.verb), check }, flow.at, Some(&flow.id));
    }

    /// Counts one that was not recorded.
    pub(super) fn count(&self, code: &'static str, at: Timestamp) {
        self.count_kind(Kind { code, verb: None, check: None }, at, None);
    }

    fn count_kind(&self, kind: Kind, at: Timestamp, sample: Option<&str>) {
        let minute = minute(at);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_KINDS && !all.contains_key(&kind) {
            return;
        }
        let counted =
            all.entry(kind).or_insert(Counted { minutes: [(0, 0); MINUTES], sample: String::new() });
        if let Some(id) = sample {
            counted.sample.clear();
            counted.sample.push_str(id);
        }
        let place = minute.rem_euclid(MINUTES as i64) as usize;
        if let Some((of, count)) = counted.minutes.get_mut(place) {
            if *of != minute {
                (*of, *count) = (minute, 0);
            }
            *count += 1;
        }
    }

    /// Those of the hour before now, the most frequent first.
    pub(super) fn groups(&self, now: Timestamp) -> Vec<RefusedGroup> {
        let now = minute(now);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, counted| counted.minutes.iter().any(|(of, count)| *count > 0 && is_recent(*of, now)));
        let mut groups: Vec<_> = all.iter().map(|(kind, counted)| group(*kind, counted, now)).collect();
        drop(all);
        groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(b.code)));
        groups
    }
}

fn group(Kind { code, verb, check }: Kind, counted: &Counted, now: i64) -> RefusedGroup {
    let recent = || counted.minutes.iter().filter(|(of, count)| *count > 0 && is_recent(*of, now));
    let since = recent().map(|(of, _)| *of).min().unwrap_or(now);
    RefusedGroup {
        code,
        verb,
        check,
        count: recent().map(|(_, count)| count).sum(),
        since: Timestamp::from_micros(since * MINUTE_MICROS),
        sample: counted.sample.clone(),
    }
}

fn failed_check(fact: &Fact) -> Option<&'static str> {
    match fact {
        Fact::Check { check, passed: false, .. } => Some(check),
        _ => None,
    }
}

fn minute(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(MINUTE_MICROS)
}

fn is_recent(minute: i64, now: i64) -> bool {
    (now - MINUTES as i64 + 1..=now).contains(&minute)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_773_489_600);

    #[test]
    fn refusals_of_one_kind_are_counted_for_an_hour_since_their_first() {
        let refusals = Refusals::default();
        for _ in 0..12_000 {
            refusals.count("token_invalid", NOON);
        }
        refusals.count("token_invalid", NOON + Duration::from_secs(59 * 60));
        let [group] = refusals.groups(NOON + Duration::from_secs(59 * 60)).try_into().unwrap();
        assert_eq!((group.count, group.since), (12_001, NOON));
        let [group] = refusals.groups(NOON + Duration::from_secs(60 * 60)).try_into().unwrap();
        assert_eq!((group.count, group.since), (1, NOON + Duration::from_secs(59 * 60)));
        assert_eq!(refusals.groups(NOON + Duration::from_secs(2 * 60 * 60)), []);
    }

    #[test]
    fn the_kinds_of_refusals_do_not_grow_beyond_their_bound() {
        let refusals = Refusals::default();
        for number in 0..2_000 {
            refusals.count(Box::leak(format!("code_{number}").into_boxed_str()), NOON);
        }
        assert_eq!(refusals.groups(NOON).len(), MOST_KINDS);
    }
}
