//! The store: one SQL text per query, for SQLite and for PostgreSQL.
//!
//! Parameters are `$1`, `$2` and so on; ids are 16 bytes, times microseconds. Only SQL that SQLite, PostgreSQL,
//! CockroachDB and YugabyteDB all understand:
//! - the only casts are `AS BIGINT` and `AS TEXT`. A selected expression that is not a column has a cast, and so has a
//!   parameter that may be NULL. `LIKE` is on folded columns, with `ESCAPE`
//! - rows are read by name: an expression has a name (`AS`), and no two columns of an answer have the same one
//! - for a unique column `ON CONFLICT DO NOTHING RETURNING …`, never a caught error, which would end PostgreSQL's
//!   transaction
//! - no data-modifying `WITH`, no `FOR UPDATE`: a transaction first writes the rows that it depends on
//!
//! A change is one guarded statement ([`Store::execute`]) or one [`Store::transaction`]. Both answer after the durable
//! commit, and run to their end even if the caller is dropped meanwhile.

#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
mod absent;
mod backup;
mod ballast;
mod closing;
mod condition;
mod counts;
mod days;
mod error;
mod facts;
#[cfg(feature = "testing")]
mod faults;
mod follower;
mod hints;
mod migrate;
mod migration_turn;
mod order;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_connect;
#[cfg(feature = "postgres")]
mod postgres_error;
#[cfg(feature = "postgres")]
mod postgres_hints;
#[cfg(feature = "postgres")]
mod postgres_pipeline;
#[cfg(feature = "postgres")]
mod postgres_pool;
#[cfg(feature = "postgres")]
mod postgres_proof;
#[cfg(feature = "postgres")]
mod postgres_query;
#[cfg(feature = "postgres")]
mod postgres_session;
#[cfg(feature = "postgres")]
mod postgres_url;
mod query;
mod reads;
mod scans;
mod shares;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod sqlite_backup;
#[cfg(feature = "sqlite")]
mod sqlite_query;
#[cfg(feature = "sqlite")]
mod sqlite_writer;
mod tx;
mod unsynced;
mod value;
mod writes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use doorward_core::{Secret, Timestamp};

use crate::clock::steady;
#[cfg(not(feature = "postgres"))]
use absent::Absent as Postgres;
#[cfg(not(feature = "sqlite"))]
use absent::Absent as Sqlite;
use counts::StoreCounts;
use hints::Hints;
#[cfg(feature = "postgres")]
use postgres::Postgres;
use shares::Shares;
#[cfg(feature = "sqlite")]
use sqlite::Sqlite;

pub(crate) use ballast::BALLAST;
pub(crate) use closing::{Tables, change_schema, statement};
pub use condition::Condition;
pub use error::StoreError;
#[cfg(feature = "testing")]
pub use faults::{Fault, Faults, Outage};
pub(crate) use follower::Follower;
pub use query::Answer;
pub(crate) use reads::Reads;
pub(crate) use scans::Scans;
pub use tx::{Asked, Tx};
pub use value::{Column, Row, Value};
pub(crate) use value::{Statement, values};
use writes::LastWrite;

/// Where the data is.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// The engine and how it is reached.
    pub database: Database,
}

/// One of the two engines.
#[derive(Debug, Clone)]
pub enum Database {
    /// A SQLite file, created with mode 0600 if it doesn't exist; its folder must exist. It must not be on a network
    /// file system.
    Sqlite(PathBuf),
    /// A SQLite database in the memory of this process, each with its own; it is gone when the store is dropped.
    Memory,
    /// A PostgreSQL server, or one that speaks its protocol.
    Postgres(PostgresSettings),
}

/// How a PostgreSQL server is reached.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:5432/name?sslmode=require`. With TLS, the server's certificate is always
    /// verified. Beyond this machine TLS is required, unless the URL says `sslmode=disable`.
    pub url: Secret,
    /// The most connections that are open at once; while one is opened there is one more for a moment.
    pub pool_size: usize,
    /// How long one statement may take before the server cancels it.
    pub statement_timeout: Duration,
    /// A PEM file of further authorities that are trusted for the server's certificate.
    pub tls_ca_file: Option<PathBuf>,
    /// Whether a pooler shares its connections to the server among its clients. If so, nothing is prepared, and nothing
    /// is set that outlives a transaction.
    pub pooler: bool,
    /// How long to wait for a server that isn't up yet.
    pub start_timeout: Duration,
}

