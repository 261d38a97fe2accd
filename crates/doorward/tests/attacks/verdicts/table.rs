//! Makes the shared table of tokens: `UPDATE=1 cargo test -p doorward --test attacks the_table` writes it.

use std::fmt::Write;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use doorward_core::Secret;
use doorward_core::token::{Algorithm, KeySet, SigningKey};
use serde_json::{Value, json};

use super::{ADA, CAROL, ENDED, KEEP, NOW, SECRET, SESSION};
use crate::support::encode;

const PAYLOAD: &str = r#"{"iss":"doorward","aud":"doorward","sub":"SUB","sid":"SID","role":"user","jti":"AAAAAAAAAAAAAAAAAAAAAA","iat":1799999900,"exp":1800000800,"ver":2,"auth_time":1799990000,"amr":["pwd"]}"#;

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key of the table, and how it signs any bytes.
pub(super) struct Signer {
    name: &'static str,
    header: String,
    jwk: Option<String>,
    sign: Sign,
}

impl Signer {
    pub(super) fn hs256(secret: &str) -> Self {
        let kid = SigningKey::hs256(&Secret::new(secret)).unwrap().kid().to_owned();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let sign = Box::new(move |bytes: &[u8]| hmac::sign(&key, bytes).as_ref().to_vec());
        Self { name: "hs256", header: header("HS256", &kid), jwk: None, sign }
    }

    fn es256() -> Self {
        let made = SigningKey::generate(Algorithm::Es256).unwrap();
        let pkcs8 = made.to_pkcs8().unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.expose()).unwrap();
        let sign =
            Box::new(move |bytes: &[u8]| pair.sign(&SystemRandom::new(), bytes).unwrap().as_ref().to_vec());
        let jwk = made.verifying_key().to_jwk().map(str::to_owned);
        Self { name: "es256", header: header("ES256", made.kid()), jwk, sign }
    }

    /// A token of the usual header and this payload.
    pub(super) fn signed(&self, payload: &str) -> String {
        self.token(&self.header, payload)
    }

    /// A token of this header and payload, signed as they stand.
    fn token(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(payload));
        format!("{signed}.{}", encode((self.sign)(signed.as_bytes())))
    }

    /// A token whose header is the usual one with one text replaced.
    fn header(&self, from: &str, to: &str) -> String {
        self.token(&changed(&self.header, from, to), &payload())
    }

    /// A token whose header has these members in front.
    fn parameters(&self, members: &str) -> String {
        self.header("{", &format!("{{{members},"))
    }

    /// A token whose payload is the usual one with one text replaced.
    pub(super) fn payload(&self, from: &str, to: &str) -> String {
        self.token(&self.header, &changed(&payload(), from, to))
    }

    fn good(&self) -> String {
        self.token(&self.header, &payload())
    }
}

fn header(alg: &str, kid: &str) -> String {
    format!(r#"{{"alg":"{alg}","kid":"{kid}","typ":"at+jwt"}}"#)
}

fn payload() -> String {
    PAYLOAD.replace("SUB", ADA).replace("SID", SESSION)
}

#[track_caller]
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} is not in {text}");
    text.replacen(from, to, 1)
}

