use std::pin::Pin;
use std::sync::Arc;

use doorward_core::revocation::RevocationCheck;
use doorward_core::role::Roles;
use doorward_core::token::AccessToken;
use doorward_core::{Mode, OpaqueSecret, Refusal, SessionId, Timestamp};
use http::HeaderMap;

use crate::credential::{CookieNames, Credential, Credentials, credentials, strip};
use crate::observer::{Observer, Observers};
use crate::verifier::Verifier;
use crate::{Health, Identity, Needs};

/// The answer of a [`Lookup`] that had to leave memory.
pub type LookupFuture<'a, T = Identity> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send + 'a>>;

/// Where a guard learns what a credential alone doesn't say.
pub trait Lookup: Send + Sync + 'static {
    /// The holder of the session secret with this hash, if memory knows it; every answer has been checked against the
    /// revocations.
    fn session_in_memory(&self, hash: &[u8; 32], now: Timestamp) -> Option<Result<Identity, Refusal>>;

    /// The holder of this session secret.
    fn session<'a>(&'a self, secret: &'a OpaqueSecret, now: Timestamp) -> LookupFuture<'a>;

    /// The holders of these session secrets, at most [`MOST_COOKIES`](crate::credential::MOST_COOKIES), with one request; the
    /// answers are in the same order.
    fn sessions<'a>(
        &'a self,
        secrets: &'a [OpaqueSecret],
        now: Timestamp,
    ) -> LookupFuture<'a, Vec<Result<Identity, Refusal>>>;

    /// Whether a verified token is still good, asked while memory doesn't hold every revocation.
    fn token(&self, token: AccessToken, mode: Mode, now: Timestamp) -> LookupFuture<'_>;

    /// The same for several tokens, as many as secrets at most.
    fn tokens<'a>(
        &'a self,
        tokens: &'a [AccessToken],
        mode: Mode,
        now: Timestamp,
    ) -> LookupFuture<'a, Vec<Result<Identity, Refusal>>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for token in tokens {
                answers.push(self.token(*token, mode, now).await);
            }
            Ok(answers)
        })
    }

    /// Whether what memory holds is recent enough to answer from it, by clocks that are read now: a process that stood
    /// still finds out before its first answer.
    fn is_current(&self) -> bool {
        true
    }

    /// Whether keys come from elsewhere, so that an unknown key may be a newer one.
    fn fetches_keys(&self) -> bool {
        false
    }

    /// Fetches the keys again, for a token that names an unknown one; true if they may be newer now.
    fn newer_keys(&self) -> LookupFuture<'_, bool> {
        Box::pin(std::future::ready(Ok(false)))
    }

    /// The state of what comes from elsewhere.
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
    observers: Option<Observers>,
}

impl Guard {
    /// A guard over a verifier's keys and revocations, and a lookup for the rest; `now` gives the time. Applications
    /// use [`Guard::builder`].
    #[doc(hidden)]
    pub fn new(
        verifier: Arc<Verifier>,
        cookies: CookieNames,
        lookup: Arc<dyn Lookup>,
        roles: Roles,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let (now, observers) = (Box::new(now), None);
        Self(Arc::new(Parts { verifier, cookies, lookup, roles, now, observers }))
    }

    /// A new guard, which asks for an observer with each check.
    #[doc(hidden)]
    #[must_use]
    pub fn observed_by(mut self, observers: Observers) -> Self {
        // A new guard has no other owner.
        if let Some(parts) = Arc::get_mut(&mut self.0) {
            parts.observers = Some(observers);
        }
        self
    }

    /// Checks the credential of a request.
    ///
    /// # Errors
    /// Why it is refused. If the credential cannot be checked, it is refused as [`Refusal::Unavailable`], never
    /// accepted.
    pub async fn check(&self, headers: &HeaderMap) -> Result<Identity, Refusal> {
        let now = (self.0.now)();
        match self.look(headers, now, &mut self.observer()) {
            MemoryAnswer::Verdict(verdict) => verdict,
            // Boxed, so that the usual path reserves no room for it.
            open => Box::pin(self.ask(open, now)).await,
        }
    }

    /// Checks the credential of a request as [`Guard::check`] does, without waiting for anything; `None` if memory
    /// can't tell and [`Guard::check`] would ask elsewhere.
    #[doc(hidden)]
    pub fn check_in_memory(&self, headers: &HeaderMap) -> Option<Result<Identity, Refusal>> {
        match self.look(headers, (self.0.now)(), &mut self.observer()) {
            MemoryAnswer::Verdict(verdict) => Some(verdict),
            _ => None,
        }
    }

    /// Whether the caller meets this requirement.
    pub fn allows(&self, identity: &Identity, needs: Needs) -> bool {
        needs.are_met_by(identity, &self.0.roles)
    }

