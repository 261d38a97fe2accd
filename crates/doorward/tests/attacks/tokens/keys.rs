//! Algorithms and keys that the attacker would like to choose.

use std::net::TcpListener;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use doorward::internals::settings::{Secrets, Settings, Values};
use serde_json::Value;

use super::*;
use crate::support::{Target, decode};

#[tokio::test]
async fn j01_alg_none_in_any_spelling_is_refused() {
    let (target, forger) = known_secret().await;
    for alg in ["none", "None", "NONE", "nOnE", "nonE", "", " none", "hs256", "HS256 ", "ES256"] {
        let token = forger.with_header(forger.header("alg", Some(&format!("\"{alg}\""))));
        refused_signed_or_not(&target, &token).await;
    }
    refused_signed_or_not(&target, &forger.with_header(forger.header("alg", None))).await;
    for alg in ["null", "0", "true", "{}", "[]", "[\"none\"]", "[\"HS256\"]", "[\"none\",\"HS256\"]"] {
        refused_signed_or_not(&target, &forger.with_header(forger.header("alg", Some(alg)))).await;
    }
    target.stands().await;

    let target = Target::new().await;
    let forger = Forger::after(&target.admin.token().unwrap());
    for alg in ["\"none\"", "\"NONE\"", "null", "[\"none\"]"] {
        let header = encode(forger.header("alg", Some(alg)));
        let [_, payload, signature] = parts(&target.admin.token().unwrap());
        refused_signed_or_not(&target, &format!("{header}.{payload}.{signature}")).await;
    }
    target.stands().await;
}

/// Refused with its signature, with an empty one, and with none.
async fn refused_signed_or_not(target: &Target, token: &str) {
    let [header, payload, _] = parts(token);
    for token in [token, &format!("{header}.{payload}."), &format!("{header}.{payload}")] {
        target.refuses(token).await;
    }
}

#[tokio::test]
async fn j02_a_published_key_is_no_hmac_secret() {
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        let target = Target::with(&[("access.algorithm", algorithm)]).await;
        let own = target.admin.token().unwrap();
        let forger = Forger::after(&own);
        assert_eq!(forger.member("alg"), format!("\"{algorithm}\""));
        let jwks = target.site.visitor().get("/.well-known/jwks.json").await;
        let jwk = jwks.is_ok()["keys"][0].clone();
        let mut secrets = vec![jwks.body.clone(), jwk.to_string().into_bytes()];
        secrets
            .extend(["kid", "x", "y", "n"].into_iter().filter_map(|name| jwk[name].as_str().map(Into::into)));
        secrets.extend(spellings(&jwk));
        for secret in secrets {
            for alg in ["\"HS256\"".to_owned(), forger.member("alg").to_owned()] {
                let header = forger.header("alg", Some(&alg));
                target.refuses(maced(&secret, header, forger.own_payload())).await;
            }
        }
        target.stands().await;
    }
}

/// A public key as DER, and as PEM with and without the last newline; and the bare bytes of it.
fn spellings(jwk: &Value) -> Vec<Vec<u8>> {
    let member = |name: &str| decode(jwk[name].as_str().unwrap());
    let (bare, der) = match jwk["kty"].as_str().unwrap() {
        "EC" => {
            let point = [vec![4], member("x"), member("y")].concat();
            let algorithm =
                b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
            (point.clone(), public_key_info(algorithm, &point))
        }
        "OKP" => (member("x"), public_key_info(b"\x30\x05\x06\x03\x2b\x65\x70", &member("x"))),
        "RSA" => {
            let integer = |name: &str| tagged(2, &[vec![0], member(name)].concat());
            let exponent = tagged(2, &member("e"));
            let key = tagged(0x30, &[integer("n"), exponent].concat());
            let algorithm = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
            (member("n"), public_key_info(algorithm, &key))
        }
        other => panic!("no key type of ours: {other}"),
    };
    let text = STANDARD.encode(&der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", lines.join("\n"));
    vec![bare, der, format!("{pem}\n").into(), pem.into()]
}

/// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
fn public_key_info(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    tagged(0x30, &[algorithm, &tagged(3, &[&[0], key].concat())].concat())
}

/// One value of DER (X.690 section 8.1).
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let head = match len {
        0..128 => vec![tag, len as u8],
        128..256 => vec![tag, 0x81, len as u8],
        _ => vec![tag, 0x82, (len >> 8) as u8, len as u8],
    };
    [head, content.to_vec()].concat()
}

