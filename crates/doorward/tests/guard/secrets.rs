//! Session secrets, about which the guard asks the server.

use std::net::SocketAddr;
use std::time::Duration;

use doorward::internals::accounts::Actor;
use doorward::testing::{PASSWORD, Site, Visitor};
use doorward_core::name::DisplayName;
use doorward_core::role::RoleName;
use doorward_core::token::Algorithm;
use doorward_core::{Mode, OpaqueSecret};
use doorward_guard::{Denied, Guard};
use http::{HeaderMap, HeaderName};
use serde_json::json;

use crate::way::Way;
use crate::{eventually, following, server, told, verdict_of};

const ASKS: &str = "POST /introspect";

/// A guard that is a registered client.
async fn guard(site: &Site, address: SocketAddr) -> Guard {
    let name = DisplayName::parse("Shop").unwrap();
    let (id, secret) = site.app.clients.create(&name, &Actor::CommandLine).await.unwrap();
    told(site, address).client(id.to_string(), secret.as_str()).build().await.unwrap()
}

fn cookie(visitor: &Visitor) -> String {
    format!("__Host-sessionId={}", visitor.cookie("__Host-sessionId").unwrap())
}

async fn verdict_on(guard: &Guard, visitor: &Visitor) -> &'static str {
    verdict_of(guard, "cookie", &cookie(visitor)).await
}

#[tokio::test]
async fn a_session_secret_is_good_at_a_client_until_its_session_ends() {
    let (site, address) = server().await;
    let way = Way::to(address).await;
    let guard = guard(&site, way.address).await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let asked = (0..50).map(|_| {
        let (guard, cookie) = (guard.clone(), cookie(&ada));
        tokio::spawn(async move { verdict_of(&guard, "cookie", &cookie).await })
    });
    for answer in asked.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), "ok");
    }
    assert_eq!(way.count(ASKS), 1, "many checks at once make one question");
    ada.post("/logout", json!({})).await.is_ok();
    // Because of the feed, and not when the remembered answer expires.
    eventually("the logout", async || guard.health().revocations == 1).await;
    assert_eq!(way.count(ASKS), 1);
}

#[tokio::test]
async fn a_check_without_waiting_tells_all_but_what_only_the_server_knows() {
    let (site, address) = server().await;
    let guard = guard(&site, address).await;
    let (ada, bob) = (site.logged_in_by("ada", Mode::Session).await, site.logged_in("bob").await);
    let without_waiting = |name: &'static str, value: &str| {
        let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())]);
        let checked = guard.check_in_memory(&headers)?;
        Some(checked.map_or_else(|refusal| Denied::Refused(refusal).code(), |_| "ok"))
    };
    let bearer = format!("Bearer {}", bob.token().unwrap());
    assert_eq!(without_waiting("authorization", &bearer), Some("ok"));
    assert_eq!(
        without_waiting("authorization", bearer.trim_end_matches(char::is_alphanumeric)),
        Some("token_invalid")
    );
    assert_eq!(without_waiting("x-nothing", "1"), Some("token_missing"));
    assert_eq!(without_waiting("cookie", "__Host-sessionId=short"), Some("token_invalid"));
    site.app.keys.replace(Algorithm::Es256, site.clock.now()).await.unwrap();
    bob.refresh().await.is_ok();
    let of_new_key = format!("Bearer {}", bob.token().unwrap());
    let cookie_of_ada = cookie(&ada);
    for (name, value) in [("authorization", of_new_key), ("cookie", cookie_of_ada.clone())] {
        assert_eq!(without_waiting(name, &value), None, "{name}");
        assert_eq!(verdict_of(&guard, name, &value).await, "ok");
        assert_eq!(without_waiting(name, &value), Some("ok"));
    }
    ada.post("/logout", json!({})).await.is_ok();
    eventually("the logout", async || without_waiting("cookie", &cookie_of_ada) == Some("session_ended"))
        .await;
}

#[tokio::test]
async fn an_ended_session_is_refused_though_its_secret_is_remembered() {
    let (site, address) = server().await;
    let guard = guard(&site, address).await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let sent = cookie(&ada);
    assert_eq!(verdict_of(&guard, "cookie", &sent).await, "ok");
    ada.post("/logout", json!({})).await.is_ok();
    eventually("the logout", async || verdict_of(&guard, "cookie", &sent).await == "session_ended").await;
}

