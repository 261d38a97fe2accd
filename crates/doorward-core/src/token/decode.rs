//! What a token says, without checking who wrote it.

use super::{MAX_LENGTH, base64url};

/// The two readable parts of a token, which anybody may have written: show them, but never trust them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The header as JSON text; `None` if it is not JSON.
    pub header: Option<String>,
    /// The payload as JSON text; `None` if it is not JSON.
    pub payload: Option<String>,
}

/// Reads what a token says, without checking who wrote it. A token longer than [`MAX_LENGTH`] is not read.
pub fn decode(token: &str) -> Decoded {
    let mut parts = token.split('.').filter(|_| token.len() <= MAX_LENGTH).map(|segment| {
        let json = String::from_utf8(base64url::decode(segment)?).ok()?;
        // A terminal obeys control characters, so a stranger's text must not contain any. Valid JSON needs none but
        // white space.
        let plain = json.replace(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t'), "\u{fffd}");
        serde_json::from_str::<serde::de::IgnoredAny>(&plain).ok().map(|_| plain)
    });
    Decoded { header: parts.next().flatten(), payload: parts.next().flatten() }
}
