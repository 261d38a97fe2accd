use super::checks::{Check, Watch};
use super::decode::{Decoded, decode};
use super::recognise::{is_foreign_secret, recognise};
use super::verify::{Expiry, check};
use super::{AccessToken, Expected, KeySet};
use crate::{Refusal, Timestamp};

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It refused the token.
    Failed,
    /// An earlier one refused it.
    NotReached,
}

/// One check of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which check.
    pub check: Check,
    /// What came of it.
    pub verdict: Verdict,
    /// What was found and what was expected, for people; empty where it was not reached. What the token says in it is
    /// quoted and escaped.
    pub detail: String,
}

/// Why a token is accepted or refused.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// What [`verify`](super::verify()) answers: this is the same check, looked at.
    pub outcome: Result<AccessToken, Refusal>,
    /// Every check, in order.
    pub steps: Vec<Step>,
    /// What it is that was refused, where it is something else than an access token of this server.
    pub looks_like: Option<&'static str>,
    /// What the token says, believed or not.
    pub decoded: Decoded,
    /// Seconds since `iat`, negative where it is in the future; `None` where the token says none.
    pub age: Option<i64>,
    /// Seconds until `exp`, zero or negative where it has passed; `None` where the token says none.
    pub remaining: Option<i64>,
}

/// Checks a token as [`verify`](super::verify()) does, and tells what each check found.
pub fn explain(token: &str, keys: &KeySet, expected: &Expected, now: Timestamp) -> Explanation {
    let mut trace = Trace::default();
    let outcome = check(token, keys, expected, (now, Expiry::Checked), &mut trace);
    let decoded = decode(token);
    let claims =
        decoded.payload.as_deref().and_then(|json| serde_json::from_str::<serde_json::Value>(json).ok());
    let secs = |name| claims.as_ref()?.get(name)?.as_i64();
    let of_no_key = trace.step(Check::Key).verdict == Verdict::Failed;
    let foreign = || is_foreign_secret(token).filter(|_| of_no_key);
    Explanation {
        outcome,
        looks_like: recognise(token).or_else(foreign).filter(|_| outcome.is_err()),
        steps: Check::ALL.into_iter().map(|check| trace.step(check)).collect(),
        age: secs("iat").map(|iat| now.as_secs().saturating_sub(iat)),
        remaining: secs("exp").map(|exp| exp.saturating_sub(now.as_secs())),
        decoded,
    }
}

/// Writes down what it sees.
#[derive(Default)]
struct Trace(Vec<Step>);

impl Watch for Trace {
    fn saw(&mut self, check: Check, passed: bool, detail: impl FnOnce() -> String) {
        let verdict = if passed { Verdict::Passed } else { Verdict::Failed };
        self.0.push(Step { check, verdict, detail: detail() });
    }
}

impl Trace {
    fn step(&self, check: Check) -> Step {
        let unseen = || Step { check, verdict: Verdict::NotReached, detail: String::new() };
        self.0.iter().find(|step| step.check == check).cloned().unwrap_or_else(unseen)
    }
}
