//! Clients that hang up in the middle of something: afterwards it was done completely or not at all, and the server
//! goes on.

use doorward::testing::{PASSWORD, Site};
use serde_json::{Value, json};

use crate::client::{Wire, post, server};

/// Sends the first `share` hundredths of a request, and hangs up.
async fn breaks_off(address: std::net::SocketAddr, request: &str, share: usize, reset: bool) {
    let mut wire = Wire::to(address).await;
    wire.says(&request[..request.len() * share / 100]).await;
    // Gives the server its turn, in some rounds.
    for _ in 0..share % 7 {
        tokio::task::yield_now().await;
    }
    wire.hangs_up(reset);
}

/// Where the request is cut, and how: in the head, in the body, before the last byte, after it (often).
fn cuts() -> impl Iterator<Item = (usize, bool)> {
    [10, 50, 90, 99].into_iter().chain(std::iter::repeat_n(100, 12)).zip([true, false].into_iter().cycle())
}

fn account(n: usize) -> Value {
    json!({ "name": "Ada", "email": format!("ada{n}@example.org"), "password": PASSWORD })
}

async fn signs_in(address: std::net::SocketAddr, n: usize) -> u16 {
    Wire::to(address).await.asks(&post("/login", &account(n))).await.status()
}

/// More at once than the pool has connections, so that a lost one would be noticed.
async fn all_is_well(site: &Site) {
    let mut everybody = tokio::task::JoinSet::new();
    for n in 0..24 {
        let visitor = site.visitor();
        everybody.spawn(async move {
            let body = json!({ "name": "Eve", "email": format!("eve{n}@example.org"), "password": PASSWORD });
            visitor.post("/register", body).await.has_status(201);
            visitor.get("/profile").await.is_ok();
        });
    }
    everybody.join_all().await;
}

#[tokio::test]
async fn h11_register_is_whole_or_nothing_when_the_client_hangs_up() {
    let (site, address) = server(&[("throttle.enabled", "false")]).await;
    for (n, (share, reset)) in cuts().enumerate() {
        breaks_off(address, &post("/register", &account(n)), share, reset).await;
        let again = Wire::to(address).await.asks(&post("/register", &account(n))).await;
        // It may also have been made meanwhile; then it has its password.
        assert!([201, 409].contains(&again.status()), "{again:?}");
        if share < 100 {
            assert_eq!(again.status(), 201, "a part of a request made an account");
        }
        assert_eq!(signs_in(address, n).await, 200);
    }
    all_is_well(&site).await;
}

#[tokio::test]
async fn h11_login_leaves_nothing_half_done_when_the_client_hangs_up() {
    let (site, address) = server(&[("throttle.enabled", "false")]).await;
    assert_eq!(Wire::to(address).await.asks(&post("/register", &account(0))).await.status(), 201);
    for (share, reset) in cuts() {
        breaks_off(address, &post("/login", &account(0)), share, reset).await;
        assert_eq!(signs_in(address, 0).await, 200);
    }
    let ada = site.visitor();
    ada.post("/login", account(0)).await.has_status(200);
    let sessions = ada.get("/sessions").await.is_ok();
    let ids: Vec<_> = sessions["sessions"].as_array().unwrap().iter().map(|session| &session["id"]).collect();
    // Each of them is real: it can be ended.
    for id in ids {
        let own = *id == json!(ada.session_id().await);
        if !own {
            ada.delete(&format!("/sessions/{}", id.as_str().unwrap()), Value::Null).await.has_status(200);
        }
    }
    all_is_well(&site).await;
}

#[tokio::test]
async fn h11_a_refresh_whose_answer_is_lost_can_be_repeated() {
    let (site, address) = server(&[("throttle.enabled", "false")]).await;
    assert_eq!(Wire::to(address).await.asks(&post("/register", &account(0))).await.status(), 201);
    for (share, reset) in cuts() {
        // A session for each: the lost request may still be on its way when the next one is cut off.
        let login = Wire::to(address).await.asks(&post("/login", &account(0))).await;
        let request = post("/refresh", &json!({ "refresh_token": login.field("refresh_token") }));
        breaks_off(address, &request, share, reset).await;
        let again = Wire::to(address).await.asks(&request).await;
        assert_eq!(again.status(), 200, "{again:?}");
        let bearer = again.field("token");
        let profile = format!("GET /profile HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {bearer}\r\n\r\n");
        assert_eq!(Wire::to(address).await.asks(&profile).await.status(), 200);
        let successor = post("/refresh", &json!({ "refresh_token": again.field("refresh_token") }));
        let next = Wire::to(address).await.asks(&successor).await;
        assert_eq!(next.status(), 200, "{next:?}");
    }
    all_is_well(&site).await;
}
