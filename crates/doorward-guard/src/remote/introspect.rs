//! Session secrets, which only the server knows: looked up by `POST /introspect` (RFC 7662), and remembered for 5 s.
//! Each check still looks at the revocations: after a change of the user the guard asks again. While the server can't
//! be reached, a good answer counts for as long as the guard isn't stale, like a token.

use std::time::Duration;

use bytes::Bytes;
use doorward_core::revocation::RevocationCheck;
use doorward_core::role::RoleName;
use doorward_core::sign_in::{Authentication, Methods};
use doorward_core::{ClaimsVersion, Mode, OpaqueSecret, Refusal, SessionId, Timestamp, UserId};
use http::Method;
use quick_cache::sync::Cache;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::Shared;
use super::http::{Failure, REQUEST_TIMEOUT, finished};
use super::seldom::seldom;
use crate::Identity;
use crate::clock::steady;

/// How long an answer is remembered.
const REMEMBERED: Duration = Duration::from_secs(5);
/// How many answers are remembered, and how many requests may run at once, so that guesses cost the server no more.
const ANSWERS: usize = 10_000;
const QUESTIONS: usize = 32;

/// What the server said about secrets, by their hashes.
pub(super) struct IntrospectionCache {
    known: Cache<[u8; 32], Answer>,
    /// The last answer about each secret of a live session, until there is a newer one.
    good: Cache<[u8; 32], Answer>,
    questions: Semaphore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    at: Instant,
    /// The holder, or why the secret is refused: it is unknown, outdated, or its session has ended.
    said: Result<Identity, Refusal>,
}

#[derive(Deserialize)]
struct Introspected<'a> {
    active: bool,
    #[serde(borrow)]
    code: Option<&'a str>,
    sub: Option<&'a str>,
    sid: Option<&'a str>,
    role: Option<RoleName>,
    ver: Option<i64>,
    auth_time: Option<i64>,
    #[serde(default)]
    amr: Methods,
    iat: Option<i64>,
    exp: Option<i64>,
}

/// The answer about each secret.
#[derive(Deserialize)]
struct Several<'a> {
    #[serde(borrow)]
    tokens: Vec<Introspected<'a>>,
}

const UNREADABLE: Failure = Failure::Unreadable("its answer about a session can't be read");

impl Default for IntrospectionCache {
    fn default() -> Self {
        Self { known: Cache::new(ANSWERS), good: Cache::new(ANSWERS), questions: Semaphore::new(QUESTIONS) }
    }
}

impl Shared {
    /// What memory knows of a secret; `None` if the server must be asked.
    pub(super) fn known_session(&self, hash: &[u8; 32], now: Timestamp) -> Option<Result<Identity, Refusal>> {
        self.remembered(self.answers.known.get(hash)?, now)
    }

    fn remembered(&self, answer: Answer, now: Timestamp) -> Option<Result<Identity, Refusal>> {
        if answer.at.elapsed() < REMEMBERED { self.judged(answer, now) } else { None }
    }

    /// Asks the server about a secret; many checks of one secret share one request.
    pub(super) async fn ask_for_session(
        &self,
        secret: &OpaqueSecret,
        now: Timestamp,
    ) -> Result<Identity, Refusal> {
        if !self.is_client {
            return Err(Refusal::TokenInvalid);
        }
        let asked = timeout(REQUEST_TIMEOUT, self.session_of(secret, now)).await;
        match asked.unwrap_or(Err(Refusal::Unavailable)) {
            Err(Refusal::Unavailable) => self.go_by_the_last_answer(secret.hash(), now),
            answered => answered,
        }
    }

    /// Repeats the last good answer, and remembers it as if it were new, so that not every check waits for a silent
    /// server.
    fn go_by_the_last_answer(&self, hash: [u8; 32], now: Timestamp) -> Result<Identity, Refusal> {
        let last = self.answers.good.get(&hash).ok_or(Refusal::Unavailable)?;
        let judged = self.judged(last, now).ok_or(Refusal::Unavailable)?;
        self.answers.known.insert(hash, Answer { at: steady(), ..last });
        judged
    }

    async fn session_of(&self, secret: &OpaqueSecret, now: Timestamp) -> Result<Identity, Refusal> {
        let (since, hash) = (steady(), secret.hash());
        loop {
            let answer = match self.answers.known.get_value_or_guard_async(&hash).await {
                Ok(answer) if answer.at >= since || self.remembered(answer, now).is_some() => answer,
                Ok(old) => {
                    self.answers.known.remove_if(&hash, |answer| *answer == old);
                    continue;
                }
                Err(place) => {
                    let answers = self.introspect(std::slice::from_ref(secret)).await;
                    let answer = answers.and_then(|all| all.first().copied().ok_or(UNREADABLE));
                    let answer = answer.map_err(unavailable)?;
                    self.remember_good(hash, answer);
                    // Another check may have stored an answer meanwhile: this one is as good.
                    place.insert(answer).ok();
                    answer
                }
            };
            return self.told(answer, now);
        }
    }

