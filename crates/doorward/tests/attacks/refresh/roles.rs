//! R11 to R13: roles and admins.

use std::sync::Arc;

use doorward::internals::accounts::{Actor, Invitation, NewUser, UserChange};
use doorward::internals::{Error, Result};
use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::role::RoleName;
use doorward_core::{Mode, Refusal, UserId};
use serde_json::{Value, json};

use crate::reading::{admin, one, user};

const ADMINS: &str =
    "SELECT CAST(COUNT(*) AS BIGINT) FROM users WHERE role = 'admin' AND disabled_at IS NULL";

async fn sees_role(visitor: &Visitor, role: &str) {
    assert_eq!(visitor.get("/profile").await.is_ok()["user"]["role"], role);
    let admins = visitor.get("/admin/users").await;
    if role == "admin" { drop(admins.is_ok()) } else { drop(admins.is_refused("forbidden")) }
}

#[tokio::test]
async fn r11_a_new_role_counts_at_once_in_every_mode_and_process() {
    let site = Site::new().await;
    let root = site.admin("root").await;
    let bearer = site.logged_in("ada").await;
    let (cookie, session) =
        (site.logged_in_by("ada", Mode::Cookie).await, site.logged_in_by("ada", Mode::Session).await);
    let path = format!("/admin/users/{}", bearer.user_id().await);
    for role in ["admin", "user", "admin"] {
        let second = site.restarted().await;
        for visitor in [&bearer, &cookie, &session] {
            visitor.get("/profile").await.is_ok();
            visitor.at(&second).get("/profile").await.is_ok();
        }

        root.patch(&path, json!({ "role": role })).await.is_ok();

        second.app.follow().await.unwrap();
        let restarted = site.restarted().await;
        for there in [&site, &second, &restarted] {
            bearer.at(there).get("/profile").await.is_refused("token_stale");
            let stale = cookie.at(there).get("/profile").await;
            stale.is_refused("token_stale");
            assert!(stale.set_cookies().is_empty(), "a stale token is no reason to sign in again");
            // Session mode has it without a refresh.
            sees_role(&session.at(there), role).await;
        }
        for visitor in [&bearer, &cookie] {
            visitor.refresh().await.is_ok();
            sees_role(visitor, role).await;
            sees_role(&visitor.at(&second), role).await;
        }
    }
}

/// A failover or a backup restores the user's old row: tokens from the lost history stay refused.
#[tokio::test]
async fn r11_no_version_is_given_twice_after_a_lost_history() {
    let site = Site::new().await;
    let (root, ada) = (site.admin("root").await, site.logged_in("ada").await);
    let path = format!("/admin/users/{}", ada.user_id().await);
    for role in ["admin", "user", "admin"] {
        root.patch(&path, json!({ "role": role })).await.is_ok();
    }
    ada.refresh().await.is_ok();
    let lost = ada.copy();
    lost.get("/admin/users").await.is_ok();
    for lose in [
        "UPDATE users SET claims_version = 1, role = 'user' WHERE name_folded LIKE 'ada%' ESCAPE '-'",
        "DELETE FROM least_versions",
    ] {
        site.app.store.execute(lose, Vec::new()).await.unwrap();
    }
    let restored = site.restarted().await;
    let name = json!({ "name": "Countess", "disabled": true });
    root.at(&restored).patch(&path, name).await.is_ok();
    lost.at(&restored).get("/profile").await.is_refused("token_stale");
    lost.at(&restored).refresh().await.is_refused("session_ended");
}

#[tokio::test]
async fn r11_who_becomes_admin_has_the_shorter_session_of_admins() {
    let site = Site::new().await;
    let (root, ada) = (site.admin("root").await, site.logged_in("ada").await);
    let secret = site.logged_in_by("ada", Mode::Session).await;
    let path = format!("/admin/users/{}", ada.user_id().await);
    root.patch(&path, json!({ "role": "admin" })).await.is_ok();
    assert_eq!(ada.refresh().await.is_ok()["refresh_expires_in"], 12 * 3_600);
    site.later(std::time::Duration::from_secs(12 * 3_600)).await;
    secret.get("/profile").await.is_refused("session_expired");
    ada.refresh().await.is_refused("session_expired");
}

