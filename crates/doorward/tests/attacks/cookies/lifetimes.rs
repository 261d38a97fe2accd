//! Time-outs, and memory that must not outlive its content.

use std::time::Duration;

use doorward::internals::store::Fault;
use doorward::testing::Site;
use doorward_core::Mode;
use serde_json::Value;

use super::*;
use crate::support::{Target, decode, encode};

const DAY: Duration = Duration::from_secs(86_400);
const MOMENT: Duration = Duration::from_micros(1);

#[tokio::test]
async fn k12_constant_use_does_not_outlive_the_absolute_end() {
    let site = Site::new().await;
    let in_session_mode = site.logged_in_by("lin", Mode::Session).await;
    let in_cookie_mode = site.logged_in_by("lin", Mode::Cookie).await;
    let in_bearer_mode = site.logged_in_by("lin", Mode::Bearer).await;
    for _ in 0..17 {
        site.later(5 * DAY).await;
        in_session_mode.get("/profile").await.is_ok();
        in_cookie_mode.refresh().await.is_ok();
        in_bearer_mode.refresh().await.is_ok();
    }
    site.later(5 * DAY - MOMENT).await;
    in_session_mode.get("/profile").await.is_ok();
    // A token that is issued in the last moment lives no longer than the session.
    site.clock.turn_back(Duration::from_secs(60));
    in_cookie_mode.refresh().await.is_ok();
    assert_eq!(in_bearer_mode.refresh().await.is_ok()["expires_in"], 60);
    site.clock.advance(Duration::from_secs(60));
    in_cookie_mode.get("/profile").await.is_ok();
    site.clock.advance(MOMENT);
    let after_restart = in_session_mode.copy();
    in_session_mode.get("/profile").await.has_status(401).is_refused("session_expired");
    for visitor in [&in_cookie_mode, &in_bearer_mode] {
        visitor.get("/profile").await.has_status(401).is_refused("token_expired");
        visitor.refresh().await.has_status(401).is_refused("session_expired");
    }
    after_restart
        .at(&site.restarted().await)
        .get("/profile")
        .await
        .has_status(401)
        .is_refused("session_expired");
}

#[tokio::test]
async fn k12_an_admin_signs_in_anew_after_twelve_hours() {
    let site = Site::new().await;
    let bearer = site.admin("ada").await;
    let session = site.logged_in_by("ada", Mode::Session).await;
    for _ in 0..12 {
        session.get("/admin/users").await.is_ok();
        bearer.refresh().await.is_ok();
        bearer.get("/admin/users").await.is_ok();
        site.later(Duration::from_secs(3_600)).await;
    }
    session.get("/admin/users").await.has_status(401);
    session.get("/profile").await.has_status(401);
    bearer.get("/admin/users").await.has_status(401);
    bearer.refresh().await.has_status(401).is_refused("session_expired");
}

#[tokio::test]
async fn k12_the_idle_end_is_exact_and_survives_a_restart() {
    let site = Site::new().await;
    let visitor = site.logged_in_by("lin", Mode::Session).await;
    site.clock.advance(7 * DAY - MOMENT);
    visitor.get("/profile").await.is_ok();
    // Used a moment ago: seven days more.
    site.clock.advance(7 * DAY - MOMENT);
    visitor.get("/profile").await.is_ok();
    let restarted = site.restarted().await;
    let there = visitor.at(&restarted);
    site.clock.advance(7 * DAY);
    visitor.get("/profile").await.has_status(401).is_refused("session_expired");
    there.get("/profile").await.has_status(401).is_refused("session_expired");
}

#[tokio::test]
async fn k12_a_clock_that_jumps_moves_no_absolute_end() {
    let site = Site::new().await;
    let session = site.logged_in_by("lin", Mode::Session).await;
    let bearer = site.logged_in_by("lin", Mode::Bearer).await;
    for _ in 0..18 {
        site.later(5 * DAY - Duration::from_secs(1)).await;
        site.clock.turn_back(DAY);
        session.get("/profile").await.is_ok();
        bearer.refresh().await.is_ok();
        site.later(DAY).await;
        session.get("/profile").await.is_ok();
        bearer.refresh().await.is_ok();
    }
    site.later(Duration::from_secs(18)).await;
    session.get("/profile").await.has_status(401).is_refused("session_expired");
    bearer.refresh().await.has_status(401).is_refused("session_expired");
}

