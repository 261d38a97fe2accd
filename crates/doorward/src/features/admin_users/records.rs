//! All users' sessions and the audit log, as lists in pages.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use doorward_core::device::device;
use doorward_core::message::Message;
use doorward_core::role::permission;
use doorward_core::{SessionId, UserId};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::http::{MOST, PAGE};
use super::queries::cut;
use super::{ListedSession, pages};
use crate::accounts::Confirmation;
use crate::app::App;
use crate::audit;
use crate::error::{Error, Result};
use crate::web::account_page::may_see;
use crate::web::caller::{Caller, EndsSessions, ReadsAudit, ReadsSessions};
use crate::web::flash::Flashed;
use crate::web::peer::Peer;
use crate::web::reply::go_or_tell;
use crate::wire::ack::ack;
use crate::wire::client_kind::ClientKind;
use crate::wire::page::{Serde, Value, context};
use crate::wire::query::Query;

const SESSIONS: &str = "sessions.html";
const LOG: &str = "audit.html";

pub(super) async fn sessions(
    State(app): State<App>,
    ReadsSessions(caller): ReadsSessions,
    kind: ClientKind,
    Flashed(said): Flashed,
    query: Query,
) -> Result<Response> {
    let (after, limit) = (query.parse("after", Message::new("after-no-session"))?, query.limit(PAGE, MOST)?);
    if kind.is_browser() {
        let shown = sessions_page(&app, &caller, after, limit).await?;
        return Ok(app.pages.show(SESSIONS, StatusCode::OK, context! { notice => said, ..shown }));
    }
    let (sessions, next) = super::list_sessions(&app, after, limit, Some(caller.user)).await?;
    Ok(Json(json!({ "sessions": sessions, "next": next })).into_response())
}

/// A session on the page of sessions.
#[derive(Serialize)]
struct SessionRow {
    #[serde(flatten)]
    session: ListedSession,
    user_name: String,
    device: String,
    may_end: bool,
}

async fn sessions_page(app: &App, caller: &Caller, after: Option<SessionId>, limit: u32) -> Result<Value> {
    let (sessions, next) = super::list_sessions(app, after, limit, Some(caller.user)).await?;
    let roles = &app.settings.roles;
    let may_end = roles.grants(caller.role, permission::SESSIONS_END);
    let mut rows = Vec::new();
    for session in sessions {
        let user = app.users.cached(session.user_id).await?;
        rows.push(SessionRow {
            may_end: may_end && user.as_ref().is_some_and(|one| roles.covers(caller.role, one.user.role)),
            user_name: user.map(|one| one.user.name.clone()).unwrap_or_default(),
            device: device(session.user_agent.as_deref()),
            session,
        });
    }
    Ok(context! {
        sessions => Value::from(Serde(rows)), current => caller.session.to_string(),
        next => next.map(|next| pages::next(next, limit)), later => after.is_some(),
        may => may_see(app, caller), now => app.now().as_secs(),
    })
}

pub(super) async fn end_session(
    State(app): State<App>,
    EndsSessions(caller): EndsSessions,
    client: Peer,
    kind: ClientKind,
    Path(session): Path<String>,
) -> Result<Response> {
    let session: SessionId = session.parse().map_err(|_| Error::NotFound)?;
    if super::end_session(&app, session, caller.actor(&client, Confirmation::None)).await? == 0 {
        return Err(Error::NotFound);
    }
    Ok(go_or_tell(&app, kind, &super::SESSION_ENDED.at("/admin/sessions"), ack("Session ended")))
}

pub(super) async fn log(
    State(app): State<App>,
    ReadsAudit(caller): ReadsAudit,
    kind: ClientKind,
    query: Query,
) -> Result<Response> {
    let (after, limit) = (query.parse("after", Message::new("after-no-entry"))?, query.limit(PAGE, MOST)?);
    let mut entries = audit::page(&app.store, after, limit + 1, Some(caller.user)).await?;
    let next = cut(&mut entries, limit).map(|last| last.id);
    if !kind.is_browser() {
        return Ok(Json(json!({ "entries": entries, "next": next })).into_response());
    }
    let mut rows = Vec::new();
    for entry in entries {
        let (user_name, actor_name) = (name(&app, entry.user_id).await?, name(&app, entry.actor_id).await?);
        rows.push(EntryRow { entry, user_name, actor_name });
    }
    let shown = context! {
        entries => Value::from(Serde(rows)), next => next.map(|next| pages::next(next, limit)),
        later => after.is_some(), may => may_see(&app, &caller),
    };
    Ok(app.pages.show(LOG, StatusCode::OK, shown))
}

/// An entry on the page of the log, with the names of the users in it who still exist.
#[derive(Serialize)]
struct EntryRow {
    #[serde(flatten)]
    entry: audit::AuditView,
    user_name: Option<String>,
    actor_name: Option<String>,
}

/// The name of a user who still exists.
pub(super) async fn name(app: &App, user: Option<UserId>) -> Result<Option<String>> {
    let Some(user) = user else { return Ok(None) };
    Ok(app.users.cached(user).await?.map(|cached| cached.user.name.clone()))
}
