use std::net::IpAddr;

use doorward_core::refresh::{RefreshToken, Use, judge};
use doorward_core::{Mode, Refusal, SessionId, Timestamp};
use doorward_guard::Identity;

use super::end::{End, end_each};
use super::issued::OfSession;
use super::peer::UsedFrom;
use super::stored::{BY_ID, Stored, by_id};
use super::{Issued, Sessions};
use crate::acts::{Act, Change, Done};
use crate::audit::{Action, By, Entry};
use crate::counters;
use crate::error::{Cause, Error, Result};
use crate::flow::{Fact, Label, Step, Verb, note, tell};
use crate::revocations::{EndReason, Revocations};
use crate::store::{Value, values};

/// The usual case, as a statement alone: it is this generation. The user's columns are of one moment, so that no version
/// comes with another version's role.
const ROTATE: &str = "UPDATE sessions SET generation = generation + 1, rotated_at = $3, last_seen_at = $3, \
     ip = $6, user_agent = $7, expires_at = CASE WHEN absolute_expires_at < $4 THEN absolute_expires_at ELSE $4 END \
     WHERE id = $1 AND generation = $2 AND salt = $5 AND ended_at IS NULL AND expires_at > $3 \
     RETURNING generation, expires_at, absolute_expires_at, (SELECT role FROM users WHERE id = sessions.user_id) AS role, \
     (SELECT claims_version FROM users WHERE id = sessions.user_id) AS claims_version, \
     (SELECT disabled_at FROM users WHERE id = sessions.user_id) AS disabled_at";
/// The compare-and-swap: of any number of requests with one token, one finds this generation. A row with a lower one was
/// set back, when the database lost commits: the token proves what the generation was.
const RAISE: &str = "UPDATE sessions SET generation = $2 + 1, rotated_at = $3, last_seen_at = $3, \
     ip = $6, user_agent = $7, expires_at = CASE WHEN absolute_expires_at < $4 THEN absolute_expires_at ELSE $4 END \
     WHERE id = $1 AND generation <= $2 AND salt = $5 AND ended_at IS NULL AND expires_at > $3";
const REPEAT: &str = "UPDATE sessions SET replays = replays + 1, last_seen_at = $2, ip = $3, user_agent = $4 \
     WHERE id = $1 AND ended_at IS NULL";

/// A presented refresh token.
struct Presented {
    session: SessionId,
    generation: u64,
    from: UsedFrom,
}

/// Its use, if it is the current one of a live session.
struct Rotation {
    this: Presented,
    salt: Vec<u8>,
    now: Timestamp,
    expires_at: Timestamp,
}

impl Rotation {
    fn values(&self) -> Vec<Value> {
        let Presented { session, generation, from: UsedFrom { ip, user_agent } } = &self.this;
        let known = i64::try_from(*generation).unwrap_or(i64::MAX);
        values![*session, known, self.now, self.expires_at, &*self.salt, ip, user_agent.clone()]
    }
}

/// The result of a refresh, within the transaction.
enum Outcome {
    /// Tokens for this generation, and whether they were sent before.
    Go(Box<Stored>, bool),
    /// The token was a copy: the session is ended, although its sender is refused.
    Reused,
}

impl Sessions {
    /// Exchanges a refresh token for its successor and a new access token (RFC 6749 section 6, RFC 9700 section 4.14).
    ///
    /// # Errors
    /// [`Error::RefreshInvalid`] for a token that is not ours; [`Error::RefreshReused`] for a copy, whose session ends;
    /// the session's own end; the objection of `allows` to its mode.
    pub async fn refresh(
        &self,
        text: &str,
        from: super::Origin,
        allows: impl Fn(Mode) -> Result<()>,
    ) -> Result<Issued> {
        // Signed under a secret that is unknown here, it would look like a forged one, and sign its owner out.
        self.roots.require()?;
        let refreshed = self.use_token(text, from, allows).await;
        let outcome = match &refreshed {
            Ok(issued) if issued.again => "repeated",
            Ok(_) => "rotated",
            Err(Error::RefreshReused) => "reused",
            Err(_) => "refused",
        };
        counters::count(&self.refreshes, "outcome", outcome);
        refreshed
    }

