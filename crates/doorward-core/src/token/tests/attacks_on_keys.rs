//! Section J of the attack list: keys, algorithms and signatures.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// A JWS whose signature is an HMAC, under any bytes that an attacker may have.
fn maced(algorithm: hmac::Algorithm, secret: &[u8], header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", base64url::encode(header), base64url::encode(payload));
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), signed.as_bytes());
    format!("{signed}.{}", base64url::encode(tag))
}

#[test]
fn j01_alg_none_in_any_spelling_is_refused() {
    let spellings = [
        "\"none\"",
        "\"None\"",
        "\"NONE\"",
        "\"nOnE\"",
        "\"nonE\"",
        "\"\"",
        "\" none\"",
        "\"HS256 \"",
        "\"hs256\"",
    ];
    for key in every_key() {
        let keys = only(key);
        for alg in spellings.map(Some).into_iter().chain([None]) {
            let token = sign(key, header(key, "alg", alg), payload("", None));
            refused(&token, &keys, Check::Algorithm);
            let (signed, _) = token.rsplit_once('.').unwrap();
            refused(&format!("{signed}."), &keys, Check::Algorithm);
            refused(signed, &keys, Check::Form);
        }
        for alg in ["null", "0", "[\"none\"]", "[\"HS256\"]", "{}", "true"] {
            refused(&sign(key, header(key, "alg", Some(alg)), payload("", None)), &keys, Check::Header);
        }
    }
}

