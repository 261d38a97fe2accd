use std::time::Duration;

use doorward_core::Mode;
use http::{Method, header};
use serde_json::{Value, json};

use crate::testing::{Answer, Site, Visitor};

const REFRESH_COOKIE: &str = "__Host-refresh_token";

#[tokio::test]
async fn in_bearer_mode_the_body_has_the_successors() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let before = (ada.token(), ada.refresh_token());
    site.later(Duration::from_secs(1)).await;
    insta::assert_snapshot!(ada.refresh().await.redacted(), @r#"
    {
      "expires_in": 900,
      "refresh_expires_in": 2592000,
      "refresh_token": "[token]",
      "success": true,
      "token": "[token]",
      "token_type": "Bearer"
    }
    "#);
    assert!(ada.token() != before.0 && ada.refresh_token() != before.1);
    ada.get("/profile").await.is_ok();
}

#[tokio::test]
async fn in_cookie_mode_the_cookies_have_them_and_the_body_has_not() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Cookie).await;
    let before = (ada.cookie("__Host-token"), ada.cookie(REFRESH_COOKIE));
    site.later(Duration::from_secs(901)).await;
    ada.get("/profile").await.is_refused("token_expired");
    let answer = ada.refresh().await;
    assert_eq!(answer.is_ok(), json!({ "success": true, "expires_in": 900 }));
    assert!(ada.cookie("__Host-token") != before.0 && ada.cookie(REFRESH_COOKIE) != before.1);
    ada.get("/profile").await.is_ok();
}

#[tokio::test]
async fn a_token_in_both_places_is_refused_and_ends_nothing() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Cookie).await;
    let token = ada.cookie(REFRESH_COOKIE).unwrap();
    let both = ada.post("/refresh", json!({ "refresh_token": token })).await;
    both.has_status(400).is_refused("malformed");
    assert!(both.set_cookies().is_empty());
    ada.refresh().await.is_ok();
}

#[tokio::test]
async fn authorization_is_not_looked_at() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let (_, refresh_token) = (ada.token(), ada.refresh_token());
    ada.hold(Some("garbage"), refresh_token.as_deref());
    ada.refresh().await.is_ok();
    let by_token_alone = site.visitor();
    by_token_alone.hold(ada.token().as_deref(), None);
    by_token_alone.refresh().await.is_refused("refresh_invalid");
}

#[tokio::test]
async fn what_is_no_refresh_token_of_ours_is_one_answer() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let genuine = ada.refresh_token().unwrap();
    let (head, last) = genuine.split_at(genuine.len() - 1);
    let forged = format!("{head}{}", if last == "A" { "B" } else { "A" });
    let access = ada.token().unwrap();
    let mut answers = Vec::new();
    for token in [
        "",
        "dr1.",
        "dr2.",
        "garbage",
        &forged,
        head,
        &format!("{genuine}A"),
        &genuine.to_uppercase(),
        &access,
    ] {
        let answer = site.visitor().post("/refresh", json!({ "refresh_token": token })).await;
        answer.has_status(401).is_refused("refresh_invalid");
        answers.push(answer.redacted());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    for wrong in [json!(7), json!([genuine]), json!({})] {
        site.visitor().post("/refresh", json!({ "refresh_token": wrong })).await.is_refused("invalid_input");
    }
    ada.refresh().await.is_ok();
}

#[tokio::test]
async fn a_refused_refresh_clears_no_cookie() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Cookie).await;
    let thief = ada.copy();
    ada.post("/logout", Value::Null).await.is_ok();
    let answer = thief.refresh().await;
    answer.has_status(401).is_refused("session_ended");
    assert!(answer.set_cookies().is_empty());
    let answer = site.visitor().post("/refresh", json!({ "refresh_token": "dr1.garbage" })).await;
    assert!(answer.set_cookies().is_empty());
}

