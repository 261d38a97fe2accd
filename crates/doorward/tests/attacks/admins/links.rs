//! X05: a reset link and an invitation become void with their maker's right, or with the session that they were made
//! in.

use std::sync::Arc;
use std::time::Duration;

use doorward::internals::accounts::Actor;
use doorward::internals::admin_users;
use doorward::testing::{PASSWORD, Site, Visitor};
use doorward_core::Mode;
use doorward_core::role::RoleName;
use http::{Method, header};
use serde_json::{Value, json};

use super::{invitation, registers, reset_link, resets};
use crate::reading::user;

/// A server with an admin who makes a link for another admin, and an invitation.
struct Scene {
    site: Site,
    root: Visitor,
    maker: Visitor,
    /// The maker's id.
    id: String,
    reset: String,
    invite: String,
}

impl Scene {
    async fn new(mode: Mode) -> Self {
        let site = Site::with(&[("session.max_per_user", "3")]).await;
        let (root, id) = (site.admin("root").await, site.user("mal", RoleName::ADMIN).await);
        let target = site.user("target", RoleName::ADMIN).await;
        let maker = site.logged_in_by("mal", mode).await;
        let (reset, invite) = (reset_link(&maker, &target).await, invitation(&maker, "admin").await);
        Self { site, root, maker, id, reset, invite }
    }

    fn path(&self) -> String {
        format!("/admin/users/{}", self.id)
    }

    async fn is_dead(&self, case: &str) {
        for path in
            [format!("/password/reset?token={}", self.reset), format!("/register?invite={}", self.invite)]
        {
            let answer = self.site.visitor().get(&path).await;
            assert_eq!(answer.status, 400, "{case}: {path} {}", answer.text());
        }
        assert_eq!(resets(&self.site, &self.reset).await.json()["code"], "link_invalid", "{case}");
        assert_eq!(registers(&self.site, &self.invite).await.json()["code"], "link_invalid", "{case}");
    }

    async fn is_alive(&self, case: &str) {
        let page = self.site.visitor().get(&format!("/password/reset?token={}", self.reset)).await;
        assert_eq!(page.status, 200, "{case}");
        assert_eq!(resets(&self.site, &self.reset).await.status, 200, "{case}");
        assert_eq!(registers(&self.site, &self.invite).await.status, 201, "{case}");
    }

    async fn changes(&self, change: Value) {
        let mut change = change;
        change["current_password"] = json!(PASSWORD);
        self.root.patch(&self.path(), change).await.is_ok();
    }
}

#[tokio::test]
async fn x05_a_link_dies_with_its_makers_right() {
    for case in ["disabled", "disabled for a while", "demoted", "demoted for a while", "deleted", "reset"] {
        let scene = Scene::new(Mode::Bearer).await;
        match case {
            "disabled" => scene.changes(json!({ "disabled": true })).await,
            "disabled for a while" => {
                scene.changes(json!({ "disabled": true })).await;
                scene.changes(json!({ "disabled": false })).await;
            }
            "demoted" => scene.changes(json!({ "role": "user" })).await,
            "demoted for a while" => {
                scene.changes(json!({ "role": "user" })).await;
                scene.changes(json!({ "role": "admin" })).await;
            }
            "deleted" => {
                let body = json!({ "current_password": PASSWORD });
                scene.root.delete(&scene.path(), body).await.is_ok();
            }
            _ => {
                let id = user(&scene.id);
                let (url, _) =
                    admin_users::reset_link(&scene.site.app, id, Actor::CommandLine).await.unwrap();
                resets(&scene.site, url.rsplit_once('=').unwrap().1).await.is_ok();
            }
        }
        scene.is_dead(case).await;
    }
}

#[tokio::test]
async fn x05_a_link_dies_with_the_session_that_it_was_made_in_if_that_is_ended_for_cause() {
    let cases = [
        "by the user elsewhere",
        "all others by the user",
        "everywhere by the user",
        "new password",
        "everywhere by an admin",
        "by the command line",
        "new password by the command line",
        "refresh reuse",
        "revoked by a client",
        "out before the user signs out everywhere",
    ];
    for case in cases {
        let scene = Scene::new(Mode::Bearer).await;
        let session = scene.maker.session_id().await;
        if case.starts_with("out before") {
            scene.maker.post("/logout", Value::Null).await.is_ok();
        }
        let elsewhere = scene.site.logged_in("mal").await;
        let app = &scene.site.app;
        match case {
            "by the user elsewhere" => {
                elsewhere.delete(&format!("/sessions/{session}"), Value::Null).await.is_ok();
            }
            "all others by the user" => drop(elsewhere.delete("/sessions", Value::Null).await.is_ok()),
            "new password" => {
                let body = json!({ "current_password": PASSWORD, "new_password": "quite another password" });
                elsewhere.post("/profile/password", body).await.is_ok();
            }
            "everywhere by an admin" => {
                scene.root.delete(&format!("{}/sessions", scene.path()), Value::Null).await.is_ok();
            }
            "by the command line" => {
                admin_users::end_session(app, session.parse().unwrap(), Actor::CommandLine).await.unwrap();
            }
            "new password by the command line" => {
                let password = doorward_core::password::Password::new("quite another password").unwrap();
                admin_users::set_password(app, user(&scene.id), password).await.unwrap();
            }
            "refresh reuse" => {
                let thief = scene.maker.copy();
                scene.maker.refresh().await.is_ok();
                scene.maker.refresh().await.is_ok();
                scene.site.clock.advance(Duration::from_secs(61));
                thief.refresh().await.is_refused("refresh_reused");
            }
            "revoked by a client" => {
                let client = scene.site.client().await;
                let request = scene.site.visitor().request(Method::POST, "/revoke");
                let request = request
                    .header(header::AUTHORIZATION, client)
                    .header(header::CONTENT_TYPE, "application/json");
                let token = json!({ "token": scene.maker.token().unwrap() });
                scene.site.visitor().send(request, token.to_string()).await.is_ok();
            }
            _ => drop(elsewhere.post("/logout/all", Value::Null).await.is_ok()),
        }
        scene.is_dead(case).await;
    }
}

