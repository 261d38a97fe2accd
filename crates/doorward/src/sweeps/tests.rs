use doorward_core::{Mode, SessionId, Timestamp};
use serde_json::Value as Json;

use super::*;
use crate::testing::Site;

const DAY: Duration = Duration::from_secs(86_400);
const FORMER: &str =
    "INSERT INTO former_credentials (session_id, salt, is_over, expires_at) VALUES ($1, $2, 0, 1)";
const EXPIRED_FORMER: &str = "DELETE FROM former_credentials WHERE (session_id, salt) IN (SELECT session_id, salt \
     FROM former_credentials WHERE expires_at <= $1 LIMIT $2)";

async fn number(site: &Site, sql: &'static str) -> i64 {
    site.app.store.find(sql, values![]).await.unwrap().unwrap().get("number").unwrap()
}

async fn sessions(site: &Site) -> i64 {
    number(site, "SELECT CAST(count(*) AS BIGINT) AS number FROM sessions").await
}

async fn former(site: &Site) -> i64 {
    number(site, "SELECT CAST(count(*) AS BIGINT) AS number FROM former_credentials").await
}

/// Rows that are long expired.
async fn with_former(rows: u16) -> Site {
    let site = Site::new().await;
    let work = async move |tx: &mut Tx| {
        for number in 0..rows {
            let salt = number.to_be_bytes().to_vec();
            tx.execute(FORMER, values![SessionId::from_bytes([7; 16]), salt]).await?;
        }
        Ok(())
    };
    site.app.store.transaction(work).await.unwrap();
    site
}

#[tokio::test]
async fn sessions_go_a_day_after_their_end_and_live_ones_stay() {
    let site = Site::with(&[("session.idle_ttl", "1h"), ("refresh.ttl", "30d")]).await;
    let (out, idle) = (site.logged_in("ada").await, site.logged_in_by("bob", Mode::Session).await);
    let lives = site.logged_in("carol").await;
    out.post("/logout", Json::Null).await.is_ok();
    site.later(DAY).await;
    assert_eq!(sessions(&site).await, 3, "they may still be asked about");
    idle.get("/profile").await.is_refused("session_expired");
    site.later(Duration::from_secs(2 * 3_600)).await;
    assert_eq!(sessions(&site).await, 1);
    site.later(27 * DAY).await;
    lives.refresh().await.is_ok();
    site.later(20 * DAY).await;
    assert_eq!(sessions(&site).await, 1, "a session that is used moves its end");
    lives.refresh().await.is_ok();
    site.later(32 * DAY).await;
    assert_eq!(sessions(&site).await, 0);
}

#[tokio::test]
async fn a_table_that_cannot_be_swept_keeps_no_other_from_it() {
    let site = Site::new().await;
    site.logged_in("ada").await.post("/logout", Json::Null).await.is_ok();
    site.app.store.execute("DROP TABLE devices", values![]).await.unwrap();
    site.clock.advance(100 * DAY);
    assert!(site.app.sweep().await.is_err());
    assert_eq!(sessions(&site).await, 0);
    assert_eq!(number(&site, "SELECT CAST(count(*) AS BIGINT) AS number FROM audit").await, 0);
}

#[tokio::test]
async fn a_backlog_goes_in_batches_until_it_is_gone() {
    let site = with_former(2_500).await;
    let expired = Expired::of("former_credentials", EXPIRED_FORMER, values![Timestamp::from_secs(9)]);
    assert_eq!(expired.batch(&site.app.store, 100).await.unwrap().rows, 100);
    assert_eq!(former(&site).await, 2_400);
    site.app.sweep().await.unwrap();
    assert_eq!(former(&site).await, 0);
}

#[tokio::test]
async fn one_node_sweeps_at_a_time_and_a_lost_one_is_replaced() {
    let site = with_former(1).await;
    let lease = async |sql| assert_eq!(site.app.store.execute(sql, values![]).await.unwrap(), 1);
    lease("UPDATE facts SET value = (SELECT millis + 30000 FROM store_time) WHERE name = 'sweep_lease'")
        .await;
    site.app.sweep().await.unwrap();
    assert_eq!(former(&site).await, 1, "another node sweeps");
    lease("UPDATE facts SET value = (SELECT millis - 1 FROM store_time) WHERE name = 'sweep_lease'").await;
    site.app.sweep().await.unwrap();
    assert_eq!(former(&site).await, 0, "that one stopped");

    let site = with_former(1).await;
    let lease = async |sql| assert_eq!(site.app.store.execute(sql, values![]).await.unwrap(), 1);
    lease("UPDATE facts SET value = (SELECT millis + 86400000 FROM store_time) WHERE name = 'sweep_lease'")
        .await;
    site.app.sweep().await.unwrap();
    assert_eq!(former(&site).await, 0, "the store's clock was set back since");
    site.app.sweep().await.unwrap();
}
