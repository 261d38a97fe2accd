//! The thread pool that hashes passwords: as many threads as cores, at the lowest priority, behind a bounded queue.
//!
//! A hash takes 50 ms of a core, by design. On the threads that answer requests it would block everybody. Here a burst
//! of sign-ins waits or gets 503, and protected requests are not delayed.
//!
//! bcrypt mostly waits for its own look-ups, so a thread hashes several passwords side by side: what waits joins those
//! under way, and each is answered as soon as it is done. Nothing waits for another to join.

mod lanes;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bcrypt_lanes::Digest;
use crossbeam_channel::{Sender, TrySendError};
use doorward_core::password::Password;
use doorward_core::password_hash::{self, HashError, HashPolicy, Scratch, SideBySide};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::oneshot;

use self::lanes::{Lanes, Queued, Thread};
use crate::clock::steady;
use crate::counters;
use crate::error::{Error, Result};
use crate::flow::{self, Fact, Label, Step, Verb, note};
use crate::seldom::seldom;
use crate::settings::Settings;

/// How many hashes of one network may wait once the queue is half full, so that one network can't fill it.
const PER_NETWORK: usize = 4;

/// What waits, and how it is worked off.
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    /// How many hashes may wait.
    pub places: usize,
    /// How long each may wait.
    pub timeout: Duration,
    /// How many a thread hashes side by side; without it, as many as this machine does quickest, which is measured
    /// meanwhile.
    pub lanes: Option<usize>,
}

impl Queue {
    /// As the settings say.
    pub fn of(settings: &Settings) -> Self {
        let Settings { hashing_queue: places, hashing_timeout: timeout, hashing_lanes: lanes, .. } =
            *settings;
        Self { places, timeout, lanes }
    }
}

/// Hashes and verifies passwords.
pub struct Hashing {
    queue: Sender<Queued>,
    lanes: Lanes,
    waiting: Arc<Mutex<HashMap<IpAddr, usize>>>,
    policy: HashPolicy,
    dummy: String,
    timeout: Duration,
    /// How long passwords waited.
    pub(crate) waited: Histogram,
    /// Rejected requests.
    pub(crate) refused: Counter,
    #[cfg(feature = "testing")]
    jobs: Mutex<Vec<String>>,
}

impl Hashing {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system can't start a thread.
    pub fn start(policy: HashPolicy, queue: Queue) -> std::io::Result<Self> {
        let Queue { places, timeout, lanes } = queue;
        let threads = std::thread::available_parallelism()?.get();
        let (sender, jobs) = crossbeam_channel::bounded(places);
        let lanes = Lanes::start(lanes)?;
        for _ in 0..threads {
            let thread = Thread::new(jobs.clone(), lanes.clone());
            std::thread::Builder::new().name("hashing".into()).spawn(move || thread.run())?;
        }
        let dummy = password_hash::dummy_hash(&policy);
        Ok(Self {
            queue: sender,
            lanes,
            waiting: Arc::default(),
            policy,
            dummy,
            timeout,
            waited: counters::seconds(),
            refused: Counter::default(),
            #[cfg(feature = "testing")]
            jobs: Mutex::default(),
        })
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// How new passwords are hashed.
    pub fn policy(&self) -> &HashPolicy {
        &self.policy
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if too many wait.
    pub async fn hash(&self, password: Arc<Password>, from: IpAddr) -> Result<String> {
        #[cfg(feature = "testing")]
        self.note_job("hash".into());
        let (policy, salt, started) = (self.policy, crate::random::bytes(), flow::started());
        let hashed = self.run(from, self.hash_work(password, policy, salt)).await;
        let stored = hashed.as_ref().ok().and_then(|ran| ran.value.as_ref().ok());
        let step =
            || Step::check(Verb::HashPassword, stored.is_some()).since(started).maybe(stored.and_then(cost));
        note(|| with_times(step(), hashed.as_ref().ok().map(|ran| ran.times)));
        hashed?.value.map_err(unusable)
    }

    /// Whether the stored hash is a hash of the password. Without one (no such user, no password set) it costs the same
    /// and is false.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if too many wait.
    pub async fn verify(
        &self,
        password: Arc<Password>,
        stored: Option<String>,
        from: IpAddr,
    ) -> Result<bool> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.dummy.clone());
        #[cfg(feature = "testing")]
        self.note_job(
            password_hash::describe(&stored).map_or("verify".into(), |kind| format!("verify {kind}")),
        );
        let (guess, started, kind) =
            (password.clone(), flow::started(), flow::started().and_then(|_| cost(&stored)));
        let ran = self.run(from, self.verify_work(guess, stored)).await;
        note(|| {
            let matches = matches!(ran, Ok(Ran { value: Ok(true), .. }));
            let verb = match known {
                _ if ran.is_err() => Verb::HashPassword,
                true => Verb::ComparePassword,
                false => Verb::CompareDummy,
            };
            let step = Step::check(verb, matches && known).since(started).maybe(kind);
            with_times(step, ran.as_ref().ok().map(|ran| ran.times))
        });
        match ran?.value {
            Ok(matches) => Ok(matches && known),
            Err(HashError::OutOfMemory) => Err(Error::Overloaded),
            Err(error) => {
                seldom!(WARN, "a stored password hash cannot be verified: its user needs a reset link", %error);
                // The same work for an unknown address, so that the time reveals nothing (attack E01).
                let _ = self.run(from, self.verify_work(password, self.dummy.clone())).await;
                Ok(false)
            }
        }
    }

