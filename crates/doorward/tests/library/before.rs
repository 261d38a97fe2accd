//! A database from before tokens had a claims version keeps working, with all credentials of its clients.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use doorward::testing::{Site, Visitor};
use doorward_core::Timestamp;
use http::Method;
use serde_json::{Value, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/before")
}

/// The old database, and the credentials of its clients.
async fn site() -> (Site, Value) {
    let engine = if std::env::var_os("DOORWARD_TEST_POSTGRES").is_some() { "postgres" } else { "sqlite" };
    let held = std::fs::read_to_string(folder().join(format!("{engine}.json"))).unwrap();
    let held: Value = serde_json::from_str(&held).unwrap();
    let now = Timestamp::from_secs(held["made_at"].as_i64().unwrap());
    (Site::over(&folder(), held["secret"].as_str().unwrap(), now).await, held)
}

/// A visitor with the credentials that the table has under this name.
fn who(site: &Site, held: &Value, name: &str) -> Visitor {
    let (visitor, text) = (site.visitor(), |field: &str| held[name][field].as_str());
    match text("sessionId") {
        Some(secret) => visitor.hold_cookie("__Host-sessionId", secret),
        None if name == "ada_cookie" => {
            visitor.hold_cookie("__Host-token", text("token").unwrap());
            visitor.hold_cookie("__Host-refresh_token", text("refresh_token").unwrap());
        }
        None => visitor.hold(text("token"), text("refresh_token")),
    }
    visitor
}

#[tokio::test]
async fn sessions_from_before_go_on_in_every_mode_and_those_that_were_over_are() {
    let (site, held) = site().await;
    for name in ["ada", "ada_session", "ada_cookie", "grace"] {
        let visitor = who(&site, &held, name);
        let before = visitor.copy();
        visitor.get("/profile").await.is_ok();
        if name != "ada_session" {
            visitor.refresh().await.is_ok();
            visitor.get("/profile").await.is_ok();
            // A token without a version is not stale as long as nothing has changed.
            before.get("/profile").await.is_ok();
        }
    }
    who(&site, &held, "grace").get("/admin/users").await.is_ok();
    let ended = who(&site, &held, "ada_ended");
    ended.get("/profile").await.is_refused("session_ended");
    ended.refresh().await.is_refused("session_ended");
    who(&site, &held, "eve_disabled").ended_with_others().await;
    let login = json!({ "email": "eve@example.org", "password": held["password"] });
    site.visitor().post("/login", login).await.is_refused("user_disabled");
}

#[tokio::test]
async fn a_token_from_before_a_new_role_stays_stale_and_the_next_act_makes_all_others_stale() {
    let (site, held) = site().await;
    let bob = who(&site, &held, "bob_raised");
    bob.get("/profile").await.is_refused("token_stale");
    bob.at(&site.restarted().await).get("/profile").await.is_refused("token_stale");
    bob.refresh().await.is_ok();
    bob.get("/admin/users").await.is_ok();

    let (ada, browser) = (who(&site, &held, "ada"), who(&site, &held, "ada_session"));
    let grace = who(&site, &held, "grace");
    grace.refresh().await.is_ok();
    let path = format!("/admin/users/{}/sessions", ada.user_id().await);
    let ended = grace.delete(&path, Value::Null).await.is_ok();
    assert_eq!(ended["sessions"], 3);
    ada.ended_with_others().await;
    who(&site, &held, "ada_cookie").ended_with_others().await;
    browser.ended_with_others().await;
    bob.get("/profile").await.is_ok();
}

#[tokio::test]
async fn links_clients_and_passwords_from_before_work() {
    let (site, held) = site().await;
    let (ada, client) = (who(&site, &held, "ada"), &held["client"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let basic = format!("{}:{}", text(&client["client_id"]), text(&client["client_secret"]));
    let program = site.visitor();
    let request = program.request(Method::POST, "/introspect").header("content-type", "application/json");
    let request = request.header("authorization", format!("Basic {}", STANDARD.encode(basic)));
    let told = program.send(request, json!({ "token": held["ada"]["token"] }).to_string()).await.is_ok();
    assert_eq!((&told["active"], &told["ver"]), (&json!(true), &json!(0)));

    let invited = json!({ "name": "Ivy", "email": "ivy@example.org", "password": "another door, another promise", "invite": held["invitation"] });
    site.visitor().post("/register", invited).await.has_status(201);

    let reset = json!({ "token": held["reset_link"], "new_password": "another door, another promise" });
    assert_eq!(site.visitor().post("/password/reset", reset).await.is_ok()["sessions"], 3);
    ada.ended_with_others().await;
    let login = json!({ "email": "ada@example.org", "password": "another door, another promise" });
    site.visitor().post("/login", login).await.is_ok();
    let grace = json!({ "email": "grace@example.org", "password": held["password"] });
    site.visitor().post("/login", grace).await.is_ok();
}
