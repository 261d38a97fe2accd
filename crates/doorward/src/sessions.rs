//! Sessions: one for each sign-in, in one table for all modes. Beginning one, refreshing it, ending it, and the memory of
//! those in session mode.

mod again;
pub(crate) mod end;
mod memory;
mod peer;
mod refresh;
pub(crate) mod renewal;
mod stored;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use doorward_core::device::device;
use doorward_core::refresh::{RefreshKey, RefreshToken};
use doorward_core::sign_in::{Authentication, Methods};
use doorward_core::ticket::TicketKey;
use doorward_core::token::{AppClaims, Claims};
use doorward_core::{
    Lifetimes, Mode, OpaqueSecret, Purpose, Refusal, RootSecret, SessionId, Timestamp, UserId,
};
use doorward_guard::internals::MOST_COOKIES;
use zeroize::Zeroizing;

use crate::acts::{Act, Acts, Base, Change, Done};
use crate::audit::{Action, By, Entry};
use crate::authenticators::CredentialsVersion;
use crate::clock::Clock;
use crate::counters::Counts;
use crate::error::{Error, Result};
use crate::hooks::Hooks;
use crate::keys::Keys;
use crate::known_devices::{self, Presented};
use crate::revocations::{EndReason, Revocations};
use crate::store::{Row, Store, StoreError, Tx, values};
use crate::users::{Subject, rfc3339};
use crate::wire::device::Device;
use crate::wire::shape::shown;

pub(crate) use again::Repeat;
use end::{End, end_each};
pub(crate) use memory::LastUse;
pub use memory::Memory;
pub(crate) use peer::Peer;
pub use stored::Stored;

/// A credential as it is handed to the client, once.
#[derive(Debug)]
pub struct Issued {
    /// How the client will hold it.
    pub mode: Mode,
    /// The session that it belongs to.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Now, by which spans are counted.
    pub now: Timestamp,
    /// Whether the same was handed out before: to another tab, or in an answer that was lost.
    pub again: bool,
    /// When the cookies of this credential go.
    pub ends_at: Timestamp,
    /// What to hand out.
    pub content: Content,
    /// What the device shows at its next sign-in, if this was one.
    pub device: Option<Zeroizing<String>>,
}

/// What a credential consists of.
pub enum Content {
    /// Bearer and cookie mode.
    Tokens {
        /// The access token and its end.
        access: (String, Timestamp),
        /// The refresh token and its end.
        refresh: (Zeroizing<String>, Timestamp),
    },
    /// Session mode: the secret, and the end of the session unless it is used.
    Secret(Zeroizing<String>, Timestamp),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Content(…)")
    }
}

/// Where a sign-in comes from.
#[derive(Debug, Clone)]
pub struct From {
    /// The address.
    pub ip: IpAddr,
    /// What the client says of itself.
    pub user_agent: Option<String>,
    /// What it shows of earlier sign-ins.
    pub(crate) device: Device,
}

/// A session that is about to begin. Everything random or timely in it is made before the transaction.
#[derive(Debug, Clone)]
pub struct Beginning {
    id: SessionId,
    mode: Mode,
    now: Timestamp,
    from: From,
    device: Presented,
    secret: Option<OpaqueSecret>,
    salt: [u8; 16],
    replaced: Vec<SessionId>,
    per_user: u32,
    lifetimes: Lifetimes,
    action: Action,
    authentication: Authentication,
    claims: AppClaims,
}