    fn hash_work(
        &self,
        password: Arc<Password>,
        policy: HashPolicy,
        salt: [u8; 16],
    ) -> Work<std::result::Result<String, HashError>> {
        let beside = self.lanes.are_used().then(|| SideBySide::hash(&password, &policy, salt)).flatten();
        match beside {
            Some((job, of)) => Work::Beside(job, Box::new(move |digest| Ok(of.hashed(digest)))),
            None => Work::alone(move |scratch| password_hash::hash(&password, &policy, salt, scratch)),
        }
    }

    fn verify_work(
        &self,
        password: Arc<Password>,
        stored: String,
    ) -> Work<std::result::Result<bool, HashError>> {
        let of_usual_cost = || SideBySide::verify(&password, &stored, &self.policy);
        match self.lanes.are_used().then(of_usual_cost).flatten() {
            Some((job, of)) => Work::Beside(job, Box::new(move |digest| Ok(of.matches(&digest)))),
            None => Work::alone(move |scratch| password_hash::verify(&password, &stored, scratch)),
        }
    }

    async fn run<T: Send + 'static>(&self, from: IpAddr, work: Work<T>) -> Result<Ran<T>> {
        let done = self.run_in_time(from, work).await;
        if matches!(done, Err(Error::Overloaded)) {
            self.refused.inc();
        }
        done
    }

    async fn run_in_time<T: Send + 'static>(&self, from: IpAddr, work: Work<T>) -> Result<Ran<T>> {
        let place = self.place(from)?;
        let (reply, mut answer) = oneshot::channel();
        let (waited, since) = (self.waited.clone(), steady());
        let taken = Arc::new(AtomicBool::new(false));
        let begins = taken.clone();
        let begin = move || {
            drop(place);
            let reply = Reply { to: reply, waited: since.elapsed(), begun: steady() };
            waited.observe(reply.waited.as_secs_f64());
            // Cancelled after the deadline, or the client is gone.
            let is_wanted = !begins.swap(true, Ordering::SeqCst) && !reply.to.is_closed();
            is_wanted.then_some(reply)
        };
        let job = match work {
            Work::Alone(work) => Queued::Alone(Box::new(move |scratch| {
                if let Some(reply) = begin() {
                    reply.send(work(scratch));
                }
            })),
            Work::Beside(job, finish) => Queued::Beside(Box::new(move || {
                let reply = begin()?;
                Some((job, Box::new(move |digest| reply.send(finish(digest)))))
            })),
        };
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded,
            TrySendError::Disconnected(_) => {
                Error::unavailable("hashing a password failed", "no thread is left")
            }
        })?;
        let answered = match tokio::time::timeout(self.timeout, &mut answer).await {
            Ok(answered) => answered,
            Err(_) if !taken.swap(true, Ordering::SeqCst) => return Err(Error::Overloaded),
            // A password that is being compared counts as compared: its result is not thrown away (attack X09).
            Err(_) => answer.await,
        };
        answered.map_err(|_| Error::unavailable("hashing a password failed", "it panicked"))
    }

    fn place(&self, network: IpAddr) -> Result<Place> {
        let filling = self.queue.len() * 2 >= self.queue.capacity().unwrap_or(usize::MAX);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(network).or_default();
        if filling && *count >= PER_NETWORK {
            return Err(Error::Overloaded);
        }
        *count += 1;
        Ok(Place { network, waiting: self.waiting.clone() })
    }
}

