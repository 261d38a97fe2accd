//! The feed of revocations: how an entry is written, and how each new one reaches all followers.
//!
//! A follower begins with a snapshot of the set, which is prepared once for all. Then it gets what is new in the order of
//! this process's log. One task reads the log, however many follow, and sends all of them the same bytes. A follower that
//! falls behind reads the log from its own place on; if that place was dropped, it begins again. So no follower misses
//! anything, and a slow one costs no memory.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::{constant_time, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use doorward_core::feed::{EndedSession, LeastVersion, Revoked};
use doorward_core::{ClientId, Secret, Timestamp, revocation};
use serde_json::json;
use tokio::sync::broadcast;
use tokio::time::interval;

use crate::clock::boot;
use crate::error::Error;
use crate::keys::Keys;
use crate::revocations::{Entry, Passed, Revocations};
use crate::settings::Settings;

/// How many entries a page has at most.
pub(crate) const PAGE: usize = 1_000;
/// How often a follower gets the event that nothing is missing.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How many messages a follower may be behind before it has to read the log.
const BEHIND: usize = 64;
/// How old the last look at the store may be for the event that nothing is missing.
const FRESH: Duration = Duration::from_secs(2);
/// How long a snapshot serves those who begin, and how long it is kept for those who are reading it.
const SERVES_FOR: Duration = Duration::from_secs(10);
const KEPT_FOR: Duration = Duration::from_secs(60);
/// How many events of a snapshot are kept for the next follower that reads it.
const TEXTS: usize = 64;
/// How much may have happened since a snapshot for it to serve those who begin.
const SERVES_BEHIND: u64 = 10_000;

/// A message to all followers: everything after one number of the log, up to another.
#[derive(Debug, Clone)]
pub(crate) struct News {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) bytes: Bytes,
}

/// Everything that the set held when the log was at a number.
pub(crate) struct Snapshot {
    /// Which snapshot of this process it is: places in another one are of another order.
    serial: u64,
    pub(crate) number: u64,
    made_at: Duration,
    revocations: Arc<Revocations>,
    kept: revocation::Snapshot,
    /// Until when something counts that the set had dropped for lack of room.
    missing_until: Option<Timestamp>,
    /// The last events, each written for the first follower that needed it.
    texts: Mutex<VecDeque<Text>>,
}

/// An event of a snapshot: where in the set it begins, and where the next one does.
#[derive(Clone)]
struct Text {
    from: usize,
    to: usize,
    bytes: Bytes,
}

/// The place of a follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The snapshot with this serial was read up to this place of the set.
    Snapshot { serial: u64, offset: usize },
    /// Everything of the log up to this number was read.
    Log(u64),
}

/// A page for a program that polls.
pub(crate) struct Page {
    pub(crate) revoked: Revoked,
    pub(crate) to: Place,
    pub(crate) more: bool,
    /// Whether it is the first page, although the program had a place.
    pub(crate) begins: bool,
}

/// The feed.
pub(crate) struct Feed {
    revocations: Arc<Revocations>,
    keys: Arc<Keys>,
    /// Names this process: places of another one are invalid here.
    nonce: ArcSwap<String>,
    /// When the database was restored last.
    turns: AtomicI64,
    /// The hash of the secret that opens the feed.
    secret: Option<[u8; 32]>,
    /// The number up to which all were informed.
    at: AtomicU64,
    live: broadcast::Sender<News>,
    snapshot: tokio::sync::Mutex<Option<Arc<Snapshot>>>,
    /// How many were made.
    snapshots: AtomicU64,
    seats: Arc<Seats>,
}

/// The seats of the followers.
struct Seats {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    of_clients: HashMap<ClientId, usize>,
}

/// A follower's seat, until it is dropped.
pub(crate) struct Seat {
    client: Option<ClientId>,
    seats: Arc<Seats>,
}

impl Seats {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.all = taken.all.saturating_sub(1);
        let Some(client) = self.client else { return };
        if let Some(count) = taken.of_clients.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.of_clients.remove(&client);
            }
        }
    }
}

