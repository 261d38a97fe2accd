//! The feed of revocations on the wire: the data of an event.
//!
//! ```json
//! {"sessions": [["01979a3d-1b02-7c94-8a16-52e0c3f7d9ab", 1500]],
//!  "users": [["01979a3c-8f4e-7b21-9c55-0d7f6a2b41e8", 1773480413000, 1500]]}
//! ```
//!
//! `missing` is there if the sender lacks entries that count for so many seconds more: it had no room for them. A reader
//! can't accept a token that expires within them, even if no entry concerns it.
//!
//! A session is `[id, seconds]`, a user `[id, least version, seconds]`. `seconds` is a span: how long to keep the
//! entry, counted from the moment it is read. So no entry depends on another machine's clock. Ids are opaque text of at
//! most 1 KiB. A reader ignores what it doesn't know: kinds of events, members, further elements of
//! an entry, and ids that no token here can have. What it can't parse is an error, so that nobody counts the event as
//! read.
//!
//! Every guard is tested with `tests/verdicts/feed.json`.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::claims_version::whole;
use crate::{ClaimsVersion, SessionId, Timestamp, UserId};

/// The longest id, in bytes.
pub const MAX_ID: usize = 1024;

/// What one event revokes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Revoked {
    /// Sessions that have ended.
    pub sessions: Vec<EndedSession>,
    /// Users whose older tokens are stale.
    pub users: Vec<LeastVersion>,
    /// For how many whole seconds an entry counts that the sender lacks; zero if it has all.
    #[serde(skip_serializing_if = "Duration::is_zero", serialize_with = "whole_seconds")]
    pub missing: Duration,
}

/// A session that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedSession {
    /// The session's id.
    pub session: SessionId,
    /// How many whole seconds to keep the entry, counted from reading it.
    pub keep: Duration,
}

/// A user whose tokens below a version are stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeastVersion {
    /// The user's id.
    pub user: UserId,
    /// The least version of their tokens that is not stale.
    pub version: ClaimsVersion,
    /// How many whole seconds to keep the entry, counted from reading it.
    pub keep: Duration,
}

/// The data is not that of a `revoked` event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the feed can't be read")]
pub struct Unreadable;

impl Revoked {
    /// Reads the data of a `revoked` event.
    ///
    /// # Errors
    /// [`Unreadable`] if an entry can't be parsed.
    pub fn read(data: &str) -> Result<Self, Unreadable> {
        let data: Value = serde_json::from_str(data).map_err(|_| Unreadable)?;
        let mut revoked = Self::default();
        for entry in entries(&data, "sessions")? {
            let (id, keep) = (text(entry, 0)?, span(entry, 1)?);
            revoked.sessions.extend(id.parse().ok().map(|session| EndedSession { session, keep }));
        }
        for entry in entries(&data, "users")? {
            let (id, keep) = (text(entry, 0)?, span(entry, 2)?);
            let version = ClaimsVersion::new(number(entry, 1)?).ok_or(Unreadable)?;
            revoked.users.extend(id.parse().ok().map(|user| LeastVersion { user, version, keep }));
        }
        if let Some(missing) = data.get("missing") {
            revoked.missing = Duration::from_secs(whole(missing).ok_or(Unreadable)?.unsigned_abs());
        }
        Ok(revoked)
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.users.is_empty() && self.missing.is_zero()
    }
}

impl Serialize for EndedSession {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.session, self.keep.as_secs()).serialize(serializer)
    }
}

impl Serialize for LeastVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.user, self.version, self.keep.as_secs()).serialize(serializer)
    }
}

fn whole_seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(span.as_secs())
}

/// The event that nothing is missing: `{"keys": "a4RBV3RN0nLzpIPK", "now": 1800000000000}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Current {
    /// The server's name for its published keys. Another name means other keys.
    pub keys: Option<String>,
    /// The server's time, by which it issues tokens. On the wire in milliseconds since 1970, from 0 to 2^53 - 1.
    pub now: Option<Timestamp>,
}