#[tokio::test]
async fn a_refresh_token_lives_from_its_last_use_up_to_the_end_of_the_session() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let idle = site.logged_in("bob").await;
    let mut days_left = Vec::new();
    for _ in 0..3 {
        site.later(Duration::from_secs(29 * 86_400)).await;
        days_left.push(ada.refresh().await.is_ok()["refresh_expires_in"].as_u64().unwrap() / 86_400);
    }
    assert_eq!(days_left, [30, 30, 3]);
    site.later(Duration::from_secs(3 * 86_400)).await;
    ada.refresh().await.has_status(401).is_refused("session_expired");
    // It expired two months ago, and is kept for a day.
    idle.refresh().await.has_status(401).is_refused("refresh_invalid");
    let idle = site.logged_in("bob").await;
    site.later(Duration::from_secs(30 * 86_400)).await;
    idle.refresh().await.has_status(401).is_refused("session_expired");
}

#[tokio::test]
async fn a_new_role_comes_with_the_next_refresh() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    let ada = site.logged_in("ada").await;
    let path = format!("/admin/users/{}", ada.user_id().await);
    admin.patch(&path, json!({ "role": "admin" })).await.is_ok();
    ada.get("/profile").await.has_status(401).is_refused("token_stale");
    ada.refresh().await.is_ok();
    ada.get("/admin/users").await.is_ok();
}

/// The headers of a browser for a page that its user opens, and for one that another site opens.
const OPENED: [(&str, &str); 2] = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
const CROSS_SITE: (&str, &str) = ("sec-fetch-site", "cross-site");

async fn open(visitor: &Visitor, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = visitor.request(Method::GET, path).header(header::ACCEPT, "text/html,*/*;q=0.8");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    visitor.send(request, "").await
}

#[tokio::test]
async fn a_page_whose_token_has_run_out_is_renewed_and_comes_back() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Cookie).await;
    let before = ada.cookie(REFRESH_COOKIE);
    site.later(Duration::from_secs(901)).await;
    open(&ada, "/dashboard?a=b", &OPENED).await.goes_to("/refresh?return_to=%2Fdashboard%3Fa%3Db");
    open(&ada, "/refresh?return_to=%2Fdashboard%3Fa%3Db", &OPENED).await.goes_to("/dashboard?a=b");
    assert_ne!(ada.cookie(REFRESH_COOKIE), before);
    open(&ada, "/dashboard?a=b", &OPENED).await.has_status(200);

    // The login is not a dead end either, nor is a token whose role is out of date.
    site.later(Duration::from_secs(901)).await;
    ada.page("/login").await.goes_to("/refresh?return_to=%2Fdashboard");
    ada.page("/refresh").await.goes_to("/dashboard");
    let root = site.admin("root").await;
    let path = format!("/admin/users/{}", ada.user_id().await);
    root.patch(&path, json!({ "role": "admin" })).await.is_ok();
    ada.page("/dashboard").await.goes_to("/refresh?return_to=%2Fdashboard");
    ada.page("/refresh?return_to=%2Fdashboard").await.goes_to("/dashboard");
    ada.page("/dashboard").await.has_status(200);
}

#[tokio::test]
async fn whoever_cannot_be_renewed_goes_to_the_login_and_in_no_circle() {
    let site = Site::new().await;
    let login = "/login?return_to=%2Fdashboard";
    let refresh = "/refresh?return_to=%2Fdashboard";
    site.visitor().page(refresh).await.goes_to(login);

    // Signed out elsewhere.
    let ada = site.logged_in_by("ada", Mode::Cookie).await;
    let elsewhere = ada.copy();
    ada.post("/logout", Value::Null).await.is_ok();
    let answer = elsewhere.page(refresh).await;
    answer.goes_to(login);
    assert!(answer.set_cookies().is_empty());
    elsewhere.page(login).await.has_status(200);

    // A refresh token that is not ours, with an expired access token.
    let bob = site.logged_in_by("bob", Mode::Cookie).await;
    bob.hold_cookie(REFRESH_COOKIE, "dr1.planted");
    site.later(Duration::from_secs(901)).await;
    bob.page("/dashboard").await.goes_to(refresh);
    bob.page(refresh).await.goes_to(login);
    bob.page(login).await.has_status(200);
}

