//! What every handler may reach.

mod contributions;

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use axum::extract::FromRef;
use doorward_core::password_hash::HashPolicy;
use doorward_core::token::Expected;
use doorward_core::{Purpose, SettledTime, Timestamp};
use doorward_guard::Guard;
use tokio::sync::watch;

use crate::accounts::Accounts;
use crate::clients::Clients;
use crate::clock::{Clock, steady};
use crate::disk::Disk;
use crate::error::{Cause, Error};
use crate::feed::{Feed, Followers};
use crate::hashing::Hashing;
use crate::hooks::Hooks;
use crate::keys::{Algorithms, Keys};
use crate::known_devices;
use crate::metrics::Metrics;
use crate::passwords::Passwords;
use crate::posts::Posts;
use crate::revocations::Revocations;
use crate::seldom::{self, seldom};
use crate::sessions::{Memory, Sessions};
use crate::settings::{Secrets, Settings};
use crate::sign_ins::SignIns;
use crate::store::{Store, StoreError, StoreSettings, Tx, values};
use crate::throttle::{self, Throttle};
use crate::users::Users;
use crate::wire::cookies::CookieJar;
use crate::wire::headers::Headers;
use crate::wire::origins::Origins;
use crate::wire::page::Pages;
use crate::{audit, posts};
pub(crate) use contributions::{Boxed, Card, Contributions, Express, Sweep};

/// How often the table of revocations and the keys are looked at for what other processes wrote.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);
/// How often the room on the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often what is over is forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long the writer may take to say whether another process wrote; then it may have.
const VERSION_TIMEOUT: Duration = Duration::from_secs(1);
/// How long following may take. The next try begins anew.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(4);

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
    /// What is over.
    pub revocations: Arc<Revocations>,
    /// What checks requests.
    pub guard: Guard,
    /// Programs that may ask and follow.
    pub clients: Clients,
    /// What others are told of what is over.
    pub(crate) feed: Arc<Feed>,
    /// What the application around it does at sign-ins.
    pub hooks: Hooks,
    pub(crate) metrics: Metrics,
    pub(crate) contributions: Contributions,
    pub(crate) sign_ins: SignIns,
    pub(crate) cookies: CookieJar,
    pub(crate) pages: Pages,
    pub(crate) posts: Posts,
    pub(crate) headers: Headers,
    pub(crate) origins: Origins,
    settled: Mutex<SettledTime>,
    listening: OnceLock<SocketAddr>,
    draining: watch::Sender<bool>,
}

