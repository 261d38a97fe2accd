//! A session shows the address and the device of its last use to its owner and to admins, even if that was a thief.

use std::time::Duration;

use axum::body::Body;
use doorward::internals::store::Value as Id;
use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::role::RoleName;
use doorward_core::{Mode, SessionId, Timestamp};
use http::{Method, header};
use serde_json::{Value, json};

use crate::reading::{one, rows, session, session_of};

const SECOND: Duration = Duration::from_secs(1);
const LAPTOP: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
     Version/18.5 Mobile/15E148 Safari/604.1";
const ROW: &str = "SELECT ip, user_agent FROM sessions WHERE id = $1";

async fn send(visitor: &Visitor, method: Method, path: &str, agent: &str, body: Value) -> Answer {
    let mut request = visitor.request(method, path);
    if !agent.is_empty() {
        request = request.header(header::USER_AGENT, agent.as_bytes());
    }
    match body {
        Value::Null => visitor.send(request, Body::empty()).await,
        body => {
            visitor.send(request.header(header::CONTENT_TYPE, "application/json"), body.to_string()).await
        }
    }
}

/// Signs in on the laptop, from 192.0.2.1.
async fn on_the_laptop(site: &Site, mode: Mode) -> Visitor {
    let visitor = site.visitor();
    let body = json!({ "email": "ada@example.org", "password": PASSWORD, "mode": mode.as_str() });
    send(&visitor, Method::POST, "/login", LAPTOP, body).await.is_ok();
    visitor
}

/// Uses the credential so that the server notices it: tokens are exchanged.
async fn uses(visitor: &Visitor, mode: Mode, agent: &str) {
    match mode {
        Mode::Session => send(visitor, Method::GET, "/profile", agent, Value::Null).await.is_ok(),
        Mode::Cookie => send(visitor, Method::POST, "/refresh", agent, Value::Null).await.is_ok(),
        Mode::Bearer => {
            let body = json!({ "refresh_token": visitor.refresh_token().unwrap() });
            send(visitor, Method::POST, "/refresh", agent, body).await.is_ok()
        }
        _ => panic!("how is {mode} used?"),
    };
}

/// The id of the only session. Asking as the visitor would be a use.
async fn only_session(site: &Site) -> Id {
    one::<SessionId>(site, "SELECT id FROM sessions", vec![]).await.into()
}

/// Address and user agent of the one session with this id, among those in the answer.
fn listed(answer: &Answer, id: &str) -> (String, String) {
    let sessions = answer.is_ok();
    let found = sessions["sessions"].as_array().unwrap().iter().find(|session| session["id"] == id).unwrap();
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (text("ip"), text("user_agent"))
}

/// The content of the row, once it is this, or after a long wait.
async fn row(site: &Site, session: &Id, wanted: (&str, &str)) -> (String, String) {
    let mut found = (String::new(), String::new());
    for _ in 0..100_000 {
        let row = rows(site, ROW, vec![session.clone()]).await.remove(0);
        found =
            (row.get("ip").unwrap(), row.get::<Option<String>>("user_agent").unwrap().unwrap_or_default());
        if found == (wanted.0.to_owned(), wanted.1.to_owned()) {
            break;
        }
        tokio::task::yield_now().await;
    }
    found
}

fn is(ip: &str, agent: &str) -> (String, String) {
    (ip.to_owned(), agent.to_owned())
}

#[tokio::test]
async fn a_session_shows_the_address_and_device_of_its_last_use() {
    for mode in Mode::ALL {
        let site = Site::new().await;
        let (admin, tablet) = (site.admin("root").await, site.logged_in("ada").await);
        let (user, laptop) = (tablet.user_id().await, on_the_laptop(&site, mode).await);
        let id = laptop.session_id().await;
        site.clock.advance(10 * SECOND);
        let moved = laptop.copy().from([198, 51, 100, 7]);
        uses(&moved, mode, PHONE).await;

        let now = is("198.51.100.7", PHONE);
        assert_eq!(listed(&tablet.get("/sessions").await, &id), now, "{mode}");
        assert_eq!(listed(&admin.get("/admin/sessions").await, &id), now, "{mode}");
        let path = format!("/admin/users/{user}");
        assert_eq!(listed(&admin.get(&format!("{path}/sessions")).await, &id), now, "{mode}");
        for (who, page) in [(&tablet, "/dashboard"), (&admin, "/admin/sessions"), (&admin, &path)] {
            let page = who.page(page).await.text();
            assert!(page.contains("198.51.100.7") && page.contains("Safari on iPhone"), "{mode}: {page}");
            assert!(!page.contains("Firefox on Linux"), "{mode}: {page}");
        }
        // The sign-in stays what it was.
        let entry = "SELECT ip FROM audit WHERE action = 'login' AND session_id = $1";
        assert_eq!(one::<String>(&site, entry, vec![session(&id)]).await, "192.0.2.1", "{mode}");
        // It is in the store, and comes back from there.
        let restarted = site.restarted().await;
        assert_eq!(listed(&tablet.at(&restarted).get("/sessions").await, &id), now, "{mode}");
        site.clock.advance(10 * SECOND);
        uses(&moved.at(&restarted).from([192, 0, 2, 1]), mode, "").await;
        assert_eq!(listed(&tablet.at(&restarted).get("/sessions").await, &id), is("192.0.2.1", ""), "{mode}");
    }
}