#[tokio::test]
async fn k13_what_memory_holds_of_a_session_changes_with_the_user() {
    let target = Target::new().await;
    let other_node = target.site.restarted().await;
    for change in ["promoted", "disabled", "deleted", "reset", "logged out", "logged out by an admin"] {
        let name = change.replace(' ', "-");
        let visitor = target.site.logged_in_by(&name, Mode::Session).await;
        let (here, there) = (visitor.copy(), visitor.at(&other_node));
        let user = format!("/admin/users/{}", visitor.user_id().await);
        for node in [&here, &there] {
            node.get("/profile").await.is_ok();
            node.get("/admin/users").await.has_status(403);
        }
        match change {
            "promoted" => target.admin.patch(&user, json!({ "role": "admin" })).await.is_ok(),
            "disabled" => target.admin.patch(&user, json!({ "disabled": true })).await.is_ok(),
            "deleted" => target.admin.delete(&user, Value::Null).await.is_ok(),
            "logged out" => visitor.post("/logout", Value::Null).await.is_ok(),
            "logged out by an admin" => {
                target.admin.delete(&format!("{user}/sessions"), Value::Null).await.is_ok()
            }
            _ => {
                let link = target.admin.post(&format!("{user}/reset-link"), Value::Null).await.is_ok();
                let token = link["url"].as_str().unwrap().split_once("token=").unwrap().1.to_owned();
                let body = json!({ "token": token, "new_password": "another promise of a door" });
                target.site.visitor().post("/password/reset", body).await.is_ok()
            }
        };
        // At once where it happened; elsewhere once that node has read the table, four times a second.
        for (node, at) in [(&here, &target.site), (&there, &other_node)] {
            at.app.follow().await.unwrap();
            if change == "promoted" {
                node.get("/admin/users").await.is_ok();
                assert_eq!(node.get("/profile").await.is_ok()["user"]["role"], "admin");
            } else {
                for path in ["/profile", "/dashboard", "/sessions", "/admin/users"] {
                    // A copy, because this answer takes the cookie away. If the row is gone too, nobody knows what the
                    // secret was.
                    let answer = node.copy().get(path).await;
                    let codes = ["session_ended", "token_invalid"];
                    let known = if change == "deleted" { &codes[..] } else { &codes[..1] };
                    assert_eq!(answer.status, 401, "{change} {path}");
                    assert!(known.iter().any(|code| answer.json()["code"] == *code), "{change} {path}");
                }
            }
        }
    }
}

#[tokio::test]
async fn k13_a_demoted_admin_is_one_no_more() {
    let target = Target::new().await;
    let other_node = target.site.restarted().await;
    for mode in [Mode::Bearer, Mode::Cookie, Mode::Session] {
        let name = format!("was-admin-{mode}");
        target.site.user(&name, doorward_core::role::RoleName::ADMIN).await;
        let visitor = target.site.logged_in_by(&name, mode).await;
        let there = visitor.at(&other_node);
        for node in [&visitor, &there] {
            node.get("/admin/users").await.is_ok();
        }
        let user = format!("/admin/users/{}", visitor.user_id().await);
        target.admin.patch(&user, json!({ "role": "user" })).await.is_ok();
        // Admin routes ask the store, on every node: even before it followed anything.
        for node in [&there, &visitor] {
            let status = node.get("/admin/users").await.status.as_u16();
            assert!(
                if mode == Mode::Session { status == 403 } else { [401, 403].contains(&status) },
                "{mode} {status}"
            );
        }
    }
}

#[tokio::test]
async fn k14_what_is_remembered_is_found_by_the_whole_credential() {
    // ES256 tokens are remembered once verified; session secrets once looked up.
    let target = Target::new().await;
    let session = target.site.logged_in_by("lin", Mode::Session).await;
    let (token, secret) = (target.admin.token().unwrap(), session.cookie(SESSION).unwrap());
    let warm = async || {
        target.admin.get("/admin/users").await.is_ok();
        target.user.get("/profile").await.is_ok();
        session.get("/profile").await.is_ok();
    };
    warm().await;
    let other = target.user.token().unwrap();
    let half = token.len() / 2;
    let swapped =
        token.chars().map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() });
    let mut near = vec![
        swapped.collect::<String>(),
        token.to_lowercase(),
        token[..token.len() - 1].to_owned(),
        token[1..].to_owned(),
        format!("{token}{other}"),
        format!("{token}:{other}"),
        format!("{token},{other}"),
        format!("{token}|{other}"),
        format!("{}{}", &token[..half], &other[other.len() - (token.len() - half)..]),
        format!("{token}{}", "A".repeat(1_024)),
    ];
    near.extend((0..token.len()).step_by(37).map(|at| {
        let other = if &token[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &token[..at], &token[at + 1..])
    }));
    for near in near {
        target.refuses(near).await;
    }
    let bytes = decode(&secret);
    let mut near = vec![
        secret.to_lowercase(),
        secret.to_uppercase(),
        format!("{secret}{secret}"),
        secret[1..].to_owned(),
    ];
    near.extend((0..32).map(|at| {
        let mut altered = bytes.clone();
        altered[at] ^= 0x80;
        encode(altered)
    }));
    for near in near {
        target.refuses_header("token_invalid", "cookie", format!("{SESSION}={near}").as_bytes()).await;
    }
    warm().await;
    // Two users in one cache, in turn, are always themselves.
    for _ in 0..3 {
        for (visitor, name) in [(&target.admin, "ada"), (&session, "lin"), (&target.user, "grace")] {
            assert_eq!(name_of(visitor).await, name);
        }
    }
}

/// The session is read for the first time, and its user gets another role before the store's answer arrives.
#[tokio::test]
async fn k12_a_promotion_during_the_first_look_shortens_the_session_in_memory_too() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let path = format!("/admin/users/{}", site.logged_in("ada").await.user_id().await);
    let node = site.restarted().await;
    let (admin, ada) = (admin.at(&node), ada.at(&node));
    let faults = node.app.store.faults();
    faults.arm(Fault::AnswerIsHeld, 0);
    let first_look = ada.get("/profile");
    let promotion = async {
        faults.reached().await;
        admin.patch(&path, serde_json::json!({ "role": "admin" })).await.has_status(200);
        faults.release();
    };
    let (answer, ()) = tokio::join!(first_look, promotion);
    assert_eq!(answer.is_ok()["user"]["role"], "admin");
    node.later(Duration::from_secs(12 * 3600)).await;
    ada.get("/profile").await.has_status(401).is_refused("session_expired");
}
