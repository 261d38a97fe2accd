//! Claims of a correctly signed token.

use super::*;

#[tokio::test]
async fn j23_a_lifetime_that_is_none_is_refused() {
    let (target, forger) = known_secret().await;
    let wrong_type = [
        "-1",
        "null",
        "\"\"",
        "\"9999999999\"",
        "\"never\"",
        "true",
        "[]",
        "{}",
        "NaN",
        "Infinity",
        "1e400",
        "1e308",
        "9223372036854775808",
        "18446744073709551616",
        "\"2030-01-01T00:00:00Z\"",
        "1800000900.0",
        "01",
        "+1",
        "-0",
    ];
    // The longest life of ours is 15 minutes, and 30 seconds on top.
    let no_life = ["0", "1", "1800000000", "1799999999", "1800000931", "9999999999", "9223372036854775807"];
    for exp in wrong_type.into_iter().chain(no_life) {
        target.refuses(forger.with_claim("exp", Some(exp))).await;
    }
    target.refuses(forger.with_claim("exp", None)).await;
    target.stands().await;
}

#[tokio::test]
async fn j25_nbf_counts_where_it_stands() {
    let (target, forger) = known_secret().await;
    for nbf in [
        "1800000031",
        "1800086400",
        "9223372036854775807",
        "9223372036854775808",
        "\"0\"",
        "\"\"",
        "null",
        "[]",
        "true",
        "1.5",
        "-1",
        "1e400",
    ] {
        target.refuses(forger.with_claim("nbf", Some(nbf))).await;
    }
    let started = format!("Bearer {}", forger.with_claim("nbf", Some("1800000030")));
    target.ask("GET", "/profile", "authorization", started.as_bytes()).await.is_ok();
    target.stands().await;
}

#[tokio::test]
async fn j26_iat_is_a_moment_that_has_been() {
    let (target, forger) = known_secret().await;
    let wrong = [
        "1800000031",
        "1800086400",
        "9223372036854775807",
        "-1",
        "0",
        "\"1800000000\"",
        "null",
        "[]",
        "true",
        "1.5",
        "1800000000.0",
    ];
    for iat in wrong {
        target.refuses(forger.with_claim("iat", Some(iat))).await;
    }
    target.stands().await;
}

#[tokio::test]
async fn j27_every_claim_that_the_server_issues_is_required() {
    let (target, forger) = known_secret().await;
    for name in ["iss", "aud", "sub", "sid", "role", "jti", "iat", "exp"] {
        assert!(!forger.member(name).is_empty());
        target.refuses(forger.with_claim(name, None)).await;
        target.refuses(forger.with_claim(name, Some("null"))).await;
    }
    for json in ["{}", "[]", "null", "1", "\"x\"", "", "no json"] {
        target.refuses(forger.with_payload(json)).await;
    }
    target.refuses(forger.with_payload(forger.own_payload() + "{}")).await;
    target.refuses(forger.with_header(forger.header("typ", None))).await;
    target.stands().await;
}

#[tokio::test]
async fn j28_sub_and_sid_have_one_spelling() {
    let (target, forger) = known_secret().await;
    for name in ["sub", "sid"] {
        let own = forger.member(name).trim_matches('"').to_owned();
        let spellings = [
            String::new(),
            "admin".into(),
            "ada".into(),
            "ada@example.org".into(),
            own.to_uppercase(),
            own.replace('-', ""),
            format!("{{{own}}}"),
            format!("urn:uuid:{own}"),
            format!("{own} "),
            format!("{own}\\u0000"),
            own.replacen('0', "\u{ff10}", 1),
            own.replacen('-', "\u{2010}", 1),
            format!("\\u00{:x}{}", own.as_bytes()[0], &own[1..]),
            "' OR 1=1 --".into(),
            format!("{own}' OR '1'='1"),
        ];
        for spelling in spellings {
            target.refuses(forger.with_claim(name, Some(&format!("\"{spelling}\"")))).await;
        }
        for value in ["0", "1", "[]", "{}", "true", &format!("[\"{own}\"]"), &format!("{{\"id\":\"{own}\"}}")]
        {
            target.refuses(forger.with_claim(name, Some(value))).await;
        }
    }
    target.stands().await;
}

