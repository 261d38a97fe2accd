//! The checks of a token: their names, and the observer that sees each of them.

use std::fmt;

use crate::Refusal;

/// The checks that a token has to pass, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// At most [`MAX_LENGTH`](super::MAX_LENGTH) bytes.
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
    /// `iss` is this server.
    Issuer,
    /// `aud` is this server's audience.
    Audience,
    /// `iat` is not in the future.
    IssuedAt,
    /// `nbf`, if present, has passed.
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

    /// Whether the holder of a key is known to have signed what is checked.
    pub(super) const fn is_after_the_signature(self) -> bool {
        self as usize > Self::Signature as usize
    }

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

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Observes the checks of a token.
pub(super) trait Watch {
    /// A check was made. Call `detail` only if you need it.
    fn saw(&mut self, check: Check, passed: bool, detail: impl FnOnce() -> String);
}

/// No observer: costs nothing.
pub(super) struct Unwatched;

impl Watch for Unwatched {
    #[inline(always)]
    fn saw(&mut self, _: Check, _: bool, _: impl FnOnce() -> String) {}
}

/// Makes a check and shows it to `watch`; a failed one refuses the token.
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

/// A span of whole seconds for people, in its two largest units: `2 hours 5 minutes`.
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
