//! A failing store must not let anybody in, nor lock anybody out: guesses stay counted, and for two minutes memory
//! still answers.

use std::time::Duration;

use doorward::internals::store::{Fault, Outage};
use doorward::testing::{PASSWORD, Site, Visitor};
use doorward_core::Mode;
use http::Method;
use serde_json::{Value, json};

const WRONG: &str = "a wrong password";

/// Every route that compares a password, with this one.
fn doors(password: &str) -> [(Method, &'static str, Value); 5] {
    [
        (Method::POST, "/login", json!({ "email": "ada@example.org", "password": password })),
        // Too short for the policy: the answer says so only after the right password.
        (Method::POST, "/profile/password", json!({ "current_password": password, "new_password": "short" })),
        (
            Method::POST,
            "/profile/password",
            json!({ "current_password": password, "new_password": "another good phrase" }),
        ),
        (Method::DELETE, "/profile", json!({ "password": password })),
        (Method::PATCH, "/profile", json!({ "email": "new@example.org", "password": password })),
    ]
}

/// This route's answers to these passwords while the store takes no writes.
async fn answers(door: usize, passwords: impl Iterator<Item = &'static str>) -> Vec<String> {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    site.app.store.faults().outage(Outage::Writes);
    let mut answers = Vec::new();
    for password in passwords {
        let (method, path, body) = doors(password)[door].clone();
        let answer = ada.copy().json(method, path, body).await;
        answers.push(format!("{} {:?} {}", answer.status, answer.header("retry-after"), answer.redacted()));
    }
    answers
}

#[tokio::test]
async fn x09_while_the_store_takes_no_writes_right_and_wrong_passwords_are_answered_and_counted_alike() {
    for door in 0..doors("").len() {
        let wrong = answers(door, std::iter::repeat_n(WRONG, 12)).await;
        let right = answers(door, std::iter::repeat_n(PASSWORD, 12)).await;
        let mixed = answers(door, [WRONG, PASSWORD, PASSWORD, WRONG].into_iter().cycle().take(12)).await;
        assert_eq!(wrong, right, "{:?}", doors("")[door]);
        assert_eq!(wrong, mixed, "{:?}", doors("")[door]);
        let refused = wrong.iter().filter(|answer| answer.starts_with("429")).count();
        assert_eq!(refused, 2, "{wrong:#?}");
    }
}

/// Lets the n-th call of a guess fail, for each n: a compared password stays counted and is answered as usual.
#[tokio::test]
async fn x09_a_guess_that_was_compared_stays_counted_whatever_fails_afterwards() {
    for (door, (method, path, _)) in doors("").into_iter().enumerate() {
        let site = Site::new().await;
        let ada = site.logged_in("ada").await;
        let guess = async || {
            let (method, path, body) = doors(WRONG)[door].clone();
            ada.copy().json(method, path, body).await
        };
        let (mut compared, mut counted) = (0, 0);
        for nth in 0..9 {
            site.app.hashing.take_jobs();
            site.app.store.faults().arm(Fault::Fails, nth);
            let answer = guess().await;
            let met = site.app.store.faults().disarm();
            if !site.app.hashing.take_jobs().is_empty() {
                compared += 1;
                let expected = if path == "/login" { 401 } else { 403 };
                assert_eq!(answer.status, expected, "{method} {path} at {nth}: {}", answer.text());
            }
            if !met {
                break;
            }
        }
        while guess().await.status != 429 {
            counted += 1;
        }
        assert!(compared >= 2, "{method} {path}: no fault came after the comparison");
        assert!(compared + counted <= 10, "{method} {path}: {compared} were compared, {counted} more passed");
    }
}

/// A user with a token, and one in session mode, whose whole profile is in memory.
async fn remembered(site: &Site) -> [Visitor; 2] {
    let all = [site.logged_in("ada").await, site.logged_in_by("ada", Mode::Session).await];
    for visitor in &all {
        visitor.get("/profile").await.is_ok();
        visitor.get("/dashboard").await.is_ok();
    }
    all
}

/// Two minutes pass, in which the server's following and sweeping fail.
async fn two_minutes_go_by(site: &Site, visitors: &[Visitor]) {
    for _ in 0..8 {
        site.clock.advance(Duration::from_secs(15));
        let (followed, swept) = (site.app.follow().await, site.app.sweep().await);
        assert!(followed.is_err() && swept.is_err());
        for visitor in visitors {
            for path in ["/profile", "/dashboard"] {
                visitor.get(path).await.is_ok();
            }
        }
    }
}

#[tokio::test]
async fn without_a_database_memory_answers_for_two_minutes_whatever_was_swept() {
    let site = Site::new().await;
    let visitors = remembered(&site).await;
    site.app.store.faults().outage(Outage::All);
    two_minutes_go_by(&site, &visitors).await;
}

#[tokio::test]
async fn without_a_database_memory_answers_also_right_after_a_sweep() {
    let site = Site::new().await;
    let visitors = remembered(&site).await;
    site.later(Duration::from_secs(60)).await;
    site.app.store.faults().outage(Outage::All);
    two_minutes_go_by(&site, &visitors).await;
}

#[tokio::test]
async fn without_a_database_memory_answers_also_for_those_of_whom_another_process_ended_a_session() {
    let site = Site::new().await;
    let visitors = remembered(&site).await;
    let elsewhere = site.restarted().await;
    elsewhere.logged_in("ada").await.post("/logout", json!({})).await.is_ok();
    site.app.follow().await.unwrap();
    site.app.store.faults().outage(Outage::All);
    two_minutes_go_by(&site, &visitors).await;
}

#[tokio::test]
async fn what_another_process_changed_shows_after_the_next_sweep() {
    let site = Site::new().await;
    let [ada, _] = remembered(&site).await;
    let elsewhere = site.restarted().await;
    ada.at(&elsewhere).patch("/profile", json!({ "name": "Augusta" })).await.is_ok();
    site.later(Duration::from_secs(60)).await;
    for path in ["/profile", "/dashboard"] {
        assert_eq!(ada.get(path).await.is_ok()["user"]["name"], "Augusta", "{path}");
    }
}