#[tokio::test]
async fn a_browser_that_keeps_no_new_cookies_ends_at_the_login() {
    let site = Site::new().await;
    let stubborn = site.logged_in_by("ada", Mode::Cookie).await;
    site.later(Duration::from_secs(901)).await;
    let refresh = "/refresh?return_to=%2Fdashboard";
    stubborn.copy().page("/dashboard").await.goes_to(refresh);
    stubborn.copy().page(refresh).await.goes_to("/dashboard");
    stubborn.copy().page("/dashboard").await.goes_to(refresh);
    stubborn.copy().page(refresh).await.goes_to("/login?return_to=%2Fdashboard");
    stubborn.copy().page("/login?return_to=%2Fdashboard").await.has_status(200);

    // A second tab has the same token, and keeps the answer's: it is only redirected by the login.
    stubborn.page(refresh).await.goes_to("/login?return_to=%2Fdashboard");
    stubborn.page("/login?return_to=%2Fdashboard").await.goes_to("/dashboard");
    stubborn.page("/dashboard").await.has_status(200);
}

#[tokio::test]
async fn only_a_browser_that_opens_a_page_renews_by_get() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Cookie).await;
    for other in [
        [("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
        [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
        [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
    ] {
        let answer = open(&ada, "/refresh", &other).await;
        answer.has_status(405);
        assert!(answer.set_cookies().is_empty() && answer.header("allow") == Some("POST"));
    }
    ada.get("/refresh").await.has_status(405).is_refused("method_not_allowed");
    let head = ada.request(Method::HEAD, "/refresh").header(header::ACCEPT, "text/html");
    let answer = ada.send(head, "").await;
    assert!(answer.has_status(405).set_cookies().is_empty());
    // The token in the cookie is still the first one.
    open(&ada, "/refresh", &OPENED).await.goes_to("/dashboard");
}

#[tokio::test]
async fn a_renewal_returns_to_paths_of_ours_alone() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Cookie).await;
    for bad in [
        "//evil.example",
        "https://evil.example",
        "/%5Cevil.example",
        "/logout",
        "/refresh",
        "%0d%0aset-cookie:x",
    ] {
        ada.page(&format!("/refresh?return_to={bad}")).await.goes_to("/dashboard");
        let stranger = site.visitor().page(&format!("/refresh?return_to={bad}")).await;
        stranger.goes_to("/login?return_to=%2Fdashboard");
    }
    ada.page("/refresh?return_to=%2Fa&return_to=%2Fb").await.has_status(400);
}

#[tokio::test]
async fn from_another_site_the_page_asks_once_more_by_itself() {
    let site = Site::new().await;
    let next = "/refresh?return_to=%2Fdashboard%3Fa%3D%2522%253E";
    for mode in [Mode::Session, Mode::Cookie] {
        let name = format!("ada-{}", mode.as_str());
        let ada = site.logged_in_by(&name, mode).await;
        // The browser withholds Strict cookies.
        let answer = open(&site.visitor(), "/dashboard?a=%22%3E", &[CROSS_SITE]).await;
        answer.has_status(200);
        assert_eq!(answer.header("refresh"), Some(&*format!("0; url={next}")));
        assert!(
            answer.text().contains(&format!("href=\"{}\"", next.replace('/', "&#x2f;"))),
            "{}",
            answer.text()
        );
        assert!(answer.set_cookies().is_empty() && !answer.text().contains("<script"));
        // Then our page sends the request, and not the other site.
        ada.page(next).await.goes_to("/dashboard?a=%22%3E");
    }
    site.visitor().page(next).await.goes_to("/login?return_to=%2Fdashboard%3Fa%3D%2522%253E");
    let login = open(&site.visitor(), "/login", &[CROSS_SITE]).await;
    assert_eq!(login.header("refresh"), Some("0; url=/refresh?return_to=%2Fdashboard"));
    // Even a browser that calls all of it cross-site shows the form in the end.
    open(&site.visitor(), "/refresh?return_to=%2Fdashboard", &[CROSS_SITE])
        .await
        .goes_to("/login?return_to=%2Fdashboard");
    let login = open(&site.visitor(), "/login?return_to=%2Fdashboard", &[CROSS_SITE]).await;
    assert_eq!(login.has_status(200).header("refresh"), None);
}

#[tokio::test]
async fn the_page_for_other_sites_is_for_pages_alone() {
    let site = Site::new().await;
    let program = site.visitor().request(Method::GET, "/dashboard").header(CROSS_SITE.0, CROSS_SITE.1);
    site.visitor().send(program, "").await.has_status(401).is_refused("token_missing");
    let form = site
        .visitor()
        .request(Method::POST, "/logout/all")
        .header(CROSS_SITE.0, CROSS_SITE.1)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    assert_eq!(site.visitor().send(form, "").await.has_status(403).header("refresh"), None);
    // With cookies there is nothing to wait for.
    let ada = site.logged_in_by("ada", Mode::Session).await;
    open(&ada, "/dashboard", &[CROSS_SITE]).await.has_status(200);
    ada.hold_cookie("__Host-sessionId", "garbage");
    open(&ada, "/dashboard", &[CROSS_SITE]).await.goes_to("/login?return_to=%2Fdashboard");
    open(&site.visitor(), "/dashboard", &[("sec-fetch-site", "same-site")])
        .await
        .goes_to("/login?return_to=%2Fdashboard");
}

#[tokio::test]
async fn below_a_base_path_the_detour_stays_there() {
    let site = Site::with(&[("base_path", "/auth")]).await;
    let answer = open(&site.visitor(), "/auth/dashboard", &[CROSS_SITE]).await;
    assert_eq!(answer.header("refresh"), Some("0; url=/auth/refresh?return_to=%2Fdashboard"));
    let stranger = site.visitor().page("/auth/refresh?return_to=%2Fdashboard").await;
    stranger.goes_to("/auth/login?return_to=%2Fdashboard");
}

#[tokio::test]
async fn a_form_whose_token_has_run_out_is_sent_again_after_the_renewal() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Cookie).await;
    site.later(Duration::from_secs(901)).await;
    let stubborn = ada.copy();
    let name = [("name", "Ada Lovelace")];
    let again = |answer: &Answer, path: &str| {
        assert_eq!((answer.status.as_u16(), answer.header("location")), (307, Some(path)));
    };
    let refresh = "/refresh?return_to=%2Fprofile";
    again(&ada.form("/profile", &name).await, refresh);
    again(&ada.form(refresh, &name).await, "/profile");
    ada.form("/profile", &name).await.has_status(303);
    assert_eq!(ada.get("/profile").await.is_ok()["user"]["name"], "Ada Lovelace");

    // A browser that keeps no cookies doesn't loop; one that can't be renewed gets a page, not the form.
    stubborn.form(refresh, &name).await.goes_to("/login?return_to=%2Fdashboard");
    site.visitor().form(refresh, &name).await.goes_to("/login?return_to=%2Fdashboard");
    site.visitor().form("/profile", &name).await.goes_to("/login");
    let request = ada.request(Method::POST, refresh).header(CROSS_SITE.0, CROSS_SITE.1);
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = ada.send(request, "").await;
    assert!(answer.has_status(403).set_cookies().is_empty());
    // The target is required only for forms.
    ada.post("/refresh?return_to=%2Fprofile", Value::Null).await.is_ok();
}