    /// How fresh and how large the guard's data is: for metrics and health checks.
    pub fn health(&self) -> Health {
        self.0.lookup.health().unwrap_or_else(|| Health::of(&self.0.verifier))
    }

    /// Removes the cookies of refresh token and device from a request before the application reads it: only the server
    /// needs them. [`GuardLayer`](crate::GuardLayer) does this by itself.
    pub fn strip(&self, headers: &mut HeaderMap) {
        for name in [&self.0.cookies.refresh, &self.0.cookies.device] {
            strip(headers, name);
        }
    }

    pub(crate) fn cookies(&self) -> &CookieNames {
        &self.0.cookies
    }

    fn observer(&self) -> Observing {
        self.0.observers.and_then(|observer| observer())
    }

    fn look<'a>(
        &self,
        headers: &'a HeaderMap,
        now: Timestamp,
        observing: &mut Observing,
    ) -> MemoryAnswer<'a> {
        let picked = credentials(headers, &self.0.cookies);
        if let Some(observer) = observing {
            observer.picked(picked.as_ref().map_err(|refusal| *refusal));
        }
        match picked {
            Ok(Credentials::One(one)) => self.look_at(one, now, observing),
            Ok(Credentials::Several(all)) => {
                settled(all.into_iter().map(|one| self.look_at(one, now, observing)).collect())
            }
            Err(refusal) => MemoryAnswer::Verdict(Err(refusal)),
        }
    }

    fn look_at<'a>(
        &self,
        one: Credential<'a>,
        now: Timestamp,
        observing: &mut Observing,
    ) -> MemoryAnswer<'a> {
        let (token, mode) = match one {
            Credential::BearerToken(token) => (token, Mode::Bearer),
            Credential::CookieToken(token) => (token, Mode::Cookie),
            Credential::SessionSecret(secret) => return self.look_up(secret, now, observing),
        };
        let observer = observing.as_mut().map(|observer| &mut **observer as &mut dyn Observer);
        match self.0.verifier.verify_observed(token, now, observer) {
            Ok(verified) => self.standing(verified, mode, now, observing),
            Err(Refusal::TokenInvalid) if self.may_be_of_a_newer_key(token) => MemoryAnswer::Key(token, mode),
            Err(refusal) => MemoryAnswer::Verdict(Err(refusal)),
        }
    }

    /// The different live sessions that a request's cookies prove, as far as memory knows them. After a refusal as
    /// [`Refusal::AmbiguousCookies`] it knows all of them.
    #[doc(hidden)]
    pub fn live_in_memory(&self, headers: &HeaderMap) -> Vec<SessionId> {
        let Ok(Credentials::Several(all)) = credentials(headers, &self.0.cookies) else { return Vec::new() };
        let now = (self.0.now)();
        let mut live: Vec<_> = all
            .into_iter()
            .filter_map(|one| match self.look_at(one, now, &mut None) {
                MemoryAnswer::Verdict(Ok(identity)) => Some(identity.session),
                _ => None,
            })
            .collect();
        live.sort_unstable();
        live.dedup();
        live
    }

    /// Whether this token belongs to the identity's session.
    pub(crate) fn is_session_of(&self, token: &str, identity: &Identity) -> bool {
        let verified = self.0.verifier.verify(token, (self.0.now)());
        verified
            .is_ok_and(|token| token.session == identity.session && token.version == identity.claims_version)
    }

    fn may_be_of_a_newer_key(&self, token: &str) -> bool {
        self.0.lookup.fetches_keys() && self.0.verifier.lacks_the_key_of(token)
    }

    fn look_up(&self, secret: &str, now: Timestamp, observing: &mut Observing) -> MemoryAnswer<'static> {
        let Some(secret) = OpaqueSecret::parse(secret) else {
            let refused = Err(Refusal::TokenInvalid);
            if let Some(observer) = observing {
                observer.looked_up(Some(&refused));
            }
            return MemoryAnswer::Verdict(refused);
        };
        let known = self.0.lookup.session_in_memory(&secret.hash(), now);
        if let Some(observer) = observing {
            observer.looked_up(known.as_ref());
        }
        known.map_or(MemoryAnswer::Secret(secret), MemoryAnswer::Verdict)
    }

    fn standing(
        &self,
        token: AccessToken,
        mode: Mode,
        now: Timestamp,
        observing: &mut Observing,
    ) -> MemoryAnswer<'static> {
        let answer = self.0.verifier.standing(&token, now);
        if let Some(observer) = observing {
            observer.revocations(token.user, token.session, mode, answer);
        }
        match answer {
            RevocationCheck::Good if self.0.lookup.is_current() => {
                MemoryAnswer::Verdict(Ok(Identity::of_token(token, mode)))
            }
            RevocationCheck::Ended => MemoryAnswer::Verdict(Err(Refusal::SessionEnded)),
            RevocationCheck::Stale => MemoryAnswer::Verdict(Err(Refusal::TokenStale)),
            RevocationCheck::Good | RevocationCheck::Unknown => MemoryAnswer::Token(token, mode),
        }
    }

    async fn ask(&self, mut open: MemoryAnswer<'_>, now: Timestamp) -> Result<Identity, Refusal> {
        if let MemoryAnswer::Key(token, mode) = open
            && self.0.lookup.newer_keys().await?
        {
            open = self.standing(self.0.verifier.verify(token, now)?, mode, now, &mut self.observer());
        }
        match open {
            MemoryAnswer::Verdict(verdict) => verdict,
            MemoryAnswer::Secret(secret) => self.0.lookup.session(&secret, now).await,
            MemoryAnswer::Key(..) => Err(Refusal::TokenInvalid),
            MemoryAnswer::Token(token, mode) => self.0.lookup.token(token, mode, now).await,
            MemoryAnswer::Several(all) => self.ask_about(all, now).await,
        }
    }

    /// Resolves what several cookies left open: one request for new keys, one for all secrets, and one for all tokens.
    async fn ask_about(&self, mut all: Vec<MemoryAnswer<'_>>, now: Timestamp) -> Result<Identity, Refusal> {
        if all.iter().any(|one| matches!(one, MemoryAnswer::Key(..))) && self.0.lookup.newer_keys().await? {
            for one in &mut all {
                if let MemoryAnswer::Key(token, mode) = *one {
                    let verified = self.0.verifier.verify(token, now);
                    *one = verified.map_or_else(
                        |refusal| MemoryAnswer::Verdict(Err(refusal)),
                        |it| self.standing(it, mode, now, &mut None),
                    );
                }
            }
        }
        let (mut verdicts, mut secrets, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
        for one in all {
            match one {
                MemoryAnswer::Verdict(verdict) => verdicts.push(verdict),
                MemoryAnswer::Secret(secret) => secrets.push(secret),
                MemoryAnswer::Token(token, _) => tokens.push(token),
                MemoryAnswer::Key(..) | MemoryAnswer::Several(_) => verdicts.push(Err(Refusal::TokenInvalid)),
            }
        }
        if !secrets.is_empty() {
            verdicts.extend(self.0.lookup.sessions(&secrets, now).await?);
        }
        if !tokens.is_empty() {
            // Only cookies can be several.
            verdicts.extend(self.0.lookup.tokens(&tokens, Mode::Cookie, now).await?);
        }
        the_one(verdicts)
    }
}

