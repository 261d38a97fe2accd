//! The parts that every handler may use.

mod assemble;
mod contributions;
mod history;
mod keep_up;
mod kind;

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwap;
use axum::extract::FromRef;
use doorward_core::token::Algorithm;
use doorward_core::{DeletionClock, Timestamp};
use doorward_guard::Guard;
use tokio::sync::watch;

use crate::accounts::Accounts;
use crate::acts::Acts;
use crate::agreed::{self, Agreed};
use crate::assertions::Assertions;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::error::{Cause, Error};
use crate::feed::Feed;
use crate::flow::Flows;
use crate::hashing::Hashing;
use crate::hooks::Hooks;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::otel::Otel;
use crate::passwords::Passwords;
use crate::posts::Posts;
use crate::pulse::{Health, Pulse};
use crate::revocations::Revocations;
use crate::root_rotation::{self, Stage};
use crate::roots::Roots;
use crate::seldom;
use crate::sessions::Sessions;
use crate::settings::Settings;
use crate::sign_ins::SignIns;
use crate::store::{Store, StoreError};
use crate::throttle::{self, Throttle};
use crate::users::Users;
use crate::wire::cookies::CookieJar;
use crate::wire::headers::Headers;
use crate::wire::origins::Origins;
use crate::wire::page::Pages;
pub use assemble::OpenError;
pub(crate) use assemble::Opening;
pub(crate) use contributions::{Boxed, Card, Contributions, Express, Inner, OpenInner, Sweep};
pub(crate) use history::History;
pub use history::Restored;

/// How far this machine's clock may be off the store's, in microseconds, for a node that new requests are sent to.
const MOST_AHEAD: u64 = 30_000_000;

/// The application's state. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of the application.
pub struct Parts {
    /// All settings.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// The database.
    pub store: Store,
    /// Finding users.
    pub users: Arc<Users>,
    /// Changing accounts.
    pub accounts: Accounts,
    /// Sessions of all modes.
    pub sessions: Arc<Sessions>,
    /// Checking passwords.
    pub passwords: Passwords,
    /// Hashing passwords.
    pub hashing: Arc<Hashing>,
    /// The room on the disk.
    pub disk: Disk,
    /// Limits.
    pub throttle: Arc<Throttle>,
    /// Signing keys.
    pub keys: Arc<Keys>,
    /// Revocations.
    pub revocations: Arc<Revocations>,
    /// Checks requests.
    pub guard: Guard,
    /// Registered clients.
    pub clients: Clients,
    /// The feed of revocations for other programs.
    pub(crate) feed: Arc<Feed>,
    /// The hooks of the embedding application.
    pub hooks: Hooks,
    pub(crate) acts: Acts,
    pub(crate) agreed: ArcSwap<Agreed>,
    pub(crate) roots: Arc<Roots>,
    pub(crate) metrics: Metrics,
    pub(crate) contributions: Contributions,
    pub(crate) sign_ins: SignIns,
    /// The recorded flows.
    pub flows: Arc<Flows>,
    pub(crate) otel: Otel,
    pub(crate) cookies: CookieJar,
    pub(crate) pages: Pages,
    pub(crate) posts: Posts,
    pub(crate) assertions: Assertions,
    pub(crate) headers: Headers,
    pub(crate) origins: Origins,
    deletion_clock: Mutex<DeletionClock>,
    pulse: Pulse,
    listening: OnceLock<SocketAddr>,
    draining: watch::Sender<bool>,
    history: History,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<App> for Guard {
    fn from_ref(app: &App) -> Self {
        app.guard.clone()
    }
}

impl App {
    /// The address that the server really listens on, since the setting may have port 0.
    pub(crate) fn listens_on(&self, address: SocketAddr) {
        self.listening.get_or_init(|| address);
    }

    /// Empties the limits on guesses and registrations, here and in every other server on this database.
    ///
    /// # Errors
    /// The store's.
    pub async fn clear_limits(&self) -> Result<(), Error> {
        throttle::clear_everywhere(&self.acts, self.now()).await?;
        Ok(self.throttle.follow(&self.store).await?)
    }

    /// Waits for a look at the store that begins from now on; false if none succeeds soon.
    pub async fn next_look(&self) -> bool {
        self.keys.next_look().wait().await
    }

