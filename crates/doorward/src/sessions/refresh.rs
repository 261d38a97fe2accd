use doorward_core::refresh::{RefreshToken, Use, judge};
use doorward_core::{Mode, Refusal, SessionId, Timestamp};
use doorward_guard::Identity;

use super::peer::UsedFrom;
use super::{Issued, Sessions};
use crate::audit::{self, Action, By, Entry, Log};
use crate::counters;
use crate::error::{Error, Result};
use crate::revocations::{self, Because, Ending};
use crate::store::{Row, StoreError, Tx, values};
use crate::users::Subject;

const FIND: &str = "SELECT u.role, u.claims_version, s.user_id, s.mode, s.salt, s.generation, s.rotated_at, s.expires_at, \
     s.absolute_expires_at, s.ended_at, u.disabled_at, s.created_at FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $1";
/// The compare-and-swap: of any number of requests with one token, one finds this generation.
const ROTATE: &str = "UPDATE sessions SET generation = generation + 1, rotated_at = $3, last_seen_at = $3, \
     ip = $6, user_agent = $7, expires_at = CASE WHEN absolute_expires_at < $4 THEN absolute_expires_at ELSE $4 END \
     WHERE id = $1 AND generation = $2 AND salt = $5 AND ended_at IS NULL AND expires_at > $3";
const REPEAT: &str = "UPDATE sessions SET replays = replays + 1, last_seen_at = $2, ip = $3, user_agent = $4 \
     WHERE id = $1 AND ended_at IS NULL";

/// The row of a session with tokens.
struct Stored {
    subject: Subject,
    mode: Mode,
    salt: Vec<u8>,
    generation: u64,
    rotated_at: Option<Timestamp>,
    expires_at: Timestamp,
    absolute_end: Timestamp,
    ended_at: Option<Timestamp>,
    disabled_at: Option<Timestamp>,
    created_at: Timestamp,
}

/// A refresh token that was presented, and what comes of it if it is a copy.
struct Presented {
    session: SessionId,
    generation: u64,
    now: Timestamp,
    from: UsedFrom,
    ending: Ending,
    entry: Entry,
}

/// How a refresh went, as the transaction saw it.
enum Outcome {
    /// Tokens for this generation, and whether they went out before.
    Go(Box<Stored>, bool),
    /// The token was a copy: the session is ended.
    Reused(Ending),
    Refused(Error),
}

