use std::fmt;
use std::time::Duration;

use doorward_core::role::RoleName;
use doorward_core::{ClaimsVersion, Mode, SessionId, Timestamp, UserId};
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// How many bytes of a text from outside are kept.
const MOST_SEEN: usize = 96;

/// Text from outside: clipped, without control and invisible formatting characters. Never a secret.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Seen(Box<str>);

impl Seen {
    /// As much of the text as is kept.
    pub fn new(text: &str) -> Self {
        Self::clipped(text, MOST_SEEN)
    }

    /// At most so many bytes of the text.
    pub(super) fn clipped(text: &str, most: usize) -> Self {
        let mut kept = String::new();
        for c in text.chars().flat_map(visible) {
            if kept.len() + c.len_utf8() > most {
                kept.push('…');
                break;
            }
            kept.push(c);
        }
        Self(kept.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A character as it is, or its escape if it could hide, reorder or break text.
fn visible(c: char) -> impl Iterator<Item = char> {
    let hides = c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    let (escaped, plain) = if hides { (Some(c.escape_unicode()), None) } else { (None, Some(c)) };
    escaped.into_iter().flatten().chain(plain)
}

macro_rules! labels {
    ($($label:ident: $name:literal;)+) => {
        /// What a fact is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Label {
            $(#[doc = $name] $label,)+
        }

        impl Label {
            /// Every label. Files and pages name one by its place here: add new ones at the end.
            pub const ALL: &[Self] = &[$(Self::$label,)+];

            /// Its name for people.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$label => $name,)+
                }
            }
        }
    };
}

labels! {
    Where: "found in";
    Count: "how many";
    Check: "check";
    Found: "found";
    Mode: "mode";
    Session: "session";
    User: "user";
    Role: "role";
    Permission: "permission";
    Generation: "generation";
    Limit: "limit";
    Waited: "waited";
    Worked: "worked";
    RetryAfter: "try again after";
    Status: "status";
    Code: "code";
    Field: "field";
    Name: "name";
    Entry: "audit entry";
    Ended: "sessions ended";
    Stale: "users whose tokens are stale";
    EndsAt: "ends at";
    Reason: "reason";
    Site: "site";
    Hook: "hook";
    Factor: "factor";
    Client: "client";
    Address: "address";
    Device: "device";
    Unit: "of";
    Place: "to";
    Methods: "methods of the sign-in";
    Advice: "what to do";
    Origin: "origin";
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(*self as u64)
    }
}

pub(super) fn millis<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(at.as_micros().div_euclid(1_000))
}

/// A particular of a step. No variant can hold a password, a token, a session id, a code or a link.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Fact {
    /// One of our own texts.
    Text {
        /// What it is about.
        label: Label,
        /// The text.
        text: &'static str,
    },
    /// Text from outside.
    Seen {
        /// What it is about.
        label: Label,
        /// The text.
        text: Seen,
    },
    /// A number.
    Count {
        /// What it is about.
        label: Label,
        /// The number.
        count: u64,
    },
    /// The id of a session or user: public, and no credential.
    Id {
        /// What it is about.
        label: Label,
        /// The id.
        id: Uuid,
    },
    /// A span of time.
    Span {
        /// What it is about.
        label: Label,
        /// In microseconds.
        us: u64,
    },
    /// A moment.
    At {
        /// What it is about.
        label: Label,
        /// The moment, in milliseconds since 1970.
        #[serde(serialize_with = "millis")]
        at: Timestamp,
    },
    /// One check of a token.
    Check {
        /// The check's name.
        check: &'static str,
        /// Whether it was passed.
        passed: bool,
        /// What was found, if it failed after the signature held.
        #[serde(skip_serializing_if = "Option::is_none")]
        found: Option<Seen>,
    },
    /// The claims of a token that Doorward signed: only after its signature held.
    Claims(Box<ClaimsFact>),
    /// What can be said of a token that is not ours, or bad.
    Foreign(Foreign),
    /// A cookie that was set or cleared, without its value.
    Cookie(Box<CookieFact>),
    /// How a password is hashed.
    Hash {
        /// The algorithm.
        algorithm: &'static str,
        /// Its cost, as the algorithm writes it.
        cost: String,
    },
}

/// Header and claims of an access token.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClaimsFact {
    /// `alg`.
    pub algorithm: Seen,
    /// `kid`.
    pub key: Seen,
    /// `sub`.
    pub user: UserId,
    /// `sid`.
    pub session: SessionId,
    /// `role`.
    pub role: RoleName,
    /// `ver`.
    pub version: ClaimsVersion,
    /// `auth_time`.
    #[serde(serialize_with = "millis")]
    pub signed_in_at: Timestamp,
    /// `iat`.
    #[serde(serialize_with = "millis")]
    pub issued_at: Timestamp,
    /// `exp`.
    #[serde(serialize_with = "millis")]
    pub expires_at: Timestamp,
}

/// A token that was refused before its signature held.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Foreign {
    /// `alg` in its header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Seen>,
    /// `kid` in its header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Seen>,
    /// Its length in bytes.
    pub length: usize,
}

/// A cookie with its attributes, without its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CookieFact {
    /// Its name.
    pub name: Seen,
    /// `Path`.
    pub path: Seen,
    /// `Domain`, if it is shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Seen>,
    /// `Max-Age` in seconds; `None` until the browser is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<i64>,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `Secure`.
    pub secure: bool,
    /// `SameSite`.
    pub same_site: &'static str,
}

impl Fact {
    /// One of our own texts.
    pub(crate) const fn text(label: Label, text: &'static str) -> Self {
        Self::Text { label, text }
    }

    /// Text from outside.
    pub(crate) fn seen(label: Label, text: &str) -> Self {
        Self::Seen { label, text: Seen::new(text) }
    }

    /// A number.
    pub(crate) fn count(label: Label, count: usize) -> Self {
        Self::Count { label, count: count as u64 }
    }

    /// A session.
    pub(crate) fn session(id: SessionId) -> Self {
        Self::Id { label: Label::Session, id: Uuid::from_bytes(*id.as_bytes()) }
    }

    /// A user.
    pub(crate) fn user(id: UserId) -> Self {
        Self::Id { label: Label::User, id: Uuid::from_bytes(*id.as_bytes()) }
    }

    /// A span.
    pub(crate) fn span(label: Label, span: Duration) -> Self {
        Self::Span { label, us: u64::try_from(span.as_micros()).unwrap_or(u64::MAX) }
    }

    /// A mode.
    pub(crate) const fn mode(mode: Mode) -> Self {
        Self::text(Label::Mode, mode.as_str())
    }
}
