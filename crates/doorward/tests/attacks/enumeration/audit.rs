//! Rule 12: what the audit log contains, and what it forgets.

use std::time::Duration;

use doorward::testing::{PASSWORD, Site};
use doorward_core::Mode;
use serde_json::{Value, json};

use crate::reading::{audited, rows};

const WRONG: &str = "a wrong password";

/// The entries of the log that have this action, as admins see them.
async fn entries(root: &doorward::testing::Visitor, action: &str) -> Vec<Value> {
    let page = root.get("/admin/audit?limit=200").await.is_ok();
    let all = page["entries"].as_array().unwrap().clone();
    all.into_iter().filter(|entry| entry["action"] == action).collect()
}

/// Every text in the database.
async fn everything(site: &Site) -> String {
    let mut text = site.stolen_database().await;
    for row in rows(site, "SELECT action, actor, ip, detail FROM audit_log", Vec::new()).await {
        for column in ["action", "actor", "ip", "detail"] {
            text += &row.get::<Option<String>>(column).unwrap().unwrap_or_default();
            text.push('\n');
        }
    }
    text
}

#[tokio::test]
async fn e02_signing_in_and_out_is_written_down_with_who_where_and_in_which_session() {
    let site = Site::new().await;
    let root = site.admin("root").await;
    let ada = site.registered("ada").await.from([203, 0, 113, 9]);
    let (id, first) = (ada.user_id().await, ada.session_id().await);
    let browser = site.visitor().from([203, 0, 113, 10]);
    browser
        .post("/login", json!({ "email": "ada@example.org", "password": PASSWORD, "mode": "session" }))
        .await
        .is_ok();
    let second = browser.session_id().await;
    browser.post("/logout", Value::Null).await.is_ok();
    // Logging out twice is one logout.
    browser.post("/logout", Value::Null).await.is_ok();
    ada.post("/logout/all", Value::Null).await.is_ok();

    let registered = &entries(&root, "register").await[0];
    assert_eq!((&registered["user_id"], &registered["session_id"]), (&json!(id), &json!(first)));
    let login = entries(&root, "login").await;
    let login = login.iter().find(|entry| entry["user_id"] == json!(id)).unwrap();
    assert_eq!((&login["session_id"], &login["ip"]), (&json!(second), &json!("203.0.113.10")));
    let logout = entries(&root, "logout").await;
    assert_eq!(logout.len(), 1);
    assert_eq!((&logout[0]["session_id"], &logout[0]["ip"]), (&json!(second), &json!("203.0.113.10")));
    let everywhere = entries(&root, "logout_all").await;
    assert_eq!((everywhere.len(), &everywhere[0]["ip"]), (1, &json!("203.0.113.9")));
}

#[tokio::test]
async fn e02_failures_are_one_row_for_account_network_and_minute() {
    let site = Site::new().await;
    let root = site.admin("root").await;
    let id = site.logged_in("ada").await.user_id().await;
    let fails = async |name: &str, ip: [u8; 4]| {
        let body = json!({ "email": format!("{name}@example.org"), "password": WRONG });
        site.visitor().from(ip).post("/login", body).await.is_refused("invalid_credentials");
    };
    for _ in 0..5 {
        fails("ada", [203, 0, 113, 1]).await;
        fails("ada", [203, 0, 113, 2]).await;
        fails("secret-typed-as-name", [203, 0, 113, 1]).await;
    }
    site.clock.advance(Duration::from_secs(60));
    fails("ada", [203, 0, 113, 1]).await;
    let failed = entries(&root, "login_failed").await;
    let mut known: Vec<_> = failed.iter().filter(|entry| entry["user_id"] == json!(id)).collect();
    known.sort_by_key(|entry| entry["occurrences"].as_i64());
    let counts: Vec<_> = known.iter().map(|entry| entry["occurrences"].as_i64().unwrap()).collect();
    assert_eq!(counts, [1, 5, 5]);
    let unknown: Vec<_> = failed.iter().filter(|entry| entry["user_id"].is_null()).collect();
    assert_eq!((unknown.len(), &unknown[0]["occurrences"]), (1, &json!(5)));
    let detail = unknown[0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("unknown address "), "{detail}");
    assert_eq!(audited(&site, "login_failed").await, 16);
}

