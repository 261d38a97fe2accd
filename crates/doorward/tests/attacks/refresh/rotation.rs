//! R01 to R03, R07, R09, R10: one refresh token has one successor, and a copy ends the session.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use doorward::internals::store::Value;
use doorward::testing::{Answer, Site, Visitor};
use doorward_core::Mode;
use serde_json::json;
use tokio::sync::Barrier;

use crate::reading::{audited, one, rows, session_of};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// What rotation changes in a session: generation, replays, time of rotation, end.
async fn standing(site: &Site, session: &Value) -> (i64, i64, Option<i64>, i64) {
    let sql = "SELECT generation, replays, rotated_at, expires_at FROM sessions WHERE id = $1";
    let rows = rows(site, sql, vec![session.clone()]).await;
    let row = &rows[0];
    (
        row.get("generation").unwrap(),
        row.get("replays").unwrap(),
        row.get("rotated_at").unwrap(),
        row.get("expires_at").unwrap(),
    )
}

/// This many tabs with the same tokens refresh at once.
async fn refresh_at_once(visitor: &Visitor, tabs: usize) -> Vec<(Answer, Visitor)> {
    let start = Arc::new(Barrier::new(tabs));
    let tabs: Vec<_> = (0..tabs)
        .map(|_| {
            let (tab, start) = (visitor.copy(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                (tab.refresh().await, tab)
            })
        })
        .collect();
    let mut answers = Vec::new();
    for tab in tabs {
        answers.push(tab.await.unwrap());
    }
    answers
}

async fn have_one_successor(mode: Mode, parallel: usize) {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", mode).await;
    let session = session_of(&ada).await;
    let held = |tab: &Visitor| tab.refresh_token().or_else(|| tab.cookie("__Host-refresh_token")).unwrap();
    let mut successors = BTreeSet::new();
    for (answer, tab) in refresh_at_once(&ada, parallel).await {
        answer.is_ok();
        tab.get("/profile").await.is_ok();
        successors.insert(held(&tab));
    }
    assert_eq!(successors.len(), 1);
    assert!(!successors.contains(&held(&ada)));
    let (generation, replays, ..) = standing(&site, &session).await;
    assert_eq!((generation, replays), (1, i64::try_from(parallel).unwrap() - 1));
    assert_eq!(audited(&site, "refresh_reused").await, 0);
    // The token that they all began with is a copy from now on.
    site.clock.advance(61 * SECOND);
    ada.refresh().await.is_refused("refresh_reused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r02_fifty_parallel_refreshes_of_one_token_have_one_successor() {
    have_one_successor(Mode::Bearer, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r02_two_hundred_tabs_of_one_browser_have_one_successor() {
    have_one_successor(Mode::Cookie, 200).await;
}

#[tokio::test]
async fn r01_a_copy_after_the_grace_ends_the_session_newest_token_included() {
    let site = Site::new().await;
    for mode in [Mode::Bearer, Mode::Cookie] {
        let (ada, phone) = (site.logged_in_by("ada", mode).await, site.logged_in("ada").await);
        let thief = ada.copy();
        ada.refresh().await.is_ok();
        site.later(61 * SECOND).await;

        assert_eq!(thief.refresh().await.is_refused("refresh_reused")["status"], 401);

        ada.copy().get("/profile").await.is_refused("session_ended");
        ada.copy().refresh().await.is_refused("session_ended");
        thief.copy().refresh().await.is_refused("session_ended");
        phone.get("/profile").await.is_ok();
    }
    assert_eq!(audited(&site, "refresh_reused").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r01_fifty_copies_at_once_are_one_reuse() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let thief = ada.copy();
    ada.refresh().await.is_ok();
    site.later(61 * SECOND).await;
    for (answer, thief) in refresh_at_once(&thief, 50).await {
        let code = answer.json()["code"].clone();
        assert!(code == "refresh_reused" || code == "session_ended", "{code}");
        thief.get("/profile").await.is_refused("session_ended");
    }
    assert_eq!(audited(&site, "refresh_reused").await, 1);
}

#[tokio::test]
async fn r01_the_grace_is_for_the_predecessor_only() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let thief = ada.copy();
    ada.refresh().await.is_ok();
    ada.refresh().await.is_ok();
    thief.refresh().await.is_refused("refresh_reused");
    ada.refresh().await.is_refused("session_ended");
}

#[tokio::test]
async fn r03_reuse_is_seen_after_a_restart_and_by_another_process() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let thief = ada.copy();
    ada.refresh().await.is_ok();
    let other = site.restarted().await;
    site.clock.advance(61 * SECOND);

    thief.at(&other).refresh().await.is_refused("refresh_reused");

    ada.at(&other).get("/profile").await.is_refused("session_ended");
    ada.refresh().await.is_refused("session_ended");
    site.app.follow().await.unwrap();
    ada.get("/profile").await.is_refused("session_ended");
    ada.at(&site.restarted().await).get("/profile").await.is_refused("session_ended");
    assert_eq!(audited(&site, "refresh_reused").await, 1);
}

#[tokio::test]
async fn r03_reuse_is_seen_after_the_clock_jumped() {
    type Jump = fn(&Site);
    let jumps: [Jump; 4] = [
        |site| site.clock.advance(DAY),
        |site| site.clock.turn_back(3_600 * SECOND),
        |site| site.clock.turn_back(DAY),
        |site| site.clock.advance(20_000 * DAY),
    ];
    for (n, jump) in jumps.into_iter().enumerate() {
        let site = Site::new().await;
        let ada = site.logged_in("ada").await;
        let thief = ada.copy();
        ada.refresh().await.is_ok();
        jump(&site);
        let refused = thief.refresh().await;
        // After its absolute end, the session is over in any case.
        refused.is_refused(if n == 3 { "session_expired" } else { "refresh_reused" });
        ada.refresh().await.is_refused(if n == 3 { "session_expired" } else { "session_ended" });
    }
}

#[tokio::test]
async fn r03_a_clock_that_is_set_back_a_second_logs_nobody_out() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let second_tab = ada.copy();
    ada.refresh().await.is_ok();
    site.clock.turn_back(SECOND);
    second_tab.refresh().await.is_ok();
    assert_eq!(second_tab.refresh_token(), ada.refresh_token());
    ada.get("/profile").await.is_ok();
    ada.refresh().await.is_ok();
}

#[tokio::test]
async fn r07_a_lost_answer_can_be_repeated_for_a_minute_and_extends_nothing() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let session = session_of(&ada).await;
    let cut_off = ada.copy();
    ada.refresh().await.is_ok();
    let (_, _, rotated_at, expires_at) = standing(&site, &session).await;
    for repeats in 1..=6 {
        site.clock.advance(10 * SECOND);
        let again = cut_off.copy();
        again.refresh().await.is_ok();
        assert_eq!(again.refresh_token(), ada.refresh_token());
        again.get("/profile").await.is_ok();
        assert_eq!(standing(&site, &session).await, (1, repeats, rotated_at, expires_at));
    }
    assert_eq!(audited(&site, "refresh_reused").await, 0);
    site.clock.advance(Duration::from_micros(1));
    cut_off.refresh().await.is_refused("refresh_reused");
}

