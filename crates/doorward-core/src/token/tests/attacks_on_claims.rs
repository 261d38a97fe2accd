//! Section J of the attack list: the claims of a correctly signed token.

use super::*;

#[track_caller]
fn claim_refused(name: &str, value: Option<&str>, by: Check) {
    refused(&signed_payload(payload(name, value)), &only(&HS256), by);
}

fn secs(at: Timestamp) -> String {
    at.as_secs().to_string()
}

#[test]
fn j14_a_name_that_stands_twice_in_the_payload_is_refused() {
    for name in ["iss", "aud", "sub", "sid", "role", "jti", "iat", "exp"] {
        let json = payload("", None);
        let usual: serde_json::Value = serde_json::from_str(&json).unwrap();
        let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
        for name in [name, &escaped] {
            let again = format!("\"{name}\":{}", usual.get(name).unwrap_or(&usual["exp"]));
            for twice in
                [json.replacen('{', &format!("{{{again},"), 1), json.replacen('}', &format!(",{again}}}"), 1)]
            {
                refused(&signed_payload(twice), &only(&HS256), Check::Claims);
            }
        }
    }
    let json = payload("x", Some("1"));
    refused(&signed_payload(json.replacen('{', "{\"x\":1,", 1)), &only(&HS256), Check::Claims);
    claim_refused("x", Some(r#"{"a":1,"b":[{"c":1,"c":1}]}"#), Check::Claims);
}

#[test]
fn j23_a_lifetime_that_is_no_lifetime_is_refused() {
    for exp in [
        "-1",
        "null",
        "\"\"",
        "\"9999999999\"",
        "\"never\"",
        "true",
        "[]",
        "{}",
        "NaN",
        "1e400",
        "1.8e9",
        "1e308",
        "9223372036854775808",
        "18446744073709551616",
        "\"2030-01-01T00:00:00Z\"",
        "-0",
        "01",
        "+1",
        "Infinity",
        "1800000900.0",
        "0x6b49d200",
    ] {
        claim_refused("exp", Some(exp), Check::Claims);
    }
    claim_refused("exp", None, Check::Claims);
    // Whole numbers, but not the life of one of our tokens.
    let late = secs(NOW + MAX_TTL + LEEWAY + Duration::from_secs(1));
    for exp in
        ["0", &secs(NOW), &secs(NOW - MAX_TTL), &late, "9999999999", "9223372036854775807", "9223372036855"]
    {
        claim_refused("exp", Some(exp), Check::Lifetime);
    }
    let last = secs(NOW + MAX_TTL + LEEWAY);
    assert!(judge(&signed_payload(payload("exp", Some(&last))), &only(&HS256)).is_ok());
}

#[test]
fn j24_the_end_is_exact_and_has_no_leeway() {
    let (token, keys) = (good(&HS256), only(&HS256));
    let end = NOW + MAX_TTL;
    let at = |now| verify(&token, &keys, &expected(), now).err();
    assert_eq!(at(end - Duration::from_secs(1)), None);
    assert_eq!(at(end - Duration::from_micros(1)), None);
    assert_eq!(at(end), Some(Refusal::TokenExpired));
    assert_eq!(at(end + Duration::from_secs(30)), Some(Refusal::TokenExpired));
    assert_eq!(at(Timestamp::from_micros(i64::MAX)), Some(Refusal::TokenExpired));
    claim_refused("exp", Some(&format!("{}.5", NOW.as_secs())), Check::Claims);
}

#[test]
fn j25_nbf_counts_where_it_stands() {
    let with = |nbf: &str| judge(&signed_payload(payload("nbf", Some(nbf))), &only(&HS256));
    assert!(
        with(&secs(NOW - MAX_TTL)).is_ok() && with(&secs(NOW)).is_ok() && with(&secs(NOW + LEEWAY)).is_ok()
    );
    claim_refused("nbf", Some(&secs(NOW + LEEWAY + Duration::from_secs(1))), Check::NotBefore);
    claim_refused("nbf", Some("9223372036854775807"), Check::NotBefore);
    for nbf in ["null", "\"0\"", "1.5", "[]", "-1", "1e400", "9223372036854775808", "true"] {
        claim_refused("nbf", Some(nbf), Check::Claims);
    }
}

#[test]
fn j26_iat_is_a_moment_that_has_been() {
    let with = |iat: Timestamp| {
        let json = payload("iat", Some(&secs(iat)));
        judge(&signed_payload(json), &only(&HS256))
    };
    assert!(with(NOW).is_ok() && with(NOW + LEEWAY).is_ok() && with(NOW - LEEWAY).is_ok());
    claim_refused("iat", Some(&secs(NOW + LEEWAY + Duration::from_secs(1))), Check::IssuedAt);
    claim_refused("iat", Some("9223372036854775807"), Check::IssuedAt);
    claim_refused("iat", Some("0"), Check::Lifetime);
    for iat in ["-1", "\"1800000000\"", "null", "1.5", "1800000000.0", "[]", "true", "-9223372036854775809"] {
        claim_refused("iat", Some(iat), Check::Claims);
    }
}

#[test]
fn j27_every_claim_that_doorward_issues_is_required() {
    for name in ["iss", "aud", "sub", "sid", "role", "jti", "iat", "exp"] {
        claim_refused(name, None, Check::Claims);
        claim_refused(name, Some("null"), Check::Claims);
    }
    for json in ["{}", "[]", "null", "1", "\"x\"", "", "not json"] {
        refused(&signed_payload(json), &only(&HS256), Check::Claims);
    }
    let two = payload("", None) + "{}";
    refused(&signed_payload(two), &only(&HS256), Check::Claims);
}

#[test]
fn j27_jti_is_a_text_of_some_length() {
    let longest = format!("\"{}\"", "x".repeat(128));
    assert!(judge(&signed_payload(payload("jti", Some(&longest))), &only(&HS256)).is_ok());
    for jti in ["\"\"", "1", "[]", &format!("\"{}\"", "x".repeat(129))] {
        claim_refused("jti", Some(jti), Check::Claims);
    }
}

#[test]
fn j27_the_claims_version_is_a_whole_number_that_every_reader_has_exactly_and_0_where_it_is_missing() {
    let version = |value| judge(&signed_payload(payload("ver", value)), &only(&HS256)).unwrap().version;
    assert_eq!(version(None), ClaimsVersion::ZERO);
    assert_eq!(version(Some("0")), ClaimsVersion::ZERO);
    assert_eq!(version(Some("9007199254740991")), ClaimsVersion::MAX);
    for ver in ["-1", "-0", "7.0", "7e0", "0.5", "9007199254740992", "18446744073709551616", "1e300"] {
        claim_refused("ver", Some(ver), Check::Claims);
    }
    for ver in ["\"7\"", "null", "true", "[7]", "{}", "\"\""] {
        claim_refused("ver", Some(ver), Check::Claims);
    }
    let twice = payload("", None).replacen('{', "{\"ver\":99,", 1);
    refused(&signed_payload(twice), &only(&HS256), Check::Claims);
}

#[test]
fn j27_a_token_says_when_and_how_its_user_signed_in_or_counts_as_long_ago_and_by_no_method() {
    let said = |name, value| {
        let token = judge(&signed_payload(payload(name, value)), &only(&HS256)).unwrap();
        (token.authentication.at, token.authentication.methods.to_string())
    };
    let usual = || ((NOW - MAX_TTL), "pwd".to_owned());
    assert_eq!(said("auth_time", None), (Timestamp::from_secs(0), usual().1));
    assert_eq!(said("amr", None), (usual().0, String::new()));
    assert_eq!(said("amr", Some(r#"["hwk","pwd","face"]"#)), (usual().0, "pwd hwk".into()));
    assert_eq!(said("amr", Some("[]")), (usual().0, String::new()));
    for time in ["-1", "\"1\"", "null", "1.5", "1e3", "[]"] {
        claim_refused("auth_time", Some(time), Check::Claims);
    }
    for amr in ["\"pwd\"", "null", "{}", "[1]", "[null]", "[[\"pwd\"]]", "true"] {
        claim_refused("amr", Some(amr), Check::Claims);
    }
    for twice in ["\"amr\":[\"hwk\"]", "\"auth_time\":1800000000"] {
        let json = payload("", None).replacen('{', &format!("{{{twice},"), 1);
        refused(&signed_payload(json), &only(&HS256), Check::Claims);
    }
}

#[test]
fn j28_sub_and_sid_are_ids_in_their_one_spelling() {
    let id = claims().user.to_string();
    for spelling in [
        String::new(),
        "admin".into(),
        "ada@example.com".into(),
        id.to_uppercase(),
        id.replace('-', ""),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
        format!("{id} "),
        format!("{id}\\u0000"),
        format!("\\u00{:x}{}", id.as_bytes()[0], &id[1..]),
        id.replacen('0', "\u{ff10}", 1),
        "' OR 1=1 --".into(),
    ] {
        for name in ["sub", "sid"] {
            claim_refused(name, Some(&format!("\"{spelling}\"")), Check::Claims);
        }
    }
    for value in ["1", "[]", "{}", "true", "[\"x\"]"] {
        for name in ["sub", "sid", "role", "iss", "aud"] {
            claim_refused(name, Some(value), Check::Claims);
        }
    }
    for role in ["\"\"", "\"ADMIN\"", "\" admin\"", "\"\u{430}dmin\"", "\"admin\\u0000\"", "\"a,b\""] {
        claim_refused("role", Some(role), Check::Claims);
    }
}

#[test]
fn j29_the_issuer_is_compared_exactly() {
    for iss in
        ["", "doorwar", "doorwardx", "xdoorward", "DOORWARD", "doorward/", "doorward ", "d\u{43e}orward"]
    {
        claim_refused("iss", Some(&format!("\"{iss}\"")), Check::Issuer);
    }
    for iss in ["[\"doorward\"]", "null", "[]", "{}"] {
        claim_refused("iss", Some(iss), Check::Claims);
    }
}

#[test]
fn j30_the_audience_is_one_string_compared_exactly() {
    for aud in ["", "doorwar", "doorwardx", "other", "DOORWARD", "doorward,other", "doorward other"] {
        claim_refused("aud", Some(&format!("\"{aud}\"")), Check::Audience);
    }
    // A list is refused even if it contains us: Doorward issues no such token.
    for aud in ["[]", "[\"other\"]", "[1]", "{}", "[\"doorward\"]", "[\"doorward\",\"other\"]", "null"] {
        claim_refused("aud", Some(aud), Check::Claims);
    }
}

#[test]
fn j34_a_raised_role_needs_a_new_signature() {
    for key in every_key() {
        let token = good(key);
        let parts: Vec<_> = token.split('.').collect();
        for (name, value) in
            [("role", "\"admin\""), ("scope", "\"admin\""), ("permissions", "[\"users:write\"]")]
        {
            let raised = base64url::encode(payload(name, Some(value)));
            refused(&format!("{}.{raised}.{}", parts[0], parts[2]), &only(key), Check::Signature);
        }
    }
}

#[test]
fn j42_the_refusal_tells_nothing_until_the_signature_is_good() {
    let keys = only(&HS256);
    let expired = issue(
        &HS256,
        &expected(),
        &Claims { issued_at: NOW - 2 * MAX_TTL, expires_at: NOW - MAX_TTL, ..claims() },
    );
    let expired = expired.unwrap();
    assert_eq!(judge(&expired, &keys), Err(Refusal::TokenExpired));
    // Expired, and badly signed: the same answer as for a live one that is badly signed.
    refused(&format!("{}A", &expired[..expired.len() - 1]), &keys, Check::Signature);
    // Expired, and for somebody else: the answer doesn't reveal that either.
    let elsewhere = Expected { audience: "other".into(), ..expected() };
    let other =
        issue(&HS256, &elsewhere, &Claims { expires_at: NOW - LEEWAY, issued_at: NOW - MAX_TTL, ..claims() });
    refused(&other.unwrap(), &keys, Check::Audience);
    // A payload that is not JSON, badly signed: the signature is what fails.
    let header = base64url::encode(header(&HS256, "", None));
    refused(&format!("{header}.AAAA.{}", "A".repeat(43)), &keys, Check::Signature);
}

#[test]
fn j43_extreme_clocks_make_no_panic() {
    let (token, keys) = (good(&HS256), only(&HS256));
    for micros in [i64::MIN, -1, 0, i64::MAX] {
        let now = Timestamp::from_micros(micros);
        assert!(verify(&token, &keys, &expected(), now).is_err());
        assert_eq!(explain(&token, &keys, &expected(), now).outcome, verify(&token, &keys, &expected(), now));
    }
    let forever = Expected { max_ttl: Duration::MAX, ..expected() };
    assert!(verify(&token, &keys, &forever, NOW).is_ok());
    // A clock set back by one second is not a logout.
    assert!(verify(&token, &keys, &expected(), NOW - Duration::from_secs(1)).is_ok());
    let after_2038 = Timestamp::from_secs(3_000_000_000);
    let claims = Claims { issued_at: after_2038, expires_at: after_2038 + MAX_TTL, ..claims() };
    assert!(verify(&issue(&HS256, &expected(), &claims).unwrap(), &keys, &expected(), after_2038).is_ok());
}

#[test]
fn further_claims_are_allowed_and_not_looked_at() {
    for (name, value) in
        [("name", "\"Ada\\n\""), ("aud2", "[1,2.5,{\"a\":null}]"), ("scope", "\"x\""), ("", "-1e3")]
    {
        assert!(judge(&signed_payload(payload(name, Some(value))), &only(&HS256)).is_ok(), "{name}");
    }
}