    /// An access token for the session of a checked cookie, by its row as it is now. Nothing of the session changes.
    ///
    /// # Errors
    /// The session's own end; the store's; the application's, when it is asked for its claims.
    pub(crate) async fn exchange(&self, identity: &Identity) -> Result<Exchanged> {
        let stored = by_id(&self.store, identity.session).await?;
        let stored = stored.ok_or(Error::Refused(Refusal::SessionEnded))?;
        let now = self.clock.now();
        stored.state.check(now)?;
        let claims = self.hooks.claims_of(stored.user).await?;
        let (token, expires_at) = self.access_token(&of_stored(&stored), now, &claims)?;
        counters::count(&self.refreshes, "outcome", "exchanged");
        tell(|story| (story.user, story.session) = (Some(stored.user), Some(stored.id)));
        Ok(Exchanged { token, expires_in: expires_at.since(now).as_secs() })
    }

    async fn use_token(
        &self,
        text: &str,
        from: super::Origin,
        allows: impl Fn(Mode) -> Result<()>,
    ) -> Result<Issued> {
        let token = parse(text)?;
        let before = by_id(&self.store, token.session).await?;
        let before = before.filter(|before| self.has_signed(&token, &before.salt));
        note_read(&token, before.as_ref());
        let Some(before) = before else {
            // Renewed meanwhile, or its user was deleted: not a reuse, which would end the owner's session.
            return Err(self.former(&token).await?.map_or(Error::RefreshInvalid, Error::Refused));
        };
        // Before the rotation: a refusal after it would lose the successor, and the next try would look like a theft.
        allows(before.mode)?;
        let claims = self.hooks.claims_of(before.user).await?;
        let (now, ip) = (self.clock.now(), from.ip);
        let expires_at = self.lifetimes.idle_end(before.mode, now, before.state.absolute_expires_at);
        let this = Presented { session: token.session, generation: token.generation, from: from.into() };
        let this = Rotation { this, salt: before.salt.clone(), now, expires_at };
        let seen = before.generation;
        // Nearly always it is the current token of a live session: one statement, and no act around it.
        let row = match seen == token.generation {
            true => self.acts.commit_one(ROTATE, this.values(), || current(&this.this)).await?,
            false => None,
        };
        let outcome = match row {
            Some(row) => Outcome::Go(Box::new(before.rotated(&row)?), false),
            None => self.use_other(this, token.generation > seen, ip).await?,
        };
        let Outcome::Go(stored, again) = outcome else { return Err(Error::RefreshReused) };
        stored.state.check_not_ended()?;
        let ends_at = stored.state.expires_at;
        let content = self.tokens(&of_stored(&stored), now, &claims)?;
        let (mode, session, user) = (stored.mode, stored.id, stored.user);
        Ok(Issued { mode, session, user, now, again, ends_at, content, device: None })
    }

    /// The token was not the current one of a live session when the statement looked: finds out, in one act.
    async fn use_other(&self, this: Rotation, was_set_back: bool, from: IpAddr) -> Result<Outcome> {
        let (act, revocations) = (Act::ending(By::Visitor(from), this.now), self.revocations.clone());
        let change = async move |change: &mut Change<'_>| -> Result<Done<Outcome>> {
            let rotated = change.ask(RAISE, this.values())?;
            let stored = change.ask(BY_ID, values![this.this.session])?;
            let rotated = change.answer(rotated).await?.changed == 1;
            // It existed just now: its user was deleted.
            let stored = change.answer(stored).await?.into_first().ok_or(Refusal::SessionEnded)?;
            let stored = Stored::read(&stored)?;
            if rotated {
                change.note(|| current(&this.this));
                stored.state.check_not_ended()?;
                let entry = Entry::of(Action::RefreshAhead).user(stored.user).session(stored.id);
                let entries = if was_set_back { vec![entry] } else { Vec::new() };
                Ok(Done::with_entries(Outcome::Go(Box::new(stored), false), entries))
            } else if stored.salt != this.salt && stored.state.ended_at.is_none() {
                // Renewed since it was read: the owner holds the new one.
                Err(Refusal::TokenStale.into())
            } else {
                lost(change, &this.this, stored, &revocations).await
            }
        };
        self.acts.commit(act, change).await
    }

    /// The holder of this refresh token, if it could be exchanged now. This doesn't use it.
    ///
    /// # Errors
    /// The store's.
    pub async fn of_live_refresh_token(&self, text: &str) -> Result<Option<Identity>> {
        let Some(token) = RefreshToken::parse(text) else { return Ok(None) };
        let Some(stored) = by_id(&self.store, token.session).await? else { return Ok(None) };
        let now = self.clock.now();
        let alive = self.has_signed(&token, &stored.salt)
            && stored.state.is_alive(now)
            && judge(token.generation, stored.generation, stored.rotated_at, now) != Use::Reuse;
        Ok(alive.then(|| {
            let issued_at = stored.rotated_at.unwrap_or(stored.created_at);
            let expires_at = stored.state.expires_at;
            let mut identity = Identity::new(stored.user, token.session, stored.mode, issued_at, expires_at);
            (identity.role, identity.claims_version) = (stored.role, stored.claims_version);
            identity.authentication = stored.authentication;
            identity
        }))
    }
}

