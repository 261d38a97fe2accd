use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use uuid::Uuid;

use super::checks::{Check, Watch, require};
use super::strict_json::{self, Members, fill};
use super::{AppClaims, KeyError, SigningKey, base64url, jws};
use crate::role::RoleName;
use crate::sign_in::{Authentication, Methods};
use crate::{ClaimsVersion, Refusal, SessionId, Timestamp, UserId};

/// The claims of an access token or an assertion, besides the issuer and the audience. [`Claims::new`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// The user (`sub`).
    pub user: UserId,
    /// The session (`sid`).
    pub session: SessionId,
    /// The user's role now (`role`).
    pub role: RoleName,
    /// The version of the user's claims (`ver`).
    pub version: ClaimsVersion,
    /// When and how the user signed in (`auth_time`, `amr`).
    pub authentication: Authentication,
    /// When it is issued (`iat`), rounded down to the second.
    pub issued_at: Timestamp,
    /// The time from which it is refused (`exp`), rounded down to the second.
    pub expires_at: Timestamp,
    /// 16 random bytes that distinguish two tokens of one second (`jti`).
    pub jti: [u8; 16],
}

impl Claims {
    /// The least claims of a session: the role `user`, the claims version 0, an unknown sign-in. Set the other fields
    /// after it.
    pub fn new(
        user: UserId,
        session: SessionId,
        issued_at: Timestamp,
        expires_at: Timestamp,
        jti: [u8; 16],
    ) -> Self {
        let (role, version) = (RoleName::USER, ClaimsVersion::ZERO);
        let authentication = Authentication::UNKNOWN;
        Self { user, session, role, version, authentication, issued_at, expires_at, jti }
    }
}

/// The claims that a token must have here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// `iss`, exactly.
    pub issuer: String,
    /// `aud`, exactly: one string, not a list.
    pub audience: String,
    /// The longest life of a token, from `iat` to `exp`; [`LEEWAY`](super::LEEWAY) comes on top.
    pub max_ttl: Duration,
    /// The issuer before this one: its tokens are good too.
    pub former_issuer: Option<String>,
}

/// A checked access token: all its claims, and nothing on the heap. [`verify`](super::verify) makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessToken {
    /// The user (`sub`).
    pub user: UserId,
    /// The session (`sid`).
    pub session: SessionId,
    /// The user's role when it was issued (`role`).
    pub role: RoleName,
    /// The version of the user's claims when it was issued (`ver`); 0 if it has none.
    pub version: ClaimsVersion,
    /// When and how the user signed in (`auth_time` in whole seconds, `amr`); unknown if the token doesn't say so.
    pub authentication: Authentication,
    /// When it was issued (`iat`), in whole seconds.
    pub issued_at: Timestamp,
    /// The time from which it is refused (`exp`), in whole seconds.
    pub expires_at: Timestamp,
}

/// Makes a signed token (RFC 9068) with the issuer and audience that `names` expects.
///
/// # Errors
/// [`KeyError::Rejected`] if the cryptography library fails, for lack of randomness or memory.
pub fn issue(key: &SigningKey, names: &Expected, claims: &Claims) -> Result<String, KeyError> {
    issue_with(key, names, claims, &AppClaims::none())
}

/// The same, with an application's claims.
///
/// # Errors
/// As for [`issue`].
pub fn issue_with(
    key: &SigningKey,
    names: &Expected,
    claims: &Claims,
    app: &AppClaims,
) -> Result<String, KeyError> {
    let json = payload(&names.issuer, &names.audience, claims, app).map_err(|_| KeyError::Rejected)?;
    jws::sign(key, key.header_segment(), &json)
}

/// The type of an assertion in its header: no access token has it, and no assertion has another (attack J31).
pub const ASSERTION_TYPE: &str = "doorward-identity+jwt";