impl Database {
    /// Checks the settings without connecting.
    ///
    /// # Errors
    /// [`StoreError::Refused`], with what to do.
    pub fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) | Self::Memory if !cfg!(feature = "sqlite") => Err(StoreError::Refused(
                "this build has no SQLite: set a PostgreSQL URL, or compile it with the feature \"sqlite\""
                    .into(),
            )),
            Self::Sqlite(_) | Self::Memory => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(settings) => postgres_url::Target::read(&settings.url, settings.pooler).map(drop),
            #[cfg(not(feature = "postgres"))]
            Self::Postgres(_) => Err(StoreError::Refused(
                "this build has no PostgreSQL: compile it with the feature \"postgres\"".into(),
            )),
        }
    }

    /// The same, without waiting for a server that isn't up.
    pub fn at_once(self) -> Self {
        match self {
            Self::Postgres(settings) => {
                Self::Postgres(PostgresSettings { start_timeout: Duration::ZERO, ..settings })
            }
            own => own,
        }
    }
}

/// Whether a text is the URL of a PostgreSQL server.
pub(crate) fn is_postgres(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// The open database. Cheap to clone; dropping the last clone closes it once the queue is done.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    engine: Engine,
    counts: StoreCounts,
    written: LastWrite,
    shares: Arc<Shares>,
    hints: Hints,
    #[cfg(feature = "testing")]
    faults: Arc<Faults>,
}

enum Engine {
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
}

impl Store {
    /// Opens the database, and makes or migrates its tables; `now` is recorded with each migration.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for settings that lead to no database, and for one that another version of Doorward
    /// changed; [`StoreError::Unavailable`] if it can't be reached.
    pub async fn open(settings: &StoreSettings, now: Timestamp) -> Result<Self, StoreError> {
        let store = Self::connect(settings).await?;
        store.lacks().await?;
        migrate::run(&store, migrate::ALL, now).await?;
        store.order_texts().await?;
        store.partition(now).await;
        Ok(store)
    }

