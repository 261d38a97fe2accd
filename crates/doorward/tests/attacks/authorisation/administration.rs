//! What an administrator with limited permissions may do, forged pages, and the first run.

use std::collections::BTreeSet;

use doorward::testing::{PASSWORD, Site, Visitor};
use doorward_core::email::Email;
use doorward_core::role::RoleName;
use futures_util::future::join_all;
use serde_json::{Value, json};

/// A site with an admin, an editor of some application, and a support user who may only change and log out users.
async fn site_with_support() -> (Site, Visitor, Visitor) {
    let site = Site::with(&[
        ("roles.support", "users:read,users:write,sessions:end"),
        ("roles.auditor", "audit:read"),
        ("roles.editor", "posts:write"),
    ])
    .await;
    let admin = site.admin("root").await;
    site.user("sue", "support".parse().unwrap()).await;
    let support = site.logged_in("sue").await.confirming(true);
    (site, admin, support)
}

#[tokio::test]
async fn a06_support_makes_nobody_more_than_support() {
    let (site, admin, support) = site_with_support().await;
    let (ada, sue) = (site.user("ada", RoleName::USER).await, support.user_id().await);
    for role in ["admin", "auditor", "editor"] {
        for id in [&ada, &sue] {
            support
                .patch(&format!("/admin/users/{id}"), json!({ "role": role }))
                .await
                .is_refused("forbidden");
        }
        let new = json!({ "name": "new", "email": "new@example.org", "role": role, "password": PASSWORD });
        support.post("/admin/users", new).await.is_refused("forbidden");
        support.post("/admin/invitations", json!({ "role": role })).await.is_refused("forbidden");
    }
    support.patch(&format!("/admin/users/{ada}"), json!({ "role": "support" })).await.is_ok();
    let listed = admin.get("/admin/users").await.is_ok();
    let mut roles: Vec<_> =
        listed["users"].as_array().unwrap().iter().map(|user| user["role"].as_str().unwrap()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["admin", "support", "support"]);
}

#[tokio::test]
async fn a06_support_does_nothing_to_whoever_may_do_more() {
    let (site, admin, support) = site_with_support().await;
    let others = ["auditor", "editor"].map(|role| site.user(role, role.parse().unwrap()));
    let mut ids = vec![admin.user_id().await];
    ids.extend(join_all(others).await);
    let before = admin.get("/admin/users").await.is_ok();
    for id in ids {
        let path = format!("/admin/users/{id}");
        for change in [
            json!({ "name": "x" }),
            json!({ "email": "x@example.org" }),
            json!({ "role": "user" }),
            json!({ "disabled": true }),
        ] {
            support.patch(&path, change).await.is_refused("forbidden");
        }
        support.delete(&path, Value::Null).await.is_refused("forbidden");
        support.post(&format!("{path}/reset-link"), Value::Null).await.is_refused("forbidden");
        support.delete(&format!("{path}/sessions"), Value::Null).await.is_refused("forbidden");
        support.get(&format!("{path}/sessions")).await.is_refused("forbidden");
    }
    assert_eq!(admin.get("/admin/users").await.is_ok(), before);
    let log = admin.get("/admin/audit").await.is_ok();
    let actors: BTreeSet<_> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["actor_id"].clone())
        .map(|id| id.to_string())
        .collect();
    assert_eq!(actors, BTreeSet::from(["null".to_owned()]), "an act of the support was recorded as done");
}

#[tokio::test]
async fn a06_support_does_its_work_on_users() {
    let (site, _, support) = site_with_support().await;
    let ada = site.logged_in("ada").await;
    let path = format!("/admin/users/{}", ada.user_id().await);
    support.patch(&path, json!({ "name": "Ada L." })).await.is_ok();
    assert!(support.post(&format!("{path}/reset-link"), Value::Null).await.is_ok()["url"].is_string());
    assert_eq!(support.delete(&format!("{path}/sessions"), Value::Null).await.is_ok()["sessions"], 1);
    ada.ended_with_others().await;
}

#[tokio::test]
async fn a06_a_reset_link_that_support_kept_does_not_open_whom_an_admin_promotes() {
    let (site, admin, support) = site_with_support().await;
    let path = format!("/admin/users/{}", site.user("ada", RoleName::USER).await);
    let link = support.post(&format!("{path}/reset-link"), Value::Null).await.is_ok();
    let (_, token) = link["url"].as_str().unwrap().split_once("token=").unwrap();
    admin.patch(&path, json!({ "role": "admin" })).await.is_ok();
    let reset = json!({ "token": token, "new_password": "chosen by the support" });
    support.post("/password/reset", reset).await.is_refused("link_invalid");
}