    /// Asks the server about all these secrets at once.
    pub(super) async fn ask_for_sessions(
        &self,
        secrets: &[OpaqueSecret],
        now: Timestamp,
    ) -> Result<Vec<Result<Identity, Refusal>>, Refusal> {
        if !self.is_client {
            return Ok(vec![Err(Refusal::TokenInvalid); secrets.len()]);
        }
        let asked = timeout(REQUEST_TIMEOUT, self.introspect(secrets)).await.unwrap_or(Err(Failure::Silent));
        let Ok(answers) = asked.map_err(unavailable) else {
            let last = |secret: &OpaqueSecret| self.go_by_the_last_answer(secret.hash(), now);
            return Ok(secrets.iter().map(last).collect());
        };
        for (secret, answer) in secrets.iter().zip(&answers) {
            self.remember_good(secret.hash(), *answer);
            self.answers.known.insert(secret.hash(), *answer);
        }
        Ok(answers.into_iter().map(|answer| self.told(answer, now)).collect())
    }

    fn remember_good(&self, hash: [u8; 32], answer: Answer) {
        match answer.said {
            Ok(_) => self.answers.good.insert(hash, answer),
            Err(_) => drop(self.answers.good.remove(&hash)),
        }
    }

    /// The server has confirmed this just now: if memory doesn't hold every revocation, that is enough. An answer that
    /// is older than what the feed has reported doesn't count: the server's nodes may disagree for a moment.
    fn told(&self, answer: Answer, now: Timestamp) -> Result<Identity, Refusal> {
        let identity = answer.said?;
        match self.standing(&identity) {
            RevocationCheck::Good | RevocationCheck::Unknown if now >= identity.expires_at => {
                Err(Refusal::SessionExpired)
            }
            RevocationCheck::Good | RevocationCheck::Unknown => Ok(identity),
            RevocationCheck::Ended => Err(Refusal::SessionEnded),
            RevocationCheck::Stale => Err(Refusal::Unavailable),
        }
    }

    /// What memory tells of an answer; `None` if the server must be asked again.
    fn judged(&self, answer: Answer, now: Timestamp) -> Option<Result<Identity, Refusal>> {
        let standing = answer.said.map(|identity| self.standing(&identity));
        let is_open = matches!(standing, Ok(RevocationCheck::Stale | RevocationCheck::Unknown));
        (!is_open).then(|| self.told(answer, now))
    }

    fn standing(&self, identity: &Identity) -> RevocationCheck {
        let Identity { user, session, claims_version, .. } = *identity;
        match self.verifier.revocations.check(user, session, claims_version) {
            RevocationCheck::Good if !self.is_fresh() => RevocationCheck::Unknown,
            standing => standing,
        }
    }

    async fn introspect(&self, secrets: &[OpaqueSecret]) -> Result<Vec<Answer>, Failure> {
        // Base64url needs no escapes in a form.
        let texts: Vec<_> = secrets.iter().map(OpaqueSecret::to_text).collect();
        let texts: Vec<_> = texts.iter().map(|text| text.as_str()).collect();
        let (asked_at, body) = self.question(format!("tokens={}", texts.join("+"))).await?;
        let said = serde_json::from_slice::<Several<'_>>(&body).map_err(|_| UNREADABLE)?;
        let answers: Option<Vec<_>> = said.tokens.iter().map(|one| one.answer(asked_at)).collect();
        answers.filter(|answers| answers.len() == secrets.len()).ok_or(UNREADABLE)
    }

    /// Sends one request, and notes its time.
    async fn question(&self, form: String) -> Result<(Instant, Bytes), Failure> {
        let _turn = self.answers.questions.acquire().await.map_err(|_| Failure::Silent)?;
        let request = self.server.request(Method::POST, "/introspect");
        let request = finished(request, self.authorization.as_ref(), "application/json", form)?;
        let asked_at = steady();
        let (_, body) = self.server.ask(request).await?;
        Ok((asked_at, body))
    }
}

fn unavailable(failure: Failure) -> Refusal {
    seldom!("the server could not be asked about a session", failure);
    Refusal::Unavailable
}

impl Introspected<'_> {
    /// `None` if an answer has unexpected content.
    fn answer(&self, at: Instant) -> Option<Answer> {
        let said = if self.active { Ok(self.identity()?) } else { Err(self.refusal()) };
        Some(Answer { at, said })
    }

    fn refusal(&self) -> Refusal {
        let whys = [Refusal::TokenStale, Refusal::SessionEnded, Refusal::SessionExpired];
        whys.into_iter().find(|why| self.code == Some(why.code())).unwrap_or(Refusal::TokenInvalid)
    }

    fn identity(&self) -> Option<Identity> {
        let (user, session): (UserId, SessionId) = (self.sub?.parse().ok()?, self.sid?.parse().ok()?);
        let (issued_at, expires_at) = (Timestamp::from_secs(self.iat?), Timestamp::from_secs(self.exp?));
        let claims_version = ClaimsVersion::new(self.ver.unwrap_or(0))?;
        let (role, mode) = (self.role?, Mode::Session);
        let at = Timestamp::from_secs(self.auth_time.unwrap_or(0));
        let authentication = Authentication { at, methods: self.amr };
        Some(Identity { user, session, role, claims_version, authentication, mode, issued_at, expires_at })
    }
}
