//! The tests of access tokens, and what they share: keys, a good token, and helpers to sign a bad one.

mod app_claims;
mod attacks_on_claims;
mod attacks_on_form;
mod attacks_on_keys;
mod explaining;
mod oracle;
mod properties;
mod vectors;

use std::sync::LazyLock;
use std::time::Duration;

use super::*;
use crate::role::RoleName;
use crate::sign_in::{Authentication, Method, Methods};
use crate::{ClaimsVersion, Refusal, Secret, SessionId, Timestamp, UserId};

pub(super) const SECRET: &[u8] = b"T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p";

pub(super) static HS256: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::hs256(&Secret::new(SECRET)).unwrap());
pub(super) static ES256: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap());
pub(super) static EDDSA: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::EdDsa).unwrap());
pub(super) static RS256: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Rs256).unwrap());

pub(super) fn every_key() -> [&'static SigningKey; 4] {
    [&HS256, &ES256, &EDDSA, &RS256]
}

pub(super) fn only(key: &SigningKey) -> KeySet {
    KeySet::new(vec![key.verifying_key()]).unwrap()
}

/// 2027-01-15T08:00:00Z.
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(super) const MAX_TTL: Duration = Duration::from_secs(900);

pub(super) fn expected() -> Expected {
    Expected { issuer: "doorward".into(), audience: "doorward".into(), max_ttl: MAX_TTL, former_issuer: None }
}

pub(super) fn claims() -> Claims {
    Claims {
        user: UserId::new(NOW, [1; 10]),
        session: SessionId::new(NOW, [2; 10]),
        role: RoleName::USER,
        version: ClaimsVersion::new(7).unwrap(),
        authentication: Authentication { at: NOW - MAX_TTL, methods: Methods::of(Method::Password) },
        issued_at: NOW,
        expires_at: NOW + MAX_TTL,
        jti: [3; 16],
    }
}

pub(super) fn good(key: &SigningKey) -> String {
    issue(key, &expected(), &claims()).unwrap()
}

/// A header like our own, with one member replaced, added, or (`None`) left out. Values are JSON text.
pub(super) fn header(key: &SigningKey, name: &str, value: Option<&str>) -> String {
    let (alg, kid) = (format!("\"{}\"", key.algorithm()), format!("\"{}\"", key.kid()));
    object(&[("alg", &alg), ("kid", &kid), ("typ", "\"at+jwt\"")], name, value)
}

/// A payload like our own, changed as [`header`] changes a header.
pub(super) fn payload(name: &str, value: Option<&str>) -> String {
    let claims = claims();
    let (sub, sid) = (format!("\"{}\"", claims.user), format!("\"{}\"", claims.session));
    let (iat, exp) = (NOW.as_secs().to_string(), (NOW + MAX_TTL).as_secs().to_string());
    let auth_time = (NOW - MAX_TTL).as_secs().to_string();
    let usual = [
        ("iss", "\"doorward\""),
        ("aud", "\"doorward\""),
        ("sub", &sub),
        ("sid", &sid),
        ("role", "\"user\""),
        ("jti", "\"AwMDAwMDAwMDAwMDAwMDAw\""),
        ("iat", &iat),
        ("exp", &exp),
        ("ver", "7"),
        ("auth_time", &auth_time),
        ("amr", "[\"pwd\"]"),
    ];
    object(&usual, name, value)
}

