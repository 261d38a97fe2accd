//! The compact serialisation of a JSON Web Signature (RFC 7515 section 7.1): one parser and one writer for every use.
//!
//! The JSON serialisations, unencoded and detached payloads (RFC 7797), JWE and compression are not supported.

use serde::de::{Error, MapAccess};

use super::checks::{Check, Unwatched, Watch, require};
use super::strict_json::{self, Members, fill};
use super::{KeyError, KeySet, MAX_LENGTH, SigningKey, VerifyingKey, base64url};
use crate::Refusal;

/// Checks a compact JWS under one key and returns its payload, of whatever content. The caller checks `kid` and `typ`;
/// for access tokens [`super::verify`] does.
///
/// # Errors
/// [`Refusal::TokenInvalid`] if the form, the header or the signature is wrong.
pub fn verify(compact: &str, key: &VerifyingKey) -> Result<Vec<u8>, Refusal> {
    let jws = Compact::split(compact, &mut Unwatched)?;
    let header = jws.decode_header(&mut Unwatched)?;
    Header::read(&header, &mut Unwatched)?.require_algorithm(key, &mut Unwatched)?;
    jws.require_signature(key, &mut Unwatched)?;
    base64url::decode(jws.payload).ok_or(Refusal::TokenInvalid)
}

/// Signs a payload under a header segment of this key: the one writer of tokens.
pub(super) fn sign(key: &SigningKey, header: &str, payload: &[u8]) -> Result<String, KeyError> {
    let mut token = Vec::with_capacity(header.len() + payload.len() * 4 / 3 + SIGNATURE);
    token.extend_from_slice(header.as_bytes());
    token.push(b'.');
    base64url::append(&mut token, payload);
    key.append_signature(&mut token)?;
    String::from_utf8(token).map_err(|_| KeyError::Rejected)
}

/// Room for two dots, a rounding and the signature of every algorithm but RSA.
const SIGNATURE: usize = 90;

/// Whether the header names a key that is not in the set, which may then be out of date. Nothing in the header is
/// trusted.
pub fn names_unknown_key(compact: &str, keys: &KeySet) -> bool {
    let header = Compact::split(compact, &mut Unwatched).and_then(|jws| jws.decode_header(&mut Unwatched));
    let unknown = |bytes: &[u8]| {
        let header = Header::read(bytes, &mut Unwatched).ok()?;
        header.require_access_token(&mut Unwatched).ok()?;
        Some(keys.find(header.kid?).is_none())
    };
    header.is_ok_and(|bytes| unknown(&bytes) == Some(true))
}

/// The three parts of a compact JWS, as they are in its text.
#[derive(Clone, Copy)]
pub(super) struct Compact<'a> {
    /// What is signed: header, dot, payload.
    pub(super) signed: &'a str,
    pub(super) header: &'a str,
    pub(super) payload: &'a str,
    pub(super) signature: &'a str,
}

impl<'a> Compact<'a> {
    /// Splits `text` at its two dots; its length is checked before anything is read (attacks J08, J21).
    pub(super) fn split<W: Watch>(text: &'a str, watch: &mut W) -> Result<Self, Refusal> {
        require(watch, Check::Length, text.len() <= MAX_LENGTH, || {
            format!("{} bytes, at most {MAX_LENGTH}", text.len())
        })?;
        let parts = Self::parts(text);
        require(watch, Check::Form, parts.is_some(), || {
            format!("{} dots, a compact JWS has 2", text.bytes().filter(|byte| *byte == b'.').count())
        })?;
        parts.ok_or(Refusal::TokenInvalid)
    }

    fn parts(text: &'a str) -> Option<Self> {
        let (header, rest) = text.split_once('.')?;
        let (payload, signature) = rest.split_once('.')?;
        let (signed, _) = text.split_at_checked(header.len() + 1 + payload.len())?;
        (!signature.contains('.')).then_some(Self { signed, header, payload, signature })
    }