/// An access token for a session cookie.
pub(crate) struct Exchanged {
    pub(crate) token: String,
    /// In seconds.
    pub(crate) expires_in: u64,
}

/// What the tokens of a session say, by its row.
fn of_stored(stored: &Stored) -> OfSession<'_> {
    OfSession {
        subject: stored.subject(),
        session: stored.id,
        authentication: stored.authentication,
        generation: stored.generation,
        salt: &stored.salt,
        expires_at: stored.state.expires_at,
        absolute_expires_at: stored.state.absolute_expires_at,
    }
}

/// The token was not the current one of a live session: finds out why.
async fn lost(
    change: &mut Change<'_>,
    this: &Presented,
    stored: Stored,
    revocations: &Revocations,
) -> Result<Done<Outcome>> {
    let (session, at) = (this.session, change.at);
    stored.state.check(at)?;
    match judge(this.generation, stored.generation, stored.rotated_at, at) {
        Use::Repeat | Use::Rotate => {
            let UsedFrom { ip, user_agent } = this.from.clone();
            change.note(|| using(true, "used a moment ago: the same answer again", this.generation));
            if change.execute(REPEAT, values![session, at, ip, user_agent]).await? == 0 {
                return Err(Refusal::SessionEnded.into());
            }
            Ok(Done::without_entry(Outcome::Go(Box::new(stored), true)))
        }
        Use::Reuse if revocations.may_have_stood_still() => {
            // The request may have waited for long, while others answered what came after it.
            let why = "this process stood still";
            Err(Error::Unavailable(Cause::new("an old refresh token was not judged", "", why)))
        }
        Use::Reuse => {
            change.note(|| using(false, "used before: somebody copied it", this.generation));
            let end = End { session, reason: EndReason::RefreshReused };
            let ended = !end_each(change, vec![end]).await?.is_empty();
            let entry = Entry::of(Action::RefreshReused).user(stored.user).session(session);
            Ok(Done::with_entries(Outcome::Reused, if ended { vec![entry] } else { Vec::new() }))
        }
    }
}

fn parse(text: &str) -> Result<RefreshToken> {
    let another = Fact::text(Label::Found, "another form");
    RefreshToken::parse(text).ok_or_else(|| {
        note(|| Step::check(Verb::CheckRefreshToken, false).fact(another));
        Error::RefreshInvalid
    })
}

/// A refresh token that was read, as a step.
fn note_read(token: &RefreshToken, before: Option<&Stored>) {
    note(|| {
        let step = Step::check(Verb::CheckRefreshToken, before.is_some());
        let step = step.fact(Fact::Count { label: Label::Generation, count: token.generation });
        step.maybe(before.is_none().then_some(Fact::text(Label::Found, "no session has it any more")))
    });
    if let Some(before) = before {
        tell(|story| {
            (story.user, story.session) = (Some(before.user), Some(before.id));
            story.generation = Some(token.generation);
        });
    }
}

/// The use of the current refresh token, as a step.
fn current(this: &Presented) -> Step {
    using(true, "the current one", this.generation)
}

/// The use of a refresh token, as a step.
fn using(is_good: bool, found: &'static str, generation: u64) -> Step {
    let step = Step::check(Verb::UseRefreshToken, is_good).fact(Fact::text(Label::Found, found));
    step.fact(Fact::Count { label: Label::Generation, count: generation })
}
