//! What holds on both engines; tests of one engine are below `tests/`.

mod days;
mod lint;
mod migrations;
mod on_postgres;
mod on_sqlite;
mod pipeline;
mod place;
mod plans;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use doorward_core::UserId;
use doorward_core::role::RoleName;

use super::*;
use place::{Place, on_each_engine};

const ADD: &str = "INSERT INTO numbers (name, value) VALUES ($1, $2)";
const READ: &str = "SELECT value FROM numbers WHERE name = $1";
const THINGS: &str = "CREATE TABLE IF NOT EXISTS things (
    id BIGINT PRIMARY KEY,
    note TEXT,
    data BYTEA
);";
const NUMBERS: &str = "CREATE TABLE IF NOT EXISTS numbers (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO numbers (name, value) VALUES ('first', 0), ('second', 0) ON CONFLICT DO NOTHING;";

async fn value_of(store: &Store, name: &str) -> Option<i64> {
    store.find(READ, values![name]).await.unwrap().map(|row| row.get("value").unwrap())
}

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    on_each_engine(async |place| {
        let store = place.open().await;
        let add = "INSERT INTO things (id, note, data) VALUES ($1, $2, $3)";
        let id = UserId::from_bytes([7; 16]);
        store.execute(add, values![i64::MAX, "naïve ☂", id]).await.unwrap();
        store.execute(add, values![i64::MIN, "", Vec::<u8>::new()]).await.unwrap();
        store.execute(add, values![0, RoleName::ADMIN, [0_u8, 255]]).await.unwrap();
        store.execute(add, values![Timestamp::from_micros(5), None::<String>, None::<UserId>]).await.unwrap();

        let rows = store.list("SELECT id, note, data FROM things ORDER BY id", values![]).await.unwrap();
        let [lowest, zero, five, highest] = rows.as_slice() else { panic!("{} rows", rows.len()) };
        assert_eq!((lowest.get("id"), lowest.get("note")), (Ok(i64::MIN), Ok(String::new())));
        assert_eq!(lowest.get("data"), Ok(Vec::<u8>::new()));
        assert_eq!((zero.get("note"), zero.get("data")), (Ok(RoleName::ADMIN), Ok([0_u8, 255])));
        assert_eq!(five.get("id"), Ok(Timestamp::from_micros(5)));
        assert_eq!((five.get("note"), five.get("data")), (Ok(None::<String>), Ok(None::<[u8; 16]>)));
        assert_eq!((highest.get("note"), highest.get("data")), (Ok(Some("naïve ☂".to_owned())), Ok(id)));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_no_such_value_is_corrupt_and_is_not_printed() {
    on_each_engine(async |place| {
        let store = place.open().await;
        let row =
            store.find("SELECT name, value FROM numbers ORDER BY name", values![]).await.unwrap().unwrap();
        for wrong in [
            row.get::<i64>("name").map(drop),
            row.get::<UserId>("name").map(drop),
            row.get::<Option<Timestamp>>("name").map(drop),
            row.get::<String>("value").map(drop),
            row.get::<i64>("none").map(drop),
        ] {
            let StoreError::Corrupt(text) = wrong.unwrap_err() else { panic!("another error") };
            assert!(!text.contains("first"), "{text}");
        }
        assert_eq!(row.get::<i64>("none"), Err(StoreError::Corrupt("the answer has no column none".into())));
        assert!(!format!("{row:?}").contains("first"), "{row:?}");
        let real = store.find("SELECT 1.5", values![]).await;
        assert!(matches!(real, Err(StoreError::Corrupt(_))), "{real:?}");
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn parameters_go_by_their_number_out_of_order_and_repeated() {
    on_each_engine(async |place| {
        let store = place.open().await;
        let add = "INSERT INTO things (data, note, id) VALUES ($3, $2, $1)";
        store.execute(add, values![1, "one", [1_u8]]).await.unwrap();
        let find =
            "SELECT note FROM things WHERE (note = $2 OR note = $2) AND id = $1 AND (note = $2 OR id = $1)";
        let row = store.find(find, values![1, "one"]).await.unwrap().unwrap();
        assert_eq!(row.get("note"), Ok("one".to_owned()));
        assert!(store.find(find, values![1]).await.is_err());
        // A value too many is noticed if the statement is prepared, and harmless if it is not.
        if !matches!(&place.settings.database, Database::Postgres(postgres) if postgres.pooler) {
            assert!(store.find(find, values![1, "one", 3]).await.is_err());
        }
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_act_that_refuses_keeps_nothing_and_leaves_its_neighbours_alone() {
    #[derive(Debug, PartialEq, Eq)]
    enum Refusal {
        Taken,
        Store(StoreError),
    }
    impl From<StoreError> for Refusal {
        fn from(error: StoreError) -> Self {
            Self::Store(error)
        }
    }
    on_each_engine(async |place| {
        let store = place.open().await;
        let refused = store.attempt(async |tx: &mut Tx| {
            tx.execute(ADD, values!["refused", 1]).await?;
            Err::<(), _>(Refusal::Taken)
        });
        let kept = store.attempt(async |tx: &mut Tx| {
            tx.execute(ADD, values!["kept", 1]).await?;
            Ok::<_, Refusal>(())
        });
        assert_eq!(tokio::join!(refused, kept), (Err(Refusal::Taken), Ok(())));
        assert_eq!((value_of(&store, "refused").await, value_of(&store, "kept").await), (None, Some(1)));
        // A failed statement wins over the closure's own result.
        let overlooked = store.attempt(async |tx: &mut Tx| {
            let _ = tx.execute(ADD, values!["kept", 2]).await;
            Err::<(), _>(Refusal::Taken)
        });
        assert!(matches!(overlooked.await, Err(Refusal::Store(StoreError::Conflict(_)))));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_statement_tells_how_many_rows_it_changed_and_returns_them() {
    on_each_engine(async |place| {
        let store = place.open().await;
        assert_eq!(store.execute("UPDATE numbers SET value = value + $1", values![1]).await, Ok(2));
        assert_eq!(store.execute("DELETE FROM numbers WHERE name = $1", values!["none"]).await, Ok(0));
        let (first, all) = store
            .transaction(async |tx| {
                let returning = "UPDATE numbers SET value = value + $1 RETURNING value";
                Ok((tx.find(returning, values![1]).await?, tx.list(returning, values![1]).await?))
            })
            .await
            .unwrap();
        assert_eq!(first.unwrap().get("value"), Ok(2_i64));
        assert_eq!(all.iter().map(|row| row.get("value").unwrap()).collect::<Vec<i64>>(), [3, 3]);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_act_that_fails_undoes_itself_and_not_its_neighbours() {
    on_each_engine(async |place| {
        let store = place.open().await;
        let add = |name: &'static str, end: Result<(), StoreError>| {
            store.transaction(async move |tx| {
                tx.execute(ADD, values![name, 1]).await?;
                end.clone()
            })
        };
        let broken = StoreError::Corrupt("so it goes".to_owned());
        let (a, b, c) = tokio::join!(add("a", Ok(())), add("b", Err(broken.clone())), add("c", Ok(())));
        assert_eq!((a, b, c), (Ok(()), Err(broken), Ok(())));
        assert_eq!(value_of(&store, "a").await, Some(1));
        assert_eq!(value_of(&store, "b").await, None);
        assert_eq!(value_of(&store, "c").await, Some(1));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_constraint_that_refuses_is_a_conflict_and_an_act_that_overlooks_it_is_not_kept() {
    on_each_engine(async |place| {
        let store = place.open().await;
        let overlooking = store.transaction(async |tx| {
            tx.execute(ADD, values!["a", 1]).await?;
            drop(tx.execute(ADD, values!["a", 2]).await);
            Ok(())
        });
        assert!(overlooking.await.unwrap_err().is_conflict());
        assert_eq!(value_of(&store, "a").await, None);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_act_that_panics_fails_alone() {
    on_each_engine(async |place| {
        let store = place.open().await;
        for number in 0..3 {
            let panicking = store.transaction(async move |tx| {
                tx.execute(ADD, values![format!("bad {number}"), 1]).await?;
                assert_eq!(number, 100, "on purpose");
                Ok(())
            });
            assert!(panicking.await.unwrap_err().to_string().contains("panicked"));
            // The next transaction may get the same connection, and must not find half of another one in it.
            let good = store
                .transaction(async move |tx| tx.execute(ADD, values![format!("good {number}"), 1]).await);
            assert_eq!(good.await, Ok(1));
        }
        assert_eq!(store.list("SELECT name FROM numbers", values![]).await.unwrap().len(), 2 + 3);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_act_goes_on_to_its_end_when_its_caller_is_gone() {
    on_each_engine(async |place| {
        let store = place.open().await;
        let (told, mut tell) = tokio::sync::mpsc::unbounded_channel();
        let act = store.transaction(async move |tx| {
            tx.execute(ADD, values!["a", 1]).await?;
            told.send(()).unwrap();
            Ok(())
        });
        poll_once(&mut Box::pin(act));
        tell.recv().await.unwrap();
        // The pool has four connections, the writer is one: none of them may be left inside a transaction.
        for _ in 0..8 {
            store
                .transaction(async |tx| tx.execute("UPDATE numbers SET value = 2", values![]).await)
                .await
                .unwrap();
        }
        store.close().await;
        let store = place.open().await;
        assert_eq!(value_of(&store, "a").await, Some(2));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_acknowledged_write_is_there_at_once_and_after_a_reopening() {
    on_each_engine(async |place| {
        let store = place.open().await;
        for number in 0..20_i64 {
            let name = format!("n{number}");
            store.execute(ADD, values![&name, number]).await.unwrap();
            assert_eq!(value_of(&store, &name).await, Some(number));
        }
        store.close().await;
        assert_eq!(store.ping().await, Err(StoreError::closed()));
        assert!(store.execute(ADD, values!["late", 1]).await.unwrap_err().is_transient());

        let store = place.open().await;
        assert_eq!(store.list("SELECT name FROM numbers", values![]).await.unwrap().len(), 22);
        store.ping().await.unwrap();
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn deleting_a_user_deletes_the_sessions() {
    on_each_engine(async |place| {
        let store = place.open().await;
        let (user, session) = ([1_u8; 16], [2_u8; 16]);
        let add_user =
            "INSERT INTO users (id, name, name_folded, role, created_at, updated_at) VALUES ($1, 'Ada', 'ada', 'user', 1, 1)";
        let add_session = "INSERT INTO sessions (id, user_id, mode, created_at, authenticated_at, amr, last_seen_at,
            expires_at, absolute_expires_at) VALUES ($1, $2, 'session', 1, 1, 'pwd', 1, 1, 1)";
        assert!(store.execute(add_session, values![session, user]).await.unwrap_err().is_conflict());
        store.execute(add_user, values![user]).await.unwrap();
        store.execute(add_session, values![session, user]).await.unwrap();
        store.execute("DELETE FROM users WHERE id = $1", values![user]).await.unwrap();
        assert_eq!(store.list("SELECT id FROM sessions", values![]).await.unwrap().len(), 0);
        store.close().await;
    })
    .await;
}

/// Counts what many callers add at once: no addition may be lost or done twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_at_once_lose_nothing() {
    on_each_engine(async |place| {
        let store = place.open().await;
        let callers: Vec<_> =
            (0..64).map(|_| tokio::spawn(a_handler(store.clone(), "first".to_owned()))).collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), Ok(5));
        }
        assert_eq!(value_of(&store, "first").await, Some(64));
        store.close().await;
    })
    .await;
}

/// Calls the store as a handler does. That this compiles inside `tokio::spawn` proves its future `Send`.
async fn a_handler(store: Store, name: String) -> Result<usize, StoreError> {
    let kept = name.clone();
    let length = store
        .transaction(async move |tx| {
            let row = tx
                .find("UPDATE numbers SET value = value + 1 WHERE name = $1 RETURNING name", values![&name]);
            Ok(row.await?.map_or(0, |row| row.get::<String>("name").unwrap_or_default().len()))
        })
        .await?;
    store.find(READ, values![kept]).await?;
    Ok(length)
}

fn poll_once<T>(future: &mut std::pin::Pin<Box<impl Future<Output = T>>>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

/// Keeps the thread that runs the transactions busy, so that they pile up, until the sender is dropped.
async fn hold_the_acts(store: &Store) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let begun = std::sync::Mutex::new(Some(begun));
    let holding = store.transaction(async move |_| {
        begun.lock().unwrap().take().unwrap().send(()).unwrap();
        let _ = released.recv();
        Ok(())
    });
    poll_once(&mut Box::pin(holding));
    has_begun.await.unwrap();
    release
}

/// Counts for some seconds.
const SLOW: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) \
     SELECT CAST(count(*) AS BIGINT) FROM n";
const QUICK: &str = "SELECT CAST(1 AS BIGINT)";

/// Whether this isn't done yet, after one poll.
async fn is_waiting(what: impl Future) -> bool {
    tokio::select! {
        biased;
        _ = what => false,
        () = std::future::ready(()) => true,
    }
}

#[tokio::test]
async fn a_scan_is_in_its_users_share_until_it_is_done_also_when_its_caller_is_gone() {
    on_each_engine(async |place| {
        let store = place.open().await;
        let [ada, ben] = [1, 2].map(|byte| Some(UserId::from_bytes([byte; 16])));
        for _ in 0..3 {
            let mut scan = Box::pin(store.scan(ada, SLOW, values![]));
            assert!(is_waiting(&mut scan).await);
        }
        let mut next = Box::pin(store.scan(ada, QUICK, values![]));
        assert!(is_waiting(&mut next).await);
        assert_eq!(store.scan(ben, QUICK, values![]).await.unwrap().len(), 1);
        assert!(is_waiting(&mut next).await, "two scans of one user at a time");
    })
    .await;
}