#[tokio::test]
async fn r09_a_refresh_token_is_no_access_token_and_the_other_way_round() {
    let (site, elsewhere) = (Site::new().await, Site::new().await);
    let ada = site.logged_in("ada").await;
    let session = session_of(&ada).await;
    let (token, refresh) = (ada.token().unwrap(), ada.refresh_token().unwrap());
    let refused = |answer: Answer| assert_eq!(answer.is_refused("refresh_invalid")["status"], 401);

    let swapped = site.visitor();
    swapped.hold(Some(&refresh), None);
    swapped.get("/profile").await.is_refused("token_invalid");
    for bad in [&token, "", "dr1.", "dr2.", &refresh[..refresh.len() - 1], &format!("{refresh}A"), "null"] {
        refused(site.visitor().post("/refresh", json!({ "refresh_token": bad })).await);
    }
    refused(site.visitor().post(&format!("/refresh?refresh_token={refresh}"), json!({})).await);
    refused(ada.post("/refresh", json!({})).await);
    // Another server has another root secret, or other rows.
    refused(elsewhere.visitor().post("/refresh", json!({ "refresh_token": refresh })).await);
    // A forged successor: the same session, the next generation, the old signature.
    let mut bytes = crate::support::decode(&refresh[4..]);
    bytes[39] += 1;
    // The same, and in the former form, which has no user.
    for (prefix, bytes) in [("dr2.", &bytes[..]), ("dr1.", &bytes[16..])] {
        let forged = format!("{prefix}{}", crate::support::encode(bytes));
        refused(site.visitor().post("/refresh", json!({ "refresh_token": forged })).await);
    }

    assert_eq!(standing(&site, &session).await.0, 0);
    ada.refresh().await.is_ok();
}

#[tokio::test]
async fn r10_no_refresh_goes_past_the_absolute_end() {
    let site = Site::new().await;
    for mode in [Mode::Bearer, Mode::Cookie] {
        let ada = site.logged_in_by("ada", mode).await;
        for day in [20, 40, 60, 80, 89] {
            site.clock.advance(if day == 89 { 9 } else { 20 } * DAY);
            let answer = ada.refresh().await;
            let left = (90 - day) * 86_400;
            if mode == Mode::Bearer {
                assert_eq!(answer.is_ok()["refresh_expires_in"], left.min(30 * 86_400), "day {day}");
            } else {
                let ends = format!("Max-Age={}", left.min(30 * 86_400));
                assert!(answer.set_cookies().iter().filter(|line| line.contains(&ends)).count() == 2);
            }
        }
        site.clock.advance(DAY - SECOND);
        assert_eq!(ada.refresh().await.is_ok()["expires_in"], 1);
        ada.get("/profile").await.is_ok();
        site.clock.advance(SECOND);
        ada.get("/profile").await.is_refused("token_expired");
        ada.refresh().await.is_refused("session_expired");
    }
}

#[tokio::test]
async fn r10_a_refresh_token_that_nobody_uses_ends_after_thirty_days() {
    let site = Site::new().await;
    let (used, unused) = (site.logged_in("ada").await, site.logged_in("ada").await);
    site.later(30 * DAY - SECOND).await;
    used.refresh().await.is_ok();
    site.later(SECOND).await;
    unused.refresh().await.is_refused("session_expired");
    used.refresh().await.is_ok();
    let ended = "SELECT CAST(COUNT(*) AS BIGINT) FROM sessions WHERE generation = 2";
    assert_eq!(one::<i64>(&site, ended, Vec::new()).await, 1);
}
