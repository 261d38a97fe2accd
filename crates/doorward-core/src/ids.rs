use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a lower-case, hyphenated UUID")]
pub struct IdError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "&str", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a UUIDv7 (RFC 9562 section 5.7) from a time and ten random bytes.
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random).into_uuid())
            }

            /// The id with these 16 bytes, as the store keeps it.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes of the id.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Reads the one canonical spelling and refuses any other, so that no id has two texts.
            fn from_str(text: &str) -> Result<Self, IdError> {
                // Without an early exit, so that the compiler can check many bytes at once.
                let upper = text.bytes().fold(false, |upper, byte| upper | byte.is_ascii_uppercase());
                let canonical = text.len() == 36 && !upper;
                let id = Uuid::try_parse(text).ok().filter(|_| canonical).ok_or(IdError)?;
                Ok(Self(id))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdError;

            fn try_from(text: &str) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
    };
}

id!(
    /// The stable id of a user; never used again after the user is deleted.
    UserId
);
id!(
    /// The public id of a session, `sid` in tokens. It gives no access.
    SessionId
);
id!(
    /// The public id of a registered client (RFC 6749 section 2.2).
    ClientId
);
id!(
    /// The public id of a one-time link. It is not the secret in the link.
    LinkId
);