/// Makes a signed assertion for the application with this `audience`: the sender of the request that it comes with. It
/// gives no access to Doorward itself.
///
/// # Errors
/// As for [`issue`].
pub fn assert_identity(
    key: &SigningKey,
    issuer: &str,
    audience: &str,
    claims: &Claims,
) -> Result<String, KeyError> {
    let json = payload(issuer, audience, claims, &AppClaims::none()).map_err(|_| KeyError::Rejected)?;
    jws::sign(key, &key.header_segment_of(ASSERTION_TYPE), &json)
}

/// The claims as JSON. Ids, role and `jti` need no escapes; the names may hold anything.
fn payload(
    issuer: &str,
    audience: &str,
    claims: &Claims,
    app: &AppClaims,
) -> Result<Vec<u8>, serde_json::Error> {
    let (mut sub, mut sid, mut jti) = ([0; 36], [0; 36], [0; 22]);
    let id = |bytes: &[u8; 16]| Uuid::from_bytes(*bytes);
    let mut json = Vec::with_capacity(issuer.len() + audience.len() + 256);
    json.extend_from_slice(br#"{"iss":"#);
    serde_json::to_writer(&mut json, issuer)?;
    json.extend_from_slice(br#","aud":"#);
    serde_json::to_writer(&mut json, audience)?;
    for (name, value) in [
        (r#","sub":""#, &*id(claims.user.as_bytes()).as_hyphenated().encode_lower(&mut sub)),
        (r#"","sid":""#, &*id(claims.session.as_bytes()).as_hyphenated().encode_lower(&mut sid)),
        (r#"","role":""#, claims.role.as_str()),
        (r#"","jti":""#, base64url::encode_into(&claims.jti, &mut jti)),
    ] {
        json.extend_from_slice(name.as_bytes());
        json.extend_from_slice(value.as_bytes());
    }
    json.extend_from_slice(br#"","iat":"#);
    serde_json::to_writer(&mut json, &claims.issued_at.as_secs())?;
    json.extend_from_slice(br#","exp":"#);
    serde_json::to_writer(&mut json, &claims.expires_at.as_secs())?;
    json.extend_from_slice(br#","ver":"#);
    serde_json::to_writer(&mut json, &claims.version)?;
    json.extend_from_slice(br#","auth_time":"#);
    serde_json::to_writer(&mut json, &claims.authentication.at.as_secs())?;
    json.extend_from_slice(br#","amr":"#);
    serde_json::to_writer(&mut json, &claims.authentication.methods)?;
    if let Some(app) = app.as_json() {
        json.extend_from_slice(br#","app":"#);
        json.extend_from_slice(app.as_bytes());
    }
    json.push(b'}');
    Ok(json)
}

/// The payload of a correctly signed token: every claim there, once, with its type.
pub(super) struct Payload<'a> {
    issuer: Cow<'a, str>,
    audience: Cow<'a, str>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) token: AccessToken,
}

impl<'a> Payload<'a> {
    /// Parses the payload segment; its bytes go to `small`, so that the usual one needs no heap, otherwise to `large`.
    #[inline]
    pub(super) fn read<W: Watch>(
        segment: &str,
        small: &'a mut [u8],
        large: &'a mut Vec<u8>,
        watch: &mut W,
    ) -> Result<Self, Refusal> {
        let mut claims = Present::default();
        let Some(json) = base64url::decode_borrowed(segment, small, large) else {
            return refuse(watch, || "not canonical base64url".into());
        };
        if let Err(error) = strict_json::object(json, &mut claims) {
            return refuse(watch, || error.to_string());
        }
        match claims.complete() {
            Err(problem) => refuse(watch, || problem.into()),
            Ok(payload) => {
                watch.saw(Check::Claims, true, || "every required claim, once, with its type".into());
                Ok(payload)
            }
        }
    }

    /// RFC 7519 sections 4.1.1 and 4.1.3, compared exactly: no prefix, no case folding, no list (attacks J29, J30).
    pub(super) fn require_names<W: Watch>(&self, expected: &Expected, watch: &mut W) -> Result<(), Refusal> {
        let former = expected.former_issuer.as_ref();
        let known = self.issuer == expected.issuer || former.is_some_and(|former| self.issuer == *former);
        require(watch, Check::Issuer, known, || {
            format!("iss {:?}, expected {:?}", self.issuer, expected.issuer)
        })?;
        require(watch, Check::Audience, self.audience == expected.audience, || {
            format!("aud {:?}, expected {:?}", self.audience, expected.audience)
        })
    }
}

fn refuse<W: Watch, T>(watch: &mut W, detail: impl FnOnce() -> String) -> Result<T, Refusal> {
    watch.saw(Check::Claims, false, detail);
    Err(Refusal::TokenInvalid)
}

/// The existing claims.
#[derive(Default)]
struct Present<'a> {
    iss: Option<Text<'a>>,
    aud: Option<Text<'a>>,
    sub: Option<&'a str>,
    sid: Option<&'a str>,
    role: Option<&'a str>,
    jti: Option<Text<'a>>,
    iat: Option<i64>,
    exp: Option<i64>,
    nbf: Option<i64>,
    ver: Option<i64>,
    auth_time: Option<i64>,
    amr: Option<Methods>,
}

impl<'de> Members<'de> for Present<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &'de str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "iss" => fill(&mut self.iss, name, map),
            "aud" => fill(&mut self.aud, name, map),
            "sub" => fill(&mut self.sub, name, map),
            "sid" => fill(&mut self.sid, name, map),
            "role" => fill(&mut self.role, name, map),
            "jti" => fill(&mut self.jti, name, map),
            "iat" => fill(&mut self.iat, name, map),
            "exp" => fill(&mut self.exp, name, map),
            "nbf" => fill(&mut self.nbf, name, map),
            "ver" => fill(&mut self.ver, name, map),
            "auth_time" => fill(&mut self.auth_time, name, map),
            "amr" => fill(&mut self.amr, name, map),
            _ => Ok(false),
        }
    }
}

impl<'a> Present<'a> {
    /// Each claim that Doorward issues is required (attack J27), and each id in its one spelling (attack J28). Only `ver`,
    /// `auth_time` and `amr` may be missing: they count as the lowest version, the longest time ago, and no method.
    #[inline]
    fn complete(self) -> Result<Payload<'a>, &'static str> {
        let jti = self.jti.ok_or("missing claim: jti")?.0;
        if jti.is_empty() || jti.len() > 128 {
            return Err("jti: expected 1 to 128 bytes");
        }
        let time = |secs: i64| if secs < 0 { None } else { Some(Timestamp::from_secs(secs)) };
        let token = AccessToken {
            user: self.sub.ok_or("missing claim: sub")?.parse().map_err(|_| "sub: not a user's id")?,
            session: self.sid.ok_or("missing claim: sid")?.parse().map_err(|_| "sid: not a session's id")?,
            role: self.role.ok_or("missing claim: role")?.parse().map_err(|_| "role: not a role's name")?,
            version: ClaimsVersion::new(self.ver.unwrap_or(0)).ok_or("ver: out of range")?,
            authentication: Authentication {
                at: time(self.auth_time.unwrap_or(0)).ok_or("auth_time: before 1970")?,
                methods: self.amr.unwrap_or_default(),
            },
            issued_at: time(self.iat.ok_or("missing claim: iat")?).ok_or("iat: before 1970")?,
            expires_at: time(self.exp.ok_or("missing claim: exp")?).ok_or("exp: before 1970")?,
        };
        Ok(Payload {
            issuer: self.iss.ok_or("missing claim: iss")?.0,
            audience: self.aud.ok_or("missing claim: aud")?.0,
            not_before: self.nbf.map(|secs| time(secs).ok_or("nbf: before 1970")).transpose()?,
            token,
        })
    }
}

/// A string, borrowed if it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}