#[tokio::test]
async fn a_use_from_elsewhere_is_written_at_once_and_then_once_a_minute_at_most() {
    let site = Site::new().await;
    site.user("ada", RoleName::USER).await;
    let laptop = on_the_laptop(&site, Mode::Session).await;
    send(&laptop, Method::GET, "/profile", LAPTOP, Value::Null).await.is_ok();
    let session = only_session(&site).await;
    site.clock.advance(SECOND);
    let thief = laptop.copy().from([203, 0, 113, 9]);
    send(&thief, Method::GET, "/profile", "curl/8.14.1", Value::Null).await.is_ok();
    let thiefs = ("203.0.113.9", "curl/8.14.1");
    assert_eq!(row(&site, &session, thiefs).await, is(thiefs.0, thiefs.1));

    // Back and forth within the same minute.
    for _ in 0..25 {
        site.clock.advance(SECOND);
        send(&laptop, Method::GET, "/profile", LAPTOP, Value::Null).await.is_ok();
        site.clock.advance(SECOND);
        send(&thief, Method::GET, "/profile", PHONE, Value::Null).await.is_ok();
    }
    let seen = "SELECT last_seen_at FROM sessions WHERE id = $1";
    let written = one::<Timestamp>(&site, seen, vec![session.clone()]).await;
    assert_eq!(site.app.now().since(written), 50 * SECOND);
    assert_eq!(row(&site, &session, thiefs).await, is(thiefs.0, thiefs.1));
    // No more uses: the sweep writes the rest.
    site.later(60 * SECOND).await;
    assert_eq!(row(&site, &session, ("203.0.113.9", PHONE)).await, is("203.0.113.9", PHONE));
    let written = one::<Timestamp>(&site, seen, vec![session]).await;
    assert_eq!(site.app.now().since(written), 60 * SECOND);
}

#[tokio::test]
async fn every_written_use_says_where_whatever_another_process_wrote() {
    let site = Site::new().await;
    site.user("ada", RoleName::USER).await;
    let laptop = on_the_laptop(&site, Mode::Session).await;
    uses(&laptop, Mode::Session, LAPTOP).await;
    let session = only_session(&site).await;
    let other = site.restarted().await;
    site.clock.advance(SECOND);
    uses(&laptop.at(&other).from([203, 0, 113, 9]), Mode::Session, PHONE).await;
    assert_eq!(row(&site, &session, ("203.0.113.9", PHONE)).await, is("203.0.113.9", PHONE));
    // To this process nothing has changed.
    site.clock.advance(60 * SECOND);
    uses(&laptop, Mode::Session, LAPTOP).await;
    assert_eq!(row(&site, &session, ("192.0.2.1", LAPTOP)).await, is("192.0.2.1", LAPTOP));
}

#[tokio::test]
async fn a_new_password_and_a_second_tab_are_uses_too() {
    for mode in Mode::ALL {
        let site = Site::new().await;
        let tablet = site.logged_in("ada").await;
        let laptop = on_the_laptop(&site, mode).await;
        let id = laptop.session_id().await;
        if mode != Mode::Session {
            let second = laptop.copy();
            uses(&laptop, mode, LAPTOP).await;
            site.clock.advance(SECOND);
            uses(&second.from([198, 51, 100, 7]), mode, PHONE).await;
            let now = is("198.51.100.7", PHONE);
            assert_eq!(listed(&tablet.get("/sessions").await, &id), now, "{mode}");
        }
        site.clock.advance(SECOND);
        let moved = laptop.copy().from([203, 0, 113, 9]);
        let body = json!({ "current_password": PASSWORD, "new_password": "another door, another promise" });
        send(&moved, Method::POST, "/profile/password", PHONE, body).await.is_ok();
        assert_eq!(listed(&moved.get("/sessions").await, &id).0, "203.0.113.9", "{mode}");
        let row = rows(&site, ROW, vec![session_of(&moved).await]).await.remove(0);
        assert_eq!(row.get::<String>("ip").unwrap(), "203.0.113.9", "{mode}");
    }
}

