//! What comes from a Doorward server elsewhere: its keys, its revocations, and the holders of session secrets.

mod feed;
mod http;
mod introspect;
mod keys;
mod seldom;
mod sse;
mod time;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use ::http::HeaderValue;
use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use doorward_core::token::AccessToken;
use doorward_core::{Mode, OpaqueSecret, Refusal, Timestamp};
use tokio::task::AbortHandle;
use tokio::time::interval;

use self::feed::Feed;
use self::http::{Failure, Server};
use self::introspect::IntrospectionCache;
use self::keys::LastFetch;
use self::seldom::seldom;
use self::time::ServerTime;
use crate::clock::{Moment, boot, steady};
use crate::guard::{Lookup, LookupFuture};
use crate::verifier::Verifier;
use crate::{BuildError, Health, Identity};

/// How often the guard checks whether it is still up to date.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// From how many seconds on the log says that this machine's clock is off.
const TOLERATED: u64 = 5;
/// How often expired revocations are dropped.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// What a guard does if it has not heard from its server for [`Builder::stale_after`](crate::Builder::stale_after), so
/// that it may have missed the end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenStale {
    /// Answers 503 `unavailable`: clients keep their credentials and try again. A session that is known to have ended
    /// still gets 401.
    #[default]
    Refuse,
    /// Accepts tokens until they expire, like a program that only verifies signatures.
    AcceptUntilExpiry,
}

/// The builder's options for a server.
pub(crate) struct Settings {
    pub(crate) url: Option<String>,
    pub(crate) authorization: Option<HeaderValue>,
    is_client: bool,
    pub(crate) without_revocations: bool,
    pub(crate) plain_http: bool,
    pub(crate) roots: Vec<u8>,
    pub(crate) stale_after: Duration,
    pub(crate) when_stale: WhenStale,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: None,
            authorization: None,
            is_client: false,
            without_revocations: false,
            plain_http: false,
            roots: Vec::new(),
            stale_after: Duration::from_secs(120),
            when_stale: WhenStale::default(),
        }
    }
}

impl Settings {
    pub(crate) fn authorize_as_client(&mut self, id: &str, secret: &str) {
        self.authorize(&format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))));
        self.is_client = true;
    }

    pub(crate) fn authorize_by_secret(&mut self, secret: &str) {
        self.authorize(&format!("Bearer {secret}"));
        self.is_client = false;
    }

    fn authorize(&mut self, value: &str) {
        // The server would not know a secret that no header can carry, so it is refused here.
        let mut value = HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
        value.set_sensitive(true);
        self.authorization = Some(value);
    }

    /// The issuer of a server at this URL: the URL itself, unless it is a loopback address, which no server uses as
    /// issuer.
    pub(crate) fn issuer(&self) -> Option<String> {
        let url = self.url.as_deref()?;
        let (_, uri) = http::parse(url).ok()?;
        (!http::is_loopback(&uri)).then(|| url.trim_end_matches('/').to_owned())
    }
}

/// State shared by the tasks and the checks.
struct Shared {
    server: Server,
    url: String,
    authorization: Option<HeaderValue>,
    is_client: bool,
    verifier: Arc<Verifier>,
    when_stale: WhenStale,
    stale_after: Duration,
    /// Whether revocations come from the server.
    follows: bool,
    /// Whether keys come from the server.
    fetches_keys: bool,
    last_fetch: LastFetch,
    answers: IntrospectionCache,
    /// The position in the feed; `None` to start over.
    position: ArcSwapOption<String>,
    /// The server's name for its current keys.
    fingerprint: ArcSwapOption<String>,
    /// The server's time.
    time: ServerTime,
    /// When the guard began, by [`boot`].
    began_at: Duration,
    /// Until when the data counts as fresh, in microseconds after `began_at`; and by the wall clock, which is set right
    /// when a machine resumes.
    fresh_until: AtomicU64,
    fresh_until_by_clock: AtomicI64,
    reconnects: AtomicU64,
    problem: ArcSwapOption<String>,
}

/// A guard's connection to its server. Its tasks end with it.
pub(crate) struct Remote {
    shared: Arc<Shared>,
    tasks: Vec<AbortHandle>,
}

