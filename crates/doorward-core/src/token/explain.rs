use std::fmt;

use super::recognise::{is_foreign_secret, recognise};
use super::verify::{Expiry, check};
use super::{AccessToken, Expected, KeySet, MAX_LENGTH, base64url};
use crate::{Refusal, Timestamp};

/// What a token has to pass, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// At most [`MAX_LENGTH`] bytes.
    Length,
    /// Three parts.
    Form,
    /// The header is one strict JSON object, without a parameter that would change the rules.
    Header,
    /// `kid` names one of our keys.
    Key,
    /// `alg` is the key's algorithm.
    Algorithm,
    /// `typ` is `at+jwt`.
    Type,
    /// The signature is the key's.
    Signature,
    /// The payload is one strict JSON object with every claim that Doorward issues.
    Claims,
    /// `iss` is ours.
    Issuer,
    /// `aud` is ours.
    Audience,
    /// `iat` is not in the future.
    IssuedAt,
    /// `nbf`, where there is one, has passed.
    NotBefore,
    /// It lives no longer than our tokens do.
    Lifetime,
    /// `exp` has not passed.
    Expiry,
}

impl Check {
    /// Every check, in the order in which they are made.
    pub const ALL: [Self; 14] = [
        Self::Length,
        Self::Form,
        Self::Header,
        Self::Key,
        Self::Algorithm,
        Self::Type,
        Self::Signature,
        Self::Claims,
        Self::Issuer,
        Self::Audience,
        Self::IssuedAt,
        Self::NotBefore,
        Self::Lifetime,
        Self::Expiry,
    ];

    /// A short name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Form => "three parts",
            Self::Header => "header",
            Self::Key => "key",
            Self::Algorithm => "algorithm",
            Self::Type => "type",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::IssuedAt => "issued at",
            Self::NotBefore => "not before",
            Self::Lifetime => "lifetime",
            Self::Expiry => "expiry",
        }
    }
}

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

/// The two readable parts of a token, which anybody may have written: to be shown, never to be trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The header as JSON text; `None` where it is none.
    pub header: Option<String>,
    /// The payload as JSON text; `None` where it is none.
    pub payload: Option<String>,
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

/// Reads what a token says, without any check of who wrote it. One that is longer than [`MAX_LENGTH`] is not read.
pub fn decode(token: &str) -> Decoded {
    let mut parts = token.split('.').filter(|_| token.len() <= MAX_LENGTH).map(|segment| {
        let json = String::from_utf8(base64url::decode(segment)?).ok()?;
        // A terminal obeys control characters: the text of a stranger must not carry any. Valid JSON needs none but
        // white space.
        let plain = json.replace(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t'), "\u{fffd}");
        serde_json::from_str::<serde::de::IgnoredAny>(&plain).ok().map(|_| plain)
    });
    Decoded { header: parts.next().flatten(), payload: parts.next().flatten() }
}

/// A span of whole seconds as people say it, in its two largest units: `2 hours 5 minutes`.
pub fn in_words(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (mut left, mut words) = (seconds, Vec::new());
    for (size, unit) in UNITS {
        let count = left / size;
        left %= size;
        if count > 0 {
            words.push(format!("{count} {unit}{}", if count == 1 { "" } else { "s" }));
        } else if !words.is_empty() {
            break;
        }
    }
    words.truncate(2);
    if words.is_empty() { "0 seconds".into() } else { words.join(" ") }
}

/// Who looks on while a token is checked.
pub(super) trait Watch {
    /// A check was made; `detail` is only called by who wants to know it.
    fn saw(&mut self, check: Check, passed: bool, detail: impl FnOnce() -> String);
}

/// Nobody: costs nothing.
pub(super) struct Unwatched;

impl Watch for Unwatched {
    #[inline(always)]
    fn saw(&mut self, _: Check, _: bool, _: impl FnOnce() -> String) {}
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

/// Makes a check and lets `watch` see it; a failed one refuses the token.
#[inline(always)]
pub(super) fn require<W: Watch>(
    watch: &mut W,
    check: Check,
    holds: bool,
    detail: impl FnOnce() -> String,
) -> Result<(), Refusal> {
    watch.saw(check, holds, detail);
    if holds { Ok(()) } else { Err(Refusal::TokenInvalid) }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
