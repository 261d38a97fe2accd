use super::checks::{Check, Watch};
use super::decode::{Decoded, decode};
use super::recognise::{Kind, is_foreign_secret, recognise};
use super::verify::{Expiry, check};
use super::{AccessToken, Expected, KeySet};
use crate::{Refusal, Timestamp};

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It refused the token.
    Failed,
    /// Not reached: an earlier check refused the token.
    NotReached,
}

/// One check of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which check.
    pub check: Check,
    /// Its result.
    pub verdict: Verdict,
    /// What was found and what was expected, for people; empty if the check was not reached. Text from the token is
    /// quoted and escaped in it.
    pub detail: String,
}

/// Why a token is accepted or refused.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The answer of [`verify`](super::verify()): this is the same check, observed.
    pub outcome: Result<AccessToken, Refusal>,
    /// Every check, in order.
    pub steps: Vec<Step>,
    /// What was refused, if it is not an access token of this server.
    pub looks_like: Option<Kind>,
    /// What the token says, whether or not it was accepted.
    pub decoded: Decoded,
    /// Seconds since `iat`, negative if it is in the future; `None` if the token has none.
    pub age: Option<i64>,
    /// Seconds until `exp`, zero or negative if it has passed; `None` if the token has none.
    pub remaining: Option<i64>,
}

/// Checks a token as [`verify`](super::verify()) does, and reports what each check found.
pub fn explain(token: &str, keys: &KeySet, expected: &Expected, now: Timestamp) -> Explanation {
    let mut trace = Trace::default();
    let outcome = check(token, keys, expected, now, Expiry::Checked, &mut trace);
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

/// Writes down each check.
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
