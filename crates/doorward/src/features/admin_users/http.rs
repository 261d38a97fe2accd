use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use doorward_core::UserId;
use doorward_core::email::Email;
use doorward_core::message::Message;
use doorward_core::name::DisplayName;
use doorward_core::password::Password;
use doorward_core::role::RoleName;
use http::StatusCode;
use serde_json::{Value, json};

use super::{CreateUser, ListedUser, Search, pages};
use crate::accounts::{Confirmation, UserChange};
use crate::app::App;
use crate::error::{Error, Result};
use crate::users::{User, rfc3339};
use crate::web::body::{Asked, Body, asked};
use crate::web::caller::{Caller, EndsSessions, ReadsSessions, ReadsUsers, WritesUsers};
use crate::web::confirm::{self, Confirming};
use crate::web::credential::go;
use crate::web::flash::Flashed;
use crate::web::peer::Peer;
use crate::web::reply::{form_or_json, go_or_tell};
use crate::wire::ack::ack;
use crate::wire::client_kind::ClientKind;
use crate::wire::page::context;
use crate::wire::query::Query;

/// How many rows a page has, and at most.
pub(super) const PAGE: u32 = 50;
pub(super) const MOST: u32 = 200;

fn id(text: &str) -> Result<UserId> {
    text.parse().map_err(|_| Error::NotFound)
}

pub(super) async fn list(
    State(app): State<App>,
    ReadsUsers(caller): ReadsUsers,
    kind: ClientKind,
    Flashed(said): Flashed,
    query: Query,
) -> Result<Response> {
    let search = Search {
        text: query.text("search").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
        role: query.parse("role", Message::new("role-no-name"))?,
        after: query.parse("after", Message::new("after-no-place"))?,
    };
    if search.text.as_ref().is_some_and(|text| text.len() > 200 || text.contains('\0')) {
        return Err(Error::field("search", Message::new("search-form").with("most", 200_u64)));
    }
    let limit = query.limit(PAGE, MOST)?;
    if kind.is_browser() {
        let shown = pages::list(&app, &caller, &search, limit, NewUser::blank()).await?;
        let context = context! { notice => said, ..shown };
        return Ok(app.pages.show(pages::LIST, StatusCode::OK, context));
    }
    let (users, next) = super::list_users(&app, &search, limit, Some(caller.user)).await?;
    Ok(Json(json!({ "users": users, "next": next })).into_response())
}

asked! {
    /// A user to make.
    pub(super) struct NewUser {
        name: DisplayName,
        email: Email,
        role: Option<RoleName>,
        password: Option<Password>,
        current_password: Option<Password>,
    }
}

pub(super) async fn create(
    State(app): State<App>,
    WritesUsers(caller): WritesUsers,
    client: Peer,
    Asked { body, sent }: Asked<NewUser>,
) -> Result<Response> {
    let created = async {
        let NewUser { name, email, role, password, current_password } = body?;
        let actor = confirm::actor(&app, &caller, &client, &sent, current_password).await?;
        let new = CreateUser { name, email, role: role.unwrap_or(RoleName::USER), password };
        super::create(&app, new, actor).await
    };
    let page = async || pages::list(&app, &caller, &Search::default(), PAGE, sent.shown()).await;
    form_or_json(&sent, created.await)
        .json(|user| (StatusCode::CREATED, changed(&user)))
        .goes(|user| go(&app, &super::USER_CREATED.at(&format!("/admin/users/{}", user.id))))
        .confirmed(&app, &caller, "confirm-user-new", "/admin/users")
        .await
        .again(pages::LIST, "create", page)
        .await
}

/// The answer to a program that changed a user.
fn changed(user: &User) -> Json<Value> {
    Json(json!({ "success": true, "user": ListedUser::from(user) }))
}

pub(super) async fn find(
    State(app): State<App>,
    ReadsUsers(caller): ReadsUsers,
    kind: ClientKind,
    Flashed(said): Flashed,
    Path(user): Path<String>,
) -> Result<Response> {
    let user = id(&user)?;
    if kind.is_browser() {
        let shown = pages::user(&app, &caller, user, Changes::blank()).await?;
        let context = context! { notice => said, ..shown };
        return Ok(app.pages.show(pages::USER, StatusCode::OK, context));
    }
    let user = app.users.find(user).await?.ok_or(Error::NotFound)?.user;
    Ok(Json(json!({ "user": ListedUser::from(&user) })).into_response())
}