#[tokio::test]
async fn x05_an_ordinary_end_of_the_makers_session_leaves_the_link() {
    for case in ["logout", "its own device signed out", "expired", "replaced", "surplus", "another one ended"]
    {
        let scene = Scene::new(Mode::Session).await;
        match case {
            "logout" => drop(scene.maker.post("/logout", Value::Null).await.is_ok()),
            "its own device signed out" => {
                let path = format!("/sessions/{}", scene.maker.session_id().await);
                scene.maker.delete(&path, Value::Null).await.is_ok();
            }
            // Links live for an hour or more, so a shorter session has to be made first.
            "expired" => {
                let shorten = "UPDATE sessions SET expires_at = created_at, absolute_expires_at = created_at";
                scene.site.app.store.execute(shorten, Vec::new()).await.unwrap();
                scene.site.later(Duration::from_secs(60)).await;
            }
            "replaced" => {
                let body = json!({ "email": "mal@example.org", "password": PASSWORD, "mode": "session" });
                scene.maker.post("/login", body).await.is_ok();
            }
            "surplus" => {
                for _ in 0..3 {
                    scene.site.clock.advance(Duration::from_secs(1));
                    scene.site.logged_in("mal").await;
                }
                scene.maker.get("/profile").await.is_refused("session_ended");
            }
            _ => {
                let other = scene.site.logged_in("mal").await.session_id().await;
                scene.maker.delete(&format!("/sessions/{other}"), Value::Null).await.is_ok();
            }
        }
        scene.is_alive(case).await;
    }
}

#[tokio::test]
async fn x05_a_link_outlives_a_change_that_leaves_its_maker_the_right() {
    let site = Site::with(&[("roles.support", "users:read,users:write")]).await;
    let root = site.admin("root").await;
    let support = site.user("sue", "support".parse().unwrap()).await;
    let sue = site.logged_in("sue").await;
    let (ada, bob) = (site.user("ada", RoleName::USER).await, site.user("bob", RoleName::USER).await);
    let (kept, lost) = (reset_link(&sue, &ada).await, reset_link(&sue, &bob).await);
    let raise = json!({ "role": "admin", "name": "Sue", "current_password": PASSWORD });
    root.patch(&format!("/admin/users/{support}"), raise).await.is_ok();
    resets(&site, &kept).await.is_ok();
    // The settings can take the right away too.
    let lower = json!({ "role": "support", "current_password": PASSWORD });
    root.patch(&format!("/admin/users/{support}"), lower).await.is_ok();
    resets(&site, &lost).await.is_refused("link_invalid");
    sue.refresh().await.is_ok();
    let (reset, invite) = (reset_link(&sue, &bob).await, invitation(&sue, "support").await);
    let narrower = site.restarted_with(&[("roles.support", "users:read")]).await;
    narrower.visitor().get(&format!("/register?invite={invite}")).await.is_refused("link_invalid");
    resets(&narrower, &reset).await.is_refused("link_invalid");
    registers(&narrower, &invite).await.is_refused("link_invalid");
    resets(&site, &reset).await.is_ok();
}

#[tokio::test]
async fn x05_the_command_line_has_no_session_and_no_right_to_lose() {
    let site = Site::new().await;
    let root = site.admin("root").await;
    let target = user(&site.user("target", RoleName::ADMIN).await);
    let (url, _) = admin_users::reset_link(&site.app, target, Actor::CommandLine).await.unwrap();
    root.post("/logout/all", Value::Null).await.is_ok();
    resets(&site, url.rsplit_once('=').unwrap().1).await.is_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn x05_a_link_that_is_made_while_its_maker_falls_is_dead_too() {
    let site = Arc::new(Site::new().await);
    let root = Arc::new(site.admin("root").await);
    let target = site.user("target", RoleName::ADMIN).await;
    for (round, end) in ["disable", "demote", "end", "sign out", "delete"].iter().cycle().take(30).enumerate()
    {
        let (name, target) = (format!("mal{round}"), target.clone());
        let id = site.user(&name, RoleName::ADMIN).await;
        let maker = site.logged_in(&name).await;
        let session = maker.session_id().await;
        let making = tokio::spawn(async move {
            let body = json!({ "current_password": PASSWORD });
            maker.post(&format!("/admin/users/{target}/reset-link"), body).await
        });
        let (site_too, root_too, path) = (site.clone(), root.clone(), format!("/admin/users/{id}"));
        let ending = tokio::spawn(async move {
            let with = |mut body: Value| {
                body["current_password"] = json!(PASSWORD);
                body
            };
            match *end {
                "disable" => root_too.patch(&path, with(json!({ "disabled": true }))).await.is_ok(),
                "demote" => root_too.patch(&path, with(json!({ "role": "user" }))).await.is_ok(),
                "sign out" => root_too.delete(&format!("{path}/sessions"), Value::Null).await.is_ok(),
                "delete" => root_too.delete(&path, with(json!({}))).await.is_ok(),
                _ => {
                    let app = &site_too.app;
                    let session = session.parse().unwrap();
                    admin_users::end_session(app, session, Actor::CommandLine).await.unwrap();
                    Value::Null
                }
            }
        });
        ending.await.unwrap();
        let made = making.await.unwrap();
        if made.status == 200 {
            let used = resets(&site, &super::token(&made.json())).await;
            assert_eq!(used.json()["code"], "link_invalid", "{end}");
        }
    }
}