#[tokio::test]
async fn j03_a_guessed_secret_signs_nothing_and_a_weak_one_starts_no_server() {
    let (target, forger) = known_secret().await;
    let issuer = forger.member("iss").trim_matches('"').to_owned();
    let guesses: [&[u8]; 9] = [
        b"",
        b"secret",
        b"changeme",
        issuer.as_bytes(),
        b"your-256-bit-secret",
        b"a-string-secret-at-least-256-bits-long",
        &[0; 32],
        &[0; 64],
        &SECRET.as_bytes()[..31],
    ];
    for guess in guesses {
        target.refuses(maced(guess, forger.own_header(), forger.own_payload())).await;
    }
    target.stands().await;

    let settings = Settings::read(&Values::default()).unwrap();
    let repeated = "ab".repeat(32);
    for weak in [
        "",
        "secret",
        "changeme",
        "doorward",
        &SECRET[..31],
        &"\0".repeat(64),
        &repeated,
        "changemechangemechangemechangeme",
    ] {
        for name in ["JWT_SECRET", "DOORWARD_SECRET"] {
            let read = Secrets::read(&settings, |asked| (asked == name).then(|| weak.to_owned()));
            let error = read.map(drop).unwrap_err().to_string();
            assert!(
                error.contains(name) && (weak.is_empty() || !error.contains(weak)),
                "{name}={weak:?}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn j04_another_algorithm_of_the_same_family_is_refused() {
    let (target, forger) = known_secret().await;
    for (name, algorithm) in [("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)] {
        for alg in [name, "HS256"] {
            let header = forger.header("alg", Some(&format!("\"{alg}\"")));
            let signed = format!("{}.{}", encode(header), encode(forger.own_payload()));
            target.refuses(maced_text(algorithm, SECRET, &signed)).await;
        }
    }
    target.stands().await;
}

#[tokio::test]
async fn j05_kid_is_compared_exactly_and_opens_nothing() {
    let (target, forger) = known_secret().await;
    let own = forger.member("kid").trim_matches('"').to_owned();
    let mut kids = vec![
        "../../../dev/null".to_owned(),
        "/proc/self/environ".into(),
        "x' UNION SELECT 'secret' --".into(),
        "*)(uid=*))(|(uid=*".into(),
        "http://127.0.0.1/key".into(),
        "file:///etc/passwd".into(),
        "| touch pwned".into(),
        "unknown".into(),
        String::new(),
        format!("{own} "),
        own[1..].into(),
        "\\u0000".into(),
        format!("{own}\\u0000"),
        "x".repeat(2_000),
        "x".repeat(65_536),
    ];
    kids.push(
        own.chars()
            .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect(),
    );
    for kid in kids {
        let header = forger.header("kid", Some(&format!("\"{kid}\"")));
        target.refuses(forger.with_header(&header)).await;
        // What reading /dev/null, or a row that isn't there, would give as the key.
        target.refuses(maced("", header, forger.own_payload())).await;
    }
    target.refuses(forger.with_header(forger.header("kid", None))).await;
    for kid in ["null", "0", "true", "[]", "{}", &format!("[\"{own}\"]")] {
        target.refuses(forger.with_header(forger.header("kid", Some(kid)))).await;
    }
    target.stands().await;
}

#[tokio::test]
async fn j06_a_key_in_the_header_is_not_used() {
    let target = Target::new().await;
    let forger = Forger::after(&target.admin.token().unwrap());
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = key.public_key().as_ref();
    let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
    for kid in [Some(forger.member("kid")), Some("\"attacker\""), None] {
        let named = kid.map_or(String::new(), |kid| format!(",\"kid\":{kid}"));
        let jwk = format!("{{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{x}\",\"y\":\"{y}\"{named}}}");
        let header = forger.header("kid", kid).replacen('{', &format!("{{\"jwk\":{jwk},"), 1);
        let signed = format!("{}.{}", encode(header), encode(forger.own_payload()));
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        target.refuses(format!("{signed}.{}", encode(signature))).await;
    }
    target.stands().await;
}

#[tokio::test]
async fn j07_no_key_is_fetched_from_an_address_in_the_header() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let target = Target::with(&[("access.algorithm", "EdDSA")]).await;
    let forger = Forger::after(&target.admin.token().unwrap());
    let key = Ed25519KeyPair::generate().unwrap();
    let certificate =
        STANDARD.encode(public_key_info(b"\x30\x05\x06\x03\x2b\x65\x70", key.public_key().as_ref()));
    let parameters = [
        format!("\"jku\":\"http://{address}/jwks.json\""),
        format!("\"jku\":\"https://{address}/.well-known/jwks.json\""),
        format!("\"x5u\":\"http://{address}/cert.pem\""),
        format!("\"iss\":\"http://{address}\",\"jku\":\"//{address}\""),
        format!("\"x5c\":[\"{certificate}\"]"),
    ];
    for parameter in parameters {
        for kid in [forger.member("kid").to_owned(), format!("\"http://{address}/key\"")] {
            let header = forger.header("kid", Some(&kid)).replacen('{', &format!("{{{parameter},"), 1);
            let signed = format!("{}.{}", encode(header), encode(forger.own_payload()));
            target.refuses(format!("{signed}.{}", encode(key.sign(signed.as_bytes())))).await;
        }
    }
    target.stands().await;
    // A connection, accepted or not, would be in the queue by now.
    let connected = listener.accept().map(|(_, peer)| peer).map_err(|error| error.kind());
    assert_eq!(connected, Err(std::io::ErrorKind::WouldBlock));
}

#[tokio::test]
async fn j40_only_public_keys_are_published() {
    for (algorithm, members) in [
        ("ES256", vec!["alg", "crv", "kid", "kty", "use", "x", "y"]),
        ("EdDSA", vec!["alg", "crv", "kid", "kty", "use", "x"]),
        ("RS256", vec!["alg", "e", "kid", "kty", "n", "use"]),
    ] {
        let target = Target::with(&[("access.algorithm", algorithm)]).await;
        let answer = target.site.visitor().get("/.well-known/jwks.json").await;
        let jwks = answer.is_ok();
        let keys = jwks["keys"].as_array().unwrap();
        assert_eq!((jwks.as_object().unwrap().len(), keys.len()), (1, 1));
        let mut names: Vec<_> = keys[0].as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, members);
        let forger = Forger::after(&target.admin.token().unwrap());
        assert_eq!(
            (keys[0]["alg"].to_string(), keys[0]["kid"].to_string()),
            (forger.member("alg").into(), forger.member("kid").into())
        );
        assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    }
    let (target, _) = known_secret().await;
    let answer = target.site.visitor().get("/.well-known/jwks.json").await;
    assert_eq!(answer.is_ok().to_string(), r#"{"keys":[]}"#);
}