/// What is to be done for a password.
enum Work<T> {
    /// Work that has a thread for itself.
    Alone(Box<dyn FnOnce(&mut Scratch) -> T + Send>),
    /// bcrypt of the usual cost, and what follows from the digest.
    Beside(bcrypt_lanes::Job, Box<dyn FnOnce(Digest) -> T + Send>),
}

impl<T> Work<T> {
    fn alone(work: impl FnOnce(&mut Scratch) -> T + Send + 'static) -> Self {
        Self::Alone(Box::new(work))
    }
}

/// Where the result of work that has begun goes.
struct Reply<T> {
    to: oneshot::Sender<Ran<T>>,
    waited: Duration,
    begun: tokio::time::Instant,
}

impl<T> Reply<T> {
    fn send(self, value: T) {
        let times = Times { waited: self.waited, worked: self.begun.elapsed() };
        let _ = self.to.send(Ran { value, times });
    }
}

/// What a thread made, and how long it took.
#[derive(Debug, PartialEq, Eq)]
struct Ran<T> {
    value: T,
    times: Times,
}

/// How long a job waited for a thread, and how long it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    waited: Duration,
    worked: Duration,
}

fn with_times(step: Step, times: Option<Times>) -> Step {
    let Some(Times { waited, worked }) = times else { return step };
    step.fact(Fact::span(Label::Waited, waited)).fact(Fact::span(Label::Worked, worked))
}

/// Algorithm and cost of a stored hash.
fn cost(stored: impl AsRef<str>) -> Option<Fact> {
    let described = password_hash::describe(stored.as_ref()).ok()?.to_string();
    let (algorithm, cost) = described.split_once([' ', ',']).unwrap_or((&described, ""));
    let known = ["bcrypt", "argon2id", "argon2i", "argon2d"].into_iter().find(|known| *known == algorithm);
    Some(Fact::Hash { algorithm: known.unwrap_or("another"), cost: cost.to_owned() })
}

#[cfg(feature = "testing")]
impl Hashing {
    fn note_job(&self, job: String) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push(job);
    }

    /// The work that was requested since the last call: `hash`, or `verify` with the kind and cost of the stored hash.
    /// Answers may not differ in it (attack E01).
    pub fn take_jobs(&self) -> Vec<String> {
        std::mem::take(&mut self.jobs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One place in the queue, released when the work begins or is dropped.
struct Place {
    network: IpAddr,
    waiting: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                waiting.remove(&self.network);
            }
        }
    }
}

