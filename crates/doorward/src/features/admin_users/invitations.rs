//! Unused invitations: listing, making and withdrawing them.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use doorward_core::LinkId;
use doorward_core::email::Email;
use doorward_core::message::Message;
use doorward_core::password::Password;
use doorward_core::role::{RoleName, permission};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::http::{MOST, PAGE};
use super::pages;
use super::queries::cut;
use super::records::name;
use crate::accounts::Confirmation;
use crate::app::App;
use crate::error::{Error, Result};
use crate::invitations::{self, ListedInvitation};
use crate::users::rfc3339;
use crate::web::account_page::may_see;
use crate::web::body::{Asked, Body, asked};
use crate::web::caller::{Caller, ReadsUsers, WritesUsers};
use crate::web::confirm;
use crate::web::flash::Flashed;
use crate::web::peer::Peer;
use crate::web::reply::{form_or_json, go_or_tell};
use crate::wire::ack::ack;
use crate::wire::client_kind::ClientKind;
use crate::wire::page::{Serde, Value, context};
use crate::wire::query::Query;

const LIST: &str = "invitations.html";

pub(super) async fn list(
    State(app): State<App>,
    ReadsUsers(caller): ReadsUsers,
    kind: ClientKind,
    Flashed(said): Flashed,
    query: Query,
) -> Result<Response> {
    let (after, limit) =
        (query.parse("after", Message::new("after-no-invitation"))?, query.limit(PAGE, MOST)?);
    if kind.is_browser() {
        let shown = page(&app, &caller, after, limit, Invitation::blank()).await?;
        return Ok(app.pages.show(LIST, StatusCode::OK, context! { notice => said, ..shown }));
    }
    let mut invitations =
        invitations::list(&app.store, after, limit + 1, app.now(), Some(caller.user)).await?;
    let next = cut(&mut invitations, limit).map(|last| last.id);
    Ok(Json(json!({ "invitations": invitations, "next": next })).into_response())
}

/// An invitation on its page, with its maker's name.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    invitation: ListedInvitation,
    maker_name: Option<String>,
    may_withdraw: bool,
}

async fn page(app: &App, caller: &Caller, after: Option<LinkId>, limit: u32, typed: Value) -> Result<Value> {
    let mut invitations =
        invitations::list(&app.store, after, limit + 1, app.now(), Some(caller.user)).await?;
    let next = cut(&mut invitations, limit).map(|last| pages::next(last.id, limit));
    let roles = &app.settings.roles;
    let write = roles.grants(caller.role, permission::USERS_WRITE);
    let mut rows = Vec::new();
    for invitation in invitations {
        let may_withdraw = write && roles.covers(caller.role, invitation.role);
        rows.push(Row { maker_name: name(app, invitation.maker_id).await?, may_withdraw, invitation });
    }
    Ok(context! {
        invitations => Value::from(Serde(rows)), next, later => after.is_some(), write,
        may => may_see(app, caller), roles => pages::names(app, Some(caller)), typed, link => (),
    })
}

asked! {
    /// An invitation to make.
    pub(super) struct Invitation {
        /// Only this address can use it; without one, anyone with the link.
        email: Option<Email>,
        role: Option<RoleName>,
        current_password: Option<Password>,
    }
}

pub(super) async fn invite(
    State(app): State<App>,
    WritesUsers(caller): WritesUsers,
    client: Peer,
    Asked { body, sent }: Asked<Invitation>,
) -> Result<Response> {
    let link = async {
        let Invitation { email, role, current_password } = body?;
        let actor = confirm::actor(&app, &caller, &client, &sent, current_password).await?;
        super::invite(&app, email, role.unwrap_or(RoleName::USER), actor).await
    };
    form_or_json(&sent, link.await)
        .json(|(url, expires_at)| {
            let body = json!({ "success": true, "url": url, "expires_at": rfc3339(expires_at) });
            (StatusCode::CREATED, Json(body))
        })
        .page(async |(url, _)| {
            let shown = page(&app, &caller, None, PAGE, Invitation::blank()).await?;
            Ok(app.pages.show(LIST, StatusCode::CREATED, context! { link => url, ..shown }))
        })
        .await
        .confirmed(&app, &caller, "confirm-invitation", "/admin/invitations")
        .await
        .again(LIST, "invite", async || page(&app, &caller, None, PAGE, sent.shown()).await)
        .await
}

pub(super) async fn withdraw(
    State(app): State<App>,
    WritesUsers(caller): WritesUsers,
    client: Peer,
    kind: ClientKind,
    Path(link): Path<String>,
) -> Result<Response> {
    let link: LinkId = link.parse().map_err(|_| Error::NotFound)?;
    app.accounts.withdraw(link, caller.actor(&client, Confirmation::None)).await?;
    let place = super::INVITATION_WITHDRAWN.at("/admin/invitations");
    Ok(go_or_tell(&app, kind, &place, ack("Invitation withdrawn")))
}
