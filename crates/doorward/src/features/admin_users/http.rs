use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::password::Password;
use doorward_core::role::{RoleName, permission};
use doorward_core::{SessionId, UserId};
use http::StatusCode;
use serde_json::{Value, json};

use super::{Listed, ListedSession, Search};
use crate::accounts::Change;
use crate::app::App;
use crate::audit::{self, Action, Entry};
use crate::error::{Error, Result};
use crate::sessions;
use crate::shape::{Shape, described, exactly, object, of};
use crate::users::rfc3339;
use crate::web::api::Who::May;
use crate::web::api::{Routes, Says, optional, required, says};
use crate::web::caller::{EndsSessions, ReadsAudit, ReadsSessions, ReadsUsers, WritesUsers};
use crate::web::client::Client;
use crate::web::done::{Done, done};
use crate::web::input::Input;
use crate::web::query::Query;

pub(crate) fn routes() -> Routes {
    users().merge(sessions_and_log())
}

fn users() -> Routes {
    use permission::{USERS_READ, USERS_WRITE};
    let user = || ("user", of::<Listed>());
    let changed = || object([("success", exactly(true)), user()]);
    let list_says = page::<Listed, UserId>("List users", USERS_READ, "users", "by id")
        .query("search", of::<&str>(), "A part of the name or address, at most 200 bytes.")
        .query("role", of::<RoleName>(), "Only this role.");
    let fields = [
        required::<DisplayName>("name"),
        required::<Email>("email"),
        optional::<RoleName>("role"),
        optional::<Password>("password"),
    ];
    let create_says = says("Make a user", May(USERS_WRITE))
        .more("Without a password, a reset link lets them in.")
        .body(fields)
        .json(201, "made", changed())
        .refuses([Error::EmailTaken]);
    let fields = [
        optional::<DisplayName>("name"),
        optional::<Email>("email"),
        optional::<RoleName>("role"),
        optional::<bool>("disabled"),
    ];
    let change_says = says("Change a user", May(USERS_WRITE))
        .more("Nobody gives, or acts on, more than they have. One's own address is changed in the profile.")
        .body(fields)
        .json(200, "changed", changed())
        .refuses([Error::NotFound, Error::EmailTaken, Error::LastAdmin]);
    let delete_says = says("Delete a user", May(USERS_WRITE))
        .json(200, "deleted", Done::shape("User deleted"))
        .refuses([Error::NotFound, Error::LastAdmin]);
    let find_says = says("Show a user", May(USERS_READ)).json(200, "the user", object([user()]));
    let link_says = says("Make a link to reset a user's password", May(USERS_WRITE))
        .json(200, "the link, good for an hour and one use", link(false))
        .refuses([Error::NotFound]);
    let invite_says = says("Make an invitation to register", May(USERS_WRITE))
        .more("For one address, or for anybody.")
        .body([optional::<Email>("email"), optional::<RoleName>("role")])
        .json(201, "the link, good for seven days and one use", link(true));
    Routes::of("Administration")
        .get("/admin/users", list, list_says)
        .post("/admin/users", create, create_says)
        .get("/admin/users/{id}", find, find_says.refuses([Error::NotFound]))
        .patch("/admin/users/{id}", change, change_says)
        .delete("/admin/users/{id}", delete, delete_says)
        .post("/admin/users/{id}/reset-link", reset_link, link_says)
        .post("/admin/invitations", invite, invite_says)
}

fn sessions_and_log() -> Routes {
    use permission::{AUDIT_READ, SESSIONS_END, SESSIONS_READ};
    let of_user_says = says("List a user's sessions", May(SESSIONS_READ))
        .json(200, "the live ones, the newest first", object([("sessions", of::<Vec<sessions::Shown>>())]))
        .refuses([Error::NotFound]);
    let end_says = says("Sign a user out everywhere", May(SESSIONS_END))
        .json(200, "ended", Done::shape_of_sessions("Logged out from all devices"))
        .refuses([Error::NotFound]);
    let sessions_say =
        page::<ListedSession, SessionId>("List everybody's sessions", SESSIONS_READ, "sessions", "by id");
    let log_says =
        page::<audit::Shown, SessionId>("The audit log", AUDIT_READ, "entries", "the newest first");
    Routes::of("Administration")
        .get("/admin/users/{id}/sessions", sessions_of, of_user_says)
        .delete("/admin/users/{id}/sessions", end_sessions, end_says)
        .get("/admin/sessions", sessions, sessions_say)
        .get("/admin/audit", audit_log, log_says)
}

/// A list in pages, each of which says where the next one begins.
fn page<T: Shape, Id: Shape>(
    summary: &'static str,
    permission: &'static str,
    name: &'static str,
    order: &'static str,
) -> Says {
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 });
    let next = described(of::<Option<Id>>(), "Where the next page begins: `after`. Null on the last one.");
    says(summary, May(permission))
        .query("after", of::<Id>(), "`next` of the page before.")
        .query("limit", limit, "How many at most.")
        .json(200, order, object([(name, of::<Vec<T>>()), ("next", next)]))
        .refuses([Error::InvalidInput(Vec::new())])
}

fn link(made: bool) -> Value {
    let link = [("url", of::<String>()), ("expires_at", of::<String>())];
    object(made.then(|| ("success", exactly(true))).into_iter().chain(link))
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
    let next = entries.last().filter(|_| full).map(|entry| entry.id);
    Ok(Json(json!({ "entries": entries, "next": next })).into_response())
}

async fn invite(State(app): State<App>, caller: WritesUsers, mut input: Input) -> Result<Response> {
    let (email, role) = (input.optional::<Email>("email"), input.optional("role").unwrap_or(RoleName::USER));
    input.check()?;
    let (url, expires_at) = super::invite(&app, (email, role), caller.actor()).await?;
    let body = json!({ "success": true, "url": url, "expires_at": rfc3339(expires_at) });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}
