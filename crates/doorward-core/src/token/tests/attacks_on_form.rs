//! Section J of the attack list: the form of the token and its header.

use super::*;

/// The result for the usual header with these members before its own.
#[track_caller]
fn refused_with(members: &str, by: Check) {
    for key in every_key() {
        let header = header(key, "", None).replacen('{', &format!("{{{members},"), 1);
        refused(&sign(key, header, payload("", None)), &only(key), by);
    }
}

#[test]
fn j08_any_number_of_parts_but_three_is_refused() {
    let (token, keys) = (good(&HS256), only(&HS256));
    let parts: Vec<_> = token.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    for (token, by) in [
        (String::new(), Check::Form),
        (header.to_owned(), Check::Form),
        (format!("{header}.{payload}"), Check::Form),
        (format!("{header}.{payload}."), Check::Signature),
        (format!("{header}..{signature}"), Check::Signature),
        (format!(".{payload}.{signature}"), Check::Header),
        (format!("{token}."), Check::Form),
        (format!(".{token}"), Check::Form),
        (format!("{header}.{payload}..{signature}"), Check::Form),
        (format!("{token}.{signature}"), Check::Form),
        (format!("{token}.{token}"), Check::Form),
        ("..".to_owned(), Check::Header),
        (".".repeat(4096), Check::Form),
    ] {
        refused(&token, &keys, by);
    }
    // Correctly signed, but with a fourth part inside the signed text.
    refused(&sign_text(&HS256, &format!("{header}.{payload}.")), &keys, Check::Form);
    refused(&sign_text(&HS256, &format!("{header}.")), &keys, Check::Claims);
}

#[test]
fn j11_each_token_has_one_spelling() {
    let (token, keys) = (good(&HS256), only(&HS256));
    let parts: Vec<_> = token.split('.').collect();
    for at in 0..3 {
        let part = parts[at];
        let by = [Check::Header, Check::Claims, Check::Signature][at];
        let mut spellings = vec![
            format!("{part}="),
            format!("{part}=="),
            format!("{}?{}", &part[..4], &part[4..]),
            format!("{}\n{}", &part[..4], &part[4..]),
            format!("{}\r\n{}", &part[..4], &part[4..]),
            format!("{} {}", &part[..4], &part[4..]),
            format!("{part} "),
            format!("{part}A"),
            format!("{part}\0"),
            format!("{}+{}", &part[..4], &part[5..]),
            format!("{}/{}", &part[..4], &part[5..]),
        ];
        // The unused bits after the last byte.
        let spare = [0, 2, 2, 1][part.len() % 4];
        let last = part.as_bytes()[part.len() - 1];
        spellings.extend((spare != 0).then(|| format!("{}{}", &part[..part.len() - 1], (last + 1) as char)));
        for spelling in spellings {
            let mut forged = parts.clone();
            forged[at] = &spelling;
            let signed = sign_text(&HS256, &forged[..2].join("."));
            if at < 2 {
                refused(&signed, &keys, by);
            }
            let forged = forged.join(".");
            assert_eq!(judge(&forged, &keys), Err(Refusal::TokenInvalid), "{forged}");
        }
    }
}

#[test]
fn j11_unused_bits_of_every_part_must_be_zero() {
    for text in ["QQ", "QUE"] {
        assert!(base64url::decode(text).is_some() && base64url::decode_into(text, &mut [0; 8]).is_some());
    }
    for text in ["QR", "Qf", "QUF", "QUG", "Q", "QQ=", "QQ==", "QUE="] {
        assert!(base64url::decode(text).is_none() && base64url::decode_into(text, &mut [0; 8]).is_none());
    }
}

