use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use doorward_core::revocation::RevocationSet;
use doorward_core::role::Roles;
use doorward_core::token::{AccessToken, Expected, KeySet, KeySetError, SigningKey};
use doorward_core::{Mode, OpaqueSecret, Refusal, Secret, SecretError, Timestamp};

use crate::guard::{Lookup, LookupFuture};
#[cfg(feature = "remote")]
use crate::remote::{self, WhenStale};
use crate::verifier::{VerificationKeys, Verifier};
use crate::{BuildError, CookieNames, Guard, Identity, clock};

/// The default for the longest life of a token: above it, a Doorward server warns.
const MAX_TTL: Duration = Duration::from_secs(86_400);
/// The default for how many ended sessions are remembered at most, and as many users with a least version.
const MAX_REVOCATIONS: usize = 4_000_000;

type Time = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// Where a guard gets what it doesn't know itself.
struct Source {
    lookup: Arc<dyn Lookup>,
    now: Time,
}

impl Source {
    /// Without a server.
    fn alone() -> Self {
        Self { lookup: Arc::new(MemoryAlone), now: Box::new(clock::now) }
    }
}

/// The configuration of a [`Guard`]: at least the source of its keys, which is one of [`Builder::secret`],
/// [`Builder::jwks`] and, with the feature `remote`, [`Builder::server`].
#[derive(Default)]
#[must_use]
pub struct Builder {
    secret: Option<Secret>,
    jwks: Option<String>,
    issuer: Option<String>,
    audience: Option<String>,
    cookies: Option<CookieNames>,
    roles: Vec<(String, BTreeSet<String>)>,
    max_ttl: Option<Duration>,
    revocations: Option<Arc<RevocationSet>>,
    now: Option<Time>,
    #[cfg(feature = "remote")]
    remote: remote::Settings,
}

impl Guard {
    /// Begins a guard for an application: [`Builder`] has its options.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// Verifies with the secret that the server signs with, its `JWT_SECRET`. A program that has the secret can make
    /// tokens: prefer public keys.
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.secret = Some(Secret::new(secret));
        self
    }

    /// Verifies with the public keys of this JWK set (RFC 7517), and with no others.
    pub fn jwks(mut self, json: impl Into<String>) -> Self {
        self.jwks = Some(json.into());
        self
    }

    /// The tokens' `iss`: the server's `public_url`, or `doorward` if it has none. The default is the URL given to
    /// [`Builder::server`]; or `doorward` if that is a loopback address, or there is none.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// The tokens' `aud`; the default is `doorward`.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// The names of Doorward's cookies, if the server's settings differ from [`CookieNames::default`]. Cookies reach an
    /// application only on the server's own host, or below its `cookie.domain`.
    pub fn cookies(mut self, names: CookieNames) -> Self {
        self.cookies = Some(names);
        self
    }

    /// A role and what it may do here. Tokens contain no permissions, so each application defines its own. `admin` may
    /// do everything.
    pub fn role<P: Into<String>>(
        mut self,
        name: impl Into<String>,
        permissions: impl IntoIterator<Item = P>,
    ) -> Self {
        self.roles.push((name.into(), permissions.into_iter().map(Into::into).collect()));
        self
    }

    /// The longest life of a token, from `iat` to `exp`; the default is 24 hours. A token that lives longer is refused,
    /// whoever signed it.
    pub fn max_ttl(mut self, max_ttl: Duration) -> Self {
        self.max_ttl = Some(max_ttl);
        self
    }

    /// How many ended sessions are remembered, and as many users with a least version; the default is 4 million, about
    /// 30 bytes each. Above this limit the newest stay, and a token that may be older than those is refused as
    /// `unavailable`, whatever [`Builder::when_stale`] says.
    pub fn max_revocations(self, max: usize) -> Self {
        self.revocations(Arc::new(RevocationSet::new(max)))
    }

    /// Uses this set of revocations, which the application fills by its own means.
    pub fn revocations(mut self, set: Arc<RevocationSet>) -> Self {
        self.revocations = Some(set);
        self
    }

    /// The source of the time, for tests. The default is the server's time as the feed says it, and without a feed this
    /// machine's clock.
    pub fn clock(mut self, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.now = Some(Box::new(now));
        self
    }

    /// Makes the guard. With a server it returns once keys are fetched and every revocation is known, so that an
    /// incomplete guard lets nobody in. Its background tasks stop when the last clone is dropped.
    ///
    /// # Errors
    /// What is missing or can't be used, and what to do.
    pub async fn build(mut self) -> Result<Guard, BuildError> {
        let given = self.keys()?;
        let roles = roles(std::mem::take(&mut self.roles))?;
        let set = self.revocations.take().unwrap_or_else(|| Arc::new(RevocationSet::new(MAX_REVOCATIONS)));
        let expected = Expected {
            former_issuer: None,
            issuer: self.issuer.take().unwrap_or_else(|| self.usual_issuer()),
            audience: self.audience.take().unwrap_or_else(|| "doorward".into()),
            max_ttl: self.max_ttl.unwrap_or(MAX_TTL),
        };
        let known = given.is_some();
        let verifying = VerificationKeys { current: given.unwrap_or_default(), ..Default::default() };
        let verifier = Arc::new(Verifier::new(verifying, expected, set));
        let given = self.now.take();
        let Source { lookup, now } = self.source(&verifier, known).await?;
        let cookies = self.cookies.unwrap_or_default();
        Ok(Guard::new(verifier, cookies, lookup, roles, given.unwrap_or(now)))
    }

    /// The keys given to the builder.
    fn keys(&mut self) -> Result<Option<KeySet>, BuildError> {
        let unusable = |error: KeySetError| BuildError::Keys(error.to_string());
        match (self.secret.take(), self.jwks.take()) {
            (Some(_), Some(_)) => Err(BuildError::Mixed),
            (None, None) => Ok(None),
            (None, Some(json)) => Ok(Some(KeySet::from_jwks(&json).map_err(unusable)?)),
            (Some(secret), None) => {
                let weak = |error: SecretError| BuildError::Secret(error.to_string());
                let secret = Secret::configured(secret.expose()).map_err(weak)?;
                let key = SigningKey::hs256(&secret).map_err(|error| unusable(error.into()))?;
                Ok(Some(KeySet::new(vec![key.verifying_key()]).map_err(unusable)?))
            }
        }
    }

    #[cfg(not(feature = "remote"))]
    fn usual_issuer(&self) -> String {
        "doorward".into()
    }

    #[cfg(not(feature = "remote"))]
    async fn source(&mut self, _: &Arc<Verifier>, known: bool) -> Result<Source, BuildError> {
        if known { Ok(Source::alone()) } else { Err(BuildError::NoKeys) }
    }
}

