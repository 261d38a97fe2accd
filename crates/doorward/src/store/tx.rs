#[cfg(feature = "sqlite")]
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

#[cfg(feature = "sqlite")]
use rusqlite::Connection;

#[cfg(feature = "postgres")]
use super::postgres_session::Session;
use super::query::{Answer, Outcome, Query};
#[cfg(feature = "sqlite")]
use super::sqlite_query as sqlite;
use super::{Row, StoreError, Value};

/// An open transaction, as its closure sees it.
///
/// On PostgreSQL, statements whose answers aren't needed at once are sent together with the next one that is, or with
/// the commit: one round trip for all of them ([`Tx::queue`], [`Tx::ask`]). SQLite runs each at once.
pub struct Tx {
    on: On,
    failed: Option<StoreError>,
    #[cfg(feature = "testing")]
    pub(super) faults: Option<Arc<super::Faults>>,
}

enum On {
    #[cfg(feature = "sqlite")]
    Sqlite(Rc<Connection>),
    #[cfg(feature = "postgres")]
    Postgres(Box<Session>),
}

/// A statement that was handed over, whose answer [`Tx::answer`] waits for.
#[derive(Debug)]
#[must_use = "if the answer isn't needed, queue it"]
pub struct Asked(Place);

#[derive(Debug)]
enum Place {
    /// It ran at once.
    #[cfg(feature = "sqlite")]
    Here(Answer),
    /// The number of the statement in its transaction.
    #[cfg(feature = "postgres")]
    Number(usize),
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
        let asked = self.ask(sql, values)?;
        Ok(self.answer(asked).await?.changed)
    }

    /// The first row of the answer to a `SELECT` or to `… RETURNING`.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn find(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        let asked = self.ask(sql, values)?;
        Ok(self.answer(asked).await?.into_first())
    }

    /// All rows of the answer to a `SELECT` or to `… RETURNING`.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn list(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let asked = self.ask(sql, values)?;
        Ok(self.answer(asked).await?.rows)
    }

    /// Hands over a change whose answer isn't needed. It runs after the statements before it and before those after it.
    ///
    /// # Errors
    /// As [`Tx::execute`]. On PostgreSQL, a later statement or the commit fails instead.
    pub fn queue(&mut self, sql: &'static str, values: Vec<Value>) -> Result<(), StoreError> {
        self.hand_over(Query::new(sql, values)).map(drop)
    }

    /// As [`Tx::queue`], for a change without `RETURNING` that must change a row. If it changes none, the transaction
    /// fails with [`StoreError::Missed`], though its commit may be under way already.
    ///
    /// # Errors
    /// As [`Tx::queue`].
    pub fn queue_hit(&mut self, sql: &'static str, values: Vec<Value>) -> Result<(), StoreError> {
        self.hand_over(Query { must_change: true, ..Query::new(sql, values) }).map(drop)
    }

    /// As [`Tx::queue_hit`]. If the transaction fails because of this statement, `failure` is set.
    ///
    /// # Errors
    /// As [`Tx::queue`].
    pub(crate) fn queue_hit_noting(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
        failure: &Arc<AtomicBool>,
    ) -> Result<(), StoreError> {
        let failure = Some(failure.clone());
        self.hand_over(Query { must_change: true, failure, ..Query::new(sql, values) }).map(drop)
    }

    /// As [`Tx::queue`]. If the transaction fails because of this statement, `failure` is set.
    ///
    /// # Errors
    /// As [`Tx::queue`].
    pub(crate) fn queue_noting(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
        failure: &Arc<AtomicBool>,
    ) -> Result<(), StoreError> {
        self.hand_over(Query { failure: Some(failure.clone()), ..Query::new(sql, values) }).map(drop)
    }

    /// Hands over a statement whose answer is needed later. Several answers take one round trip: ask for all of them,
    /// and then wait for the first.
    ///
    /// # Errors
    /// As [`Tx::queue`].
    pub fn ask(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Asked, StoreError> {
        self.hand_over(Query::new(sql, values))
    }

    /// The answer to a statement of this transaction. All statements before it have run by then.
    ///
    /// # Errors
    /// As [`Tx::execute`], also for a statement that was handed over before.
    pub async fn answer(&mut self, asked: Asked) -> Result<Answer, StoreError> {
        match asked.0 {
            #[cfg(feature = "sqlite")]
            Place::Here(answer) => Ok(answer),
            #[cfg(feature = "postgres")]
            Place::Number(number) => {
                let answer = match &mut self.on {
                    On::Postgres(session) => session.answer(number).await,
                    #[cfg(feature = "sqlite")]
                    On::Sqlite(_) => Err(StoreError::closed()),
                };
                self.noted(answer)
            }
        }
    }

    fn hand_over(&mut self, query: Query) -> Result<Asked, StoreError> {
        #[cfg(feature = "testing")]
        if let Err(error) = self.interrupted() {
            query.has_failed();
            return Err(error);
        }
        let place = match &mut self.on {
            #[cfg(feature = "sqlite")]
            On::Sqlite(connection) => sqlite::run(connection, &query).map(Place::Here),
            #[cfg(feature = "postgres")]
            On::Postgres(session) => Ok(Place::Number(session.queue(query))),
        };
        self.noted(place).map(Asked)
    }

    /// Fails if a test wants it to.
    #[cfg(feature = "testing")]
    fn interrupted(&mut self) -> Result<(), StoreError> {
        let outcome = self.faults.as_ref().map_or(Ok(()), |faults| faults.statement());
        self.noted(outcome)
    }

    /// Begins the transaction, whose statements may wait for as long as others work.
    pub(super) async fn wait_without_limit(&mut self) -> Result<(), StoreError> {
        let outcome = match &mut self.on {
            // The writer waits before it begins.
            #[cfg(feature = "sqlite")]
            On::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            On::Postgres(session) => session.wait_without_limit().await,
        };
        self.noted(outcome)
    }

    /// Runs the statements of a migration. It waits for as long as they take.
    pub(super) async fn migrate(&mut self, sql: &str) -> Result<(), StoreError> {
        let outcome = match &mut self.on {
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