    /// The migrations that the database lacks. Nothing is changed, except that a missing SQLite file is created.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn missing_migrations(settings: &StoreSettings) -> Result<Vec<i64>, StoreError> {
        let store = Self::connect(settings).await?;
        let missing = store.lacks().await;
        store.close().await;
        Ok(missing?.into_iter().map(|migration| migration.version).collect())
    }

    /// The migrations that the database lacks, if we may run them.
    async fn lacks(&self) -> Result<Vec<migrate::Migration>, StoreError> {
        let missing = match self.is_empty().await? {
            true => migrate::ALL.to_vec(),
            false => migrate::missing(self, migrate::ALL).await?,
        };
        if !missing.is_empty() {
            self.require_create().await?;
        }
        Ok(missing)
    }

    async fn connect(settings: &StoreSettings) -> Result<Self, StoreError> {
        settings.database.check()?;
        let engine = match &settings.database {
            Database::Sqlite(file) => Engine::Sqlite(Sqlite::open(file.clone()).await?),
            Database::Memory => Engine::Sqlite(Sqlite::in_memory().await?),
            Database::Postgres(settings) => Engine::Postgres(Box::new(Postgres::open(settings).await?)),
        };
        Ok(Self(Arc::new(Inner {
            engine,
            counts: StoreCounts::default(),
            written: LastWrite::default(),
            shares: Arc::default(),
            hints: Hints::default(),
            #[cfg(feature = "testing")]
            faults: Arc::default(),
        })))
    }

    /// The first row of the answer, for reads of one row by an index.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub async fn find(&self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        self.counted("read", async {
            match &self.0.engine {
                Engine::Sqlite(sqlite) => sqlite.find(sql, values).await,
                Engine::Postgres(postgres) => postgres.find(sql, values).await,
            }
        })
        .await
    }

    /// All rows of the answer, for reads of few rows by an index, and of tables that stay small.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub async fn list(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.counted("read", async {
            match &self.0.engine {
                Engine::Sqlite(sqlite) => sqlite.list(sql, values).await,
                Engine::Postgres(postgres) => postgres.list(sql, values).await,
            }
        })
        .await
    }

    /// The same for the loop that follows other processes' writes. On SQLite it has a reader of its own, so that it
    /// goes on while every other reader is busy.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn follow(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.counted("read", async {
            match &self.0.engine {
                Engine::Sqlite(sqlite) => sqlite.follow(sql, values).await,
                Engine::Postgres(postgres) => postgres.list(sql, values).await,
            }
        })
        .await
    }

    /// Runs one statement in a transaction of its own, and returns the number of rows that it changed.
    ///
    /// # Errors
    /// [`StoreError`]; the statement changed nothing then.
    pub async fn execute(&self, sql: &'static str, values: Vec<Value>) -> Result<u64, StoreError> {
        Ok(self.change(sql, values).await?.changed)
    }

    /// The same, with the rows of its `RETURNING`.
    ///
    /// # Errors
    /// As [`Store::execute`].
    pub async fn change(&self, sql: &'static str, values: Vec<Value>) -> Result<Answer, StoreError> {
        self.counted("write", async {
            match &self.0.engine {
                Engine::Sqlite(sqlite) => {
                    let change = async move |tx: &mut Tx| {
                        let asked = tx.ask(sql, values.clone())?;
                        tx.answer(asked).await
                    };
                    sqlite.transaction(change).await?
                }
                Engine::Postgres(postgres) => postgres.change(sql, values).await,
            }
        })
        .await
    }

    /// Runs `act` as one transaction: all of it is kept or, if it fails, nothing.
    ///
    /// The closure may run more than once before it is kept, and must await nothing but its [`Tx`]. Make ids, times and
    /// random bytes before it and move them in. The isolation is READ COMMITTED: it must first write the rows that it
    /// depends on.
    ///
    /// # Errors
    /// What `act` fails with, or [`StoreError`] if it could not be kept. After [`StoreError::Unavailable`] on
    /// PostgreSQL it may have been kept all the same, since the answer to the commit can get lost.
    pub async fn transaction<F, T>(&self, act: F) -> Result<T, StoreError>
    where
        F: AsyncFn(&mut Tx) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.attempt(act).await
    }

    /// As [`Store::transaction`], for a closure that can refuse: if it fails with any error, nothing is kept.
    ///
    /// # Errors
    /// As [`Store::transaction`].
    pub async fn attempt<F, T, E>(&self, act: F) -> Result<T, E>
    where
        F: AsyncFn(&mut Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        #[cfg(feature = "testing")]
        let act = faults::within(self.0.faults.clone(), act);
        let outcome = self.counted("write", async {
            match &self.0.engine {
                Engine::Sqlite(sqlite) => sqlite.transaction(act).await,
                Engine::Postgres(postgres) => postgres.transaction(act).await,
            }
        });
        outcome.await?
    }

    async fn counted<T>(
        &self,
        kind: &'static str,
        act: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let begun = steady();
        #[cfg(feature = "testing")]
        let act = self.0.faults.call(kind, act);
        let outcome = act.await;
        self.0.counts.done(kind, begun.elapsed(), &outcome);
        outcome
    }

    /// The faults that a test can cause.
    #[cfg(feature = "testing")]
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// The counters.
    pub(crate) fn counts(&self) -> &StoreCounts {
        &self.0.counts
    }

    /// A number that changes when another process (the command line, a second server) wrote to the database, but not
    /// with this store's own writes. `None` if the engine can't tell: something may have changed.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub async fn data_version(&self) -> Result<Option<i64>, StoreError> {
        match &self.0.engine {
            Engine::Sqlite(sqlite) => sqlite.data_version().await.map(Some),
            Engine::Postgres(_) => Ok(None),
        }
    }

    /// Checks that the database answers.
    ///
    /// # Errors
    /// [`StoreError`] if it doesn't.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.find("SELECT CAST(1 AS BIGINT) AS one", values![]).await.map(drop)
    }

    /// Finishes the queue and closes the database; every later call is [`StoreError::Unavailable`].
    pub async fn close(&self) {
        match &self.0.engine {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Postgres(postgres) => postgres.close().await,
        }
    }
}

#[cfg(test)]
mod tests;
