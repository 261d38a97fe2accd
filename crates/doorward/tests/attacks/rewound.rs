//! A database that has lost commits: after a failover to a replica that lacked them, or after a restore. What a living
//! process knows of ended sessions comes back, later ends are seen, and nobody who did not ask is signed out.

use doorward::internals::store::Value as Stored;
use doorward::testing::Site;
use doorward_core::{Mode, SessionId};
use serde_json::{Value, json};

/// Sets the row of a session back to this generation.
pub(crate) async fn generation(site: &Site, session: &str, generation: i64) {
    const BACK: &str = "UPDATE sessions SET generation = $2 WHERE id = $1";
    let session: SessionId = session.parse().unwrap();
    let values = vec![Stored::Bytes(session.as_bytes().to_vec()), Stored::Int(generation)];
    assert_eq!(site.app.store.execute(BACK, values).await.unwrap(), 1);
}

/// Takes all ends of sessions back, and what led to them.
pub(crate) async fn lanes(site: &Site) {
    for back in [
        "UPDATE lanes SET position = 0",
        "DELETE FROM revocations",
        "DELETE FROM least_versions",
        "UPDATE sessions SET ended_at = NULL, end_reason = NULL",
    ] {
        site.app.store.execute(back, Vec::new()).await.unwrap();
    }
}

/// Waits until the audit log says that commits were lost; gives the number of those entries.
pub(crate) async fn healed(site: &Site) -> i64 {
    const NOTED: &str = "SELECT CAST(count(*) AS BIGINT) AS count FROM audit WHERE action = 'history_lost'";
    let noted = async {
        loop {
            let row = site.app.store.find(NOTED, Vec::new()).await.unwrap().unwrap();
            match row.get("count").unwrap() {
                0 => tokio::task::yield_now().await,
                count => return count,
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), noted).await.expect("it is healed")
}

#[tokio::test]
async fn d07_x18_ends_that_the_database_lost_are_written_back_by_any_process_that_lives() {
    for mode in [Mode::Bearer, Mode::Session] {
        let site = Site::new().await;
        let other = site.restarted().await;
        let ada = site.logged_in_by("ada", mode).await;
        let everywhere = site.logged_in_by("grace", mode).await;
        ada.at(&other).get("/profile").await.is_ok();
        let (copy, all) = (ada.copy(), everywhere.copy());
        ada.post("/logout", Value::Null).await.is_ok();
        everywhere.post("/logout/all", Value::Null).await.is_ok();
        other.app.follow().await.unwrap();
        lanes(&site).await;

        // The process of the logouts is gone: the other one heals what it has read.
        drop(site);
        other.app.follow().await.unwrap();
        assert_eq!(healed(&other).await, 1);
        // Once is enough.
        other.app.follow().await.unwrap();
        let third = other.restarted().await;
        for visitor in [&copy, &all] {
            let refused = visitor.at(&third).get("/profile").await;
            refused.has_status(401);
        }
        copy.at(&third).get("/profile").await.is_refused("session_ended");
        assert_eq!(healed(&third).await, 1);
    }
}

#[tokio::test]
async fn d07_a_logout_after_the_loss_is_seen_by_a_process_that_had_read_further() {
    let site = Site::new().await;
    let other = site.restarted().await;
    for n in 0..3 {
        site.logged_in(&format!("before{n}")).await.post("/logout", Value::Null).await.is_ok();
    }
    other.app.follow().await.unwrap();
    lanes(&site).await;
    for n in 0..3 {
        let ada = site.logged_in(&format!("after{n}")).await;
        let copy = ada.copy();
        copy.at(&other).get("/profile").await.is_ok();
        ada.post("/logout", Value::Null).await.is_ok();
        other.app.follow().await.unwrap();
        copy.at(&other).get("/profile").await.is_refused("session_ended");
    }
}

/// The next act of the process that lost commits comes before anybody looks. It lifts the lane over everybody's mark.
#[tokio::test]
async fn d07_a_loss_is_noticed_though_the_next_act_comes_before_anybody_looks() {
    for owner_lives in [true, false] {
        let site = Site::new().await;
        let other = site.restarted().await;
        let ada = site.logged_in_by("ada", Mode::Session).await;
        let grace = site.logged_in_by("grace", Mode::Session).await;
        let copy = ada.copy();
        ada.post("/logout", Value::Null).await.is_ok();
        other.app.follow().await.unwrap();
        lanes(&site).await;
        grace.post("/logout", Value::Null).await.is_ok();

        let healer = if owner_lives { &site } else { &other };
        healer.app.follow().await.unwrap();
        assert_eq!(healed(healer).await, 1);
        let third = healer.restarted().await;
        copy.at(&third).get("/profile").await.is_refused("session_ended");
        // It is over: later acts and looks find nothing lost.
        let ben = healer.logged_in("ben").await;
        ben.post("/logout", Value::Null).await.is_ok();
        for _ in 0..3 {
            healer.app.follow().await.unwrap();
        }
        assert!(healed(healer).await <= 2);
    }
}

/// The look that finds the loss fails afterwards, as looks do right after a failover.
#[tokio::test]
async fn d07_a_loss_is_not_forgotten_when_the_look_that_found_it_fails() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let grace = site.logged_in_by("grace", Mode::Session).await;
    let copy = ada.copy();
    ada.post("/logout", Value::Null).await.is_ok();
    site.app.follow().await.unwrap();
    lanes(&site).await;
    grace.post("/logout", Value::Null).await.is_ok();

    let run = async |sql: &'static str| site.app.store.execute(sql, Vec::new()).await.unwrap();
    run("UPDATE agreed SET value = 'no roles' WHERE name = 'roles'").await;
    run("UPDATE facts SET value = value + 1 WHERE name = 'agreed_version'").await;
    site.app.follow().await.unwrap_err();
    run("DELETE FROM agreed WHERE name = 'roles'").await;
    site.app.follow().await.unwrap();
    assert_eq!(healed(&site).await, 1);
    let third = site.restarted().await;
    copy.at(&third).get("/profile").await.is_refused("session_ended");
}