#[test]
fn j02_a_public_key_is_no_hmac_secret() {
    let jwk = ES256.verifying_key().to_jwk().unwrap().to_owned();
    let parts: serde_json::Value = serde_json::from_str(&jwk).unwrap();
    let coordinate = |name: &str| base64url::decode(parts[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let prefix = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
    let der = [prefix.as_slice(), &point].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(&der));
    let rsa: serde_json::Value = serde_json::from_str(RS256.verifying_key().to_jwk().unwrap()).unwrap();
    let modulus = base64url::decode(rsa["n"].as_str().unwrap()).unwrap();
    let jwks = only(&ES256).to_jwks();
    let secrets: [&[u8]; 9] = [
        jwk.as_bytes(),
        jwks.as_bytes(),
        &point,
        &der,
        pem.as_bytes(),
        format!("{pem}\n").leak().as_bytes(),
        &modulus,
        rsa["n"].as_str().unwrap().as_bytes(),
        ES256.kid().as_bytes(),
    ];
    for key in [&*ES256, &EDDSA, &RS256] {
        for secret in secrets {
            let forged =
                maced(hmac::HMAC_SHA256, secret, &header(key, "alg", Some("\"HS256\"")), &payload("", None));
            refused(&forged, &only(key), Check::Algorithm);
            let forged = maced(hmac::HMAC_SHA256, secret, &header(key, "", None), &payload("", None));
            refused(&forged, &only(key), Check::Signature);
        }
    }
}

#[test]
fn j03_a_short_secret_makes_no_key_and_a_guessed_one_no_token() {
    for secret in ["", "secret", "changeme", "doorward", "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-"] {
        assert_eq!(SigningKey::hs256(&Secret::new(secret)).unwrap_err(), KeyError::TooShort);
    }
    let guesses: [&[u8]; 7] =
        [b"", b"secret", b"changeme", b"doorward", b"your-256-bit-secret", &[0; 32], &[0; 64]];
    for guess in guesses {
        let forged = maced(hmac::HMAC_SHA256, guess, &header(&HS256, "", None), &payload("", None));
        refused(&forged, &only(&HS256), Check::Signature);
    }
}

#[test]
fn j04_another_hash_of_the_same_family_is_refused() {
    for (name, algorithm) in [("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)] {
        let alg = format!("\"{name}\"");
        let forged = maced(algorithm, SECRET, &header(&HS256, "alg", Some(&alg)), &payload("", None));
        refused(&forged, &only(&HS256), Check::Algorithm);
        let forged = maced(algorithm, SECRET, &header(&HS256, "", None), &payload("", None));
        refused(&forged, &only(&HS256), Check::Signature);
    }
    for alg in ["\"RS384\"", "\"PS256\"", "\"RS512\""] {
        refused(
            &sign(&RS256, header(&RS256, "alg", Some(alg)), payload("", None)),
            &only(&RS256),
            Check::Algorithm,
        );
    }
}

#[test]
fn j05_kid_is_looked_up_exactly_and_nowhere_else() {
    let own = HS256.kid();
    let mut kids = vec![
        "../../../dev/null".to_owned(),
        "/proc/self/environ".to_owned(),
        "x' UNION SELECT 'secret' --".to_owned(),
        "*)(uid=*))(|(uid=*".to_owned(),
        "http://127.0.0.1/key".to_owned(),
        String::new(),
        "unknown".to_owned(),
        "x".repeat(1500),
    ];
    kids.extend([format!("{own} "), format!(" {own}"), own.to_lowercase() + "A", own[1..].to_owned()]);
    for kid in kids {
        let kid = format!("\"{kid}\"");
        refused(
            &sign(&HS256, header(&HS256, "kid", Some(&kid)), payload("", None)),
            &only(&HS256),
            Check::Key,
        );
    }
    refused(&sign(&HS256, header(&HS256, "kid", None), payload("", None)), &only(&HS256), Check::Key);
    let escaped = format!("\"\\u{:04x}{}\"", own.as_bytes()[0], &own[1..]);
    for kid in ["null", "1", "{}", "[]", "true", "\"\\u0000\"", "\"a\0\"", &escaped] {
        refused(
            &sign(&HS256, header(&HS256, "kid", Some(kid)), payload("", None)),
            &only(&HS256),
            Check::Header,
        );
    }
}

#[test]
fn j06_a_key_in_the_header_is_never_used() {
    let attacker = SigningKey::generate(Algorithm::Es256).unwrap();
    let jwk = attacker.verifying_key().to_jwk().unwrap().to_owned();
    let own_kid = format!("\"{}\"", ES256.kid());
    let with_jwk = |kid: Option<&str>| {
        let header = header(&attacker, "kid", kid);
        header.replacen('{', &format!("{{\"jwk\":{jwk},"), 1)
    };
    let attackers_kid = format!("\"{}\"", attacker.kid());
    for (kid, by) in
        [(Some(own_kid.as_str()), Check::Signature), (Some(&attackers_kid), Check::Key), (None, Check::Key)]
    {
        refused(&sign(&attacker, with_jwk(kid), payload("", None)), &only(&ES256), by);
    }
    // It is not an error either: the key is ours, and the parameter is ignored.
    assert!(judge(&sign(&ES256, with_jwk(Some(&own_kid)), payload("", None)), &only(&ES256)).is_ok());
}

#[test]
fn j07_a_key_address_or_certificate_in_the_header_is_never_used() {
    let attacker = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let own_kid = format!("\"{}\"", EDDSA.kid());
    for (name, value) in [
        ("jku", "\"http://127.0.0.1:9/jwks.json\""),
        ("x5u", "\"http://127.0.0.1:9/cert.pem\""),
        ("x5c", "[\"MIIB\"]"),
        ("x5t#S256", "\"AAAA\""),
    ] {
        let header = |key: &SigningKey| header(key, name, Some(value)).replace(key.kid(), EDDSA.kid());
        assert!(header(&attacker).contains(&own_kid));
        refused(&sign(&attacker, header(&attacker), payload("", None)), &only(&EDDSA), Check::Signature);
        assert!(judge(&sign(&EDDSA, header(&EDDSA), payload("", None)), &only(&EDDSA)).is_ok());
    }
}

#[test]
fn j09_parts_of_two_tokens_make_no_third() {
    for key in every_key() {
        let (one, keys) = (good(key), only(key));
        let two = issue(key, &expected(), &Claims { role: RoleName::ADMIN, ..claims() }).unwrap();
        let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
        let (one, two) = (parts(&one), parts(&two));
        refused(&format!("{}.{}.{}", one[0], two[1], one[2]), &keys, Check::Signature);
        refused(&format!("{}.{}.{}", one[0], one[1], two[2]), &keys, Check::Signature);
        let respelt = base64url::encode(format!(" {}", header(key, "", None)));
        refused(&format!("{respelt}.{}.{}", one[1], one[2]), &keys, Check::Signature);
    }
}

#[test]
fn j10_a_signature_that_is_cut_stretched_or_altered_is_none() {
    for key in every_key() {
        let (token, keys) = (good(key), only(key));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = base64url::decode(signature).unwrap();
        let len = signature.len();
        let mut forged = vec![
            signature[..1].to_vec(),
            signature[..8].to_vec(),
            signature[..len / 2].to_vec(),
            signature[..len - 1].to_vec(),
            signature[1..].to_vec(),
            [signature.as_slice(), &[0]].concat(),
            [&[0], signature.as_slice()].concat(),
            [signature.as_slice(), &signature].concat(),
            vec![0; len],
            vec![0xff; len],
            signature.iter().rev().copied().collect(),
        ];
        forged.extend((0..len).map(|at| {
            let mut altered = signature.clone();
            altered[at] ^= 1 << (at % 8);
            altered
        }));
        for forged in forged {
            refused(&format!("{signed}.{}", base64url::encode(forged)), &keys, Check::Signature);
        }
    }
}

#[test]
fn j12_degenerate_ecdsa_signatures_are_refused() {
    let order = b"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\
        \xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";
    let (zero, mut one, mut below) = ([0; 32], [0; 32], *order);
    (one[31], below[31]) = (1, 0x50);
    let token = good(&ES256);
    let (signed, _) = token.rsplit_once('.').unwrap();
    for r in [&zero, &one, order, &below, &[0xff; 32]] {
        for s in [&zero, &one, order, &below, &[0xff; 32]] {
            let forged = format!("{signed}.{}", base64url::encode([*r, *s].concat()));
            refused(&forged, &only(&ES256), Check::Signature);
        }
    }
    // The same key's signature in DER, as X.509 and TLS write it.
    let pkcs8 = ES256.to_pkcs8().unwrap();
    let suite = &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
    let key = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(suite, pkcs8.expose()).unwrap();
    let der = key.sign(&aws_lc_rs::rand::SystemRandom::new(), signed.as_bytes()).unwrap();
    refused(&format!("{signed}.{}", base64url::encode(der)), &only(&ES256), Check::Signature);
}

#[test]
fn j13_small_order_ed25519_keys_and_malleable_signatures_are_refused() {
    let edge = |first: u8, middle: u8, last: u8| {
        let mut point = [middle; 32];
        (point[0], point[31]) = (first, last);
        point
    };
    let points =
        [edge(0, 0, 0), edge(1, 0, 0), edge(0xec, 0xff, 0x7f), edge(1, 0, 0x80), edge(0xee, 0xff, 0xff)];
    for point in points {
        let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, base64url::encode(point));
        assert_eq!(VerifyingKey::from_jwk(&jwk).unwrap_err(), KeyError::Rejected, "{jwk}");
    }
    // S + L is S again to a verifier that doesn't check the range (RFC 8032 section 5.1.7).
    let order = b"\xed\xd3\xf5\x5c\x1a\x63\x12\x58\xd6\x9c\xf7\xa2\xde\xf9\xde\x14\
        \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10";
    let token = good(&EDDSA);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = base64url::decode(signature).unwrap();
    let mut carry = 0;
    for (digit, more) in signature[32..].iter_mut().zip(order) {
        carry += u16::from(*digit) + u16::from(*more);
        *digit = carry as u8;
        carry >>= 8;
    }
    refused(&format!("{signed}.{}", base64url::encode(signature)), &only(&EDDSA), Check::Signature);
}

#[test]
fn j39_a_key_counts_while_it_is_in_the_set() {
    let next = SigningKey::generate(Algorithm::Es256).unwrap();
    let both = KeySet::new(vec![ES256.verifying_key(), next.verifying_key()]).unwrap();
    assert!(judge(&good(&ES256), &both).is_ok() && judge(&good(&next), &both).is_ok());
    refused(&good(&next), &only(&ES256), Check::Key);
    refused(&good(&ES256), &only(&next), Check::Key);
    refused(&good(&ES256), &KeySet::default(), Check::Key);
}

#[test]
fn j40_a_jwk_set_holds_public_keys_only() {
    let asymmetric = [&*ES256, &EDDSA, &RS256].map(SigningKey::verifying_key).to_vec();
    let jwks = KeySet::new(asymmetric).unwrap().to_jwks();
    let parsed: serde_json::Value = serde_json::from_str(&jwks).unwrap();
    let keys = parsed["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 3);
    for key in keys {
        let names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(
            names.iter().all(|name| !["d", "p", "q", "dp", "dq", "qi", "oth", "k"].contains(name)),
            "{key}"
        );
        assert!(key["use"] == "sig" && key["kid"].is_string() && key["alg"].is_string());
    }
    assert_eq!(only(&HS256).to_jwks(), r#"{"keys":[]}"#);
    assert_eq!(HS256.verifying_key().to_jwk(), None);
    let again = KeySet::from_jwks(&jwks).unwrap();
    assert_eq!(again.to_jwks(), jwks);
    assert!(judge(&good(&RS256), &again).is_ok());
}

#[test]
fn j40_a_jwk_set_that_holds_more_than_public_keys_is_refused() {
    let jwk = EDDSA.verifying_key().to_jwk().unwrap().to_owned();
    let set = |keys: &str| KeySet::from_jwks(&format!(r#"{{"keys":[{keys}]}}"#)).map(|_| ());
    let with = |members: &str| set(&jwk.replacen('{', &format!("{{{members},"), 1));
    assert_eq!(set(&jwk), Ok(()));
    assert_eq!(with(r#""d":"AAAA""#), Err(KeyError::Private.into()));
    assert_eq!(set(r#"{"kty":"oct","k":"AAAA","kid":"x"}"#), Err(KeyError::Symmetric.into()));
    assert_eq!(with(r#""key_ops":["sign"]"#), Err(KeyError::NotForVerifying.into()));
    assert_eq!(with(r#""key_ops":["verify"]"#), Ok(()));
    assert_eq!(set(&jwk.replace("\"sig\"", "\"enc\"")), Err(KeyError::NotForVerifying.into()));
    assert_eq!(set(&jwk.replace("\"EdDSA\"", "\"HS256\"")), Err(KeyError::NotForVerifying.into()));
    assert_eq!(set(&jwk.replace("\"OKP\"", "\"AKP\"")), Err(KeyError::Unsupported.into()));
    assert!(matches!(with(r#""kty":"OKP""#), Err(KeySetError::Malformed(_))));
    assert!(matches!(set(&jwk.replace("\"x\"", "\"\\u0078\"")), Err(KeySetError::Malformed(_))));
    assert!(matches!(KeySet::from_jwks("{}").map(|_| ()), Err(KeySetError::Malformed(_))));
    assert_eq!(KeySet::from_jwks(&" ".repeat(65_537)).map(|_| ()), Err(KeySetError::TooLarge));
    let many = vec![r#"{"kty":"AKP"}"#; 33].join(",");
    assert_eq!(set(&many), Err(KeySetError::TooLarge));
    for kid in ["", "a b", "a\\\"b", &"x".repeat(129)] {
        let jwk = jwk.replace(EDDSA.kid(), kid);
        assert!(set(&jwk).is_err(), "{jwk}");
    }
}

#[test]
fn j40_weak_or_odd_rsa_keys_are_refused() {
    let jwk = |n: &[u8], e: &[u8]| {
        let (n, e) = (base64url::encode(n), base64url::encode(e));
        VerifyingKey::from_jwk(&format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#)).map(|_| ())
    };
    assert_eq!(jwk(&[0xff; 256], &[1, 0, 1]), Ok(()));
    let padded = [[0].as_slice(), &[0xff; 256]].concat();
    for n in [&[0xff; 128][..], &[0xff; 255], &[0x7f; 256], &[0xff; 1025], &padded, &[0xfe; 256], &[]] {
        assert_eq!(jwk(n, &[1, 0, 1]), Err(KeyError::Unsupported), "{} bytes", n.len());
    }
    for e in [&[][..], &[1], &[0, 3], &[2], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
        assert_eq!(jwk(&[0xff; 256], e), Err(KeyError::Unsupported), "{e:?}");
    }
}

#[test]
fn j41_a_set_with_one_kid_twice_or_of_two_kinds_is_refused() {
    let (es, hs) = (ES256.verifying_key(), HS256.verifying_key());
    let error = |keys| KeySet::new(keys).unwrap_err();
    assert_eq!(error(vec![es.clone(), es.clone()]), KeySetError::DuplicateKid(ES256.kid().into()));
    assert_eq!(error(vec![hs.clone(), es.clone()]), KeySetError::Mixed);
    assert_eq!(error(vec![es.clone(), hs]), KeySetError::Mixed);
    let jwk = es.to_jwk().unwrap();
    let twice = KeySet::from_jwks(&format!(r#"{{"keys":[{jwk},{jwk}]}}"#)).unwrap_err();
    assert_eq!(twice, KeySetError::DuplicateKid(ES256.kid().into()));
}

#[test]
fn the_kid_of_a_symmetric_key_is_no_hash_of_its_secret() {
    let bare = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, SECRET);
    assert_ne!(HS256.kid(), &base64url::encode(bare)[..16]);
    assert_ne!(HS256.kid(), SigningKey::hs256(&Secret::new([7; 32])).unwrap().kid());
    assert_eq!(HS256.kid().len(), 16);
}

#[test]
fn the_kid_of_an_asymmetric_key_is_its_thumbprint() {
    // RFC 7638 section 3.1 and RFC 8037 appendix A.3.
    let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256"}"#;
    assert_eq!(VerifyingKey::from_jwk(rsa).unwrap().kid(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    let ed = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    assert_eq!(VerifyingKey::from_jwk(ed).unwrap().kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn keys_do_not_print_what_they_hold() {
    assert_eq!(format!("{:?}", *HS256), format!("SigningKey(HS256 {})", HS256.kid()));
    assert_eq!(format!("{:?}", only(&HS256)), format!("[VerifyingKey(HS256 {})]", HS256.kid()));
}
