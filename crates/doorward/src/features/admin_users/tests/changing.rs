use doorward_core::Mode;
use serde_json::{Value, json};

use super::site_with_ada;
use crate::testing::{PASSWORD, Site};

#[tokio::test]
async fn name_address_and_role_change_together_and_at_once() {
    let (site, admin, ada, path) = site_with_ada().await;
    let change = json!({ "name": "Countess", "email": "c@example.org", "role": "admin" });
    let changed = admin.patch(&path, change).await.is_ok();
    assert_eq!(changed["success"], true);
    assert_eq!((&changed["user"]["name"], &changed["user"]["role"]), (&json!("Countess"), &json!("admin")));
    ada.get("/profile").await.is_refused("token_stale");
    ada.refresh().await.is_ok();
    assert_eq!(ada.get("/profile").await.is_ok()["user"]["email"], "c@example.org");
    ada.get("/admin/users").await.is_ok();
    let login = |email: &str| json!({ "email": email, "password": PASSWORD });
    site.visitor().post("/login", login("ada@example.org")).await.is_refused("invalid_credentials");
    site.visitor().post("/login", login("c@example.org")).await.is_ok();
}

#[tokio::test]
async fn a_role_is_taken_away_in_every_mode_without_a_sign_in() {
    let (site, admin, _, path) = site_with_ada().await;
    admin.patch(&path, json!({ "role": "admin" })).await.is_ok();
    let mut admins = Vec::new();
    for mode in Mode::ALL {
        admins.push(site.logged_in_by("ada", mode).await);
    }
    for other in &admins {
        other.get("/admin/users").await.is_ok();
    }
    admin.patch(&path, json!({ "role": "user" })).await.is_ok();
    for (other, mode) in admins.iter().zip(Mode::ALL) {
        if mode != Mode::Session {
            other.get("/admin/users").await.has_status(401).is_refused("token_stale");
            other.refresh().await.is_ok();
        }
        other.get("/admin/users").await.has_status(403).is_refused("forbidden");
        assert_eq!(other.get("/profile").await.is_ok()["user"]["role"], "user");
    }
}

#[tokio::test]
async fn disabling_ends_every_session_and_enabling_lets_in_again() {
    let (site, admin, ada, path) = site_with_ada().await;
    let browser = site.logged_in_by("ada", Mode::Session).await;
    assert_eq!(admin.patch(&path, json!({ "disabled": true })).await.is_ok()["user"]["disabled"], true);
    ada.ended_with_others().await;
    ada.refresh().await.is_refused("session_ended");
    browser.ended_with_others().await;
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    site.visitor().post("/login", login.clone()).await.is_refused("user_disabled");
    admin.patch(&path, json!({ "disabled": true, "name": "still" })).await.is_ok();
    assert_eq!(admin.patch(&path, json!({ "disabled": false })).await.is_ok()["user"]["disabled"], false);
    ada.ended_with_others().await;
    site.visitor().post("/login", login).await.is_ok();
}

#[tokio::test]
async fn what_is_wrong_with_a_change_is_named_and_nothing_of_it_happens() {
    let (site, admin, ada, path) = site_with_ada().await;
    site.registered("bob").await;
    let body = json!({ "name": "", "email": "x", "role": "A", "disabled": "yes" });
    let problem = admin.patch(&path, body).await.has_status(422).is_refused("invalid_input");
    assert_eq!(problem["fields"].as_array().unwrap().len(), 4);
    let taken = json!({ "name": "new", "email": "bob@example.org" });
    admin.patch(&path, taken).await.has_status(409).is_refused("email_taken");
    admin.patch(&path, json!({ "name": "new", "role": "nobody" })).await.is_refused("invalid_input");
    admin.patch(&path, json!({ "disabled": 1 })).await.is_refused("invalid_input");
    assert_eq!(ada.get("/profile").await.is_ok()["user"]["name"], "ada");
    admin.patch(&path, json!({})).await.is_ok();
}

#[tokio::test]
async fn the_last_admin_stays_admin_enabled_and_there() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    let path = format!("/admin/users/{}", admin.user_id().await);
    let second = format!("/admin/users/{}", site.admin("second").await.user_id().await);
    admin.patch(&second, json!({ "disabled": true })).await.is_ok();
    for answer in [
        admin.patch(&path, json!({ "role": "user" })).await,
        admin.patch(&path, json!({ "disabled": true })).await,
        admin.patch(&path, json!({ "disabled": true, "role": "admin", "name": "x" })).await,
        admin.delete("/profile", json!({ "password": PASSWORD })).await,
    ] {
        answer.has_status(409).is_refused("last_admin");
    }
    admin.patch(&path, json!({ "name": "Root", "role": "admin", "disabled": false })).await.is_ok();
    admin.patch(&second, json!({ "disabled": false })).await.is_ok();
    admin.patch(&path, json!({ "role": "user" })).await.is_ok();
    admin.get("/admin/users").await.has_status(401).is_refused("token_stale");
}

#[tokio::test]
async fn a_deleted_user_is_gone_at_once() {
    let (site, admin, ada, path) = site_with_ada().await;
    let browser = site.logged_in_by("ada", Mode::Session).await;
    let body = admin.delete(&path, Value::Null).await.is_ok();
    assert_eq!(body, json!({ "success": true, "message": "User deleted" }));
    ada.ended_with_others().await;
    ada.refresh().await.has_status(401);
    browser.get("/profile").await.has_status(401);
    admin.get(&path).await.is_refused("not_found");
    admin.delete(&path, Value::Null).await.is_refused("not_found");
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    site.visitor().post("/login", login).await.is_refused("invalid_credentials");
}

#[tokio::test]
async fn an_admin_logs_somebody_out_everywhere() {
    let (site, admin, ada, path) = site_with_ada().await;
    let browser = site.logged_in_by("ada", Mode::Session).await;
    let body = admin.delete(&format!("{path}/sessions"), Value::Null).await.is_ok();
    assert_eq!((&body["success"], &body["sessions"]), (&json!(true), &json!(2)));
    ada.ended_with_others().await;
    browser.ended_with_others().await;
    assert_eq!(admin.get(&format!("{path}/sessions")).await.is_ok(), json!({ "sessions": [] }));
    assert_eq!(admin.delete(&format!("{path}/sessions"), Value::Null).await.is_ok()["sessions"], 0);
    site.logged_in("ada").await.get("/profile").await.is_ok();
}
