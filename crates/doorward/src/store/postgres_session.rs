//! One connection to PostgreSQL with a transaction.

use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use tokio::time::timeout;

use super::StoreError;
use super::postgres_error::{harmless, store_error};
use super::postgres_pipeline::{self as pipeline, Failed, Flight, lost};
use super::postgres_query::{self as query, Way};
use super::query::{Answer, Query};

/// How long a rollback may take before the connection is closed instead.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection with a transaction, which begins with its first flight. If it is dropped inside the transaction (a
/// panic, a lost connection), it is closed and not given back. Its next user would be inside a foreign transaction.
pub(super) struct Session {
    client: Option<Object>,
    way: Way,
    patience: Duration,
    has_begun: bool,
    /// Whether the server may be inside the transaction.
    is_open: bool,
    queue: Vec<Query>,
    /// The answers to the statements that were sent, in their order, until they are taken.
    answers: Vec<Option<Answer>>,
}

impl Session {
    pub(super) fn new(client: Object, way: Way, patience: Duration) -> Self {
        let (queue, answers) = (Vec::new(), Vec::new());
        Self { client: Some(client), way, patience, has_begun: false, is_open: false, queue, answers }
    }

    /// Keeps a statement for the next flight, and returns its number.
    pub(super) fn queue(&mut self, query: Query) -> usize {
        self.queue.push(query);
        self.answers.len() + self.queue.len() - 1
    }

    /// The answer to the statement with this number.
    pub(super) async fn answer(&mut self, number: usize) -> Result<Answer, StoreError> {
        if number >= self.answers.len() {
            self.send(false).await?;
        }
        let answer = self.answers.get_mut(number).and_then(Option::take);
        answer.ok_or_else(|| StoreError::Corrupt("a statement has no answer".to_owned()))
    }

    /// Sends what is queued, with BEGIN if it is the first flight.
    async fn send(&mut self, commits: bool) -> Result<(), StoreError> {
        let queries = std::mem::take(&mut self.queue);
        // Until all is answered.
        self.is_open = true;
        let (begins, client) = (!self.has_begun, self.client()?);
        let flight = async {
            let ready = pipeline::prepare(client, &self.way, &queries).await;
            let ready = ready.map_err(|error| Failed {
                error: if begins { harmless(&error) } else { store_error(&error) },
                is_over: begins,
            })?;
            let begin = begins.then(|| self.way.begin());
            pipeline::send(client, Flight { begin, queries: &queries, commits }, &ready).await
        };
        let silent = "the server did not answer in time";
        let silent = || if commits { lost(silent) } else { StoreError::Unavailable(silent.to_owned()) };
        let answered = timeout(self.patience, flight).await;
        let answers = answered.unwrap_or_else(|_| Err(Failed { error: silent(), is_over: false }));
        self.has_begun = true;
        match answers {
            Ok(answers) => {
                self.is_open = !commits;
                self.answers.extend(answers.into_iter().map(Some));
                Ok(())
            }
            Err(Failed { error, is_over }) => {
                self.is_open = !is_over;
                Err(error)
            }
        }
    }

    /// Begins the transaction, and lifts the limits on the time of its statements. A dead connection is still noticed.
    pub(super) async fn wait_without_limit(&mut self) -> Result<(), StoreError> {
        self.send(false).await?;
        self.patience = Duration::MAX;
        let limits = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";
        self.client()?.batch_execute(limits).await.map_err(|error| store_error(&error))
    }

    /// The statements of a migration, without a time limit.
    pub(super) async fn migrate(&mut self, sql: &str) -> Result<(), StoreError> {
        self.send(false).await?;
        query::migrate(self.client()?, sql).await
    }

    fn client(&self) -> Result<&ClientWrapper, StoreError> {
        self.client.as_deref().ok_or_else(StoreError::closed)
    }

    /// Sends what is queued, and ends the transaction. One that sent nothing needs no end.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        if !self.has_begun && self.queue.is_empty() {
            self.client.take();
            return Ok(());
        }
        let committed = self.send(true).await;
        self.leave().await;
        committed
    }

    pub(super) async fn roll_back(mut self) {
        self.leave().await;
    }

    /// Gives the connection back, outside of the transaction.
    async fn leave(&mut self) {
        if self.is_open
            && let Ok(client) = self.client()
        {
            let rolled_back = timeout(ROLLBACK_TIMEOUT, client.batch_execute("ROLLBACK")).await;
            self.is_open = !matches!(rolled_back, Ok(Ok(())));
        }
        if !self.is_open {
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
