#[cfg(feature = "sqlite")]
use std::rc::Rc;

#[cfg(feature = "sqlite")]
use rusqlite::Connection;

#[cfg(feature = "postgres")]
use super::postgres_session::Session;
#[cfg(feature = "sqlite")]
use super::sqlite_query as sqlite;
use super::{Row, StoreError, Value};

/// An open transaction, as its closure sees it.
pub struct Tx {
    on: On,
    failed: Option<StoreError>,
    #[cfg(feature = "testing")]
    pub(super) faults: Option<std::sync::Arc<super::Faults>>,
}

/// The result of a transaction: what its closure returned, of which only `Ok` is kept; or the failure of the store.
pub(super) type Outcome<T, E> = Result<Result<T, E>, StoreError>;

enum On {
    #[cfg(feature = "sqlite")]
    Sqlite(Rc<Connection>),
    #[cfg(feature = "postgres")]
    Postgres(Box<Session>),
}

impl Tx {
    #[cfg(feature = "sqlite")]
    pub(super) fn on_sqlite(connection: Rc<Connection>) -> Self {
        Self::on(On::Sqlite(connection))
    }

    #[cfg(feature = "postgres")]
    pub(super) fn on_postgres(session: Session) -> Self {
        Self::on(On::Postgres(Box::new(session)))
    }

    fn on(on: On) -> Self {
        Self {
            on,
            failed: None,
            #[cfg(feature = "testing")]
            faults: None,
        }
    }

    /// Runs a statement and returns the number of rows that it changed.
    ///
    /// # Errors
    /// [`StoreError`], after which the transaction is lost, whatever its closure returns.
    pub async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, StoreError> {
        #[cfg(feature = "testing")]
        self.interrupted()?;
        let outcome = match &self.on {
            #[cfg(feature = "sqlite")]
            On::Sqlite(connection) => sqlite::execute(connection, sql, &values),
            #[cfg(feature = "postgres")]
            On::Postgres(session) => session.execute(sql, &values).await,
        };
        self.noted(outcome)
    }

    /// The first row of the answer to a `SELECT` or to `… RETURNING`.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn find(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        #[cfg(feature = "testing")]
        self.interrupted()?;
        let outcome = match &self.on {
            #[cfg(feature = "sqlite")]
            On::Sqlite(connection) => sqlite::find(connection, sql, &values),
            #[cfg(feature = "postgres")]
            On::Postgres(session) => session.list(sql, &values).await.map(|rows| rows.into_iter().next()),
        };
        self.noted(outcome)
    }

    /// All rows of the answer to a `SELECT` or to `… RETURNING`.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn list(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        #[cfg(feature = "testing")]
        self.interrupted()?;
        let outcome = match &self.on {
            #[cfg(feature = "sqlite")]
            On::Sqlite(connection) => sqlite::list(connection, sql, &values),
            #[cfg(feature = "postgres")]
            On::Postgres(session) => session.list(sql, &values).await,
        };
        self.noted(outcome)
    }

    /// Fails if a test wants it to.
    #[cfg(feature = "testing")]
    fn interrupted(&mut self) -> Result<(), StoreError> {
        let outcome = self.faults.as_ref().map_or(Ok(()), |faults| faults.statement());
        self.noted(outcome)
    }

    /// Runs the statements of a migration. It waits for as long as they take.
    pub(super) async fn migrate(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let outcome = match &self.on {
            #[cfg(feature = "sqlite")]
            On::Sqlite(connection) => sqlite::migrate(connection, sql),
            #[cfg(feature = "postgres")]
            On::Postgres(session) => session.migrate(sql).await,
        };
        self.noted(outcome)
    }

    /// Remembers a failure: after one, PostgreSQL answers even COMMIT with a silent rollback, so a transaction that
    /// ignores a failed statement must still fail. SQLite follows the same rule.
    fn noted<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &outcome {
            self.failed.get_or_insert_with(|| error.clone());
        }
        outcome
    }

    /// The result of the transaction: its first failed statement, otherwise what it returned.
    pub(super) fn outcome<T, E>(&mut self, returned: Result<T, E>) -> Outcome<T, E> {
        self.failed.take().map_or(Ok(returned), Err)
    }

    #[cfg(feature = "postgres")]
    pub(super) fn into_session(self) -> Option<Session> {
        match self.on {
            #[cfg(feature = "postgres")]
            On::Postgres(session) => Some(*session),
            #[cfg(feature = "sqlite")]
            On::Sqlite(_) => None,
        }
    }
}
