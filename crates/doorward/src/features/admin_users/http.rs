use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use doorward_core::UserId;
use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::password::Password;
use doorward_core::role::RoleName;
use http::StatusCode;
use serde_json::json;

use super::{Listed, Search};
use crate::accounts::Change;
use crate::app::App;
use crate::audit::{self, Action, Entry};
use crate::error::{Error, Result};
use crate::users::rfc3339;
use crate::web::caller::{EndsSessions, ReadsAudit, ReadsSessions, ReadsUsers, WritesUsers};
use crate::web::client::Client;
use crate::web::done::done;
use crate::web::input::Input;
use crate::web::query::Query;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/users", get(list).post(create))
        .route("/admin/users/{id}", get(find).patch(change).delete(delete))
        .route("/admin/users/{id}/reset-link", post(reset_link))
        .route("/admin/users/{id}/sessions", get(sessions_of).delete(end_sessions))
        .route("/admin/sessions", get(sessions))
        .route("/admin/audit", get(audit_log))
        .route("/admin/invitations", post(invite))
}

fn id(text: &str) -> Result<UserId> {
    text.parse().map_err(|_| Error::NotFound)
}

async fn list(State(app): State<App>, _: ReadsUsers, query: Query) -> Result<Response> {
    let search = Search {
        text: query.text("search").map(str::to_owned),
        role: query.parse("role", "is no role's name")?,
        after: query.parse("after", "is no user's id")?,
    };
    if search.text.as_ref().is_some_and(|text| text.len() > 200 || text.contains('\0')) {
        return Err(Error::field("search", "must have at most 200 bytes, without control characters"));
    }
    let (users, next) = super::list_users(&app, &search, query.limit()?).await?;
    Ok(Json(json!({ "users": users, "next": next })).into_response())
}

async fn create(State(app): State<App>, caller: WritesUsers, mut input: Input) -> Result<Response> {
    let (name, email) = (input.required::<DisplayName>("name"), input.required::<Email>("email"));
    let role = input.optional("role").unwrap_or(RoleName::USER);
    let password = input.optional::<Password>("password");
    input.check()?;
    let (Some(name), Some(email)) = (name, email) else { return Err(input.refuse()) };
    let user = super::create(&app, (name, email, role), password, caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(json!({ "success": true, "user": Listed::from(&user) }))).into_response())
}

async fn find(State(app): State<App>, _: ReadsUsers, Path(user): Path<String>) -> Result<Response> {
    let (user, _) = app.users.find(id(&user)?).await?.ok_or(Error::NotFound)?;
    Ok(Json(json!({ "user": Listed::from(&user) })).into_response())
}

async fn change(
    State(app): State<App>,
    caller: WritesUsers,
    Path(user): Path<String>,
    client: Client,
    mut input: Input,
) -> Result<Response> {
    let user = id(&user)?;
    let change = Change {
        name: input.optional("name"),
        email: input.optional("email"),
        role: input.optional("role"),
        disabled: input.optional_bool("disabled"),
        confirmed_by: None,
    };
    input.check()?;
    if change.email.is_some() && caller.actor().id() == Some(user) {
        // One's own address is changed in the profile, with the password: a stolen session must not become the account.
        return Err(Error::Forbidden);
    }
    let entry =
        Entry::new(Action::UserChanged, app.now()).user(user).actor(caller.actor().id()).ip(client.ip);
    let user =
        app.accounts.change(user, change.clone(), caller.actor(), entry.detail(change.summary())).await?;
    Ok(Json(json!({ "success": true, "user": Listed::from(&user) })).into_response())
}

async fn delete(
    State(app): State<App>,
    caller: WritesUsers,
    Path(user): Path<String>,
    client: Client,
) -> Result<Response> {
    let entry = Entry::new(Action::UserDeleted, app.now()).actor(caller.actor().id()).ip(client.ip);
    app.accounts.delete(id(&user)?, None, caller.actor(), entry).await?;
    Ok(done("User deleted").into_response())
}

async fn reset_link(
    State(app): State<App>,
    caller: WritesUsers,
    Path(user): Path<String>,
) -> Result<Response> {
    let (url, expires_at) = super::reset_link(&app, id(&user)?, caller.actor()).await?;
    Ok(Json(json!({ "url": url, "expires_at": rfc3339(expires_at) })).into_response())
}

async fn sessions_of(State(app): State<App>, _: ReadsSessions, Path(user): Path<String>) -> Result<Response> {
    let sessions = super::sessions_of(&app, id(&user)?).await?;
    Ok(Json(json!({ "sessions": sessions })).into_response())
}

async fn end_sessions(
    State(app): State<App>,
    caller: EndsSessions,
    Path(user): Path<String>,
) -> Result<Response> {
    let sessions = super::end_sessions(&app, id(&user)?, caller.actor()).await?;
    Ok(done("Logged out from all devices").sessions(sessions).into_response())
}

async fn sessions(State(app): State<App>, _: ReadsSessions, query: Query) -> Result<Response> {
    let after = query.parse("after", "is no session's id")?;
    let (sessions, next) = super::list_sessions(&app, after, query.limit()?).await?;
    Ok(Json(json!({ "sessions": sessions, "next": next })).into_response())
}

async fn audit_log(State(app): State<App>, _: ReadsAudit, query: Query) -> Result<Response> {
    let after = query.parse("after", "is no entry's id")?;
    let limit = query.limit()?;
    let entries = audit::page(&app.store, after, limit).await?;
    let full = entries.len() == limit as usize;
    let next = entries.last().filter(|_| full).map(|entry| entry.id.clone());
    Ok(Json(json!({ "entries": entries, "next": next })).into_response())
}

async fn invite(State(app): State<App>, caller: WritesUsers, mut input: Input) -> Result<Response> {
    let (email, role) = (input.optional::<Email>("email"), input.optional("role").unwrap_or(RoleName::USER));
    input.check()?;
    let (url, expires_at) = super::invite(&app, (email, role), caller.actor()).await?;
    let body = json!({ "success": true, "url": url, "expires_at": rfc3339(expires_at) });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}