#[tokio::test]
async fn a08_a_forged_cursor_limit_or_filter_is_refused_by_name() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    let cursors = [
        "' OR '1'='1",
        "1",
        "-1",
        "0x00",
        "..%2f",
        "eyJpZCI6MX0",
        "%00",
        "01890000-0000-7000-8000-00000000000g",
        "01890000-0000-7000-8000-00000000000A",
        "01890000000070008000000000000000",
        "{01890000-0000-7000-8000-000000000000}",
    ];
    for path in ["/admin/users", "/admin/sessions", "/admin/audit"] {
        for cursor in cursors {
            names(&admin, path, "after", cursor).await;
        }
        for limit in [
            "0",
            "-1",
            "201",
            "1000000000",
            "99999999999999999999",
            "1.5",
            "abc",
            "1;DROP TABLE users",
            "%31%00",
        ] {
            names(&admin, path, "limit", limit).await;
        }
        admin.get(&format!("{path}?limit=1&limit=2")).await.is_refused("malformed");
    }
    for role in ["' OR 1=1 --", "ADMIN", "admin'--", "*", "%25"] {
        names(&admin, "/admin/users", "role", role).await;
    }
    names(&admin, "/admin/users", "search", "a%00b").await;
    names(&admin, "/admin/users", "search", &"a".repeat(201)).await;
}

async fn names(admin: &Visitor, path: &str, field: &str, value: &str) {
    let answer = admin.get(&format!("{path}?{field}={}", value.replace(' ', "+").replace('\'', "%27"))).await;
    let problem = answer.is_refused("invalid_input");
    assert_eq!(problem["fields"][0]["field"], field, "{path} {value}");
}

#[tokio::test]
async fn a08_a_search_is_a_text_and_never_a_pattern() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    let names = ["100% cotton", "under_score", "bang!", "O'Brien", "back\\slash", "plain"];
    for (n, name) in names.into_iter().enumerate() {
        let email = format!("number{n}@example.org");
        admin.post("/admin/users", json!({ "name": name, "email": email })).await.has_status(201);
    }
    for (search, found) in [
        ("%25", vec!["100% cotton"]),
        ("_", vec!["under_score"]),
        ("!", vec!["bang!"]),
        ("%27", vec!["O'Brien"]),
        ("%5C", vec!["back\\slash"]),
        ("%27+OR+1=1+--", vec![]),
        ("PLAIN", vec!["plain"]),
    ] {
        let listed = admin.get(&format!("/admin/users?search={search}")).await.is_ok();
        let names: Vec<_> =
            listed["users"].as_array().unwrap().iter().map(|user| user["name"].clone()).collect();
        assert_eq!(names, found, "{search}");
    }
    let sorted = admin.get("/admin/users?sort=password_hash&order=desc&fields=password_hash&role=user").await;
    assert!(sorted.is_ok().to_string().contains("cotton") && !sorted.text().contains("password"));
}

#[tokio::test]
async fn a09_an_empty_site_has_no_account_and_nobody_registers_as_the_first_admin() {
    let site = Site::new().await;
    assert!(!site.app.users.have_admin().await.unwrap());
    for (email, password) in [
        ("admin@example.org", "admin"),
        ("admin@localhost", "password"),
        ("root@localhost", "root"),
        ("admin@doorward", "doorward"),
    ] {
        let answer = site.visitor().post("/login", json!({ "email": email, "password": password })).await;
        assert!(matches!(answer.status.as_u16(), 401 | 422), "{email}: {}", answer.text());
    }
    for path in ["/setup", "/install", "/admin/setup", "/first-run", "/admin", "/bootstrap"] {
        site.visitor().post(path, json!({ "role": "admin" })).await.is_refused("not_found");
    }
    let visitors: Vec<_> = (0..20).map(|_| site.visitor()).collect();
    let registrations = visitors.iter().enumerate().map(|(n, visitor)| {
        let email = if n == 0 { "admin@example.org".into() } else { format!("first{n}@example.org") };
        visitor.post(
            "/register",
            json!({ "name": "admin", "email": email, "password": PASSWORD, "role": "admin" }),
        )
    });
    for answer in join_all(registrations).await {
        assert_eq!(answer.has_status(201).json()["user"]["role"], "user");
    }
    assert!(!site.app.users.have_admin().await.unwrap());
}

#[tokio::test]
async fn a09_an_admin_is_made_from_the_command_line_and_there_is_no_second_first_one() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    admin.get("/admin/users").await.is_ok();
    assert!(site.app.users.have_admin().await.unwrap());
    let eve = site.registered("eve").await;
    eve.post("/admin/users", json!({ "name": "x", "email": "x@example.org", "role": "admin" }))
        .await
        .is_refused("forbidden");
    // Not even if the last admin is gone: only the command line can make one.
    let sql = "DELETE FROM users WHERE role = 'admin'";
    assert_eq!(site.app.store.execute(sql, Vec::new()).await.unwrap(), 1);
    site.registered("mallory").await.get("/admin/users").await.is_refused("forbidden");
    let email = Email::parse("mallory@example.org").unwrap();
    assert_eq!(site.app.users.find_by_email(&email).await.unwrap().unwrap().user.role, RoleName::USER);
}
