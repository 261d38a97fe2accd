//! Tests of SQLite alone: the queue, the group commit, and other processes on the same file.

use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;

use super::*;
use crate::store::sqlite::QUEUE;

#[tokio::test]
async fn a_full_queue_turns_acts_away_and_nothing_that_it_took_is_lost() {
    let place = Place::sqlite();
    let store = place.open().await;
    let release = hold_the_acts(&store).await;
    let increase = || Box::pin(store.execute("UPDATE numbers SET value = value + 1", values![]));
    let mut waiting: Vec<_> = (0..QUEUE).map(|_| increase()).collect();
    waiting.iter_mut().for_each(|act| assert_eq!(poll_once(act), None));

    assert_eq!(increase().await, Err(StoreError::Overloaded));

    drop(release);
    for act in waiting {
        assert_eq!(act.await, Ok(2));
    }
    assert_eq!(value_of(&store, "first").await, Some(QUEUE as i64));
    store.close().await;
}

#[tokio::test]
async fn a_store_that_is_dropped_finishes_what_it_took() {
    let place = Place::sqlite();
    let store = place.open().await;
    let release = hold_the_acts(&store).await;
    for _ in 0..100 {
        let mut act = Box::pin(store.execute("UPDATE numbers SET value = value + 1", values![]));
        assert_eq!(poll_once(&mut act), None);
    }
    drop(store);
    drop(release);
    let store = place.open().await;
    while value_of(&store, "first").await != Some(100) {}
    store.close().await;
}

#[tokio::test]
async fn acts_that_wait_together_are_committed_together_and_fail_alone() {
    let place = Place::sqlite();
    let store = place.open().await;
    let release = hold_the_acts(&store).await;
    let mut first = Box::pin(store.execute(ADD, values!["a", 1]));
    let mut failing = Box::pin(store.transaction(async |tx| {
        tx.execute(ADD, values!["b", 1]).await?;
        Err::<(), _>(StoreError::Overloaded)
    }));
    let file = place.file();
    let mut last = Box::pin(store.transaction(async move |tx| {
        let inside = tx.list("SELECT name FROM numbers", values![]).await?.len();
        let count = "SELECT count(*) FROM numbers";
        let outside = Connection::open(&file).unwrap().query_row(count, [], |row| row.get(0)).unwrap();
        Ok((inside, outside))
    }));
    assert!(poll_once(&mut first).is_none() && poll_once(&mut failing).is_none());
    assert!(poll_once(&mut last).is_none());
    drop(release);
    assert_eq!((first.await, failing.await), (Ok(1), Err(StoreError::Overloaded)));
    assert_eq!(last.await, Ok((3, 2_i64)));
    assert_eq!(value_of(&store, "a").await, Some(1));
    store.close().await;
}

#[tokio::test]
async fn where_the_commit_fails_nobody_is_told_that_it_was_done() {
    let place = Place::sqlite();
    let store = place.open().await;
    let release = hold_the_acts(&store).await;
    let mut innocent = Box::pin(store.execute(ADD, values!["a", 1]));
    let mut failing = Box::pin(store.transaction(async |tx| {
        // A foreign key that is checked only at the commit.
        tx.migrate("PRAGMA defer_foreign_keys = ON").await?;
        let orphan = "INSERT INTO challenges (hash, id, purpose, user_id, created_at, expires_at)
            VALUES ($1, $1, 'reset', $1, 1, 1)";
        tx.execute(orphan, values![[1_u8; 16]]).await
    }));
    assert!(poll_once(&mut innocent).is_none() && poll_once(&mut failing).is_none());
    drop(release);
    assert!(innocent.await.unwrap_err().is_conflict());
    assert!(failing.await.unwrap_err().is_conflict());
    assert_eq!(value_of(&store, "a").await, None);
    assert_eq!(store.execute(ADD, values!["a", 1]).await, Ok(1));
    store.close().await;
}

#[tokio::test]
async fn an_act_that_awaits_something_else_fails_at_once() {
    let place = Place::sqlite();
    let store = place.open().await;
    let waiting = store.transaction(async |tx| {
        tx.execute(ADD, values!["a", 1]).await?;
        tokio::task::yield_now().await;
        Ok(())
    });
    assert!(waiting.await.unwrap_err().to_string().contains("awaited something else"));
    assert_eq!(value_of(&store, "a").await, None);
    store.close().await;
}

#[tokio::test]
async fn a_long_scan_does_not_delay_a_point_read() {
    let place = Place::sqlite();
    let store = place.open().await;
    let count = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)
        SELECT CAST(max(n) AS BIGINT) AS max FROM numbers";
    let mut scan = Box::pin(store.list(count, values![2_000_000]));
    assert!(poll_once(&mut scan).is_none());
    assert_eq!(value_of(&store, "first").await, Some(0));
    assert!(poll_once(&mut scan).is_none());
    assert_eq!(scan.await.unwrap()[0].get("max"), Ok(2_000_000_i64));
    store.close().await;
}