/// Why the application could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The settings, with what to do.
    #[error("{0}")]
    Settings(#[from] crate::settings::SettingsError),
    /// The system.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

impl App {
    pub(crate) async fn assemble(
        settings: Settings,
        secrets: Secrets,
        (clock, policy, hooks): (Clock, HashPolicy, Hooks),
        algorithms: Algorithms,
        contributions: Contributions,
    ) -> Result<Self, OpenError> {
        let now = clock.now();
        let store = database(&settings, algorithms, now).await?;
        recognise(&store, &secrets).await?;
        let root = Arc::new(secrets.root);
        let limits = (settings.revocations_max, settings.revocations_stale_after);
        let revocations = Arc::new(Revocations::load(store.clone(), limits, settings.access_ttl, now).await?);
        let shared = (expected(&settings, &revocations), revocations.set.clone());
        let (jwt, algorithm) = (secrets.jwt.as_ref(), (settings.access_algorithm, algorithms));
        let keys = Arc::new(Keys::load(store.clone(), root.clone(), jwt, algorithm, shared, now).await?);
        let memory = memory(&store, &revocations, &settings);
        let users =
            Arc::new(Users::new(store.clone(), contributions.express.iter().map(|one| one.json).collect()));
        let sessions = Arc::new(Sessions::new(
            (store.clone(), clock.clone()),
            (keys.clone(), revocations.clone(), hooks.clone()),
            &root,
            (settings.lifetimes(), settings.sessions_per_user),
            memory.clone(),
        ));
        let hashing = Arc::new(Hashing::start(policy, settings.hashing_queue, settings.hashing_timeout)?);
        let throttle = Arc::new(Throttle::open(&settings, &store).await?);
        let cookies = CookieJar::new(&settings);
        let guard = guard(&settings, &keys, &cookies, memory, clock.clone());
        let follows = (secrets.feed.as_ref(), Followers::of(&settings));
        let told = (revocations.clone(), keys.clone());
        let base = (store.clone(), clock.clone(), settings.roles.clone());
        let acting = (users.clone(), sessions.clone(), revocations.clone());
        let (timed, limited) = ((store.clone(), clock.clone()), (hashing.clone(), throttle.clone()));
        Ok(Self(Arc::new(Parts {
            disk: Disk::of(&settings),
            accounts: Accounts::new(base.clone(), acting, throttle.clone()),
            passwords: Passwords::new(timed, users.clone(), limited, &root),
            pages: Pages::new(&settings, &contributions.templates),
            posts: Posts::new(store.clone(), clock.clone(), &root),
            headers: Headers::new(&settings),
            origins: Origins::new(&settings),
            metrics: Metrics::new(&settings.base_path, &contributions.paths),
            sign_ins: SignIns::default(),
            clients: Clients::load(base, throttle.clone()).await?,
            feed: Arc::new(Feed::open(&store, told, follows).await?),
            draining: watch::Sender::new(false),
            settled: Mutex::new(SettledTime::new(now, clock.ran())),
            contributions,
            settings,
            clock,
            store,
            users,
            sessions,
            hashing,
            throttle,
            keys,
            revocations,
            hooks,
            guard,
            cookies,
            listening: OnceLock::new(),
        })))
    }

    /// Takes over what other processes wrote, and what time alone changes.
    ///
    /// # Errors
    /// The store's; the next call tries again.
    pub async fn follow(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut users = self.revocations.follow(self.settled()).await?;
        users.sort_unstable();
        users.dedup();
        users.iter().for_each(|user| self.users.read_again(*user));
        self.clients.follow().await?;
        self.throttle.follow(&self.store).await?;
        self.keys.follow(now, false).await
    }

    /// Forgets what is over, in memory and in the store; and has the users in memory read again, as another node may have
    /// changed them.
    ///
    /// # Errors
    /// The store's; the next call tries again.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let now = self.settled();
        self.origins.sweep(self.clock.ran());
        // Asked first: if it fails, what memory has is all there is.
        self.keys.follow(self.clock.now(), false).await?;
        self.users.read_all_again();
        // What memory holds goes before the revocations that would refuse it.
        self.sessions.memory.sweep(now);
        self.revocations.sweep(now).await?;
        self.keys.sweep(now - self.settings.absolute_ttl).await?;
        for sweep in &self.contributions.sweeps {
            sweep(self, now).await?;
        }
        known_devices::sweep(&self.store, now).await?;
        posts::sweep(&self.store, now).await?;
        audit::sweep(&self.store, now - self.settings.audit_retention).await?;
        self.sessions.sweep(now).await.map(drop)
    }

    /// The time by which things are forgotten. Whoever is refused because of a revocation stays refused where the clock
    /// was far ahead and is set right: a jump is believed once all tokens from before it are dead (attack J43).
    fn settled(&self) -> Timestamp {
        let (now, ran, span) = (self.clock.now(), self.clock.ran(), self.revocations.remembered_for());
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).at(now, ran, span)
    }

    /// Follows others, sweeps, and tells those who follow this process, until nobody else has this application or the
    /// returned task is aborted.
    pub fn keep_up(&self) -> tokio::task::JoinHandle<()> {
        let (app, feed) = (Arc::downgrade(&self.0), self.feed.clone());
        tokio::spawn(async move {
            let sweeping = async {
                let mut sweep = tokio::time::interval(SWEEP_EVERY);
                loop {
                    sweep.tick().await;
                    let Some(app) = app.upgrade().map(Self) else { break };
                    complain(app.sweep().await);
                }
            };
            tokio::select! {
                () = Self::keep_following(&app) => {}
                () = Self::keep_looking(&app) => {}
                () = sweeping => {}
                never = feed.run() => match never {},
            }
        })
    }

    /// Looks at the disk again and again. On a thread of its own: a disk may hang.
    async fn keep_looking(app: &Weak<Parts>) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            look.tick().await;
            let Some(app) = app.upgrade().map(Self) else { break };
            app.look_at_the_disk().await;
        }
    }

    /// Looks how much room the disk has.
    pub async fn look_at_the_disk(&self) {
        let app = self.clone();
        // After a panic there, which is logged, the next look comes in a second.
        let _ = tokio::task::spawn_blocking(move || app.disk.look()).await;
        self.disk.tell();
        self.disk.balance(&self.store).await;
    }

    /// Follows what other processes write, and notes when that fails for long: also where the store says nothing at all.
    async fn keep_following(app: &Weak<Parts>) {
        let mut seen = None;
        let mut follow = tokio::time::interval(FOLLOW_EVERY);
        loop {
            follow.tick().await;
            let Some(app) = app.upgrade().map(Self) else { break };
            let since = steady();
            let silent = || Err(StoreError::Unavailable("no answer in time".into()));
            let in_time = tokio::time::timeout(FOLLOW_TIMEOUT, app.follow_where_changed(&mut seen)).await;
            let followed = in_time.unwrap_or_else(|_| silent());
            match &followed {
                Ok(()) => app.revocations.followed(since),
                Err(_) => app.revocations.not_followed(),
            }
            complain(followed);
            seldom::write_rest();
            app.sign_ins.write_due(app.clock.ran());
        }
    }

    async fn follow_where_changed(&self, seen: &mut Option<i64>) -> Result<(), StoreError> {
        // A writer that is too busy to say keeps nobody from reading.
        let asked = tokio::time::timeout(VERSION_TIMEOUT, self.store.data_version()).await;
        let version = asked.ok().and_then(Result::ok).flatten();
        if version.is_none() || version != *seen {
            self.follow().await?;
            if version.is_some() {
                // Another process wrote, who knows what.
                self.users.read_all_again();
            }
            *seen = version;
        } else if self.keys.are_due(self.clock.now()) {
            self.keys.follow(self.clock.now(), false).await?;
        }
        Ok(())
    }
}

