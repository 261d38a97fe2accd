//! Logouts elsewhere: sent at once, sent again after a lost connection, and what a guard does without them.

use std::time::Duration;

use doorward::testing::{Site, Visitor};
use doorward_core::role::RoleName;
use doorward_guard::WhenStale;
use serde_json::json;

use crate::way::Way;
use crate::{FEED_SECRET, eventually, following, server, told, verdict_on};

#[tokio::test]
async fn a_logout_at_the_server_is_refused_by_a_guard_elsewhere() {
    let (site, address) = server().await;
    let (ada, grace) = (site.logged_in("ada").await, site.logged_in("grace").await);
    let gone = site.logged_in("joan").await;
    gone.post("/logout", json!({})).await.is_ok();

    let guard = following(&site, address).build().await.unwrap();
    assert_eq!(verdict_on(&guard, &gone).await, "session_ended", "known before the guard began");
    assert_eq!((verdict_on(&guard, &ada).await, verdict_on(&guard, &grace).await), ("ok", "ok"));
    ada.post("/logout", json!({})).await.is_ok();
    eventually("the logout is known", async || verdict_on(&guard, &ada).await == "session_ended").await;
    assert_eq!(verdict_on(&guard, &grace).await, "ok");
    let health = guard.health();
    assert_eq!((health.revocations, health.keys, health.is_stale), (2, 1, false));
    assert!(health.position.is_some() && health.problem.is_none(), "{health:?}");
}

#[tokio::test]
async fn a_changed_role_makes_tokens_stale_elsewhere_until_they_are_refreshed() {
    let (site, address) = server().await;
    let (admin, ada) = (site.admin("root").await, site.logged_in("ada").await);
    let guard = following(&site, address).build().await.unwrap();
    assert_eq!(verdict_on(&guard, &ada).await, "ok");
    let path = format!("/admin/users/{}", ada.user_id().await);
    admin.patch(&path, json!({ "role": RoleName::ADMIN.as_str() })).await.is_ok();
    eventually("the new role is known", async || verdict_on(&guard, &ada).await == "token_stale").await;
    ada.refresh().await.is_ok();
    assert_eq!(verdict_on(&guard, &ada).await, "ok");
}

#[tokio::test]
async fn a_logout_everywhere_is_one_entry_elsewhere_and_no_token_of_before_gets_in() {
    let (site, address) = server().await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(site.logged_in("ada").await);
    }
    let grace = site.logged_in("grace").await;
    let guard = following(&site, address).build().await.unwrap();
    assert_eq!(verdict_on(&guard, &all[4]).await, "ok");
    let before: Vec<_> = all.iter().map(Visitor::copy).collect();
    all[0].post("/logout/all", json!({})).await.is_ok();
    for visitor in &before {
        eventually("the logout is known", async || verdict_on(&guard, visitor).await == "token_stale").await;
        visitor.refresh().await.is_refused("session_ended");
        assert_eq!(verdict_on(&guard, visitor).await, "token_stale");
    }
    let again = site.logged_in("ada").await;
    assert_eq!((verdict_on(&guard, &again).await, verdict_on(&guard, &grace).await), ("ok", "ok"));
    assert_eq!(guard.health().revocations, 1);
}

#[tokio::test]
async fn logouts_while_the_feed_was_cut_are_all_known_after_it() {
    let (site, address) = server().await;
    let way = Way::to(address).await;
    let guard = following(&site, way.address).build().await.unwrap();
    let mut people = Vec::new();
    for n in 0..20 {
        people.push(site.logged_in(&format!("person{n}")).await);
    }
    people[0].post("/logout", json!({})).await.is_ok();
    eventually("the first logout", async || verdict_on(&guard, &people[0]).await == "session_ended").await;

    way.cut();
    eventually("the cut is noticed", async || guard.health().problem.is_some()).await;
    for person in &people {
        person.post("/logout", json!({})).await.is_ok();
    }
    for person in &people[1..] {
        assert_eq!(verdict_on(&guard, person).await, "ok", "within the span that it goes on");
    }
    way.lead_to(address);
    for person in &people {
        eventually("every logout", async || verdict_on(&guard, person).await == "session_ended").await;
    }
    assert!(guard.health().reconnects > 0 && guard.health().problem.is_none());
    assert_eq!(way.count("GET /revocations") - way.count("last-event-id: "), 1, "it went on where it was");
}

