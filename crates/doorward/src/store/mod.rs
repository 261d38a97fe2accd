//! The store: one SQL text per query, for SQLite and for PostgreSQL.
//!
//! Parameters are `$1`, `$2` and so on; ids are 16 bytes, times microseconds. Only SQL that SQLite, PostgreSQL,
//! CockroachDB and YugabyteDB understand alike:
//! - casts only `AS BIGINT` and `AS TEXT`; a selected expression that is no column is cast, a parameter that may be
//!   NULL too; `LIKE` on folded columns, with `ESCAPE`
//! - a conflict of a unique column is `ON CONFLICT DO NOTHING RETURNING …`, never a caught error: that would end
//!   PostgreSQL's transaction
//! - no data-modifying `WITH`, no `FOR UPDATE`: what an act depends on, it writes first
//!
//! A change is one guarded statement ([`Store::execute`]) or one [`Store::transaction`]; both are answered after
//! the durable commit and go on to their end where the caller is dropped meanwhile.

#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
mod absent;
mod ballast;
mod condition;
mod counts;
mod error;
#[cfg(feature = "testing")]
mod faults;
mod migrate;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_connect;
#[cfg(feature = "postgres")]
mod postgres_error;
#[cfg(feature = "postgres")]
mod postgres_proof;
#[cfg(feature = "postgres")]
mod postgres_query;
#[cfg(feature = "postgres")]
mod postgres_session;
#[cfg(feature = "postgres")]
mod postgres_url;
mod reads;
mod shares;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod sqlite_query;
#[cfg(feature = "sqlite")]
mod sqlite_writer;
mod tx;
mod value;
mod writes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use doorward_core::{Secret, Timestamp, UserId};

use crate::clock::steady;
#[cfg(not(feature = "postgres"))]
use absent::Absent as Postgres;
#[cfg(not(feature = "sqlite"))]
use absent::Absent as Sqlite;
use counts::StoreCounts;
#[cfg(feature = "postgres")]
use postgres::Postgres;
use shares::Shares;
#[cfg(feature = "sqlite")]
use sqlite::Sqlite;

pub(crate) use ballast::BALLAST;
pub use condition::Condition;
pub use error::StoreError;
#[cfg(feature = "testing")]
pub use faults::{Fault, Faults, Outage};
pub(crate) use reads::Reads;
pub use tx::Tx;
pub(crate) use value::values;
pub use value::{Column, Row, Value};
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
    /// A SQLite file, made with mode 0600 where it isn't there; its folder is. Not on a network file system.
    Sqlite(PathBuf),
    /// A PostgreSQL server, or one that speaks its language.
    Postgres(PostgresSettings),
}

/// How a PostgreSQL server is reached.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:5432/name?sslmode=require`. Where TLS is used, the server's
    /// certificate is always verified. Beyond this machine it is required, unless the URL says `sslmode=disable`.
    pub url: Secret,
    /// The most connections that are open at once; while one is opened there is one more for a moment.
    pub pool_size: usize,
    /// How long one statement may take before the server cuts it.
    pub statement_timeout: Duration,
    /// A PEM file of further authorities that are trusted for the server's certificate.
    pub tls_ca_file: Option<PathBuf>,
    /// Whether a pooler shares its connections to the server among its clients. Nothing is prepared then, and nothing
    /// is set that outlives a transaction.
    pub pooler: bool,
    /// How long to wait for a server that isn't up yet.
    pub start_timeout: Duration,
}

impl Database {
    /// Sees that the settings can be used, as far as they say it themselves.
    ///
    /// # Errors
    /// [`StoreError::Refused`], with what to do.
    pub fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) if !cfg!(feature = "sqlite") => Err(StoreError::Refused(
                "this build has no SQLite: set a PostgreSQL URL, or compile it with the feature \"sqlite\""
                    .into(),
            )),
            Self::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(settings) => postgres_url::Target::read(&settings.url, settings.pooler).map(drop),
            #[cfg(not(feature = "postgres"))]
            Self::Postgres(_) => Err(StoreError::Refused(
                "this build has no PostgreSQL: compile it with the feature \"postgres\"".into(),
            )),
        }
    }

    /// The same, for whoever doesn't wait for a server that isn't up.
    pub fn at_once(self) -> Self {
        match self {
            Self::Sqlite(file) => Self::Sqlite(file),
            Self::Postgres(settings) => {
                Self::Postgres(PostgresSettings { start_timeout: Duration::ZERO, ..settings })
            }
        }
    }
}

/// Whether a text is the URL of a PostgreSQL server.
pub(crate) fn is_postgres(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// The open database. Cheap to clone; the last clone that is dropped closes it once what was queued is done.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    engine: Engine,
    counts: StoreCounts,
    written: LastWrite,
    shares: Arc<Shares>,
    #[cfg(feature = "testing")]
    faults: Arc<Faults>,
}

enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// Opens the database, and makes or migrates its tables; `now` is noted beside each migration.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for settings that lead nowhere and for a database that another version of Doorward
    /// changed; [`StoreError::Unavailable`] where it can't be reached.
    pub async fn open(settings: &StoreSettings, now: Timestamp) -> Result<Self, StoreError> {
        let store = Self::connect(settings).await?;
        store.lacks().await?;
        migrate::run(&store, migrate::ALL, now).await?;
        Ok(store)
    }

    /// The migrations that the database lacks. Nothing is changed, except that a SQLite file is made where there is none.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn missing_migrations(settings: &StoreSettings) -> Result<Vec<i64>, StoreError> {
        let store = Self::connect(settings).await?;
        let missing = store.lacks().await;
        store.close().await;
        Ok(missing?.into_iter().map(|migration| migration.version).collect())
    }

    /// The migrations that the database lacks, if it lets us run them.
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
            Database::Postgres(settings) => Engine::Postgres(Postgres::open(settings).await?),
        };
        Ok(Self(Arc::new(Inner {
            engine,
            counts: StoreCounts::default(),
            written: LastWrite::default(),
            shares: Arc::default(),
            #[cfg(feature = "testing")]
            faults: Arc::default(),
        })))
    }

    /// The first row of the answer, for reads of one row by an index.
    ///
    /// # Errors
    /// [`StoreError`], as of every act.
    pub async fn find(&self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        self.counted("read", async {
            match &self.0.engine {
                Engine::Sqlite(sqlite) => sqlite.find(sql, values).await,
                Engine::Postgres(postgres) => postgres.find(sql, &values).await,
            }
        })
        .await
    }

    /// All rows of the answer, for reads of few rows by an index, and of tables that stay small.
    ///
    /// # Errors
    /// [`StoreError`], as of every act.
    pub async fn list(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.counted("read", async {
            match &self.0.engine {
                Engine::Sqlite(sqlite) => sqlite.list(sql, values).await,
                Engine::Postgres(postgres) => postgres.list(sql, &values).await,
            }
        })
        .await
    }

    /// The same for the loop that follows what other processes write. On SQLite it has a reader of its own: what ended
    /// elsewhere is heard while every other reader is busy.
    ///
    /// # Errors
    /// [`StoreError`], as of every act.
    pub(crate) async fn follow(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.counted("read", async {
            match &self.0.engine {
                Engine::Sqlite(sqlite) => sqlite.follow(sql, values).await,
                Engine::Postgres(postgres) => postgres.list(sql, &values).await,
            }
        })
        .await
    }

    /// All rows of the answer, for whatever else a user asks for: scans, whose number of rows the query limits. A user has
    /// one at a time; `None` for who needs no share, such as the command line.
    ///
    /// # Errors
    /// [`StoreError`], as of every act; [`StoreError::Overloaded`] if too many of this user's scans wait.
    pub async fn scan(
        &self,
        user: Option<UserId>,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        self.counted("scan", async {
            let turn = match user {
                Some(user) => Some(self.0.shares.turn(user).await?),
                None => None,
            };
            match &self.0.engine {
                Engine::Sqlite(sqlite) => sqlite.scan(sql, values, turn).await,
                Engine::Postgres(postgres) => postgres.scan(sql, values, turn).await,
            }
        })
        .await
    }

    /// Runs one statement in a transaction of its own, and gives the number of rows that it changed.
    ///
    /// # Errors
    /// [`StoreError`]; the statement changed nothing then.
    pub async fn execute(&self, sql: &'static str, values: Vec<Value>) -> Result<u64, StoreError> {
        self.counted("write", async {
            match &self.0.engine {
                Engine::Sqlite(sqlite) => {
                    sqlite.transaction(async move |tx: &mut Tx| tx.execute(sql, values.clone()).await).await?
                }
                Engine::Postgres(postgres) => postgres.execute(sql, values).await,
            }
        })
        .await
    }

    /// Runs `act` as one transaction: all of it is kept, or, if it fails, nothing.
    ///
    /// The act may be run more than once before it is kept, and awaits nothing but its [`Tx`]: ids, times and random
    /// bytes are made before it and moved into it. It is READ COMMITTED: what it depends on, it writes first.
    ///
    /// # Errors
    /// What `act` fails with, or [`StoreError`] if it could not be kept. After [`StoreError::Unavailable`] on PostgreSQL
    /// it may have been kept all the same: the answer to the commit can get lost.
    pub async fn transaction<F, T>(&self, act: F) -> Result<T, StoreError>
    where
        F: AsyncFn(&mut Tx) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.attempt(act).await
    }

    /// As [`Store::transaction`], for an act that can refuse: nothing is kept of one that fails with any error.
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

    /// What can be made to go wrong.
    #[cfg(feature = "testing")]
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// What was counted so far.
    pub(crate) fn counts(&self) -> &StoreCounts {
        &self.0.counts
    }

    /// A number that moves when another process (the command line, a second server) wrote to the database, and stays
    /// for this store's own writes; `None` where the engine can't tell, so that something may have changed.
    ///
    /// # Errors
    /// [`StoreError`], as of every act.
    pub async fn data_version(&self) -> Result<Option<i64>, StoreError> {
        match &self.0.engine {
            Engine::Sqlite(sqlite) => sqlite.data_version().await.map(Some),
            Engine::Postgres(_) => Ok(None),
        }
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`StoreError`] where there is none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.find("SELECT CAST(1 AS BIGINT)", values![]).await.map(drop)
    }

    /// Finishes what is queued and closes the database; everything later is [`StoreError::Unavailable`].
    pub async fn close(&self) {
        match &self.0.engine {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Postgres(postgres) => postgres.close().await,
        }
    }
}

#[cfg(test)]
mod tests;
