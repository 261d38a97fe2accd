//! The story of a session: how it began, how often it was renewed, what changed, and how it ended.

use doorward_core::device::device;
use doorward_core::sign_in::Methods;
use doorward_core::{Mode, SessionId, Timestamp, UserId};

use crate::app::App;
use crate::error::{Error, Result};
use crate::flow::Flow;
use crate::sessions::Stored;
use crate::store::{Row, StoreError, values};
use crate::users::rfc3339;
use crate::wire::shape::shown;

/// How many changes a story has at most, and how many renewals with their flows.
const MOST: u32 = 50;

shown! {
    /// A session from its sign-in to its end.
    pub(super) struct Story as "SessionStory" {
        /// The session.
        session: SessionId,
        /// Its user.
        user: UserId,
        /// When it began.
        began_at: String,
        /// How its user signed in, by the names of RFC 8176.
        methods: Methods,
        /// How its client holds the credential.
        mode: Mode,
        /// Browser and system.
        device: String,
        /// How often it was renewed: the generation of its refresh token.
        generation: u64,
        /// When that was last.
        renewed_at: Option<String>,
        /// What happened to its user's account and in it meanwhile, the oldest first.
        changes: Vec<Happened>,
        /// When it ended, or will end if nobody uses it any more.
        ends_at: String,
        /// Why it ended; `expired` if nobody ended it in time, missing while it is alive.
        end_reason: Option<String>,
        /// Who ended it, if an admin or the command line did.
        ended_by: Option<String>,
        /// Its renewals that are in memory: each generation with the id of the request that made it.
        renewals: Vec<Renewal>,
    }
}

shown! {
    /// An entry of the audit log.
    pub(super) struct Happened as "SessionChange" {
        /// When.
        at: String,
        /// The action.
        action: String,
        /// What did it, as in the audit log.
        actor: String,
        /// What exactly.
        detail: Option<String>,
    }
}

shown! {
    /// A use of a refresh token.
    pub(super) struct Renewal as "SessionRenewal" {
        /// The generation of the token that was used.
        generation: Option<u64>,
        /// The id of the request.
        flow: String,
        /// The code of its refusal.
        code: Option<&'static str>,
    }
}

const OWNER: &str = "SELECT user_id FROM sessions WHERE id = $1";
/// Ids are made from the time, so they are in its order; entries of other sessions of the same user are left out.
const BETWEEN: &str = "SELECT created_at, action, actor, actor_id, detail FROM audit_log WHERE user_id = $1 AND id >= $2 AND \
     (session_id IS NULL OR session_id = $3) AND created_at <= $4 ORDER BY id LIMIT $5";

/// The story of this session.
///
/// # Errors
/// [`Error::NotFound`] if its row is no longer there; the store's.
pub(super) async fn story(app: &App, id: SessionId, asked_by: Option<UserId>) -> Result<Story> {
    let owner = app.store.find(OWNER, values![id]).await?.ok_or(Error::NotFound)?;
    let user: UserId = owner.get("user_id")?;
    let stored = app.sessions.stored(id, user).await?.ok_or(Error::NotFound)?;
    let now = app.now();
    let until = stored.state.ended_at.unwrap_or(now);
    // The first id of its first moment.
    let from = SessionId::new(stored.created_at, [0; 10]);
    let rows = app.store.scan(asked_by, BETWEEN, values![user, from, id, until, MOST]).await?;
    let changes = rows.iter().map(happened).collect::<Result<Vec<_>, StoreError>>()?;
    let ended_by = match changes.iter().zip(&rows).rev().find(|(change, _)| change.actor == "admin") {
        Some((_, row)) if stored.end_reason.as_deref() == Some("ended_by_admin") => name(app, row).await?,
        _ => None,
    };
    let state = &stored.state;
    let least = state.expires_at.min(state.absolute_expires_at);
    let expired = (state.ended_at.is_none() && least <= now).then(|| "expired".to_owned());
    Ok(Story {
        session: id,
        user,
        began_at: rfc3339(stored.created_at),
        methods: stored.authentication.methods,
        mode: stored.mode,
        device: device(stored.user_agent.as_deref()),
        generation: stored.generation,
        renewed_at: stored.rotated_at.map(rfc3339),
        changes,
        ends_at: rfc3339(ends_at(&stored, least)),
        end_reason: stored.end_reason.or(expired),
        ended_by,
        renewals: renewals(app, id),
    })
}

fn ends_at(stored: &Stored, least: Timestamp) -> Timestamp {
    stored.state.ended_at.unwrap_or(least)
}

fn happened(row: &Row) -> Result<Happened, StoreError> {
    Ok(Happened {
        at: rfc3339(row.get("created_at")?),
        action: row.get("action")?,
        actor: row.get("actor")?,
        detail: row.get("detail")?,
    })
}

async fn name(app: &App, row: &Row) -> Result<Option<String>> {
    let Some(admin) = row.get::<Option<UserId>>("actor_id")? else { return Ok(None) };
    Ok(app.users.cached(admin).await?.map(|admin| admin.user.name.clone()))
}

/// The refreshes of this session in memory, the oldest first.
fn renewals(app: &App, session: SessionId) -> Vec<Renewal> {
    let is_renewal = |flow: &Flow| flow.story.session == Some(session) && flow.route == "/refresh";
    let mut flows = app.flows.find(MOST as usize, is_renewal);
    flows.reverse();
    let renewal =
        |flow: &Flow| Renewal { generation: flow.story.generation, flow: flow.id.clone(), code: flow.code };
    flows.iter().map(|flow| renewal(flow)).collect()
}