#[tokio::test]
async fn the_cookie_of_session_mode_gets_an_access_token_and_nothing_is_renewed() {
    let site =
        Site::with(&[("public_url", "https://accounts.example.com"), ("origins", "https://app.example.com")])
            .await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let secret = ada.cookie("__Host-sessionId");
    let from = |origin: &'static str| {
        let request = ada.request(Method::POST, "/refresh").header("origin", origin);
        let request =
            request.header("sec-fetch-site", "same-site").header("content-type", "application/json");
        ada.send(request, "{}")
    };
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let answer = from("https://app.example.com").await;
        let body = answer.is_ok();
        assert_eq!((&body["expires_in"], &body["token_type"]), (&900.into(), &"Bearer".into()));
        assert!(body.get("refresh_token").is_none() && answer.set_cookies().is_empty(), "{body}");
        assert!(!answer.text().contains(secret.as_deref().unwrap()));
        tokens.push(body["token"].as_str().unwrap().to_owned());
    }
    assert_eq!(ada.cookie("__Host-sessionId"), secret);
    from("https://evil.example.com").await.is_refused("cross_site_request");

    let api = site.visitor();
    api.hold(Some(&tokens[0]), None);
    assert_eq!(api.get("/profile").await.is_ok()["user"]["name"], "ada");
    // A logout in the browser is one of its tokens too.
    ada.post("/logout", Value::Null).await.is_ok();
    for token in &tokens {
        api.hold(Some(token), None);
        api.get("/profile").await.is_refused("session_ended");
    }
    from("https://app.example.com").await.is_refused("refresh_invalid");
}

