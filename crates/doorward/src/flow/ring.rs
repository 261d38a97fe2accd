//! The flows that were recorded: the last ones in memory, and each new one to all viewers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorward_core::Timestamp;
use http::Method;
use tokio::sync::broadcast;

use super::recording::{Recorded, Recording};
use super::refusals::{Refusals, RefusedGroup};
use super::sample::Sample;
use super::{Flow, Sender, Step, Traced, Verb};
use crate::request_id::RequestId;

/// How many flows, and how many bytes of them, are in memory.
const MOST: usize = 2_000;
const MOST_BYTES: usize = 8 << 20;
/// How long a flow stays outside of development mode.
const TTL: Duration = Duration::from_secs(15 * 60);
/// How many flows are recorded in a second, and how many refusals on top.
const A_SECOND: i64 = 200;
const REFUSALS_A_SECOND: i64 = 50;
/// How many viewers watch at once.
pub const MOST_VIEWERS: usize = 20;

/// What viewers receive.
#[derive(Debug, Clone)]
pub enum Frame {
    /// A request was answered.
    Flow(Arc<Flow>),
    /// So many requests were not recorded, since there were too many at once.
    Dropped(u64),
}

/// The recorded flows.
pub struct Flows {
    /// How many more requests are recorded in this moment. It stays at zero if nobody wants any.
    budget: AtomicI64,
    /// The same for refusals alone.
    refusals: AtomicI64,
    sample: Sample,
    /// Every step takes its usual time.
    is_even: bool,
    /// Outside of development mode.
    forgets: bool,
    readers: AtomicUsize,
    viewers: AtomicUsize,
    /// The number of requests at the last tick, and of those recorded since.
    seen: AtomicU64,
    recorded: AtomicU64,
    turn: AtomicU64,
    ring: Mutex<Ring>,
    refused: Refusals,
    frames: broadcast::Sender<Frame>,
}

#[derive(Default)]
struct Ring {
    flows: VecDeque<Arc<Flow>>,
    bytes: usize,
}

/// What the front knows of an answered request.
pub(crate) struct Answered {
    pub(crate) id: RequestId,
    pub(crate) at: Timestamp,
    pub(crate) sender: Sender,
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    pub(crate) status: u16,
    pub(crate) code: Option<&'static str>,
    /// The arrow with which it arrived.
    pub(crate) first: Verb,
    /// The answer itself.
    pub(crate) last: Step,
    pub(crate) traced: Option<Box<Traced>>,
}

impl Flows {
    pub(crate) fn new(sample: Sample, is_even: bool) -> Self {
        let flows = Self {
            budget: AtomicI64::new(0),
            refusals: AtomicI64::new(0),
            sample,
            is_even,
            forgets: sample != Sample::All,
            readers: AtomicUsize::new(0),
            viewers: AtomicUsize::new(0),
            seen: AtomicU64::new(RequestId::count()),
            recorded: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            ring: Mutex::default(),
            refused: Refusals::default(),
            frames: broadcast::Sender::new(256),
        };
        flows.refill(1.0);
        flows
    }

    /// Begins to record a request, if somebody wants it. Otherwise this is one relaxed load.
    #[inline]
    pub(crate) fn begin(&self, method: &Method) -> Option<Arc<Recording>> {
        if self.budget.load(Ordering::Relaxed) > 0 {
            return self.begin_wanted();
        }
        // Beyond the budget of those who watch, only changes are recorded in case that they are refused: they are slow
        // anyway.
        let may_be_refused = match self.sample {
            Sample::Errors => true,
            _ => !method.is_safe(),
        };
        let is_wanted = may_be_refused && self.refusals.load(Ordering::Relaxed) > 0;
        is_wanted.then(|| Recording::new(self.is_even, true))
    }

    #[cold]
    fn begin_wanted(&self) -> Option<Arc<Recording>> {
        if self.readers.load(Ordering::Relaxed) == 0
            && let Sample::OneOf(many) = self.sample
            && !self.turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(u64::from(many.max(1)))
        {
            return None;
        }
        self.budget.fetch_sub(1, Ordering::Relaxed);
        self.recorded.fetch_add(1, Ordering::Relaxed);
        Some(Recording::new(self.is_even, false))
    }

    /// Whether a refusal that was not recorded is to be recorded afterwards, as far as it can be.
    #[inline]
    pub(crate) fn wants_refusal(&self) -> bool {
        self.refusals.load(Ordering::Relaxed) > 0
    }

    /// A recording for such a refusal.
    pub(crate) fn begin_refusal(&self) -> Arc<Recording> {
        Recording::new(self.is_even, true)
    }

