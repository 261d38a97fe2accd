//! The feed of revocations: its content, its news, and that no follower misses anything, whatever breaks.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use doorward::internals::Listening;
use doorward::internals::accounts::Actor;
use doorward::internals::store::Value;
use doorward::testing::Site;
use doorward_core::SessionId;
use serde_json::json;
use tokio::sync::oneshot;

use crate::client::{Wire, server, soon};
use crate::follower::{Follower, sessions};

const SECRET: &str = "a secret for the feed in tests: 01234";
const BEARER: &str = "Bearer a secret for the feed in tests: 01234";
const WITH_SECRET: (&str, &str) = ("DOORWARD_FEED_SECRET", SECRET);

async fn feed() -> (Site, SocketAddr) {
    server(&[WITH_SECRET, ("throttle.enabled", "false")]).await
}

/// Puts this many ends of sessions into the table, one act each, as another process would.
async fn end_many(site: &Site, from: i64, count: i64) {
    const INSERT: &str = "INSERT INTO revocations (session_id, user_id, reason, lane, position, created_at, expires_at) \
         VALUES ($1, $1, 'logout', 7, $2, 0, $3)";
    const POSITION: &str = "INSERT INTO lanes (id, position, owner, seen_at) VALUES (7, $1, 'a test', 0) \
         ON CONFLICT (id) DO UPDATE SET position = excluded.position";
    let end = (site.clock.now() + Duration::from_secs(900)).as_micros();
    let act = async move |tx: &mut doorward::internals::store::Tx| {
        for position in from..from + count {
            let id = SessionId::from_bytes(u128::try_from(position).unwrap().to_be_bytes());
            let id = Value::Bytes(id.as_bytes().to_vec());
            tx.execute(INSERT, vec![id, Value::Int(position), Value::Int(end)]).await?;
        }
        tx.execute(POSITION, vec![Value::Int(from + count - 1)]).await
    };
    site.app.store.transaction(act).await.unwrap();
    site.app.follow().await.unwrap();
}

