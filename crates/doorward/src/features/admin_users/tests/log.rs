use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::site_with_ada;
use crate::testing::{PASSWORD, Site, Visitor};

async fn entries(admin: &Visitor) -> Vec<Value> {
    admin.get("/admin/audit?limit=200").await.is_ok()["entries"].as_array().unwrap().clone()
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_happened_is_logged_the_newest_first_with_who_and_where() {
    let (site, admin, ada, path) = site_with_ada().await;
    let tick = async || site.later(Duration::from_secs(1)).await;
    let ada_id = ada.user_id().await;
    tick().await;
    admin.patch(&path, json!({ "name": "Countess", "role": "admin" })).await.is_ok();
    tick().await;
    admin.post(&format!("{path}/reset-link"), Value::Null).await.is_ok();
    tick().await;
    let wrong = json!({ "email": "ada@example.org", "password": "wrong password" });
    for _ in 0..3 {
        site.visitor().post("/login", wrong.clone()).await.is_refused("invalid_credentials");
    }
    tick().await;
    admin.delete(&format!("{path}/sessions"), Value::Null).await.is_ok();
    let log = entries(&admin).await;
    assert_eq!(actions(&log)[..4], ["sessions_ended", "login_failed", "reset_link_made", "user_changed"]);
    assert_eq!(log[1]["occurrences"], 3);
    assert_eq!(log[3]["detail"], "name, role admin");
    assert!(log[..4].iter().all(|entry| entry["user_id"] == ada_id.as_str()));
    let root = admin.user_id().await;
    let actors: Vec<_> = log[..4].iter().map(|entry| entry["actor_id"].clone()).collect();
    assert_eq!(actors, [json!(root), Value::Null, json!(root), json!(root)]);
    assert_eq!((&log[1]["ip"], &log[3]["ip"]), (&json!("192.0.2.1"), &json!("192.0.2.1")));
    let rest: BTreeSet<_> = actions(&log[4..]).into_iter().collect();
    assert_eq!(rest, BTreeSet::from(["login", "user_created"]));
}

#[tokio::test]
async fn an_entry_shows_what_the_contract_lists() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    site.later(Duration::from_secs(1)).await;
    site.visitor().post("/login", json!({ "email": "nobody@example.org", "password": PASSWORD })).await;
    let page = admin.get("/admin/audit?limit=1").await;
    let detail = page.json()["entries"][0]["detail"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(page.redacted().replace(detail.trim_start_matches("unknown address "), "[hmac]"), @r#"
    {
      "entries": [
        {
          "action": "login_failed",
          "actor": "visitor",
          "actor_id": null,
          "at": "[time]",
          "detail": "unknown address [hmac]",
          "id": "[id]",
          "ip": "192.0.2.1",
          "occurrences": 1,
          "session_id": null,
          "user_id": null
        }
      ],
      "next": "[id]"
    }
    "#);
    assert!(!page.text().contains("nobody"));
}

#[tokio::test]
async fn pages_of_the_log_show_each_entry_once() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    for n in 0..20 {
        site.logged_in(&format!("user{}", n % 4)).await;
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("/admin/audit?limit=7{after}")).await.is_ok();
        seen.extend(
            page["entries"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let all = entries(&admin).await.len();
    assert_eq!(seen.len(), all);
    let page = admin.get(&format!("/admin/audit?limit={all}")).await.is_ok();
    assert_eq!(
        (page["entries"].as_array().unwrap().len(), &page["next"]),
        (all, &Value::Null),
        "full, and the last"
    );
    assert!(seen.is_sorted_by(|newer, older| newer > older));
}

#[tokio::test]
async fn a_deleted_user_is_named_nowhere_in_the_log() {
    let (site, admin, ada, path) = site_with_ada().await;
    let ada_id = ada.user_id().await;
    admin.patch(&path, json!({ "role": "admin" })).await.is_ok();
    ada.refresh().await.is_ok();
    let bob = site.user("bob", "user".parse().unwrap()).await;
    ada.patch(&format!("/admin/users/{bob}"), json!({ "name": "Bob" })).await.is_ok();
    ada.patch("/profile", json!({ "name": "Countess" })).await.is_ok();
    assert!(entries(&admin).await.iter().any(|entry| entry["actor_id"] == ada_id.as_str()));
    admin.delete(&path, Value::Null).await.is_ok();
    let log = entries(&admin).await;
    assert!(!json!(log).to_string().contains(&ada_id));
    assert!(actions(&log).contains(&"user_deleted") && actions(&log).contains(&"profile_changed"));
}

#[tokio::test]
async fn entries_are_kept_for_ninety_days() {
    let site = Site::new().await;
    site.admin("root").await;
    site.later(Duration::from_secs(89 * 86_400)).await;
    let admin = site.logged_in("root").await;
    assert_eq!(actions(&entries(&admin).await).len(), 3, "two entries of the first day, and one");
    site.later(Duration::from_secs(86_400 + 1)).await;
    let admin = site.logged_in("root").await;
    assert_eq!(actions(&entries(&admin).await), ["login", "login"]);
}
