//! Another implementation reads what we sign, and we read what it signs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

use super::*;

fn theirs(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    algorithm.as_str().parse().unwrap()
}

fn encoding_key(key: &SigningKey) -> EncodingKey {
    let Some(pkcs8) = key.to_pkcs8() else { return EncodingKey::from_secret(SECRET) };
    match key.algorithm() {
        Algorithm::Hs256 => unreachable!(),
        Algorithm::Es256 => EncodingKey::from_ec_der(pkcs8.expose()),
        Algorithm::EdDsa => EncodingKey::from_ed_der(pkcs8.expose()),
        Algorithm::Rs256 => {
            let text = STANDARD.encode(pkcs8.expose());
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
            EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()
        }
    }
}

fn decoding_key(key: &SigningKey) -> DecodingKey {
    match key.verifying_key().to_jwk() {
        None => DecodingKey::from_secret(SECRET),
        Some(jwk) => DecodingKey::from_jwk(&serde_json::from_str::<Jwk>(jwk).unwrap()).unwrap(),
    }
}

fn validation(key: &SigningKey) -> Validation {
    let mut validation = Validation::new(theirs(key.algorithm()));
    validation.set_issuer(&["doorward"]);
    validation.set_audience(&["doorward"]);
    validation.validate_exp = false;
    validation
}

#[test]
fn jsonwebtoken_reads_what_we_sign() {
    for key in every_key() {
        let read = jsonwebtoken::decode::<Value>(good(key), &decoding_key(key), &validation(key)).unwrap();
        let claims = claims();
        assert_eq!(
            read.claims,
            json!({
                "iss": "doorward", "aud": "doorward", "sub": claims.user, "sid": claims.session, "role": "user",
                "iat": NOW.as_secs(), "exp": (NOW + MAX_TTL).as_secs(), "jti": "AwMDAwMDAwMDAwMDAwMDAw",
                "ver": 7, "auth_time": (NOW - MAX_TTL).as_secs(), "amr": ["pwd"],
            })
        );
        assert_eq!(read.header.typ.as_deref(), Some("at+jwt"));
        assert_eq!(read.header.kid.as_deref(), Some(key.kid()));
    }
}

#[test]
fn we_read_what_jsonwebtoken_signs() {
    for key in every_key() {
        let mut header = Header::new(theirs(key.algorithm()));
        (header.kid, header.typ) = (Some(key.kid().into()), Some("at+jwt".into()));
        let claims: Value = serde_json::from_str(&payload("", None)).unwrap();
        let token = jsonwebtoken::encode(&header, &claims, &encoding_key(key)).unwrap();
        assert_eq!(judge(&token, &only(key)), judge(&good(key), &only(key)));
        assert!(judge(&token, &only(key)).is_ok());
        assert_eq!(jws::verify(&token, &key.verifying_key()).unwrap(), claims.to_string().into_bytes());
    }
}
