//! More sessions end than memory holds. Who ended longest ago stays out: checks that memory can't answer ask the store,
//! and are refused if it fails.

use std::time::Duration;

use doorward::internals::store::Outage;
use doorward::testing::{Site, Visitor};
use doorward_core::Mode;
use serde_json::{Value, json};

const ROOM: usize = 4;
/// How long a revocation is kept: the lifetime of an access token, and the margin.
const KEPT: Duration = Duration::from_secs(1_500);

async fn crowded() -> Site {
    Site::with(&[("revocations.max", "4"), ("throttle.enabled", "false")]).await
}

/// So many sign in and log out, a second apart; the copies of their credentials.
async fn gone(site: &Site, count: usize, mode: Mode) -> Vec<Visitor> {
    let mut gone = Vec::new();
    for n in 0..count {
        let visitor = site.logged_in_by(&format!("person{n}"), mode).await;
        visitor.get("/profile").await.is_ok();
        gone.push(visitor.copy());
        visitor.post("/logout", Value::Null).await.is_ok();
        site.app.follow().await.unwrap();
        site.clock.advance(Duration::from_secs(1));
    }
    gone
}

#[tokio::test]
async fn who_ended_longest_ago_stays_out_when_memory_is_full() {
    for mode in [Mode::Bearer, Mode::Cookie, Mode::Session] {
        let site = crowded().await;
        let other = site.restarted().await;
        let lin = site.logged_in_by("lin", mode).await;
        lin.get("/profile").await.is_ok();
        let gone = gone(&site, 7, mode).await;
        other.app.follow().await.unwrap();
        for node in [&site, &other, &site.restarted().await] {
            assert_eq!((node.app.revocations.set.len(), node.app.revocations.set.is_whole()), (ROOM, false));
            for visitor in &gone {
                visitor.at(node).get("/profile").await.is_refused("session_ended");
            }
            lin.at(node).get("/profile").await.is_ok();
        }
        // Without the store, memory refuses the newest and lets nobody in that may have ended.
        site.app.store.faults().outage(Outage::All);
        gone[6].get("/profile").await.is_refused("session_ended");
        gone[0].get("/profile").await.has_status(503);
        lin.get("/profile").await.has_status(503);
        site.app.store.faults().outage(Outage::None);
        gone[0].get("/profile").await.is_refused("session_ended");
        lin.get("/profile").await.is_ok();
    }
}

#[tokio::test]
async fn what_is_younger_than_all_that_memory_lacks_is_answered_without_the_store() {
    for mode in [Mode::Bearer, Mode::Session] {
        let site = crowded().await;
        let lin = site.logged_in_by("lin", mode).await;
        let gone = gone(&site, 7, mode).await;
        site.later(Duration::from_secs(660)).await;
        let young = site.logged_in_by("young", mode).await;
        for visitor in [&lin, &young] {
            visitor.get("/profile").await.is_ok();
        }
        site.app.store.faults().outage(Outage::All);
        young.get("/profile").await.is_ok();
        gone[0].get("/profile").await.has_status(503);
        // A session is as young as its last reading, a token as its issue.
        lin.get("/profile").await.has_status(if mode == Mode::Session { 200 } else { 503 });
        site.app.store.faults().outage(Outage::None);
        // In the end nothing is missing, without anything being read again.
        site.later(KEPT).await;
        assert!(site.app.revocations.set.is_whole());
        for visitor in &gone {
            visitor.get("/profile").await.has_status(401);
        }
    }
}

#[tokio::test]
async fn all_sessions_of_many_users_ended_at_once_stay_ended_when_memory_is_full() {
    let site = crowded().await;
    let mut copies = Vec::new();
    for n in 0..7 {
        let visitor = site.logged_in(&format!("person{n}")).await;
        copies.push(visitor.copy());
        visitor.post("/logout/all", json!({})).await.is_ok();
        site.app.follow().await.unwrap();
        site.clock.advance(Duration::from_secs(1));
    }
    for node in [&site, &site.restarted().await] {
        assert_eq!(node.app.revocations.set.len(), ROOM);
        for copy in &copies {
            copy.at(node).get("/profile").await.has_status(401);
        }
    }
}

/// 25,000 revocations on a lane of its own, each like the one that is there. Every fifth is over.
macro_rules! many {
    ($bytes:literal) => {
        concat!(
            "INSERT INTO revocations (session_id, user_id, reason, lane, position, created_at, expires_at) ",
            "WITH RECURSIVE n (n) AS (SELECT CAST(1000001 AS BIGINT) UNION ALL SELECT n + 1 FROM n WHERE n < 1025000), ",
            "one AS (SELECT * FROM revocations) SELECT CAST('000000000' || CAST(n.n AS TEXT) AS ",
            $bytes,
            "), one.user_id, one.reason, 7, n.n, one.created_at, ",
            "CASE WHEN n.n % 5 = 0 THEN 1 ELSE one.expires_at END FROM n, one"
        )
    };
}

#[tokio::test]
async fn a_start_reads_every_revocation_by_pages_and_a_command_reads_none() {
    let site = Site::new().await;
    let gone = gone(&site, 1, Mode::Bearer).await;
    let many = if site.app.store.is_shared() { many!("BYTEA") } else { many!("BLOB") };
    site.app.store.execute(many, Vec::new()).await.unwrap();
    let lane = "INSERT INTO lanes (id, position, owner, seen_at) SELECT 7, 2000000, 'another', max(seen_at) FROM lanes";
    site.app.store.execute(lane, Vec::new()).await.unwrap();
    let again = site.restarted().await;
    assert_eq!(again.app.revocations.set.len(), 20_001);
    assert!(again.app.revocations.set.is_whole());
    gone[0].at(&again).get("/profile").await.is_refused("session_ended");
    let command = site.command().await;
    assert_eq!((command.revocations.set.len(), command.revocations.set.is_behind()), (0, true));
}