#[tokio::test]
async fn r12_who_registers_a_freed_address_again_is_somebody_else() {
    let site = Site::new().await;
    let mut old = vec![site.registered("ada").await];
    for mode in [Mode::Cookie, Mode::Session] {
        old.push(site.logged_in_by("ada", mode).await);
    }
    let id = old[0].user_id().await;
    for visitor in &old {
        visitor.get("/profile").await.is_ok();
    }
    old[0].copy().delete("/profile", json!({ "password": PASSWORD })).await.is_ok();

    let new = site.registered("ada").await;

    assert_ne!(new.user_id().await, id);
    let restarted = site.restarted().await;
    for visitor in &old {
        for there in [&site, &restarted] {
            assert_eq!(visitor.at(there).get("/profile").await.status, 401);
            assert_eq!(visitor.at(there).get("/dashboard").await.status, 401);
            // A session secret is not a refresh token.
            let code = if visitor.cookie("__Host-sessionId").is_some() {
                "refresh_invalid"
            } else {
                "session_ended"
            };
            visitor.at(there).refresh().await.is_refused(code);
            assert_eq!(
                visitor.at(there).delete("/profile", json!({ "password": PASSWORD })).await.status,
                401
            );
        }
    }
    // A logout with the rest of them doesn't affect the new account either.
    old[0].copy().post("/logout", Value::Null).await.is_ok();
    new.get("/profile").await.is_ok();
    new.refresh().await.is_ok();
}

