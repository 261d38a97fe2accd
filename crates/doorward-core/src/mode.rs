use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::message::{Message, error_with_message};

/// How a client holds its credential. A session keeps the mode it began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// Access and refresh token in the body, sent as `Authorization: Bearer` (RFC 6750).
    Bearer,
    /// The same two tokens in HttpOnly cookies.
    Cookie,
    /// A random session secret in an HttpOnly cookie, and no token.
    Session,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Bearer, Self::Cookie, Self::Session];

    /// Whether the client holds tokens, rather than a session secret.
    pub const fn has_tokens(self) -> bool {
        match self {
            Self::Bearer | Self::Cookie => true,
            Self::Session => false,
        }
    }

    /// The mode's name in the API, the settings and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Cookie => "cookie",
            Self::Session => "session",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or(ModeError)
    }
}

/// The text is not a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeError;

impl ModeError {
    /// What it says.
    pub fn message(self) -> Message {
        Message::new("mode-unknown")
    }
}

error_with_message!(ModeError);
