//! What somebody sent in place of an access token, by its form alone.

use std::str::FromStr;

use serde_json::Value;

use super::decode::decode;
use crate::refresh::is_like_one;
use crate::{ClientId, OpaqueSecret};

/// What a text is by its form. Nothing in it is checked or trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its stable name.
    pub name: &'static str,
    /// What it is, what it is for, and who may hold it.
    pub text: &'static str,
}

macro_rules! kinds {
    ($($variant:ident = $name:literal, $text:literal;)+) => {
        impl Kind {
            $(const $variant: Self = Self { name: $name, text: $text };)+
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant),+];
        }
    };
}

kinds! {
    AUTHORIZATION = "authorization_header", "This is an Authorization header: the token is the part after `Bearer`.";
    CLIENT = "client_credentials", "This is the id and the secret of a registered client: /introspect, /revoke and /revocations take them as Basic credentials. Only that program may hold them.";
    COOKIE = "cookie", "This is a cookie: the token is the part after the `=`.";
    REFRESH_TOKEN = "refresh_token", "This is a refresh token: /refresh exchanges it for an access token, and it gives no other access. Only the client that signed in may hold it, and each use replaces it.";
    SECRET = "secret", "This is a secret of 256 random bits, like that of a session's cookie, a known device, a registered client, a reset link or an invitation: it says nothing by itself, and the database has only its hash. Only its owner may hold it.";
    DEVICE = "device", "This is what a known device keeps, a secret for each account: with it, wrong guesses of others don't lock the owner out. It signs nobody in, and only that browser or program may hold it.";
    RESET_LINK = "reset_link", "This is a link to set a new password, good once and for a short time. It opens the account, so only its owner may hold it.";
    INVITATION = "invitation", "This is an invitation to register, good once. Only the invited person may hold it.";
    LINK = "link", "This is a link. If it was sent to somebody, it may hold a secret, and only that person may hold it.";
    ENCRYPTED = "encrypted_token", "This is an encrypted token (JWE): Doorward makes none and reads none.";
    UNSIGNED = "unsigned_token", "This token has no signature (alg none): anybody can write one, so none is accepted.";
    ASSERTION = "identity_assertion", "This is an identity assertion: /forward-auth gives it to one application, for a minute. Only that application may hold it, and Doorward accepts it nowhere.";
    FOREIGN = "foreign_secret", "This token is signed with a shared secret (HMAC), and names no key of this server: another program made it, or JWT_SECRET was another.";
    FLOW = "flow", "This is a recorded flow: the steps of one request, without its secrets. Those who may see the flows of that server may hold it.";
    ANSWER = "sign_in_answer", "This is the answer of a sign-in, with more than one credential: look at one of them at a time. Only the client that signed in may hold them.";
    PUBLIC_KEY = "public_key", "This is a public key (JWK): it verifies tokens and makes none, so everybody may hold it.";
    PRIVATE_KEY = "private_key", "This is a private key: with it, anybody can sign tokens. Only the server may hold it.";
    PASSWORD_HASH = "password_hash", "This is the hash of a password. Only the database may hold it.";
    ID = "id", "This is the id of a user, a session or a client: it is public, and opens nothing.";
}

/// Describes this text if it is one of the things that are often mistaken for an access token. Nothing in it is checked
/// or trusted.
pub fn recognise(text: &str) -> Option<Kind> {
    let text = text.trim();
    let begins =
        |prefix: &str| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if begins("authorization: basic ") || begins("basic ") || is_client(text) {
        return Some(Kind::CLIENT);
    }
    if begins("bearer ") || begins("authorization:") {
        return Some(Kind::AUTHORIZATION);
    }
    if begins("https://") || begins("http://") || begins("/") {
        return Some(of_link(text));
    }
    if text.starts_with('{') {
        return of_json(text);
    }
    if text.starts_with("-----BEGIN") {
        return text.contains("PRIVATE KEY").then_some(Kind::PRIVATE_KEY);
    }
    if text.starts_with("$2") || text.starts_with("$argon2") {
        return Some(Kind::PASSWORD_HASH);
    }
    if begins("cookie:") || begins("set-cookie:") || is_cookie(text) {
        return Some(Kind::COOKIE);
    }
    if is_like_one(text) {
        return Some(Kind::REFRESH_TOKEN);
    }
    if OpaqueSecret::parse(text).is_some() {
        return Some(Kind::SECRET);
    }
    if ClientId::from_str(text).is_ok() {
        return Some(Kind::ID);
    }
    let header = decode(text).header;
    let is_device = || text.contains('.') && text.split('.').all(|part| OpaqueSecret::parse(part).is_some());
    match header {
        Some(header) => of_token(text, &header),
        None => is_device().then_some(Kind::DEVICE),
    }
}

/// A token that is no access token, by its header.
fn of_token(text: &str, header: &str) -> Option<Kind> {
    let header: Value = serde_json::from_str(header).ok()?;
    let is =
        |name: &str, value: &str| header.get(name)?.as_str().map(|said| said.eq_ignore_ascii_case(value));
    if text.split('.').count() == 5 {
        return Some(Kind::ENCRYPTED);
    }
    if is("alg", "none") == Some(true) {
        return Some(Kind::UNSIGNED);
    }
    (is("typ", "doorward-identity+jwt") == Some(true)).then_some(Kind::ASSERTION)
}

/// Id and secret with a colon between them.
fn is_client(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(id, secret)| ClientId::from_str(id).is_ok() && OpaqueSecret::parse(secret).is_some())
}

fn is_cookie(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    text.split_once('=').is_some_and(|(name, value)| is_name(name) && !value.trim_matches('=').is_empty())
}

fn of_link(text: &str) -> Kind {
    let has = |path: &str| text.split('#').next().is_some_and(|link| link.contains(path));
    match text {
        _ if has("/password/reset?token=") => Kind::RESET_LINK,
        _ if has("/register?invite=") => Kind::INVITATION,
        _ => Kind::LINK,
    }
}

fn of_json(text: &str) -> Option<Kind> {
    let json: Value = serde_json::from_str(text).ok()?;
    let has = |name: &str| json.get(name).is_some();
    Some(match () {
        () if has("doorward_flow") => Kind::FLOW,
        () if has("kty") && (has("d") || has("k")) => Kind::PRIVATE_KEY,
        () if has("kty") || has("keys") => Kind::PUBLIC_KEY,
        () if has("token") || has("access_token") || has("refresh_token") => Kind::ANSWER,
        () => return None,
    })
}

/// Describes a token that is signed with a shared secret and not with one of this server's keys.
pub(super) fn is_foreign_secret(text: &str) -> Option<Kind> {
    let header: Value = serde_json::from_str(&decode(text).header?).ok()?;
    let algorithm = header.get("alg")?.as_str()?;
    matches!(algorithm, "HS256" | "HS384" | "HS512").then_some(Kind::FOREIGN)
}