    /// The key that this token says it is signed with, from its header; `watch` sees four checks.
    pub(super) fn key<'k, W: Watch>(
        &self,
        keys: &'k KeySet,
        watch: &mut W,
    ) -> Result<&'k VerifyingKey, Refusal> {
        // The usual path: a header that one of our own keys writes was checked when that key was made.
        if let Some(key) = keys.find_by_header(self.header) {
            for check in [Check::Header, Check::Key, Check::Algorithm, Check::Type] {
                watch.saw(check, true, || format!("as key {:?} writes it", key.kid()));
            }
            return Ok(key);
        }
        let bytes = self.decode_header(watch)?;
        let header = Header::read(&bytes, watch)?;
        let key = header.kid.and_then(|kid| keys.find(kid));
        require(watch, Check::Key, key.is_some(), || match header.kid {
            Some(kid) if key.is_none() => {
                format!("kid {kid:?} is none of this server's: another server made it, or its key is gone")
            }
            Some(kid) => format!("kid {kid:?}"),
            None => "no kid".into(),
        })?;
        let key = key.ok_or(Refusal::TokenInvalid)?;
        header.require_algorithm(key, watch)?;
        header.require_access_token(watch)?;
        Ok(key)
    }

    fn decode_header<W: Watch>(&self, watch: &mut W) -> Result<Vec<u8>, Refusal> {
        base64url::decode(self.header).ok_or_else(|| {
            watch.saw(Check::Header, false, || "not canonical base64url".into());
            Refusal::TokenInvalid
        })
    }

    pub(super) fn require_signature<W: Watch>(
        &self,
        key: &VerifyingKey,
        watch: &mut W,
    ) -> Result<(), Refusal> {
        let good = key.verifies(self.signed.as_bytes(), self.signature);
        require(watch, Check::Signature, good, || {
            let told = if good { "" } else { " does not match: the token was changed or cut" };
            format!("{} under key {:?}{told}", key.algorithm(), key.kid())
        })
    }
}

/// The header parameters that count. `jwk`, `jku`, `x5u` and `x5c` are not among them. A key comes from the server's
/// own set, never from the token, and nothing is ever fetched (attacks J06, J07).
#[derive(Default)]
struct Header<'a> {
    alg: Option<&'a str>,
    kid: Option<&'a str>,
    typ: Option<&'a str>,
}

impl<'de> Members<'de> for Header<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &'de str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "alg" => fill(&mut self.alg, name, map),
            "kid" => fill(&mut self.kid, name, map),
            "typ" => fill(&mut self.typ, name, map),
            // Each of these would change how the rest must be read, which is not supported (attacks J16 to J20).
            "crit" | "b64" | "zip" | "enc" | "cty" => {
                Err(A::Error::custom(format_args!("the parameter {name:?} is not supported")))
            }
            _ => Ok(false),
        }
    }
}

impl<'a> Header<'a> {
    fn read<W: Watch>(json: &'a [u8], watch: &mut W) -> Result<Self, Refusal> {
        let mut header = Self::default();
        let read = strict_json::object(json, &mut header);
        let problem = read.as_ref().err();
        require(watch, Check::Header, problem.is_none(), || {
            problem.map_or_else(|| "one JSON object, nothing twice".into(), ToString::to_string)
        })?;
        Ok(header)
    }

    /// The header's algorithm is compared with the key's, and never selects it (RFC 8725 section 3.1; attacks J01,
    /// J02).
    fn require_algorithm<W: Watch>(&self, key: &VerifyingKey, watch: &mut W) -> Result<(), Refusal> {
        let ours = key.algorithm().as_str();
        require(watch, Check::Algorithm, self.alg == Some(ours), || {
            format!("alg {:?}, the key is for {ours:?}", self.alg)
        })
    }

    /// RFC 9068 section 4: no other kind of JWT is accepted as an access token (attack J31).
    fn require_access_token<W: Watch>(&self, watch: &mut W) -> Result<(), Refusal> {
        let typed = self.typ.is_some_and(|typ| {
            typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
        });
        require(watch, Check::Type, typed, || format!("typ {:?}, expected \"at+jwt\"", self.typ))
    }
}
