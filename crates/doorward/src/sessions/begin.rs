//! Beginning a session.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use doorward_core::sign_in::{Authentication, Enough};
use doorward_core::token::AppClaims;
use doorward_core::{Lifetimes, Mode, OpaqueSecret, SessionId, Timestamp, UserId};

use super::end::{Over, end_beside};
use super::issued::OfSession;
use super::{Content, Issued, Proved, Sessions};
use crate::acts::{Act, Change, Done};
use crate::audit::{Action, By, Entry};
use crate::error::Result;
use crate::flow::{Fact, Label, Step, Verb, note, tell};
use crate::known_devices::{self, Presented};
use crate::revocations::EndReason;
use crate::store::{Asked, StoreError, values};
use crate::users::Subject;
use crate::wire::device::Device;

/// Where a sign-in comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The address.
    pub ip: IpAddr,
    /// The client's user agent.
    pub user_agent: Option<String>,
    /// Its proof of earlier sign-ins.
    pub(crate) device: Device,
}

/// A session that is about to begin. Everything random or timely in it is made before the transaction.
#[derive(Debug, Clone)]
pub struct Beginning {
    id: SessionId,
    mode: Mode,
    now: Timestamp,
    from: Origin,
    device: Presented,
    secret: Option<OpaqueSecret>,
    salt: [u8; 16],
    replaced: Vec<Proved>,
    per_user: u32,
    lifetimes: Lifetimes,
    action: Action,
    authentication: Authentication,
    claims: AppClaims,
}

/// The user who begins a session, and how they signed in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginner {
    /// The user.
    pub user: UserId,
    /// How the client will hold its credential.
    pub mode: Mode,
    /// When and how they signed in.
    pub authentication: Authentication,
    /// What the audit log says.
    pub action: Action,
}

/// A session that began within a transaction: what must be done and handed out after its commit.
#[derive(Debug)]
pub struct Begun {
    subject: Subject,
    absolute_end: Timestamp,
    device: Device,
}

const INSERT: &str = "INSERT INTO sessions (id, user_id, mode, created_at, last_seen_at, expires_at, absolute_expires_at, \
     ip, user_agent, secret_hash, salt, authenticated_at, amr, sweep_at) \
     VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
/// When the sweep looks at a session that isn't used any more, from its idle end.
const SWEPT_AFTER: Duration = Duration::from_secs(25 * 3_600);
/// The live sessions, the last used first.
const LIVE: &str = "SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 \
     ORDER BY last_seen_at DESC, id DESC LIMIT $3";

/// What a beginning must know of its user. It is asked for right after the lock of the user's row, so it takes no round
/// trip of its own.
#[derive(Debug)]
pub(crate) struct Look {
    live: Option<Asked>,
    device: Option<Asked>,
}

impl Look {
    /// For a user who is made in the same act: there is nothing to know.
    pub(crate) fn at_new_user() -> Self {
        Self { live: None, device: None }
    }
}

impl Beginning {
    /// The act that begins it.
    pub(crate) fn act(&self) -> Act {
        Act::new(By::Owner(self.from.ip), self.now)
    }

    /// Asks for what [`begin`] must know. The change must have handed over the lock of the user's row before.
    pub(crate) fn look(&self, change: &mut Change<'_>, user: UserId) -> Result<Look, StoreError> {
        let live = change.ask(LIVE, values![user, self.now, i64::from(self.per_user) + 1_000])?;
        let device = known_devices::ask_known(change, user, &self.device)?;
        Ok(Look { live: Some(live), device })
    }
}

