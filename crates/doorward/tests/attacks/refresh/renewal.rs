//! A password change renews its session: copies stop working, and the owner stays signed in, whatever is in flight
//! (X08, X25).

use std::sync::Arc;
use std::time::Duration;

use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::Mode;
use http::{Method, header};
use serde_json::{Value, json};

const NEW: &str = "another door, another key";
const MINUTE: Duration = Duration::from_secs(61);

async fn change(visitor: &Visitor, from: &str, to: &str) -> Answer {
    visitor.post("/profile/password", json!({ "current_password": from, "new_password": to })).await
}

/// Refused, and no cookie is cleared.
#[track_caller]
fn refused(answer: &Answer, code: &str) {
    answer.has_status(401).is_refused(code);
    assert!(answer.set_cookies().is_empty(), "{:?}", answer.set_cookies());
}

#[tokio::test]
async fn x08_a_password_change_keeps_its_session_and_shuts_copies_out() {
    let site = Site::new().await;
    for mode in Mode::ALL {
        let name = mode.as_str();
        let (ada, phone) = (site.logged_in_by(name, mode).await, site.logged_in(name).await);
        let (id, thief) = (ada.session_id().await, ada.copy());
        thief.get("/profile").await.is_ok();
        let answer = change(&ada, PASSWORD, NEW).await;
        let body = answer.is_ok();
        assert_eq!((&body["message"], &body["sessions"]), (&json!("Password changed"), &json!(1)));
        assert_eq!(body["token"].is_string(), mode == Mode::Bearer);
        assert_eq!(answer.set_cookies().is_empty(), mode == Mode::Bearer);
        assert_eq!(ada.session_id().await, id);
        phone.ended_with_others().await;
        // A copy of the access token is as stale as one from before a new role.
        refused(&thief.get("/profile").await, "token_stale");

        for wait in [Duration::ZERO, MINUTE] {
            site.later(wait).await;
            let code = |stale, gone| if wait.is_zero() { stale } else { gone };
            if mode == Mode::Session {
                refused(&thief.get("/profile").await, code("token_stale", "token_invalid"));
                assert!(thief.page("/dashboard").await.has_status(303).set_cookies().is_empty());
                let elsewhere = thief.at(&site.restarted().await);
                refused(&elsewhere.get("/profile").await, code("token_stale", "token_invalid"));
            } else {
                for _ in 0..3 {
                    refused(&thief.copy().refresh().await, code("token_stale", "refresh_invalid"));
                }
                ada.refresh().await.is_ok();
            }
            assert_eq!(ada.session_id().await, id);
        }
        // Once more, within the same minute: each of them is refused.
        let (first, copy) = (ada.copy(), ada.copy());
        change(&ada, NEW, PASSWORD).await.is_ok();
        let second = ada.copy();
        change(&ada, PASSWORD, NEW).await.is_ok();
        for old in [first, second] {
            let answer = if mode == Mode::Session { old.get("/profile").await } else { old.refresh().await };
            refused(&answer, "token_stale");
        }
        ada.get("/profile").await.is_ok();
        drop(copy);
    }
}

#[tokio::test]
async fn x08_a_copy_that_memory_knows_is_out_on_another_node_too() {
    let site = Site::new().await;
    let other = site.restarted().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let thief = ada.at(&other);
    thief.get("/profile").await.is_ok();
    change(&ada, PASSWORD, NEW).await.is_ok();
    other.app.follow().await.unwrap();
    refused(&thief.get("/profile").await, "token_stale");
    ada.at(&other).get("/profile").await.is_ok();
    other.later(MINUTE).await;
    refused(&thief.get("/profile").await, "token_invalid");
    ada.at(&other).get("/profile").await.is_ok();
}

#[tokio::test]
async fn x08_a_form_hands_the_new_cookie_out_with_the_way_on() {
    let site = Site::new().await;
    for mode in [Mode::Session, Mode::Cookie] {
        let ada = site.logged_in_by(mode.as_str(), mode).await;
        let tab = ada.copy();
        let fields = [("current_password", PASSWORD), ("new_password", NEW)];
        let answer = ada.form("/profile/password", &fields).await;
        answer.goes_to("/dashboard?done=password-changed");
        assert!(answer.set_cookies().iter().any(|line| !line.contains("Max-Age=0")));
        ada.page("/dashboard").await.has_status(200);
        if mode == Mode::Session {
            // A page in flight is redirected to the login, which gets the new cookie by then.
            let page = tab.page("/dashboard").await;
            page.goes_to("/refresh?return_to=%2Fdashboard");
            ada.page("/refresh?return_to=%2Fdashboard").await.goes_to("/dashboard");
            tab.page("/refresh?return_to=%2Fdashboard").await.goes_to("/login?return_to=%2Fdashboard");
            tab.page("/login?return_to=%2Fdashboard").await.has_status(200);
        }
    }
}

