use std::pin::Pin;
use std::sync::Arc;

use doorward_core::revocation::Standing;
use doorward_core::role::Roles;
use doorward_core::token::AccessToken;
use doorward_core::{Mode, OpaqueSecret, Refusal, Timestamp};
use http::HeaderMap;

use crate::builder::Builder;
use crate::credential::{CookieNames, Credential, credential};
use crate::{GuardLayer, Health, Identity, Needs, Verifier};

/// The answer of a [`Lookup`] that had to leave memory.
pub type LookupFuture<'a, T = Identity> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send + 'a>>;

/// Where a guard learns what a credential alone doesn't say.
pub trait Lookup: Send + Sync + 'static {
    /// Who holds the session secret with this hash, where memory knows; every answer has passed the revocations.
    fn session_in_memory(&self, hash: &[u8; 32], now: Timestamp) -> Option<Result<Identity, Refusal>>;

    /// Who holds this session secret.
    fn session<'a>(&'a self, secret: &'a OpaqueSecret, now: Timestamp) -> LookupFuture<'a>;

    /// Whether a verified token still stands, asked while memory doesn't hold every revocation.
    fn token(&self, token: AccessToken, mode: Mode, now: Timestamp) -> LookupFuture<'_>;

    /// Fetches the keys again, for a token that names an unknown one; true where they may be newer now. `None` where keys
    /// don't come from elsewhere.
    fn newer_keys(&self) -> Option<LookupFuture<'_, bool>> {
        None
    }

    /// How it stands with what comes from elsewhere.
    fn health(&self) -> Option<Health> {
        None
    }
}

/// Checks requests. Cheap to clone.
#[derive(Clone)]
pub struct Guard(Arc<Parts>);

struct Parts {
    verifier: Arc<Verifier>,
    cookies: CookieNames,
    lookup: Arc<dyn Lookup>,
    roles: Roles,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Guard {
    /// Begins a guard for an application: [`Builder`] says what it can be told.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A guard over a verifier's keys and revocations, and a lookup for the rest; `now` tells it the time. Applications
    /// use [`Guard::builder`].
    pub fn new(
        verifier: Arc<Verifier>,
        cookies: CookieNames,
        lookup: Arc<dyn Lookup>,
        roles: Roles,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Parts { verifier, cookies, lookup, roles, now: Box::new(now) }))
    }

    /// A tower layer that lets in whom this guard lets in.
    pub fn layer(&self) -> GuardLayer {
        GuardLayer::new(self.clone())
    }

    /// Checks the credential of a request.
    ///
    /// # Errors
    /// Why it is refused. What cannot be checked is refused as [`Refusal::Unavailable`], never let through.
    pub async fn check(&self, headers: &HeaderMap) -> Result<Identity, Refusal> {
        match credential(headers, &self.0.cookies)? {
            Credential::BearerToken(token) => self.check_token(token, Mode::Bearer).await,
            Credential::CookieToken(token) => self.check_token(token, Mode::Cookie).await,
            Credential::SessionSecret(secret) => self.check_secret(secret).await,
        }
    }

    /// Whether the caller meets this.
    pub fn allows(&self, identity: &Identity, needs: Needs) -> bool {
        needs.are_met_by(identity, &self.0.roles)
    }

    /// How fresh and how large is what it knows: for metrics and health checks.
    pub fn health(&self) -> Health {
        self.0.lookup.health().unwrap_or_else(|| Health::of(&self.0.verifier))
    }

    pub(crate) fn cookies(&self) -> &CookieNames {
        &self.0.cookies
    }

    async fn check_token(&self, token: &str, mode: Mode) -> Result<Identity, Refusal> {
        let now = (self.0.now)();
        let verified = match self.0.verifier.verify(token, now) {
            Err(Refusal::TokenInvalid) => self.with_newer_keys(token, now).await?,
            verified => verified?,
        };
        match self.0.verifier.revocations.check(verified.user, verified.session, verified.role) {
            Standing::Good => Ok(Identity::of_token(verified, mode)),
            Standing::Ended => Err(Refusal::SessionEnded),
            Standing::Stale => Err(Refusal::TokenStale),
            Standing::Unknown => self.0.lookup.token(verified, mode, now).await,
        }
    }

    async fn with_newer_keys(&self, token: &str, now: Timestamp) -> Result<AccessToken, Refusal> {
        let Some(fetch) = self.0.lookup.newer_keys() else { return Err(Refusal::TokenInvalid) };
        if self.0.verifier.lacks_the_key_of(token) && fetch.await? {
            return self.0.verifier.verify(token, now);
        }
        Err(Refusal::TokenInvalid)
    }

    async fn check_secret(&self, secret: &str) -> Result<Identity, Refusal> {
        let now = (self.0.now)();
        let secret = OpaqueSecret::parse(secret).ok_or(Refusal::TokenInvalid)?;
        match self.0.lookup.session_in_memory(&secret.hash(), now) {
            Some(answer) => answer,
            None => self.0.lookup.session(&secret, now).await,
        }
    }
}
