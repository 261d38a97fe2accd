//! Ending sessions: one, several, or all of a user.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use doorward_core::{Refusal, SessionId, Timestamp, UserId};

use super::Sessions;
use crate::acts::{Act, Change, Done};
use crate::audit::{Action, By, Entry};
use crate::challenges;
use crate::error::Result;
use crate::flow::{Fact, Label, Step, Verb, tell};
use crate::revocations::EndReason;
use crate::store::{Asked, Row, Statement, StoreError, values};
use crate::users::{self, Subject};

const END_ONE: &str =
    "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE id = $1 AND ended_at IS NULL RETURNING user_id";
const END_KNOWN: &str =
    "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE id = $1 AND user_id = $4 AND ended_at IS NULL";
const END_ALL: &str = "UPDATE sessions SET ended_at = $2, end_reason = $3 \
     WHERE user_id = $1 AND ended_at IS NULL AND id <> $4 RETURNING expires_at";
const OVER: &str = "SELECT id FROM sessions WHERE user_id = $1 AND ended_at > $2 AND id <> $3";
const IS_LEFT: &str = "SELECT id FROM sessions WHERE id = $1 AND ended_at IS NULL";
const IS_LEFT_WITH_LINKS: &str = "SELECT id FROM sessions WHERE id = $1 AND (ended_at IS NULL OR id IN \
     (SELECT made_in FROM challenges WHERE made_in = $1))";
const LEFT: &str = "SELECT role, claims_version, CAST((SELECT COUNT(*) FROM sessions \
     WHERE user_id = $1 AND ended_at IS NULL AND id <> $2) + (SELECT COUNT(*) FROM challenges \
     WHERE made_by = $1 AND (made_in IS NULL OR made_in <> $2)) AS BIGINT) AS count FROM users WHERE id = $1";

/// A session that a request proves to be its own.
#[derive(Debug, Clone, Copy)]
pub struct Proved {
    /// Its id.
    pub session: SessionId,
    /// Its user, if it is alive as far as is known already: then it can be ended without asking first.
    pub user: Option<UserId>,
}

impl Proved {
    /// One of which nothing is known.
    pub fn unknown(session: SessionId) -> Self {
        Self { session, user: None }
    }

    /// Each session once, in the order of their ids.
    pub(crate) fn each_once(mut proved: Vec<Self>) -> Vec<Self> {
        proved.sort_unstable_by_key(|one| (one.session, one.user.is_none()));
        proved.dedup_by_key(|one| one.session);
        proved
    }
}

/// The end of one session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) session: SessionId,
    pub(crate) reason: EndReason,
}

/// Ends these sessions within a change; returns those that had not ended already, with their users. Their rows are
/// written in the order of their ids, so acts that end the same sessions never deadlock (attack X16).
pub(crate) async fn end_each(
    change: &mut Change<'_>,
    mut ends: Vec<End>,
) -> Result<Vec<(SessionId, UserId)>, StoreError> {
    ends.sort_unstable_by_key(|end| end.session);
    let mut asked = Vec::new();
    for End { session, reason } in ends {
        let values = values![session, change.at, reason.as_str()];
        asked.push((session, reason, change.ask(END_ONE, values)?));
        if reason.is_for_cause() {
            challenges::void_of_session(change, session)?;
        }
    }
    ended_of(change, asked).await
}

/// Those of these sessions that had not ended already.
async fn ended_of(
    change: &mut Change<'_>,
    asked: Vec<(SessionId, EndReason, Asked)>,
) -> Result<Vec<(SessionId, UserId)>, StoreError> {
    let mut ended = Vec::new();
    for (session, reason, asked) in asked {
        if let Some(row) = change.answer(asked).await?.into_first() {
            let user = row.get("user_id")?;
            change.ended(session, user, reason);
            change.note(|| ending(reason).fact(Fact::session(session)));
            ended.push((session, user));
        } else {
            change.ended_before(session);
        }
    }
    Ok(ended)
}

/// The end of one session beside what an act is about, with its user if it is alive as far as is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Over {
    pub(super) session: SessionId,
    pub(super) reason: EndReason,
    pub(super) owner: Option<UserId>,
}

