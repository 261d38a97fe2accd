//! PostgreSQL: a pool of connections. Reads and single statements run in the caller's task. Transactions run on a
//! thread of their own, apart from the request, so that a client that hangs up can't cut one.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::future::try_join_all;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{AbortHandle, LocalSet};
use tokio::time::timeout;

use super::postgres_connect::{self, Plan};
use super::postgres_hints;
use super::postgres_pipeline::{self as pipeline, Failed};
use super::postgres_pool::{Seated, Seats};
use super::postgres_query::{self as query, Way};
use super::postgres_session::Session;
use super::query::{Answer, Outcome};
use super::shares::Turn;
use super::{PostgresSettings, Row, Statement, StoreError, Tx, Value};

/// The most calls that are under way or wait for a connection.
pub(super) const QUEUE: usize = 1024;
/// How often a transaction is tried that loses against others.
const TRIES: u32 = 10;
/// How much longer than the statement limit the server's answer may take.
const SLACK: Duration = Duration::from_secs(2);

pub(super) struct Postgres {
    plan: Plan,
    connections: Connections,
    /// One connection that follows other processes, and one that writes signs of life: neither waits for acts.
    following: Connections,
    beating: Connections,
    /// Transactions for the thread that runs them; `None` asks it to end.
    acts: mpsc::UnboundedSender<Option<Act>>,
    room: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where statements run, how they are sent, and how long the server may take to answer one.
#[derive(Clone)]
struct Connections {
    seats: Seats,
    way: Way,
    patience: Duration,
}

type Act = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

impl Postgres {
    pub(super) async fn open(settings: &PostgresSettings) -> Result<Self, StoreError> {
        let plan = postgres_connect::plan(settings)?;
        let (pool, way) = postgres_connect::pool(&plan, settings)?;
        // The first connection shows whether the settings are right.
        let first = postgres_connect::first(&pool, settings.start_timeout).await?;
        postgres_connect::require_utf8(&first).await?;
        drop(first);
        let (acts, queue) = mpsc::unbounded_channel();
        let thread = start(queue)
            .map_err(|error| StoreError::Unavailable(format!("no thread for the database: {error}")))?;
        let (room, patience) = (Arc::new(Semaphore::new(QUEUE)), settings.statement_timeout + SLACK);
        let connections = Connections { seats: Seats::new(pool), way, patience };
        let alone = || -> Result<Connections, StoreError> {
            let settings = PostgresSettings { pool_size: 1, ..settings.clone() };
            let (pool, way) = postgres_connect::pool(&plan, &settings)?;
            Ok(Connections { seats: Seats::new(pool), way, patience })
        };
        let (following, beating) = (alone()?, alone()?);
        Ok(Self { plan, connections, following, beating, acts, room, thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn find(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.list(sql, values).await?.into_iter().next())
    }

    pub(super) async fn list(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.connections.list(Statement { sql, values }).await
    }

    /// Reads in one round trip.
    pub(super) async fn each(&self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, StoreError> {
        self.connections.each(&reads).await
    }

    /// In a task of its own: if the caller is dropped, the server goes on with the statement, which keeps its turn.
    pub(super) async fn scan(
        &self,
        sql: &'static str,
        values: Vec<Value>,
        turn: Option<Arc<Turn>>,
    ) -> Result<Vec<Row>, StoreError> {
        let connections = self.connections.clone();
        let scanned = tokio::spawn(async move {
            let rows = connections.list(Statement { sql, values }).await;
            drop(turn);
            rows
        });
        scanned.await.map_err(|_| StoreError::closed())?
    }

    /// One statement needs no BEGIN and COMMIT around it.
    pub(super) async fn change(&self, sql: &'static str, values: Vec<Value>) -> Result<Answer, StoreError> {
        let Connections { seats, way, patience } = self.connections.clone();
        let act = async move || {
            let Seated { client, seat: _seat } = seats.get().await?;
            match timeout(patience, query::change(&client, &way, sql, &values)).await {
                Ok(changed) => changed,
                Err(_) => Err(silent(client)),
            }
        };
        self.apart(act).await
    }

    pub(super) async fn unsynced(&self, queries: &[Statement]) -> Result<Vec<Vec<Row>>, StoreError> {
        self.connections.unsynced(queries).await
    }

    pub(super) async fn transaction<F, T, E>(&self, act: F) -> Outcome<T, E>
    where
        F: AsyncFn(&mut Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let Connections { seats, way, patience } = self.connections.clone();
        self.apart(async move || {
            let Seated { client, seat: _seat } = seats.get().await?;
            attempt(Session::new(client, way.clone(), patience), &act).await
        })
        .await
    }

    /// Passes hints on; behind a pooler none arrive.
    pub(super) fn hints(&self, given: Arc<Notify>, heard: Arc<Notify>) -> AbortHandle {
        let plan = self.plan.clone();
        let keeping = async move {
            if !plan.is_pooled {
                postgres_hints::keep(plan, given, heard).await;
            }
        };
        tokio::spawn(keeping).abort_handle()
    }

    /// The connection that follows other processes.
    pub(super) async fn reader(&self) -> Result<Reader, StoreError> {
        let Connections { seats, way, patience } = self.following.clone();
        let Seated { client, seat } = seats.get().await?;
        Ok(Reader { client: Some(client), _seat: seat, way, patience })
    }

    pub(super) fn connect_anew(&self) {
        self.connections.seats.close_unused();
    }

    /// One statement on the connection for signs of life, which is closed if it fails.
    pub(super) async fn beat(&self, sql: &str, values: &[Value]) -> Result<(), StoreError> {
        let Connections { seats, way, patience } = &self.beating;
        let Seated { client, seat: _seat } = seats.get().await?;
        let beaten = timeout(*patience, query::change(&client, way, sql, values)).await;
        match beaten {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                drop(Object::take(client));
                Err(error)
            }
            Err(_) => Err(silent(client)),
        }
    }

    /// Runs the transaction on its thread, again if it lost against others, and waits for its answer.
    async fn apart<F, T>(&self, act: F) -> Result<T, StoreError>
    where
        F: AsyncFn() -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let place = Arc::clone(&self.room).try_acquire_owned().map_err(|_| StoreError::Overloaded)?;
        let (reply, answer) = oneshot::channel();
        let act: Act = Box::new(move || {
            Box::pin(async move {
                let outcome = retried(act).await;
                drop(place);
                // The caller may be gone; the transaction was done all the same.
                drop(reply.send(outcome));
            })
        });
        self.acts.send(Some(act)).map_err(|_| StoreError::closed())?;
        answer
            .await
            .map_err(|_| StoreError::Unavailable("the act panicked, or the store was closed".to_owned()))?
    }

    pub(super) async fn close(&self) {
        // If the thread has ended already, there is nothing to end.
        drop(self.acts.send(None));
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            drop(tokio::task::spawn_blocking(move || drop(thread.join())).await);
        }
        for connections in [&self.connections, &self.following, &self.beating] {
            connections.seats.close();
        }
    }
}

/// A connection that reads; after a failure it is closed.
pub(super) struct Reader {
    client: Option<Object>,
    _seat: OwnedSemaphorePermit,
    way: Way,
    patience: Duration,
}

impl Reader {
    /// All rows of the answer.
    pub(super) async fn list(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let client = self.client.take().ok_or_else(StoreError::closed)?;
        match timeout(self.patience, query::read(&client, &self.way, sql, values)).await {
            Ok(Ok(rows)) => {
                self.client = Some(client);
                Ok(rows)
            }
            Ok(Err(error)) => {
                drop(Object::take(client));
                Err(error)
            }
            Err(_) => Err(silent(client)),
        }
    }