fn object(usual: &[(&str, &str)], name: &str, value: Option<&str>) -> String {
    let mut members = usual.to_vec();
    members.retain(|(known, _)| *known != name);
    members.extend(value.map(|value| (name, value)));
    let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// A JWS of any header and payload, with a good signature of `key`.
pub(super) fn sign(key: &SigningKey, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    sign_text(key, &format!("{}.{}", base64url::encode(header), base64url::encode(payload)))
}

/// The same from an unchanged signing input.
pub(super) fn sign_text(key: &SigningKey, signed: &str) -> String {
    let mut token = signed.as_bytes().to_vec();
    key.append_signature(&mut token).unwrap();
    String::from_utf8(token).unwrap()
}

/// A JWS with this payload, otherwise usual and correctly signed.
pub(super) fn signed_payload(payload: impl AsRef<[u8]>) -> String {
    sign(&HS256, header(&HS256, "", None), payload)
}

/// The answer of `verify` to `token`, after checking that the explanation agrees.
#[track_caller]
pub(super) fn judge(token: &str, keys: &KeySet) -> Result<AccessToken, Refusal> {
    let outcome = verify(token, keys, &expected(), NOW);
    assert_eq!(explain(token, keys, &expected(), NOW).outcome, outcome, "{token}");
    outcome
}

/// Checks that `token` is refused as invalid, by this check and no other, and at the logout too.
#[track_caller]
pub(super) fn refused(token: &str, keys: &KeySet, by: Check) {
    assert_eq!(judge(token, keys), Err(Refusal::TokenInvalid), "{token}");
    assert_eq!(verify_ignoring_expiry(token, keys, &expected(), NOW), Err(Refusal::TokenInvalid), "{token}");
    let steps = explain(token, keys, &expected(), NOW).steps;
    let failed = steps.into_iter().find(|step| step.verdict == Verdict::Failed).unwrap();
    assert_eq!(failed.check, by, "{}: {token}", failed.detail);
}

#[test]
fn a_token_of_every_algorithm_says_who_and_until_when() {
    for key in every_key() {
        let token = judge(&good(key), &only(key)).unwrap();
        let Claims { user, session, role, version, authentication, issued_at, expires_at, .. } = claims();
        let said = AccessToken { user, session, role, version, authentication, issued_at, expires_at };
        assert_eq!(token, said);
    }
}

#[test]
fn what_the_tests_sign_by_hand_is_as_good_as_what_is_issued() {
    let by_hand = signed_payload(payload("", None));
    assert_eq!(judge(&by_hand, &only(&HS256)), judge(&good(&HS256), &only(&HS256)));
    assert!(judge(&by_hand, &only(&HS256)).is_ok());
}

#[test]
fn an_expired_token_is_told_apart_and_still_ends_its_session() {
    let (token, keys) = (good(&HS256), only(&HS256));
    let end = NOW + MAX_TTL;
    assert!(verify(&token, &keys, &expected(), end - Duration::from_micros(1)).is_ok());
    assert_eq!(verify(&token, &keys, &expected(), end), Err(Refusal::TokenExpired));
    assert_eq!(verify_ignoring_expiry(&token, &keys, &expected(), end).unwrap().session, claims().session);
}

#[test]
fn names_that_need_escapes_in_json_are_compared_as_what_they_mean() {
    let names = Expected { issuer: "a\"b\\c\n\u{e9}".into(), ..expected() };
    let token = issue(&HS256, &names, &claims()).unwrap();
    assert!(verify(&token, &only(&HS256), &names, NOW).is_ok());
    assert_eq!(verify(&token, &only(&HS256), &expected(), NOW), Err(Refusal::TokenInvalid));
}

#[test]
fn a_long_issuer_takes_the_heap_and_changes_nothing() {
    let names = Expected { issuer: format!("https://{}.example", "a".repeat(600)), ..expected() };
    let token = issue(&HS256, &names, &claims()).unwrap();
    assert!(verify(&token, &only(&HS256), &names, NOW).is_ok());
}

#[test]
fn a_stored_key_comes_back_as_the_same_key() {
    for key in [&*ES256, &EDDSA, &RS256] {
        let again = SigningKey::from_pkcs8(key.algorithm(), key.to_pkcs8().unwrap().expose()).unwrap();
        assert_eq!(again.kid(), key.kid());
        assert!(judge(&good(&again), &only(key)).is_ok());
        let wrong = Algorithm::ALL.into_iter().filter(|other| *other != key.algorithm());
        for algorithm in wrong {
            assert!(SigningKey::from_pkcs8(algorithm, key.to_pkcs8().unwrap().expose()).is_err());
        }
        assert!(SigningKey::from_pkcs8(key.algorithm(), b"").is_err());
    }
    assert!(HS256.to_pkcs8().is_none());
}

#[test]
fn algorithms_are_named_as_jose_names_them() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
        assert_eq!(algorithm.as_str().to_ascii_lowercase().parse::<Algorithm>(), Err(AlgorithmError));
    }
}