/// Ends these sessions within a change, for no cause. One whose user is known needs no answer: should another act have
/// ended it a moment ago, its revocation is written twice, which changes nothing.
pub(super) async fn end_beside(change: &mut Change<'_>, mut ends: Vec<Over>) -> Result<(), StoreError> {
    ends.sort_unstable_by_key(|end| end.session);
    let mut asked = Vec::new();
    for Over { session, reason, owner } in ends {
        let mut values = values![session, change.at, reason.as_str()];
        if let Some(user) = owner {
            values.extend(values![user]);
            change.queue(END_KNOWN, values)?;
            change.ended(session, user, reason);
            change.note(|| ending(reason).fact(Fact::session(session)));
        } else {
            asked.push((session, reason, change.ask(END_ONE, values)?));
        }
    }
    ended_of(change, asked).await.map(drop)
}

/// What the audit log says of the sessions that ended.
fn entries(action: Action, ended: &[(SessionId, UserId)]) -> Vec<Entry> {
    ended.iter().map(|(session, user)| Entry::of(action).user(*user).session(*session)).collect()
}

fn ending(reason: EndReason) -> Step {
    Step::of(Verb::EndSession).fact(Fact::text(Label::Reason, reason.as_str()))
}

/// The result of ending a user's sessions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    /// How many live sessions this act ended.
    pub(crate) live: u32,
    /// The user from now on: tokens of a lower version are stale.
    pub(crate) subject: Subject,
}

/// Ends every session of a user except `keep` within a change, and makes all their tokens stale; `None` if there is no
/// such user. The change must first write the user's row, so that no sign-in comes in between (attack R05).
pub(crate) async fn end_all(
    change: &mut Change<'_>,
    user: UserId,
    keep: Option<SessionId>,
    reason: EndReason,
) -> Result<Option<Ended>, StoreError> {
    let at = change.at;
    let ended = change.ask(END_ALL, values![user, at, reason.as_str(), none_or(keep)])?;
    if reason.is_for_cause() {
        challenges::void_of_maker(change, user, keep)?;
    }
    let raised = raise_version(change, user).await?;
    let mut live = 0;
    for row in change.answer(ended).await?.rows {
        live += u32::from(row.get::<Timestamp>("expires_at")? > at);
    }
    change.note(|| ending(reason).fact(Fact::count(Label::Ended, live as usize)).fact(Fact::user(user)));
    change.ended_all(user, keep);
    Ok(raised.map(|subject| Ended { live, subject }))
}

/// Makes every earlier token of a user stale, within a change; `None` if there is no such user.
pub(crate) async fn raise_version(
    change: &mut Change<'_>,
    user: UserId,
) -> Result<Option<Subject>, StoreError> {
    let subject = users::raise_version(change, user).await?;
    if let Some(subject) = subject {
        change.raised(subject);
    }
    Ok(subject)
}

/// What ending all sessions of a user would find.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    /// How many rows it would change, including links that were made in the sessions. If it is 0, nothing is written
    /// (attack X10).
    pub(crate) rows: i64,
    pub(crate) subject: Subject,
}

impl Left {
    /// The answer to [`left_to_end`]; `None` if there is no such user.
    pub(crate) fn read(user: UserId, rows: Vec<Row>) -> Result<Option<Self>, StoreError> {
        let row = rows.into_iter().next();
        row.map(|row| Ok(Self { rows: row.get("count")?, subject: Subject::of(user, &row)? })).transpose()
    }
}

/// The read of what ending all sessions of a user except `keep` would find.
pub(crate) fn left_to_end(user: UserId, keep: Option<SessionId>) -> Statement {
    Statement { sql: LEFT, values: values![user, none_or(keep)] }
}

/// An id that no session has.
fn none_or(session: Option<SessionId>) -> SessionId {
    session.unwrap_or(SessionId::from_bytes([0; 16]))
}

