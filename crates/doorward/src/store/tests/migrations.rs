use super::*;
use crate::store::migrate::{self, Migration};
use crate::store::migration_turn::Turn;

const ONE: Migration = Migration { version: 1, reads_from: 1, sql: THINGS };
const TWO: Migration = Migration { version: 2, reads_from: 2, sql: "INSERT INTO things (id) VALUES (1);" };

async fn open(place: &Place, all: &'static [Migration]) -> Result<Store, StoreError> {
    let store = Store::connect(&place.settings).await?;
    migrate::run(&store, all, Timestamp::from_secs(9)).await.map(|()| store)
}

#[tokio::test]
async fn each_migration_runs_once_and_its_time_is_noted() {
    on_each_engine(async |place| {
        open(place, &[ONE]).await.unwrap().close().await;
        for _ in 0..2 {
            let store = open(place, &[ONE, TWO]).await.unwrap();
            assert_eq!(store.list("SELECT id FROM things", values![]).await.unwrap().len(), 1);
            let noted = store.list("SELECT version, applied_at FROM migrations ORDER BY version", values![]);
            let noted = noted.await.unwrap();
            assert_eq!(
                (noted[1].get("version"), noted[1].get("applied_at")),
                (Ok(2_i64), Ok(Timestamp::from_secs(9)))
            );
            assert_eq!(noted.len(), 2);
            store.close().await;
        }
    })
    .await;
}

#[tokio::test]
async fn d06_an_altered_or_unknown_migration_is_refused() {
    on_each_engine(async |place| {
        open(place, &[ONE, TWO]).await.unwrap().close().await;
        const ALTERED: Migration =
            Migration { version: 2, reads_from: 2, sql: "INSERT INTO things (id) VALUES (2);" };
        for (list, words) in [(&[ONE, ALTERED] as &[_], "another text"), (&[ONE], "newer than this program")]
        {
            let Err(StoreError::Refused(text)) = open(place, list).await.map(drop) else { panic!("{words}") };
            assert!(text.contains(words), "{text}");
        }
    })
    .await;
}

