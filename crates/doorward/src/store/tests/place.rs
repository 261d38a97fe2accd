//! Where the tests keep their data: a folder for SQLite, and a database of their own on the server that
//! `scripts/with-postgres` starts.

use std::io::Write;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;

/// An empty database, and a way to it.
pub(crate) struct Place {
    pub(crate) settings: StoreSettings,
    folder: Option<tempfile::TempDir>,
    name: String,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings { database: Database::Sqlite(folder.path().join("doorward.db")) };
        Self { settings, folder: Some(folder), name: String::new() }
    }

    pub(crate) async fn postgres() -> Option<Self> {
        Self::postgres_in("").await
    }

    /// A database with these options, such as a locale.
    pub(crate) async fn postgres_in(options: &str) -> Option<Self> {
        let server = postgres_or_a_loud_skip()?;
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("store_test_{}_{number}", std::process::id());
        administer(&format!("CREATE DATABASE {name} {options}")).await;
        let url = server.replace("/postgres?", &format!("/{name}?"));
        Some(Self { settings: postgres_at(&url), folder: None, name })
    }

    pub(crate) fn file(&self) -> PathBuf {
        match &self.settings.database {
            Database::Sqlite(file) => file.clone(),
            _ => panic!("no file"),
        }
    }

    /// The store, with the tests' own tables beside the real ones.
    pub(crate) async fn open(&self) -> Store {
        let store = Store::open(&self.settings, Timestamp::from_secs(1)).await.unwrap();
        let tables = store.transaction(async |tx| {
            tx.migrate(THINGS).await?;
            tx.migrate(NUMBERS).await
        });
        tables.await.unwrap();
        store
    }

    pub(crate) async fn remove(self) {
        if self.folder.is_none() {
            administer(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
        }
    }
}

/// Runs the test on SQLite, and on PostgreSQL if there is one: with direct connections, and as behind a pooler.
pub(crate) async fn on_each_engine(test: impl AsyncFn(&Place)) {
    let place = Place::sqlite();
    test(&place).await;
    place.remove().await;
    for pooler in [false, true] {
        let Some(mut place) = Place::postgres().await else { return };
        if let Database::Postgres(postgres) = &mut place.settings.database {
            postgres.pooler = pooler;
        }
        test(&place).await;
        place.remove().await;
    }
}

/// The URL of a server, or a line on standard error that no test harness swallows.
pub(crate) fn postgres_or_a_loud_skip() -> Option<String> {
    static SAID: Once = Once::new();
    let server = std::env::var("DOORWARD_TEST_POSTGRES").ok();
    if server.is_none() {
        SAID.call_once(|| {
            let line = "SKIPPED: the store on PostgreSQL. To run it too: scripts/with-postgres cargo test …";
            writeln!(std::io::stderr(), "{line}").unwrap();
        });
    }
    server
}

pub(crate) fn postgres_at(url: &str) -> StoreSettings {
    StoreSettings {
        database: Database::Postgres(PostgresSettings {
            url: Secret::new(url),
            pool_size: 4,
            statement_timeout: Duration::from_secs(30),
            tls_ca_file: None,
            pooler: false,
            start_timeout: Duration::ZERO,
        }),
    }
}

async fn administer(sql: &str) {
    let server = postgres_or_a_loud_skip().unwrap();
    let (client, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}
