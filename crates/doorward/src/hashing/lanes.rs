//! The threads of the pool, and how many passwords each hashes side by side.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bcrypt_lanes::{Batch, Digest, Job, MOST_LANES};
use crossbeam_channel::Receiver;
use doorward_core::password_hash::Scratch;

use crate::clock::steady;

/// Work that has a thread for itself.
pub(super) type Alone = Box<dyn FnOnce(&mut Scratch) + Send>;

/// What waits for a thread.
pub(super) enum Queued {
    /// Work that has a thread for itself.
    Alone(Alone),
    /// bcrypt of the usual cost: begins it, unless nobody wants it any more.
    Beside(Box<dyn FnOnce() -> Option<(Job, Finish)> + Send>),
}

/// What is done with a digest.
pub(super) type Finish = Box<dyn FnOnce(Digest) + Send>;

/// How many hashes a thread runs side by side, and how many threads have nothing to do.
#[derive(Clone)]
pub(super) struct Lanes {
    count: Arc<AtomicUsize>,
    idle: Arc<AtomicUsize>,
    /// One lane by the settings: then the crate `bcrypt` hashes.
    are_used: bool,
}

impl Lanes {
    /// With so many lanes, or with one until it was measured which number is quickest.
    pub(super) fn start(count: Option<usize>) -> std::io::Result<Self> {
        let lanes = Self {
            count: Arc::new(AtomicUsize::new(count.unwrap_or(1))),
            idle: Arc::default(),
            are_used: count != Some(1),
        };
        if count.is_none() {
            let count = lanes.count.clone();
            let measure = move || {
                be_last();
                count.store(*QUICKEST, Ordering::Relaxed);
            };
            std::thread::Builder::new().name("lanes".into()).spawn(measure)?;
        }
        Ok(lanes)
    }

    pub(super) fn are_used(&self) -> bool {
        self.are_used
    }
}

/// Lowest priority, so that requests go first even on one core. If that isn't permitted, run without.
fn be_last() {
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 19);
}

/// Measured once in each process.
static QUICKEST: LazyLock<usize> = LazyLock::new(quickest);

/// How often each number of lanes is tried: the best time counts, since others disturb.
const TRIES: u32 = 5;

/// The number of lanes that takes the least time for a hash, measured with the lowest cost: some 20 ms in all.
fn quickest() -> usize {
    let took = |lanes: usize| (0..TRIES).map(|_| time(lanes)).min().unwrap_or(Duration::MAX);
    (1..=MOST_LANES).min_by_key(|lanes| took(*lanes)).unwrap_or(1)
}

/// How long a hash takes with so many lanes.
fn time(lanes: usize) -> Duration {
    let mut batch = Batch::new();
    for _ in 0..lanes {
        if let Ok(job) = Job::new(b"any password", [0; 16], 4) {
            let _ = batch.add(job, ());
        }
    }
    let begun = steady();
    while !batch.is_empty() {
        batch.turn();
    }
    begun.elapsed() / u32::try_from(lanes).unwrap_or(1)
}

/// A thread of the pool.
pub(super) struct Thread {
    jobs: Receiver<Queued>,
    lanes: Lanes,
    batch: Batch<Finish>,
    /// What came while others were under way that it can't run beside. Nothing is taken until it had its turn.
    next: Option<Alone>,
    scratch: Scratch,
}

impl Thread {
    pub(super) fn new(jobs: Receiver<Queued>, lanes: Lanes) -> Self {
        Self { jobs, lanes, batch: Batch::new(), next: None, scratch: Scratch::default() }
    }

    /// Works until the pool is dropped and nothing waits.
    pub(super) fn run(mut self) {
        be_last();
        loop {
            if self.batch.is_empty() {
                if let Some(work) = self.next.take() {
                    self.run_alone(work);
                    continue;
                }
                let Some(job) = self.wait() else { return };
                self.begin(job);
            }
            while self.has_room()
                && let Ok(job) = self.jobs.try_recv()
            {
                self.begin(job);
            }
            if let Some((finish, digest)) = self.batch.turn() {
                let _ = catch_unwind(AssertUnwindSafe(|| finish(digest)));
            }
        }
    }

