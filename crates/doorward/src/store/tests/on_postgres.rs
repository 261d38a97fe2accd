//! Tests of PostgreSQL alone: losing against concurrent transactions, lost connections, and connecting.

use super::place::{postgres_at, postgres_or_a_loud_skip};
use super::*;
use crate::store::postgres::QUEUE;

async fn refusal(settings: &StoreSettings) -> String {
    Store::open(settings, Timestamp::from_secs(1)).await.map(drop).unwrap_err().to_string()
}

#[tokio::test]
async fn an_act_that_is_told_40001_or_40p01_is_run_again() {
    let Some(place) = Place::postgres().await else { return };
    let store = place.open().await;
    for lose in [
        "DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40P01'; END $$",
    ] {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let act = store.transaction(async move |tx| {
            tx.execute("UPDATE numbers SET value = value + 1", values![]).await?;
            if counted.fetch_add(1, Ordering::Relaxed) < 3 { tx.migrate(lose).await } else { Ok(()) }
        });
        act.await.unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 4);
    }
    assert_eq!(value_of(&store, "first").await, Some(2));

    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let hopeless = store.transaction(async move |tx| {
        counted.fetch_add(1, Ordering::Relaxed);
        tx.migrate("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$").await
    });
    assert!(hopeless.await.unwrap_err().is_transient());
    assert_eq!(runs.load(Ordering::Relaxed), 10);
    store.close().await;
    place.remove().await;
}

#[tokio::test]
async fn of_two_serializable_acts_that_cross_the_loser_is_run_again() {
    let Some(place) = Place::postgres().await else { return };
    let store = place.open().await;
    let runs = Arc::new(AtomicU32::new(0));
    let both_have_read = Arc::new(tokio::sync::Barrier::new(2));
    let cross = |read: &'static str, write: &'static str| {
        let (runs, both_have_read) = (Arc::clone(&runs), Arc::clone(&both_have_read));
        store.transaction(async move |tx| {
            tx.migrate("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").await?;
            let seen: i64 = tx.find(READ, values![read]).await?.unwrap().get("value")?;
            if runs.fetch_add(1, Ordering::SeqCst) < 2 {
                both_have_read.wait().await;
            }
            tx.execute("UPDATE numbers SET value = $2 WHERE name = $1", values![write, seen + 1]).await
        })
    };
    let (one, other) = tokio::join!(cross("first", "second"), cross("second", "first"));
    assert_eq!((one, other), (Ok(1), Ok(1)));
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    // As if one had come after the other: 1 and 2, never 1 and 1.
    let values = (value_of(&store, "first").await, value_of(&store, "second").await);
    assert!(matches!(values, (Some(1), Some(2)) | (Some(2), Some(1))), "{values:?}");
    store.close().await;
    place.remove().await;
}

#[tokio::test]
async fn d04_connections_that_the_server_cut_are_replaced() {
    let Some(place) = Place::postgres().await else { return };
    let store = place.open().await;
    let cut = "SELECT CAST(count(pg_terminate_backend(pid)) AS BIGINT) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for _ in 0..10 {
        let (one, other, _) = tokio::join!(store.ping(), store.ping(), store.list(cut, values![]));
        drop((one, other));
        store.ping().await.unwrap();
        store
            .transaction(async |tx| tx.execute("UPDATE numbers SET value = 1", values![]).await)
            .await
            .unwrap();
    }
    store.close().await;
    place.remove().await;
}

#[tokio::test]
async fn d04_an_act_whose_connection_is_cut_in_the_middle_fails_and_harms_no_other() {
    let Some(place) = Place::postgres().await else { return };
    let store = place.open().await;
    let cut = store.transaction(async |tx| {
        tx.execute(ADD, values!["a", 1]).await?;
        tx.execute("SELECT pg_terminate_backend(pg_backend_pid())", values![]).await?;
        Ok(())
    });
    assert!(cut.await.unwrap_err().is_transient());
    assert_eq!(value_of(&store, "a").await, None);
    store.close().await;
    place.remove().await;
}

