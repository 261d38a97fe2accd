//! P15: address, password and account change only with the current password, in a session that the store knows.

use axum::body::Body;
use doorward::testing::{PASSWORD, Site, Visitor};
use doorward_core::Mode;
use http::Method;
use serde_json::{Value, json};

use super::signs_in;
use crate::reading::stored_hash;

const NEW: &str = "quite another password";

/// Each act with the password in it, as request.
fn acts(password: &str) -> [(Method, &'static str, Value); 5] {
    [
        (Method::PATCH, "/profile", json!({ "email": "new@example.org", "password": password })),
        (Method::POST, "/profile", json!({ "email": "new@example.org", "password": password })),
        (Method::POST, "/profile/password", json!({ "current_password": password, "new_password": NEW })),
        (Method::DELETE, "/profile", json!({ "password": password })),
        (Method::POST, "/profile/delete", json!({ "password": password })),
    ]
}

async fn stands(site: &Site, ada: &Visitor, hash: &str) {
    assert_eq!(ada.get("/profile").await.is_ok()["user"]["email"], "ada@example.org");
    assert_eq!(stored_hash(site, "ada").await, hash);
}

#[tokio::test]
async fn p15_nothing_changes_without_the_current_password() {
    let site = Site::new().await;
    for mode in Mode::ALL {
        let ada = site.logged_in_by("ada", mode).await;
        let hash = stored_hash(&site, "ada").await;
        let network = [10, 0, 1, mode.as_str().len().try_into().unwrap()];
        let ada = ada.from(network);
        for (method, path, body) in acts("a wrong password") {
            let answer = ada.json(method.clone(), path, body).await;
            assert_eq!(answer.is_refused("wrong_password")["status"], 403, "{method} {path}");
            assert!(answer.set_cookies().is_empty());
            stands(&site, &ada, &hash).await;
        }
        for (method, path, mut body) in acts(PASSWORD) {
            let fields = body.as_object_mut().unwrap();
            fields.remove("password");
            fields.remove("current_password");
            ada.json(method.clone(), path, body).await.is_refused("invalid_input");
            stands(&site, &ada, &hash).await;
        }
    }
}

#[tokio::test]
async fn p15_another_site_cannot_change_anything() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let hash = stored_hash(&site, "ada").await;
    for (method, path, body) in acts(PASSWORD) {
        for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
            let request = ada.request(method.clone(), path).header("content-type", "application/json");
            let answer = ada.send(request.header(name, value), Body::from(body.to_string())).await;
            answer.is_refused("cross_site_request");
        }
        stands(&site, &ada, &hash).await;
    }
}

#[tokio::test]
async fn p15_a_session_that_the_store_has_ended_changes_nothing_even_where_memory_lags() {
    let site = Site::new().await;
    let hash = {
        site.logged_in("ada").await;
        stored_hash(&site, "ada").await
    };
    let lagging = site.restarted().await;
    for mode in Mode::ALL {
        let ada = site.logged_in_by("ada", mode).await;
        ada.at(&lagging).get("/profile").await.is_ok();
        let held = ada.copy();
        ada.post("/logout", Value::Null).await.is_ok();
        // The second process has not read the table yet: for that moment, reads go on.
        held.at(&lagging).get("/profile").await.is_ok();
        for (method, path, body) in acts(PASSWORD) {
            held.at(&lagging).json(method, path, body).await.is_refused("session_ended");
        }
        for path in ["/admin/users", "/admin/audit"] {
            held.at(&lagging).get(path).await.is_refused("session_ended");
        }
    }
    assert_eq!(stored_hash(&site, "ada").await, hash);
    signs_in(&site, "ada", PASSWORD).await.is_ok();
}

#[tokio::test]
async fn p15_with_the_current_password_everything_changes() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let [(method, path, body), .., (_, delete, _)] = acts(PASSWORD);
    let seen = ada.json(method, path, body).await.is_ok();
    assert_eq!(seen["user"]["email"], "new@example.org");
    signs_in(&site, "ada", PASSWORD).await.is_refused("invalid_credentials");
    let change = json!({ "current_password": PASSWORD, "new_password": NEW });
    ada.post("/profile/password", change).await.is_ok();
    signs_in(&site, "new", NEW).await.is_ok();
    let held = ada.copy();
    ada.post(delete, json!({ "password": NEW })).await.is_ok();
    held.ended_with_others().await;
    signs_in(&site, "new", NEW).await.is_refused("invalid_credentials");
}
