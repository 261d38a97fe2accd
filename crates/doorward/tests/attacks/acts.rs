//! The acts of one user or admin fill neither the audit log nor the disk (attack X10).

use std::path::PathBuf;
use std::time::Duration;

use doorward::internals::store::Row;
use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::Mode;
use doorward_core::role::RoleName;
use http::Method;
use serde_json::{Value, json};

/// How many entries the audit log has.
async fn entries(site: &Site) -> i64 {
    crate::reading::one(site, "SELECT CAST(COUNT(*) AS BIGINT) FROM audit_log", Vec::new()).await
}

/// What every write to the database changes: SQLite's write-ahead log, PostgreSQL's row versions.
async fn written(site: &Site) -> Vec<u8> {
    if site.app.settings.database.is_none() {
        let log: PathBuf = site.app.settings.data.join("doorward.db-wal");
        return std::fs::read(log).unwrap();
    }
    const VERSIONS: [&str; 6] = [
        "SELECT CAST(xmin AS TEXT) FROM users ORDER BY id",
        "SELECT CAST(xmin AS TEXT) FROM sessions ORDER BY id",
        "SELECT CAST(xmin AS TEXT) FROM facts ORDER BY name",
        "SELECT CAST(xmin AS TEXT) FROM audit ORDER BY id",
        "SELECT CAST(xmin AS TEXT) FROM clients ORDER BY id",
        "SELECT CAST(xmin AS TEXT) FROM revocations ORDER BY session_id",
    ];
    let mut all = String::new();
    for versions in VERSIONS {
        let rows = site.app.store.list(versions, Vec::new()).await.unwrap();
        all += &rows.iter().map(Row::for_tests).collect::<Vec<_>>().join(" ");
        all += "\n";
    }
    all.into_bytes()
}

/// A request that is made by somebody.
struct Asked {
    by: Visitor,
    method: Method,
    path: String,
    body: Value,
}

fn asked(by: &Visitor, method: Method, path: &str, body: Value) -> Asked {
    Asked { by: by.copy(), method, path: path.to_owned(), body }
}