#[tokio::test]
async fn d04_too_many_acts_at_once_are_turned_away() {
    let Some(place) = Place::postgres().await else { return };
    let store = place.open().await;
    let release = hold_the_acts(&store).await;
    let increase = || Box::pin(store.execute("UPDATE numbers SET value = value + 1", values![]));
    let mut waiting: Vec<_> = (1..QUEUE).map(|_| increase()).collect();
    waiting.iter_mut().for_each(|act| assert_eq!(poll_once(act), None));

    assert_eq!(increase().await, Err(StoreError::Overloaded));

    drop(release);
    for act in waiting {
        assert_eq!(act.await, Ok(2));
    }
    assert_eq!(value_of(&store, "first").await, Some(QUEUE as i64 - 1));
    store.close().await;
    place.remove().await;
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cut_by_the_server() {
    for pooler in [false, true] {
        let Some(mut place) = Place::postgres().await else { return };
        if let Database::Postgres(postgres) = &mut place.settings.database {
            postgres.statement_timeout = Duration::from_millis(20);
            postgres.pooler = pooler;
        }
        let store = place.open().await;
        let slow = "SELECT CAST(pg_sleep(60) AS TEXT)";
        let within = store.transaction(async move |tx| tx.find(slow, values![]).await).await.unwrap_err();
        for cut in [store.find(slow, values![]).await.unwrap_err(), within] {
            assert!(cut.is_transient() && cut.to_string().contains("57014"), "{cut}");
        }
        store.close().await;
        place.remove().await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_way_to_the_server_is_said_without_the_password() {
    let Some(server) = postgres_or_a_loud_skip() else { return };
    let url = |from: &str, to: &str| postgres_at(&server.replace(from, to));
    let password = server.split([':', '@']).nth(2).unwrap();
    for (settings, words) in [
        (url(password, "hunter2hunter2"), "password authentication failed"),
        (url("127.0.0.1", "no-such-host.invalid"), "check the host name"),
        (url("/postgres?", "/no_such_database?"), "create the database first"),
        (url("doorward:", "nobody:"), "check user and password"),
        (postgres_at("postgres://u:hunter2#@/?x=hunter2"), "there is no parameter x"),
        (postgres_at("postgres://u:hunter2@:hunter2/x"), "can't be read"),
        (postgres_at("postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable"), "check host and port"),
    ] {
        let text = refusal(&settings).await;
        assert!(text.contains(words), "{text}");
        assert!(!text.contains("hunter2") && !text.contains(password), "{text}");
    }
}

#[tokio::test]
async fn tls_is_verified_against_the_given_authority() {
    let Some(server) = postgres_or_a_loud_skip() else { return };
    let ca = std::env::var("DOORWARD_TEST_POSTGRES_CA")
        .expect("scripts/with-postgres needs openssl for this test");
    for mode in ["sslmode=prefer", "sslmode=require", "sslmode=verify-full"] {
        let mut settings = postgres_at(&server.replace("sslmode=disable", mode));
        let text = refusal(&settings).await;
        assert!(text.contains("certificate") && text.contains("sslmode=disable"), "{text}");
        if let Database::Postgres(postgres) = &mut settings.database {
            postgres.tls_ca_file = Some(PathBuf::from(&ca));
        }
        let store = Store::connect(&settings).await.unwrap();
        let tls = "SELECT CAST(version AS TEXT) AS version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let version: String = store.find(tls, values![]).await.unwrap().unwrap().get("version").unwrap();
        assert_eq!(version, "TLSv1.3");
        store.close().await;
    }
}

/// A proxy to the server that passes nothing on while it is blocked.
async fn blockable(server: &str) -> (String, tokio::sync::watch::Sender<bool>) {
    let mut url = url::Url::parse(server).unwrap();
    let target = format!("127.0.0.1:{}", url.port().unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    let (block, blocked) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = tokio::net::TcpStream::connect(&target).await.unwrap();
            let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_read, far_write, blocked.clone()));
            tokio::spawn(carry(far_read, near_write, blocked.clone()));
        }
    });
    (url.into(), block)
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut blocked: tokio::sync::watch::Receiver<bool>,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut bytes = [0; 4_096];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if blocked.wait_for(|blocked| !blocked).await.is_err()
            || to.write_all(&bytes[..length]).await.is_err()
        {
            return;
        }
    }
}

#[tokio::test]
async fn x06_a_new_connection_is_proven_with_few_questions() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Some(server) = postgres_or_a_loud_skip() else { return };
    let mut url = url::Url::parse(&server).unwrap();
    let target = format!("127.0.0.1:{}", url.port().unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    let questions = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&questions);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = tokio::net::TcpStream::connect(&target).await.unwrap();
            let ((mut near_read, mut near_write), (mut far_read, mut far_write)) =
                (near.into_split(), far.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut far_read, &mut near_write).await });
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut bytes = [0; 4_096];
                while let Ok(length @ 1..) = near_read.read(&mut bytes).await {
                    // A simple query, which the client sends only after the answer to the one before.
                    counted.fetch_add(u32::from(bytes[0] == b'Q'), Ordering::Relaxed);
                    far_write.write_all(&bytes[..length]).await.unwrap();
                }
            });
        }
    });
    let store = Store::connect(&postgres_at(url.as_str())).await.unwrap();
    let asked = questions.load(Ordering::Relaxed);
    assert!((10..=17).contains(&asked), "{asked}");
    store.close().await;
}

