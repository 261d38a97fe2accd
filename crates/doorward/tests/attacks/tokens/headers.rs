//! Header parameters that would change how a token is read, and repeated names.

use super::*;

#[tokio::test]
async fn j14_a_name_that_stands_twice_is_refused() {
    let (target, forger) = known_secret().await;
    for twice in [
        r#""alg":"none""#,
        r#""alg":"HS256""#,
        r#""kid":"other""#,
        r#""typ":"JWT""#,
        r#""typ":"at+jwt""#,
        r#""\u0061lg":"none""#,
        r#""x":1,"x":1"#,
        r#""x":{"y":1,"y":2}"#,
    ] {
        target.refuses(forger.with_parameters(twice)).await;
    }
    let payload = forger.own_payload();
    for (name, other) in [
        ("sub", "\"x\""),
        ("role", "\"admin\""),
        ("role", "\"user\""),
        ("exp", "1800000600"),
        ("sid", "\"x\""),
        ("iss", "\"x\""),
        ("aud", "\"x\""),
    ] {
        for value in [other, forger.member(name)] {
            let member = format!("\"{name}\":{value}");
            let (first, last) = (
                payload.replacen('{', &format!("{{{member},"), 1),
                format!("{},{member}}}", &payload[..payload.len() - 1]),
            );
            target.refuses(forger.with_payload(first)).await;
            target.refuses(forger.with_payload(last)).await;
        }
    }
    target.stands().await;
}

#[tokio::test]
async fn j16_an_encrypted_token_is_refused_without_work() {
    let (target, forger) = known_secret().await;
    // 2^31 rounds would take minutes: if they were computed, this test would not end.
    for alg in ["dir", "RSA-OAEP", "A256KW", "PBES2-HS256+A128KW"] {
        let header = format!(
            r#"{{"alg":"{alg}","enc":"A128GCM","p2c":2147483648,"p2s":"AAAA","kid":{},"typ":"at+jwt"}}"#,
            forger.member("kid")
        );
        target.refuses(format!("{}.AAAA.AAAA.AAAA.AAAA", encode(&header))).await;
        target.refuses(format!("{}..AAAA.AAAA.AAAA", encode(&header))).await;
        target.refuses(forger.with_header(header)).await;
    }
    target.refuses(forger.with_parameters(r#""enc":"A128GCM""#)).await;
    target.refuses(forger.with_parameters(r#""p2c":2147483648,"enc":"A128GCM""#)).await;
    target.stands().await;
}

#[tokio::test]
async fn j17_compression_is_refused() {
    let (target, forger) = known_secret().await;
    for zip in ["\"DEF\"", "\"def\"", "\"GZ\"", "\"\"", "null", "[\"DEF\"]"] {
        target.refuses(forger.with_parameters(&format!("\"zip\":{zip}"))).await;
    }
    // RFC 1951: a stored block that contains itself, which a decompressing reader would take for the payload.
    let payload = forger.own_payload();
    let len = u16::try_from(payload.len()).unwrap();
    let block = [&[1], &len.to_le_bytes()[..], &(!len).to_le_bytes(), payload.as_bytes()].concat();
    let header = forger.own_header().replacen('{', "{\"zip\":\"DEF\",", 1);
    target.refuses(maced(SECRET, header, &block)).await;
    target.refuses(forger.with_payload(block)).await;
    target.stands().await;
}

#[tokio::test]
async fn j18_a_token_inside_a_token_is_refused() {
    let (target, forger) = known_secret().await;
    let inner = target.admin.token().unwrap();
    for cty in ["JWT", "jwt", "at+jwt", "application/jwt", ""] {
        let header = forger.own_header().replacen('{', &format!("{{\"cty\":\"{cty}\","), 1);
        for payload in [forger.own_payload(), inner.clone(), format!("\"{inner}\"")] {
            target.refuses(maced(SECRET, &header, payload)).await;
        }
    }
    target.refuses(forger.with_payload(&inner)).await;
    target.refuses(forger.with_payload(format!("\"{inner}\""))).await;
    target.stands().await;
}

#[tokio::test]
async fn j19_crit_is_refused_whatever_it_names() {
    let (target, forger) = known_secret().await;
    for crit in
        ["[\"x\"]", "[\"exp\"]", "[\"alg\"]", "[]", "\"exp\"", "null", "{}", "[1]", "true", "[\"x\",\"x\"]"]
    {
        target.refuses(forger.with_parameters(&format!("\"crit\":{crit}"))).await;
        target.refuses(forger.with_parameters(&format!("\"crit\":{crit},\"x\":1,\"exp\":1800000900"))).await;
    }
    target.stands().await;
}

#[tokio::test]
async fn j20_an_unencoded_payload_is_refused() {
    let (target, forger) = known_secret().await;
    for b64 in [r#""b64":false"#, r#""b64":true"#, r#""b64":"false""#, r#""b64":false,"crit":["b64"]"#] {
        target.refuses(forger.with_parameters(b64)).await;
        // As if it had counted: the payload is not encoded.
        let header = encode(forger.own_header().replacen('{', &format!("{{{b64},"), 1));
        target
            .refuses(maced_text(hmac::HMAC_SHA256, SECRET, &format!("{header}.{}", forger.own_payload())))
            .await;
    }
    target.stands().await;
}