#[test]
fn j14_a_name_that_stands_twice_in_the_header_is_refused() {
    refused_with(r#""alg":"none""#, Check::Header);
    refused_with(r#""kid":"other""#, Check::Header);
    refused_with(r#""typ":"JWT""#, Check::Header);
    refused_with(r#""\u0061lg":"none""#, Check::Header);
    refused_with(r#""x":1,"x":1"#, Check::Header);
    refused_with(r#""x":{"y":1,"y":2}"#, Check::Header);
    refused_with(r#""jwk":{"kty":"EC","\u006bty":"oct"}"#, Check::Header);
    // The same value twice is also a duplicate.
    for key in every_key() {
        refused_with(&format!("\"alg\":\"{}\"", key.algorithm()), Check::Header);
    }
}

#[test]
fn j15_json_serialisations_are_refused() {
    let (token, keys) = (good(&HS256), only(&HS256));
    let parts: Vec<_> = token.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    for (token, by) in [
        (
            format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#),
            Check::Form,
        ),
        (
            format!(
                r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#
            ),
            Check::Form,
        ),
        (format!(r#"{{"x":"{token}"}}"#), Check::Header),
        (format!(r#"{{"protected":"{header}",".{payload}.":"","signature":"{signature}"}}"#), Check::Header),
    ] {
        refused(&token, &keys, by);
    }
}

#[test]
fn j16_encrypted_tokens_are_refused_without_any_work() {
    let header = r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483648,"p2s":"AAAA"}"#;
    let jwe = format!("{}.AAAA.AAAA.AAAA.AAAA", base64url::encode(header));
    refused(&jwe, &only(&HS256), Check::Form);
    for alg in ["\"dir\"", "\"RSA-OAEP\"", "\"A256KW\"", "\"PBES2-HS256+A128KW\""] {
        let header = super::header(&HS256, "alg", Some(alg));
        refused(&sign(&HS256, header, payload("", None)), &only(&HS256), Check::Algorithm);
    }
    refused_with(r#""enc":"A128GCM""#, Check::Header);
}

#[test]
fn j17_compression_is_refused() {
    refused_with(r#""zip":"DEF""#, Check::Header);
    refused_with(r#""zip":null"#, Check::Header);
}

#[test]
fn j18_a_token_inside_a_token_is_refused() {
    let inner = good(&HS256);
    refused_with(r#""cty":"JWT""#, Check::Header);
    refused_with(r#""cty":"at+jwt""#, Check::Header);
    refused(&signed_payload(&inner), &only(&HS256), Check::Claims);
    refused(&signed_payload(format!("\"{inner}\"")), &only(&HS256), Check::Claims);
}

#[test]
fn j19_crit_is_refused_whatever_it_names() {
    for crit in ["[\"exp\"]", "[\"alg\"]", "[\"b64\"]", "[]", "\"exp\"", "null", "[\"x\"]", "{}", "[1]"] {
        refused_with(&format!("\"crit\":{crit}"), Check::Header);
        refused_with(&format!("\"crit\":{crit},\"x\":1"), Check::Header);
    }
}

#[test]
fn j20_unencoded_payloads_are_refused() {
    refused_with(r#""b64":false"#, Check::Header);
    refused_with(r#""b64":true"#, Check::Header);
    refused_with(r#""b64":false,"crit":["b64"]"#, Check::Header);
    // As if b64 had counted: the payload is not encoded.
    let header = base64url::encode(header(&HS256, "", None));
    refused(&sign_text(&HS256, &format!("{header}.{}", payload("", None))), &only(&HS256), Check::Claims);
}

#[test]
fn j21_a_long_token_is_refused_before_it_is_decoded() {
    let keys = only(&HS256);
    let padded = |len: usize| signed_payload(payload("pad", Some(&format!("\"{}\"", "x".repeat(len)))));
    let longest = (0..4000).rev().map(padded).find(|token| token.len() <= MAX_LENGTH).unwrap();
    assert!(longest.len() >= MAX_LENGTH - 1 && judge(&longest, &keys).is_ok());
    let longer = (0..4000).map(padded).find(|token| token.len() > MAX_LENGTH).unwrap();
    refused(&longer, &keys, Check::Length);
    refused(&padded(100 * 1024), &keys, Check::Length);
    refused(&padded(1024 * 1024), &keys, Check::Length);
    refused(&".".repeat(100_000), &keys, Check::Length);
    let header = header(&HS256, "pad", Some(&format!("\"{}\"", "x".repeat(65_536))));
    refused(&sign(&HS256, header, payload("", None)), &keys, Check::Length);
    assert_eq!(decode(&longer), Decoded::default());
}

#[test]
fn j22_deep_json_is_refused_and_overflows_no_stack() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(judge(&signed_payload(payload("x", Some(&nested(100)))), &only(&HS256)).is_ok());
    for depth in [128, 1000] {
        refused(&signed_payload(payload("x", Some(&nested(depth)))), &only(&HS256), Check::Claims);
        refused_with(&format!("\"x\":{}", nested(depth)), Check::Header);
    }
    let objects = format!("{}1{}", "{\"a\":".repeat(300), "}".repeat(300));
    refused(&signed_payload(payload("x", Some(&objects))), &only(&HS256), Check::Claims);
    refused(&signed_payload("[".repeat(2500)), &only(&HS256), Check::Claims);
    for depth in [10_000, 100_000] {
        refused(&signed_payload(payload("x", Some(&nested(depth)))), &only(&HS256), Check::Length);
        assert!(VerifyingKey::from_jwk(&nested(depth)).is_err());
        assert!(KeySet::from_jwks(&format!("{{\"x\":{}", nested(depth))).is_err());
    }
}

#[test]
fn j31_only_an_access_token_passes_for_one() {
    for key in every_key() {
        let typed = |typ| judge(&sign(key, header(key, "typ", typ), payload("", None)), &only(key));
        for typ in ["\"at+jwt\"", "\"AT+JWT\"", "\"application/at+jwt\"", "\"Application/At+Jwt\""] {
            assert!(typed(Some(typ)).is_ok(), "{typ}");
        }
        for typ in [
            "\"JWT\"",
            "\"jwt\"",
            "\"refresh\"",
            "\"rt+jwt\"",
            "\"dpop+jwt\"",
            "\"\"",
            "\"at+jwt \"",
            "\"at+jwts\"",
        ] {
            refused(&sign(key, header(key, "typ", Some(typ)), payload("", None)), &only(key), Check::Type);
        }
        refused(&sign(key, header(key, "typ", None), payload("", None)), &only(key), Check::Type);
        for typ in ["null", "1", "[\"at+jwt\"]"] {
            refused(&sign(key, header(key, "typ", Some(typ)), payload("", None)), &only(key), Check::Header);
        }
    }
}

#[test]
fn j35_nothing_is_trimmed_or_decoded_around_a_token() {
    let (token, keys) = (good(&HS256), only(&HS256));
    let around =
        [" ", "\t", "\n", "\r\n", "\"", "'", "\u{feff}", "\0", "%20", "<", "\u{200b}", ",", ";", "Bearer "];
    for extra in around {
        for forged in [format!("{extra}{token}"), format!("{token}{extra}"), format!("{extra}{token}{extra}")]
        {
            assert_eq!(judge(&forged, &keys), Err(Refusal::TokenInvalid), "{forged:?}");
        }
    }
    for forged in
        [token.replace('.', "%2E"), token.to_lowercase(), token.to_uppercase(), token.replace('.', " ")]
    {
        assert_eq!(judge(&forged, &keys), Err(Refusal::TokenInvalid), "{forged:?}");
    }
}

#[test]
fn j38_unicode_gives_no_second_reading() {
    let keys = only(&HS256);
    refused(&good(&HS256).replace('.', "\u{ff0e}"), &keys, Check::Form);
    refused(&good(&HS256).replacen('.', "\u{2024}", 1), &keys, Check::Form);
    refused_with(r#""\u006bid":"x""#, Check::Header);
    refused_with(r#""x":"\ud800""#, Check::Header);
    for name in [r"\u0073ub", r"ex\u0070", r"x\/y", r"\ud800"] {
        refused(&signed_payload(payload(name, Some("1"))), &keys, Check::Claims);
    }
    for value in [r#""\ud800""#, r#""\udc00\ud800""#, r#"{"\u0061":1}"#, "\"\u{1}\""] {
        refused(&signed_payload(payload("x", Some(value))), &keys, Check::Claims);
    }
    for bytes in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"] {
        let mut json = payload("", None).into_bytes();
        json.splice(1..1, [b"\"x\":\"", bytes, b"\","].concat());
        refused(&signed_payload(json), &keys, Check::Claims);
        let mut json = header(&HS256, "", None).into_bytes();
        json.splice(1..1, [b"\"x\":\"", bytes, b"\","].concat());
        refused(&sign(&HS256, json, payload("", None)), &keys, Check::Header);
    }
}

#[test]
fn a_header_of_many_members_is_refused_and_not_compared_for_ever() {
    let members = |count: usize| (0..count).map(|at| format!("\"{at}\":0")).collect::<Vec<_>>().join(",");
    refused_with(&members(65), Check::Header);
    let header = header(&HS256, "", None).replacen('{', &format!("{{{},", members(64)), 1);
    assert!(judge(&sign(&HS256, header, payload("", None)), &only(&HS256)).is_ok());
}

#[test]
fn a_header_in_another_order_is_read_and_judged_alike() {
    for key in every_key() {
        let (alg, kid) = (key.algorithm(), key.kid());
        let header = format!(
            " {{ \"typ\" : \"at+jwt\", \"x\":[1.5,null,true,{{\"y\":\"z\\n\"}}],\n\"kid\":\"{kid}\", \"alg\":\"{alg}\" }} "
        );
        assert!(judge(&sign(key, header, payload("", None)), &only(key)).is_ok());
        for junk in ["{", "[]", "\"x\"", "null", "", "{}x", "{\"alg\":\"HS256\"}{}"] {
            refused(&sign(key, junk, payload("", None)), &only(key), Check::Header);
        }
    }
}