#[tokio::test]
async fn x10_an_act_that_changes_nothing_writes_nothing() {
    let site = Site::new().await;
    let (admin, ada, gone) =
        (site.admin("root").await, site.logged_in("ada").await, site.logged_in("ada").await);
    let gone_id = gone.session_id().await;
    gone.post("/logout", json!({})).await.is_ok();
    let (quiet, disabled) =
        (site.user("quiet", RoleName::USER).await, site.user("disabled", RoleName::USER).await);
    let (quiet, disabled) = (format!("/admin/users/{quiet}"), format!("/admin/users/{disabled}"));
    let same = json!({ "name": "quiet", "email": "quiet@example.org", "role": "user", "disabled": false });
    admin.patch(&quiet, same.clone()).await.is_ok();
    admin.patch(&disabled, json!({ "disabled": true })).await.is_ok();
    let nobody = "/admin/users/01890a5d-ac96-774b-bcce-b302099a8057";
    let id = |path: &str| nobody.replace("/admin/users", path);
    let unconfirmed = admin.copy().confirming(false);
    let acts = [
        asked(&ada, Method::DELETE, "/sessions", Value::Null),
        asked(&ada, Method::POST, "/sessions/end-others", Value::Null),
        asked(&ada, Method::DELETE, &format!("/sessions/{gone_id}"), Value::Null),
        asked(&ada, Method::POST, &format!("/sessions/{gone_id}/end"), Value::Null),
        asked(&ada, Method::PATCH, "/profile", json!({ "name": "ada" })),
        asked(&ada, Method::PATCH, "/profile", json!({ "email": "Ada@Example.org" })),
        asked(&ada, Method::PATCH, "/profile", json!({})),
        asked(&ada, Method::POST, "/profile", json!({ "name": "ada", "email": "ada@example.org" })),
        asked(&gone, Method::POST, "/logout", json!({ "refresh_token": gone.refresh_token() })),
        asked(&unconfirmed, Method::PATCH, &quiet, json!({})),
        asked(&unconfirmed, Method::PATCH, &quiet, same.clone()),
        asked(&unconfirmed, Method::POST, &quiet, same.clone()),
        asked(&unconfirmed, Method::PATCH, &disabled, json!({ "disabled": true })),
        asked(&unconfirmed, Method::PATCH, &quiet, json!({ "disabled": false })),
        asked(&unconfirmed, Method::DELETE, &format!("{quiet}/sessions"), Value::Null),
        asked(&unconfirmed, Method::POST, &format!("{disabled}/sessions/end"), Value::Null),
        asked(&unconfirmed, Method::DELETE, &format!("/admin/sessions/{gone_id}"), Value::Null),
        asked(&unconfirmed, Method::PATCH, nobody, json!({ "name": "N", "role": "admin" })),
        asked(&unconfirmed, Method::DELETE, nobody, Value::Null),
        asked(&unconfirmed, Method::DELETE, &format!("{nobody}/sessions"), Value::Null),
        asked(&unconfirmed, Method::POST, &format!("{nobody}/reset-link"), Value::Null),
        asked(&unconfirmed, Method::DELETE, &id("/admin/clients"), Value::Null),
        asked(&unconfirmed, Method::DELETE, &id("/admin/invitations"), Value::Null),
        // Refused without a confirmation.
        asked(&unconfirmed, Method::PATCH, &quiet, json!({ "role": "admin" })),
        asked(&unconfirmed, Method::POST, &format!("{quiet}/reset-link"), Value::Null),
        asked(&unconfirmed, Method::POST, "/admin/invitations", json!({ "role": "admin" })),
        asked(&unconfirmed, Method::POST, "/admin/clients", json!({ "name": "N" })),
    ];
    let mut wrote = Vec::new();
    for Asked { by, method, path, body } in acts {
        let (before, versions) = (entries(&site).await, written(&site).await);
        for _ in 0..3 {
            let answer = by.copy().json(method.clone(), &path, body.clone()).await;
            let expected = answer.status.is_success() || [403, 404].contains(&answer.status.as_u16());
            assert!(expected, "{method} {path}: {} {}", answer.status, answer.text());
        }
        if entries(&site).await != before || written(&site).await != versions {
            wrote.push(format!("{method} {path} {body}"));
        }
    }
    assert!(wrote.is_empty(), "{wrote:#?}");
    // A password is compared after a trial write, which adds nothing.
    let before = entries(&site).await;
    admin.patch(&quiet, same).await.is_ok();
    assert_eq!(entries(&site).await, before);
}

#[tokio::test]
async fn x10_a_token_that_is_revoked_again_writes_nothing() {
    let site = Site::new().await;
    let (client, ada) = (site.client().await, site.logged_in("ada").await);
    let revoke = async || {
        let asked = site.visitor().request(Method::POST, "/revoke").header("authorization", &client);
        let asked = asked.header("content-type", "application/json");
        site.visitor().send(asked, json!({ "token": ada.refresh_token() }).to_string()).await.has_status(200);
    };
    revoke().await;
    ada.get("/profile").await.is_refused("session_ended");
    let (before, versions) = (entries(&site).await, written(&site).await);
    revoke().await;
    assert!(entries(&site).await == before && written(&site).await == versions);
}

#[tokio::test]
async fn x10_what_others_ended_or_changed_is_in_force_here_after_an_act_that_changes_nothing() {
    let site = Site::new().await;
    let (admin, elsewhere) = (site.admin("root").await, site.restarted().await);
    let there = admin.at(&elsewhere);
    for (name, body, code) in [
        ("ada", json!({ "disabled": true }), "session_ended"),
        ("ben", json!({ "role": "admin" }), "token_stale"),
    ] {
        let visitor = site.logged_in(name).await;
        let path = format!("/admin/users/{}", visitor.user_id().await);
        there.patch(&path, body.clone()).await.is_ok();
        admin.patch(&path, body).await.is_ok();
        visitor.get("/profile").await.is_refused(code);
    }
    let joan = site.logged_in("joan").await;
    let path = format!("/admin/users/{}/sessions", joan.user_id().await);
    there.delete(&path, Value::Null).await.is_ok();
    admin.delete(&path, Value::Null).await.is_ok();
    joan.get("/profile").await.is_refused("session_ended");
    let (here, other) = (site.logged_in("grace").await, site.logged_in("grace").await);
    here.at(&elsewhere).delete("/sessions", Value::Null).await.is_ok();
    here.delete("/sessions", Value::Null).await.is_ok();
    other.get("/profile").await.is_refused("session_ended");
}

