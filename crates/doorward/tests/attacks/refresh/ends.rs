//! R04, R08, R11: each way to end a session, in each mode: at once here, after `follow` in a second process, and after a
//! restart.

use std::time::Duration;

use doorward::internals::accounts::{Actor, UserChange};
use doorward::internals::admin_users;
use doorward::internals::audit::{Action, By};
use doorward::internals::revocations::EndReason;
use doorward::internals::sessions::Proved;
use doorward::testing::{PASSWORD, Site, Visitor};
use doorward_core::Mode;
use doorward_core::password::Password;
use http::Method;
use serde_json::{Value, json};

use crate::reading::user;
use crate::support::state;

const NEW: &str = "quite another password";

/// The ways in which Ada's session ends, and by whom.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Logout,
    LogoutAll,
    EndOne,
    EndOthers,
    PasswordChange,
    PasswordReset,
    Disabled,
    Deleted,
    DeletedByOwner,
    LoggedOutByAdmin,
    DisabledByCommandLine,
    PasswordByCommandLine,
}

const WAYS: [Way; 12] = [
    Way::Logout,
    Way::LogoutAll,
    Way::EndOne,
    Way::EndOthers,
    Way::PasswordChange,
    Way::PasswordReset,
    Way::Disabled,
    Way::Deleted,
    Way::DeletedByOwner,
    Way::LoggedOutByAdmin,
    Way::DisabledByCommandLine,
    Way::PasswordByCommandLine,
];

/// Ends the session of `ada`; `desk` is another of hers, `root` an admin.
async fn end(site: &Site, way: Way, (ada, desk, root): (&Visitor, &Visitor, &Visitor)) {
    let id = ada.user_id().await;
    let path = format!("/admin/users/{id}");
    match way {
        Way::Logout => drop(ada.copy().post("/logout", Value::Null).await.is_ok()),
        Way::LogoutAll => drop(desk.copy().post("/logout/all", Value::Null).await.is_ok()),
        Way::EndOne => {
            let session = ada.session_id().await;
            desk.delete(&format!("/sessions/{session}"), Value::Null).await.is_ok();
        }
        Way::EndOthers => drop(desk.delete("/sessions", Value::Null).await.is_ok()),
        Way::PasswordChange => {
            let change = json!({ "current_password": PASSWORD, "new_password": NEW });
            desk.post("/profile/password", change).await.is_ok();
        }
        Way::PasswordReset => {
            let link = root.post(&format!("{path}/reset-link"), Value::Null).await.is_ok();
            let token = link["url"].as_str().unwrap().split_once("token=").unwrap().1.to_owned();
            let reset = json!({ "token": token, "new_password": NEW });
            site.visitor().post("/password/reset", reset).await.is_ok();
        }
        Way::Disabled => drop(root.patch(&path, json!({ "disabled": true })).await.is_ok()),
        Way::Deleted => drop(root.delete(&path, Value::Null).await.is_ok()),
        Way::DeletedByOwner => {
            desk.copy().delete("/profile", json!({ "password": PASSWORD })).await.is_ok();
        }
        Way::LoggedOutByAdmin => drop(root.delete(&format!("{path}/sessions"), Value::Null).await.is_ok()),
        Way::DisabledByCommandLine => {
            let change = UserChange { disabled: Some(true), ..UserChange::default() };
            site.app.accounts.change(user(&id), change, Actor::CommandLine).await.unwrap();
        }
        Way::PasswordByCommandLine => {
            let new = Password::new(NEW).unwrap();
            admin_users::set_password(&site.app, user(&id), new).await.unwrap();
        }
    }
}