/// Nothing is left in memory to write back, and nothing is ended afterwards.
#[tokio::test]
async fn d07_a_loss_that_leaves_nothing_to_write_back_is_told_once() {
    let site = Site::new().await;
    site.logged_in("ada").await.post("/logout", Value::Null).await.is_ok();
    site.app.follow().await.unwrap();
    site.clock.advance(std::time::Duration::from_secs(3_600));
    site.app.sweep().await.unwrap();
    lanes(&site).await;
    for _ in 0..5 {
        site.app.follow().await.unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(1), healed(&site)).await.ok();
    }
    assert!(healed(&site).await <= 2, "{}", healed(&site).await);
}

#[tokio::test]
async fn d07_a_refresh_token_that_is_newer_than_its_row_is_the_current_one_and_no_theft() {
    let site = Site::new().await;
    let admin = site.admin("grace").await;
    let ada = site.logged_in("ada").await;
    let session = ada.session_id().await;
    for _ in 0..3 {
        ada.refresh().await.is_ok();
    }
    let (newest, copied) = (ada.copy(), ada.copy());
    generation(&site, &session, 1).await;
    ada.refresh().await.is_ok();
    ada.get("/profile").await.is_ok();
    // Its repeat is answered, as ever; a later copy is a theft, as ever.
    newest.refresh().await.is_ok();
    let log = admin.get("/admin/audit").await.is_ok();
    let entries = log["entries"].as_array().unwrap();
    let ahead: Vec<_> = entries.iter().filter(|entry| entry["action"] == "refresh_ahead").collect();
    assert_eq!(ahead.len(), 1, "{log}");
    assert_eq!(ahead[0]["session_id"], json!(session));
    site.clock.advance(std::time::Duration::from_secs(61));
    ada.refresh().await.is_ok();
    copied.refresh().await.is_refused("refresh_reused");
}

#[tokio::test]
async fn d07_a_process_that_ended_nothing_for_long_has_lost_nothing() {
    let site = Site::new().await;
    site.logged_in("ada").await.post("/logout", Value::Null).await.is_ok();
    site.app.follow().await.unwrap();
    for long_ago in ["UPDATE lanes SET seen_at = 0", "DELETE FROM revocations"] {
        site.app.store.execute(long_ago, Vec::new()).await.unwrap();
    }
    site.app.follow().await.unwrap();
    // The sweep deletes its lane, and the next look misses it.
    site.app.sweep().await.unwrap();
    site.app.follow().await.unwrap();
    let noted = "SELECT CAST(count(*) AS BIGINT) AS count FROM lanes";
    let left = site.app.store.find(noted, Vec::new()).await.unwrap().unwrap();
    assert_eq!(left.get::<i64>("count").unwrap(), 0);
    let admin = site.admin("grace").await;
    let log = admin.get("/admin/audit").await.is_ok().to_string();
    assert!(!log.contains("history_lost"), "{log}");
    let ada = site.logged_in("ada").await;
    let copy = ada.copy();
    let other = site.restarted().await;
    ada.post("/logout", Value::Null).await.is_ok();
    other.app.follow().await.unwrap();
    copy.at(&other).get("/profile").await.is_refused("session_ended");
}
