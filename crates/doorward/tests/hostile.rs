//! Hostile texts: none is lost or changed on its way in and out, and in a header none does harm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use doorward::testing::{Answer, Site, Visitor};
use http::{HeaderValue, Method, header};
use serde_json::{Value, json};

/// The big list of naughty strings.
fn naughty() -> Vec<String> {
    let list: Value = serde_json::from_str(include_str!("data/blns.json")).unwrap();
    list["strings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn is_clean(answer: &Answer, text: &str) {
    assert!(!answer.status.is_server_error(), "{text:?}: {} {}", answer.status, answer.text());
    if answer.status.is_client_error() {
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        answer.is_refused(&code);
    }
}

#[tokio::test]
async fn i01_naughty_names_are_kept_to_the_letter_or_refused() {
    let site = Site::with(&[("throttle.enabled", "false")]).await;
    let ada = site.registered("ada").await;
    let mut kept = 0;
    for text in naughty() {
        let answer = ada.patch("/profile", json!({ "name": text })).await;
        is_clean(&answer, &text);
        if answer.status.is_success() {
            kept += 1;
            let name = ada.get("/profile").await.is_ok()["user"]["name"].as_str().unwrap().to_owned();
            let typed = doorward_core::name::DisplayName::parse(&text).unwrap();
            assert_eq!(name, typed.as_str());
            // A page shows it as text (attack I02).
            let page = ada.page("/dashboard").await;
            is_clean(&page, &text);
            assert!(
                !text.contains('<') || !page.text().contains(&text),
                "{text:?} stands in the page as it is"
            );
        }
    }
    assert!(kept > 150, "{kept}");
}

/// Every password that may be set signs in afterwards, whatever it consists of.
#[tokio::test]
async fn p06_naughty_passwords_sign_in_or_are_refused() {
    let site = Site::with(&[("throttle.enabled", "false")]).await;
    let mut set = 0;
    for (n, text) in naughty().into_iter().enumerate().step_by(3) {
        let (ada, email) = (site.visitor(), format!("ada{n}@example.org"));
        let answer = ada.post("/register", json!({ "name": "Ada", "email": email, "password": text })).await;
        is_clean(&answer, &text);
        if answer.status.is_success() {
            set += 1;
            let login = json!({ "email": email, "password": text });
            site.visitor().post("/login", login).await.has_status(200);
            let longer = json!({ "email": email, "password": format!("{text}x") });
            site.visitor().post("/login", longer).await.is_refused("invalid_credentials");
        }
    }
    assert!(set > 40, "{set}");
}

#[tokio::test]
async fn i01_naughty_texts_in_headers_get_a_clean_answer() {
    // One text is a credential and a header that is shown.
    let site = Site::with(&[("throttle.enabled", "false")]).await.unwatched();
    let nobody = site.visitor();
    for text in naughty() {
        in_headers(&nobody, &text).await;
    }
}

async fn in_headers(nobody: &Visitor, text: &str) {
    let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) else { return };
    for name in [header::AUTHORIZATION, header::COOKIE, header::ACCEPT, header::USER_AGENT, header::ORIGIN] {
        for method in [Method::GET, Method::POST] {
            let request = nobody.request(method, "/profile").header(&name, value.clone());
            assert!(!nobody.send(request, "{}").await.status.is_server_error(), "{name}: {text:?}");
        }
    }
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
        let request = nobody.request(Method::POST, "/login").header(&name, value.clone());
        assert!(!nobody.send(request, "{}").await.status.is_server_error(), "{name}: {text:?}");
    }
    let token = nobody.request(Method::GET, "/profile").header(header::AUTHORIZATION, {
        let mut bearer = b"Bearer ".to_vec();
        bearer.extend(value.as_bytes());
        HeaderValue::from_bytes(&bearer).unwrap()
    });
    nobody.send(token, "").await.has_status(401);
}
