//! The form of a token: its parts, their spelling, its size.

use super::*;

#[tokio::test]
async fn j08_any_number_of_parts_but_three_is_refused() {
    let (target, forger) = known_secret().await;
    let token = target.admin.token().unwrap();
    let [header, payload, signature] = parts(&token);
    for forged in [
        String::new(),
        header.clone(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{header}.{payload}..{signature}"),
        format!("{token}.{signature}"),
        format!("{token}.{token}"),
        ".".into(),
        "..".into(),
        "...".into(),
        ".".repeat(4_000),
    ] {
        target.refuses(forged).await;
    }
    // Signed with a fourth part inside the signed text, and with an empty one.
    for signed in [format!("{header}.{payload}."), format!("{header}."), format!(".{payload}"), ".".into()] {
        target.refuses(maced_text(hmac::HMAC_SHA256, SECRET, &signed)).await;
    }
    drop(forger);
    target.stands().await;
}

#[tokio::test]
async fn j11_no_token_has_a_second_spelling() {
    let (target, _) = known_secret().await;
    let own = parts(&target.admin.token().unwrap());
    for at in 0..3 {
        let part = &own[at];
        let mut spellings = vec![
            format!("{part}="),
            format!("{part}=="),
            format!("{part}A"),
            format!("{} {}", &part[..4], &part[4..]),
            format!("{}?{}", &part[..4], &part[4..]),
            format!("{}%2B{}", &part[..4], &part[4..]),
            format!("{}+{}", &part[..4], &part[5..]),
            format!("{}/{}", &part[..4], &part[5..]),
        ];
        // The unused bits after the last byte.
        let spare = [0, 2, 2, 1][part.len() % 4];
        let (head, last) = part.split_at(part.len() - 1);
        spellings.extend((spare != 0).then(|| format!("{head}{}", (last.as_bytes()[0] + 1) as char)));
        for spelling in spellings {
            let mut forged = own.clone();
            forged[at] = spelling;
            target.refuses(forged.join(".")).await;
            if at < 2 {
                target.refuses(maced_text(hmac::HMAC_SHA256, SECRET, &forged[..2].join("."))).await;
            }
        }
    }
    target.stands().await;
}

#[tokio::test]
async fn j15_json_serialisations_are_refused() {
    let (target, _) = known_secret().await;
    let token = target.admin.token().unwrap();
    let [header, payload, signature] = parts(&token);
    for forged in [
        format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#),
        format!(
            r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#
        ),
        format!(r#"{{"x":"{token}"}}"#),
        format!(r#"{{"protected":"{header}",".{payload}.":"","signature":"{signature}"}}"#),
        format!("\"{token}\""),
        format!("[\"{token}\"]"),
    ] {
        target.refuses(forged).await;
    }
    target.stands().await;
}

#[tokio::test]
async fn j21_a_long_token_is_refused_before_it_is_read() {
    let (target, forger) = known_secret().await;
    let padded = |len: usize| forger.with_claim("pad", Some(&format!("\"{}\"", "x".repeat(len))));
    for len in [4_096, 100 * 1_024, 1_024 * 1_024] {
        target.refuses(padded(len)).await;
    }
    target.refuses(".".repeat(100_000)).await;
    let header = forger.header("pad", Some(&format!("\"{}\"", "x".repeat(65_536))));
    target.refuses(forger.with_header(header)).await;
    target.stands().await;

    // On the wire the head has its own limit, before it is searched for a token.
    let address = target.site.listen().await;
    for (name, prefix) in [("Authorization", "Bearer "), ("Cookie", "__Host-token=")] {
        for len in [100 * 1_024, 1_024 * 1_024] {
            let head = format!(
                "GET /profile HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{name}: {prefix}{}\r\n\r\n",
                padded(len)
            );
            let answer = crate::support::on_the_wire(address, head.as_bytes()).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
        }
    }
    target.stands().await;
}

#[tokio::test]
async fn j22_deep_json_overflows_no_stack() {
    let (target, forger) = known_secret().await;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for depth in [128, 1_000, 10_000, 100_000] {
        target.refuses(forger.with_claim("x", Some(&nested(depth)))).await;
        target.refuses(forger.with_parameters(&format!("\"x\":{}", nested(depth)))).await;
    }
    let objects = format!("{}1{}", "{\"a\":".repeat(300), "}".repeat(300));
    target.refuses(forger.with_claim("x", Some(&objects))).await;
    for open in ["[", "{\"a\":"] {
        let unclosed = open.repeat(2_500 / open.len());
        target.refuses(forger.with_payload(&unclosed)).await;
        target.refuses(forger.with_header(&unclosed)).await;
    }
    target.stands().await;
}

#[tokio::test]
async fn j38_unicode_gives_no_second_reading() {
    let (target, forger) = known_secret().await;
    let own = target.admin.token().unwrap();
    for dot in ["\u{ff0e}", "\u{2024}", "\u{3002}"] {
        target.refuses(own.replace('.', dot)).await;
        target.refuses(own.replacen('.', dot, 1)).await;
    }
    for name in [r"\u0061lg", r"\u006bid", r"al\u0067"] {
        target.refuses(forger.with_parameters(&format!("\"{name}\":\"none\""))).await;
        let renamed = forger.own_header().replacen("\"alg\"", &format!("\"{name}\""), 1);
        target.refuses(forger.with_header(renamed)).await;
    }
    for name in [r"\u0073ub", r"ex\u0070", r"r\u006fle"] {
        target.refuses(forger.with_claim(name, Some("\"admin\""))).await;
    }
    for value in [r#""\ud800""#, r#""\udc00\ud800""#, "\"\u{1}\"", r#"{"\u0061":1}"#] {
        target.refuses(forger.with_claim("x", Some(value))).await;
        target.refuses(forger.with_parameters(&format!("\"x\":{value}"))).await;
    }
    for bytes in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"] {
        let member = [b"\"x\":\"", bytes, b"\","].concat();
        let mut json = forger.own_payload().into_bytes();
        json.splice(1..1, member.clone());
        target.refuses(forger.with_payload(json)).await;
        let mut json = forger.own_header().into_bytes();
        json.splice(1..1, member);
        target.refuses(forger.with_header(json)).await;
        target.refuses([own.as_bytes(), bytes].concat()).await;
    }
    target.stands().await;
}
