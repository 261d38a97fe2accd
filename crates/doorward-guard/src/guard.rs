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
        match self.check_in_memory(headers) {
            Some(checked) => checked,
            // Boxed: the usual way carries no room for it.
            None => Box::pin(self.ask(headers)).await,
        }
    }

    /// Checks the credential of a request as [`Guard::check`] does, without waiting for anything; `None` where only a store
    /// or a server elsewhere can tell.
    pub fn check_in_memory(&self, headers: &HeaderMap) -> Option<Result<Identity, Refusal>> {
        let now = (self.0.now)();
        let (token, mode) = match credential(headers, &self.0.cookies) {
            Ok(Credential::BearerToken(token)) => (token, Mode::Bearer),
            Ok(Credential::CookieToken(token)) => (token, Mode::Cookie),
            Ok(Credential::SessionSecret(secret)) => {
                let Some(secret) = OpaqueSecret::parse(secret) else {
                    return Some(Err(Refusal::TokenInvalid));
                };
                return self.0.lookup.session_in_memory(&secret.hash(), now);
            }
            Err(refusal) => return Some(Err(refusal)),
        };
        match self.0.verifier.verify(token, now) {
            Ok(verified) => self.standing(verified, mode),
            Err(Refusal::TokenInvalid) if self.0.verifier.lacks_the_key_of(token) => None,
            Err(refusal) => Some(Err(refusal)),
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

    /// What memory could not tell.
    async fn ask(&self, headers: &HeaderMap) -> Result<Identity, Refusal> {
        let now = (self.0.now)();
        let (token, mode) = match credential(headers, &self.0.cookies)? {
            Credential::BearerToken(token) => (token, Mode::Bearer),
            Credential::CookieToken(token) => (token, Mode::Cookie),
            Credential::SessionSecret(secret) => {
                let secret = OpaqueSecret::parse(secret).ok_or(Refusal::TokenInvalid)?;
                return self.0.lookup.session(&secret, now).await;
            }
        };
        let verified = match self.0.verifier.verify(token, now) {
            Err(Refusal::TokenInvalid) => self.with_newer_keys(token, now).await?,
            verified => verified?,
        };
        match self.standing(verified, mode) {
            Some(checked) => checked,
            None => self.0.lookup.token(verified, mode, now).await,
        }
    }

    fn standing(&self, token: AccessToken, mode: Mode) -> Option<Result<Identity, Refusal>> {
        match self.0.verifier.revocations.check(token.user, token.session, token.role) {
            Standing::Good => Some(Ok(Identity::of_token(token, mode))),
            Standing::Ended => Some(Err(Refusal::SessionEnded)),
            Standing::Stale => Some(Err(Refusal::TokenStale)),
            Standing::Unknown => None,
        }
    }

    async fn with_newer_keys(&self, token: &str, now: Timestamp) -> Result<AccessToken, Refusal> {
        let Some(fetch) = self.0.lookup.newer_keys() else { return Err(Refusal::TokenInvalid) };
        if self.0.verifier.lacks_the_key_of(token) && fetch.await? {
            return self.0.verifier.verify(token, now);
        }
        Err(Refusal::TokenInvalid)
    }
}
