use std::time::Duration;

use doorward_core::Mode;
use http::{Method, header};
use serde_json::{Value, json};

use crate::testing::{Answer, Site, Visitor};

/// What the inspector says of a token.
async fn explain(admin: &Visitor, token: &str) -> Answer {
    admin.post("/inspect", json!({ "token": token })).await
}

fn failure(answer: &Answer) -> (Value, Value) {
    let said = answer.is_ok();
    (said["code"].clone(), said["first_failure"].clone())
}

fn detail(answer: &Answer, check: &str) -> String {
    let said = answer.is_ok();
    let found = said["checks"].as_array().unwrap().iter().find(|one| one["check"] == check).unwrap();
    found["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_good_token_passes_each_check_in_order_and_its_times_are_said_in_words() {
    let site = Site::new().await;
    let (admin, ada) = (site.admin("root").await, site.logged_in("ada").await);
    site.later(Duration::from_secs(120)).await;
    let said = explain(&admin, &ada.token().unwrap()).await.is_ok();
    assert_eq!((&said["accepted"], &said["verdict"]), (&json!(true), &json!("Accepted")));
    let checks: Vec<_> =
        said["checks"].as_array().unwrap().iter().map(|one| one["check"].as_str().unwrap()).collect();
    let of_token = doorward_core::token::Check::ALL.map(doorward_core::token::Check::name);
    assert_eq!(checks, [&of_token[..], &["session", "user", "version"]].concat());
    assert!(said["checks"].as_array().unwrap().iter().all(|one| one["verdict"] == "passed"));
    assert!(said["times"][0].as_str().unwrap().starts_with("Issued 2 minutes ago, at "), "{said}");
    assert!(said["times"][1].as_str().unwrap().starts_with("Expires in 13 minutes, at "), "{said}");
    assert_eq!(said["now"], site.clock.now().as_millis());
}

#[tokio::test]
async fn the_first_failure_is_named_with_what_to_do_and_who_ended_the_session() {
    let site = Site::new().await;
    let (admin, ada) = (site.admin("root").await, site.logged_in("ada").await);
    let (token, user) = (ada.token().unwrap(), ada.user_id().await);
    let phone = site.logged_in_by("ada", Mode::Bearer).await;
    phone.post("/logout", json!({})).await.is_ok();
    let answer = explain(&admin, &phone.token().unwrap()).await;
    assert_eq!(failure(&answer), (json!("session_ended"), json!("session")));
    let said = detail(&answer, "session");
    assert!(said.ends_with("Z: its owner logged out"), "{said}");
    assert_eq!(answer.is_ok()["advice"], "Sign in again.");

    admin.delete(&format!("/admin/users/{user}/sessions"), Value::Null).await.is_ok();
    let answer = explain(&admin, &token).await;
    let admins_id = admin.user_id().await;
    let said = detail(&answer, "session");
    assert!(
        said.starts_with("ended 20") && said.ends_with(&format!("Z: the admin {admins_id} ended it")),
        "{said}"
    );

    let revoked = site.logged_in("ada").await.token().unwrap();
    let revoke = site.visitor().request(Method::POST, "/revoke");
    let revoke = revoke
        .header(header::AUTHORIZATION, site.client().await)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    site.visitor().send(revoke, format!("token={revoked}")).await.has_status(200);
    let said = detail(&explain(&admin, &revoked).await, "session");
    assert!(said.contains("Z: the registered client 0") && said.ends_with(" revoked its token"), "{said}");
    admin.patch(&format!("/admin/users/{user}"), json!({ "disabled": true })).await.is_ok();
    let answer = explain(&admin, &token).await;
    assert!(detail(&answer, "user").starts_with("disabled since 20"));

    let cut = &token[..token.len() - 4];
    assert_eq!(failure(&explain(&admin, cut).await), (json!("token_invalid"), json!("signature")));
    site.later(Duration::from_secs(16 * 60)).await;
    let admin = site.logged_in("root").await;
    let answer = explain(&admin, &token).await;
    assert_eq!(failure(&answer), (json!("token_expired"), json!("expiry")));
    assert!(answer.is_ok()["advice"].as_str().unwrap().starts_with("Refresh"));
    let foreign = Site::new().await.logged_in("ada").await.token().unwrap();
    let answer = explain(&admin, &foreign).await;
    assert_eq!(failure(&answer), (json!("token_invalid"), json!("key")));
    assert_eq!(detail(&answer, "session"), "");
}

#[tokio::test]
async fn only_an_access_token_is_read_and_no_secret() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    let ada = site.logged_in("ada").await;
    let secret = "A".repeat(43);
    for text in [
        ada.refresh_token().unwrap().as_str(),
        &secret,
        &format!("{secret}.{secret}.{secret}"),
        &format!("Bearer {}", ada.token().unwrap()),
        &format!("token={}", ada.token().unwrap()),
        &format!("https://a.example/password/reset?token={secret}"),
        "eyJhbGciOiJFUzI1NiIsInR5cCI6ImRvb3J3YXJkLWlkZW50aXR5K2p3dCJ9.e30.c2ln",
        "eyJhbGciOiJub25lIn0.e30.",
        "",
        "a.b",
        "a.b.",
        "a.b.c.d",
        "a.b.c\n",
        "a b.c.d",
        "a.\u{e9}.c",
    ] {
        let answer = explain(&admin, text).await;
        answer.is_refused("invalid_input");
        assert!(!secret.is_empty() && !answer.text().contains(&secret), "{}", answer.text());
    }
    assert_eq!(failure(&explain(&admin, "a.b.c").await), (json!("token_invalid"), json!("header")));
    for body in [json!({}), json!({ "token": null }), json!({ "token": ["a.b.c"] }), json!({ "token": 1 })] {
        admin.post("/inspect", body).await.is_refused("invalid_input");
    }
    admin.form("/inspect", &[("token", "a.b.c")]).await.has_status(415);
}

