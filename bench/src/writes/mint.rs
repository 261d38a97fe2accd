//! Many live sessions without as many sign-ins: copies of one row, and access tokens for them.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::crowd::text;
use crate::Result;
use crate::server::JWT_SECRET;

/// A session that is copied.
pub(super) struct Pattern {
    header: String,
    claims: String,
    session: String,
    user: String,
}

impl Pattern {
    /// The session of this access token under HS256.
    pub(super) fn of(token: &str) -> Result<Self> {
        let parts: Vec<_> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else { return Err("not an access token".into()) };
        if signature != sign(&format!("{header}.{claims}"))? {
            return Err("the access token is not signed with the secret of the bench".into());
        }
        let claims = String::from_utf8(BASE64.decode(claims)?)?;
        let read: Value = serde_json::from_str(&claims)?;
        let (session, user) = (text(&read, "sid")?, text(&read, "sub")?);
        Ok(Self { header: header.to_owned(), claims, session, user })
    }

    /// The id of a copy, as hexadecimal digits: it begins as the session's own, with the same time.
    pub(super) fn copy(&self, number: u64) -> String {
        format!("{}{number:016x}", self.prefix())
    }

    /// What the ids of the session and its copies have in common.
    pub(super) fn prefix(&self) -> String {
        self.session.replace('-', "").chars().take(16).collect()
    }

    /// The id of the session.
    pub(super) fn id(&self) -> String {
        self.session.replace('-', "")
    }

    /// The id of its user.
    pub(super) fn user(&self) -> String {
        self.user.replace('-', "")
    }

    /// The access token of a copy.
    pub(super) fn token(&self, number: u64) -> Result<String> {
        let id = self.copy(number);
        let cuts = [0..8, 8..12, 12..16, 16..20, 20..32];
        let groups: Vec<_> = cuts.into_iter().filter_map(|cut| id.get(cut)).collect();
        let claims = self.claims.replace(&self.session, &groups.join("-"));
        let signed = format!("{}.{}", self.header, BASE64.encode(claims));
        Ok(format!("{signed}.{}", sign(&signed)?))
    }
}

fn sign(text: &str) -> Result<String> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(JWT_SECRET.as_bytes())?;
    mac.update(text.as_bytes());
    Ok(BASE64.encode(mac.finalize().into_bytes()))
}