impl Sessions {
    /// Ends these sessions, of any users. Already ended ones stay as they are, and are also refused here from now on.
    /// The act that ended them may not have reached this memory yet (attack R04).
    ///
    /// # Errors
    /// The store's; then none was ended (attack R06).
    pub async fn end(&self, sessions: Vec<Proved>, reason: EndReason, action: Action, by: By) -> Result<u32> {
        let at = self.clock.now();
        let ended = match self.end_known(&sessions, reason, action, Act::ending(by, at)).await? {
            Some(ended) => ended,
            None => {
                let sessions: Vec<_> = sessions.iter().map(|proved| proved.session).collect();
                if !self.is_any_left(&sessions, reason).await? {
                    self.revocations.apply(&sessions);
                    return Ok(0);
                }
                let change = async move |change: &mut Change<'_>| -> Result<Done<Vec<_>>> {
                    let ends = sessions.iter().map(|session| End { session: *session, reason }).collect();
                    let ended = end_each(change, ends).await?;
                    let entries = entries(action, &ended);
                    Ok(Done::with_entries(ended, entries))
                };
                self.acts.commit(Act::ending(by, at), change).await?
            }
        };
        // A logout is part of the story of the session that it ends; no guard has said whose it is.
        if let [(session, user), ..] = ended[..] {
            tell(|story| {
                story.session.get_or_insert(session);
                story.user.get_or_insert(user);
            });
        }
        Ok(u32::try_from(ended.len()).unwrap_or(u32::MAX))
    }

    /// Ends these sessions, as nearly always: their users are known, and memory knows of no end. Then no answer is needed
    /// before the commit. `None` if something is unknown, or one has ended all the same: nothing was done.
    async fn end_known(
        &self,
        sessions: &[Proved],
        reason: EndReason,
        action: Action,
        act: Act,
    ) -> Result<Option<Vec<(SessionId, UserId)>>, StoreError> {
        let is_over = |session| self.revocations.set.has_ended(session);
        let alive =
            |proved: &Proved| Some((proved.session, proved.user.filter(|_| !is_over(proved.session))?));
        let alive: Option<Vec<_>> = sessions.iter().map(alive).collect();
        let Some(mut alive) = alive.filter(|alive| !alive.is_empty()) else { return Ok(None) };
        // In the order of their ids, so that acts that end the same sessions never deadlock (attack X16).
        alive.sort_unstable_by_key(|(session, _)| *session);
        let (ends, has_missed) = (alive.clone(), Arc::new(AtomicBool::new(false)));
        let missed = has_missed.clone();
        let change = async move |change: &mut Change<'_>| -> Result<Done<()>, StoreError> {
            for (session, user) in &ends {
                let values = values![*session, change.at, reason.as_str(), *user];
                change.queue_hit_noting(END_KNOWN, values, &missed)?;
                change.ended(*session, *user, reason);
                change.note(|| ending(reason).fact(Fact::session(*session)));
                if reason.is_for_cause() {
                    challenges::void_of_session(change, *session)?;
                }
            }
            Ok(Done::with_entries((), entries(action, &ends)))
        };
        match self.acts.commit(act, change).await {
            Ok(()) => Ok(Some(alive)),
            Err(StoreError::Missed) if has_missed.load(Ordering::Relaxed) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends all sessions of a user, except `keep`; `session` is that of the request.
    ///
    /// # Errors
    /// [`Refusal::SessionEnded`] if there is no such user any more; the store's; then none was ended.
    pub async fn end_all(
        &self,
        user: UserId,
        keep: Option<SessionId>,
        session: SessionId,
        by: By,
    ) -> Result<u32> {
        // Deleted while the request was in flight: nothing names them any more.
        let Statement { sql, values } = left_to_end(user, keep);
        let left = Left::read(user, self.store.list(sql, values).await?)?.ok_or(Refusal::SessionEnded)?;
        let at = self.clock.now();
        if left.rows == 0 {
            self.apply_ended_elsewhere(left.subject, keep, at).await?;
            return Ok(0);
        }
        let entry = Entry::of(Action::LogoutAll).user(user).session(session);
        let entry = if keep.is_some() { entry.detail("others") } else { entry };
        let change = async move |change: &mut Change<'_>| -> Result<Done<Ended>> {
            change.queue(users::LOCK, values![user])?;
            let ended = end_all(change, user, keep, EndReason::EndedByUser).await?;
            Ok(Done::new(ended.ok_or(Refusal::SessionEnded)?, entry.clone()))
        };
        Ok(self.acts.commit(Act::ending(by, at), change).await?.live)
    }

    /// Applies what another act did, perhaps in another process, to this process's memory. Every session of the user except `keep` has
    /// ended, and tokens of a lower version are stale (attacks R04, R05).
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn apply_ended_elsewhere(
        &self,
        subject: Subject,
        keep: Option<SessionId>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let since = at - self.revocations.remembered_for();
        let rows = self.store.list(OVER, values![subject.user, since, none_or(keep)]).await?;
        let over: Vec<_> = rows.iter().map(|row| row.get("id")).collect::<Result<_, _>>()?;
        self.revocations.apply(&over);
        self.revocations.apply_version(subject);
        Ok(())
    }

    /// Whether an end of these sessions would change anything.
    async fn is_any_left(&self, sessions: &[SessionId], reason: EndReason) -> Result<bool, StoreError> {
        let is_left = if reason.is_for_cause() { IS_LEFT_WITH_LINKS } else { IS_LEFT };
        for session in sessions {
            if self.store.find(is_left, values![*session]).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