#[tokio::test]
async fn what_is_behind_a_proxy_counts_and_a_made_up_address_does_not() {
    let site = Site::with(&[
        ("public_url", "https://accounts.example.com"),
        ("cookie.domain", "example.com"),
        ("forward_auth.hosts", "app.example.com"),
        ("trusted_proxies", "10.0.0.0/8"),
    ])
    .await;
    let tablet = site.logged_in("ada").await;
    let laptop = site.logged_in_by("ada", Mode::Session).await;
    let id = laptop.session_id().await;
    for (peer, forwarded, expected) in [
        ([10, 0, 0, 1], "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ([203, 0, 113, 10], "198.51.100.1", "203.0.113.10"),
    ] {
        site.clock.advance(SECOND);
        let through = laptop.copy().from(peer);
        let request = through.request(Method::GET, "/profile").header("x-forwarded-for", forwarded);
        through.send(request, Body::empty()).await.is_ok();
        assert_eq!(listed(&tablet.get("/sessions").await, &id).0, expected);
    }
    // An application behind the proxy.
    let mut request = laptop.request(Method::GET, "/forward-auth").header("x-forwarded-for", "203.0.113.11");
    for (name, value) in [("proto", "https"), ("host", "app.example.com"), ("uri", "/"), ("method", "GET")] {
        request = request.header(format!("x-forwarded-{name}"), value);
    }
    laptop.copy().from([10, 0, 0, 1]).send(request, Body::empty()).await.has_status(200);
    assert_eq!(listed(&tablet.get("/sessions").await, &id).0, "203.0.113.11");
}

#[tokio::test]
async fn a_program_that_asks_about_a_session_does_not_use_it_from_its_own_address() {
    let site = Site::new().await;
    let (tablet, client) = (site.logged_in("ada").await, site.client().await);
    let laptop = on_the_laptop(&site, Mode::Session).await;
    uses(&laptop, Mode::Session, LAPTOP).await;
    let secret = laptop.cookie("__Host-sessionId").unwrap();
    site.clock.advance(120 * SECOND);
    let shop = site.visitor().from([203, 0, 113, 9]);
    for cookie in [None, Some(format!("__Host-sessionId={secret}"))] {
        let mut request = shop.request(Method::POST, "/introspect").header(header::AUTHORIZATION, &client);
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        assert_eq!(shop.send(request, format!("token={secret}")).await.is_ok()["active"], true);
    }
    site.restarted().await;
    let sessions = tablet.get("/sessions").await.is_ok();
    let one = sessions["sessions"].as_array().unwrap().iter().find(|one| one["mode"] == "session").unwrap();
    assert_eq!((&one["ip"], &one["user_agent"]), (&json!("192.0.2.1"), &json!(LAPTOP)));
}

#[tokio::test]
async fn what_a_user_agent_says_later_is_cut_and_cleaned_too() {
    let site = Site::new().await;
    let tablet = site.logged_in("ada").await;
    for mode in Mode::ALL {
        let laptop = on_the_laptop(&site, mode).await;
        let id = laptop.session_id().await;
        site.clock.advance(SECOND);
        let long = "\u{e9}".repeat(5_000);
        uses(&laptop, mode, &format!("a\tb{long}")).await;
        let expected = format!("ab{}", "\u{e9}".repeat(199));
        assert_eq!(listed(&tablet.get("/sessions").await, &id).1, expected, "{mode}");
    }
}

#[tokio::test]
async fn a_use_from_elsewhere_that_is_written_late_changes_no_ended_session() {
    let site = Site::new().await;
    site.user("ada", RoleName::USER).await;
    let laptop = on_the_laptop(&site, Mode::Session).await;
    let session = only_session(&site).await;
    site.clock.advance(SECOND);
    uses(&laptop.copy().from([198, 51, 100, 7]), Mode::Session, PHONE).await;
    assert_eq!(row(&site, &session, ("198.51.100.7", PHONE)).await, is("198.51.100.7", PHONE));
    site.clock.advance(SECOND);
    // Remembered, and not written yet.
    uses(&laptop.copy().from([203, 0, 113, 9]), Mode::Session, LAPTOP).await;
    laptop.post("/logout", Value::Null).await.is_ok();

    site.app.sessions.memory.flush().await.unwrap();

    assert_eq!(row(&site, &session, ("203.0.113.9", LAPTOP)).await, is("198.51.100.7", PHONE));
}
