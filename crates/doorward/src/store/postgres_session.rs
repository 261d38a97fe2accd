//! One connection to PostgreSQL with an open transaction.

use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use tokio::time::timeout;

use super::postgres_error::{harmless, store_error, text};
use super::postgres_query::{self as query, Way};
use super::{Row, StoreError, Value};

/// How long a rollback may take before the connection is closed instead.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection with an open transaction. If it is dropped inside the transaction (a panic, a lost connection), it is
/// closed and not given back. Its next user would be inside a foreign transaction.
pub(super) struct Session {
    client: Option<Object>,
    way: Way,
    patience: Duration,
}

impl Session {
    pub(super) fn new(client: Object, way: Way, patience: Duration) -> Self {
        Self { client: Some(client), way, patience }
    }

    pub(super) async fn begin(&self) -> Result<(), StoreError> {
        // Nothing has been done yet, so a dead connection is worth another try.
        let begun =
            async { self.client()?.batch_execute(self.way.begin()).await.map_err(|error| harmless(&error)) };
        self.in_time(begun).await
    }

    pub(super) async fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        self.in_time(query::execute(self.client()?, &self.way, sql, values)).await
    }

    pub(super) async fn list(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.in_time(query::list(self.client()?, &self.way, sql, values)).await
    }

    /// The statements of a migration, without a time limit.
    pub(super) async fn migrate(&self, sql: &str) -> Result<(), StoreError> {
        query::migrate(self.client()?, sql).await
    }

    fn client(&self) -> Result<&ClientWrapper, StoreError> {
        self.client.as_deref().ok_or_else(StoreError::closed)
    }

    /// One statement. If the server stays silent, the ROLLBACK that follows fails by the same limit, and the connection
    /// is closed.
    async fn in_time<T>(
        &self,
        statement: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let silent = || StoreError::Unavailable("the server did not answer in time".to_owned());
        timeout(self.patience, statement).await.unwrap_or_else(|_| Err(silent()))
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        let lost = |why: &str| {
            StoreError::Unavailable(format!("the answer to a commit was lost, it may have been done: {why}"))
        };
        let committed = timeout(self.patience, self.client()?.batch_execute("COMMIT")).await;
        committed.map_err(|_| lost("the server did not answer in time"))?.map_err(|error| {
            match error.code() {
                Some(_) => store_error(&error),
                None => lost(&text(&error)),
            }
        })?;
        self.client.take();
        Ok(())
    }

    pub(super) async fn roll_back(mut self) {
        if let Ok(client) = self.client()
            && let Ok(Ok(())) = timeout(ROLLBACK_TIMEOUT, client.batch_execute("ROLLBACK")).await
        {
            self.client.take();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}