/// The open database. A command, unlike a server, doesn't wait for one that isn't up: somebody sits before it.
async fn database(settings: &Settings, algorithms: Algorithms, now: Timestamp) -> Result<Store, StoreError> {
    let database = match algorithms {
        Algorithms::AsSet => settings.database(),
        Algorithms::AsStored => settings.database().at_once(),
    };
    Store::open(&StoreSettings { database }, now).await
}

/// The memory of sessions, whose uses are written from now on.
fn memory(store: &Store, revocations: &Revocations, settings: &Settings) -> Arc<Memory> {
    let (capacity, idle_ttl) = (settings.sessions_in_memory, settings.idle_ttl);
    let (memory, writes) = Memory::new(store.clone(), revocations.set.clone(), capacity, idle_ttl);
    tokio::spawn(writes.run());
    Arc::new(memory)
}

fn guard(settings: &Settings, keys: &Keys, cookies: &CookieJar, memory: Arc<Memory>, clock: Clock) -> Guard {
    let (verifier, roles) = (keys.verifier().clone(), settings.roles.clone());
    Guard::new(verifier, cookies.names.clone(), memory, roles, move || clock.now())
}

/// What an access token must say.
fn expected(settings: &Settings, revocations: &Revocations) -> Expected {
    let (issuer, max_ttl) = (settings.issuer(), revocations.max_access_ttl());
    Expected { issuer, audience: "doorward".into(), max_ttl }
}

fn complain(done: Result<(), StoreError>) {
    if let Err(error) = done {
        seldom!(WARN, "could not keep up with the store; trying again", %error);
    }
}

const FINGERPRINT: &str =
    "INSERT INTO facts (name, value) VALUES ('root_fingerprint', $1) ON CONFLICT (name) DO NOTHING";
const FINGERPRINT_IS: &str = "SELECT value FROM facts WHERE name = 'root_fingerprint'";

/// Refuses a database that was made under another root secret: its keys and refresh tokens would all be dead.
async fn recognise(store: &Store, secrets: &Secrets) -> Result<(), StoreError> {
    let key = secrets.root.derive(Purpose::Fingerprint);
    let ours = key.expose().first_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes));
    let known = store
        .transaction(async move |tx: &mut Tx| {
            tx.execute(FINGERPRINT, values![ours]).await?;
            tx.find(FINGERPRINT_IS, values![]).await
        })
        .await?;
    match known.map(|row| row.get::<i64>(0)).transpose()? {
        Some(theirs) if theirs == ours => Ok(()),
        _ => Err(StoreError::Refused(
            "this database was made under another root secret: start with its DOORWARD_SECRET or its secret.key".into(),
        )),
    }
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
    /// The address that the server really listens on; a setting of port 0 doesn't say it.
    pub(crate) fn listens_on(&self, address: SocketAddr) {
        self.listening.get_or_init(|| address);
    }

    /// Empties the limits on guesses and registrations, here and in every other server on this database.
    ///
    /// # Errors
    /// The store's.
    pub async fn clear_limits(&self) -> Result<(), Error> {
        throttle::clear_everywhere(&self.store, self.now()).await?;
        Ok(self.throttle.follow(&self.store).await?)
    }

    /// What links begin with.
    pub(crate) fn base_url(&self) -> String {
        self.settings.base_url(*self.listening.get().unwrap_or(&self.settings.listen))
    }

    /// Now, for a handler.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether new requests may be sent here: the store answers, and nobody asked the process to stop. Keys and
    /// revocations are loaded, or there would be no `App`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Overloaded`] where they may not.
    pub(crate) async fn ready(&self) -> Result<(), Error> {
        if self.is_draining() {
            return Err(Error::Unavailable(Cause::default()));
        }
        Ok(self.store.ping().await?)
    }

    /// From here on the process is about to stop.
    pub(crate) fn drain(&self) {
        self.draining.send_replace(true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Ready once the process is about to stop.
    pub(crate) async fn drained(&self) {
        let _ = self.draining.subscribe().wait_for(|drains| *drains).await;
    }

    /// Writes what is still to be written, and closes the store: what comes later is answered with 503.
    pub(crate) async fn close(&self) {
        self.drain();
        if let Err(error) = self.sessions.memory.flush().await {
            tracing::warn!(%error, "the last use of sessions could not be written");
        }
        self.store.close().await;
        self.sign_ins.write_last();
        seldom::write_last();
    }
}