    pub(super) fn close_reader(mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}

impl Connections {
    async fn list(&self, read: Statement) -> Result<Vec<Row>, StoreError> {
        Ok(self.each(&[read]).await?.pop().unwrap_or_default())
    }

    async fn each(&self, reads: &[Statement]) -> Result<Vec<Vec<Row>>, StoreError> {
        // A loop instead of `retried`: the compiler can't prove that a closure which borrows is `Send`.
        for tried in 1..TRIES {
            match self.each_once(reads).await {
                Err(StoreError::Contended(_)) => tokio::time::sleep(pause(tried)).await,
                outcome => return outcome,
            }
        }
        self.each_once(reads).await
    }

    async fn unsynced(&self, queries: &[Statement]) -> Result<Vec<Vec<Row>>, StoreError> {
        for tried in 1..TRIES {
            match self.unsynced_once(queries).await {
                Err(StoreError::Contended(_)) => tokio::time::sleep(pause(tried)).await,
                outcome => return outcome,
            }
        }
        self.unsynced_once(queries).await
    }

    async fn unsynced_once(&self, queries: &[Statement]) -> Result<Vec<Vec<Row>>, StoreError> {
        let Seated { client, seat: _seat } = self.seats.get().await?;
        match timeout(self.patience, pipeline::unsynced(&client, &self.way, queries)).await {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(Failed { error, is_over: true })) => Err(error),
            // The connection was cut: it may have been done, and is done again.
            Ok(Err(Failed { error, .. })) => {
                drop(Object::take(client));
                Err(StoreError::Contended(error.to_string()))
            }
            Err(_) => Err(silent(client)),
        }
    }

