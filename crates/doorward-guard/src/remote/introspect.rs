//! Session secrets, which only the server knows: asked for by `POST /introspect` (RFC 7662) and remembered for 5 s. The
//! revocations are looked at on each check all the same. While the server can't be asked, a good answer stands for as long
//! as the guard isn't stale, as a token does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use doorward_core::revocation::Standing;
use doorward_core::role::RoleName;
use doorward_core::{Mode, OpaqueSecret, Refusal, SessionId, Timestamp, UserId};
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
/// How many answers are remembered, and how many questions are under way at most: guesses cost the server no more.
const ANSWERS: usize = 10_000;
const QUESTIONS: usize = 32;

/// What the server said about secrets, by their hashes.
pub(super) struct Answers {
    known: Cache<[u8; 32], Answer>,
    /// The last answer about each secret of a live session, until there is a newer one.
    good: Cache<[u8; 32], Answer>,
    questions: Semaphore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    at: Instant,
    /// `None` for a secret of nobody, or of a session that is over.
    identity: Option<Identity>,
    /// How many changes of users the feed had told when it was asked for.
    role_events: u64,
}

#[derive(Deserialize)]
struct Introspected<'a> {
    active: bool,
    #[serde(borrow)]
    sub: Option<&'a str>,
    sid: Option<&'a str>,
    role: Option<RoleName>,
    iat: Option<i64>,
    exp: Option<i64>,
}

/// The answer about several.
#[derive(Deserialize)]
struct Several<'a> {
    #[serde(borrow)]
    tokens: Vec<Introspected<'a>>,
}

/// When a question was asked.
#[derive(Debug, Clone, Copy)]
struct Asked {
    at: Instant,
    role_events: u64,
}

const UNREADABLE: Failure = Failure::Unreadable("its answer about a session can't be read");

impl Default for Answers {
    fn default() -> Self {
        Self { known: Cache::new(ANSWERS), good: Cache::new(ANSWERS), questions: Semaphore::new(QUESTIONS) }
    }
}

impl Shared {
    /// What memory knows of a secret; `None` where the server has to be asked.
    pub(super) fn known_session(&self, hash: &[u8; 32], now: Timestamp) -> Option<Result<Identity, Refusal>> {
        self.remembered(self.answers.known.get(hash)?, now)
    }

    fn remembered(&self, answer: Answer, now: Timestamp) -> Option<Result<Identity, Refusal>> {
        if answer.at.elapsed() < REMEMBERED && !self.is_outdated(&answer) {
            self.judged(answer, now)
        } else {
            None
        }
    }

    /// Whether its user has changed since: the session may have been renewed, under another secret.
    fn is_outdated(&self, answer: &Answer) -> bool {
        let changed = |identity: Identity| self.verifier.revocations.role_of(identity.user).is_some();
        answer.role_events != self.role_events.load(Ordering::SeqCst) && answer.identity.is_some_and(changed)
    }

    /// Asks the server about a secret; many checks of one secret make one question.
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

    /// Repeats the last good answer, and remembers it as if it were new: not every check waits for a silent server.
    fn go_by_the_last_answer(&self, hash: [u8; 32], now: Timestamp) -> Result<Identity, Refusal> {
        let last = self.answers.good.get(&hash).filter(|last| !self.is_outdated(last));
        let last = last.ok_or(Refusal::Unavailable)?;
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
                    let answer = self.introspect(secret).await.map_err(unavailable)?;
                    self.remember_good(hash, answer);
                    // Somebody may have put another answer there: ours is as good.
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
        let asked =
            timeout(REQUEST_TIMEOUT, self.introspect_all(secrets)).await.unwrap_or(Err(Failure::Silent));
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
        match answer.identity {
            Some(_) => self.answers.good.insert(hash, answer),
            None => drop(self.answers.good.remove(&hash)),
        }
    }

    /// The server has said so just now: where memory can't, that is enough.
    fn told(&self, answer: Answer, now: Timestamp) -> Result<Identity, Refusal> {
        self.judged(answer, now).unwrap_or(match answer.identity {
            Some(identity) if !self.verifier.revocations.is_whole() => Ok(identity),
            _ => Err(Refusal::Unavailable),
        })
    }

    fn judged(&self, answer: Answer, now: Timestamp) -> Option<Result<Identity, Refusal>> {
        let Some(identity) = answer.identity else { return Some(Err(Refusal::TokenInvalid)) };
        match self.verifier.revocations.check(identity.user, identity.session, identity.role) {
            Standing::Good if now < identity.expires_at => Some(Ok(identity)),
            Standing::Good => Some(Err(Refusal::SessionExpired)),
            Standing::Ended => Some(Err(Refusal::SessionEnded)),
            Standing::Stale | Standing::Unknown => None,
        }
    }

    async fn introspect(&self, secret: &OpaqueSecret) -> Result<Answer, Failure> {
        // Base64url needs no escapes in a form.
        let form = format!("token={}&token_type_hint=session_secret", *secret.to_text());
        let (asked, body) = self.question(form).await?;
        serde_json::from_slice::<Introspected<'_>>(&body)
            .ok()
            .and_then(|said| said.answer(asked))
            .ok_or(UNREADABLE)
    }

    async fn introspect_all(&self, secrets: &[OpaqueSecret]) -> Result<Vec<Answer>, Failure> {
        let texts: Vec<_> = secrets.iter().map(OpaqueSecret::to_text).collect();
        let texts: Vec<_> = texts.iter().map(|text| text.as_str()).collect();
        let (asked, body) = self.question(format!("tokens={}", texts.join("+"))).await?;
        let said = serde_json::from_slice::<Several<'_>>(&body).map_err(|_| UNREADABLE)?;
        let answers: Option<Vec<_>> = said.tokens.iter().map(|one| one.answer(asked)).collect();
        answers.filter(|answers| answers.len() == secrets.len()).ok_or(UNREADABLE)
    }

    /// Sends one question, and says when.
    async fn question(&self, form: String) -> Result<(Asked, Bytes), Failure> {
        let _turn = self.answers.questions.acquire().await.map_err(|_| Failure::Silent)?;
        let request = self.server.request(Method::POST, "/introspect");
        let request = finished(request, self.authorization.as_ref(), "application/json", form)?;
        let asked = Asked { at: steady(), role_events: self.role_events.load(Ordering::SeqCst) };
        let (_, body) = self.server.ask(request).await?;
        Ok((asked, body))
    }
}

fn unavailable(failure: Failure) -> Refusal {
    seldom!("the server could not be asked about a session", failure);
    Refusal::Unavailable
}

impl Introspected<'_> {
    /// `None` for what no answer should say.
    fn answer(&self, asked: Asked) -> Option<Answer> {
        let identity = if self.active { Some(self.identity()?) } else { None };
        Some(Answer { at: asked.at, identity, role_events: asked.role_events })
    }

    fn identity(&self) -> Option<Identity> {
        let (user, session): (UserId, SessionId) = (self.sub?.parse().ok()?, self.sid?.parse().ok()?);
        let (issued_at, expires_at) = (Timestamp::from_secs(self.iat?), Timestamp::from_secs(self.exp?));
        Some(Identity { user, session, role: self.role?, mode: Mode::Session, issued_at, expires_at })
    }
}
