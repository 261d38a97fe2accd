//! What somebody sent in place of an access token, by its form alone.

use serde_json::Value;

use super::decode::decode;
use crate::OpaqueSecret;
use crate::refresh::is_like_one;

/// Describes this text if it is one of the things that are often mistaken for an access token. Nothing in it is checked
/// or trusted.
pub fn recognise(text: &str) -> Option<&'static str> {
    let begins =
        |prefix: &str| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if begins("bearer ") || begins("authorization:") {
        return Some("This is an Authorization header: the token is the part after `Bearer`.");
    }
    if begins("__host-") || begins("__secure-") {
        return Some("This is a cookie: the token is the part after the `=`.");
    }
    if is_like_one(text) {
        return Some(
            "This is a refresh token: /refresh exchanges it for an access token, and it gives no other access.",
        );
    }
    if OpaqueSecret::parse(text).is_some() {
        return Some(
            "This is a secret of 256 random bits, like that of a session's cookie, a reset link or an invitation: it says nothing by itself, and the database has only its hash.",
        );
    }
    let parts = text.split('.').count();
    let header: Value = serde_json::from_str(&decode(text).header?).ok()?;
    let is =
        |name: &str, value: &str| header.get(name)?.as_str().map(|said| said.eq_ignore_ascii_case(value));
    if parts == 5 {
        return Some("This is an encrypted token (JWE): Doorward makes none and reads none.");
    }
    if is("alg", "none") == Some(true) {
        return Some("This token has no signature (alg none): anybody can write one, so none is accepted.");
    }
    if is("typ", "doorward-identity+jwt") == Some(true) {
        return Some(
            "This is an identity assertion: /forward-auth gives it to one application, for a minute.",
        );
    }
    None
}

/// Describes a token that is signed with a shared secret and not with one of this server's keys.
pub(super) fn is_foreign_secret(text: &str) -> Option<&'static str> {
    let header: Value = serde_json::from_str(&decode(text).header?).ok()?;
    let algorithm = header.get("alg")?.as_str()?;
    matches!(algorithm, "HS256" | "HS384" | "HS512").then_some(
        "This token is signed with a shared secret (HMAC), and names no key of this server: another program made it, or JWT_SECRET was another.",
    )
}
