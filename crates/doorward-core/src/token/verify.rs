use std::time::Duration;

use super::KeySet;
use super::checks::{Check, Unwatched, Watch, in_words, require};
use super::claims::{AccessToken, Expected, Payload};
use super::jws::Compact;
use crate::{Refusal, Timestamp};

/// How far another machine's clock may be ahead: for `iat` and `nbf`. `exp` has no leeway.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// Checks an access token.
///
/// # Errors
/// [`Refusal::TokenExpired`] if only `exp`, which has passed, is wrong; otherwise [`Refusal::TokenInvalid`], whatever
/// is wrong (attack J42).
pub fn verify(
    token: &str,
    keys: &KeySet,
    expected: &Expected,
    now: Timestamp,
) -> Result<AccessToken, Refusal> {
    check(token, keys, expected, now, Expiry::Checked, &mut Unwatched)
}

/// Checks an access token as [`verify`] does, and calls `observe` after each check: with the check, whether it was
/// passed, and what was found if it failed after the signature held.
///
/// # Errors
/// As for [`verify`].
pub fn verify_observed(
    token: &str,
    keys: &KeySet,
    expected: &Expected,
    now: Timestamp,
    observe: &mut dyn FnMut(Check, bool, Option<String>),
) -> Result<AccessToken, Refusal> {
    check(token, keys, expected, now, Expiry::Checked, &mut Observed(observe))
}

struct Observed<'a>(&'a mut dyn FnMut(Check, bool, Option<String>));

impl Watch for Observed<'_> {
    fn saw(&mut self, check: Check, passed: bool, detail: impl FnOnce() -> String) {
        // What a stranger wrote stays out: only the holder of a key gets past the signature.
        let is_ours = !passed && check.is_after_the_signature();
        (self.0)(check, passed, is_ours.then(detail));
    }
}

/// Checks an access token whose `exp` may have passed: good for ending its session, and for nothing else.
///
/// # Errors
/// [`Refusal::TokenInvalid`] if anything but `exp` is wrong.
pub fn verify_ignoring_expiry(
    token: &str,
    keys: &KeySet,
    expected: &Expected,
    now: Timestamp,
) -> Result<AccessToken, Refusal> {
    check(token, keys, expected, now, Expiry::Ignored, &mut Unwatched)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    Checked,
    Ignored,
}

/// The only check of a token, in the order of [`Check`]. `watch` only observes.
pub(super) fn check<W: Watch>(
    token: &str,
    keys: &KeySet,
    expected: &Expected,
    now: Timestamp,
    expiry: Expiry,
    watch: &mut W,
) -> Result<AccessToken, Refusal> {
    let jws = Compact::split(token, watch)?;
    let key = jws.key(keys, watch)?;
    jws.require_signature(key, watch)?;
    // From here on, the key's holder is known to have signed the text.
    let (mut small, mut large) = ([0; 384], Vec::new());
    let payload = Payload::read(jws.payload, &mut small, &mut large, watch)?;
    payload.require_names(expected, watch)?;
    require_times(&payload, expected, now, watch)?;
    let token = payload.token;
    let live = expiry == Expiry::Ignored || now < token.expires_at;
    watch.saw(Check::Expiry, live, || {
        let (exp, now) = (token.expires_at.as_secs(), now.as_secs());
        let span = in_words(exp.abs_diff(now));
        let told = if exp > now { format!("in {span}") } else { format!("{span} ago") };
        format!("{told} (exp {exp}, now {now})")
    });
    if live { Ok(token) } else { Err(Refusal::TokenExpired) }
}

fn require_times<W: Watch>(
    payload: &Payload<'_>,
    expected: &Expected,
    now: Timestamp,
    watch: &mut W,
) -> Result<(), Refusal> {
    let (AccessToken { issued_at, expires_at, .. }, not_before) = (payload.token, payload.not_before);
    require(watch, Check::IssuedAt, issued_at <= now + LEEWAY, || {
        let (iat, now, most) = (issued_at.as_secs(), now.as_secs(), in_words(LEEWAY.as_secs()));
        let span = in_words(iat.abs_diff(now));
        let told = if iat > now { format!("{span} ahead") } else { format!("{span} ago") };
        format!("{told}, at most {most} ahead (iat {iat}, now {now})")
    })?;
    require(watch, Check::NotBefore, not_before.is_none_or(|at| at <= now + LEEWAY), || {
        not_before
            .map_or_else(|| "no nbf".into(), |at| format!("nbf {}, now {}", at.as_secs(), now.as_secs()))
    })?;
    // A token that lives longer than any that this server issues was not issued here, whoever signed it (attack J23).
    let longest = expected.max_ttl.saturating_add(LEEWAY);
    let fits = issued_at < expires_at && expires_at <= issued_at + longest;
    require(watch, Check::Lifetime, fits, || {
        let (iat, exp) = (issued_at.as_secs(), expires_at.as_secs());
        let order = if exp > iat { "after" } else { "before" };
        let (span, most) = (in_words(exp.abs_diff(iat)), in_words(longest.as_secs()));
        format!("exp is {span} {order} iat, at most {most} are allowed")
    })
}