#[tokio::test]
async fn d06_a_migration_that_fails_leaves_nothing_behind() {
    on_each_engine(async |place| {
        const BROKEN: Migration = Migration {
            version: 2,
            reads_from: 2,
            sql: "INSERT INTO things (id) VALUES (1);\nINSERT INTO nowhere (id) VALUES (1);",
        };
        assert!(open(place, &[ONE, BROKEN]).await.is_err());
        let store = open(place, &[ONE]).await.unwrap();
        assert_eq!(store.list("SELECT id FROM things", values![]).await.unwrap(), []);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn d06_several_nodes_that_start_at_once_run_each_migration_once() {
    on_each_engine(async |place| {
        let nodes: Vec<_> = (0..6)
            .map(|_| {
                let settings = place.settings.clone();
                tokio::spawn(async move { Store::open(&settings, Timestamp::from_secs(1)).await })
            })
            .collect();
        for node in nodes {
            let store = node.await.unwrap().unwrap();
            let noted = store.list("SELECT version FROM migrations", values![]).await.unwrap();
            assert_eq!(noted.len(), migrate::ALL.len());
            store.close().await;
        }
    })
    .await;
}

/// A role that changed recently, one that changed long ago, and a user who was deleted since.
#[tokio::test]
async fn tokens_from_before_claims_versions_are_stale_only_if_their_user_has_changed_lately() {
    on_each_engine(async |place| {
        let store = open(place, &migrate::ALL[..2]).await.unwrap();
        let [lately, once, deleted] = [1, 2, 3].map(|n| UserId::from_bytes([n; 16]));
        for (user, name, version) in [(lately, "ada", 2_i64), (once, "ben", 7)] {
            const INSERT: &str = "INSERT INTO users (id, name, name_folded, email, email_folded, role, role_version, created_at, \
                 updated_at) VALUES ($1, $2, $2, $2, $2, 'user', $3, 0, 0)";
            store.execute(INSERT, values![user, name, version]).await.unwrap();
        }
        for (user, version) in [(lately, 2_i64), (deleted, 4)] {
            const CHANGE: &str = "INSERT INTO role_changes (user_id, role, version, position, created_at, expires_at) \
                 VALUES ($1, 'user', $2, $2, 5, 6)";
            store.execute(CHANGE, values![user, version]).await.unwrap();
        }
        store.close().await;

        let store = Store::open(&place.settings, Timestamp::from_secs(9)).await.unwrap();
        let numbers = async |sql| {
            let rows = store.list(sql, values![]).await.unwrap();
            rows.iter()
                .map(|row| (row.get("id").unwrap(), row.get("number").unwrap()))
                .collect::<Vec<(UserId, i64)>>()
        };
        let of_users = "SELECT id, claims_version AS number FROM users ORDER BY id";
        assert_eq!(numbers(of_users).await, [(lately, 2), (once, 0)]);
        for sql in [
            "SELECT user_id AS id, version AS number FROM least_versions ORDER BY user_id",
            "SELECT user_id AS id, position AS number FROM least_versions ORDER BY user_id",
        ] {
            assert_eq!(numbers(sql).await, [(lately, 2), (deleted, 4)]);
        }
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_stores_time_is_that_of_now_in_milliseconds() {
    on_each_engine(async |place| {
        let store = place.open().await;
        let millis = async || {
            let row = store.find("SELECT millis FROM store_time", values![]).await.unwrap();
            row.unwrap().get::<i64>("millis").unwrap()
        };
        let (first, now) = (millis().await, crate::clock::Clock::system().now().as_millis());
        assert!(first.abs_diff(i64::try_from(now).unwrap()) < 60_000, "{first} {now}");
        assert!(millis().await >= first);
        store.close().await;
    })
    .await;
}

#[test]
fn only_whole_words_are_put_into_sqlites_language() {
    let sql = "-- BIGINT; here\nCREATE TABLE a (\n    b BIGINT,\n    MY_BIGINT BYTEA\n);\nINSERT INTO a VALUES (1);\n";
    let expected =
        "CREATE TABLE a (\n    b INTEGER,\n    MY_BIGINT BLOB\n) STRICT;\nINSERT INTO a VALUES (1);\n";
    assert_eq!(sqlite_query::in_own_words(sql), expected);
}

#[test]
fn the_migrations_are_numbered_in_the_order_in_which_they_run() {
    let numbers: Vec<_> = migrate::ALL.iter().map(|migration| migration.version).collect();
    assert!(
        numbers.first() == Some(&1) && numbers.is_sorted_by(|before, after| before < after),
        "{numbers:?}"
    );
}

/// All migrations, and one more of a later program.
fn and_later(reads_from: i64) -> &'static [Migration] {
    let last = migrate::ALL.last().unwrap().version;
    let sql = "ALTER TABLE users ADD COLUMN nickname TEXT;";
    let later = Migration { version: last + 1, reads_from, sql };
    Box::leak([migrate::ALL, &[later]].concat().into_boxed_slice())
}

#[tokio::test]
async fn d06_an_older_program_starts_beside_a_migration_that_it_can_read_and_beside_no_other() {
    let last = migrate::ALL.last().unwrap().version;
    for (reads_from, starts) in [(1, true), (last, true), (last + 1, false)] {
        on_each_engine(async |place| {
            open(place, and_later(reads_from)).await.unwrap().close().await;
            match Store::open(&place.settings, Timestamp::from_secs(9)).await {
                Ok(store) => {
                    assert!(starts);
                    let user = UserId::from_bytes([1; 16]);
                    const INSERT: &str = "INSERT INTO users (id, name, name_folded, role, created_at, updated_at) \
                         VALUES ($1, 'ada', 'ada', 'user', 0, 0)";
                    store.execute(INSERT, values![user]).await.unwrap();
                    store.close().await;
                }
                Err(StoreError::Refused(text)) => {
                    assert!(!starts && text.contains("newer than this program"), "{text}");
                }
                Err(other) => panic!("{other}"),
            }
            // `doorward doctor` says the same.
            assert_eq!(Store::missing_migrations(&place.settings).await.is_ok(), starts);
        })
        .await;
    }
}

#[tokio::test]
async fn f15_a_node_waits_for_the_one_that_migrates_for_as_long_as_that_works() {
    let Some(place) = Place::postgres().await else { return };
    let before = &migrate::ALL[..4];
    open(&place, before).await.unwrap().close().await;
    let mut settings = place.settings.clone();
    let Database::Postgres(postgres) = &mut settings.database else { panic!() };
    postgres.statement_timeout = Duration::from_millis(100);
    let url = str::from_utf8(postgres.url.expose()).unwrap().to_owned();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    // Within its transaction, the other one would see what was under way at its first look.
    let (watching, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let next = migrate::ALL[4].version;
    let claim = format!("BEGIN; INSERT INTO migrations VALUES ({next}, '', 0); SELECT 1 FROM pg_sleep(0)");
    client.batch_execute(&claim).await.unwrap();
    let starting = tokio::spawn(async move { Store::open(&settings, Timestamp::from_secs(9)).await });
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity \
         WHERE query LIKE 'INSERT INTO migrations%')";
    while watching.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(!starting.is_finished());
    }
    client.batch_execute("SELECT pg_sleep(0.5); ROLLBACK").await.unwrap();
    starting.await.unwrap().unwrap().close().await;
    place.remove().await;
}

const HOLD: &str = "INSERT INTO migration_turns (id, holder, beats) VALUES (1, 1, 0)";

/// Some engines commit each change of the schema by itself: there a transaction keeps no other process off.
#[tokio::test]
async fn f15_nobody_migrates_while_another_process_shows_that_it_does() {
    let Some(place) = Place::postgres().await else { return };
    open(&place, &migrate::ALL[..4]).await.unwrap().close().await;
    let other = Store::connect(&place.settings).await.unwrap();
    other.execute(HOLD, values![]).await.unwrap();
    let settings = place.settings.clone();
    let starting = tokio::spawn(async move { Store::open(&settings, Timestamp::from_secs(9)).await });
    let reads = "SELECT CAST(sum(seq_scan + idx_scan) AS BIGINT) AS times FROM pg_stat_all_tables \
         WHERE relname = 'migration_turns'";
    let looks = async || {
        let row = other.find(reads, values![]).await.unwrap().unwrap();
        row.get::<Option<i64>>("times").unwrap().unwrap_or_default()
    };
    let before = looks().await;
    while looks().await < before + 6 {
        assert!(!starting.is_finished());
    }
    let noted = other.list("SELECT version FROM migrations", values![]).await.unwrap();
    assert_eq!(noted.len(), 4);
    other.execute("DELETE FROM migration_turns", values![]).await.unwrap();
    starting.await.unwrap().unwrap().close().await;
    assert!(migrate::missing(&other, migrate::ALL).await.unwrap().is_empty());
    let left = other.find("SELECT beats FROM migration_turns", values![]).await.unwrap();
    assert_eq!(left, None);
    other.close().await;
    place.remove().await;
}

#[tokio::test]
async fn f15_the_turn_of_a_process_that_died_is_taken_over_and_that_of_a_living_one_is_not() {
    let Some(place) = Place::postgres().await else { return };
    let store = place.open().await;
    let mut turn = Turn::new();
    store.execute(HOLD, values![]).await.unwrap();
    assert!(!turn.take(&store, Duration::from_secs(3_600)).await.unwrap());
    assert!(turn.take(&store, Duration::ZERO).await.unwrap());
    let mut other = Turn::new();
    assert!(!other.take(&store, Duration::from_secs(3_600)).await.unwrap());
    let beats = async || {
        let row = store.find("SELECT beats FROM migration_turns", values![]).await.unwrap();
        row.unwrap().get::<i64>("beats").unwrap()
    };
    let first = beats().await;
    let work = async {
        while beats().await == first {}
        Ok(())
    };
    turn.during(&store, Box::pin(work)).await.unwrap();
    assert_eq!(store.find("SELECT beats FROM migration_turns", values![]).await.unwrap(), None);
    store.close().await;
    place.remove().await;
}