/// How many may follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Followers {
    /// All together.
    pub(crate) most: usize,
    /// Those of one registered client.
    pub(crate) most_of_one: usize,
}

impl Followers {
    /// The limits of the settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { most: settings.feed_streams, most_of_one: settings.feed_streams_per_client }
    }
}

impl Feed {
    /// A feed with a seat for so many followers.
    pub(crate) fn new(
        revocations: &Arc<Revocations>,
        keys: &Arc<Keys>,
        secret: Option<&Secret>,
        followers: Followers,
    ) -> Arc<Self> {
        Arc::new(Self {
            revocations: revocations.clone(),
            keys: keys.clone(),
            nonce: ArcSwap::from_pointee(nonce()),
            turns: AtomicI64::new(0),
            secret: secret.map(|secret| hash(secret.expose())),
            at: AtomicU64::new(0),
            live: broadcast::channel(BEHIND).0,
            snapshot: tokio::sync::Mutex::default(),
            snapshots: AtomicU64::new(0),
            seats: Arc::new(Seats {
                most: followers.most,
                most_of_one: followers.most_of_one,
                taken: Mutex::default(),
            }),
        })
    }

    /// Whether this is the secret of the feed.
    pub(crate) fn is_opened_by(&self, secret: &str) -> bool {
        let presented = hash(secret.as_bytes());
        self.secret.is_some_and(|own| constant_time::verify_slices_are_equal(&own, &presented).is_ok())
    }

    /// Takes a seat for a follower: a registered client, or a holder of the secret.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if all are taken, or as many as one client may have.
    pub(crate) fn seat(&self, client: Option<ClientId>) -> Result<Seat, Error> {
        let mut taken = self.seats.taken();
        let of_client = client.and_then(|client| taken.of_clients.get(&client)).copied().unwrap_or_default();
        if taken.all >= self.seats.most || of_client >= self.seats.most_of_one {
            return Err(Error::Overloaded);
        }
        taken.all += 1;
        if let Some(client) = client {
            taken.of_clients.insert(client, of_client + 1);
        }
        Ok(Seat { client, seats: self.seats.clone() })
    }

    /// How many follow.
    pub(crate) fn followers(&self) -> usize {
        self.seats.taken().all
    }

    /// The name of this process, as long as its places are good.
    pub(crate) fn name(&self) -> Arc<String> {
        self.nonce.load_full()
    }

    /// The database was restored so many times: if that has changed, all followers begin again. Returns whether it has.
    pub(crate) fn begins_again(&self, turns: i64) -> bool {
        let has_changed = self.turns.swap(turns, Ordering::SeqCst) != turns;
        if has_changed {
            self.nonce.store(Arc::new(nonce()));
            let last = self.last();
            let _ = self.live.send(News { from: last, to: last, bytes: Bytes::new() });
        }
        has_changed
    }

    /// When the database was restored last, as far as is known here.
    pub(crate) fn turns(&self) -> i64 {
        self.turns.load(Ordering::SeqCst)
    }

    /// How far the log has come.
    pub(crate) fn last(&self) -> u64 {
        self.revocations.log.last()
    }

