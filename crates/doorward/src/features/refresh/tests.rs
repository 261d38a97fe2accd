use std::time::Duration;

use doorward_core::Mode;
use http::{Method, header};
use serde_json::{Value, json};

use crate::testing::Site;

const REFRESH_COOKIE: &str = "__Secure-refresh_token";

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
async fn session_mode_has_nothing_to_refresh() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let answer = ada.refresh().await;
    answer.has_status(401).is_refused("refresh_invalid");
    ada.get("/profile").await.is_ok();
}

#[tokio::test]
async fn a_token_in_both_places_or_twice_is_refused_and_ends_nothing() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Cookie).await;
    let token = ada.cookie(REFRESH_COOKIE).unwrap();
    let both = ada.post("/refresh", json!({ "refresh_token": token })).await;
    both.has_status(400).is_refused("malformed");
    let twice = format!("{REFRESH_COOKIE}={token}; {REFRESH_COOKIE}={token}");
    let request = site.visitor().request(Method::POST, "/refresh").header(header::COOKIE, twice);
    let answer = site.visitor().send(request, "").await;
    answer.has_status(400).is_refused("malformed");
    assert!(both.set_cookies().is_empty() && answer.set_cookies().is_empty());
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
    for token in
        ["", "dr1.", "garbage", &forged, head, &format!("{genuine}A"), &genuine.to_uppercase(), &access]
    {
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
async fn a_refused_cookie_is_cleared_and_a_refused_body_clears_nothing() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Cookie).await;
    let thief = ada.copy();
    ada.post("/logout", Value::Null).await.is_ok();
    let answer = thief.refresh().await;
    answer.has_status(401).is_refused("session_ended");
    assert_eq!(answer.set_cookies().len(), 3, "{:?}", answer.set_cookies());
    assert!(thief.cookie(REFRESH_COOKIE).is_none() && thief.cookie("__Host-token").is_none());
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
