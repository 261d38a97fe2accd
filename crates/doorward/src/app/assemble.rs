//! Assembling the application: each part from the parts below it.

use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwap;
use doorward_core::password_hash::HashPolicy;
use doorward_core::token::Expected;
use doorward_core::{DeletionClock, RootSecret, Timestamp};
use doorward_guard::Guard;
use tokio::sync::watch;

use super::{App, Contributions, History, Parts, history, kind};
use crate::accounts::Accounts;
use crate::acts::{Acts, Base};
use crate::agreed::Agreed;
use crate::assertions::Assertions;
use crate::clients::Clients;
use crate::clock::{Clock, Moment};
use crate::disk::Disk;
use crate::feed::{Feed, Followers};
use crate::flow::{self, Flows};
use crate::hashing::{Hashing, Queue};
use crate::hooks::Hooks;
use crate::keys::{Algorithms, Keys, Wanted};
use crate::look::Look;
use crate::metrics::Metrics;
use crate::otel::Otel;
use crate::passwords::Passwords;
use crate::posts::Posts;
use crate::pulse::Pulse;
use crate::revocations::{Kept, Revocations};
use crate::roots::Roots;
use crate::sessions::{self, Memory, MemoryParts, Sessions};
use crate::settings::{Secrets, Settings, SettingsError};
use crate::sign_ins::SignIns;
use crate::store::{Database, Store, StoreError, StoreSettings};
use crate::throttle::Throttle;
use crate::transfer::{self, TransferError};
use crate::users::Users;
use crate::wire::cookies::CookieJar;
use crate::wire::headers::Headers;
use crate::wire::origins::Origins;
use crate::wire::page::Pages;

/// Why Doorward could not be opened: a setting, the database, or the system. Its text has both fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", if hint.is_empty() { problem.clone() } else { format!("{problem} ({hint})") })]
#[non_exhaustive]
pub struct OpenError {
    /// What is wrong, and where.
    pub problem: String,
    /// What to do; may be empty.
    pub hint: String,
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self { problem: error.to_string(), hint: error.hint().into() }
    }
}

impl From<SettingsError> for OpenError {
    fn from(SettingsError { problem, hint }: SettingsError) -> Self {
        Self { problem, hint }
    }
}

impl From<TransferError> for OpenError {
    fn from(TransferError { problem, hint }: TransferError) -> Self {
        Self { problem, hint }
    }
}

impl From<std::io::Error> for OpenError {
    fn from(error: std::io::Error) -> Self {
        Self { problem: error.to_string(), hint: String::new() }
    }
}

/// What the application is built from.
pub(crate) struct Opening {
    pub(crate) settings: Settings,
    pub(crate) database: Database,
    pub(crate) secrets: Secrets,
    pub(crate) clock: Clock,
    pub(crate) policy: HashPolicy,
    pub(crate) hooks: Hooks,
    /// Who decides about the algorithm of the signing keys.
    pub(crate) algorithms: Algorithms,
    pub(crate) contributions: Contributions,
}

impl App {
    /// Opens the store and loads what the parts keep in memory.
    pub(crate) async fn assemble(opening: Opening) -> Result<Self, OpenError> {
        let store = open_store(&opening, opening.clock.now()).await?;
        let (clock, now) = time(&store, opening.clock.clone()).await?;
        let Opening { settings, secrets, policy, hooks, algorithms, contributions, .. } = opening;
        let roots = roots(&store, &settings, secrets.root, secrets.other_root, algorithms).await?;
        let agreed = agree(&store, &settings, algorithms).await?;
        let (revocations, users) =
            (revocations(&store, &settings, &clock, algorithms).await?, users(&store, &contributions));
        let acts = Acts::new(store.clone(), revocations.clone(), users.clone());
        let base = Base { store: store.clone(), clock: clock.clone(), roles: settings.roles.clone(), acts };
        let wanted = Wanted { algorithm: settings.access_algorithm, algorithms };
        let (expected, shared) = (expected(&settings, &agreed.load(), &revocations), secrets.jwt.as_ref());
        let keys = Keys::load(base.clone(), roots.clone(), shared, wanted, expected, &revocations, now);
        let keys = Arc::new(keys.await?);
        let memory = memory(&store, &revocations, &keys, &settings);
        let of_sessions = of_sessions(&keys, &revocations, &hooks, &memory);
        let sessions = Arc::new(Sessions::new(base.clone(), of_sessions, &settings, &roots));
        let hashing = Arc::new(Hashing::start(policy, Queue::of(&settings))?);
        let throttle = Arc::new(Throttle::open(&settings, &store, roots.first(), now).await?);
        let cookies = CookieJar::new(&settings);
        let guard = guard(&settings, &keys, &cookies, memory, &revocations, clock.clone());
        Self::caught_up(Parts {
            disk: Disk::of(&settings),
            accounts: Accounts::new(base.clone(), users.clone(), sessions.clone(), throttle.clone()),
            passwords: Passwords::new(base.clone(), users.clone(), hashing.clone(), throttle.clone(), &roots),
            pages: pages(&settings, &contributions),
            posts: Posts::new(store.clone(), clock.clone(), &roots),
            headers: Headers::new(&settings),
            origins: Origins::new(&settings),
            metrics: Metrics::new(&settings.base_path, &contributions.paths),
            sign_ins: SignIns::default(),
            assertions: Assertions::default(),
            otel: Otel::open(&settings, secrets.otel_headers)?,
            flows: Arc::new(Flows::new(settings.sample(), clock.is_manual())),
            clients: Clients::load(base.clone(), throttle.clone()).await?,
            feed: Feed::new(&revocations, &keys, secrets.feed.as_ref(), Followers::of(&settings)),
            draining: watch::Sender::new(false),
            history: History::default(),
            pulse: Pulse::new(settings.unreachable_after),
            deletion_clock: Mutex::new(DeletionClock::new(now, clock.ran())),
            contributions,
            acts: base.acts.clone(),
            agreed,
            roots,
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
        })
        .await
    }

