use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use doorward_core::email::Email;
use doorward_core::message::Message;
use doorward_core::name::DisplayName;
use doorward_core::password::Password;
use doorward_core::role::RoleName;
use doorward_core::{Timestamp, UserId};
use http::StatusCode;
use minijinja::{Value, context};
use serde_json::json;

use super::{Listed, Search, pages};
use crate::accounts::{Confirmation, UserChange};
use crate::app::App;
use crate::error::{Error, Result};
use crate::users::{User, rfc3339};
use crate::web::caller::{Caller, EndsSessions, ReadsSessions, ReadsUsers, WritesUsers};
use crate::web::client::Client;
use crate::web::confirm::{self, Waiting};
use crate::web::credential::go;
use crate::web::flash::Flashed;
use crate::web::input::Input;
use crate::wire::done::done;
use crate::wire::query::Query;
use crate::wire::reader::Reader;

/// How many rows a page has, and at most.
pub(super) const PAGE: u32 = 50;
pub(super) const MOST: u32 = 200;

fn id(text: &str) -> Result<UserId> {
    text.parse().map_err(|_| Error::NotFound)
}

pub(super) async fn list(
    State(app): State<App>,
    ReadsUsers(caller): ReadsUsers,
    reader: Reader,
    Flashed(said): Flashed,
    query: Query,
) -> Result<Response> {
    let search = Search {
        text: query.text("search").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
        role: query.parse("role", Message::new("role-no-name"))?,
        after: query.parse("after", Message::new("after-no-user"))?,
    };
    if search.text.as_ref().is_some_and(|text| text.len() > 200 || text.contains('\0')) {
        return Err(Error::field("search", Message::new("search-form").with("most", 200_u64)));
    }
    let limit = query.limit(PAGE, MOST)?;
    if reader.is_person() {
        let shown = pages::list(&app, &caller, (&search, limit), typed(None)).await?;
        let context = context! { notice => said, ..shown };
        return Ok(app.pages.show(pages::LIST, StatusCode::OK, context));
    }
    let (users, next) = super::list_users(&app, &search, limit, Some(caller.user)).await?;
    Ok(Json(json!({ "users": users, "next": next })).into_response())
}

pub(super) async fn create(
    State(app): State<App>,
    WritesUsers(caller): WritesUsers,
    client: Client,
    mut input: Input,
) -> Result<Response> {
    let (is_form, typed) = (input.is_form, typed(Some(&input)));
    let waiting = waiting(&app, "A new user", ("/admin/users", "/admin/users"), &input);
    match create_by(&app, &caller, &client, &mut input).await {
        Ok(user) if is_form => Ok(go(&app, &super::USER_CREATED.at(&format!("/admin/users/{}", user.id)))),
        Ok(user) => {
            let body = json!({ "success": true, "user": Listed::from(&user) });
            Ok((StatusCode::CREATED, Json(body)).into_response())
        }
        Err(error) if is_form => match waiting.ask(&app, &caller, error).await {
            Ok(page) => Ok(page),
            Err(error) => {
                let shown = pages::list(&app, &caller, (&Search::default(), PAGE), typed).await;
                error.in_form_of((pages::LIST, "create"), shown)
            }
        },
        Err(error) => Err(error),
    }
}

async fn create_by(app: &App, caller: &Caller, client: &Client, input: &mut Input) -> Result<User> {
    let (name, email) = (input.required::<DisplayName>("name"), input.required::<Email>("email"));
    let role = input.optional("role").unwrap_or(RoleName::USER);
    let password = input.optional::<Password>("password");
    input.check()?;
    let (Some(name), Some(email)) = (name, email) else { return Err(input.refuse()) };
    let actor = confirm::actor(app, caller, client, input).await?;
    super::create(app, (name, email, role), password, actor).await
}

/// What stands in the fields of a form that is shown again.
fn typed(input: Option<&Input>) -> Value {
    let [name, email, role] =
        ["name", "email", "role"].map(|field| input.map(|input| input.typed(field)).unwrap_or_default());
    context! { name, email, role }
}

pub(super) async fn find(
    State(app): State<App>,
    ReadsUsers(caller): ReadsUsers,
    reader: Reader,
    Flashed(said): Flashed,
    Path(user): Path<String>,
) -> Result<Response> {
    let user = id(&user)?;
    if reader.is_person() {
        let shown = pages::user(&app, &caller, user, typed(None)).await?;
        let context = context! { notice => said, ..shown };
        return Ok(app.pages.show(pages::USER, StatusCode::OK, context));
    }
    let (user, _) = app.users.find(user).await?.ok_or(Error::NotFound)?;
    Ok(Json(json!({ "user": Listed::from(&user) })).into_response())
}

pub(super) async fn change(
    State(app): State<App>,
    WritesUsers(caller): WritesUsers,
    Path(user): Path<String>,
    client: Client,
    mut input: Input,
) -> Result<Response> {
    let user = id(&user)?;
    // Each form of the page has one of them.
    let form = ["role", "disabled", "email"].into_iter().find(|field| input.has(field)).unwrap_or("name");
    let (is_form, typed, path) = (input.is_form, typed(Some(&input)), format!("/admin/users/{user}"));
    let waiting = waiting(&app, "This change", (&path, &path), &input);
    match change_by(&app, &caller, user, &client, &mut input).await {
        Ok(_) if is_form => Ok(go(&app, &super::USER_CHANGED.at(&path))),
        Ok(user) => Ok(Json(json!({ "success": true, "user": Listed::from(&user) })).into_response()),
        Err(error) if is_form => match waiting.ask(&app, &caller, error).await {
            Ok(page) => Ok(page),
            Err(error) => {
                error.in_form_of((pages::USER, form), pages::user(&app, &caller, user, typed).await)
            }
        },
        Err(error) => Err(error),
    }
}