/// Connects, fetches the keys, and reads every revocation.
pub(crate) async fn open(
    settings: Settings,
    verifier: Arc<Verifier>,
    has_keys: bool,
) -> Result<Remote, BuildError> {
    let url = settings.url.unwrap_or_default();
    let server = Server::new(&url, settings.plain_http, &settings.roots)?;
    let follows = settings.authorization.is_some() && !settings.without_revocations;
    if !follows && !settings.without_revocations {
        return Err(BuildError::NoFeed);
    }
    let shared = Arc::new(Shared {
        server,
        url: url.trim_end_matches('/').to_owned(),
        authorization: settings.authorization,
        is_client: settings.is_client,
        when_stale: settings.when_stale,
        stale_after: settings.stale_after,
        follows,
        fetches_keys: !has_keys,
        verifier,
        last_fetch: LastFetch::default(),
        answers: IntrospectionCache::default(),
        position: ArcSwapOption::empty(),
        fingerprint: ArcSwapOption::empty(),
        time: ServerTime::new(settings.stale_after),
        began_at: boot(),
        fresh_until: AtomicU64::new(0),
        fresh_until_by_clock: AtomicI64::new(0),
        reconnects: AtomicU64::new(0),
        problem: ArcSwapOption::empty(),
    });
    let mut remote = Remote { shared: shared.clone(), tasks: Vec::new() };
    if follows {
        let failed = |failure: Failure| shared.failed("/revocations", &failure);
        let mut feed = Feed::open(&shared).await.map_err(failed)?;
        feed.catch_up(&shared).await.map_err(failed)?;
        remote.tasks.push(tokio::spawn(feed::follow(shared.clone(), feed)).abort_handle());
    }
    // Fetched after the feed, so that the keys are no older than the fingerprint in the feed.
    if !has_keys {
        let kept_for = shared.first_keys().await?;
        if !follows {
            shared.heard(kept_for);
        }
        remote.tasks.push(tokio::spawn(keys::keep(shared.clone(), kept_for)).abort_handle());
    }
    if follows || !has_keys {
        remote.tasks.push(tokio::spawn(watch(shared)).abort_handle());
    }
    Ok(remote)
}

/// Logs when the guard is stale, and drops revocations that no token needs any more.
async fn watch(shared: Arc<Shared>) {
    let (mut look, mut swept_at) = (interval(LOOK_EVERY), steady());
    loop {
        look.tick().await;
        seldom::write_rest();
        let (set, was_stale) = (&shared.verifier.revocations, shared.verifier.revocations.is_behind());
        match (shared.is_fresh(), was_stale) {
            (false, false) => {
                set.fall_behind();
                tracing::error!(policy = ?shared.when_stale, "nothing heard from {}: this guard is stale", shared.url);
            }
            (true, true) => set.caught_up(),
            _ => {}
        }
        if swept_at.elapsed() >= SWEEP_EVERY {
            swept_at = steady();
            let (shared, now) = (shared.clone(), shared.ran());
            // A large set takes a while. A panic there is logged, and the next sweep comes.
            let _ = tokio::task::spawn_blocking(move || shared.verifier.revocations.sweep(now)).await;
        }
    }
}

impl Shared {
    fn failed(&self, path: &str, failure: &Failure) -> BuildError {
        BuildError::Server { url: format!("{}{path}", self.url), problem: failure.with_hint() }
    }

    async fn first_keys(&self) -> Result<Duration, BuildError> {
        const PATH: &str = "/.well-known/jwks.json";
        let kept_for = self.fetch_keys().await.map_err(|failure| self.failed(PATH, &failure))?;
        if self.verifier.keys() > 0 {
            return Ok(kept_for);
        }
        let problem = "it publishes no key: it signs with a JWT_SECRET, which secret(…) has to be given";
        Err(BuildError::Server { url: format!("{}{PATH}", self.url), problem: problem.into() })
    }

