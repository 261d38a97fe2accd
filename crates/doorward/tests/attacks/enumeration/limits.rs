//! Rule 8 over HTTP (L01 to L06): failures are counted, by account and network and by network, and back-off is not a
//! lock.

use std::sync::Arc;
use std::time::Duration;

use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::Barrier;

const WRONG: &str = "a wrong password";
const SECOND: Duration = Duration::from_secs(1);

async fn signs_in(visitor: &Visitor, name: &str, password: &str) -> Answer {
    // A separate visitor: the tokens of a sign-in don't matter here.
    let body = json!({ "email": format!("{name}@example.org"), "password": password });
    visitor.copy().post("/login", body).await
}

async fn fails(visitor: &Visitor, name: &str, times: usize) {
    for _ in 0..times {
        signs_in(visitor, name, WRONG).await.is_refused("invalid_credentials");
    }
}

#[track_caller]
fn must_wait(answer: &Answer, seconds: u64) {
    assert_eq!(answer.is_refused("too_many_attempts")["status"], 429);
    assert_eq!(answer.header("retry-after"), Some(seconds.to_string().as_str()));
}

#[tokio::test]
async fn l05_ten_failures_of_an_account_then_one_each_thirty_seconds() {
    let site = Site::new().await;
    site.logged_in("ada").await;
    let (here, elsewhere) = (site.visitor(), site.visitor().from([198, 51, 100, 7]));
    fails(&here, "ada", 10).await;
    for _ in 0..5 {
        must_wait(&signs_in(&here, "ada", WRONG).await, 30);
        // The right password is refused too; otherwise guessing would only be slower to notice.
        must_wait(&signs_in(&here, "ada", PASSWORD).await, 30);
    }
    // Its owner on another network is not locked out, nor is anybody else here (L06).
    signs_in(&elsewhere, "ada", PASSWORD).await.is_ok();
    fails(&here, "ben", 1).await;
    site.clock.advance(29 * SECOND + Duration::from_millis(500));
    must_wait(&signs_in(&here, "ada", WRONG).await, 1);
    site.clock.advance(SECOND / 2);
    fails(&here, "ada", 1).await;
    must_wait(&signs_in(&here, "ada", WRONG).await, 30);
    site.clock.advance(30 * SECOND);
    // A right one is given back: it can be repeated without limit.
    for _ in 0..15 {
        signs_in(&here, "ada", PASSWORD).await.is_ok();
    }
    fails(&here, "ada", 1).await;
    must_wait(&signs_in(&here, "ada", PASSWORD).await, 30);
}

#[tokio::test]
async fn l05_only_failures_count() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    for _ in 0..150 {
        signs_in(&ada, "ada", PASSWORD).await.is_ok();
    }
    fails(&ada, "ada", 10).await;
    must_wait(&signs_in(&ada, "ada", PASSWORD).await, 30);
}

#[tokio::test]
async fn l05_a_hundred_failures_of_a_network_over_all_accounts() {
    let site = Site::new().await;
    site.logged_in("ada").await;
    let (here, elsewhere) = (site.visitor(), site.visitor().from([198, 51, 100, 7]));
    for n in 0..20 {
        fails(&here, &format!("user{n}"), 5).await;
    }
    must_wait(&signs_in(&here, "ada", PASSWORD).await, 9);
    must_wait(&signs_in(&here, "nobody", WRONG).await, 9);
    signs_in(&elsewhere, "ada", PASSWORD).await.is_ok();
    site.clock.advance(9 * SECOND);
    fails(&here, "ada", 1).await;
    must_wait(&signs_in(&here, "ada", PASSWORD).await, 9);
}

#[tokio::test]
async fn l05_every_door_that_asks_for_the_password_draws_on_one_bucket() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let wrong = |n: usize| match n % 4 {
        0 => (
            Method::POST,
            "/profile/password",
            json!({ "current_password": WRONG, "new_password": "quite another password" }),
        ),
        1 => (Method::DELETE, "/profile", json!({ "password": WRONG })),
        2 => (Method::PATCH, "/profile", json!({ "email": "new@example.org", "password": WRONG })),
        _ => (Method::POST, "/profile/delete", json!({ "password": WRONG })),
    };
    for n in 0..8 {
        let (method, path, body) = wrong(n);
        ada.json(method, path, body).await.is_refused("wrong_password");
    }
    fails(&ada, "ada", 2).await;
    for n in 0..4 {
        let (method, path, body) = wrong(n);
        must_wait(&ada.json(method, path, body).await, 30);
    }
    must_wait(&signs_in(&ada, "ada", PASSWORD).await, 30);
    must_wait(&ada.delete("/profile", json!({ "password": PASSWORD })).await, 30);
    // A signed-in user stays signed in (L06).
    ada.get("/profile").await.is_ok();
    ada.refresh().await.is_ok();
    ada.from([198, 51, 100, 7]).delete("/profile", json!({ "password": PASSWORD })).await.is_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l04_a_hundred_guesses_at_once_get_no_further_than_ten() {
    let site = Site::new().await;
    site.logged_in("ada").await;
    let start = Arc::new(Barrier::new(100));
    let guesses: Vec<_> = (0..100)
        .map(|_| {
            let (visitor, start) = (site.visitor(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                signs_in(&visitor, "ada", WRONG).await
            })
        })
        .collect();
    let mut judged = 0;
    for guess in guesses {
        let answer = guess.await.unwrap();
        if answer.status == 401 { judged += 1 } else { must_wait(&answer, 30) }
    }
    assert_eq!(judged, 10);
}