#[tokio::test]
async fn while_connections_are_opened_there_is_one_more_than_the_pool_has() {
    let Some(server) = postgres_or_a_loud_skip() else { return };
    let mut url = url::Url::parse(&server).unwrap();
    let target = format!("127.0.0.1:{}", url.port().unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    let (open, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (counted, highest) = (Arc::clone(&open), Arc::clone(&most));
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::TcpStream::connect(&target).await.unwrap();
            highest.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                counted.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    let mut settings = postgres_at(url.as_str());
    if let Database::Postgres(postgres) = &mut settings.database {
        postgres.pool_size = 6;
    }
    let store = Store::connect(&settings).await.unwrap();
    let asked = (0..24).map(|_| store.find("SELECT CAST(1 AS BIGINT) FROM pg_sleep(0.05)", values![]));
    for answer in futures_util::future::join_all(asked).await {
        answer.unwrap();
    }
    let most = most.load(Ordering::SeqCst);
    // A closed connection may not have gone yet when the next is opened.
    assert!((6..=8).contains(&most), "{most}");
    store.close().await;
}

#[tokio::test]
async fn d04_a_network_that_swallows_everything_holds_nobody_for_long_and_is_recovered_from() {
    let Some(place) = Place::postgres().await else { return };
    let Database::Postgres(PostgresSettings { url, .. }) = &place.settings.database else { panic!() };
    let (through, block) = blockable(str::from_utf8(url.expose()).unwrap()).await;
    let mut settings = postgres_at(&through);
    if let Database::Postgres(postgres) = &mut settings.database {
        postgres.statement_timeout = std::time::Duration::from_millis(100);
    }
    drop(place.open().await);
    let store = Store::open(&settings, Timestamp::from_secs(1)).await.unwrap();
    block.send(true).unwrap();
    let began = std::time::Instant::now();
    let (read, change, act) = tokio::join!(
        store.ping(),
        store.execute("UPDATE numbers SET value = 1", values![]),
        store.transaction(async |tx| tx.execute("UPDATE numbers SET value = 2", values![]).await),
    );
    for outcome in [read, change.map(drop), act.map(drop)] {
        assert!(outcome.as_ref().is_err_and(StoreError::is_transient), "{outcome:?}");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
    block.send(false).unwrap();
    store.ping().await.unwrap();
    store.execute("UPDATE numbers SET value = 7", values![]).await.unwrap();
    assert_eq!(value_of(&store, "first").await, Some(7));
    store.close().await;
    place.remove().await;
}

#[tokio::test]
async fn a_hint_of_one_node_reaches_the_others_and_not_itself() {
    let Some(place) = Place::postgres().await else { return };
    let (one, other) =
        (place.open().await, Store::open(&place.settings, Timestamp::from_secs(1)).await.unwrap());
    let heard = async |store: &Store| {
        let hinted = store.hinted();
        tokio::time::timeout(Duration::from_secs(20), hinted.notified()).await.expect("a hint");
    };
    for store in [&one, &other] {
        store.start_hints();
        // The connection stands.
        heard(store).await;
    }
    for _ in 0..3 {
        one.hint();
        heard(&other).await;
        other.hint();
        heard(&one).await;
    }
    // Its own hint was there before the other's answer, which is the only one that it hears.
    one.hint();
    heard(&other).await;
    other.hint();
    heard(&one).await;
    let more = one.hinted();
    assert!(tokio::time::timeout(Duration::from_millis(20), more.notified()).await.is_err());
    for store in [one, other] {
        store.close().await;
    }
    place.remove().await;
}

/// The same place for a user of its own, who may have this many connections at once.
async fn limited(place: &Place, connections: u32) -> StoreSettings {
    let Database::Postgres(PostgresSettings { url, .. }) = &place.settings.database else { panic!() };
    let mut url = url::Url::parse(str::from_utf8(url.expose()).unwrap()).unwrap();
    let (client, connection) = tokio_postgres::connect(url.as_str(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let name = url.path().trim_start_matches('/').to_owned();
    let role = format!(
        "CREATE ROLE {name} LOGIN PASSWORD 'x' CONNECTION LIMIT {connections}; ALTER DATABASE {name} OWNER TO {name}; \
         GRANT ALL ON SCHEMA public TO {name}"
    );
    client.batch_execute(&role).await.unwrap();
    url.set_username(&name).unwrap();
    url.set_password(Some("x")).unwrap();
    postgres_at(url.as_str())
}

#[tokio::test]
async fn d04_where_the_server_has_no_room_for_another_connection_acts_wait_for_the_pools_own() {
    let Some(place) = Place::postgres().await else { return };
    let mut settings = limited(&place, 3).await;
    if let Database::Postgres(postgres) = &mut settings.database {
        postgres.pool_size = 8;
    }
    let store = Store::open(&settings, Timestamp::from_secs(1)).await.unwrap();
    store.transaction(async |tx| tx.migrate(NUMBERS).await).await.unwrap();
    for _ in 0..3 {
        let acts = (0..32).map(|_| {
            store.transaction(async |tx| tx.execute("UPDATE numbers SET value = value + 1", values![]).await)
        });
        let (acts, reads) = tokio::join!(
            futures_util::future::join_all(acts),
            futures_util::future::join_all((0..32).map(|_| store.ping()))
        );
        assert_eq!(acts, vec![Ok(2); 32]);
        assert_eq!(reads, vec![Ok(()); 32]);
    }
    assert_eq!(value_of(&store, "first").await, Some(96));
    store.close().await;
    place.remove().await;
}