    /// Subscribes to the messages from here on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<News> {
        self.live.subscribe()
    }

    /// The snapshot for those who begin now.
    pub(crate) async fn snapshot(self: &Arc<Self>) -> Result<Arc<Snapshot>, Error> {
        let mut kept = self.snapshot.lock().await;
        let is_new = |snapshot: &Arc<Snapshot>| {
            boot().saturating_sub(snapshot.made_at) < SERVES_FOR
                && self.last().saturating_sub(snapshot.number) <= SERVES_BEHIND
        };
        if let Some(snapshot) = kept.as_ref().filter(|snapshot| is_new(snapshot)) {
            return Ok(snapshot.clone());
        }
        let revocations = self.revocations.clone();
        let serial = self.snapshots.fetch_add(1, Ordering::Relaxed);
        let made = Arc::new(Snapshot::of(revocations, serial));
        *kept = Some(made.clone());
        Ok(made)
    }

    /// Drops a snapshot that nobody begins with any more.
    async fn drop_old_snapshot(&self) {
        let mut kept = self.snapshot.lock().await;
        if kept.as_ref().is_some_and(|one| boot().saturating_sub(one.made_at) >= KEPT_FOR) {
            *kept = None;
        }
    }

    /// What comes in the log after this number.
    pub(crate) fn after(&self, number: u64) -> Result<(Revoked, u64), Passed> {
        let entries = self.revocations.log.after(number, PAGE)?;
        Ok(self.read(&entries, number))
    }

    fn read(&self, entries: &[Entry], number: u64) -> (Revoked, u64) {
        let keep = self.revocations.remembered_for();
        let to = number.saturating_add(entries.len() as u64);
        (revoked(entries.iter().map(|entry| (*entry, keep))), to)
    }

    /// A page for a program that polls, and that has read up to this place.
    pub(crate) async fn page(self: &Arc<Self>, at: Option<Place>, most: usize) -> Result<Page, Error> {
        let from = match at {
            Some(Place::Log(number)) => {
                if let Ok(entries) = self.revocations.log.after(number, most) {
                    let (revoked, to) = self.read(&entries, number);
                    let more = self.last() > to;
                    return Ok(Page { revoked, to: Place::Log(to), more, begins: false });
                }
                None
            }
            Some(Place::Snapshot { serial, offset }) => {
                let kept = self.snapshot.lock().await.clone();
                kept.filter(|snapshot| snapshot.serial == serial).map(|snapshot| (snapshot, offset))
            }
            None => None,
        };
        let begins = from.is_none();
        let (snapshot, offset) = match from {
            Some(from) => from,
            None => (self.snapshot().await?, 0),
        };
        let (number, (revoked, next)) = (snapshot.number, snapshot.page(offset, most));
        let to =
            next.map_or(Place::Log(number), |offset| Place::Snapshot { serial: snapshot.serial, offset });
        Ok(Page { revoked, to, more: next.is_some() || self.last() > number, begins })
    }

    /// The place that a follower says it has read up to; `None` if it is not a place of this process.
    pub(crate) fn place(&self, id: &str) -> Option<Place> {
        let rest = id.strip_prefix(self.nonce.load().as_str())?.strip_prefix('-')?;
        let place = match rest.split_once('.') {
            Some((serial, offset)) => {
                Place::Snapshot { serial: serial.parse().ok()?, offset: offset.parse().ok()? }
            }
            None => Place::Log(rest.parse().ok()?),
        };
        // Only as it was written.
        (self.id(place) == id).then_some(place)
    }

    /// A place as followers see it.
    pub(crate) fn id(&self, place: Place) -> String {
        match place {
            Place::Snapshot { serial, offset } => format!("{}-{serial}.{offset}", self.nonce.load()),
            Place::Log(number) => format!("{}-{number}", self.nonce.load()),
        }
    }

    /// Changes when the published keys do.
    pub(crate) fn keys(&self) -> String {
        let digest = hash(self.keys.jwks().as_bytes());
        URL_SAFE_NO_PAD.encode(digest.first_chunk::<12>().unwrap_or(&[0; 12]))
    }

    /// The time by which tokens are issued and checked here, in milliseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        self.revocations.now().as_millis()
    }

    /// The event that nothing is missing up to this number; empty if that is not known, since the store could not be
    /// read a moment ago.
    pub(crate) fn current(&self, number: u64) -> String {
        if self.revocations.behind() > FRESH {
            return String::new();
        }
        let data = json!({ "keys": self.keys(), "now": self.now() });
        format!("event: current\nid: {}\ndata: {data}\n\n", self.id(Place::Log(number)))
    }

    /// The event for entries of the log up to this number.
    pub(crate) fn event(&self, revoked: &Revoked, to: u64) -> String {
        if revoked.is_empty() {
            return String::new();
        }
        format!("event: revoked\nid: {}\ndata: {}\n\n", self.id(Place::Log(to)), json!(revoked))
    }

    /// Sends what is new as it comes, while it is awaited.
    pub(crate) async fn run(&self) -> Infallible {
        let mut beat = interval(HEARTBEAT);
        loop {
            let beats = tokio::select! {
                () = self.revocations.news.notified() => false,
                _ = beat.tick() => true,
            };
            if beats {
                self.drop_old_snapshot().await;
            }
            if self.live.receiver_count() > 0 {
                self.tell(beats);
            } else {
                self.at.store(self.last(), Ordering::Relaxed);
            }
        }
    }

    fn tell(&self, beats: bool) {
        let from = self.at.load(Ordering::Relaxed);
        let news = match self.after(from) {
            Ok((revoked, to)) if to == self.last() || revoked.is_empty() => {
                let mut bytes = self.event(&revoked, to);
                if beats {
                    bytes += &self.current(to);
                }
                News { from, to, bytes: bytes.into() }
            }
            // Too much for one message: each follower reads it at its own speed.
            _ => {
                let last = self.last();
                News { from: last, to: last, bytes: Bytes::new() }
            }
        };
        self.at.store(news.to, Ordering::Relaxed);
        if news.from == news.to && !beats && news.from == from {
            return;
        }
        let _ = self.live.send(news);
    }
}