impl Current {
    /// Reads the data of a `current` event.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(data: &str) -> Result<Self, Unreadable> {
        let data: Value = serde_json::from_str(data).map_err(|_| Unreadable)?;
        let data = data.as_object().ok_or(Unreadable)?;
        let keys = data.get("keys").map(|keys| keys.as_str().map(str::to_owned).ok_or(Unreadable));
        let now = data.get("now").map(|now| whole(now).ok_or(Unreadable));
        let time = |millis: i64| Timestamp::from_micros(millis.saturating_mul(1_000));
        Ok(Self { keys: keys.transpose()?, now: now.transpose()?.map(time) })
    }
}

/// Whether a text can be the id of an event, which a follower sends back in `Last-Event-ID`: 1 to 1,024 characters of
/// visible ASCII. A follower ignores any other and keeps the one before.
pub fn is_event_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn entries<'a>(data: &'a Value, name: &str) -> Result<&'a [Value], Unreadable> {
    match data.as_object().ok_or(Unreadable)?.get(name) {
        None => Ok(&[]),
        Some(entries) => entries.as_array().map(Vec::as_slice).ok_or(Unreadable),
    }
}

fn text(entry: &Value, at: usize) -> Result<&str, Unreadable> {
    entry.get(at).and_then(Value::as_str).filter(|text| text.len() <= MAX_ID).ok_or(Unreadable)
}

fn number(entry: &Value, at: usize) -> Result<i64, Unreadable> {
    entry.get(at).and_then(whole).ok_or(Unreadable)
}

fn span(entry: &Value, at: usize) -> Result<Duration, Unreadable> {
    Ok(Duration::from_secs(number(entry, at)?.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SESSION: &str = "01979a3d-1b02-7c94-8a16-52e0c3f7d9ab";

    proptest! {
        #[test]
        fn what_is_written_is_read(
            sessions in prop::collection::vec((any::<[u8; 16]>(), 0..1_000_000_u64), 0..9),
            users in prop::collection::vec((any::<[u8; 16]>(), 0..=ClaimsVersion::MAX.get(), 0..1_000_000_u64), 0..9),
            missing in 0..9_u64,
        ) {
            let (id, secs) = (SessionId::from_bytes, Duration::from_secs);
            let written = Revoked {
                sessions: sessions.into_iter().map(|(session, keep)| EndedSession { session: id(session), keep: secs(keep) }).collect(),
                users: users.into_iter().map(|(user, version, keep)| LeastVersion {
                    user: UserId::from_bytes(user), version: ClaimsVersion::new(version).unwrap(), keep: secs(keep),
                }).collect(),
                missing: secs(missing),
            };
            prop_assert_eq!(Revoked::read(&serde_json::to_string(&written).unwrap()), Ok(written));
        }

        #[test]
        fn no_text_panics(text in ".{0,200}", number in any::<f64>()) {
            let _ = Revoked::read(&text);
            let _ = Revoked::read(&format!(r#"{{"sessions":[["{SESSION}",{number}]]}}"#));
        }
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        let keep = |number: &str| {
            let data = format!(r#"{{"sessions":[["{SESSION}",{number}]]}}"#);
            Revoked::read(&data).ok().map(|revoked| revoked.sessions[0].keep.as_secs())
        };
        for sixty in ["60", "60.0", "6e1", "600e-1"] {
            assert_eq!(keep(sixty), Some(60), "{sixty}");
        }
        assert_eq!((keep("0"), keep("-0")), (Some(0), Some(0)));
        assert_eq!(keep("9007199254740991"), Some((1 << 53) - 1));
        for none in
            ["9007199254740992", "1e16", "1e300", "-1", "0.5", "-0.5", "\"60\"", "null", "true", "[60]"]
        {
            assert_eq!(keep(none), None, "{none}");
        }
    }

    #[test]
    fn an_event_id_is_any_text_that_a_header_can_carry() {
        for good in ["7", "6f966d00f4281c1a-0", "!~", &"x".repeat(MAX_ID)] {
            assert!(is_event_id(good), "{good}");
        }
        for bad in ["", " ", "a b", "a\tb", "a\0", "ä", "\u{7f}", &"x".repeat(MAX_ID + 1)] {
            assert!(!is_event_id(bad), "{bad}");
        }
    }
}