#[tokio::test]
async fn l05_thirty_registrations_of_a_network_then_one_a_minute() {
    let site = Site::new().await;
    let here = site.visitor();
    let register =
        |n: usize| json!({ "name": "Ada", "email": format!("u{n}@example.org"), "password": PASSWORD });
    for n in 0..30 {
        here.copy().post("/register", register(n)).await.has_status(201);
    }
    must_wait(&here.post("/register", register(30)).await, 60);
    // An attempt that could never succeed doesn't count as a registration.
    here.post("/register", json!({ "name": "Ada" })).await.is_refused("invalid_input");
    site.clock.advance(59 * SECOND);
    must_wait(&here.post("/register", register(30)).await, 1);
    site.clock.advance(SECOND);
    here.copy().post("/register", register(30)).await.has_status(201);
    must_wait(&here.post("/register", register(31)).await, 60);
    here.from([198, 51, 100, 7]).post("/register", register(32)).await.has_status(201);
    // Signing in is counted separately.
    signs_in(&site.visitor(), "u0", PASSWORD).await.is_ok();
}

async fn claims(visitor: &Visitor, header: &str, value: &str) -> Answer {
    let body = json!({ "email": "ada@example.org", "password": WRONG }).to_string();
    let request = visitor.request(Method::POST, "/login").header("content-type", "application/json");
    visitor.send(request.header(header, value), body).await
}

#[tokio::test]
async fn l01_who_is_no_trusted_proxy_cannot_say_who_it_is() {
    let site = Site::with(&[("trusted_proxies", "10.0.0.0/8")]).await;
    site.logged_in("ada").await;
    let attacker = site.visitor().from([203, 0, 113, 9]);
    let headers = ["x-forwarded-for", "forwarded", "x-real-ip", "x-client-ip", "true-client-ip"];
    for n in 0..10 {
        let value = format!("198.51.100.{n}");
        claims(&attacker, headers[n % 5], &value).await.is_refused("invalid_credentials");
    }
    for header in headers {
        must_wait(&claims(&attacker, header, "198.51.100.99").await, 30);
    }
    // Nor is the user locked out who has the claimed address.
    signs_in(&site.visitor().from([198, 51, 100, 1]), "ada", PASSWORD).await.is_ok();
    let seen = site.logged_in("ada").await.get("/sessions").await.is_ok();
    assert!(seen["sessions"].as_array().unwrap().iter().all(|session| session["ip"] != "198.51.100.99"));
}

#[tokio::test]
async fn l02_behind_a_trusted_proxy_the_rightmost_foreign_address_counts() {
    let site = Site::with(&[("trusted_proxies", "10.0.0.0/8")]).await;
    site.logged_in("ada").await;
    let proxy = site.visitor().from([10, 0, 0, 1]);
    for n in 0..10 {
        // The rest of it is the client's own claim.
        let value = format!("192.0.2.{n}, 198.51.100.1, 10.0.0.2");
        claims(&proxy, "x-forwarded-for", &value).await.is_refused("invalid_credentials");
    }
    must_wait(&claims(&proxy, "x-forwarded-for", "192.0.2.77, 198.51.100.1").await, 30);
    claims(&proxy, "x-forwarded-for", "198.51.100.2").await.is_refused("invalid_credentials");
    // An unreadable value counts as the proxy's own address, and never avoids the limits.
    let garbage =
        ["a", "", "unknown", "1.2.3", "fe80::1%eth0", "198.51.100.1, a", "a, b", ",,", "1.2.3.4.5", "::g"];
    for value in garbage {
        claims(&proxy, "x-forwarded-for", value).await.is_refused("invalid_credentials");
    }
    for value in garbage {
        must_wait(&claims(&proxy, "x-forwarded-for", value).await, 30);
    }
}

#[tokio::test]
async fn l03_one_ipv6_network_has_one_bucket() {
    let site = Site::new().await;
    site.logged_in("ada").await;
    let from = |n: u16| site.visitor().from([0x2001, 0xdb8, 1, 2, n, n, n, n]);
    for n in 0..10 {
        fails(&from(n), "ada", 1).await;
    }
    must_wait(&signs_in(&from(99), "ada", PASSWORD).await, 30);
    signs_in(&site.visitor().from([0x2001, 0xdb8, 1, 3, 0, 0, 0, 1]), "ada", PASSWORD).await.is_ok();
    // An IPv4 address in its IPv6 form is the same client.
    fails(&site.visitor().from([203, 0, 113, 9]), "ada", 10).await;
    must_wait(
        &signs_in(&site.visitor().from([0, 0, 0, 0, 0, 0xffff, 0xcb00, 0x7109]), "ada", PASSWORD).await,
        30,
    );
}

#[tokio::test]
async fn l06_an_attack_from_many_networks_locks_nobody_out() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    for n in 0..30 {
        fails(&site.visitor().from([198, 51, 100, n]), "ada", 10).await;
    }
    signs_in(&site.visitor(), "ada", PASSWORD).await.is_ok();
    ada.post("/logout", Value::Null).await.is_ok();
}
