//! Slow reads delay no other answer, and no news of sessions that ended elsewhere.

use std::sync::Arc;
use std::time::Duration;

use doorward::internals::store::{Row, StoreError};
use doorward::testing::{Site, Visitor};
use tokio::task::JoinHandle;

use crate::client::soon;

/// Counts so far.
const SLOW: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
     SELECT CAST(count(*) AS BIGINT) FROM n";

/// Reads that take all of SQLite's readers but one, each for as long as it takes to count to this number: a million in
/// a second.
fn all_readers_are_busy(site: &Site, count: i64) -> Vec<JoinHandle<Result<Vec<Row>, StoreError>>> {
    let read = |is_scan: bool| {
        let store = site.app.store.clone();
        tokio::spawn(async move {
            match is_scan {
                true => store.scan(None, SLOW, vec![count.into()]).await,
                false => store.find(SLOW, vec![count.into()]).await.map(|row| row.into_iter().collect()),
            }
        })
    };
    [true, true, false, false].map(read).into()
}

#[tokio::test]
async fn a_logout_in_another_process_is_followed_while_every_other_reader_is_busy() {
    let site = Site::new().await;
    if site.app.settings.database.is_some() {
        return;
    }
    let other = site.restarted().await;
    let ada = site.logged_in("ada").await;
    let _keeping_up = site.app.keep_up();
    ada.get("/profile").await.is_ok();
    let busy = all_readers_are_busy(&site, 4_000_000);
    ada.at(&other).post("/logout", serde_json::Value::Null).await.is_ok();
    let refused = soon(async {
        loop {
            // A read that needs a busy reader is abandoned.
            let asked = tokio::time::timeout(Duration::from_millis(50), ada.get("/profile")).await;
            if let Some(refused) = asked.ok().filter(|answer| answer.status != 200) {
                return refused;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    refused.await.has_status(401).is_refused("session_ended");
    assert!(busy.iter().all(|read| !read.is_finished()), "it was heard only after the reads");
}

/// Sends this many at once, each in a task of its own.
fn ask(visitor: &Arc<Visitor>, path: &'static str, times: usize) -> Vec<JoinHandle<u16>> {
    let ask = |_| {
        let visitor = visitor.clone();
        tokio::spawn(async move { visitor.get(path).await.status.as_u16() })
    };
    (0..times).map(ask).collect()
}

async fn has_many_users(site: &Site) {
    let statements = match site.app.settings.database.is_none() {
        true => [
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
             INSERT INTO users (id, name, name_folded, role, created_at, updated_at) \
             SELECT CAST(printf('%016d', i) AS BLOB), 'somebody', 'somebody', 'user', 0, 0 FROM n",
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
             INSERT INTO emails (address, folded, user_id, is_primary) SELECT i || '@example.org', \
             i || '@example.org', CAST(printf('%016d', i) AS BLOB), 1 FROM n",
        ],
        false => [
            "INSERT INTO users (id, name, name_folded, role, created_at, updated_at) \
             SELECT convert_to(lpad(i::text, 16, '0'), 'UTF8'), 'somebody', 'somebody', 'user', 0, 0 \
             FROM generate_series(1, 20000) AS n (i)",
            "INSERT INTO emails (address, folded, user_id, is_primary) SELECT i || '@example.org', \
             i || '@example.org', convert_to(lpad(i::text, 16, '0'), 'UTF8'), 1 \
             FROM generate_series(1, 20000) AS n (i)",
        ],
    };
    for rows in statements {
        assert_eq!(site.app.store.execute(rows, Vec::new()).await.unwrap(), 20_000);
    }
}

#[tokio::test]
async fn a_hundred_searches_of_one_admin_delay_nobody_else_and_what_is_too_many_is_refused() {
    let site = Site::new().await;
    has_many_users(&site).await;
    let admin = Arc::new(site.admin("root").await);
    let ben = site.logged_in("ben").await;
    let searches = ask(&admin, "/admin/users?search=nobody-has-this", 100);
    let mut searches: Vec<_> = searches.into_iter().map(Some).collect();
    let first = soon(searches[0].take().unwrap()).await.unwrap();
    assert_eq!(first, 200);
    ben.get("/sessions").await.is_ok();
    let waiting = searches.iter().flatten().filter(|search| !search.is_finished()).count();
    assert!(waiting >= 50, "{waiting} of a hundred searches were still to be answered");
    let mut answers = vec![first];
    for search in searches.into_iter().flatten() {
        answers.push(soon(search).await.unwrap());
    }
    let found = answers.iter().filter(|status| **status == 200).count();
    let refused = answers.iter().filter(|status| **status == 503).count();
    assert_eq!(found + refused, 100);
    assert!(found >= 64 && refused > 0, "{found} found, {refused} refused");
    admin.get("/admin/users?search=nobody-has-this").await.is_ok();
}

#[tokio::test]
async fn one_user_who_fills_the_queue_of_scans_fills_only_a_share_of_it() {
    let site = Site::new().await;
    if site.app.settings.database.is_some() {
        return;
    }
    let ada = Arc::new(site.logged_in("ada").await);
    let ben = site.logged_in("ben").await;
    let _busy = all_readers_are_busy(&site, 1_000_000);
    let asked = ask(&ada, "/sessions", 1_100);
    ben.get("/sessions").await.is_ok();
    let mut answers = Vec::new();
    for one in asked {
        answers.push(soon(one).await.unwrap());
    }
    let [found, refused] =
        [200, 503].map(|status| answers.iter().filter(|answer| **answer == status).count());
    assert_eq!(found + refused, 1_100);
    assert!((64..100).contains(&found), "{found}");
}