#[tokio::test]
async fn x08_a_logout_in_flight_ends_the_session_all_the_same() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let tab = ada.copy();
    change(&ada, PASSWORD, NEW).await.is_ok();
    tab.post("/logout", Value::Null).await.is_ok();
    ada.get("/profile").await.is_refused("session_ended");
    let grace = site.logged_in_by("grace", Mode::Session).await;
    let thief = grace.copy();
    change(&grace, PASSWORD, NEW).await.is_ok();
    site.later(MINUTE).await;
    thief.post("/logout", Value::Null).await.is_ok();
    grace.get("/profile").await.is_ok();
}

/// A request with the browser's current cookies, to be sent later.
fn prepared(tab: &Visitor, method: Method, path: &str) -> (Visitor, http::request::Builder) {
    let request = tab.request(method, path).header(header::CONTENT_TYPE, "application/json");
    (tab.copy(), request)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn x25_fifty_requests_and_a_refresh_in_flight_in_two_tabs_sign_nobody_out() {
    let site = Arc::new(Site::with(&[("throttle.enabled", "false")]).await);
    for mode in [Mode::Session, Mode::Cookie] {
        let browser = site.logged_in_by(mode.as_str(), mode).await;
        let (mut from, mut to) = (PASSWORD, NEW);
        for _ in 0..3 {
            let thief = browser.copy();
            let mut requests: Vec<_> =
                (0..50).map(|n| prepared(&browser, Method::GET, ["/profile", "/sessions"][n % 2])).collect();
            requests.insert(25, prepared(&browser, Method::POST, "/refresh"));
            let in_flight = requests
                .into_iter()
                .map(|(tab, request)| tokio::spawn(async move { tab.send(request, "").await }));
            let in_flight: Vec<_> = in_flight.collect();
            let changed = change(&browser, from, to).await;
            changed.is_ok();
            for answer in in_flight {
                let answer = answer.await.unwrap();
                if answer.status != 200 {
                    let code = answer.json()["code"].as_str().unwrap().to_owned();
                    // Without a refresh cookie it can't refresh.
                    let expected = ["token_stale", "refresh_invalid"];
                    assert!(expected.contains(&code.as_str()), "{code}");
                    assert!(answer.set_cookies().is_empty());
                }
            }
            browser.get("/profile").await.is_ok();
            if mode == Mode::Cookie {
                browser.refresh().await.is_ok();
                refused(&thief.refresh().await, "token_stale");
            } else {
                refused(&thief.get("/profile").await, "token_stale");
            }
            (from, to) = (to, from);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn x25_of_a_refresh_and_a_password_change_at_once_neither_ends_the_session() {
    let site = Arc::new(Site::with(&[("throttle.enabled", "false")]).await);
    let ada = site.logged_in("ada").await;
    let (mut from, mut to) = (PASSWORD, NEW);
    for round in 0..10 {
        let tabs =
            (0..8).map(|_| ada.copy()).map(|tab| tokio::spawn(async move { (tab.refresh().await, tab) }));
        let tabs: Vec<_> = tabs.collect();
        change(&ada, from, to).await.is_ok();
        for tab in tabs {
            let (answer, tab) = tab.await.unwrap();
            if answer.status != 200 {
                refused(&answer, "token_stale");
            }
            // Whatever it got, it is refused now.
            let now = tab.refresh().await;
            assert!(now.status == 401 && now.json()["code"] == "token_stale", "{round}: {}", now.text());
        }
        ada.refresh().await.is_ok();
        ada.get("/profile").await.is_ok();
        (from, to) = (to, from);
    }
}

#[tokio::test]
async fn x08_a_client_that_asks_learns_that_the_copy_is_out() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let client = site.client().await;
    let ask = async |secret: &str| {
        let request = site.visitor().request(Method::POST, "/introspect");
        let request = request.header(header::AUTHORIZATION, &client);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        site.visitor().send(request, format!("token={secret}")).await.is_ok()["active"].clone()
    };
    let old = ada.cookie("__Host-sessionId").unwrap();
    assert_eq!(ask(&old).await, true);
    change(&ada, PASSWORD, NEW).await.is_ok();
    assert_eq!(ask(&old).await, false);
    assert_eq!(ask(&ada.cookie("__Host-sessionId").unwrap()).await, true);
}