    fn wait(&self) -> Option<Queued> {
        self.lanes.idle.fetch_add(1, Ordering::SeqCst);
        let job = self.jobs.recv().ok();
        self.lanes.idle.fetch_sub(1, Ordering::SeqCst);
        job
    }

    /// Whether another may join. A thread that has nothing to do comes first.
    fn has_room(&self) -> bool {
        !self.batch.is_empty()
            && self.next.is_none()
            && self.batch.len() < self.lanes.count.load(Ordering::Relaxed)
            && self.lanes.idle.load(Ordering::SeqCst) == 0
    }

    fn begin(&mut self, job: Queued) {
        match job {
            Queued::Alone(work) => self.next = Some(work),
            Queued::Beside(begin) => {
                if let Ok(Some((job, finish))) = catch_unwind(AssertUnwindSafe(begin)) {
                    let _ = self.batch.add(job, finish);
                }
            }
        }
    }

    fn run_alone(&mut self, work: Alone) {
        if catch_unwind(AssertUnwindSafe(|| work(&mut self.scratch))).is_err() {
            self.scratch = Scratch::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    /// Runs this work on one thread, and returns the names in the order in which it was done.
    fn done_in_order(lanes: usize, work: Vec<(&'static str, Option<u32>)>) -> Vec<&'static str> {
        let done = Arc::new(Mutex::new(Vec::new()));
        let (sender, jobs) = crossbeam_channel::unbounded();
        for (name, cost) in work {
            let done = done.clone();
            let note = move || done.lock().unwrap().push(name);
            let job = match cost {
                Some(cost) => Queued::Beside(Box::new(move || {
                    let finish: Finish = Box::new(move |_| match name {
                        "panics" => panic!("planted"),
                        _ => note(),
                    });
                    Some((Job::new(b"a password", [0; 16], cost).ok()?, finish))
                })),
                None => Queued::Alone(Box::new(move |_| note())),
            };
            sender.send(job).unwrap();
        }
        drop(sender);
        Thread::new(jobs, Lanes::start(Some(lanes)).unwrap()).run();
        Arc::into_inner(done).unwrap().into_inner().unwrap()
    }

    #[test]
    fn what_waits_joins_those_under_way_and_is_answered_as_soon_as_it_is_done() {
        let work = vec![("long", Some(8)), ("short", Some(4)), ("middle", Some(6)), ("other", Some(5))];
        assert_eq!(done_in_order(4, work.clone()), ["short", "other", "middle", "long"]);
        assert_eq!(done_in_order(2, work.clone()), ["short", "middle", "other", "long"]);
        assert_eq!(done_in_order(1, work), ["long", "short", "middle", "other"]);
    }

    #[test]
    fn work_that_needs_a_thread_for_itself_keeps_its_place_and_holds_up_none_before_it() {
        let work = vec![("long", Some(8)), ("alone", None), ("later", Some(4)), ("last", None)];
        assert_eq!(done_in_order(4, work), ["long", "alone", "later", "last"]);
    }

    #[test]
    fn h12_a_panic_costs_one_answer_and_none_of_those_beside_it() {
        let work = vec![("long", Some(6)), ("panics", Some(4)), ("middle", Some(5))];
        assert_eq!(done_in_order(4, work), ["middle", "long"]);
    }

    #[test]
    fn nobody_who_is_gone_is_hashed_for() {
        let (sender, jobs) = crossbeam_channel::unbounded();
        let (begun, has_begun) = mpsc::channel();
        sender.send(Queued::Beside(Box::new(move || begun.send(()).ok().and(None)))).unwrap();
        drop(sender);
        Thread::new(jobs, Lanes::start(Some(4)).unwrap()).run();
        assert_eq!(has_begun.iter().count(), 1);
    }

    #[test]
    fn the_quickest_number_of_lanes_is_one_that_a_batch_has() {
        assert!((1..=MOST_LANES).contains(&quickest()));
    }
}