/// No credential of the visitor works at this site, and its client learns why.
async fn is_out(visitor: &Visitor, site: &Site, why: &str) {
    let has_tokens = visitor.refresh_token().is_some() || visitor.cookie("__Host-refresh_token").is_some();
    for path in ["/profile", "/dashboard", "/sessions"] {
        let answer = visitor.at(site).get(path).await;
        let code = answer.json()["code"].clone();
        // Tokens of a session that ended with others are stale. After a deletion and a restart, no secret is known any
        // more.
        let other = if has_tokens { "token_stale" } else { "token_invalid" };
        assert!(code == "session_ended" || code == other, "{why} {path}: {}", answer.text());
        assert_eq!(answer.status, 401, "{why} {path}");
    }
    let refresh = visitor.at(site).refresh().await;
    let code = refresh.json()["code"].clone();
    assert_eq!(
        code,
        if has_tokens { "session_ended" } else { "refresh_invalid" },
        "{why}: {}",
        refresh.text()
    );
}

#[tokio::test]
async fn r11_every_end_is_in_force_at_once_in_every_mode_and_process() {
    let site = Site::new().await;
    let root = site.admin("root").await;
    for (n, way) in WAYS.into_iter().enumerate() {
        let name = format!("ada{n}");
        let mut ended = Vec::new();
        for mode in Mode::ALL {
            ended.push(site.logged_in_by(&name, mode).await);
        }
        // Logout and the end of one session end only one, so each mode gets its turn there.
        let desk = site.logged_in(&name).await;
        let second = site.restarted().await;
        for visitor in &ended {
            visitor.get("/profile").await.is_ok();
            visitor.at(&second).get("/profile").await.is_ok();
        }
        let turns = if matches!(way, Way::Logout | Way::EndOne) { ended.len() } else { 1 };
        for visitor in &ended[..turns] {
            end(&site, way, (visitor, &desk, &root)).await;
        }
        let third = site.restarted().await;
        second.app.follow().await.unwrap();
        for visitor in &ended {
            is_out(visitor, &site, &format!("{way:?}")).await;
            is_out(visitor, &second, &format!("{way:?}, second process")).await;
            is_out(visitor, &third, &format!("{way:?}, restarted")).await;
        }
        let spared = [Way::Logout, Way::EndOne, Way::EndOthers, Way::PasswordChange].contains(&way);
        // A session that is kept when the others end refreshes once.
        let goes_on = spared && way != Way::EndOthers;
        assert_eq!(desk.get("/profile").await.status == 200, goes_on, "{way:?}");
        assert_eq!(desk.at(&second).refresh().await.status == 200, spared, "{way:?}");
    }
    // A swept memory and a swept table change nothing.
    site.later(Duration::from_secs(3_600)).await;
    root.refresh().await.is_ok();
    root.get("/admin/users").await.is_ok();
}

#[tokio::test]
async fn r04_x15_a_second_process_follows_although_the_clock_was_set_back() {
    let site = Site::new().await;
    // The signing key is older than the jump.
    site.clock.advance(Duration::from_secs(3_600));
    let second = site.restarted().await;
    let (early, late) = (site.logged_in("ada").await, site.logged_in("ada").await);
    early.post("/logout", Value::Null).await.is_ok();
    second.app.follow().await.unwrap();

    site.clock.turn_back(Duration::from_secs(20));
    let late_copy = late.copy();
    late.post("/logout", Value::Null).await.is_ok();
    second.app.follow().await.unwrap();

    late_copy.at(&second).get("/profile").await.is_refused("session_ended");
}

#[tokio::test]
async fn r11_an_ended_session_stays_over_until_its_last_token_is_dead() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let session = crate::reading::session(&ada.session_id().await);
    let doorward::internals::store::Value::Bytes(id) = session else { panic!("no id") };
    let id = doorward_core::SessionId::from_bytes(id.try_into().unwrap());
    site.app
        .sessions
        .end(vec![Proved::unknown(id)], EndReason::EndedByAdmin, Action::SessionsEnded, By::CommandLine)
        .await
        .unwrap();
    for _ in 0..15 {
        ada.get("/profile").await.is_refused("session_ended");
        site.later(Duration::from_secs(59)).await;
    }
    site.later(Duration::from_secs(900)).await;
    ada.get("/profile").await.is_refused("token_expired");
    ada.refresh().await.is_refused("session_ended");
}

