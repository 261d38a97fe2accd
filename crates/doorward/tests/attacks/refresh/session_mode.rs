//! Session mode: the end of an unused session is exact, its writes are rare, and a late one revives nothing (R10, R11).

use std::collections::BTreeSet;
use std::time::Duration;

use doorward::testing::Site;
use doorward_core::Mode;
use serde_json::Value;

use crate::reading::{one, rows, session_of};

const SECOND: Duration = Duration::from_secs(1);
const LAST_SEEN: &str = "SELECT last_seen_at FROM sessions WHERE id = $1";

#[tokio::test]
async fn r10_an_unused_session_ends_to_the_microsecond() {
    let site = Site::with(&[("session.idle_ttl", "2s")]).await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    for _ in 0..5 {
        site.clock.advance(2 * SECOND - Duration::from_micros(1));
        ada.get("/profile").await.is_ok();
    }
    let thief = ada.copy();
    site.clock.advance(2 * SECOND);
    let answer = ada.get("/profile").await;
    answer.is_refused("session_expired");
    for _ in 0..3 {
        thief.copy().get("/profile").await.is_refused("session_expired");
    }
    site.later(SECOND).await;
    thief.copy().get("/profile").await.is_refused("session_expired");
    thief.at(&site.restarted().await).get("/profile").await.is_refused("session_expired");
}

#[tokio::test]
async fn r10_use_never_carries_a_session_past_its_absolute_end() {
    let site = Site::with(&[("session.idle_ttl", "5s"), ("session.absolute_ttl", "10s")]).await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    for _ in 0..9 {
        site.clock.advance(SECOND);
        ada.get("/profile").await.is_ok();
    }
    let restarted = site.restarted().await;
    site.clock.advance(SECOND);
    ada.copy().get("/profile").await.is_refused("session_expired");
    ada.at(&restarted).get("/profile").await.is_refused("session_expired");
}

#[tokio::test]
async fn r10_uses_are_written_once_a_minute_at_most_and_none_is_lost_at_a_restart() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let session = session_of(&ada).await;
    let began = one::<i64>(&site, LAST_SEEN, vec![session.clone()]).await;
    let mut written = BTreeSet::new();
    for second in 1..=300 {
        site.clock.advance(SECOND);
        ada.get("/profile").await.is_ok();
        if second % 60 == 0 {
            // The write is under way: reading is waiting for it.
            let wanted = site.app.now().as_micros();
            for _ in 0..100_000 {
                if one::<i64>(&site, LAST_SEEN, vec![session.clone()]).await == wanted {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        written.insert(one::<i64>(&site, LAST_SEEN, vec![session.clone()]).await);
    }
    let expected: BTreeSet<i64> = (0..=5).map(|minute| began + minute * 60_000_000).collect();
    assert_eq!(written, expected);

    site.clock.advance(30 * SECOND);
    ada.get("/profile").await.is_ok();
    site.restarted().await;
    assert_eq!(one::<i64>(&site, LAST_SEEN, vec![session]).await, began + 330_000_000);
}

#[tokio::test]
async fn r11_a_use_that_is_written_late_wakes_no_ended_session() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let session = session_of(&ada).await;
    site.clock.advance(10 * SECOND);
    // Remembered, and not written yet.
    ada.get("/profile").await.is_ok();
    let thief = ada.copy();
    ada.post("/logout", Value::Null).await.is_ok();
    let row = "SELECT last_seen_at, expires_at, ended_at, end_reason FROM sessions WHERE id = $1";
    let before = rows(&site, row, vec![session.clone()]).await;

    site.app.sessions.memory.flush().await.unwrap();

    assert_eq!(rows(&site, row, vec![session]).await, before);
    assert_eq!(before[0].get::<String>("end_reason").unwrap(), "logout");
    thief.copy().get("/profile").await.is_refused("session_ended");
    thief.at(&site.restarted().await).get("/profile").await.is_refused("session_ended");
}

#[tokio::test]
async fn r11_a_session_that_memory_has_no_room_for_is_looked_up_and_still_over() {
    let site = Site::with(&[("session.memory", "100")]).await;
    let first = site.logged_in_by("ada", Mode::Session).await;
    first.get("/profile").await.is_ok();
    // More sessions of other users than memory holds.
    for n in 0..300 {
        let other = site.logged_in_by(&format!("user{}", n / 60), Mode::Session).await;
        other.get("/profile").await.is_ok();
    }
    first.get("/profile").await.is_ok();
    let thief = first.copy();
    first.post("/logout", Value::Null).await.is_ok();
    thief.get("/profile").await.is_refused("session_ended");
}