#[tokio::test]
async fn k05_a_malformed_secret_asks_nobody_and_guesses_ask_once_each() {
    let (site, address) = server().await;
    let way = Way::to(address).await;
    let guard = guard(&site, way.address).await;
    for malformed in ["", "malformed", &"A".repeat(42), &"A".repeat(44), "%00"] {
        let sent = format!("__Host-sessionId={malformed}");
        assert_eq!(verdict_of(&guard, "cookie", &sent).await, "token_invalid");
    }
    assert_eq!(way.count(ASKS), 0);
    let guess = format!("__Host-sessionId={}", OpaqueSecret::new([7; 32]).to_text().as_str());
    for _ in 0..3 {
        assert_eq!(verdict_of(&guard, "cookie", &guess).await, "token_invalid");
    }
    assert_eq!(way.count(ASKS), 1);
}

#[tokio::test]
async fn a_changed_role_counts_at_once_in_a_remembered_session() {
    let (site, address) = server().await;
    let guard = guard(&site, address).await;
    let (admin, ada) = (site.admin("root").await, site.logged_in_by("ada", Mode::Session).await);
    let headers: HeaderMap = [(http::header::COOKIE, cookie(&ada).parse().unwrap())].into_iter().collect();
    assert_eq!(guard.check(&headers).await.unwrap().role, RoleName::USER);
    let path = format!("/admin/users/{}", ada.user_id().await);
    admin.patch(&path, json!({ "role": "admin" })).await.is_ok();
    let role = async || guard.check(&headers).await.unwrap().role;
    eventually("the new role", async || role().await == RoleName::ADMIN).await;
}

#[tokio::test]
async fn of_the_sessions_of_a_user_a_guard_keeps_the_one_that_ended_the_others() {
    let (site, address) = server().await;
    let way = Way::to(address).await;
    let guard = guard(&site, way.address).await;
    let (here, there) =
        (site.logged_in_by("ada", Mode::Session).await, site.logged_in_by("ada", Mode::Session).await);
    assert_eq!((verdict_on(&guard, &here).await, verdict_on(&guard, &there).await), ("ok", "ok"));
    here.delete("/sessions", json!({})).await.is_ok();
    eventually("the end", async || verdict_on(&guard, &there).await == "session_ended").await;
    assert_eq!(verdict_on(&guard, &here).await, "ok");
    // Both were asked about again, once.
    let asked = way.count(ASKS);
    assert_eq!((verdict_on(&guard, &here).await, verdict_on(&guard, &there).await), ("ok", "session_ended"));
    assert_eq!(way.count(ASKS), asked);
}

/// The server without its database, as a guard sees it.
async fn a_server_that_fails() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(async || http::StatusCode::SERVICE_UNAVAILABLE);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn a_session_that_was_good_stays_so_while_its_server_cannot_be_asked() {
    let (site, address) = server().await;
    let way = Way::to(address).await;
    let guard = guard(&site, way.address).await;
    let (ada, gone) =
        (site.logged_in_by("ada", Mode::Session).await, site.logged_in_by("gone", Mode::Session).await);
    assert_eq!((verdict_on(&guard, &ada).await, verdict_on(&guard, &gone).await), ("ok", "ok"));
    let sent = cookie(&gone);
    gone.post("/logout", json!({})).await.is_ok();
    eventually("the logout", async || verdict_of(&guard, "cookie", &sent).await == "session_ended").await;
    way.lead_to(a_server_that_fails().await);
    let asked = way.count(ASKS);
    eventually("it asks in vain", async || {
        let checks = (0..4).map(|_| {
            let (guard, cookie) = (guard.clone(), cookie(&ada));
            tokio::spawn(async move { verdict_of(&guard, "cookie", &cookie).await })
        });
        for check in checks.collect::<Vec<_>>() {
            assert_eq!(check.await.unwrap(), "ok");
        }
        way.count(ASKS) > asked
    })
    .await;
    assert_eq!(verdict_on(&guard, &ada).await, "ok");
    assert_eq!(verdict_of(&guard, "cookie", &sent).await, "session_ended");
}