    /// Keeps an answered request, and shows it to all viewers.
    pub(crate) fn finish(&self, recording: &Recording, answered: Answered) {
        if recording.only_if_refused {
            if answered.code.is_none() {
                return;
            }
            self.refusals.fetch_sub(1, Ordering::Relaxed);
        }
        let Answered { id, at, sender, method, route, status, code, first, last, traced } = answered;
        let Recorded { steps, cut, story, total_us } = recording.finish(first, last, code);
        let id = id.to_string();
        let flow = Flow { id, at, sender, method, route, status, code, total_us, story, steps, cut, traced };
        let flow = Arc::new(flow);
        self.refused.add(&flow);
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).push(flow.clone());
        let _ = self.frames.send(Frame::Flow(flow));
    }

    /// Counts a refusal that is not recorded, since there are too many at once.
    pub(crate) fn count_refusal(&self, code: &'static str, at: Timestamp) {
        self.refused.count(code, at);
    }

    /// The refusals of the last hour by their first failed check, the most frequent first.
    pub fn refusals(&self, now: Timestamp) -> Vec<RefusedGroup> {
        self.refused.groups(now)
    }

    /// Gives the next moment its budget, says what was dropped, and forgets what is old. To be called a few times a
    /// second, with the time since the last call.
    pub(crate) fn tick(&self, now: Timestamp, since: Duration) {
        let seen = RequestId::count();
        let requests = seen.saturating_sub(self.seen.swap(seen, Ordering::Relaxed));
        let dropped = requests.saturating_sub(self.recorded.swap(0, Ordering::Relaxed));
        if self.wants_all() && self.budget.load(Ordering::Relaxed) <= 0 && dropped > 0 {
            let _ = self.frames.send(Frame::Dropped(dropped));
        }
        self.refill(since.as_secs_f64().min(1.0));
        if self.forgets {
            let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            while ring.flows.front().is_some_and(|flow| flow.at + TTL < now) {
                ring.pop();
            }
        }
    }

    /// Adds this share of a second's budget; nothing is left of what nobody wants.
    fn refill(&self, share: f64) {
        let fill = |left: &AtomicI64, is_wanted: bool, most: i64| {
            let more = (most as f64 * share).ceil() as i64;
            let filled = (left.load(Ordering::Relaxed).max(0) + more).min(most);
            left.store(if is_wanted { filled } else { 0 }, Ordering::Relaxed);
        };
        let wants_some = self.wants_all() || matches!(self.sample, Sample::OneOf(_));
        fill(&self.budget, wants_some, A_SECOND);
        fill(&self.refusals, self.wants_refusals(), REFUSALS_A_SECOND);
    }

    fn wants_all(&self) -> bool {
        self.sample == Sample::All || self.readers.load(Ordering::Relaxed) > 0
    }

    /// Whether refusals are recorded and counted.
    pub(crate) fn wants_refusals(&self) -> bool {
        self.wants_all() || self.sample == Sample::Errors
    }

    /// Reads each new flow; while there is a reader, all requests are recorded within the budget.
    pub fn read(self: &Arc<Self>) -> Reader {
        let frames = self.frames.subscribe();
        self.readers.fetch_add(1, Ordering::Relaxed);
        self.refill(1.0);
        Reader { flows: self.clone(), frames }
    }

    /// Watches, as one of at most [`MOST_VIEWERS`]; `None` if there are as many.
    pub fn watch(self: &Arc<Self>) -> Option<Viewer> {
        let room = |viewers: usize| (viewers < MOST_VIEWERS).then_some(viewers + 1);
        self.viewers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        Some(Viewer(self.read()))
    }

    /// The flows in memory that meet this, from the newest, at most so many.
    pub fn find(&self, most: usize, meets: impl Fn(&Flow) -> bool) -> Vec<Arc<Flow>> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.flows.iter().rev().filter(|flow| meets(flow)).take(most).cloned().collect()
    }

    /// The flow of a request.
    pub fn get(&self, id: &str) -> Option<Arc<Flow>> {
        self.find(1, |flow| flow.id == id).pop()
    }
}

impl Ring {
    fn push(&mut self, flow: Arc<Flow>) {
        self.bytes += size(&flow);
        self.flows.push_back(flow);
        while self.flows.len() > MOST || self.bytes > MOST_BYTES {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(flow) = self.flows.pop_front() {
            self.bytes -= size(&flow);
        }
    }
}

/// About how much memory a flow takes.
fn size(flow: &Flow) -> usize {
    let of_step = |step: &Step| size_of::<Step>() + step.facts.len() * (size_of::<super::Fact>() + 96);
    size_of::<Flow>() + 64 + flow.steps.iter().map(of_step).sum::<usize>()
}

/// Reads each new flow.
pub struct Reader {
    flows: Arc<Flows>,
    frames: broadcast::Receiver<Frame>,
}

impl Reader {
    /// The next frame; a reader that is too slow learns how many it missed. `None` at the end of the server.
    pub async fn next(&mut self) -> Option<Frame> {
        match self.frames.recv().await {
            Ok(frame) => Some(frame),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Frame::Dropped(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(feature = "testing")]
impl Reader {
    /// The next frame, if it is there already.
    pub(crate) fn ready(&mut self) -> Option<Frame> {
        loop {
            match self.frames.try_recv() {
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                frame => return frame.ok(),
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.flows.readers.fetch_sub(1, Ordering::Relaxed);
        self.flows.refill(0.0);
    }
}

/// One of the people who watch.
pub struct Viewer(Reader);

impl Viewer {
    /// As [`Reader::next`].
    pub async fn next(&mut self) -> Option<Frame> {
        self.0.next().await
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.flows.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}