#[tokio::test]
async fn a_follower_is_told_what_there_is_and_then_each_logout_as_it_happens() {
    let (site, address) = feed().await;
    let (ada, grace) = (site.logged_in("ada").await, site.logged_in("grace").await);
    let (of_ada, of_grace) = (ada.session_id().await, grace.session_id().await);
    ada.post("/logout", json!({})).await.is_ok();

    let mut follower = Follower::to(address, BEARER, None).await;
    assert_eq!(follower.status(), 200, "{}", follower.head());
    assert!(follower.head().contains("content-type: text/event-stream\r\n"), "{}", follower.head());
    assert!(follower.head().contains("cache-control: no-store\r\n"), "{}", follower.head());
    let (before, current) = follower.until("current").await;
    let kinds: Vec<_> = before.iter().map(|event| (event.kind.as_str(), event.id.is_some())).collect();
    assert_eq!(kinds, [("reset", false), ("revoked", false)]);
    assert_eq!(sessions(&before[1]), [of_ada]);
    assert_eq!(before[1].data["sessions"][0][1], 900 + 600, "a span from reading on, and no time");
    assert_eq!(current.data["now"], 1_800_000_000_000_i64, "{current:?}");
    assert!(current.data["keys"].as_str().is_some_and(|keys| keys.len() == 16), "{current:?}");

    // This waits neither for the next heartbeat nor for a read of the table.
    let began = Instant::now();
    grace.post("/logout", json!({})).await.is_ok();
    let revoked = follower.hears().await.unwrap();
    assert_eq!((revoked.kind.as_str(), sessions(&revoked)), ("revoked", vec![of_grace]));
    assert!(revoked.id.is_some() && revoked.id != current.id, "{revoked:?}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_follower_that_comes_again_is_told_what_it_missed_and_no_more() {
    let (site, address) = feed().await;
    let people = [site.logged_in("ada").await, site.logged_in("grace").await, site.logged_in("joan").await];
    let mut ids = Vec::new();
    for one in &people {
        ids.push(one.session_id().await);
    }
    people[0].post("/logout", json!({})).await.is_ok();
    let mut follower = Follower::to(address, BEARER, None).await;
    assert_eq!(follower.catches_up().await, ids[..1]);
    let last = follower.last_id.clone();
    drop(follower);

    people[1].post("/logout", json!({})).await.is_ok();
    people[2].post("/logout", json!({})).await.is_ok();
    let mut follower = Follower::to(address, BEARER, last.as_deref()).await;
    let (before, current) = follower.until("current").await;
    assert!(before.iter().all(|event| event.kind == "revoked" && event.id.is_some()), "{before:?}");
    assert_eq!(before.iter().flat_map(sessions).collect::<Vec<_>>(), ids[1..]);
    let mut follower = Follower::to(address, BEARER, current.id.as_deref()).await;
    assert_eq!(follower.hears().await.unwrap().kind, "current");
}

#[tokio::test]
async fn an_id_of_another_database_or_of_no_position_begins_anew() {
    let (site, address) = feed().await;
    let ada = site.logged_in("ada").await;
    let id = ada.session_id().await;
    ada.post("/logout", json!({})).await.is_ok();
    let mut follower = Follower::to(address, BEARER, None).await;
    follower.catches_up().await;
    let last = follower.last_id.unwrap();
    let (epoch, position) = last.split_once('-').unwrap();
    let future = format!("{epoch}-{}", position.parse::<i64>().unwrap() + 1);
    let before = format!("{epoch}--1");
    let mixed = format!("{epoch}{last}");
    for strange in ["0000000000000000-1", "1", "-", "x", epoch, &future, &before, &mixed, &"9".repeat(2_000)]
    {
        let mut follower = Follower::to(address, BEARER, Some(strange)).await;
        assert_eq!(follower.hears().await.unwrap().kind, "reset", "{strange}");
        assert_eq!(follower.catches_up().await.as_slice(), std::slice::from_ref(&id), "{strange}");
    }
}

#[tokio::test]
async fn e06_the_feed_is_opened_by_its_whole_secret_alone() {
    let (site, address) = feed().await;
    let admin = site.admin("ada").await;
    let token = format!("Bearer {}", admin.token().unwrap());
    let (shorter, longer) = (&BEARER[..BEARER.len() - 1], format!("{BEARER}4"));
    for wrong in ["Bearer", "Bearer ", &token, shorter, &longer, "Basic YWRhOmFkYQ==", SECRET] {
        for accept in ["text/event-stream", "application/json"] {
            let request = format!(
                "GET /revocations HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\nAuthorization: {wrong}\r\n\r\n"
            );
            let reply = Wire::to(address).await.asks(&request).await;
            assert_eq!((reply.status(), reply.field("code").as_str()), (401, "invalid_client"), "{wrong}");
            assert!(reply.head.contains("www-authenticate: Basic realm=\"doorward\""), "{}", reply.head);
        }
    }
    // Without a configured secret, none is valid.
    let (_site, address) = server(&[]).await;
    for wrong in [BEARER, "Bearer "] {
        assert_eq!(Follower::to(address, wrong, None).await.status(), 401);
    }
}

#[tokio::test]
async fn what_another_process_does_is_told_too() {
    let (site, address) = feed().await;
    let ada = site.logged_in("ada").await;
    let id = ada.session_id().await;
    let mut follower = Follower::to(address, BEARER, None).await;
    follower.catches_up().await;
    let other = site.restarted().await;
    let began = Instant::now();
    ada.at(&other).post("/logout", json!({})).await.is_ok();
    let (_, revoked) = follower.until("revoked").await;
    assert_eq!(sessions(&revoked), [id]);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_new_role_and_the_end_of_all_sessions_are_told_as_one_version_each() {
    let (site, address) = feed().await;
    let admin = site.admin("ada").await;
    let mut follower = Follower::to(address, BEARER, None).await;
    follower.catches_up().await;
    let grace = site.user("grace", "user".parse().unwrap()).await;
    for _ in 0..3 {
        site.logged_in("grace").await;
    }
    let (path, mut last) = (format!("/admin/users/{grace}"), 0);
    for act in [json!({ "role": "admin" }), json!({ "role": "user" }), json!({ "disabled": true })] {
        admin.patch(&path, act.clone()).await.is_ok();
        let (_, event) = follower.until("revoked").await;
        assert_eq!(event.data["sessions"], json!([]), "{act}: one entry, however many sessions it ends");
        let version = event.data["users"][0][1].as_i64().unwrap();
        assert_eq!(event.data["users"], json!([[grace, version, 900 + 600]]), "{act}");
        assert!(version > last, "{act}");
        last = version;
    }
}

#[tokio::test]
async fn a_long_table_comes_in_pages_and_a_slow_reader_loses_nothing() {
    const THERE: i64 = 2_500;
    const LATER: i64 = 200;
    let (site, address) = feed().await;
    end_many(&site, 1, THERE).await;
    let mut slow = Follower::to(address, BEARER, None).await;
    let mut all = Vec::new();
    let mut pages = 0;
    // It reads nothing while far more happens than is kept for it.
    for one in 0..LATER {
        end_many(&site, THERE + 1 + one, 1).await;
    }
    while all.len() < usize::try_from(THERE + LATER).unwrap() {
        let event = slow.hears().await.unwrap();
        let told = sessions(&event);
        assert!(told.len() <= 1_000, "{}", told.len());
        pages += usize::from(!told.is_empty());
        all.extend(told);
    }
    assert!(pages >= 3, "{pages}");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), usize::try_from(THERE + LATER).unwrap());
}