#[tokio::test]
async fn e02_an_address_that_nobody_has_is_written_down_nowhere() {
    let site = Site::new().await;
    let root = site.admin("root").await;
    for email in ["hunter2-my-password@example.org", "hunter2-my-password@hunter2.example"] {
        for _ in 0..12 {
            site.visitor().post("/login", json!({ "email": email, "password": WRONG })).await;
        }
    }
    let register = json!({ "name": "x", "email": "hunter2@example.org", "password": "short" });
    site.visitor().post("/register", register).await.is_refused("invalid_input");
    assert!(!everything(&site).await.contains("hunter2"));
    assert!(!root.get("/admin/audit").await.text().contains("hunter2"));
    // Two addresses can still be distinguished, and one address is recognised.
    let failed = entries(&root, "login_failed").await;
    let details: std::collections::BTreeSet<_> =
        failed.iter().map(|entry| entry["detail"].to_string()).collect();
    assert_eq!((failed.len(), details.len()), (2, 2));
}

#[tokio::test]
async fn r01_reuse_is_written_down_with_the_thiefs_address() {
    let site = Site::new().await;
    let root = site.admin("root").await;
    let ada = site.logged_in("ada").await;
    let (thief, session) = (ada.copy().from([203, 0, 113, 66]), ada.session_id().await);
    ada.refresh().await.is_ok();
    site.clock.advance(Duration::from_secs(61));
    for _ in 0..3 {
        thief.refresh().await;
    }
    let reused = entries(&root, "refresh_reused").await;
    assert_eq!((reused.len(), &reused[0]["occurrences"]), (1, &json!(1)));
    assert_eq!((&reused[0]["ip"], &reused[0]["session_id"]), (&json!("203.0.113.66"), &json!(session)));
}

#[tokio::test]
async fn e05_deleting_somebody_removes_what_names_them() {
    let site = Site::new().await;
    let root = site.admin("root").await;
    // An admin, so that there are acts of theirs on others too.
    site.user("gone", doorward_core::role::RoleName::ADMIN).await;
    let gone = site.visitor().from([203, 0, 113, 200]).confirming(true);
    gone.post("/login", json!({ "email": "gone@example.org", "password": PASSWORD })).await.is_ok();
    let browser = site.logged_in_by("gone", Mode::Session).await.from([203, 0, 113, 200]);
    let (id, sessions) = (gone.user_id().await, [gone.session_id().await, browser.session_id().await]);
    let ada = site.logged_in("ada").await.user_id().await;
    gone.patch(&format!("/admin/users/{ada}"), json!({ "name": "Ada L." })).await.is_ok();
    gone.post(&format!("/admin/users/{ada}/reset-link"), Value::Null).await.is_ok();
    gone.copy().post("/login", json!({ "email": "gone@example.org", "password": WRONG })).await;
    gone.patch("/profile", json!({ "name": "Gone Girl" })).await.is_ok();
    gone.refresh().await.is_ok();
    browser.post("/logout", Value::Null).await.is_ok();
    let before = audited(&site, "user_changed").await;

    gone.delete("/profile", json!({ "password": PASSWORD })).await.is_ok();

    assert_eq!(audited(&site, "user_changed").await, before, "the acts stay");
    let log = root.get("/admin/audit?limit=200").await.text();
    for name in [id.as_str(), &sessions[0], &sessions[1], "gone", "Gone", "203.0.113.200"] {
        assert!(!log.contains(name), "the log still names {name}: {log}");
    }
    let all = everything(&site).await;
    for name in ["gone", "Gone Girl", "203.0.113.200"] {
        assert!(!all.contains(name), "the database still has {name}");
    }
    assert_eq!(entries(&root, "user_deleted").await.len(), 1);
}

#[tokio::test]
async fn e05_the_log_is_kept_for_its_time_and_no_longer() {
    let site = Site::with(&[("audit.retention", "90d"), ("session.admin_absolute_ttl", "90d")]).await;
    site.registered("ada").await;
    assert_eq!(audited(&site, "register").await, 1);
    site.later(Duration::from_secs(90 * 86_400 - 1)).await;
    assert_eq!(audited(&site, "register").await, 1);
    site.later(Duration::from_secs(2)).await;
    assert_eq!(audited(&site, "register").await, 0);
}