#[tokio::test]
async fn j29_the_issuer_is_compared_exactly() {
    let target = Target::with(&[("JWT_SECRET", SECRET), ("public_url", "https://id.example.org")]).await;
    let forger = Forger::after(&target.admin.token().unwrap());
    let own = forger.member("iss").trim_matches('"').to_owned();
    assert!(own.starts_with("https://id.example.org"));
    for iss in [
        "",
        "doorward",
        "https://id.example",
        "https://id.example.org.evil.test",
        "https://evil.test/https://id.example.org",
        "HTTPS://ID.EXAMPLE.ORG",
        "http://id.example.org",
        "https://id.example.org//",
        "https://id.example.org#",
    ] {
        target.refuses(forger.with_claim("iss", Some(&format!("\"{iss}\"")))).await;
    }
    let lists = [format!("[\"{own}\"]"), format!("[\"x\",\"{own}\"]"), format!("{{\"iss\":\"{own}\"}}")];
    for iss in lists.iter().map(String::as_str).chain(["null", "[]", "{}", "1"]) {
        target.refuses(forger.with_claim("iss", Some(iss))).await;
    }
    let slashed = if let Some(bare) = own.strip_suffix('/') { bare.to_owned() } else { format!("{own}/") };
    target.refuses(forger.with_claim("iss", Some(&format!("\"{slashed}\"")))).await;
    target.stands().await;
}

#[tokio::test]
async fn j30_the_audience_is_one_string_compared_exactly() {
    let (target, forger) = known_secret().await;
    for aud in [
        "\"\"",
        "\"doorwar\"",
        "\"doorwards\"",
        "\"other\"",
        "\"DOORWARD\"",
        "\"doorward other\"",
        "\"doorward,other\"",
    ] {
        target.refuses(forger.with_claim("aud", Some(aud))).await;
    }
    // A list is refused even if it contains us: Doorward issues no such token.
    for aud in [
        "[]",
        "[\"other\"]",
        "[1]",
        "[null]",
        "{}",
        "[\"doorward\"]",
        "[\"doorward\",\"other\"]",
        "1",
        "{\"0\":\"doorward\"}",
    ] {
        target.refuses(forger.with_claim("aud", Some(aud))).await;
    }
    target.stands().await;
}

#[tokio::test]
async fn j34_a_raised_role_needs_a_new_signature() {
    for settings in [&[("JWT_SECRET", SECRET)][..], &[]] {
        let target = Target::with(settings).await;
        let own = target.user.token().unwrap();
        let forger = Forger::after(&own);
        let [header, _, signature] = parts(&own);
        for (name, value) in [
            ("role", "\"admin\""),
            ("roles", "[\"admin\"]"),
            ("scope", "\"users:write\""),
            ("permissions", "[\"users:write\"]"),
        ] {
            target
                .refuses(format!("{header}.{}.{signature}", encode(forger.payload(name, Some(value)))))
                .await;
        }
        target.stands().await;
    }
}

#[tokio::test]
async fn j34_a_signed_role_opens_no_admin_route() {
    // An attacker who knows the secret still gets no further than the store lets this user.
    let (target, _) = known_secret().await;
    let forger = Forger::after(&target.user.token().unwrap());
    let raised = format!("Bearer {}", forger.with_claim("role", Some("\"admin\"")));
    for (method, path) in [
        ("GET", "/admin/users"),
        ("GET", "/admin/sessions"),
        ("GET", "/admin/audit"),
        ("POST", "/admin/invitations"),
    ] {
        target
            .ask(method, path, "authorization", raised.as_bytes())
            .await
            .has_status(403)
            .is_refused("forbidden");
    }
    for role in
        ["\"ADMIN\"", "\" admin\"", "\"\u{430}dmin\"", "\"admin\\u0000\"", "\"\"", "[\"admin\"]", "\"*\""]
    {
        target.refuses(forger.with_claim("role", Some(role))).await;
    }
    target.stands().await;
}