    /// The server has said that nothing is missing; this holds for `kept_for`.
    fn heard(&self, kept_for: Duration) {
        let (at, span) = (Moment::now(), kept_for.saturating_add(self.stale_after));
        let until = at.boot.saturating_sub(self.began_at).saturating_add(span).as_micros();
        self.fresh_until.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::SeqCst);
        self.fresh_until_by_clock.store((at.wall + span).as_micros(), Ordering::SeqCst);
        let problem = self.time.problem();
        if let Some(problem) = &problem {
            seldom!("the server's time doesn't count at the moment", problem);
        }
        let seconds = self.time.clock_ahead(at);
        if seconds.unsigned_abs() > TOLERATED {
            seldom!(
                "this machine's clock differs from the server's, which counts, by so many seconds",
                seconds
            );
        }
        self.problem.store(problem.map(Arc::new));
        self.verifier.revocations.caught_up();
    }

    /// Monotonic time, by which revocations are kept and dropped: setting a clock lets no ended session in again
    /// (attack J43).
    fn ran(&self) -> Timestamp {
        Timestamp::default() + boot().saturating_sub(self.began_at)
    }

    fn is_fresh(&self) -> bool {
        let at = Moment::now();
        let ran = at.boot.saturating_sub(self.began_at).as_micros();
        ran < u128::from(self.fresh_until.load(Ordering::SeqCst))
            && at.wall.as_micros() < self.fresh_until_by_clock.load(Ordering::SeqCst)
    }

    /// Whether memory depends on what the server says.
    fn hears(&self) -> bool {
        self.follows || self.fetches_keys
    }

    /// The server names its keys. If they changed, a task fetches them, so that revocations don't wait for them.
    fn keys_are(self: &Arc<Self>, fingerprint: Option<String>) {
        let Some(new) = fingerprint.filter(|_| self.fetches_keys).map(Arc::new) else { return };
        match self.fingerprint.load_full() {
            Some(known) if known == new => {}
            None => self.fingerprint.store(Some(new)),
            Some(_) => {
                let shared = self.clone();
                // Within the cool-down nothing is fetched, and the next heartbeat tries again.
                tokio::spawn(async move {
                    if shared.newer_keys().await == Ok(true) {
                        shared.fingerprint.store(Some(new));
                    }
                });
            }
        }
    }
}

impl Remote {
    /// The time: the server's, or this machine's as long as the server has not said it.
    pub(crate) fn time(&self) -> impl Fn() -> Timestamp + Send + Sync + use<> {
        let shared = self.shared.clone();
        move || shared.time.at(Moment::now())
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Lookup for Remote {
    fn session_in_memory(&self, hash: &[u8; 32], now: Timestamp) -> Option<Result<Identity, Refusal>> {
        self.shared.known_session(hash, now)
    }

    fn session<'a>(&'a self, secret: &'a OpaqueSecret, now: Timestamp) -> LookupFuture<'a> {
        Box::pin(self.shared.ask_for_session(secret, now))
    }

    fn sessions<'a>(
        &'a self,
        secrets: &'a [OpaqueSecret],
        now: Timestamp,
    ) -> LookupFuture<'a, Vec<Result<Identity, Refusal>>> {
        Box::pin(self.shared.ask_for_sessions(secrets, now))
    }

    fn token(&self, token: AccessToken, mode: Mode, _: Timestamp) -> LookupFuture<'_> {
        // The policy is for a silent server, not for a set that is too small.
        let has_overflowed = self.shared.verifier.revocations.has_overflowed();
        let answer = match self.shared.when_stale {
            WhenStale::AcceptUntilExpiry if !has_overflowed => Ok(Identity::of_token(token, mode)),
            WhenStale::AcceptUntilExpiry | WhenStale::Refuse => Err(Refusal::Unavailable),
        };
        Box::pin(std::future::ready(answer))
    }

    fn is_current(&self) -> bool {
        !self.shared.hears() || self.shared.is_fresh()
    }

    fn fetches_keys(&self) -> bool {
        self.shared.fetches_keys
    }

    fn newer_keys(&self) -> LookupFuture<'_, bool> {
        Box::pin(self.shared.newer_keys())
    }

    fn health(&self) -> Option<Health> {
        let shared = &self.shared;
        let position = shared.position.load_full().map(|position| position.to_string());
        let until = Duration::from_micros(shared.fresh_until.load(Ordering::Relaxed));
        let heard_at = until.saturating_sub(shared.stale_after);
        let stale_for = boot().saturating_sub(shared.began_at).saturating_sub(heard_at);
        Some(Health {
            position,
            stale_for: if shared.hears() { stale_for } else { Duration::ZERO },
            reconnects: shared.reconnects.load(Ordering::Relaxed),
            clock_ahead: shared.time.clock_ahead(Moment::now()),
            problem: shared.problem.load_full().map(|problem| problem.to_string()),
            ..Health::of(&shared.verifier)
        })
    }
}