#[tokio::test]
async fn x10_one_users_acts_are_limited_and_their_endings_are_not() {
    let site = Site::with(&[("throttle.acts", "20/1m")]).await;
    let (admin, ada, ben) =
        (site.admin("root").await, site.logged_in("ada").await, site.logged_in("ben").await);
    let rename = async |visitor: &Visitor, n: usize| {
        visitor.patch("/profile", json!({ "name": format!("n{n}") })).await
    };
    let login = async || {
        let body = json!({ "email": "ada@example.org", "password": PASSWORD });
        site.visitor().post("/login", body).await
    };
    for n in 0..20 {
        rename(&ada, n).await.is_ok();
    }
    let before = entries(&site).await;
    for n in 0..30 {
        let answer = rename(&ada, 100 + n).await;
        answer.has_status(429).is_refused("too_many_attempts");
        assert_eq!(answer.header("retry-after"), Some("60"));
    }
    assert_eq!(entries(&site).await, before);
    // Not another user's, and no act of another kind: a thief of a token keeps its owner from nothing.
    rename(&ben, 0).await.is_ok();
    login().await.is_ok();
    ada.refresh().await.is_ok();
    let body = json!({ "current_password": PASSWORD, "new_password": "another good phrase" });
    ada.post("/profile/password", body).await.is_ok();
    ada.post("/logout/all", Value::Null).await.is_ok();
    // An admin's acts on others.
    for n in 0..25 {
        let body = json!({ "name": "New", "email": format!("new{n}@example.org") });
        let status = admin.post("/admin/users", body).await.status;
        assert_eq!(status, if n < 20 { 201 } else { 429 }, "{n}");
    }
    let user = format!("/admin/users/{}", ben.user_id().await);
    for (method, path, body) in [
        (Method::PATCH, user.clone(), json!({ "role": "admin" })),
        (Method::POST, user.clone(), json!({ "name": "Benjamin" })),
        (Method::POST, format!("{user}/reset-link"), Value::Null),
        (Method::POST, "/admin/invitations".to_owned(), json!({})),
        (Method::POST, "/admin/clients".to_owned(), json!({ "name": "a shop" })),
    ] {
        admin.json(method, &path, body).await.is_refused("too_many_attempts");
    }
    admin.patch(&user, json!({ "disabled": true, "name": "Benjamin" })).await.is_refused("too_many_attempts");
    admin.delete(&format!("{user}/sessions"), Value::Null).await.is_ok();
    admin.patch(&user, json!({ "disabled": true })).await.is_ok();
    admin.delete(&user, Value::Null).await.is_ok();
    site.clock.advance(Duration::from_secs(60));
    admin.post("/admin/invitations", json!({})).await.has_status(201);
}

#[tokio::test]
async fn x10_sign_ins_and_new_passwords_of_one_user_are_limited_each_for_themselves() {
    let site = Site::with(&[("throttle.acts", "5/1m")]).await;
    let login = async |name: &str| {
        let email = format!("{name}@example.org");
        site.visitor().post("/login", json!({ "email": email, "password": PASSWORD })).await
    };
    let ada = site.logged_in("ada").await;
    for _ in 0..4 {
        login("ada").await.is_ok();
    }
    let before = entries(&site).await;
    login("ada").await.has_status(429).is_refused("too_many_attempts");
    assert_eq!(entries(&site).await, before);
    site.logged_in("ben").await;
    let other = "another good phrase";
    for n in 0..8 {
        let (old, new) = if n % 2 == 0 { (PASSWORD, other) } else { (other, PASSWORD) };
        let body = json!({ "current_password": old, "new_password": new });
        let answer = ada.post("/profile/password", body).await;
        if n < 5 {
            answer.is_ok();
        } else {
            answer.is_refused("too_many_attempts");
            break;
        }
    }
    ada.post("/logout/all", Value::Null).await.is_ok();
}

/// A reserve that no disk has.
const ALL: (&str, &str) = ("data.reserve", "9000000000000000000");

#[track_caller]
fn waits_for_room(answer: &Answer, asked: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (503, "no_room".into()),
        "{asked}: {}",
        answer.text()
    );
    assert_eq!(answer.header("retry-after"), Some("30"), "{asked}");
    assert!(answer.set_cookies().is_empty(), "{asked}");
}