/// Begins the session within its act. The change must first write the user's row, so that sign-ins of one user and ends
/// of their sessions happen one after the other.
pub(crate) async fn begin(
    change: &mut Change<'_>,
    subject: Subject,
    _: Enough,
    new: &Beginning,
    look: Look,
) -> Result<Done<Begun>, StoreError> {
    let user = subject.user;
    end_replaced_and_surplus(change, user, new, look.live).await?;
    let absolute_end = new.lifetimes.absolute_end(subject.role, new.now);
    let expires_at = new.lifetimes.idle_end(new.mode, new.now, absolute_end);
    let (ip, hash) = (new.from.ip.to_string(), new.secret.as_ref().map(OpaqueSecret::hash));
    let agent = new.from.user_agent.clone();
    let Authentication { at, methods } = new.authentication;
    let mut values =
        values![new.id, user, new.mode, new.now, expires_at, absolute_end, ip, agent, hash, new.salt];
    values.extend(values![at, methods.to_string(), expires_at + SWEPT_AFTER]);
    change.queue(INSERT, values)?;
    change.note(|| {
        let step = Step::of(Verb::BeginSession).fact(Fact::session(new.id)).fact(Fact::user(user));
        let step = step.fact(Fact::mode(new.mode)).fact(Fact::seen(Label::Role, subject.role.as_str()));
        step.fact(Fact::seen(Label::Methods, &methods.to_string()))
            .fact(Fact::At { label: Label::EndsAt, at: absolute_end })
    });
    let device = known_devices::note(change, user, &new.device, look.device, new.now).await?;
    let entry = Entry::of(new.action).user(user).session(new.id);
    Ok(Done::new(Begun { subject, absolute_end, device }, entry))
}

/// Ends the sessions that this one replaces, and those over the limit, the longest unused first. In one act, so that
/// two sign-ins that end each other's sessions don't deadlock (attack X16).
async fn end_replaced_and_surplus(
    change: &mut Change<'_>,
    user: UserId,
    new: &Beginning,
    live: Option<Asked>,
) -> Result<(), StoreError> {
    let replaced: BTreeMap<_, _> = new.replaced.iter().map(|proved| (proved.session, proved.user)).collect();
    let mut others = Vec::new();
    if let Some(live) = live {
        for row in change.answer(live).await?.rows {
            let session = row.get("id")?;
            if !replaced.contains_key(&session) {
                others.push(session);
            }
        }
    }
    let surplus = others.into_iter().skip(new.per_user.saturating_sub(1) as usize);
    let reason = EndReason::Replaced;
    let replaced = replaced.into_iter().map(|(session, owner)| Over { session, reason, owner });
    let (reason, owner) = (EndReason::TooMany, Some(user));
    let surplus = surplus.map(|session| Over { session, reason, owner });
    end_beside(change, replaced.chain(surplus).collect()).await
}

impl Sessions {
    /// Prepares a session; `replaced` are those that the request proved, which end with this sign-in (attack K07).
    ///
    /// # Errors
    /// The application's, when it is asked for its claims.
    pub(crate) async fn prepare(
        &self,
        beginner: Beginner,
        from: Origin,
        replaced: Vec<Proved>,
    ) -> Result<Beginning> {
        let Beginner { user, mode, authentication, action } = beginner;
        let claims = if mode.has_tokens() { self.hooks.claims_of(user).await? } else { AppClaims::none() };
        let now = self.clock.now();
        Ok(Beginning {
            id: SessionId::new(now, crate::random::bytes()),
            mode,
            now,
            device: Presented::new(from.device.clone()),
            from,
            secret: (mode == Mode::Session).then(|| OpaqueSecret::new(crate::random::bytes())),
            salt: crate::random::bytes(),
            replaced,
            per_user: self.per_user,
            lifetimes: self.lifetimes,
            action,
            authentication,
            claims,
        })
    }

    /// Makes the credential of a session whose beginning was committed.
    ///
    /// # Errors
    /// If the token could not be signed: an internal failure.
    pub fn issue(&self, new: &Beginning, begun: &Begun) -> Result<Issued> {
        let ends_at = self.lifetimes.idle_end(new.mode, new.now, begun.absolute_end);
        let content = match &new.secret {
            Some(secret) => {
                note(|| Step::of(Verb::MakeSecret).fact(Fact::At { label: Label::EndsAt, at: ends_at }));
                tell(|story| {
                    (story.user, story.session) = (Some(begun.subject.user), Some(new.id));
                });
                Content::Secret(secret.to_text(), ends_at)
            }
            None => self.tokens(
                &OfSession {
                    subject: begun.subject,
                    session: new.id,
                    authentication: new.authentication,
                    generation: 0,
                    salt: &new.salt,
                    expires_at: ends_at,
                    absolute_expires_at: begun.absolute_end,
                },
                new.now,
                &new.claims,
            )?,
        };
        let ends_at = if new.mode == Mode::Session { begun.absolute_end } else { ends_at };
        Ok(Issued {
            mode: new.mode,
            session: new.id,
            user: begun.subject.user,
            now: new.now,
            again: false,
            ends_at,
            content,
            device: Some(begun.device.to_text()),
        })
    }
}
