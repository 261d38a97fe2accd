//! The feed of revocations: how an entry is written, and how each new one reaches all followers.
//!
//! One task reads what is new, however many follow, and sends all of them the same bytes. A follower that falls behind
//! reads the table from its own position on. So no follower misses anything, and a slow one costs no memory.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::{constant_time, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use doorward_core::{ClientId, Secret};
use serde_json::json;
use tokio::sync::broadcast;
use tokio::time::{interval, sleep};

use crate::error::Error;
use crate::keys::Keys;
use crate::revocations::{Page, Revocations};
use crate::seldom::seldom;
use crate::settings::Settings;
use crate::store::{Store, StoreError, Tx, values};

/// About how many entries a page has.
pub(crate) const PAGE: u32 = 1_000;
/// How often a follower gets the event that nothing is missing.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How soon the table is read again after a failure.
const AGAIN: Duration = Duration::from_millis(500);
/// How many messages a follower may be behind before it has to read the table.
const BEHIND: usize = 64;

/// A message to all followers: everything after one position, up to another.
#[derive(Debug, Clone)]
pub(crate) struct News {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) bytes: Bytes,
}

/// The feed.
pub(crate) struct Feed {
    revocations: Arc<Revocations>,
    keys: Arc<Keys>,
    /// Names the database: positions of another one are invalid here.
    epoch: String,
    /// The hash of the secret that opens the feed.
    secret: Option<[u8; 32]>,
    /// The position up to which all were informed.
    at: AtomicI64,
    live: broadcast::Sender<News>,
    places: Arc<Places>,
}

/// The places of the followers.
struct Places {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    of_clients: HashMap<ClientId, usize>,
}

/// A follower's place, until it is dropped.
pub(crate) struct Place {
    client: Option<ClientId>,
    places: Arc<Places>,
}

impl Places {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
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

const EPOCH: &str = "INSERT INTO facts (name, value) VALUES ('feed_epoch', $1) ON CONFLICT (name) DO NOTHING";
const EPOCH_IS: &str = "SELECT value FROM facts WHERE name = 'feed_epoch'";

impl Feed {
    /// A feed with a place for so many followers.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn open(
        store: &Store,
        revocations: &Arc<Revocations>,
        keys: &Arc<Keys>,
        secret: Option<&Secret>,
        followers: Followers,
    ) -> Result<Self, StoreError> {
        let new = i64::from_be_bytes(crate::random::bytes());
        let known = store
            .transaction(async move |tx: &mut Tx| {
                tx.execute(EPOCH, values![new]).await?;
                tx.find(EPOCH_IS, values![]).await
            })
            .await?;
        let epoch = known.map_or(Ok(new), |row| row.get("value"))?;
        Ok(Self {
            revocations: revocations.clone(),
            keys: keys.clone(),
            epoch: format!("{epoch:016x}"),
            secret: secret.map(|secret| hash(secret.expose())),
            at: AtomicI64::new(0),
            live: broadcast::channel(BEHIND).0,
            places: Arc::new(Places {
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

    /// Takes a place for a follower: a registered client, or a holder of the secret.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if all are taken, or as many as one client may have.
    pub(crate) fn place(&self, client: Option<ClientId>) -> Result<Place, Error> {
        let mut taken = self.places.taken();
        let of_client = client.and_then(|client| taken.of_clients.get(&client)).copied().unwrap_or_default();
        if taken.all >= self.places.most || of_client >= self.places.most_of_one {
            return Err(Error::Overloaded);
        }
        taken.all += 1;
        if let Some(client) = client {
            taken.of_clients.insert(client, of_client + 1);
        }
        Ok(Place { client, places: self.places.clone() })
    }

    /// How many follow.
    pub(crate) fn followers(&self) -> usize {
        self.places.taken().all
    }

    /// The position up to which all were informed.
    pub(crate) fn position(&self) -> i64 {
        self.at.load(Ordering::Relaxed)
    }

    /// Subscribes to the messages from here on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<News> {
        self.live.subscribe()
    }

    /// A follower has read the table up to here. If it is the only one, the messages start from here.
    pub(crate) fn caught_up(&self, position: i64) {
        if self.live.receiver_count() == 1 {
            self.at.fetch_max(position, Ordering::Relaxed);
        }
    }

    /// A page of the revocations after this position.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn page(&self, after: i64, most: u32) -> Result<Page, StoreError> {
        self.revocations.since(after, most).await
    }

    /// The position that a follower says it has read up to; `None` if it is not a position of this database.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn resumed(&self, id: &str) -> Result<Option<i64>, StoreError> {
        let position = id.strip_prefix(&self.epoch).and_then(|rest| rest.strip_prefix('-')?.parse().ok());
        match position {
            Some(position) if (0..=self.revocations.last_position().await?).contains(&position) => {
                Ok(Some(position))
            }
            _ => Ok(None),
        }
    }

    /// A position as followers see it.
    pub(crate) fn id(&self, position: i64) -> String {
        format!("{}-{position}", self.epoch)
    }

    /// Changes when the published keys do.
    pub(crate) fn keys(&self) -> String {
        let digest = hash(self.keys.jwks().as_bytes());
        URL_SAFE_NO_PAD.encode(digest.first_chunk::<12>().unwrap_or(&[0; 12]))
    }

    /// Tells followers that they are complete up to `position`. Send it only right after reading the table.
    pub(crate) fn current(&self, position: i64) -> String {
        let data = json!({ "keys": self.keys() });
        format!("event: current\nid: {}\ndata: {data}\n\n", self.id(position))
    }

    /// The event for a page, with the id of its end or without.
    pub(crate) fn revoked(&self, page: &Page, with_id: bool) -> String {
        let mut event = String::from("event: revoked\n");
        if with_id {
            let _ = writeln!(event, "id: {}", self.id(page.to));
        }
        let _ = write!(event, "data: {}\n\n", json!(page.revoked));
        event
    }

    /// Sends what is new as it comes, while it is awaited.
    pub(crate) async fn run(&self) -> Infallible {
        let mut beat = interval(HEARTBEAT);
        loop {
            let beats = tokio::select! {
                () = self.revocations.news.notified() => false,
                _ = beat.tick() => true,
            };
            if self.live.receiver_count() == 0 {
                continue;
            }
            if let Err(error) = self.tell(beats).await {
                seldom!(WARN, "the feed could not read what was revoked; trying again", %error);
                sleep(AGAIN).await;
                self.revocations.news.notify_one();
            }
        }
    }

    async fn tell(&self, beats: bool) -> Result<(), StoreError> {
        let from = self.at.load(Ordering::Relaxed);
        let page = self.page(from, PAGE).await?;
        let news = if page.more {
            // Too much for one message, or nobody followed for long: each follower reads it at its own speed.
            let last = self.revocations.last_position().await?;
            News { from: last, to: last, bytes: Bytes::new() }
        } else {
            let mut bytes = if page.revoked.is_empty() { String::new() } else { self.revoked(&page, true) };
            if beats {
                bytes += &self.current(page.to);
            }
            News { from, to: page.to, bytes: bytes.into() }
        };
        self.at.fetch_max(news.to, Ordering::Relaxed);
        if page.more || !news.bytes.is_empty() {
            let _ = self.live.send(news);
        }
        Ok(())
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().unwrap_or_default()
}