#[tokio::test]
async fn r08_the_session_that_changed_the_password_goes_on_and_with_the_new_password_only() {
    let site = Site::new().await;
    let (here, there) = (site.logged_in("ada").await, site.logged_in("ada").await);
    let change = json!({ "current_password": PASSWORD, "new_password": NEW });
    let answer = here.post("/profile/password", change).await.is_ok();
    assert_eq!(answer["sessions"], 1);
    here.get("/profile").await.is_ok();
    here.refresh().await.is_ok();
    there.refresh().await.is_refused("session_ended");
    let login = |password: &str| json!({ "email": "ada@example.org", "password": password });
    site.visitor().post("/login", login(PASSWORD)).await.is_refused("invalid_credentials");
    site.visitor().post("/login", login(NEW)).await.is_ok();
}

#[tokio::test]
async fn r08_an_account_that_is_enabled_again_needs_a_new_sign_in() {
    let site = Site::new().await;
    let (root, ada) = (site.admin("root").await, site.logged_in("ada").await);
    let path = format!("/admin/users/{}", ada.user_id().await);
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    root.patch(&path, json!({ "disabled": true })).await.is_ok();
    assert_eq!(ada.copy().post("/login", login.clone()).await.is_refused("user_disabled")["status"], 403);
    root.patch(&path, json!({ "disabled": false })).await.is_ok();
    ada.ended_with_others().await;
    ada.refresh().await.is_refused("session_ended");
    site.visitor().post("/login", login).await.is_ok();
}

/// A node that has not heard of it yet is like a request in flight.
#[tokio::test]
async fn requests_in_flight_of_a_deleted_user_end_as_session_ended_and_leave_no_trace() {
    let site = Site::with(&[("throttle.enabled", "false")]).await;
    for mode in Mode::ALL {
        let other = site.restarted().await;
        let ada = site.logged_in_by(mode.as_str(), mode).await;
        let (in_flight, later) = (ada.at(&other), ada.copy());
        let session = in_flight.session_id().await;
        ada.delete("/profile", json!({ "password": PASSWORD })).await.is_ok();
        let before = state(&site).await;
        let password = json!({ "current_password": PASSWORD, "new_password": "another door, another key" });
        for (method, path, body) in [
            (Method::GET, "/sessions".to_owned(), Value::Null),
            (Method::DELETE, "/sessions".into(), Value::Null),
            (Method::DELETE, format!("/sessions/{session}"), Value::Null),
            (Method::POST, "/logout/all".into(), Value::Null),
            (Method::PATCH, "/profile".into(), json!({ "name": "new" })),
            (Method::POST, "/profile/password".into(), password),
            (Method::DELETE, "/profile".into(), json!({ "password": PASSWORD })),
        ] {
            let answer = in_flight.copy().json(method.clone(), &path, body).await;
            assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
            answer.is_refused("session_ended");
        }
        assert_eq!(state(&site).await, before);
        for visitor in [in_flight.copy(), later.copy()] {
            if mode != Mode::Session {
                visitor.refresh().await.has_status(401).is_refused("session_ended");
            }
        }
        // Also after memory and revocations have forgotten it, for as long as a browser keeps the cookie.
        site.later(std::time::Duration::from_secs(86_400)).await;
        let (kept, gone) = match mode {
            Mode::Session => (later.copy().get("/profile").await, "token_invalid"),
            _ => (later.copy().refresh().await, "refresh_invalid"),
        };
        kept.has_status(401).is_refused("session_ended");
        site.later(std::time::Duration::from_secs(90 * 86_400)).await;
        let answer = match mode {
            Mode::Session => later.get("/profile").await,
            _ => later.refresh().await,
        };
        answer.has_status(401).is_refused(gone);
    }
}
