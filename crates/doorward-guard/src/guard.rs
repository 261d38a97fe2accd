use std::pin::Pin;
use std::sync::Arc;

use doorward_core::revocation::Standing;
use doorward_core::token::AccessToken;
use doorward_core::{Mode, OpaqueSecret, Refusal, Timestamp};
use http::HeaderMap;

use crate::credential::{CookieNames, Credential, credential};
use crate::{Identity, Verifier};

/// The answer of a [`Lookup`] that had to leave memory.
pub type LookupFuture<'a> = Pin<Box<dyn Future<Output = Result<Identity, Refusal>> + Send + 'a>>;

/// Where a guard learns what a credential alone doesn't say.
pub trait Lookup: Send + Sync + 'static {
    /// Who holds the session secret with this hash, where memory knows; every answer has passed the revocations.
    fn session_in_memory(&self, hash: &[u8; 32], now: Timestamp) -> Option<Result<Identity, Refusal>>;

    /// Who holds the session secret with this hash.
    fn session(&self, hash: [u8; 32], now: Timestamp) -> LookupFuture<'_>;

    /// Whether a verified token still stands, asked while memory doesn't hold every revocation.
    fn token(&self, token: AccessToken, mode: Mode, now: Timestamp) -> LookupFuture<'_>;
}

/// Checks requests. Cheap to clone.
#[derive(Clone)]
pub struct Guard(Arc<Parts>);

struct Parts {
    verifier: Arc<Verifier>,
    cookies: CookieNames,
    lookup: Arc<dyn Lookup>,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Guard {
    /// A guard over a verifier's keys and revocations, and a lookup for the rest; `now` tells it the time.
    pub fn new(
        verifier: Arc<Verifier>,
        cookies: CookieNames,
        lookup: Arc<dyn Lookup>,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Parts { verifier, cookies, lookup, now: Box::new(now) }))
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

    async fn check_token(&self, token: &str, mode: Mode) -> Result<Identity, Refusal> {
        let now = (self.0.now)();
        let verified = self.0.verifier.verify(token, now)?;
        match self.0.verifier.revocations.check(verified.user, verified.session, verified.role) {
            Standing::Good => Ok(Identity::of_token(verified, mode)),
            Standing::Ended => Err(Refusal::SessionEnded),
            Standing::Stale => Err(Refusal::TokenStale),
            Standing::Unknown => self.0.lookup.token(verified, mode, now).await,
        }
    }

    async fn check_secret(&self, secret: &str) -> Result<Identity, Refusal> {
        let now = (self.0.now)();
        let hash = OpaqueSecret::parse(secret).ok_or(Refusal::TokenInvalid)?.hash();
        match self.0.lookup.session_in_memory(&hash, now) {
            Some(answer) => answer,
            None => self.0.lookup.session(hash, now).await,
        }
    }
}
