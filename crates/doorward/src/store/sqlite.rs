//! SQLite: one thread that writes, two for point reads, two for scans, and one that follows other processes' writes.
//! Each has a connection of its own, and each kind a bounded queue. So no runtime worker ever waits for the disk, no
//! long scan delays a sign-in, and nothing delays the news of ended sessions.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::query::Outcome;
use super::shares::Turn;
use super::sqlite_query::{batch, find, list, store_error};
use super::sqlite_writer::{self, Act, Message};
use super::{Row, StoreError, Tx, Value};

/// The most transactions that wait for the writer, and reads that wait for each kind of reader.
pub(super) const QUEUE: usize = 1024;
/// How many prepared statements a connection keeps: all that the program has.
const STATEMENTS: usize = 256;
const POINT_READERS: usize = 2;
/// Two: a user has one scan at a time, so a long one leaves room for other users.
const SCAN_READERS: usize = 2;
/// How long a read may take, and how long a transaction may wait for its start. A disk that hangs must not hold up
/// every caller.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Sqlite {
    writer: Sender<Message>,
    points: Sender<Read>,
    scans: Sender<Read>,
    follower: Sender<Read>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Where the database is.
pub(super) enum Place {
    File(PathBuf),
    /// In memory, by this URI.
    Memory(String),
}