impl Sessions {
    /// Exchanges a refresh token for its successor and a new access token (RFC 6749 section 6, RFC 9700 section 4.14).
    ///
    /// # Errors
    /// [`Error::RefreshInvalid`] for a token that is not ours; [`Error::RefreshReused`] for a copy, whose session ends;
    /// the session's own end; what `allows` says against its mode.
    pub async fn refresh(
        &self,
        text: &str,
        from: super::From,
        allows: impl Fn(Mode) -> Result<()>,
    ) -> Result<Issued> {
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

    async fn use_token(
        &self,
        text: &str,
        from: super::From,
        allows: impl Fn(Mode) -> Result<()>,
    ) -> Result<Issued> {
        let token = RefreshToken::parse(text).ok_or(Error::RefreshInvalid)?;
        let before = match self.stored(token.session).await {
            Ok(before) if self.refresh_key.verify(&token, &before.salt) => before,
            // Renewed meanwhile, or its user was deleted: no reuse, whose end would be the owner's.
            Ok(_) | Err(Error::RefreshInvalid) => {
                return Err(self.former(&token).await?.map_or(Error::RefreshInvalid, Error::Refused));
            }
            Err(error) => return Err(error),
        };
        // Before the rotation: a refusal after it would lose the successor, and the next try would look like a theft.
        allows(before.mode)?;
        let claims = self.hooks.claims_of(before.subject.user).await?;
        let (now, session, presented) = (self.clock.now(), token.session, token.generation);
        let expires_at = self.lifetimes.idle_end(before.mode, now, before.absolute_end);
        let ending = self.revocations.ending(now, Because::RefreshReused);
        let entry = Entry::new(Action::RefreshReused, By::Visitor(from.ip), now);
        let entry = entry.user(before.subject.user).session(session);
        let salt = before.salt;
        let this = Presented { session, generation: presented, now, ending, from: from.into(), entry };
        let act = async move |tx: &mut Tx, log: &Log| {
            let known = i64::try_from(presented).unwrap_or(i64::MAX);
            let UsedFrom { ip, user_agent } = this.from.clone();
            let rotate = values![session, known, now, expires_at, &*salt, ip, user_agent];
            let rotated = tx.execute(ROTATE, rotate).await? == 1;
            let Some(row) = tx.find(FIND, values![session]).await? else {
                // It was there just now: its user was deleted.
                return Ok(Outcome::Refused(Refusal::SessionEnded.into()));
            };
            let stored = read(&row)?;
            if rotated {
                Ok(go(stored, false))
            } else if stored.salt != salt && stored.ended_at.is_none() {
                // Renewed since it was read: the owner holds the new one.
                Ok(Outcome::Refused(Refusal::TokenStale.into()))
            } else {
                lost(tx, log, &this, stored).await
            }
        };
        let outcome = audit::even_without(&self.store, act).await?;
        match outcome {
            Outcome::Go(stored, again) => {
                let ends = (stored.expires_at, stored.absolute_end);
                let subject = (stored.subject, session);
                let content = self.tokens(subject, (stored.generation, &stored.salt), now, ends, &claims)?;
                Ok(Issued {
                    mode: stored.mode,
                    session,
                    user: stored.subject.user,
                    now,
                    again,
                    ends_at: stored.expires_at,
                    content,
                    device: None,
                })
            }
            Outcome::Reused(ending) => {
                self.revocations.apply(&[session], ending);
                Err(Error::RefreshReused)
            }
            Outcome::Refused(error) => Err(error),
        }
    }

    /// Who holds this refresh token, where it would be exchanged now. It is not used.
    ///
    /// # Errors
    /// The store's.
    pub async fn of_live_refresh_token(&self, text: &str) -> Result<Option<Identity>> {
        let Some(token) = RefreshToken::parse(text) else { return Ok(None) };
        let stored = match self.stored(token.session).await {
            Ok(stored) => stored,
            Err(Error::RefreshInvalid) => return Ok(None),
            Err(error) => return Err(error),
        };
        let now = self.clock.now();
        let alive = self.refresh_key.verify(&token, &stored.salt)
            && stored.ended_at.is_none()
            && stored.disabled_at.is_none()
            && stored.expires_at > now
            && judge(token.generation, stored.generation, stored.rotated_at, now) != Use::Reuse;
        Ok(alive.then(|| Identity {
            user: stored.subject.user,
            session: token.session,
            role: stored.subject.role,
            claims_version: stored.subject.version,
            mode: stored.mode,
            issued_at: stored.rotated_at.unwrap_or(stored.created_at),
            expires_at: stored.expires_at,
        }))
    }

    async fn stored(&self, session: SessionId) -> Result<Stored> {
        let row = self.store.find(FIND, values![session]).await?.ok_or(Error::RefreshInvalid)?;
        Ok(read(&row)?)
    }
}

/// The token was not the current one of a live session: what was it?
async fn lost(tx: &mut Tx, log: &Log, this: &Presented, stored: Stored) -> Result<Outcome, StoreError> {
    let Presented { session, now, ending, .. } = *this;
    if stored.ended_at.is_some() {
        return Ok(Outcome::Refused(Refusal::SessionEnded.into()));
    }
    if stored.expires_at <= now {
        return Ok(Outcome::Refused(Refusal::SessionExpired.into()));
    }
    match judge(this.generation, stored.generation, stored.rotated_at, now) {
        Use::Repeat | Use::Rotate => {
            let UsedFrom { ip, user_agent } = this.from.clone();
            let live = tx.execute(REPEAT, values![session, now, ip, user_agent]).await? == 1;
            Ok(if live { go(stored, true) } else { Outcome::Refused(Refusal::SessionEnded.into()) })
        }
        Use::Reuse => {
            if !revocations::end_each(tx, &[session], ending).await?.is_empty() {
                log.record(tx, &this.entry).await?;
            }
            Ok(Outcome::Reused(ending))
        }
    }
}

fn go(stored: Stored, again: bool) -> Outcome {
    if stored.disabled_at.is_some() {
        return Outcome::Refused(Refusal::SessionEnded.into());
    }
    Outcome::Go(Box::new(stored), again)
}

fn read(row: &Row) -> Result<Stored, StoreError> {
    Ok(Stored {
        subject: Subject::of(row.get(2)?, row)?,
        mode: row.get(3)?,
        salt: row.get::<Option<Vec<u8>>>(4)?.unwrap_or_default(),
        generation: row.get::<i64>(5)?.unsigned_abs(),
        rotated_at: row.get(6)?,
        expires_at: row.get(7)?,
        absolute_end: row.get(8)?,
        ended_at: row.get(9)?,
        disabled_at: row.get(10)?,
        created_at: row.get(11)?,
    })
}