/// Who begins a session, and how they signed in.
#[derive(Debug, Clone, Copy)]
pub struct Beginner {
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

/// Everything about sessions.
pub struct Sessions {
    store: Store,
    clock: Clock,
    acts: Acts,
    keys: Arc<Keys>,
    pub(crate) revocations: Arc<Revocations>,
    hooks: Hooks,
    refresh_key: RefreshKey,
    /// Signs what a page hands back to end sessions that its request proved.
    pub(crate) tickets: TicketKey,
    lifetimes: Lifetimes,
    per_user: u32,
    /// Those in session mode that memory knows.
    pub memory: Arc<Memory>,
    /// Uses of refresh tokens, by what came of them.
    pub(crate) refreshes: Counts,
}

const INSERT: &str = "INSERT INTO sessions (id, user_id, mode, created_at, last_seen_at, expires_at, absolute_expires_at, \
     ip, user_agent, secret_hash, salt, authenticated_at, amr) VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
/// The live sessions, the one used last first.
const LIVE: &str = "SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 \
     ORDER BY last_seen_at DESC, id DESC LIMIT $3";

impl Beginning {
    /// The act that begins it.
    pub(crate) fn act(&self) -> Act {
        Act::new(By::Owner(self.from.ip), self.now)
    }
}

/// Begins the session within its act. The change wrote the user's row first, so that sign-ins of one user and ends of their
/// sessions come one after the other.
pub(crate) async fn begin(
    change: &mut Change<'_>,
    subject: Subject,
    new: &Beginning,
) -> Result<Done<Begun>, StoreError> {
    let user = subject.user;
    end_replaced_and_surplus(change, user, new).await?;
    let absolute_end = new.lifetimes.absolute_end(subject.role, new.now);
    let expires_at = new.lifetimes.idle_end(new.mode, new.now, absolute_end);
    let (ip, hash) = (new.from.ip.to_string(), new.secret.as_ref().map(OpaqueSecret::hash));
    let agent = new.from.user_agent.clone();
    let Authentication { at, methods } = new.authentication;
    let mut values =
        values![new.id, user, new.mode, new.now, expires_at, absolute_end, ip, agent, hash, new.salt];
    values.extend(values![at, methods.to_string()]);
    change.execute(INSERT, values).await?;
    let device = known_devices::note(change, user, &new.device, new.now).await?;
    let entry = Entry::of(new.action).user(user).session(new.id);
    Ok(Done::new(Begun { subject, absolute_end, device }, entry))
}

/// Ends the sessions that this one replaces, and those over the limit, the one longest unused first. In one act, so that
/// two sign-ins that end each other's sessions don't wait for each other (attack X16).
async fn end_replaced_and_surplus(
    change: &mut Change<'_>,
    user: UserId,
    new: &Beginning,
) -> Result<(), StoreError> {
    let replaced: BTreeSet<_> = new.replaced.iter().copied().collect();
    let mut others = Vec::new();
    for row in change.list(LIVE, values![user, new.now, i64::from(new.per_user) + 1_000]).await? {
        let session = row.get("id")?;
        if !replaced.contains(&session) {
            others.push(session);
        }
    }
    let surplus = others.into_iter().skip(new.per_user.saturating_sub(1) as usize);
    let replaced = replaced.into_iter().map(|session| End { session, reason: EndReason::Replaced });
    let surplus = surplus.map(|session| End { session, reason: EndReason::TooMany });
    end_each(change, replaced.chain(surplus).collect()).await.map(drop)
}

shown! {
    /// A session as its owner sees it.
    pub struct Shown as "Session" {
        /// The public id.
        pub id: SessionId,
        /// Whether the request came from it.
        pub current: bool,
        /// How its client holds the credential.
        mode: Mode,
        /// When it began.
        created_at: String,
        /// When its user signed in.
        authenticated_at: String,
        /// How its user signed in, by the names of RFC 8176: `pwd` for a password.
        amr: Methods,
        /// When it was last used, to the minute or so.
        last_seen_at: String,
        /// When it ends if it isn't used any more.
        expires_at: String,
        /// The address that it was last used from.
        ip: Option<String>,
        /// What the client says of itself.
        user_agent: Option<String>,
        /// Browser and system, read from that.
        device: String,
    }
}

const OF_USER: &str = "SELECT id, mode, created_at, authenticated_at, amr, last_seen_at, expires_at, ip, user_agent, secret_hash FROM sessions \
     WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY created_at DESC, id DESC LIMIT 1000";
const LOCK_PROVED: &str = "UPDATE users SET updated_at = updated_at \
     WHERE id = $1 AND credentials_version = $2 AND disabled_at IS NULL";
const CONFIRM: &str =
    "UPDATE sessions SET confirmed_at = $3 WHERE id = $1 AND user_id = $2 AND ended_at IS NULL";
const USER_OF: &str = "SELECT user_id FROM sessions WHERE id = $1 AND ended_at IS NULL";
/// What the tokens of a session are made from.
struct OfSession<'a> {
    subject: Subject,
    session: SessionId,
    authentication: Authentication,
    generation: u64,
    salt: &'a [u8],
    expires_at: Timestamp,
    absolute_expires_at: Timestamp,
}