    async fn each_once(&self, reads: &[Statement]) -> Result<Vec<Vec<Row>>, StoreError> {
        let Seated { client, seat: _seat } = self.seats.get().await?;
        let each = reads.iter().map(|read| query::read(&client, &self.way, read.sql, &read.values));
        match timeout(self.patience, try_join_all(each)).await {
            Ok(rows) => rows,
            Err(_) => Err(silent(client)),
        }
    }
}

/// Starts the thread for transactions. Their futures stay on it, so they need not be `Send`.
fn start(mut queue: mpsc::UnboundedReceiver<Option<Act>>) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("store-acts".to_owned()).spawn(move || {
        let acts = LocalSet::new();
        acts.spawn_local(async move {
            while let Some(Some(act)) = queue.recv().await {
                drop(tokio::task::spawn_local(act()));
            }
        });
        // Ends after the last transaction.
        runtime.block_on(acts);
    })
}

/// Repeats it, after a short random pause, while it loses against concurrent ones.
async fn retried<T>(act: impl AsyncFn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for tried in 1..TRIES {
        match act().await {
            Err(StoreError::Contended(_)) => tokio::time::sleep(pause(tried)).await,
            outcome => return outcome,
        }
    }
    act().await
}

/// Up to 1 ms, 2 ms, 4 ms and so on. Two that met once would meet again after the same pause; a hash map's random keys
/// are random enough for that.
fn pause(tried: u32) -> Duration {
    let longest = 1_000_u64 << tried.min(7);
    Duration::from_micros(RandomState::new().hash_one(tried) % longest)
}

/// The server or the network doesn't answer. The connection is closed: a late answer on it would be taken for the
/// answer to the next question.
fn silent(client: Object) -> StoreError {
    drop(Object::take(client));
    StoreError::Unavailable("the server did not answer in time".to_owned())
}

async fn attempt<F, T, E>(session: Session, act: &F) -> Outcome<T, E>
where
    F: AsyncFn(&mut Tx) -> Result<T, E>,
{
    let mut tx = Tx::on_postgres(session);
    let returned = act(&mut tx).await;
    let outcome = tx.outcome(returned);
    let session = tx.into_session().ok_or_else(StoreError::closed)?;
    match outcome {
        Ok(Ok(value)) => session.commit().await.map(|()| Ok(value)),
        refused_or_failed => {
            session.roll_back().await;
            refused_or_failed
        }
    }
}
