//! The server's log on its way to standard error: a bounded queue, and a thread of its own that writes it.
//!
//! A full pipe without a reader blocks its writer. So only that thread waits. What doesn't fit into the queue is
//! dropped and counted, and the log says how much that was once it is read again (attack X01).

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use doorward::internals::LOG_LINES_DROPPED as DROPPED;
use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait.
const LINES: usize = 16_384;
/// How many bytes they may have together.
const BYTES: usize = 4 * 1_024 * 1_024;
/// How long the end of the process waits for the queue to drain.
const PATIENCE: Duration = Duration::from_secs(1);

static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Takes lines, and never waits.
#[derive(Clone)]
pub(crate) struct Queue {
    lines: SyncSender<Box<[u8]>>,
    waiting: Arc<Waiting>,
}

/// The bytes that are not written yet.
#[derive(Default)]
struct Waiting {
    bytes: AtomicUsize,
    asked: Mutex<()>,
    empty: Condvar,
}

/// Starts the thread, once, and returns the queue.
///
/// # Errors
/// The system can't start a thread, or there is no standard error.
pub(crate) fn start() -> io::Result<&'static Queue> {
    if let Some(queue) = QUEUE.get() {
        return Ok(queue);
    }
    // Not with `std::io::stderr()`, whose lock the thread would hold while nobody reads.
    let stream = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let queue = Queue::to(stream)?;
    Ok(QUEUE.get_or_init(|| queue))
}

/// Writes a text through the queue, if one was started.
pub(crate) fn write(text: &str) -> bool {
    QUEUE.get().is_some_and(|queue| {
        queue.push(text.as_bytes());
        true
    })
}

/// Waits until all is written, but not forever.
pub(crate) fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.finish(PATIENCE);
    }
}

impl Queue {
    /// A separate queue for this stream.
    pub(crate) fn to(stream: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, taken) = sync_channel(LINES);
        let waiting = Arc::<Waiting>::default();
        let queue = Self { lines, waiting: waiting.clone() };
        std::thread::Builder::new().name("log".into()).spawn(move || write_all(&taken, &waiting, stream))?;
        Ok(queue)
    }

    fn push(&self, line: &[u8]) {
        let waiting = &self.waiting.bytes;
        let before = waiting.fetch_add(line.len(), Ordering::AcqRel);
        if before + line.len() > BYTES || self.lines.try_send(line.into()).is_err() {
            self.waiting.done(line.len());
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn finish(&self, patience: Duration) {
        let asked = self.waiting.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_waiting = |(): &mut ()| self.waiting.bytes.load(Ordering::Acquire) > 0;
        drop(self.waiting.empty.wait_timeout_while(asked, patience, is_waiting));
    }
}

impl Waiting {
    fn done(&self, bytes: usize) {
        if self.bytes.fetch_sub(bytes, Ordering::AcqRel) == bytes {
            drop(self.asked.lock());
            self.empty.notify_all();
        }
    }
}

/// The thread: writes each line and, if lines were dropped, says so once there is room again.
fn write_all(lines: &Receiver<Box<[u8]>>, waiting: &Waiting, mut stream: impl Write) {
    let mut told = DROPPED.load(Ordering::Relaxed);
    for line in lines {
        if stream.write_all(&line).is_err() {
            // A full disk, or a closed pipe: the metric counts it, since a line about it would fail too.
            DROPPED.fetch_add(1, Ordering::Relaxed);
            told += 1;
        }
        let dropped = DROPPED.load(Ordering::Relaxed);
        if dropped > told && waiting.bytes.load(Ordering::Acquire) <= line.len() {
            tracing::warn!(lines = dropped - told, "lines of the log were dropped: nobody took them in time");
            told = dropped;
        }
        waiting.done(line.len());
    }
}

/// One line on its way: the layer writes each line whole.
pub(crate) struct Entry<'a>(&'a Queue);

impl Write for Entry<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Entry<'a>;

    fn make_writer(&'a self) -> Entry<'a> {
        Entry(self)
    }
}
