//! What holds for every input.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::*;

#[test]
fn a_flipped_bit_anywhere_refuses_the_token() {
    for key in [&*HS256, &EDDSA] {
        let (token, keys) = (good(key), only(key));
        for at in 0..token.len() {
            for bit in 0..8 {
                let mut bytes = token.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                if let Ok(altered) = String::from_utf8(bytes) {
                    let outcome = verify(&altered, &keys, &expected(), NOW);
                    assert_eq!(outcome, Err(Refusal::TokenInvalid), "bit {bit} of byte {at}");
                }
            }
        }
    }
}

#[test]
fn every_cut_refuses_the_token() {
    for key in every_key() {
        let (token, keys) = (good(key), only(key));
        for at in 0..token.len() {
            assert!(verify(&token[..at], &keys, &expected(), NOW).is_err(), "cut at {at}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_issued_is_read_back(
        user: [u8; 16], session: [u8; 16], jti: [u8; 16], role in "[a-z][a-z0-9_-]{0,30}",
        issuer in ".{1,80}", audience in ".{1,40}", issued in 0..4_000_000_000_i64, ttl in 1..86_400_u64,
        version in 0..=ClaimsVersion::MAX.get(), signed_in in 0..4_000_000_000_i64, methods: [bool; 4],
    ) {
        let methods = Method::ALL.into_iter().zip(methods).filter(|(_, is_in)| *is_in).map(|(method, _)| method);
        let authentication = Authentication { at: Timestamp::from_secs(signed_in), methods: methods.collect() };
        let version = ClaimsVersion::new(version).unwrap();
        let (user, session) = (UserId::from_bytes(user), SessionId::from_bytes(session));
        let (issued_at, ttl) = (Timestamp::from_secs(issued), Duration::from_secs(ttl));
        let (role, expires_at) = (role.parse::<RoleName>().unwrap(), issued_at + ttl);
        let names = Expected { issuer, audience, max_ttl: ttl, former_issuer: None };
        let claims = Claims { user, session, role, version, authentication, issued_at, expires_at, jti };
        let token = issue(&HS256, &names, &claims).unwrap();
        let read = verify(&token, &only(&HS256), &names, issued_at).unwrap();
        let said = AccessToken { user, session, role, version, authentication, issued_at, expires_at };
        prop_assert_eq!(read, said);
    }

    #[test]
    fn arbitrary_text_never_panics_and_never_passes(text in ".{0,400}") {
        prop_assert!(verify(&text, &only(&HS256), &expected(), NOW).is_err());
        prop_assert!(explain(&text, &only(&ES256), &expected(), NOW).outcome.is_err());
        prop_assert!(jws::verify(&text, &ES256.verifying_key()).is_err());
        prop_assert!(VerifyingKey::from_jwk(&text).is_err());
        prop_assert!(KeySet::from_jwks(&text).is_err());
    }

    #[test]
    fn arbitrary_parts_never_panic(header: Vec<u8>, payload: Vec<u8>, signature: Vec<u8>) {
        let parts = [header, payload, signature].map(base64url::encode);
        prop_assert!(verify(&parts.join("."), &only(&RS256), &expected(), NOW).is_err());
        let own = format!("{}.{}.{}", HS256.header_segment(), parts[1], parts[2]);
        prop_assert!(verify(&own, &only(&HS256), &expected(), NOW).is_err());
    }

    #[test]
    fn well_signed_nonsense_never_panics_and_never_passes(payload: Vec<u8>, header: Vec<u8>) {
        prop_assert!(verify(&signed_payload(&payload), &only(&HS256), &expected(), NOW).is_err());
        prop_assert!(verify(&sign(&HS256, &header, &payload), &only(&HS256), &expected(), NOW).is_err());
    }

    #[test]
    fn a_changed_byte_of_the_claims_is_read_or_refused_but_never_a_panic(at in 0..230_usize, byte: u8) {
        let mut json = payload("", None).into_bytes();
        let at = at % json.len();
        json[at] = byte;
        let token = signed_payload(&json);
        prop_assert_eq!(judge(&token, &only(&HS256)), verify(&token, &only(&HS256), &expected(), NOW));
        prop_assert_eq!(jws::verify(&token, &HS256.verifying_key()), Ok(json));
    }

    #[test]
    fn there_is_one_text_for_some_bytes(bytes: Vec<u8>, text in "[A-Za-z0-9_-]{0,9}") {
        let encoded = URL_SAFE_NO_PAD.encode(&bytes);
        prop_assert_eq!(base64url::encode(&bytes), encoded.clone());
        prop_assert_eq!(base64url::decode(&encoded), Some(bytes.clone()));
        let (mut small, mut large) = ([0; 40], Vec::new());
        prop_assert_eq!(base64url::decode_borrowed(&encoded, &mut small, &mut large), Some(bytes.as_slice()));
        let mut appended = b"x".to_vec();
        base64url::append(&mut appended, &bytes);
        prop_assert_eq!(appended, format!("x{encoded}").into_bytes());
        if let Some(bytes) = base64url::decode(&text) {
            prop_assert_eq!(base64url::encode(bytes), text);
        }
    }
}