    /// The application of these parts, which knows what the store has.
    async fn caught_up(parts: Parts) -> Result<Self, OpenError> {
        let app = Self(Arc::new(parts));
        app.follow().await?;
        Ok(app)
    }
}

fn pages(settings: &Settings, contributions: &Contributions) -> Pages {
    let Contributions { templates, language, version, .. } = contributions;
    Pages::new(settings, templates, language, version)
}

fn users(store: &Store, contributions: &Contributions) -> Arc<Users> {
    Arc::new(Users::new(store.clone(), contributions.express.iter().map(|one| one.json).collect()))
}

async fn revocations(
    store: &Store,
    settings: &Settings,
    clock: &Clock,
    algorithms: Algorithms,
) -> Result<Arc<Revocations>, StoreError> {
    let kept = Kept {
        max: settings.revocations_max,
        loads: algorithms == Algorithms::AsSet,
        stale_after: settings.revocations_stale_after,
        access_ttl: settings.access_ttl,
        margin: settings.revocations_margin,
    };
    Revocations::open(store.clone(), clock.clone(), kept).await.map(Arc::new)
}

/// The clock that counts, which is the store's if other machines use the store too; and the time.
async fn time(store: &Store, clock: Clock) -> Result<(Clock, Timestamp), StoreError> {
    let clock = match store.is_shared() {
        true => clock.of_store(Look::through(&mut store.follower().await?).await?.told),
        false => clock,
    };
    let now = clock.now();
    Ok((clock, now))
}

/// The open database. Unlike a server, a command doesn't wait for one that isn't up, since a person waits for the
/// command.
async fn open_store(opening: &Opening, now: Timestamp) -> Result<Store, OpenError> {
    let database = opening.database.clone();
    let database = match opening.algorithms {
        Algorithms::AsSet => database,
        Algorithms::AsStored => database.at_once(),
    };
    let store = Store::open(&StoreSettings { database }, now).await?;
    require_open(&store).await?;
    Ok(store)
}

/// Refuses a database that was exported, or is being imported.
async fn require_open(store: &Store) -> Result<(), OpenError> {
    transfer::refusal(store).await?.map_or(Ok(()), |refusal| Err(refusal.into()))
}

/// The root secrets, if the database was made under one of them, and may be used by this kind of server.
async fn roots(
    store: &Store,
    settings: &Settings,
    first: RootSecret,
    second: Option<RootSecret>,
    algorithms: Algorithms,
) -> Result<Arc<Roots>, OpenError> {
    let roots = Roots::recognise(store, first, second).await?;
    // Once more: an import that began meanwhile has written the fingerprint before this.
    require_open(store).await?;
    if algorithms == Algorithms::AsSet
        && let Some(refusal) = history::refusal(store, settings).await?
    {
        return Err(refusal.into());
    }
    if let Some(refusal) = kind::refusal(store, algorithms, settings.dev).await? {
        return Err(refusal.into());
    }
    if algorithms == Algorithms::AsSet {
        roots.announce(store).await?;
    }
    Ok(Arc::new(roots))
}

/// The memory of sessions, which writes their uses from now on.
fn memory(store: &Store, revocations: &Revocations, keys: &Keys, settings: &Settings) -> Arc<Memory> {
    let parts = MemoryParts {
        store: store.clone(),
        set: revocations.set.clone(),
        signs: revocations.signs.clone(),
        next_look: keys.next_look().clone(),
        idle_ttl: settings.idle_ttl,
        access_ttl: settings.access_ttl,
    };
    let (memory, writes) = Memory::new(parts, settings.sessions_in_memory);
    tokio::spawn(writes.run());
    Arc::new(memory)
}

fn guard(
    settings: &Settings,
    keys: &Keys,
    cookies: &CookieJar,
    memory: Arc<Memory>,
    revocations: &Arc<Revocations>,
    clock: Clock,
) -> Guard {
    let (verifier, roles, revocations) =
        (keys.verifier().clone(), settings.roles.clone(), revocations.clone());
    let now = move || {
        let moment = Moment::now();
        revocations.notice(moment);
        clock.at(moment)
    };
    let guard = Guard::new(verifier, cookies.names.clone(), memory, roles, now);
    guard.observed_by(flow::observer)
}

/// The claims that an access token must have.
pub(super) fn expected(settings: &Settings, agreed: &Agreed, revocations: &Revocations) -> Expected {
    Expected {
        issuer: agreed.issuer().map_or_else(|| settings.issuer(), str::to_owned),
        former_issuer: agreed.former_issuer().map(str::to_owned),
        audience: "doorward".into(),
        max_ttl: revocations.max_access_ttl(),
    }
}

fn of_sessions(
    keys: &Arc<Keys>,
    revocations: &Arc<Revocations>,
    hooks: &Hooks,
    memory: &Arc<Memory>,
) -> sessions::Parts {
    let (keys, revocations, hooks, memory) =
        (keys.clone(), revocations.clone(), hooks.clone(), memory.clone());
    sessions::Parts { keys, revocations, hooks, memory }
}

/// What the servers agree on. A command notes nothing of its own.
async fn agree(
    store: &Store,
    settings: &Settings,
    algorithms: Algorithms,
) -> Result<ArcSwap<Agreed>, StoreError> {
    if algorithms == Algorithms::AsSet {
        return Agreed::of_server(store, settings).await.map(ArcSwap::from_pointee);
    }
    let agreed = Agreed::read(store).await?;
    agreed.apply_roles(settings)?;
    Ok(ArcSwap::from_pointee(agreed))
}
