//! X07: an act that takes over an account, or makes a user who could, needs the caller's password.

use std::time::Duration;

use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::Mode;
use doorward_core::role::RoleName;
use http::{Method, header};
use serde_json::{Value, json};

use crate::support::state;

/// A server with an admin `root`, another one, a user and a disabled admin; their ids by these names.
struct Scene {
    site: Site,
    equal: String,
    user: String,
    disabled: String,
}

impl Scene {
    async fn new() -> Self {
        let site =
            Site::with(&[("roles.support", "users:read,users:write"), ("registration", "invite")]).await;
        let root = site.admin("root").await;
        let equal = site.user("equal", RoleName::ADMIN).await;
        let user = site.user("user", RoleName::USER).await;
        let disabled = site.user("disabled", RoleName::ADMIN).await;
        root.patch(&format!("/admin/users/{disabled}"), json!({ "disabled": true })).await.is_ok();
        Self { site, equal, user, disabled }
    }

    /// What a thief of an admin's credential would do to keep access.
    fn takeovers(&self) -> Vec<(Method, String, Value)> {
        let path = |id: &str| format!("/admin/users/{id}");
        let (equal, user, disabled) = (path(&self.equal), path(&self.user), path(&self.disabled));
        let new = |more: Value| {
            let mut body = json!({ "name": "Mallory", "email": "mallory@example.org" });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        let invitations = || "/admin/invitations".to_owned();
        vec![
            (Method::POST, "/admin/users".into(), new(json!({ "role": "admin" }))),
            (Method::POST, "/admin/users".into(), new(json!({ "password": PASSWORD }))),
            (Method::POST, "/admin/users".into(), new(json!({ "role": "support" }))),
            (Method::POST, invitations(), json!({ "role": "admin" })),
            (Method::POST, invitations(), json!({ "role": "support", "email": "mallory@example.org" })),
            (Method::POST, format!("{user}/reset-link"), Value::Null),
            (Method::POST, format!("{equal}/reset-link"), json!({})),
            (Method::PATCH, user.clone(), json!({ "email": "mallory@example.org" })),
            (Method::PATCH, equal.clone(), json!({ "email": "mallory@example.org", "name": "x" })),
            (Method::POST, user.clone(), json!({ "email": "mallory@example.org" })),
            (Method::PATCH, user.clone(), json!({ "role": "admin" })),
            (Method::PATCH, user.clone(), json!({ "role": "support" })),
            (Method::PATCH, equal.clone(), json!({ "role": "user" })),
            (Method::PATCH, equal.clone(), json!({ "disabled": true })),
            (Method::PATCH, disabled.clone(), json!({ "disabled": false })),
            (Method::PATCH, disabled, json!({ "disabled": false, "role": "user" })),
            (Method::POST, "/admin/clients".into(), json!({ "name": "mallory" })),
            (Method::DELETE, equal.clone(), Value::Null),
            (Method::POST, format!("{equal}/delete"), Value::Null),
        ]
    }

    async fn root(&self, mode: Mode) -> Visitor {
        self.site.logged_in_by("root", mode).await
    }
}

fn with(mut body: Value, password: &str) -> Value {
    if body.is_null() {
        body = json!({});
    }
    body["current_password"] = json!(password);
    body
}

/// An act that needs a confirmation and can be repeated.
async fn needs_it(visitor: &Visitor, scene: &Scene) -> Answer {
    visitor.post(&format!("/admin/users/{}/reset-link", scene.user), Value::Null).await
}

#[tokio::test]
async fn x07_an_admins_credential_alone_takes_over_nothing() {
    let scene = Scene::new().await;
    for mode in Mode::ALL {
        let thief = scene.root(mode).await;
        let before = state(&scene.site).await;
        for (method, path, body) in scene.takeovers() {
            let answer = thief.json(method.clone(), &path, body.clone()).await;
            assert_eq!(answer.status, 403, "{mode:?} {method} {path} {body}: {}", answer.text());
            answer.is_refused("confirmation_required");
        }
        assert_eq!(state(&scene.site).await, before);
        thief.get("/admin/users").await.is_ok();
    }
}

#[tokio::test]
async fn x07_each_of_it_takes_the_right_password_and_no_other() {
    let scene = Scene::new().await;
    for (n, (method, path, body)) in scene.takeovers().into_iter().enumerate() {
        let fresh = Scene::new().await;
        let root = fresh.root(Mode::Bearer).await;
        let path = path
            .replace(&scene.equal, &fresh.equal)
            .replace(&scene.user, &fresh.user)
            .replace(&scene.disabled, &fresh.disabled);
        let wrong = with(body.clone(), "not the password");
        root.json(method.clone(), &path, wrong).await.has_status(403).is_refused("wrong_password");
        let answer = root.json(method.clone(), &path, with(body, PASSWORD)).await;
        assert!(answer.status.is_success(), "{n} {method} {path}: {}", answer.text());
    }
}

#[tokio::test]
async fn x07_what_opens_no_account_asks_for_no_password() {
    let scene = Scene::new().await;
    let root = scene.root(Mode::Bearer).await;
    let (user, equal) = (format!("/admin/users/{}", scene.user), format!("/admin/users/{}", scene.equal));
    root.post("/admin/users", json!({ "name": "New", "email": "new@example.org" })).await.has_status(201);
    root.post("/admin/invitations", json!({ "email": "guest@example.org" })).await.has_status(201);
    root.patch(&equal, json!({ "name": "Equal", "role": "admin", "disabled": false })).await.is_ok();
    root.delete(&format!("{equal}/sessions"), Value::Null).await.is_ok();
    root.patch(&user, json!({ "disabled": true })).await.is_ok();
    root.patch(&user, json!({ "disabled": false, "name": "User" })).await.is_ok();
    root.delete(&user, Value::Null).await.is_ok();
}

#[tokio::test]
async fn x07_a_password_with_an_act_is_a_guess_like_any_other() {
    let scene = Scene::new().await;
    let thief = scene.root(Mode::Session).await;
    // The session's cookie was stolen, and not the device's.
    thief.hold_cookie("__Host-device", "");
    let path = format!("/admin/users/{}/reset-link", scene.user);
    for n in 0..10 {
        let (path, body) = if n % 2 == 0 { (path.as_str(), json!({})) } else { ("/confirm", json!({})) };
        thief.post(path, with(body, "not the password")).await.is_refused("wrong_password");
    }
    for path in [path.as_str(), "/confirm"] {
        thief.post(path, with(json!({}), PASSWORD)).await.has_status(429).is_refused("too_many_attempts");
    }
    let login = json!({ "email": "root@example.org", "password": PASSWORD });
    scene.site.visitor().post("/login", login).await.is_refused("too_many_attempts");
}

#[tokio::test]
async fn x07_a_session_is_confirmed_for_ten_minutes_for_its_cookie() {
    for mode in [Mode::Session, Mode::Cookie] {
        let scene = Scene::new().await;
        let (root, other) = (scene.root(mode).await, scene.root(mode).await);
        needs_it(&root, &scene).await.is_refused("confirmation_required");
        root.post("/confirm", json!({ "current_password": "not it" })).await.is_refused("wrong_password");
        root.post("/confirm", json!({})).await.is_refused("invalid_input");
        needs_it(&root, &scene).await.is_refused("confirmation_required");
        let said = root.post("/confirm", json!({ "current_password": PASSWORD })).await.is_ok();
        assert_eq!(said, json!({ "success": true, "message": "Confirmed" }));
        needs_it(&root, &scene).await.is_ok();
        needs_it(&other, &scene).await.is_refused("confirmation_required");
        scene.site.clock.advance(Duration::from_secs(600) - Duration::from_micros(1));
        needs_it(&root, &scene).await.is_ok();
        needs_it(&root.at(&scene.site.restarted().await), &scene).await.is_ok();
        scene.site.clock.advance(Duration::from_micros(1));
        needs_it(&root, &scene).await.is_refused("confirmation_required");
    }
}

#[tokio::test]
async fn x07_no_token_in_a_header_and_no_bearer_session_is_confirmed() {
    let scene = Scene::new().await;
    let bearer = scene.root(Mode::Bearer).await;
    let refused =
        bearer.post("/confirm", json!({ "current_password": PASSWORD })).await.has_status(400).json();
    assert_eq!(refused["code"], "malformed");
    // A token of bearer mode, sent as a cookie.
    let as_cookie = scene.site.visitor();
    as_cookie.hold_cookie("__Host-token", &bearer.token().unwrap());
    as_cookie.post("/confirm", json!({ "current_password": PASSWORD })).await.has_status(400);
    needs_it(&as_cookie, &scene).await.is_refused("confirmation_required");
    // A token out of a cookie, in a header.
    let browser = scene.root(Mode::Cookie).await;
    browser.post("/confirm", json!({ "current_password": PASSWORD })).await.is_ok();
    let thief = scene.site.visitor();
    thief.hold(browser.cookie("__Host-token").as_deref(), None);
    needs_it(&thief, &scene).await.is_refused("confirmation_required");
    thief.post("/confirm", json!({ "current_password": PASSWORD })).await.has_status(400);
    let request = browser.request(Method::POST, &format!("/admin/users/{}/reset-link", scene.user));
    let token = format!("Bearer {}", browser.cookie("__Host-token").unwrap());
    let both = browser.send(request.header(header::AUTHORIZATION, token), "").await;
    both.is_refused("confirmation_required");
    needs_it(&browser, &scene).await.is_ok();
}

#[tokio::test]
async fn x07_a_new_password_and_the_end_of_the_session_end_the_confirmation() {
    let scene = Scene::new().await;
    let root = scene.root(Mode::Session).await;
    root.post("/confirm", json!({ "current_password": PASSWORD })).await.is_ok();
    let change = json!({ "current_password": PASSWORD, "new_password": "quite another password" });
    root.post("/profile/password", change).await.is_ok();
    needs_it(&root, &scene).await.is_refused("confirmation_required");
    root.post("/confirm", json!({ "current_password": PASSWORD })).await.is_refused("wrong_password");
    root.post("/confirm", json!({ "current_password": "quite another password" })).await.is_ok();
    let copies = [root.copy(), root.copy()];
    root.post("/logout", Value::Null).await.is_ok();
    needs_it(&copies[0], &scene).await.is_refused("session_ended");
    copies[1]
        .post("/confirm", json!({ "current_password": "quite another password" }))
        .await
        .is_refused("session_ended");
}

#[tokio::test]
async fn x07_ones_own_account_is_changed_in_the_profile() {
    let scene = Scene::new().await;
    let root = scene.root(Mode::Session).await;
    let own = format!("/admin/users/{}", root.user_id().await);
    root.post("/confirm", json!({ "current_password": PASSWORD })).await.is_ok();
    for (method, path, body) in [
        (Method::PATCH, own.clone(), json!({ "email": "mallory@example.org" })),
        (Method::POST, format!("{own}/reset-link"), json!({})),
        (Method::DELETE, own.clone(), json!({})),
        (Method::POST, format!("{own}/delete"), json!({})),
    ] {
        root.json(method, &path, with(body, PASSWORD)).await.has_status(403).is_refused("forbidden");
    }
    // Giving up one's own role is an act like any other.
    root.patch(&own, json!({ "role": "user" })).await.is_ok();
}

#[tokio::test]
async fn x07_a_page_asks_once_and_goes_on_with_all_that_was_typed() {
    let scene = Scene::new().await;
    let root = scene.root(Mode::Session).await;
    let typed = [
        ("name", "Mallory \"<M>\""),
        ("email", "m@example.org"),
        ("role", "admin"),
        ("password", "their first password"),
    ];
    let mut fields = typed.to_vec();
    for wrong in [None, Some("not the password"), Some("")] {
        fields.truncate(typed.len());
        fields.extend(wrong.map(|wrong| ("current_password", wrong)));
        let page = root.form("/admin/users", &fields).await.has_status(403).text().replace("&#x2f;", "/");
        for (name, value) in typed {
            let value = value.replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;");
            let hidden = format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
            assert!(page.contains(&hidden), "{hidden} is missing in {page}");
        }
        assert!(page.contains("action=\"/admin/users\"") && !page.contains("not the password"), "{page}");
        assert_eq!(page.contains("id=\"confirm-trouble\""), wrong == Some("not the password"), "{page}");
    }
    fields.truncate(typed.len());
    fields.push(("current_password", PASSWORD));
    let made = root.form("/admin/users", &fields).await;
    assert!(made.has_status(303).header("location").unwrap().ends_with("?done=user-created"));
    let login = json!({ "email": "m@example.org", "password": "their first password" });
    scene.site.visitor().post("/login", login).await.is_ok();
    // And not again.
    let link = format!("/admin/users/{}/reset-link", scene.equal);
    assert!(root.form(&link, &[]).await.has_status(200).text().contains("password&#x2f;reset?token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn x07_a_password_that_is_being_changed_confirms_nothing() {
    for round in 0..20 {
        let scene = Scene::new().await;
        let (root, thief) = (scene.root(Mode::Session).await, scene.root(Mode::Session).await);
        let change = json!({ "current_password": PASSWORD, "new_password": "quite another password" });
        let (changed, confirmed) = tokio::join!(
            root.post("/profile/password", change),
            root.post("/confirm", json!({ "current_password": PASSWORD })),
        );
        changed.is_ok();
        assert!([200, 401, 403].contains(&confirmed.status.as_u16()), "{round}: {}", confirmed.text());
        let answer = needs_it(&root, &scene).await;
        assert_ne!(answer.status, 200, "round {round}: confirmed by a password that is no more");
        needs_it(&thief, &scene).await.is_refused("session_ended");
    }
}
