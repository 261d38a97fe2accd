//! The examples of the RFCs and the cases of Wycheproof: see tests/data/README-tokens.md.

use aws_lc_rs::hmac;
use serde_json::Value;

use super::*;

fn load(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// The key of a vector: our import refuses private and symmetric ones, so those are reduced or taken as a secret.
fn key(jwk: &Value) -> Result<VerifyingKey, KeyError> {
    if jwk["kty"] == "oct" {
        if jwk.get("alg").is_some_and(|alg| alg != "HS256") {
            return Err(KeyError::Unsupported);
        }
        let secret = base64url::decode(jwk["k"].as_str().unwrap());
        let secret = Secret::new(secret.ok_or_else(|| KeyError::Malformed("k".into()))?);
        return SigningKey::hs256(&secret).map(|key| key.verifying_key());
    }
    let mut public = jwk.clone();
    let members = public.as_object_mut().unwrap();
    if ["d", "p"].iter().any(|private| members.contains_key(*private)) {
        assert_eq!(VerifyingKey::from_jwk(&jwk.to_string()).unwrap_err(), KeyError::Private);
    }
    members.retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
    VerifyingKey::from_jwk(&public.to_string())
}

#[test]
fn the_examples_of_the_rfcs_verify_and_those_we_do_not_offer_are_refused() {
    let vectors = load(include_str!("../../../tests/data/rfc_jws.json"));
    for test in list(&vectors, "tests") {
        let (jws, valid) = (test["jws"].as_str().unwrap(), test["result"] == "valid");
        let key = if test["jwk"].is_null() { Ok(HS256.verifying_key()) } else { key(&test["jwk"]) };
        let payload = jws::verify(jws, &key.unwrap());
        assert_eq!(payload.is_ok(), valid, "{}", test["id"]);
        if let Some(expected) = test["payload_b64u"].as_str() {
            assert_eq!(payload.unwrap(), base64url::decode(expected).unwrap());
        }
        // None of them is an access token.
        assert!(verify(jws, &only(&ES256), &super::expected(), NOW).is_err());
    }
    assert_eq!(list(&vectors, "tests").len(), 6);
}

#[test]
fn wycheproof_json_web_signature() {
    let vectors = load(include_str!("../../../tests/data/wycheproof/json_web_signature_test.json"));
    let (mut tests, mut accepted) = (0, 0);
    for group in list(&vectors, "testGroups") {
        let jwk = group.get("public").or_else(|| group.get("private")).unwrap();
        let key = key(jwk);
        let offered = jwk.get("alg").is_none_or(|alg| alg.as_str().unwrap().parse::<Algorithm>().is_ok());
        for test in list(group, "tests") {
            // A JSON serialisation is an object there, a missing token is null.
            let jws = test["jws"].as_str().map_or_else(|| test["jws"].to_string(), str::to_owned);
            let good = offered
                && match test["tcId"].as_u64().unwrap() {
                    370 => true,        // labelled invalid, but it is the plain, correctly signed token
                    372 | 373 => false, // labelled valid, with a "?" in its base64url text
                    _ => test["result"] == "valid",
                };
            let verified = key.as_ref().is_ok_and(|key| jws::verify(&jws, key).is_ok());
            assert_eq!(verified, good, "{} {} {:?}", test["tcId"], test["comment"], key);
            (tests, accepted) = (tests + 1, accepted + usize::from(verified));
        }
    }
    assert_eq!(tests, 200);
    assert!(accepted >= 10, "{accepted}");
}

/// Whether a set of these keys can be made, and a token verified with one of them.
fn verifies_with_a_set(jwks: &Value, jws: &str) -> bool {
    let Ok(keys) = list(jwks, "keys").iter().map(key).collect::<Result<Vec<_>, _>>() else { return false };
    let Ok(keys) = KeySet::new(keys) else { return false };
    keys.iter().any(|key| jws::verify(jws, key).is_ok())
}

#[test]
fn wycheproof_json_web_key() {
    let vectors = load(include_str!("../../../tests/data/wycheproof/json_web_key_test.json"));
    for group in list(&vectors, "testGroups") {
        let jwks = group.get("public").or_else(|| group.get("private")).unwrap();
        for test in list(group, "tests") {
            // HS384 is not offered; every other case is invalid.
            assert!(test["result"] == "invalid" || group["comment"] == "HS384");
            assert!(!verifies_with_a_set(jwks, test["jws"].as_str().unwrap()), "{}", test["tcId"]);
        }
        assert!(KeySet::from_jwks(&group["private"].to_string()).is_err(), "{}", group["comment"]);
    }
    assert_eq!(list(&vectors, "testGroups").len(), 13);
}

#[test]
fn wycheproof_json_web_crypto() {
    let vectors = load(include_str!("../../../tests/data/wycheproof/json_web_crypto_test.json"));
    let mut accepted = Vec::new();
    for group in list(&vectors, "testGroups") {
        let keys = group.get("public").or_else(|| group.get("private")).unwrap();
        for test in list(group, "tests") {
            let text =
                |name: &str| test.get(name).map(|jws| jws.as_str().map_or(jws.to_string(), str::to_owned));
            let encrypted = test.get("jwe").is_some();
            let jws = text("jws").or_else(|| text("jwe")).unwrap();
            let verified = if keys.get("keys").is_some() {
                verifies_with_a_set(keys, &jws)
            } else {
                key(keys).is_ok_and(|key| jws::verify(&jws, &key).is_ok())
            };
            assert_eq!(verified, test["result"] == "valid" && !encrypted, "{}", test["tcId"]);
            accepted.extend(verified.then(|| test["tcId"].as_u64().unwrap()));
            // Not even under one of our keys that would fit.
            assert!(!encrypted || jws::verify(&jws, &HS256.verifying_key()).is_err());
        }
    }
    assert_eq!(accepted, [18, 48]);
}

#[test]
fn wycheproof_hmac_sha256() {
    let vectors = load(include_str!("../../../tests/data/wycheproof/hmac_sha256_test.json"));
    let mut accepted = 0;
    for group in list(&vectors, "testGroups") {
        for test in list(group, "tests") {
            let key = SigningKey::hs256(&Secret::new(hex(&test["key"])));
            assert_eq!(key.is_err(), group["keySize"].as_u64().unwrap() < 256);
            let Ok(key) = key else { continue };
            let tag = hex(&test["tag"]);
            let whole = group["tagSize"] == 256;
            let verified = key.verifying_key().verifies(&hex(&test["msg"]), &base64url::encode(&tag));
            assert_eq!(verified, test["result"] == "valid" && whole, "{}", test["tcId"]);
            accepted += usize::from(verified);
        }
    }
    assert!(accepted > 10, "{accepted}");
    // The verifier compares whole tags only; the library alone would say the same.
    assert!(hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), b"", &[0; 16]).is_err());
}