asked! {
    /// The changes of a user.
    pub(super) struct Changes {
        name not empty: Option<DisplayName>,
        email not empty: Option<Email>,
        role not empty: Option<RoleName>,
        /// Whether the account is disabled.
        disabled not empty: Option<bool>,
        current_password: Option<Password>,
    }
}

pub(super) async fn change(
    State(app): State<App>,
    WritesUsers(caller): WritesUsers,
    Path(user): Path<String>,
    client: Peer,
    Asked { body, sent }: Asked<Changes>,
) -> Result<Response> {
    let user = id(&user)?;
    let changing = async {
        let Changes { name, email, role, disabled, current_password } = body?;
        let change = UserChange { name, email, role, disabled };
        if !change.only_disables() {
            app.disk.has_room()?;
        }
        if change.email.is_some() {
            // Admins change their own address in the profile, with the password: a stolen session must not take the
            // account over.
            is_other(&caller, user)?;
        }
        let actor = confirm::actor(&app, &caller, &client, &sent, current_password).await?;
        app.accounts.change(user, change, actor).await
    };
    let path = format!("/admin/users/{user}");
    // Each form of the page has one of them.
    let form = ["role", "disabled", "email"].into_iter().find(|field| sent.has(field)).unwrap_or("name");
    form_or_json(&sent, changing.await)
        .json(|user| changed(&user))
        .goes(|_| go(&app, &super::USER_CHANGED.at(&path)))
        .confirmed(&app, &caller, "confirm-user-change", &path)
        .await
        .again(pages::USER, form, async || pages::user(&app, &caller, user, sent.shown()).await)
        .await
}

/// Acts that end or open one's own account are done in the profile, with the password.
fn is_other(caller: &Caller, user: UserId) -> Result<()> {
    if caller.user == user { Err(Error::Forbidden) } else { Ok(()) }
}

pub(super) async fn delete(
    State(app): State<App>,
    WritesUsers(caller): WritesUsers,
    Path(user): Path<String>,
    client: Peer,
    Asked { body, sent }: Asked<Confirming>,
) -> Result<Response> {
    let user = id(&user)?;
    let deleted = async {
        let Confirming { current_password } = body?;
        is_other(&caller, user)?;
        let actor = confirm::actor(&app, &caller, &client, &sent, current_password).await?;
        app.accounts.delete(user, actor).await
    };
    form_or_json(&sent, deleted.await)
        .json(|()| ack("User deleted"))
        .goes(|()| go(&app, &super::USER_DELETED.at("/admin/users")))
        .confirmed(&app, &caller, "confirm-user-delete", &format!("/admin/users/{user}"))
        .await
        .again(pages::USER, "delete", async || pages::user(&app, &caller, user, Changes::blank()).await)
        .await
}

pub(super) async fn reset_link(
    State(app): State<App>,
    WritesUsers(caller): WritesUsers,
    Path(user): Path<String>,
    client: Peer,
    Asked { body, sent }: Asked<Confirming>,
) -> Result<Response> {
    let user = id(&user)?;
    let link = async {
        let Confirming { current_password } = body?;
        is_other(&caller, user)?;
        let actor = confirm::actor(&app, &caller, &client, &sent, current_password).await?;
        super::reset_link(&app, user, actor).await
    };
    let page = async || pages::user(&app, &caller, user, Changes::blank()).await;
    form_or_json(&sent, link.await)
        .json(|(url, expires_at)| Json(json!({ "url": url, "expires_at": rfc3339(expires_at) })))
        .page(async |(url, _)| {
            let context = context! { link => url, ..page().await? };
            Ok(app.pages.show(pages::USER, StatusCode::OK, context))
        })
        .await
        .confirmed(&app, &caller, "confirm-user-link", &format!("/admin/users/{user}"))
        .await
        .again(pages::USER, "link", page)
        .await
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
    client: Peer,
    kind: ClientKind,
    Path(user): Path<String>,
) -> Result<Response> {
    let user = id(&user)?;
    let sessions = super::end_sessions(&app, user, caller.actor(&client, Confirmation::None)).await?;
    let place = super::USER_SIGNED_OUT.at(&format!("/admin/users/{user}"));
    Ok(go_or_tell(&app, kind, &place, ack("Logged out from all devices").sessions(sessions)))
}
