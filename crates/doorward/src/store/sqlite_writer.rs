//! The one thread that writes to SQLite. It commits all waiting transactions at once (group commit: one sync of the
//! disk for all), and answers each only after that.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use crossbeam_channel::Receiver;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::query::Outcome;
use super::sqlite_query::store_error;
use super::{StoreError, Tx};

/// The most transactions that are committed at once, so that the first of them does not wait forever.
const BATCH: usize = 256;

pub(super) enum Message {
    /// Run this in the next transaction.
    Act(Box<dyn Job>),
    /// Say whether another process wrote. Asked on this connection, since only its own writes don't count.
    Version(oneshot::Sender<Result<i64, StoreError>>),
    /// Stop.
    Stop,
}

/// An [`Act`] with its type erased.
pub(super) trait Job: Send {
    /// Whether to run it: its caller may have cancelled it.
    fn take(&self) -> bool;

    /// Runs it and returns whether to keep its changes.
    fn run(&mut self, tx: Tx) -> bool;

    /// Tells the caller the result; `end` is the result of the commit.
    fn answer(self: Box<Self>, end: Result<(), StoreError>);
}

/// A transaction that a caller wants, and where the answer goes.
pub(super) struct Act<F, T, E> {
    act: F,
    /// Set by the first of two: the writer, who then runs it, or the caller, who has waited too long.
    pub(super) taken: Arc<AtomicBool>,
    outcome: Outcome<T, E>,
    reply: oneshot::Sender<Outcome<T, E>>,
}

impl<F, T, E> Act<F, T, E> {
    pub(super) fn new(act: F, reply: oneshot::Sender<Outcome<T, E>>) -> Self {
        Self { act, taken: Arc::default(), outcome: Err(StoreError::closed()), reply }
    }
}

impl<F, T, E> Job for Act<F, T, E>
where
    F: AsyncFn(&mut Tx) -> Result<T, E> + Send,
    T: Send,
    E: Send,
{
    fn take(&self) -> bool {
        !self.taken.swap(true, Ordering::SeqCst)
    }

    fn run(&mut self, mut tx: Tx) -> bool {
        // A panic ends the transaction, not the thread: its savepoint is rolled back like that of any failed one.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let returned = poll_once((self.act)(&mut tx))?;
            tx.outcome(returned)
        }));
        self.outcome = ran.unwrap_or_else(|_| Err(StoreError::Corrupt("an act panicked".to_owned())));
        matches!(self.outcome, Ok(Ok(_)))
    }

    fn answer(self: Box<Self>, end: Result<(), StoreError>) {
        // The caller may be gone; the transaction was done all the same.
        drop(self.reply.send(end.and(self.outcome)));
    }
}

/// Every method of a SQLite [`Tx`] is done when it returns, so a closure that awaits nothing else is done at the first
/// poll. One that isn't would hold up every other writer.
fn poll_once<T>(act: impl Future<Output = T>) -> Result<T, StoreError> {
    match pin!(act).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(returned) => Ok(returned),
        Poll::Pending => Err(StoreError::Corrupt("an act awaited something else than its Tx".to_owned())),
    }
}

pub(super) fn run(connection: Connection, queue: &Receiver<Message>) {
    let connection = Rc::new(connection);
    while let Ok(message) = queue.recv() {
        let go_on = match message {
            Message::Act(first) => commit_together(&connection, first, queue),
            Message::Version(reply) => {
                drop(reply.send(version(&connection)));
                true
            }
            Message::Stop => false,
        };
        if !go_on {
            return;
        }
    }
}

/// Runs the first transaction and those that wait behind it in one; false once there is nothing more to do.
fn commit_together(connection: &Rc<Connection>, first: Box<dyn Job>, queue: &Receiver<Message>) -> bool {
    let mut acts = Vec::new();
    let mut go_on = true;
    let mut end = statement(connection, "BEGIN IMMEDIATE");
    let mut next = Some(Message::Act(first));
    while let Some(message) = next.take() {
        match message {
            Message::Act(act) if !act.take() => {}
            Message::Act(mut act) => {
                // If there is no transaction (any more), the others would only wait for the same failure.
                end = end.and_then(|()| run_apart(connection, &mut *act));
                acts.push(act);
            }
            Message::Version(reply) => drop(reply.send(version(connection))),
            Message::Stop => go_on = false,
        }
        if go_on && acts.len() < BATCH {
            next = queue.try_recv().ok();
        }
    }
    end = end.and_then(|()| statement(connection, "COMMIT"));
    if end.is_err() && !connection.is_autocommit() {
        // A rollback fails only if the transaction is gone already.
        drop(statement(connection, "ROLLBACK"));
    }
    acts.into_iter().for_each(|act| act.answer(end.clone()));
    go_on
}

/// Runs each one in a savepoint of its own, so that its failure does not undo its neighbours.
fn run_apart(connection: &Rc<Connection>, act: &mut dyn Job) -> Result<(), StoreError> {
    statement(connection, "SAVEPOINT act")?;
    let keep = act.run(Tx::on_sqlite(Rc::clone(connection)));
    if connection.is_autocommit() {
        // SQLite itself gives up the whole transaction on a full disk, an I/O error or a lack of memory.
        return Err(StoreError::Full("the transaction was cut, or the disk fails".to_owned()));
    }
    if !keep {
        statement(connection, "ROLLBACK TO act")?;
    }
    statement(connection, "RELEASE act")
}

fn statement(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    let ran = connection.prepare_cached(sql).and_then(|mut statement| statement.raw_execute());
    ran.map(drop).map_err(|error| store_error(&error))
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    let version = connection.prepare_cached("PRAGMA data_version");
    let version = version.and_then(|mut statement| statement.query_row([], |row| row.get(0)));
    version.map_err(|error| store_error(&error))
}