/// Who sees the checks, if somebody does.
type Observing = Option<Box<dyn Observer>>;

/// What memory tells of a credential: the verdict, or what is left to ask.
enum MemoryAnswer<'a> {
    Verdict(Result<Identity, Refusal>),
    /// An unknown session secret.
    Secret(OpaqueSecret),
    /// A token that names an unknown key.
    Key(&'a str, Mode),
    /// A verified token, while revocations may be missing.
    Token(AccessToken, Mode),
    /// Several cookies, some of them still open.
    Several(Vec<MemoryAnswer<'a>>),
}

fn settled(all: Vec<MemoryAnswer<'_>>) -> MemoryAnswer<'_> {
    let verdict = |one: &MemoryAnswer<'_>| match one {
        MemoryAnswer::Verdict(verdict) => Some(*verdict),
        _ => None,
    };
    match all.iter().map(verdict).collect::<Option<Vec<_>>>() {
        Some(verdicts) => MemoryAnswer::Verdict(the_one(verdicts)),
        None => MemoryAnswer::Several(all),
    }
}

/// Picks the cookie that counts: there must be exactly one live session. Dead or made-up cookies are ignored (attacks
/// X02, X03). A cookie that cannot be checked may be a second live one, so it refuses the request.
fn the_one(verdicts: Vec<Result<Identity, Refusal>>) -> Result<Identity, Refusal> {
    const BY_HOPE: [Refusal; 5] = [
        Refusal::Unavailable,
        Refusal::TokenExpired,
        Refusal::TokenStale,
        Refusal::SessionExpired,
        Refusal::SessionEnded,
    ];
    let refused = |refusal: Refusal| verdicts.contains(&Err(refusal));
    let mut live = verdicts.iter().filter_map(|verdict| verdict.ok());
    match live.next() {
        _ if refused(Refusal::Unavailable) => Err(Refusal::Unavailable),
        Some(one) if live.all(|other| other.session == one.session) => Ok(one),
        Some(_) => Err(Refusal::AmbiguousCookies),
        None => Err(BY_HOPE.into_iter().find(|refusal| refused(*refusal)).unwrap_or(Refusal::TokenInvalid)),
    }
}