#[tokio::test]
async fn a_body_of_more_than_16_kib_is_refused_with_and_without_its_length() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    let body = |bytes: usize| format!("{{\"token\":\"{}\"}}", "a".repeat(bytes - 12));
    for (bytes, status) in [(16_384, 422), (16_385, 413)] {
        let request =
            admin.request(Method::POST, "/inspect").header(header::CONTENT_TYPE, "application/json");
        let answer = admin.send(request, body(bytes)).await;
        answer.has_status(status);
        if status == 413 {
            assert!(answer.text().contains("at most 16384 bytes"), "{}", answer.text());
        }
    }
    let chunks = futures_util::stream::iter(
        body(70_000).into_bytes().chunks(1_000).map(<[u8]>::to_vec).collect::<Vec<_>>(),
    );
    let chunks = axum::body::Body::from_stream(futures_util::StreamExt::map(chunks, Ok::<_, std::io::Error>));
    let request = admin.request(Method::POST, "/inspect").header(header::CONTENT_TYPE, "application/json");
    admin.send(request, chunks).await.is_refused("too_large");
}

#[tokio::test]
async fn the_page_and_its_answer_are_for_roles_that_may_see_flows_alone() {
    let roles = [("roles.watcher", "flow:read"), ("roles.support", "users:read,sessions:read,audit:read")];
    let site = Site::with(&roles).await;
    for (name, allowed) in [("watcher", true), ("support", false), ("user", false)] {
        site.user(name, name.parse().unwrap()).await;
        let visitor = site.logged_in(name).await;
        let page = visitor.page("/inspect").await;
        let answer = explain(&visitor, "a.b.c").await;
        if allowed {
            page.has_status(200);
            answer.is_ok();
        } else {
            page.has_status(403);
            answer.is_refused("forbidden");
        }
    }
    site.visitor().post("/inspect", json!({ "token": "a.b.c" })).await.is_refused("token_missing");
    site.visitor().page("/inspect").await.goes_to("/login?return_to=%2Finspect");
}

#[tokio::test]
async fn only_a_page_of_this_server_may_post_and_a_listed_origin_may_not() {
    let site =
        Site::with(&[("public_url", "https://accounts.example.org"), ("origins", "https://app.example.org")])
            .await;
    let admin = site.admin("root").await;
    let post = async |headers: &[(&str, &str)]| {
        let mut request =
            admin.request(Method::POST, "/inspect").header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        admin.send(request, r#"{"token":"a.b.c"}"#).await
    };
    post(&[("sec-fetch-site", "same-origin"), ("origin", "https://accounts.example.org")]).await.is_ok();
    post(&[("origin", "https://accounts.example.org")]).await.is_ok();
    for headers in [
        [("origin", "https://app.example.org"), ("sec-fetch-site", "same-site")],
        [("origin", "https://app.example.org"), ("sec-fetch-site", "cross-site")],
        [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        [("origin", "null"), ("sec-fetch-site", "same-origin")],
        [("origin", "http://accounts.example.org"), ("x-nothing", "")],
        [("origin", "https://app.example.org"), ("x-nothing", "")],
        [("sec-fetch-site", "same-site"), ("x-nothing", "")],
    ] {
        post(&headers).await.is_refused("cross_site_request");
    }
}

#[tokio::test]
async fn the_page_asks_no_other_server_and_no_text_in_it_is_run() {
    let site = Site::new().await;
    let page = site.admin("root").await.page("/inspect").await;
    let (text, policy) = (page.text(), page.header("content-security-policy").unwrap());
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "style-src 'self'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !text.contains(" style=") && !text.contains(" onclick"));
    assert_eq!(text.matches("<script").count(), 1);
    assert!(text.contains("<noscript>") && text.contains("hidden>"), "{text}");
    // Without the script nothing has a name, so that nothing could be sent.
    let form = text.split("<form id=\"inspect\"").nth(1).unwrap().split("</form>").next().unwrap();
    assert!(!form.contains(" name=") && !form.contains(" action="), "{form}");
}

#[tokio::test]
async fn in_development_mode_it_answers_this_machine_without_a_sign_in_and_no_other_page() {
    let site = Site::with(&[("dev", "true"), ("origins", "http://localhost:5173")]).await;
    let visitor = site.visitor().from([127, 0, 0, 1]);
    visitor.page("/inspect").await.has_status(200);
    explain(&visitor, "a.b.c").await.is_ok();
    explain(&site.visitor(), "a.b.c").await.is_refused("development_only");
    for (name, value) in [
        ("origin", "http://localhost:5173"),
        ("sec-fetch-site", "same-site"),
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
    ] {
        for method in [Method::GET, Method::POST] {
            let request = visitor.request(method, "/inspect").header(name, value);
            let answer = visitor
                .send(request.header(header::CONTENT_TYPE, "application/json"), r#"{"token":"a.b.c"}"#);
            answer.await.has_status(403);
        }
    }
}

#[tokio::test]
async fn asking_about_a_token_changes_nothing_and_no_row_has_it() {
    let site = Site::new().await;
    let (admin, ada) = (site.admin("root").await, site.logged_in("ada").await);
    let token = ada.token().unwrap();
    let before = site.stolen_database().await;
    for text in [&token, &token[..token.len() - 1], "canary1.canary2.canary3"] {
        explain(&admin, text).await.is_ok();
    }
    let after = site.stolen_database().await;
    assert!(!after.contains("canary") && !after.contains(&token), "the token is in the database");
    assert_eq!(before, after);
}