impl Snapshot {
    fn of(revocations: Arc<Revocations>, serial: u64) -> Self {
        // First the number: what comes in between is in both. What is missing comes last, for the same reason.
        let number = revocations.log.last();
        let kept = revocations.set.snapshot();
        let missing_until = revocations.set.missing_until();
        Self { serial, number, made_at: boot(), revocations, kept, missing_until, texts: Mutex::default() }
    }

    /// So many entries from a place on, and the place of the next one.
    fn page(&self, from: usize, most: usize) -> (Revoked, Option<usize>) {
        let mut entries = self.kept.entries(from).peekable();
        let (mut page, mut to) = (Vec::new(), from);
        for (next, kept) in entries.by_ref().take(most) {
            to = next;
            page.push((kept.revocation, self.revocations.keep(kept.expires_at)));
        }
        let more = entries.peek().is_some().then_some(to);
        let missing = self.missing_until.map(|until| self.revocations.keep(until)).unwrap_or_default();
        (Revoked { missing, ..revoked(page.into_iter()) }, more)
    }

    /// The event from this place on, without an id: a follower that is cut off begins again; and the place of the next
    /// one. `None` after the last one.
    pub(crate) fn event(&self, from: usize) -> Option<(Bytes, usize)> {
        let texts = || self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = texts().iter().find(|text| text.from == from) {
            return Some((text.bytes.clone(), text.to));
        }
        let (revoked, next) = self.page(from, PAGE);
        if revoked.sessions.is_empty() && revoked.users.is_empty() && (from > 0 || revoked.is_empty()) {
            return None;
        }
        let bytes = Bytes::from(format!("event: revoked\ndata: {}\n\n", json!(revoked)));
        let text = Text { from, to: next.unwrap_or(usize::MAX), bytes };
        let mut texts = texts();
        texts.push_back(text.clone());
        if texts.len() > TEXTS {
            texts.pop_front();
        }
        Some((text.bytes, text.to))
    }
}

fn revoked(entries: impl Iterator<Item = (Entry, Duration)>) -> Revoked {
    let mut revoked = Revoked::default();
    for (entry, keep) in entries {
        match entry {
            Entry::Session(session) => revoked.sessions.push(EndedSession { session, keep }),
            Entry::User(user, version) => revoked.users.push(LeastVersion { user, version, keep }),
        }
    }
    revoked
}

fn nonce() -> String {
    format!("{:016x}", u64::from_be_bytes(crate::random::bytes()))
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().unwrap_or_default()
}