/// Options for a Doorward server elsewhere.
#[cfg(feature = "remote")]
impl Builder {
    /// The URL of a Doorward server, such as `https://accounts.example.com`. Its keys are fetched and kept as its
    /// headers allow. They are fetched again when a token names an unknown one, at most every 10 s.
    pub fn server(mut self, url: impl Into<String>) -> Self {
        self.remote.url = Some(url.into());
        self
    }

    /// Follows the server's revocations as a registered client (`doorward client create`), and asks it about session
    /// secrets.
    pub fn client(mut self, id: impl AsRef<str>, secret: impl AsRef<str>) -> Self {
        self.remote.authorize_as_client(id.as_ref(), secret.as_ref());
        self
    }

    /// Follows the server's revocations with its `DOORWARD_FEED_SECRET`. Session secrets are refused: only a client may
    /// ask about them.
    pub fn feed_secret(mut self, secret: impl AsRef<str>) -> Self {
        self.remote.authorize_by_secret(secret.as_ref());
        self
    }

    /// Ignores the server's revocations: a token is good until it expires, even if its session has ended.
    pub fn without_revocations(mut self) -> Self {
        self.remote.without_revocations = true;
        self
    }

    /// Allows plain http to a server that is not on this machine. An attacker on the path then sees the credentials and
    /// chooses the keys. Use it only on networks that you trust as you trust this machine.
    pub fn allow_plain_http(mut self) -> Self {
        self.remote.plain_http = true;
        self
    }

    /// Also trusts these authorities (certificates as PEM), besides those that browsers trust.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.remote.roots = pem.into();
        self
    }

    /// How long the server may be silent before the guard counts as stale; the default is 2 minutes.
    pub fn stale_after(mut self, span: Duration) -> Self {
        self.remote.stale_after = span;
        self
    }

    /// What a stale guard does; the default is [`WhenStale::Refuse`].
    pub fn when_stale(mut self, policy: WhenStale) -> Self {
        self.remote.when_stale = policy;
        self
    }

    fn usual_issuer(&self) -> String {
        self.remote.issuer().unwrap_or_else(|| "doorward".into())
    }

    async fn source(&mut self, verifier: &Arc<Verifier>, known: bool) -> Result<Source, BuildError> {
        let remote = std::mem::take(&mut self.remote);
        match remote.url {
            Some(_) => {
                let remote = remote::open(remote, verifier.clone(), known).await?;
                let now = Box::new(remote.time());
                Ok(Source { lookup: Arc::new(remote), now })
            }
            None if remote.authorization.is_some() => Err(BuildError::NoServer),
            None if known => Ok(Source::alone()),
            None => Err(BuildError::NoKeys),
        }
    }
}

fn roles(given: Vec<(String, BTreeSet<String>)>) -> Result<Roles, BuildError> {
    let named = given.into_iter().map(|(name, permissions)| match name.parse() {
        Ok(role) => Ok((role, permissions)),
        Err(_) => Err(BuildError::Role(name)),
    });
    Ok(Roles::new(named.collect::<Result<Vec<_>, _>>()?))
}

/// The lookup without a server: session secrets are unknown, and what memory doesn't hold is refused.
struct MemoryAlone;

impl Lookup for MemoryAlone {
    fn session_in_memory(&self, _: &[u8; 32], _: Timestamp) -> Option<Result<Identity, Refusal>> {
        Some(Err(Refusal::TokenInvalid))
    }

    fn session<'a>(&'a self, _: &'a OpaqueSecret, _: Timestamp) -> LookupFuture<'a> {
        Box::pin(async { Err(Refusal::TokenInvalid) })
    }

    fn sessions<'a>(
        &'a self,
        secrets: &'a [OpaqueSecret],
        _: Timestamp,
    ) -> LookupFuture<'a, Vec<Result<Identity, Refusal>>> {
        Box::pin(async { Ok(vec![Err(Refusal::TokenInvalid); secrets.len()]) })
    }

    fn token(&self, _: AccessToken, _: Mode, _: Timestamp) -> LookupFuture<'_> {
        Box::pin(async { Err(Refusal::Unavailable) })
    }
}