#[tokio::test]
async fn the_data_version_moves_with_another_process_and_stays_for_our_own_writes() {
    let place = Place::sqlite();
    let store = place.open().await;
    let before = store.data_version().await.unwrap();
    store.execute(ADD, values!["ours", 1]).await.unwrap();
    assert_eq!(store.data_version().await.unwrap(), before);

    let other = Connection::open(place.file()).unwrap();
    other.execute("INSERT INTO numbers (name, value) VALUES ('theirs', 1)", []).unwrap();
    assert_ne!(store.data_version().await.unwrap(), before);

    let between = store.data_version().await.unwrap();
    other.execute("UPDATE numbers SET value = 2", []).unwrap();
    // This store's write comes between, and must not hide the other's.
    store.execute("UPDATE numbers SET value = value + 1", values![]).await.unwrap();
    assert_ne!(store.data_version().await.unwrap(), between);
    assert_eq!(value_of(&store, "theirs").await, Some(3));
    store.close().await;
}

#[tokio::test]
async fn another_process_that_writes_is_waited_for() {
    let place = Place::sqlite();
    let store = place.open().await;
    let other = Connection::open(place.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; UPDATE numbers SET value = 5").unwrap();
    let mut waiting = Box::pin(store.execute("UPDATE numbers SET value = value + 1", values![]));
    assert!(poll_once(&mut waiting).is_none());
    // Reads go on meanwhile, and see what is committed.
    assert_eq!(value_of(&store, "first").await, Some(0));
    assert!(poll_once(&mut waiting).is_none());
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(waiting.await, Ok(2));
    assert_eq!(value_of(&store, "first").await, Some(6));
    store.close().await;
}

#[test]
fn busy_for_too_long_is_unavailable() {
    let place = Place::sqlite();
    let (one, other) = (Connection::open(place.file()).unwrap(), Connection::open(place.file()).unwrap());
    other.busy_timeout(Duration::ZERO).unwrap();
    one.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = crate::store::sqlite_query::batch(&other, "BEGIN IMMEDIATE").unwrap_err();
    assert!(matches!(&busy, StoreError::Unavailable(text) if text.contains("locked")), "{busy}");
}

#[tokio::test]
async fn the_file_is_for_its_owner_only_and_so_is_its_log() {
    let place = Place::sqlite();
    let store = place.open().await;
    let mut files = 0;
    for entry in std::fs::read_dir(place.file().parent().unwrap()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files += 1;
    }
    assert!(files >= 2, "{files} files");
    store.close().await;
}

#[tokio::test]
async fn d02_every_commit_waits_for_the_disk_and_the_tables_are_strict() {
    let place = Place::sqlite();
    let store = place.open().await;
    let number = async |tx: &mut Tx, pragma: &'static str| -> Result<i64, StoreError> {
        tx.find(pragma, values![]).await?.unwrap().only()
    };
    let (foreign_keys, synchronous) = store
        .transaction(async move |tx| {
            Ok((number(tx, "PRAGMA foreign_keys").await?, number(tx, "PRAGMA synchronous").await?))
        })
        .await
        .unwrap();
    assert_eq!((foreign_keys, synchronous), (1, 2));
    let mode = store.find("PRAGMA journal_mode", values![]).await.unwrap().unwrap();
    assert_eq!(mode.get("journal_mode"), Ok("wal".to_owned()));
    let lax = "SELECT name FROM pragma_table_list WHERE strict = 0 AND type = 'table' \
         AND name NOT LIKE 'sqlite%'";
    assert_eq!(store.list(lax, values![]).await.unwrap(), []);
    let written = store.find("UPDATE numbers SET value = 9 RETURNING value", values![]).await;
    assert!(written.is_err(), "a read wrote");
    store.close().await;
}

#[tokio::test]
async fn a_file_that_is_no_database_and_a_folder_that_is_not_there_are_refused_in_clear_words() {
    let place = Place::sqlite();
    std::fs::write(place.file(), "Dear diary, ".repeat(100)).unwrap();
    let opened = Store::open(&place.settings, Timestamp::default()).await;
    assert!(matches!(opened.map(drop), Err(StoreError::Corrupt(_))));
    let nowhere = StoreSettings { database: Database::Sqlite(place.file().join("deeper")) };
    let text = Store::open(&nowhere, Timestamp::default()).await.map(drop).unwrap_err().to_string();
    assert!(text.contains("deeper can't be opened"), "{text}");
}

/// Like a disk that hangs: a caller that got a failure must not find the transaction done later.
#[tokio::test]
async fn d03_an_act_that_is_kept_waiting_is_taken_back_and_never_happens() {
    let place = Place::sqlite();
    let store = place.open().await;
    let release = hold_the_acts(&store).await;
    let refused = store.execute("UPDATE numbers SET value = value + 1", values![]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    drop(release);
    assert_eq!(store.execute("UPDATE numbers SET value = value + 100", values![]).await, Ok(2));
    assert_eq!(value_of(&store, "first").await, Some(100));
    store.close().await;
}