fn unusable(error: HashError) -> Error {
    seldom!(ERROR, "a password could not be hashed", %error);
    Error::Overloaded
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use doorward_core::password_hash::HashAlgorithm;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn pool(queue: usize, timeout: Duration) -> Hashing {
        Hashing::start(
            HashPolicy::for_tests(HashAlgorithm::Bcrypt),
            Queue { places: queue, timeout, lanes: Some(4) },
        )
        .unwrap()
    }

    /// Keeps every thread of the pool busy until the returned sender is dropped.
    fn occupy(pool: &Hashing) -> Vec<mpsc::Sender<()>> {
        let threads = std::thread::available_parallelism().unwrap().get();
        (0..threads)
            .map(|_| {
                let (release, held) = mpsc::channel();
                let (begun, has_begun) = mpsc::channel();
                let job = Box::new(move |_: &mut Scratch| {
                    begun.send(()).unwrap();
                    let _ = held.recv();
                });
                pool.queue.send(Queued::Alone(job)).unwrap();
                has_begun.recv().unwrap();
                release
            })
            .collect()
    }

    #[tokio::test]
    async fn p10_a_full_queue_and_a_long_wait_are_told_to_come_back() {
        let pool = pool(8, Duration::from_millis(1));
        let busy = occupy(&pool);
        for n in 0..8 {
            let from = IpAddr::from([192, 0, 2, n]);
            assert_eq!(pool.run(from, Work::alone(|_| ())).await, Err(Error::Overloaded));
        }
        assert_eq!(pool.queue.len(), 8);
        assert_eq!(pool.run([192, 0, 2, 9].into(), Work::alone(|_| ())).await, Err(Error::Overloaded));
        drop(busy);
    }

    #[tokio::test]
    async fn one_network_cannot_fill_the_queue() {
        let pool = pool(100, Duration::from_millis(1));
        let busy = occupy(&pool);
        for _ in 0..200 {
            let _ = pool.run(HOME, Work::alone(|_| ())).await;
        }
        assert_eq!(pool.queue.len(), 50);
        let _ = pool.run([192, 0, 2, 1].into(), Work::alone(|_| ())).await;
        assert_eq!(pool.queue.len(), 51);
        drop(busy);
    }

    #[tokio::test]
    async fn h12_a_panic_costs_one_answer_and_no_thread() {
        let pool = pool(100, Duration::from_secs(60));
        for _ in 0..8 {
            assert_eq!(
                pool.run(HOME, Work::alone(|_| panic!("planted"))).await,
                Err::<Ran<()>, _>(Error::unavailable("", ""))
            );
        }
        assert_eq!(pool.run(HOME, Work::alone(|_| 42)).await.map(|ran| ran.value), Ok(42));
    }

    #[tokio::test]
    async fn a_user_without_a_password_matches_nothing() {
        let pool = pool(100, Duration::from_secs(60));
        let password = Arc::new(Password::new("correct horse").unwrap());
        assert_eq!(pool.verify(password.clone(), None, HOME).await, Ok(false));
        let stored = pool.hash(password.clone(), HOME).await.unwrap();
        assert_eq!(pool.verify(password, Some(stored), HOME).await, Ok(true));
    }

    #[tokio::test]
    async fn passwords_that_wait_are_hashed_side_by_side_and_each_answer_is_its_own() {
        let pool = Arc::new(pool(100, Duration::from_secs(60)));
        let password = |n: usize| Arc::new(Password::new(format!("{n} correct horses")).unwrap());
        let too_long = |n: usize| Arc::new(Password::new("horse".repeat(20 + n)).unwrap());
        let mut stored = Vec::new();
        for n in 0..6 {
            stored.push(pool.hash(password(n), HOME).await.unwrap());
            stored.push(pool.hash(too_long(n), HOME).await.unwrap());
        }
        let busy = occupy(&pool);
        let answers: Vec<_> = (0..12)
            .flat_map(|n| [(n, n), (n, (n + 2) % 12)])
            .map(|(hash, tried)| {
                let tried = if tried % 2 == 0 { password(tried / 2) } else { too_long(tried / 2) };
                let (pool, stored) = (pool.clone(), stored[hash].clone());
                tokio::spawn(async move { pool.verify(tried, Some(stored), HOME).await })
            })
            .collect();
        while pool.waiting() < answers.len() {
            tokio::task::yield_now().await;
        }
        drop(busy);
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.await.unwrap(), Ok(n % 2 == 0), "{n}");
        }
    }
}
