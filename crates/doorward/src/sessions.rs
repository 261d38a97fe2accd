//! Sessions: one for each sign-in, in one table for all modes. Beginning one, refreshing it, ending it, and the memory of
//! those in session mode.

mod again;
mod begin;
pub(crate) mod end;
mod issued;
mod list;
mod memory;
mod peer;
mod presented;
mod refresh;
pub(crate) mod renewal;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use doorward_core::refresh::{RefreshKey, RefreshToken};
use doorward_core::ticket::TicketKey;
use doorward_core::{Lifetimes, Purpose, Refusal, SessionId, Timestamp, UserId};

use crate::acts::{Acts, Base};
use crate::authenticators::CredentialsVersion;
use crate::clock::Clock;
use crate::counters::Counts;
use crate::error::{Error, Result};
use crate::hooks::Hooks;
use crate::keys::Keys;
use crate::revocations::Revocations;
use crate::roots::{Derived, Roots};
use crate::settings::Settings;
use crate::store::{Store, Tx, values};
use crate::sweeps::Expired;
use crate::users;

pub(crate) use again::Repeat;
pub(crate) use begin::{Beginner, Beginning, Begun, Look, Origin, begin};
pub use end::Proved;
pub(crate) use issued::{Content, Issued};
pub(crate) use list::SessionView;
pub(crate) use memory::LastUse;
pub use memory::{Memory, MemoryParts};
pub(crate) use peer::CurrentPeer;
pub(crate) use refresh::Exchanged;
pub use stored::Stored;

/// All parts of sessions.
pub struct Sessions {
    store: Store,
    clock: Clock,
    acts: Acts,
    keys: Arc<Keys>,
    pub(crate) revocations: Arc<Revocations>,
    hooks: Hooks,
    refresh_keys: Derived<RefreshKey>,
    /// Signs the tickets that a page sends back to end sessions that its request proved.
    tickets: Derived<TicketKey>,
    roots: Arc<Roots>,
    lifetimes: Lifetimes,
    /// The most live sessions of one user.
    per_user: u32,
    /// The sessions in session mode that memory knows.
    pub memory: Arc<Memory>,
    /// Uses of refresh tokens, by result.
    pub(crate) refreshes: Counts,
}

/// How long a session is kept after its end, beside twice the lifetime of its last access token.
const KEPT_FOR: Duration = Duration::from_secs(86_400);

const SWEEP_ENDED: &str = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE ended_at <= $1 \
     ORDER BY ended_at LIMIT $2)";
/// Uses move `expires_at`, so no index has it: that would make each use dearer. `sweep_at` says when to look at the row.
/// By then it is deleted, or looked at again when it will have been expired for long enough.
const SWEEP_EXPIRED: &str = "DELETE FROM sessions WHERE expires_at <= $2 AND id IN (SELECT id FROM sessions \
     WHERE sweep_at <= $1 ORDER BY sweep_at, id LIMIT $3)";
const LOOK_LATER: &str = "UPDATE sessions SET sweep_at = expires_at + $3 WHERE expires_at > $2 AND id IN (SELECT id \
     FROM sessions WHERE sweep_at <= $1 ORDER BY sweep_at, id LIMIT $4)";

const CONFIRM: &str =
    "UPDATE sessions SET confirmed_at = $3 WHERE id = $1 AND user_id = $2 AND ended_at IS NULL";

/// What sessions need.
pub(crate) struct Parts {
    pub(crate) keys: Arc<Keys>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) hooks: Hooks,
    pub(crate) memory: Arc<Memory>,
}

impl Sessions {
    /// Sessions over these parts.
    pub(crate) fn new(base: Base, parts: Parts, settings: &Settings, roots: &Arc<Roots>) -> Self {
        let Base { store, clock, acts, .. } = base;
        let Parts { keys, revocations, hooks, memory } = parts;
        Self {
            store,
            clock,
            acts,
            keys,
            revocations,
            hooks,
            refresh_keys: Derived::new(roots, Purpose::RefreshTokens, RefreshKey::new),
            tickets: Derived::new(roots, Purpose::Tickets, TicketKey::new),
            roots: roots.clone(),
            lifetimes: settings.lifetimes(),
            per_user: settings.sessions_per_user,
            memory,
            refreshes: Counts::default(),
        }
    }

    /// A ticket to end these sessions.
    pub(crate) fn ticket(&self, sessions: &[SessionId]) -> String {
        self.tickets.current().issue(sessions)
    }

    /// The sessions that a ticket ends; none if its signature is wrong.
    pub(crate) fn of_ticket(&self, ticket: &str) -> Vec<SessionId> {
        let read = |key: &TicketKey| key.read(ticket);
        self.tickets.find(|key| Some(read(key)).filter(|sessions| !sessions.is_empty())).unwrap_or_default()
    }

    /// True if we signed the refresh token, for a session with this salt.
    fn has_signed(&self, token: &RefreshToken, salt: &[u8]) -> bool {
        self.refresh_keys.find(|key| key.verify(token, salt).then_some(())).is_some()
    }

    /// How long a session of an admin lives.
    pub(crate) fn admin_absolute_ttl(&self) -> Duration {
        self.lifetimes.admin_absolute_ttl.min(self.lifetimes.absolute_ttl)
    }

    /// Records that the user of this session proved their identity, at this version of their authenticators. If the
    /// version has changed, or the session has ended, nothing is recorded.
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
            if users::lock_enabled(tx, user, Some(credentials)).await?.is_none() {
                return Err(Error::WrongPassword);
            }
            let noted = tx.execute(CONFIRM, values![session, user, now]).await? == 1;
            if noted { Ok(()) } else { Err(Refusal::SessionEnded.into()) }
        });
        noted.await
    }

    /// Sessions that ended or expired so long ago that nothing refers to them, and expired former credentials.
    pub(crate) fn expired(&self, now: Timestamp) -> [Expired; 3] {
        let kept = KEPT_FOR + 2 * self.revocations.max_access_ttl();
        [
            Expired::of("ended sessions", SWEEP_ENDED, values![now - kept]),
            Expired::of("expired sessions", SWEEP_EXPIRED, values![now, now - kept])
                .then(LOOK_LATER, values![now, now - kept, kept]),
            renewal::expired(now),
        ]
    }
}