/// Runs the signature vectors of one file; `key` finds the public key of a group.
fn signatures(json: &str, key: impl Fn(&Value) -> VerifyingKey, count: usize) {
    let vectors = load(json);
    let mut tests = 0;
    for group in list(&vectors, "testGroups") {
        let key = key(group);
        for test in list(group, "tests") {
            let verified = key.verifies(&hex(&test["msg"]), &base64url::encode(hex(&test["sig"])));
            if test["result"] != "acceptable" {
                assert_eq!(verified, test["result"] == "valid", "{} {}", test["tcId"], test["comment"]);
            }
            tests += 1;
        }
    }
    assert_eq!(tests, count);
}

#[test]
fn wycheproof_ed25519() {
    let json = include_str!("../../../tests/data/wycheproof/ed25519_test.json");
    let key = |group: &Value| {
        let x = base64url::encode(hex(&group["publicKey"]["pk"]));
        VerifyingKey::from_jwk(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#)).unwrap()
    };
    signatures(json, key, 75);
}

#[test]
fn wycheproof_ecdsa_p256() {
    let json = include_str!("../../../tests/data/wycheproof/ecdsa_secp256r1_sha256_p1363_test.json");
    let key = |group: &Value| {
        let point = hex(&group["publicKey"]["uncompressed"]);
        let (x, y) = (base64url::encode(&point[1..33]), base64url::encode(&point[33..]));
        VerifyingKey::from_jwk(&format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#)).unwrap()
    };
    signatures(json, key, 130);
}

#[test]
fn wycheproof_rsa_pkcs1() {
    let key = |group: &Value| {
        let number = |name: &str| {
            let bytes = hex(&group["publicKey"][name]);
            base64url::encode(bytes.strip_prefix(&[0]).unwrap_or(&bytes))
        };
        let (n, e) = (number("modulus"), number("publicExponent"));
        VerifyingKey::from_jwk(&format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#)).unwrap()
    };
    signatures(include_str!("../../../tests/data/wycheproof/rsa_signature_2048_sha256_test.json"), key, 129);
    signatures(include_str!("../../../tests/data/wycheproof/rsa_signature_3072_sha256_test.json"), key, 129);
}