async fn refused_or_done(answer: &Answer) -> bool {
    match answer.status.as_u16() {
        200 => true,
        409 => answer.is_refused("last_admin").is_null(),
        // The other one was first, and this one is no longer an admin.
        401 => {
            let code = answer.json()["code"].clone();
            assert!(code == "token_stale" || code == "session_ended", "{code}");
            false
        }
        _ => answer.is_refused("forbidden").is_null(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r13_of_two_admins_who_turn_on_each_other_one_stays() {
    for round in 0..12 {
        let site = Site::new().await;
        let (ada, ben) = (site.admin("ada").await, site.admin("ben").await);
        let ids = [ada.user_id().await, ben.user_id().await];
        let act = |actor: Visitor, target: String| {
            tokio::spawn(async move {
                let path = format!("/admin/users/{target}");
                match round % 3 {
                    0 => actor.patch(&path, json!({ "role": "user" })).await,
                    1 => actor.patch(&path, json!({ "disabled": true })).await,
                    _ => actor.delete(&path, Value::Null).await,
                }
            })
        };
        let (first, second) = (act(ada.copy(), ids[1].clone()), act(ben.copy(), ids[0].clone()));
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        let done = [refused_or_done(&first).await, refused_or_done(&second).await];
        assert_eq!(done.iter().filter(|done| **done).count(), 1, "{} {}", first.text(), second.text());
        assert_eq!(one::<i64>(&site, ADMINS, Vec::new()).await, 1);
    }
}

#[tokio::test]
async fn r13_the_last_admin_is_neither_demoted_nor_disabled_nor_deleted() {
    let site = Site::new().await;
    let root = site.admin("root").await;
    site.logged_in("ada").await;
    let path = format!("/admin/users/{}", root.user_id().await);
    for change in [json!({ "role": "user" }), json!({ "disabled": true })] {
        assert_eq!(root.patch(&path, change).await.is_refused("last_admin")["status"], 409);
    }
    root.delete("/profile", json!({ "password": PASSWORD })).await.is_refused("last_admin");
    root.get("/admin/users").await.is_ok();
    // A disabled admin doesn't count.
    let disabled = site.user("ben", RoleName::ADMIN).await;
    root.patch(&format!("/admin/users/{disabled}"), json!({ "disabled": true })).await.is_ok();
    root.patch(&path, json!({ "role": "user" })).await.is_refused("last_admin");
}

/// Demotes, disables or deletes an admin, as another admin.
async fn turn_on(site: Arc<Site>, actor: UserId, target: UserId, how: usize) -> Result<()> {
    let actor = admin(&site, actor, None).await;
    let change = match how % 3 {
        0 => UserChange { role: Some(RoleName::USER), ..UserChange::default() },
        1 => UserChange { disabled: Some(true), ..UserChange::default() },
        _ => return site.app.accounts.delete(target, actor).await,
    };
    site.app.accounts.change(target, change, actor).await.map(drop)
}

/// Makes the user an enabled admin again; a deleted one gets a new id.
async fn raise(site: &Site, id: UserId, round: usize) -> UserId {
    let change = UserChange { role: Some(RoleName::ADMIN), disabled: Some(false), ..UserChange::default() };
    match site.app.accounts.change(id, change, Actor::CommandLine).await {
        Ok(_) => id,
        Err(Error::NotFound) => {
            let new = NewUser {
                name: "Ada".parse().unwrap(),
                email: format!("ada{round}@example.org").parse().unwrap(),
                role: RoleName::ADMIN,
                password_hash: Some("no hash of any password".into()),
            };
            site.app.accounts.create(new, Actor::CommandLine).await.unwrap().id
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r13_one_admin_stays_of_every_crossing_pair() {
    // SQLite has one writer, so nothing can cross there; this is about PostgreSQL's READ COMMITTED.
    let pairs = if std::env::var_os("DOORWARD_TEST_POSTGRES").is_some() { 1_000 } else { 100 };
    let site = Arc::new(Site::new().await);
    let mut ids =
        [user(&site.user("ada", RoleName::ADMIN).await), user(&site.user("ben", RoleName::ADMIN).await)];
    for round in 0..pairs {
        let first = tokio::spawn(turn_on(site.clone(), ids[0], ids[1], round));
        let second = tokio::spawn(turn_on(site.clone(), ids[1], ids[0], round / 3));
        let results = [first.await.unwrap(), second.await.unwrap()];
        assert_eq!(one::<i64>(&site, ADMINS, Vec::new()).await, 1, "round {round}: {results:?}");
        // The second is refused as the last admin, or because the first has taken their own role away already.
        let is_refused = |result: &&Result<()>| {
            matches!(result, Err(Error::LastAdmin | Error::Forbidden | Error::Refused(Refusal::SessionEnded)))
        };
        let refused = results.iter().filter(is_refused).count();
        assert_eq!((refused, results.iter().filter(|result| result.is_ok()).count()), (1, 1), "{results:?}");
        ids = [raise(&site, ids[0], 2 * round).await, raise(&site, ids[1], 2 * round + 1).await];
    }
}

/// A request can be slow: its head came while its sender still was an admin, its body afterwards.
#[tokio::test]
async fn r11_an_act_that_was_on_its_way_is_refused_when_its_admin_is_no_more() {
    for (change, refusal) in [
        (json!({ "disabled": true }), Error::Refused(Refusal::SessionEnded)),
        (json!({ "role": "user" }), Error::Forbidden),
        (Value::Null, Error::Refused(Refusal::SessionEnded)),
    ] {
        let site = Site::new().await;
        let (root, eve) = (site.admin("root").await, site.admin("eve").await);
        let (id, session) = (eve.user_id().await, eve.session_id().await);
        let actor = admin(&site, user(&id), Some(session.parse().unwrap())).await;
        if change.is_null() {
            eve.post("/logout", Value::Null).await.is_ok();
        } else {
            root.patch(&format!("/admin/users/{id}"), change).await.is_ok();
        }
        let undo = UserChange { role: Some(RoleName::ADMIN), disabled: Some(false), ..UserChange::default() };
        let accomplice = NewUser {
            name: "Mal".parse().unwrap(),
            email: "mal@example.org".parse().unwrap(),
            role: RoleName::ADMIN,
            password_hash: None,
        };
        let (accounts, target) = (&site.app.accounts, user(&root.user_id().await));
        assert_eq!(accounts.change(user(&id), undo, actor.clone()).await, Err(refusal.clone()));
        assert_eq!(accounts.create(accomplice, actor.clone()).await, Err(refusal.clone()));
        assert_eq!(accounts.delete(target, actor.clone()).await, Err(refusal.clone()));
        assert_eq!(accounts.end_sessions(target, actor.clone()).await, Err(refusal.clone()));
        assert_eq!(accounts.reset_link(target, actor.clone()).await.map(drop), Err(refusal.clone()));
        let invitation = Invitation { email: None, role: RoleName::ADMIN };
        assert_eq!(accounts.invite(invitation, actor.clone()).await.map(drop), Err(refusal));
    }
}