/// The whole table.
pub(super) fn made() -> Value {
    let (hs256, es256) = (Signer::hs256(SECRET), Signer::es256());
    let jwk = es256.jwk.clone().unwrap();
    let jwks = format!(r#"{{"keys":[{jwk}]}}"#);
    KeySet::from_jwks(&jwks).unwrap();
    let mut tokens = entries(&hs256, &Signer::hs256("another secret of 32 bytes: 0123"));
    tokens.extend(entries(&es256, &Signer::es256()));
    tokens.extend(of_public_key(&es256, &jwk));
    json!({
        "now": NOW, "issuer": "doorward", "audience": "doorward", "secret": SECRET,
        "jwks": serde_json::from_str::<Value>(&jwks).unwrap(),
        "users": [
            { "id": ADA, "name": "Ada", "email": "ada@example.org", "role": "user" },
            { "id": CAROL, "name": "Carol", "email": "carol@example.org", "role": "admin" },
        ],
        "revoked": { "sessions": [[ENDED, KEEP]], "users": [[CAROL, 3, KEEP]] },
        "tokens": tokens,
    })
}

/// One token on each line, so that a diff shows what changed.
pub(super) fn text(table: &Value) -> String {
    let mut text = String::from("{\n");
    for (name, value) in table.as_object().unwrap() {
        if name != "tokens" {
            writeln!(text, "{}: {value},", json!(name)).unwrap();
        }
    }
    let lines: Vec<_> = table["tokens"].as_array().unwrap().iter().map(Value::to_string).collect();
    writeln!(text, "\"tokens\": [\n{}\n]}}", lines.join(",\n")).unwrap();
    text
}

fn entry(key: &str, name: &str, fields: Value, verdict: &str) -> Value {
    let mut entry = json!({ "name": name, "key": key, "verdict": verdict });
    entry.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    entry
}

fn entries(own: &Signer, other: &Signer) -> Vec<Value> {
    let mut all = requests(own);
    for (name, token, verdict) in good(own).into_iter().chain(late(own)) {
        all.push(entry(own.name, name, json!({ "authorization": format!("Bearer {token}") }), verdict));
        let in_cookie = format!("{name}, in the cookie");
        all.push(entry(own.name, &in_cookie, json!({ "cookie": format!("__Host-token={token}") }), verdict));
    }
    let bad =
        forms(own, other).into_iter().chain(headers(own, other)).chain(sign_ins(own)).chain(claims(own));
    all.extend(bad.map(|(name, token)| {
        entry(own.name, name, json!({ "authorization": format!("Bearer {token}") }), "token_invalid")
    }));
    all
}

/// What a request may carry besides one token: J33, J35, J36, K01, K03 to K06, R09.
fn requests(own: &Signer) -> Vec<Value> {
    let mut all = vec![entry(own.name, "nothing", json!({}), "token_missing")];
    let (good, bad) = (own.good(), own.header("at+jwt", "JWT"));
    all.extend(in_header(&good).map(|(name, authorization, verdict)| {
        entry(own.name, name, json!({ "authorization": authorization }), verdict)
    }));
    all.extend(
        in_cookies(&good)
            .map(|(name, cookie, verdict)| entry(own.name, name, json!({ "cookie": cookie }), verdict)),
    );
    for (name, authorization, cookie, verdict) in [
        ("K06: a bad token beside a good cookie", format!("Bearer {bad}"), &*good, "token_invalid"),
        ("K06: Basic beside a good cookie", "Basic YTpi".into(), &*good, "token_invalid"),
        ("K06: a good token beside a bad cookie", format!("Bearer {good}"), "bad", "ok"),
    ] {
        let fields = json!({ "authorization": authorization, "cookie": format!("__Host-token={cookie}") });
        all.push(entry(own.name, name, fields, verdict));
    }
    all
}

fn in_header(good: &str) -> [Judged; 12] {
    let invalid = "token_invalid";
    [
        ("J36: the scheme in lower case", format!("bearer {good}"), "ok"),
        ("J36: no scheme", good.into(), invalid),
        ("J36: the scheme alone", "Bearer".into(), invalid),
        ("J36: an empty token", "Bearer ".into(), invalid),
        ("J36: Basic with the token", format!("Basic {good}"), invalid),
        ("J36: another scheme", format!("Token {good}"), invalid),
        ("J36: two spaces", format!("Bearer  {good}"), invalid),
        ("J36: a list of two", format!("Bearer {good}, Bearer {good}"), invalid),
        ("J35: quotes", format!("Bearer \"{good}\""), invalid),
        ("J35: percent-encoding", format!("Bearer {}", good.replace('.', "%2E")), invalid),
        ("J35: a quoted scheme", format!("\"Bearer\" {good}"), invalid),
        ("R09: a session secret as token", format!("Bearer {}", "A".repeat(43)), invalid),
    ]
}

fn in_cookies(good: &str) -> [Judged; 7] {
    let (invalid, token, session) = ("token_invalid", "__Host-token", "__Host-sessionId");
    let secret = "A".repeat(43);
    [
        (
            "K03: cookies of other names",
            format!("token={good}; __host-token={good}; x={token}"),
            "token_missing",
        ),
        ("K04: foreign cookies around", format!("a=\"b; $Version=1; {token}={good}; =v; c"), "ok"),
        ("J35: quotes in the cookie", format!("{token}=\"{good}\""), invalid),
        ("K05: a malformed session secret", format!("{session}=malformed"), invalid),
        ("K05: an empty session secret", format!("{session}="), invalid),
        ("K05: a token as session secret", format!("{session}={good}"), invalid),
        ("J33: a session secret of nobody", format!("{session}={secret}"), invalid),
    ]
}

type Judged = (&'static str, String, &'static str);

fn good(own: &Signer) -> Vec<Judged> {
    vec![
        ("a good token", own.good(), "ok"),
        ("a further claim", own.payload("{", r#"{"name":"Ada","#), "ok"),
        ("J25: nbf has passed", own.payload("{", r#"{"nbf":1799999900,"#), "ok"),
        ("J24: the last second", own.payload("1800000800", "1800000001"), "ok"),
        ("typ as a media type", own.header("at+jwt", "application/at+jwt"), "ok"),
        ("the least version", of_carol(own, "admin", r#","ver":3"#), "ok"),
        ("a later version", of_carol(own, "admin", r#","ver":1790000000000"#), "ok"),
        ("the greatest version", of_carol(own, "admin", r#","ver":9007199254740991"#), "ok"),
        (
            "no time and no way of the sign-in",
            own.payload(r#","auth_time":1799990000,"amr":["pwd"]"#, ""),
            "ok",
        ),
        ("several ways, one of them unknown", own.payload(r#"["pwd"]"#, r#"["pwd","otp","palm"]"#), "ok"),
        ("no way", own.payload(r#"["pwd"]"#, "[]"), "ok"),
        ("no version, of a user without a least one", own.payload(r#","ver":2"#, ""), "ok"),
    ]
}

/// Good once.
fn late(own: &Signer) -> Vec<Judged> {
    let ended = |text: &str| text.replace(SESSION, ENDED);
    let of_ended = own.token(&own.header, &ended(&payload()));
    let both = ended(&changed(&payload(), "1800000800", "1799999990"));
    vec![
        ("J24: expired this second", own.payload("1800000800", "1800000000"), "token_expired"),
        ("J23: expired", own.payload("1800000800", "1799999990"), "token_expired"),
        ("R11: the session has ended", of_ended, "session_ended"),
        ("R11: expired, and the session has ended", own.token(&own.header, &both), "token_expired"),
        ("R11: the version before the least one", of_carol(own, "user", r#","ver":2"#), "token_stale"),
        ("R11: the same with the role of now", of_carol(own, "admin", r#","ver":2"#), "token_stale"),
        ("R11: version 0", of_carol(own, "admin", r#","ver":0"#), "token_stale"),
        ("R11: no version", of_carol(own, "admin", ""), "token_stale"),
    ]
}

fn of_carol(own: &Signer, role: &str, version: &str) -> String {
    let payload = changed(&changed(&payload(), ADA, CAROL), r#","ver":2"#, version);
    own.token(&own.header, &changed(&payload, r#""role":"user""#, &format!(r#""role":"{role}""#)))
}

type Refused = (&'static str, String);

/// The text of a token: J01, J08 to J11, J15, J16, J21.
fn forms(own: &Signer, other: &Signer) -> Vec<Refused> {
    let token = own.good();
    let [header, body, signature] = <[&str; 3]>::try_from(token.split('.').collect::<Vec<_>>()).unwrap();
    // The lowest bits of the last letter are not part of the signature.
    let loose = match token.as_bytes()[token.len() - 1] {
        last @ (b'A' | b'Q' | b'g' | b'w' | b'E' | b'I' | b'M' | b'U' | b'Y' | b'c' | b'k' | b'o' | b's'
        | b'0' | b'4' | b'8') => char::from(last + 1),
        last => panic!("{} is no last letter of 32 or 64 bytes", char::from(last)),
    };
    vec![
        ("J08: no signature part", format!("{header}.{body}")),
        ("J08: an empty signature", format!("{header}.{body}.")),
        ("J08: four parts", format!("{token}.{signature}")),
        ("J08: only dots", "..".into()),
        (
            "J09: the payload of another token",
            format!("{header}.{}.{signature}", encode(changed(&payload(), "user", "admin"))),
        ),
        (
            "J09: the signature of another token",
            format!("{header}.{body}.{}", own.payload("user", "admin").rsplit('.').next().unwrap()),
        ),
        ("J10: a signature cut by one", token[..token.len() - 2].into()),
        ("J10: a signature stretched", format!("{token}AA")),
        (
            "J10: a signature of zeros",
            format!("{header}.{body}.{}", encode(vec![0; if own.name == "es256" { 64 } else { 32 }])),
        ),
        ("J11: loose bits at the end", format!("{}{loose}", &token[..token.len() - 1])),
        ("J11: padding", format!("{token}=")),
        (
            "J15: JSON serialisation",
            format!(r#"{{"protected":"{header}","payload":"{body}","signature":"{signature}"}}"#),
        ),
        (
            "J16: an encrypted token",
            format!("{}.AAAA.AAAA.AAAA.AAAA", encode(r#"{"alg":"dir","enc":"A128GCM"}"#)),
        ),
        ("J21: over 4 KiB", own.payload("{", &format!(r#"{{"x":"{}","#, "x".repeat(4_000)))),
        ("J39: a key that is not in the set", other.good()),
        ("J39: another key under our kid", other.token(&own.header, &payload())),
    ]
}

/// What a header may say: J01, J04 to J07, J14, J17 to J20, J31.
fn headers(own: &Signer, other: &Signer) -> Vec<Refused> {
    let alg = own.header.split('"').nth(3).unwrap();
    let kid = own.header.split('"').nth(7).unwrap();
    let unsigned = |token: String| format!("{}.", token.rsplit_once('.').unwrap().0);
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#;
    let under_kid = |id: &str| own.header(&format!("\"{kid}\""), id);
    vec![
        ("J01: none, unsigned", unsigned(own.header(alg, "none"))),
        ("J01: None, unsigned", unsigned(own.header(alg, "None"))),
        ("J01: none, signed", own.header(alg, "none")),
        ("J01: an empty alg", own.header(alg, "")),
        ("J01: alg null", own.header(&format!("\"{alg}\""), "null")),
        ("J01: no alg", own.header(&format!("\"alg\":\"{alg}\","), "")),
        ("J04: alg of the same family", own.header(alg, &alg.replace("256", "512"))),
        ("J05: kid as a path", under_kid(r#""../../../../dev/null""#)),
        ("J05: kid as SQL", under_kid(r#""' UNION SELECT 'x""#)),
        ("J05: kid as a URL", under_kid(r#""http://127.0.0.1:9/key""#)),
        ("J05: an unknown kid", under_kid(r#""unknown""#)),
        ("J05: an empty kid", under_kid(r#""""#)),
        ("J05: kid with NUL", under_kid(&format!("\"{kid}\\u0000\""))),
        ("J05: a number as kid", under_kid("7")),
        ("J05: an object as kid", under_kid("{}")),
        ("J05: no kid", own.header(&format!("\"kid\":\"{kid}\","), "")),
        (
            "J06: a key in the header",
            other.parameters(&format!("\"jwk\":{}", other.jwk.as_deref().unwrap_or(jwk))),
        ),
        ("J07: jku", other.parameters(r#""jku":"http://127.0.0.1:9/jwks.json""#)),
        ("J07: x5u", other.parameters(r#""x5u":"http://127.0.0.1:9/cert.pem""#)),
        ("J07: x5c", other.parameters(r#""x5c":["AAAA"]"#)),
        ("J14: alg twice", own.parameters(r#""alg":"none""#)),
        ("J17: zip", own.parameters(r#""zip":"DEF""#)),
        ("J18: cty", own.parameters(r#""cty":"JWT""#)),
        ("J19: crit", own.parameters(r#""crit":["exp"],"exp":1"#)),
        ("J20: b64", own.parameters(r#""b64":false,"crit":["b64"]"#)),
        ("J31: typ JWT", own.header("at+jwt", "JWT")),
        ("J31: no typ", own.header(r#","typ":"at+jwt""#, "")),
        ("J31: an assertion for an application", {
            let header = changed(&own.header, "at+jwt", "doorward-identity+jwt");
            own.token(&header, &changed(&payload(), r#""aud":"doorward""#, r#""aud":"app.example.com""#))
        }),
        ("J31: typ of an assertion", own.header("at+jwt", "doorward-identity+jwt")),
    ]
}

/// What a payload may say: J14, J22, J23, J25 to J30.
fn claims(own: &Signer) -> Vec<Refused> {
    let without = |claim: &str| own.payload(claim, "");
    let sub = format!("\"sub\":\"{ADA}\"");
    let exp = |value: &str| own.payload(r#""exp":1800000800"#, &format!("\"exp\":{value}"));
    let ver = |value: &str| own.payload(r#""ver":2"#, &format!("\"ver\":{value}"));
    vec![
        ("J14: sub twice", own.payload("{", &format!("{{\"sub\":\"{CAROL}\","))),
        ("J14: role twice", own.payload("{", r#"{"role":"admin","#)),
        ("J23: exp as text", exp("\"1800000800\"")),
        ("J23: exp null", exp("null")),
        ("J23: exp true", exp("true")),
        ("J23: exp a list", exp("[]")),
        ("J23: exp negative", exp("-1")),
        ("J23: exp 2^64", exp("18446744073709551616")),
        ("J23: exp in a hundred years", exp("4953600000")),
        ("J24: exp with a fraction", exp("1800000800.5")),
        ("J25: nbf in an hour", own.payload("{", r#"{"nbf":1800003600,"#)),
        ("J25: nbf as text", own.payload("{", r#"{"nbf":"1799999900","#)),
        ("J26: iat in an hour", own.payload("1799999900", "1800000700")),
        ("J27: no iss", without(r#""iss":"doorward","#)),
        ("J27: no aud", without(r#""aud":"doorward","#)),
        ("J27: no sub", without(&format!("{sub},"))),
        ("J27: no sid", without(&format!("\"sid\":\"{SESSION}\","))),
        ("J27: no role", without(r#""role":"user","#)),
        ("J27: no jti", without(r#""jti":"AAAAAAAAAAAAAAAAAAAAAA","#)),
        ("J27: no iat", without(r#""iat":1799999900,"#)),
        ("J27: no exp", without(r#","exp":1800000800"#)),
        ("J28: sub a number", own.payload(&sub, r#""sub":7"#)),
        ("J28: sub a list", own.payload(&sub, &format!("\"sub\":[\"{ADA}\"]"))),
        ("J28: an empty sub", own.payload(&sub, r#""sub":"""#)),
        ("J28: sub in upper case", own.payload(ADA, &ADA.to_uppercase())),
        ("J28: sub a name", own.payload(ADA, "ada")),
        ("J29: another issuer", own.payload(r#""iss":"doorward""#, r#""iss":"doorward.example""#)),
        ("J29: iss with a slash", own.payload(r#""iss":"doorward""#, r#""iss":"doorward/""#)),
        ("J29: iss a list", own.payload(r#""iss":"doorward""#, r#""iss":["doorward"]"#)),
        ("J30: another audience", own.payload(r#""aud":"doorward""#, r#""aud":"other""#)),
        ("J30: a list with our audience", own.payload(r#""aud":"doorward""#, r#""aud":["doorward"]"#)),
        ("J30: aud an object", own.payload(r#""aud":"doorward""#, r#""aud":{}"#)),
        ("J27: ver twice", own.payload("{", r#"{"ver":9,"#)),
        ("J27: ver as text", ver("\"2\"")),
        ("J27: ver null", ver("null")),
        ("J27: ver true", ver("true")),
        ("J27: ver a list", ver("[2]")),
        ("J27: ver negative", ver("-1")),
        ("J27: ver with a fraction", ver("2.5")),
        ("J27: ver with a fraction of nothing", ver("2.0")),
        ("J27: ver with an exponent", ver("2e3")),
        ("J27: ver 2^53", ver("9007199254740992")),
        ("J27: ver 2^64", ver("18446744073709551616")),
        ("A04: a role in upper case", own.payload(r#""role":"user""#, r#""role":"ADMIN""#)),
        ("no JSON", own.token(&own.header, "no JSON")),
        ("a JSON text", own.token(&own.header, "\"text\"")),
        ("an empty payload", own.token(&own.header, "")),
    ]
}

/// J27: when and how the user signed in.
fn sign_ins(own: &Signer) -> Vec<Refused> {
    let auth_time = |value: &str| own.payload("1799990000", value);
    let amr = |value: &str| own.payload(r#"["pwd"]"#, value);
    vec![
        ("J27: auth_time twice", own.payload("{", r#"{"auth_time":1799990000,"#)),
        ("J27: auth_time as text", auth_time("\"1799990000\"")),
        ("J27: auth_time null", auth_time("null")),
        ("J27: auth_time with a fraction", auth_time("1799990000.5")),
        ("J27: auth_time negative", auth_time("-1")),
        ("J27: amr twice", own.payload("{", r#"{"amr":["otp"],"#)),
        ("J27: amr a text", amr("\"pwd\"")),
        ("J27: amr null", amr("null")),
        ("J27: amr an object", amr("{}")),
        ("J27: amr of a number", amr("[1]")),
        ("J27: amr of a list", amr(r#"[["pwd"]]"#)),
        ("J27: amr with an escape", amr(r#"["p\u0077d"]"#)),
    ]
}

/// J02: the public key as the secret of an HMAC.
fn of_public_key(own: &Signer, jwk: &str) -> Vec<Value> {
    let kid = own.header.split('"').nth(7).unwrap();
    let secrets = [("the JWK", jwk), ("the kid", kid), ("no secret", "")];
    let forged = secrets.map(|(what, secret)| {
        let signed = format!("{}.{}", encode(header("HS256", kid)), encode(payload()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let token = format!("{signed}.{}", encode(hmac::sign(&key, signed.as_bytes())));
        let fields = json!({ "authorization": format!("Bearer {token}") });
        entry(own.name, &format!("J02: HS256 under {what}"), fields, "token_invalid")
    });
    forged.into()
}
