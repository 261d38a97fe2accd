//! The audit log by the day, and searches by ranges, as each engine can.

use doorward_core::{SessionId, UserId};

use super::*;
use crate::audit;
use crate::sweeps;

const DAY: u64 = 86_400;
const NOON: u64 = 20_000 * DAY + DAY / 2;
const ENTRY: &str = "INSERT INTO audit (id, created_at, action, actor) VALUES ($1, $2, 'login', 'owner')";
const NUMBER: &str = "SELECT CAST(count(*) AS BIGINT) AS number FROM audit";

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(i64::try_from(secs).unwrap())
}

async fn enter(store: &Store, secs: u64) {
    let id = SessionId::new(at(secs), crate::random::bytes());
    store.execute(ENTRY, values![id, at(secs)]).await.unwrap();
}

async fn number(store: &Store) -> i64 {
    store.find(NUMBER, values![]).await.unwrap().unwrap().get("number").unwrap()
}

/// Writes entries of ten days, each day's after the log was prepared for it, and reads and sweeps them.
async fn goes_on_for_ten_days(store: &Store) {
    for day in 0..10 {
        store.keep_days(at(NOON + day * DAY), None).await.unwrap();
        enter(store, NOON + day * DAY).await;
    }
    // Before the first day, and after the last one.
    enter(store, NOON - 3 * DAY).await;
    enter(store, NOON + 30 * DAY).await;
    assert_eq!(audit::page(store, None, 100, None).await.unwrap().len(), 12);
    let (now, before) = (at(NOON + 10 * DAY), at(NOON + 4 * DAY));
    store.keep_days(now, Some(before)).await.unwrap();
    sweeps::sweep(store, audit::expired(before).into()).await.unwrap();
    let left = audit::page(store, None, 100, None).await.unwrap();
    assert_eq!(left.len(), 7, "what is from before is gone: {left:?}");
}

#[tokio::test]
async fn the_log_keeps_its_days_with_and_without_partitions() {
    on_each_engine(async |place| {
        let store = Store::open(&place.settings, at(NOON)).await.unwrap();
        goes_on_for_ten_days(&store).await;
        store.close().await;
    })
    .await;
    let Some(place) = Place::postgres().await else { return };
    let plain = Store::connect(&place.settings).await.unwrap();
    migrate::run(&plain, migrate::ALL, at(NOON)).await.unwrap();
    goes_on_for_ten_days(&plain).await;
    // A server that can partition does so at its start, and keeps what was there.
    let store = Store::open(&place.settings, at(NOON + 10 * DAY)).await.unwrap();
    assert_eq!(number(&store).await, 7);
    plain.close().await;
    store.close().await;
    place.remove().await;
}

#[tokio::test]
async fn days_that_are_over_are_dropped_whole() {
    let Some(place) = Place::postgres().await else { return };
    let store = Store::open(&place.settings, at(NOON)).await.unwrap();
    for day in [0, 1] {
        enter(&store, NOON + day * DAY).await;
    }
    store.keep_days(at(NOON + 2 * DAY), Some(at(NOON))).await.unwrap();
    assert_eq!(number(&store).await, 2, "half of the first day is to be kept");
    // No sweep deletes a row here.
    store.keep_days(at(NOON + 2 * DAY), Some(at(NOON + DAY))).await.unwrap();
    assert_eq!(number(&store).await, 1);
    store.close().await;
    place.remove().await;
}

#[tokio::test]
async fn names_are_found_by_ranges_whatever_the_order_of_the_servers_language() {
    let Some(place) = Place::postgres_in("LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0").await
    else {
        return;
    };
    let store = Store::open(&place.settings, at(NOON)).await.unwrap();
    for (number, name) in ["a b", "a-b", "ab", "abc", "b", "äb"].into_iter().enumerate() {
        let id = UserId::from_bytes([u8::try_from(number).unwrap(); 16]);
        let sql = "INSERT INTO users (id, name, name_folded, role, created_at, updated_at) VALUES ($1, $2, $2, 'user', 1, 1)";
        store.execute(sql, values![id, name]).await.unwrap();
    }
    let range =
        "SELECT name FROM users WHERE name_folded >= $1 AND name_folded < $2 ORDER BY name_folded, id";
    let found = store.list(range, values!["ab", "ab\u{10ffff}"]).await.unwrap();
    let found: Vec<String> = found.iter().map(|row| row.get("name").unwrap()).collect();
    assert_eq!(found, ["ab", "abc"]);
    // The next start finds it done.
    Store::open(&place.settings, at(NOON)).await.unwrap().close().await;
    store.close().await;
    place.remove().await;
}

#[tokio::test]
async fn a_server_starts_where_it_may_not_make_the_tables_of_days() {
    let Some(place) = Place::postgres().await else { return };
    Store::open(&place.settings, at(NOON)).await.unwrap().close().await;
    let owner = Store::open(&place.settings, at(NOON)).await.unwrap();
    // As for a role that does not own them.
    let away = async |tx: &mut Tx| {
        tx.migrate(
            "ALTER TABLE audit RENAME TO audit_hidden; CREATE VIEW audit AS SELECT id FROM audit_hidden",
        )
        .await
    };
    owner.transaction(away).await.unwrap();
    Store::open(&place.settings, at(NOON + 9 * DAY)).await.unwrap().close().await;
    owner.close().await;
    place.remove().await;
}