/// A live session that a request proves.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: SessionId,
    /// The newest correctly signed refresh token of those that were sent.
    pub(crate) newest: Option<RefreshToken>,
}

impl Sessions {
    /// Sessions over these parts.
    pub(crate) fn new(
        base: Base,
        (keys, revocations, hooks): (Arc<Keys>, Arc<Revocations>, Hooks),
        root: &RootSecret,
        (lifetimes, per_user): (Lifetimes, u32),
        memory: Arc<Memory>,
    ) -> Self {
        let Base { store, clock, acts, .. } = base;
        Self {
            store,
            clock,
            acts,
            keys,
            revocations,
            hooks,
            refresh_key: RefreshKey::new(&root.derive(Purpose::RefreshTokens)),
            tickets: TicketKey::new(&root.derive(Purpose::Tickets)),
            lifetimes,
            per_user,
            memory,
            refreshes: Counts::default(),
        }
    }

    /// How long a session of an admin lives.
    pub(crate) fn admin_absolute_ttl(&self) -> std::time::Duration {
        self.lifetimes.admin_absolute_ttl.min(self.lifetimes.absolute_ttl)
    }

    /// Prepares a session; `replaced` are those that the request proved, and that end with this sign-in (attack K07).
    ///
    /// # Errors
    /// The application's, where it is asked what it adds to the token.
    pub async fn prepare(
        &self,
        beginner: Beginner,
        from: From,
        replaced: Vec<SessionId>,
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
    /// The token could not be signed: our own failure.
    pub fn issue(&self, new: &Beginning, begun: &Begun) -> Result<Issued> {
        let ends_at = self.lifetimes.idle_end(new.mode, new.now, begun.absolute_end);
        let content = match &new.secret {
            Some(secret) => Content::Secret(secret.to_text(), ends_at),
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

    fn tokens(&self, of: &OfSession<'_>, now: Timestamp, app: &AppClaims) -> Result<Content> {
        let expires_at = self.lifetimes.access_end(now, of.absolute_expires_at);
        let (Subject { user, role, version }, session) = (of.subject, of.session);
        let mut claims = Claims::new(user, session, now, expires_at, crate::random::bytes());
        (claims.role, claims.version, claims.authentication) = (role, version, of.authentication);
        let access = (self.keys.issue(&claims, app)?, expires_at);
        let refresh = Zeroizing::new(self.refresh_key.issue(user, session, of.generation, of.salt));
        Ok(Content::Tokens { access, refresh: (refresh, of.expires_at) })
    }

    /// Notes that the user of this session proved who they are, at this version of their authenticators. If it is another
    /// by now, or the session is over, nothing is noted.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], or the session's end.
    pub(crate) async fn confirm(
        &self,
        session: SessionId,
        user: UserId,
        credentials: CredentialsVersion,
    ) -> Result<()> {
        let now = self.clock.now();
        let noted = self.store.attempt(async move |tx: &mut Tx| -> Result<()> {
            if tx.execute(LOCK_PROVED, values![user, credentials]).await? == 0 {
                return Err(Error::WrongPassword);
            }
            let noted = tx.execute(CONFIRM, values![session, user, now]).await? == 1;
            if noted { Ok(()) } else { Err(Refusal::SessionEnded.into()) }
        });
        noted.await
    }

    /// The live sessions of a user, the newest first, in the share of the user who asks.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        user: UserId,
        current: Option<SessionId>,
        asked_by: Option<UserId>,
    ) -> Result<Vec<Shown>> {
        let rows = self.store.scan(asked_by, OF_USER, values![user, self.clock.now()]).await?;
        Ok(rows.iter().map(|row| shown(row, current, &self.memory)).collect::<Result<_, _>>()?)
    }

    /// Whose live session this is.
    ///
    /// # Errors
    /// The store's.
    pub async fn owner(&self, session: SessionId) -> Result<Option<UserId>> {
        let row = self.store.find(USER_OF, values![session]).await?;
        Ok(row.map(|row| row.get("user_id")).transpose()?)
    }

    /// The sessions of these secrets and of these correctly signed refresh tokens, whether they are live or over, also where
    /// memory alone still knows them: for a logout.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn proved(
        &self,
        secrets: &[OpaqueSecret],
        tokens: &[RefreshToken],
    ) -> Result<Vec<SessionId>> {
        let hashes: Vec<_> = secrets.iter().map(OpaqueSecret::hash).collect();
        let ids: Vec<_> = tokens.iter().map(|token| token.session).collect();
        let found = stored::several(&self.store, &hashes, &ids).await?;
        let mut proved: Vec<_> = hashes.iter().filter_map(|hash| self.memory.session_of(hash)).collect();
        // A logout may be in flight while the session is renewed: it ends all the same.
        let former = renewal::by_secrets(&self.store, &hashes, self.clock.now()).await?;
        proved.extend(former.iter().map(|former| former.session));
        for one in &found {
            let by_secret = one.secret_hash.is_some_and(|hash| hashes.contains(&hash));
            let by_token =
                tokens.iter().any(|it| it.session == one.id && self.refresh_key.verify(it, &one.salt));
            if by_secret || by_token {
                proved.push(one.id);
            }
        }
        Ok(proved)
    }

    /// The live sessions that these secrets, correctly signed refresh tokens and verified access tokens prove.
    ///
    /// # Errors
    /// The store's; [`Refusal::TooManyCookies`].
    pub(crate) async fn live(
        &self,
        secrets: &[OpaqueSecret],
        tokens: &[RefreshToken],
        verified: &[SessionId],
    ) -> Result<Vec<Live>> {
        let hashes: Vec<_> = secrets.iter().map(OpaqueSecret::hash).collect();
        let mut ids: Vec<_> =
            tokens.iter().map(|token| token.session).chain(verified.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() > MOST_COOKIES {
            return Err(Refusal::TooManyCookies.into());
        }
        let now = self.clock.now();
        let mut live = Vec::new();
        for one in stored::several(&self.store, &hashes, &ids).await? {
            let by_secret = one.secret_hash.is_some_and(|hash| hashes.contains(&hash));
            let signed =
                tokens.iter().filter(|it| it.session == one.id && self.refresh_key.verify(it, &one.salt));
            let newest = signed.copied().max_by_key(|token| token.generation);
            let is_proved = by_secret || newest.is_some() || verified.contains(&one.id);
            if is_proved && one.state.is_alive(now) {
                live.push(Live { id: one.id, newest });
            }
        }
        Ok(live)
    }

    /// Deletes sessions that have been over for long enough that nothing refers to them.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.sweep_former(now).await?;
        let before = now - 2 * self.revocations.max_access_ttl() - std::time::Duration::from_secs(86_400);
        self.store.execute("DELETE FROM sessions WHERE absolute_expires_at < $1", values![before]).await
    }
}

fn shown(row: &Row, current: Option<SessionId>, memory: &Memory) -> Result<Shown, StoreError> {
    let id = row.get("id")?;
    let LastUse { at, ip, user_agent } = memory.last_use(row)?;
    Ok(Shown {
        id,
        current: current == Some(id),
        mode: row.get("mode")?,
        created_at: rfc3339(row.get("created_at")?),
        authenticated_at: rfc3339(row.get("authenticated_at")?),
        amr: stored::authentication(row)?.methods,
        last_seen_at: rfc3339(at),
        expires_at: rfc3339(row.get("expires_at")?),
        ip,
        device: device(user_agent.as_deref()),
        user_agent,
    })
}