#[tokio::test]
async fn programs_that_poll_get_the_same_a_page_at_a_time() {
    let (site, address) = feed().await;
    end_many(&site, 1, 250).await;
    let (mut after, mut all) = (String::new(), Vec::new());
    for (count, more) in [(100, true), (100, true), (50, false), (0, false)] {
        let request = format!(
            "GET /revocations?limit=100{after} HTTP/1.1\r\nHost: a\r\nAuthorization: {BEARER}\r\n\r\n"
        );
        let reply = Wire::to(address).await.asks(&request).await;
        assert_eq!(reply.status(), 200, "{}", reply.body);
        let page: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        let rows = page["sessions"].as_array().unwrap();
        assert_eq!((rows.len(), page["more"].as_bool()), (count, Some(more)), "{after}");
        assert_eq!(page["reset"], after.is_empty());
        all.extend(rows.iter().map(|row| row[0].as_str().unwrap().to_owned()));
        after = format!("&after={}", page["position"].as_str().unwrap());
    }
    all.dedup();
    assert_eq!(all.len(), 250);
    for wrong in ["limit=0", "limit=1001", "limit=x"] {
        let request =
            format!("GET /revocations?{wrong} HTTP/1.1\r\nHost: a\r\nAuthorization: {BEARER}\r\n\r\n");
        assert_eq!(Wire::to(address).await.asks(&request).await.status(), 422);
    }
}

#[tokio::test]
async fn one_more_than_may_follow_is_told_to_come_back_until_a_place_is_free() {
    let (_site, address) = server(&[WITH_SECRET, ("feed.max_streams", "1")]).await;
    let mut first = Follower::to(address, BEARER, None).await;
    first.catches_up().await;
    let second = Follower::to(address, BEARER, None).await;
    assert_eq!(second.status(), 503);
    assert!(second.head().contains("retry-after: "), "{}", second.head());
    drop(first);
    soon(async { while Follower::to(address, BEARER, None).await.status() == 503 {} }).await;
}

#[tokio::test]
async fn a_client_has_a_share_of_the_places_and_the_others_get_theirs() {
    let limits = [WITH_SECRET, ("feed.max_streams", "4"), ("feed.max_streams_per_client", "2")];
    let (site, address) = server(&limits).await;
    let (greedy, other) = (site.client().await, site.client().await);
    let mut held = Vec::new();
    for (who, status) in
        [(greedy.as_str(), 200), (&greedy, 200), (&greedy, 503), (&other, 200), (BEARER, 200), (BEARER, 503)]
    {
        let follower = Follower::to(address, who, None).await;
        assert_eq!(follower.status(), status, "{who}");
        held.extend((status == 200).then_some(follower));
    }
    // A place that is free again is the client's again.
    drop(held.remove(0));
    soon(async { while Follower::to(address, &greedy, None).await.status() == 503 {} }).await;
}

#[tokio::test]
async fn a_server_that_stops_ends_the_streams_and_the_next_one_begins_anew() {
    let site = Site::with(&[WITH_SECRET, ("http.drain_timeout", "120s")]).await;
    let listening = Listening::bind(&site.app).await.unwrap();
    let address = listening.address().unwrap();
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(listening.serve(async { drop(stopped.await) }));
    let (ada, grace) = (site.logged_in("ada").await, site.logged_in("grace").await);
    let ids = [ada.session_id().await, grace.session_id().await];
    ada.post("/logout", json!({})).await.is_ok();
    let mut follower = Follower::to(address, BEARER, None).await;
    assert_eq!(follower.catches_up().await, ids[..1]);

    stop.send(()).unwrap();
    while follower.hears().await.is_some() {}
    soon(ended).await.unwrap();
    let again = site.restarted().await;
    let address = again.listen().await;
    grace.at(&again).post("/logout", json!({})).await.is_ok();
    let mut follower = Follower::to(address, BEARER, follower.last_id.as_deref()).await;
    let (before, _) = follower.until("current").await;
    assert_eq!(before[0].kind, "reset", "no process knows the places of another: {before:?}");
    let told: BTreeSet<_> = before.iter().flat_map(sessions).collect();
    assert_eq!(told, BTreeSet::from(ids), "{before:?}");
}

#[tokio::test]
async fn the_stream_of_a_client_that_is_deleted_ends_within_seconds() {
    let (site, address) = feed().await;
    let client = site.client().await;
    let mut follower = Follower::to(address, &client, None).await;
    follower.catches_up().await;
    let other = site.restarted().await;
    let id = other.app.clients.list().await.unwrap()[0].client_id;
    assert!(other.app.clients.delete(id, &Actor::CommandLine).await.unwrap());
    while follower.hears().await.is_some() {}
    assert_eq!(Follower::to(address, &client, follower.last_id.as_deref()).await.status(), 401);
    assert_eq!(Follower::to(address, BEARER, follower.last_id.as_deref()).await.status(), 200);
}

/// A session may have ended elsewhere meanwhile: no follower gets `current`.
#[tokio::test]
async fn a_server_that_cannot_read_the_table_tells_nobody_that_nothing_is_missing() {
    let (site, address) = feed().await;
    let mut follower = Follower::to(address, BEARER, None).await;
    follower.catches_up().await;
    let other = site.restarted().await;
    other.app.store.execute("ALTER TABLE lanes RENAME TO away", Vec::new()).await.unwrap();
    // One may have been on its way. None comes for longer than the time between two heartbeats.
    let mut told = 0;
    while tokio::time::timeout(Duration::from_millis(5_500), follower.until("current")).await.is_ok() {
        told += 1;
    }
    assert!(told <= 1, "{told}");
    other.app.store.execute("ALTER TABLE away RENAME TO lanes", Vec::new()).await.unwrap();
    follower.until("current").await;
}