#[tokio::test]
async fn a_session_that_cannot_be_asked_about_is_our_own_failure_and_no_client_asks_about_none() {
    let (site, address) = server().await;
    let way = Way::to(address).await;
    let guard = guard(&site, way.address).await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    way.cut();
    assert_eq!(verdict_on(&guard, &ada).await, "unavailable");
    let no_client = following(&site, address).build().await.unwrap();
    assert_eq!(verdict_on(&no_client, &ada).await, "token_invalid");
}

#[tokio::test]
async fn x03_a_guard_asks_once_about_all_secrets_of_a_request() {
    let (site, address) = server().await;
    let way = Way::to(address).await;
    let guard = guard(&site, way.address).await;
    let (ada, bob) =
        (site.logged_in_by("ada", Mode::Session).await, site.logged_in_by("bob", Mode::Session).await);
    let made_up = (0..63u8).map(|n| format!("__Host-sessionId={}; ", *OpaqueSecret::new([n; 32]).to_text()));
    let decoys = made_up.collect::<String>();
    let line = format!("{decoys}{}", cookie(&ada));
    for _ in 0..3 {
        assert_eq!(verdict_of(&guard, "cookie", &line).await, "ok");
    }
    assert_eq!(way.count(ASKS), 1, "what was said of them is remembered");
    // Of these one is known, and one is looked up.
    assert_eq!(
        verdict_of(&guard, "cookie", &format!("{}; {}", cookie(&ada), cookie(&bob))).await,
        "ambiguous_cookies"
    );
    assert_eq!(way.count(ASKS), 2);
    let too_many = format!("{decoys}{}; {}", cookie(&ada), cookie(&bob));
    assert_eq!(verdict_of(&guard, "cookie", &too_many).await, "too_many_cookies");
    assert_eq!(way.count(ASKS), 2);
}

#[tokio::test]
async fn x08_a_copy_is_out_at_a_guard_once_the_feed_tells_of_the_new_password() {
    let (site, address) = server().await;
    let guard = guard(&site, address).await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let copy = ada.copy();
    assert_eq!(verdict_on(&guard, &copy).await, "ok");
    let passwords = json!({ "current_password": doorward::testing::PASSWORD, "new_password": "another door, another key" });
    ada.post("/profile/password", passwords).await.is_ok();
    // As the server says for a minute, so that a request in flight is repeated.
    eventually("the copy is out", async || verdict_on(&guard, &copy).await == "token_stale").await;
    assert_eq!(verdict_on(&guard, &ada).await, "ok");
    let both = format!("{}; {}", cookie(&copy), cookie(&ada));
    assert_eq!(verdict_of(&guard, "cookie", &both).await, "ok");
}

/// Also for a secret that it looks up for the first time.
#[tokio::test]
async fn a_guard_refuses_a_session_secret_for_the_reason_that_the_server_has() {
    let (site, address) = server().await;
    let (ended, over, renewed) = (
        site.logged_in_by("ada", Mode::Session).await,
        site.logged_in_by("bob", Mode::Session).await,
        site.logged_in_by("eve", Mode::Session).await,
    );
    let stale = renewed.copy();
    ended.copy().post("/logout", json!({})).await.is_ok();
    over.copy().post("/profile/delete", json!({ "password": PASSWORD })).await.is_ok();
    let passwords = json!({ "current_password": PASSWORD, "new_password": "another door, another key" });
    renewed.post("/profile/password", passwords).await.is_ok();
    let told = guard(&site, address).await;
    for (visitor, expected) in [(&ended, "session_ended"), (&over, "session_ended"), (&stale, "token_stale")]
    {
        for _ in 0..2 {
            assert_eq!(verdict_on(&told, visitor).await, expected);
        }
        visitor.get("/profile").await.is_refused(expected);
    }
    // A minute later it is unknown.
    site.clock.advance(Duration::from_secs(61));
    assert_eq!(verdict_on(&guard(&site, address).await, &stale).await, "token_invalid");
    stale.get("/profile").await.is_refused("token_invalid");
}