#[tokio::test]
async fn a_restart_of_the_server_loses_no_logout() {
    let (site, address) = server().await;
    let way = Way::to(address).await;
    let guard = following(&site, way.address).build().await.unwrap();
    let (ada, grace) = (site.logged_in("ada").await, site.logged_in("grace").await);
    way.cut();
    let again = site.restarted().await;
    ada.at(&again).post("/logout", json!({})).await.is_ok();
    way.lead_to(again.listen().await);
    eventually("the logout", async || verdict_on(&guard, &ada).await == "session_ended").await;
    assert_eq!(verdict_on(&guard, &grace).await, "ok");
}

#[tokio::test]
async fn a_guard_that_hears_nothing_refuses_with_503_until_it_hears_again() {
    let (site, address) = server().await;
    let way = Way::to(address).await;
    let short = Duration::from_millis(200);
    let guard = following(&site, way.address).stale_after(short).build().await.unwrap();
    let other = following(&site, way.address).stale_after(short).when_stale(WhenStale::AcceptUntilExpiry);
    let accepting = other.build().await.unwrap();
    let (ada, gone) = (site.logged_in("ada").await, site.logged_in("grace").await);
    gone.post("/logout", json!({})).await.is_ok();
    eventually("the logout", async || verdict_on(&accepting, &gone).await == "session_ended").await;
    eventually("the logout", async || verdict_on(&guard, &gone).await == "session_ended").await;

    way.cut();
    eventually("the guard is stale", async || verdict_on(&guard, &ada).await == "unavailable").await;
    eventually("the other too", async || accepting.health().is_stale).await;
    assert_eq!(verdict_on(&accepting, &ada).await, "ok");
    assert_eq!(verdict_on(&guard, &gone).await, "session_ended");
    assert_eq!(verdict_on(&accepting, &gone).await, "session_ended");
    way.lead_to(address);
    eventually("it hears again", async || verdict_on(&guard, &ada).await == "ok").await;
}

#[tokio::test]
async fn more_revocations_than_fit_refuse_rather_than_let_in() {
    let (site, address) = server().await;
    let of_two = || following(&site, address).max_revocations(2);
    let guard = of_two().build().await.unwrap();
    let lenient = of_two().when_stale(WhenStale::AcceptUntilExpiry).build().await.unwrap();
    let ada = site.logged_in("ada").await;
    let mut gone = Vec::new();
    for n in 0..3 {
        let visitor = site.logged_in(&format!("person{n}")).await;
        gone.push(visitor.copy());
        visitor.post("/logout", json!({})).await.is_ok();
    }
    for guard in [&guard, &lenient] {
        eventually("it is full", async || verdict_on(guard, &ada).await == "unavailable").await;
        let health = guard.health();
        assert_eq!((health.revocations, health.is_stale), (2, true));
        for visitor in &gone {
            assert_ne!(verdict_on(guard, visitor).await, "ok");
        }
        assert_eq!(verdict_on(guard, &gone[2]).await, "session_ended");
    }
}

#[tokio::test]
async fn a_guard_that_begins_at_a_server_which_lacks_revocations_knows_that() {
    let settings =
        [("DOORWARD_FEED_SECRET", FEED_SECRET), ("throttle.enabled", "false"), ("revocations.max", "2")];
    let site = Site::with(&settings).await;
    let address = site.listen().await;
    let mut gone = Vec::new();
    for n in 0..4 {
        let visitor = site.logged_in(&format!("person{n}")).await;
        gone.push(visitor.copy());
        visitor.post("/logout", json!({})).await.is_ok();
        site.app.follow().await.unwrap();
        site.clock.advance(Duration::from_secs(1));
    }
    // Older than the last logout, but younger than the tokens that the server forgot.
    site.later(Duration::from_secs(660)).await;
    let young = site.logged_in("young").await;
    let lenient = following(&site, address).when_stale(WhenStale::AcceptUntilExpiry);
    for guard in [following(&site, address).build().await.unwrap(), lenient.build().await.unwrap()] {
        let verdicts = [
            verdict_on(&guard, &gone[0]).await,
            verdict_on(&guard, &gone[1]).await,
            verdict_on(&guard, &gone[2]).await,
            verdict_on(&guard, &gone[3]).await,
            verdict_on(&guard, &young).await,
        ];
        assert_eq!(verdicts, ["unavailable", "unavailable", "session_ended", "session_ended", "ok"]);
    }
}

#[tokio::test]
async fn who_does_without_revocations_accepts_until_expiry() {
    let (site, address) = server().await;
    let guard = told(&site, address).without_revocations().build().await.unwrap();
    let ada = site.logged_in("ada").await;
    ada.post("/logout", json!({})).await.is_ok();
    assert_eq!((verdict_on(&guard, &ada).await, guard.health().position), ("ok", None));
    site.clock.advance(Duration::from_secs(900));
    assert_eq!(verdict_on(&guard, &ada).await, "token_expired");
}