    /// What the servers of this database have otherwise than these settings, and what to do.
    pub fn disagreements(&self) -> Vec<(String, String)> {
        let mut all: Vec<_> = self
            .agreed
            .load()
            .differences(&self.settings)
            .into_iter()
            .map(|what| {
                (what, "give all servers the same settings, or wait for the end of the roll-out".into())
            })
            .collect();
        let (names, issuer) = (self.keys.verifier().expected(), self.settings.issuer());
        if names.issuer != issuer {
            let what = format!("tokens are issued as {}, and these settings say {issuer}", names.issuer);
            all.push((what, "correct public_url, or change all servers with `doorward config adopt`".into()));
        }
        let (in_force, set) = (self.keys.algorithm(), self.settings.access_algorithm);
        if in_force != Algorithm::Hs256 && in_force != set {
            let what = format!("the signing key is one of {in_force}, and access.algorithm is {set}");
            all.push((what, format!("change it with `doorward key rotate --algorithm {set}`")));
        }
        all
    }

    /// Makes the issuer of these settings that of all servers, which follow.
    ///
    /// # Errors
    /// The store's.
    pub async fn adopt_issuer(&self) -> Result<(), Error> {
        Ok(agreed::adopt_issuer(&self.acts, self.settings.issuer(), self.now()).await?)
    }

    /// Writes the guesses that only memory has counted.
    ///
    /// # Errors
    /// The store's; the next call tries again.
    pub async fn write_limits(&self) -> Result<(), StoreError> {
        self.throttle.write(self.now()).await
    }

    /// How far a change of the root secret is.
    ///
    /// # Errors
    /// The store's.
    pub async fn stage_of_root_rotation(&self) -> Result<Stage, Error> {
        Ok(root_rotation::stage(&self.store, &self.roots).await?)
    }

    /// Puts the other root secret in force.
    ///
    /// # Errors
    /// The store's; or this process knows one secret only.
    pub async fn rotate_root(&self) -> Result<(), StoreError> {
        root_rotation::change(&self.acts, &self.store, &self.roots, self.now()).await
    }

    /// The start of links.
    pub(crate) fn base_url(&self) -> String {
        self.settings.base_url(*self.listening.get().unwrap_or(&self.settings.listen))
    }

    /// In development mode: the address of the tour, for a server that listens here.
    pub fn tour_url(&self, listening: SocketAddr) -> Option<String> {
        let base = || format!("{}://{listening}{}", self.settings.scheme(), self.settings.base_path);
        self.opens("/tour").then(|| format!("{}/tour", base()))
    }

    /// Whether this is development mode, and the program has this route.
    pub(crate) fn opens(&self, path: &str) -> bool {
        self.settings.dev && self.contributions.paths.contains(&path)
    }

    /// The current time, for a handler.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether new requests may be sent here: the store answers, or did until a short time ago, and the process was not
    /// asked to stop. Keys and revocations are loaded, or there would be no `App`. Returns whether the store takes writes.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Overloaded`] if they may not.
    pub(crate) async fn ready(&self) -> Result<bool, Error> {
        if self.is_draining() {
            return Err(Error::Unavailable(Cause::default()));
        }
        if self.is_set_back() {
            let why = "the database was set back: `doorward restored` has to run";
            return Err(Error::Unavailable(Cause::new("not ready", "", why)));
        }
        if self.clock.ahead().unsigned_abs() > MOST_AHEAD {
            let why = "the clock of this machine is more than 30 s off the database's";
            return Err(Error::Unavailable(Cause::new("not ready", "", why)));
        }
        match self.pulse.health() {
            Some(Health::Unfit) => {
                let why = "the database takes no writes from this node";
                Err(Error::Unavailable(Cause::new("not ready", "", why)))
            }
            Some(Health::WithoutWrites) => Ok(false),
            Some(Health::Whole) => Ok(true),
            None => Ok(self.store.ping().await.map(|()| true)?),
        }
    }

    /// Notes that the process is about to stop.
    pub(crate) fn drain(&self) {
        self.draining.send_replace(true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Completes when the process is about to stop.
    pub(crate) async fn drained(&self) {
        let _ = self.draining.subscribe().wait_for(|drains| *drains).await;
    }

    /// Writes what is still pending, and closes the store: later requests get 503.
    pub(crate) async fn close(&self) {
        self.drain();
        if let Err(error) = self.note_history().await {
            tracing::warn!(%error, "the data folder could not be brought up to date");
        }
        if let Err(error) = self.sessions.memory.flush().await {
            tracing::warn!(%error, "the last use of sessions could not be written");
        }
        if let Err(error) = self.write_limits().await {
            tracing::warn!(%error, "the last guesses could not be counted in the store");
        }
        self.store.close().await;
        self.otel.stop().await;
        self.sign_ins.write_last();
        seldom::write_last();
    }
}