/// Asks for a token as a page of our own does.
async fn exchanged(visitor: &Visitor) -> Answer {
    let request = visitor.request(Method::POST, "/refresh").header("sec-fetch-site", "same-origin");
    visitor.send(request.header("content-type", "application/json"), "{}").await
}

#[tokio::test]
async fn a_session_cookie_is_exchanged_as_the_settings_say_and_for_nobody_else() {
    for (settings, is_given) in [
        (&[][..], true),
        (&[("session.tokens", "false")], false),
        (&[("public_url", "https://accounts.example.com"), ("cookie.domain", "example.com")], false),
    ] {
        let site = Site::with(settings).await;
        let ada = site.logged_in_by("ada", Mode::Session).await;
        let answer = exchanged(&ada).await;
        if is_given { drop(answer.is_ok()) } else { drop(answer.is_refused("refresh_invalid")) }
    }
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    ada.page("/refresh").await.goes_to("/dashboard");
    ada.form("/refresh", &[]).await.has_status(401);
    // No page sent this.
    ada.post("/refresh", Value::Null).await.is_refused("refresh_invalid");
    // A token in `Authorization` neither helps nor hurts.
    let eve = site.registered("eve").await;
    let eves = eve.token();
    ada.hold(eves.as_deref(), None);
    let given = exchanged(&ada).await.is_ok()["token"].as_str().unwrap().to_owned();
    ada.hold(Some(&given), None);
    assert_eq!(ada.get("/profile").await.is_ok()["user"]["name"], "ada");
    let ended = site.logged_in_by("ada", Mode::Session).await;
    site.later(Duration::from_secs(8 * 86_400)).await;
    exchanged(&ended).await.is_refused("session_expired");
}

#[tokio::test]
async fn a_token_of_a_session_cookie_says_the_role_of_now() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let api = site.visitor();
    let token = async || exchanged(&ada).await.is_ok()["token"].as_str().unwrap().to_owned();
    api.hold(Some(&token().await), None);
    let user = format!("/admin/users/{}", ada.user_id().await);
    admin.patch(&user, json!({ "role": "admin" })).await.is_ok();
    api.get("/profile").await.is_refused("token_stale");
    api.hold(Some(&token().await), None);
    api.get("/admin/users").await.is_ok();
}