async fn change_by(
    app: &App,
    caller: &Caller,
    user: UserId,
    client: &Client,
    input: &mut Input,
) -> Result<User> {
    let change = UserChange {
        name: input.where_sent("name"),
        email: input.where_sent("email"),
        role: input.where_sent("role"),
        disabled: input.optional_bool("disabled"),
    };
    input.check()?;
    if !change.only_disables() {
        app.disk.has_room()?;
    }
    if change.email.is_some() && caller.user == user {
        // One's own address is changed in the profile, with the password: a stolen session must not become the account.
        return Err(Error::Forbidden);
    }
    let actor = confirm::actor(app, caller, client, input).await?;
    app.accounts.change(user, change, actor).await
}

pub(super) async fn delete(
    State(app): State<App>,
    WritesUsers(caller): WritesUsers,
    Path(user): Path<String>,
    client: Client,
    mut input: Input,
) -> Result<Response> {
    let user = id(&user)?;
    let (is_form, path) = (input.is_form, format!("/admin/users/{user}"));
    let waiting = waiting(&app, "Deleting this user", (&format!("{path}/delete"), &path), &input);
    match delete_by(&app, &caller, user, &client, &mut input).await {
        Ok(()) if is_form => Ok(go(&app, &super::USER_DELETED.at("/admin/users"))),
        Ok(()) => Ok(done("User deleted").into_response()),
        Err(error) if is_form => match waiting.ask(&app, &caller, error).await {
            Ok(page) => Ok(page),
            Err(error) => {
                let shown = pages::user(&app, &caller, user, typed(None)).await;
                error.in_form_of((pages::USER, "delete"), shown)
            }
        },
        Err(error) => Err(error),
    }
}

async fn delete_by(
    app: &App,
    caller: &Caller,
    user: UserId,
    client: &Client,
    input: &mut Input,
) -> Result<()> {
    if caller.user == user {
        // One's own account is deleted in the profile, with the password.
        return Err(Error::Forbidden);
    }
    let actor = confirm::actor(app, caller, client, input).await?;
    app.accounts.delete(user, actor).await
}

pub(super) async fn reset_link(
    State(app): State<App>,
    WritesUsers(caller): WritesUsers,
    Path(user): Path<String>,
    client: Client,
    mut input: Input,
) -> Result<Response> {
    let user = id(&user)?;
    let (is_form, path) = (input.is_form, format!("/admin/users/{user}"));
    let waiting = waiting(&app, "A reset link", (&format!("{path}/reset-link"), &path), &input);
    match reset_link_by(&app, &caller, user, &client, &mut input).await {
        Ok((url, _)) if is_form => {
            let shown = pages::user(&app, &caller, user, typed(None)).await?;
            Ok(app.pages.show(pages::USER, StatusCode::OK, context! { link => url, ..shown }))
        }
        Ok((url, expires_at)) => {
            Ok(Json(json!({ "url": url, "expires_at": rfc3339(expires_at) })).into_response())
        }
        Err(error) if is_form => match waiting.ask(&app, &caller, error).await {
            Ok(page) => Ok(page),
            Err(error) => {
                let shown = pages::user(&app, &caller, user, typed(None)).await;
                error.in_form_of((pages::USER, "link"), shown)
            }
        },
        Err(error) => Err(error),
    }
}

async fn reset_link_by(
    app: &App,
    caller: &Caller,
    user: UserId,
    client: &Client,
    input: &mut Input,
) -> Result<(String, Timestamp)> {
    if caller.user == user {
        // One's own password is changed with the current one: a stolen session must not become the account.
        return Err(Error::Forbidden);
    }
    let actor = confirm::actor(app, caller, client, input).await?;
    super::reset_link(app, user, actor).await
}

/// A form that may have to wait for the password: where it was sent to, and where to go without it.
pub(super) fn waiting(
    app: &App,
    purpose: &'static str,
    (action, back): (&str, &str),
    input: &Input,
) -> Waiting {
    Waiting::of(app, purpose, (action.to_owned(), back.to_owned()), input)
}

pub(super) async fn sessions_of(
    State(app): State<App>,
    ReadsSessions(caller): ReadsSessions,
    Path(user): Path<String>,
) -> Result<Response> {
    let sessions = super::sessions_of(&app, id(&user)?, Some(caller.user)).await?;
    Ok(Json(json!({ "sessions": sessions })).into_response())
}

pub(super) async fn end_sessions(
    State(app): State<App>,
    EndsSessions(caller): EndsSessions,
    (client, reader): (Client, Reader),
    Path(user): Path<String>,
) -> Result<Response> {
    let user = id(&user)?;
    let sessions = super::end_sessions(&app, user, caller.actor(&client, Confirmation::None)).await?;
    if reader.is_person() {
        return Ok(go(&app, &super::USER_SIGNED_OUT.at(&format!("/admin/users/{user}"))));
    }
    Ok(done("Logged out from all devices").sessions(sessions).into_response())
}