/// What goes on while the disk is nearly full; everything else that isn't a GET doesn't.
const GOES_ON: [(&str, &str); 17] = [
    ("POST", "/inspect"),
    ("POST", "/introspect"),
    ("POST", "/logout"),
    ("POST", "/logout/all"),
    ("POST", "/password/reset"),
    ("POST", "/profile/password"),
    ("POST", "/refresh"),
    ("POST", "/revoke"),
    ("DELETE", "/sessions"),
    ("POST", "/sessions/end-others"),
    ("DELETE", "/sessions/{id}"),
    ("POST", "/sessions/{id}/end"),
    ("DELETE", "/admin/sessions/{id}"),
    ("POST", "/admin/sessions/{id}/end"),
    ("DELETE", "/admin/users/{id}/sessions"),
    ("POST", "/admin/users/{id}/sessions/end"),
    // For `disabled` alone.
    ("PATCH", "/admin/users/{id}"),
];

#[tokio::test]
async fn x10_without_room_every_route_that_adds_something_is_503_before_it_reads_anything() {
    let site = Site::new().await;
    let (admin, grace) = (site.admin("ada").await, site.logged_in("grace").await.user_id().await);
    if site.app.settings.database.is_some() {
        return;
    }
    let full = site.restarted_with(&[ALL]).await;
    let (visitor, mut refused) = (admin.at(&full), 0);
    let before = entries(&full).await;
    for route in full.api().routes() {
        let (method, path) = (route.method.as_str(), route.path.as_str());
        let is_form_of_admin = (method, path) == ("POST", "/admin/users/{id}");
        let is_closed = route.who == "development";
        if method == "GET" || GOES_ON.contains(&(method, path)) || is_form_of_admin || is_closed {
            continue;
        }
        refused += 1;
        let to = path.replace("{id}", &grace);
        let answer = visitor.copy().json(method.parse().unwrap(), &to, json!({ "email": "\0" })).await;
        waits_for_room(&answer, &format!("{method} {path}"));
        let page = visitor.copy().form(&to, &[("email", "")]).await;
        if method == "POST" {
            assert!(
                page.status == 503 && page.text().contains("disk is nearly full"),
                "{path}: {}",
                page.text()
            );
        }
    }
    assert!(refused > 15, "{refused}");
    assert_eq!(entries(&full).await, before);
}

#[tokio::test]
async fn x10_without_room_endings_refreshes_and_new_passwords_go_on() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    let (ada, browser) = (site.logged_in("ada").await, site.logged_in_by("ada", Mode::Session).await);
    let (other, third) = (site.logged_in("ada").await, site.logged_in("ada").await);
    let (ben, carl) = (site.logged_in("ben").await, site.logged_in("carl").await);
    let (client, token) = (site.client().await, carl.refresh_token());
    let link =
        admin.post(&format!("/admin/users/{}/reset-link", ben.user_id().await), Value::Null).await.is_ok();
    let link = link["url"].as_str().unwrap().split_once("token=").unwrap().1.to_owned();
    if site.app.settings.database.is_some() {
        return;
    }
    let full = site.restarted_with(&[ALL]).await;
    full.app.look_at_the_disk().await;
    let here = |visitor: &Visitor| visitor.at(&full);
    let (admin, ada, browser, other) = (here(&admin), here(&ada), here(&browser), here(&other));
    let (third, ben, carl) = (here(&third), here(&ben), here(&carl));
    for path in ["/profile", "/dashboard", "/sessions", "/healthz"] {
        ada.get(path).await.is_ok();
    }
    assert_eq!(full.visitor().get("/readyz").await.is_ok(), json!({ "status": "ready", "room": false }));
    admin.get("/admin/users").await.is_ok();
    ada.refresh().await.is_ok();
    let other_id = other.session_id().await;
    ada.delete(&format!("/sessions/{other_id}"), Value::Null).await.is_ok();
    other.get("/profile").await.is_refused("session_ended");
    let body = json!({ "current_password": PASSWORD, "new_password": "another good phrase" });
    browser.post("/profile/password", body).await.is_ok();
    for ended in [&ada, &third] {
        ended.ended_with_others().await;
    }
    let body = json!({ "token": link, "new_password": "a third good phrase" });
    full.visitor().post("/password/reset", body).await.is_ok();
    ben.ended_with_others().await;
    let asked = full.visitor().request(Method::POST, "/revoke").header("authorization", &client);
    let asked = asked.header("content-type", "application/json");
    full.visitor().send(asked, json!({ "token": token }).to_string()).await.has_status(200);
    carl.get("/profile").await.is_refused("session_ended");
    let user = format!("/admin/users/{}", browser.user_id().await);
    for body in [
        json!({ "role": "admin" }),
        json!({ "name": "A" }),
        json!({ "disabled": false }),
        json!({ "disabled": true, "name": "A" }),
        json!({}),
    ] {
        waits_for_room(&admin.patch(&user, body.clone()).await, &body.to_string());
    }
    admin.delete(&format!("{user}/sessions"), Value::Null).await.is_ok();
    browser.get("/profile").await.is_refused("session_ended");
    admin.patch(&user, json!({ "disabled": true })).await.is_ok();
    admin.post("/logout/all", Value::Null).await.is_ok();
    let body = json!({ "email": "ben@example.org", "password": "a third good phrase" });
    waits_for_room(&full.visitor().post("/login", body.clone()).await, "login");
    let room = site.restarted().await;
    room.visitor().post("/login", body).await.is_ok();
}