enum Read {
    First(&'static str, Vec<Value>, oneshot::Sender<Result<Option<Row>, StoreError>>),
    All(&'static str, Vec<Value>, oneshot::Sender<Result<Vec<Row>, StoreError>>, Option<Arc<Turn>>),
    Stop,
}

impl Sqlite {
    pub(super) async fn open(file: PathBuf) -> Result<Self, StoreError> {
        Self::open_at(Place::File(file)).await
    }

    pub(super) async fn in_memory() -> Result<Self, StoreError> {
        // The slash shares it between the connections of this process that know its name.
        let name = format!("file:/{:032x}?vfs=memdb", u128::from_be_bytes(crate::random::bytes()));
        Self::open_at(Place::Memory(name)).await
    }

    async fn open_at(place: Place) -> Result<Self, StoreError> {
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(&place));
        opened.await.map_err(|_| StoreError::closed())?
    }

    fn open_blocking(place: &Place) -> Result<Self, StoreError> {
        // The connection that writes is opened first: it makes the file and the write-ahead log that readers need.
        let writing = connect_writer(place)?;
        let (writer, acts) = bounded(QUEUE);
        let mut threads = vec![spawn("store-write", move || sqlite_writer::run(writing, &acts))?];
        let mut readers = |name: &str, number: usize| {
            let (queue, asked) = bounded(QUEUE);
            for _ in 0..number {
                let (reading, asked) = (connect(place, OpenFlags::SQLITE_OPEN_READ_ONLY)?, asked.clone());
                threads.push(spawn(name, move || answer(&reading, &asked))?);
            }
            Ok(queue)
        };
        let points = readers("store-read", POINT_READERS)?;
        let scans = readers("store-scan", SCAN_READERS)?;
        let follower = readers("store-follow", 1)?;
        Ok(Self { writer, points, scans, follower, threads: Mutex::new(threads) })
    }

    pub(super) async fn find(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Option<Row>, StoreError> {
        let (reply, answer) = oneshot::channel();
        offer(&self.points, Read::First(sql, values, reply))?;
        in_time(answer).await
    }

    pub(super) fn list(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> {
        all(&self.points, sql, values, None)
    }

    pub(super) fn follow(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> {
        all(&self.follower, sql, values, None)
    }

    pub(super) fn scan(
        &self,
        sql: &'static str,
        values: Vec<Value>,
        turn: Option<Arc<Turn>>,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> {
        all(&self.scans, sql, values, turn)
    }

    pub(super) async fn transaction<F, T, E>(&self, act: F) -> Outcome<T, E>
    where
        F: AsyncFn(&mut Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (reply, mut answer) = oneshot::channel();
        let act = Act::new(act, reply);
        let taken = act.taken.clone();
        offer(&self.writer, Message::Act(Box::new(act)))?;
        let answered = match timeout(PATIENCE, &mut answer).await {
            Ok(answered) => answered,
            // Cancelled before the writer began it, so it never happens.
            Err(_) if !taken.swap(true, Ordering::SeqCst) => return Err(silent()),
            // Under way: the result is known only when it is done.
            Err(_) => answer.await,
        };
        answered.map_err(|_| StoreError::closed())?
    }

    pub(super) async fn data_version(&self) -> Result<i64, StoreError> {
        let (reply, answer) = oneshot::channel();
        offer(&self.writer, Message::Version(reply))?;
        in_time(answer).await
    }

    pub(super) async fn close(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let readers = [(&self.points, POINT_READERS), (&self.scans, SCAN_READERS), (&self.follower, 1)];
        let readers = readers.map(|(queue, number)| (queue.clone(), number));
        let writer = self.writer.clone();
        let closed = tokio::task::spawn_blocking(move || {
            // A queue whose thread has ended already needs no stop.
            for (queue, number) in readers {
                (0..number).for_each(|_| drop(queue.send(Read::Stop)));
            }
            drop(writer.send(Message::Stop));
            threads.into_iter().for_each(|thread| drop(thread.join()));
        });
        drop(closed.await);
    }
}

async fn all(
    queue: &Sender<Read>,
    sql: &'static str,
    values: Vec<Value>,
    turn: Option<Arc<Turn>>,
) -> Result<Vec<Row>, StoreError> {
    let (reply, answer) = oneshot::channel();
    offer(queue, Read::All(sql, values, reply, turn))?;
    in_time(answer).await
}

async fn in_time<T>(answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    let answered = timeout(PATIENCE, answer).await.map_err(|_| silent())?;
    answered.map_err(|_| StoreError::closed())?
}

fn silent() -> StoreError {
    StoreError::Unavailable("the disk did not answer in time".to_owned())
}

fn offer<T>(queue: &Sender<T>, message: T) -> Result<(), StoreError> {
    queue.try_send(message).map_err(|error| match error {
        TrySendError::Full(_) => StoreError::Overloaded,
        TrySendError::Disconnected(_) => StoreError::closed(),
    })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map_err(|error| StoreError::Unavailable(format!("no thread for the database: {error}")))
}

fn answer(connection: &Connection, asked: &Receiver<Read>) {
    // The caller may be gone: then nothing is read, or nobody misses the answer.
    while let Ok(read) = asked.recv() {
        match read {
            Read::First(_, _, reply) if reply.is_closed() => {}
            Read::All(_, _, reply, _) if reply.is_closed() => {}
            Read::First(sql, values, reply) => drop(reply.send(find(connection, sql, &values))),
            Read::All(sql, values, reply, turn) => {
                let rows = list(connection, sql, &values);
                drop(turn);
                drop(reply.send(rows));
            }
            Read::Stop => return,
        }
    }
}

fn connect_writer(place: &Place) -> Result<Connection, StoreError> {
    let Place::File(file) = place else {
        return connect(place, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE);
    };
    let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(file);
    made.map_err(|error| {
        StoreError::Refused(format!("the database file {} can't be opened: {error}", file.display()))
    })?;
    let connection = connect(place, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mode = write_ahead(&connection)?;
    if mode != "wal" {
        let refused = format!("{} can't use a write-ahead log: put it on a local disk", file.display());
        return Err(StoreError::Refused(refused));
    }
    // Truncates the log after a long reader let it grow.
    batch(&connection, "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864")?;
    Ok(connection)
}

/// Turns the write-ahead log on. If two processes make the file at once, SQLite answers "busy" without waiting.
fn write_ahead(connection: &Connection) -> Result<String, StoreError> {
    let mut tries = 0;
    loop {
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match mode.map_err(|error| store_error(&error)) {
            Err(StoreError::Unavailable(_)) if wait_while_busy(tries) => tries += 1,
            mode => return mode,
        }
    }
}

pub(super) fn connect(place: &Place, access: OpenFlags) -> Result<Connection, StoreError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let mut connection = match place {
            Place::File(file) => Connection::open_with_flags(file, flags)?,
            Place::Memory(name) => Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_URI)?,
        };
        connection.busy_handler(Some(wait_while_busy))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.execute_batch("PRAGMA foreign_keys = ON")?;
        // If a plan depends on bound values, SQLite prepares the statement again for each run, since they are cleared.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        if !has_temporary_folder() {
            connection.execute_batch("PRAGMA temp_store = MEMORY")?;
        }
        Ok(connection)
    };
    open().map_err(|error| store_error(&error))
}

/// Whether SQLite finds a place for temporary files: it looks here, and fails at a large statement if nothing of it can
/// be written, as in a container whose tree is read-only.
fn has_temporary_folder() -> bool {
    use rustix::fs::{Access, access};
    let named = ["SQLITE_TMPDIR", "TMPDIR"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    let usual = ["/var/tmp", "/usr/tmp", "/tmp", "."].map(PathBuf::from);
    named.chain(usual).any(|folder| access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok())
}

/// Waits a millisecond for another process's lock, for 5 s in all. SQLite's own `busy_timeout` ends up looking only
/// every 100 ms, and would miss the gaps that a busy writer leaves.
fn wait_while_busy(tries: i32) -> bool {
    thread::sleep(Duration::from_millis(1));
    tries < 5_000
}