#[tokio::test]
async fn x10_an_end_whose_audit_row_fails_is_done_without_it_and_no_other_act_is() {
    let site = Site::new().await;
    let (admin, ada, ben) =
        (site.admin("root").await, site.logged_in("ada").await, site.logged_in("ben").await);
    let (carl, dora, eve) =
        (site.logged_in("carl").await, site.logged_in("dora").await, site.logged_in("eve").await);
    let (fay, other) = (site.logged_in("fay").await, site.logged_in("fay").await);
    let (gus, gone) = (site.logged_in_by("gus", Mode::Session).await, site.logged_in("gus").await);
    let copy = eve.refresh_token().unwrap();
    eve.refresh().await.is_ok();
    site.clock.advance(Duration::from_secs(61));
    let gone_id = gone.session_id().await;
    let of = async |visitor: &Visitor| format!("/admin/users/{}", visitor.user_id().await);
    let (carl_path, dora_path) = (of(&carl).await, of(&dora).await);
    let rename = "ALTER TABLE audit RENAME TO audit_elsewhere";
    site.app.store.execute(rename, Vec::new()).await.unwrap();
    ada.patch("/profile", json!({ "name": "Augusta" })).await.is_refused("unavailable");
    assert_eq!(ada.get("/profile").await.is_ok()["user"]["name"], "ada");
    let ended = async |visitor: &Visitor| {
        visitor.get("/profile").await.is_refused("session_ended");
        visitor.at(&site.restarted().await).get("/profile").await.is_refused("session_ended");
    };
    let ended_with_others = async |visitor: &Visitor| {
        visitor.get("/profile").await.is_refused("token_stale");
        visitor.at(&site.restarted().await).ended_with_others().await;
    };
    let holds = ada.copy();
    ada.post("/logout", json!({ "refresh_token": ada.refresh_token() })).await.is_ok();
    ended(&holds).await;
    let holds = ben.copy();
    ben.post("/logout/all", Value::Null).await.is_ok();
    ended_with_others(&holds).await;
    admin.delete(&format!("{carl_path}/sessions"), Value::Null).await.is_ok();
    ended_with_others(&carl).await;
    admin.patch(&dora_path, json!({ "disabled": true })).await.is_ok();
    ended_with_others(&dora).await;
    site.visitor().post("/refresh", json!({ "refresh_token": copy })).await.is_refused("refresh_reused");
    ended(&eve).await;
    fay.delete("/sessions", Value::Null).await.is_ok();
    ended_with_others(&other).await;
    admin.delete(&format!("/admin/sessions/{gone_id}"), Value::Null).await.is_ok();
    ended(&gone).await;
    let body = json!({ "current_password": PASSWORD, "new_password": "another good phrase" });
    gus.post("/profile/password", body).await.is_ok();
    fay.refresh().await.is_ok();
    fay.get("/profile").await.is_ok();
}
