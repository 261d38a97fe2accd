//! ClientCredentials clients: listing, making and deleting them.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use doorward_core::ClientId;
use doorward_core::message::Message;
use doorward_core::name::DisplayName;
use doorward_core::password::Password;
use doorward_core::role::permission;
use http::StatusCode;
use serde_json::json;
use zeroize::Zeroizing;

use super::http::{MOST, PAGE};
use super::pages;
use super::queries::cut;
use crate::accounts::Confirmation;
use crate::app::App;
use crate::error::{Error, Result};
use crate::web::account_page::may_see;
use crate::web::body::{Asked, Body, asked};
use crate::web::caller::{Caller, ReadsClients, WritesClients};
use crate::web::confirm;
use crate::web::flash::Flashed;
use crate::web::peer::Peer;
use crate::web::reply::{form_or_json, go_or_tell};
use crate::wire::ack::ack;
use crate::wire::client_kind::ClientKind;
use crate::wire::page::{Serde, Value, context};
use crate::wire::query::Query;

const LIST: &str = "clients.html";

pub(super) async fn list(
    State(app): State<App>,
    ReadsClients(caller): ReadsClients,
    kind: ClientKind,
    Flashed(said): Flashed,
    query: Query,
) -> Result<Response> {
    let (after, limit) = (query.parse("after", Message::new("after-no-client"))?, query.limit(PAGE, MOST)?);
    if kind.is_browser() {
        let shown = page(&app, &caller, after, limit, NewClient::blank()).await?;
        return Ok(app.pages.show(LIST, StatusCode::OK, context! { notice => said, ..shown }));
    }
    let mut clients = app.clients.page(after, limit + 1, Some(caller.user)).await?;
    let next = cut(&mut clients, limit).map(|last| last.client_id);
    Ok(Json(json!({ "clients": clients, "next": next })).into_response())
}

async fn page(
    app: &App,
    caller: &Caller,
    after: Option<ClientId>,
    limit: u32,
    typed: Value,
) -> Result<Value> {
    let mut clients = app.clients.page(after, limit + 1, Some(caller.user)).await?;
    let next = cut(&mut clients, limit).map(|last| pages::next(last.client_id, limit));
    let write = app.settings.roles.grants(caller.role, permission::CLIENTS_WRITE);
    Ok(context! {
        clients => Value::from(Serde(clients)), next, later => after.is_some(), write,
        may => may_see(app, caller), typed, made => (),
    })
}

/// A client that was made just now.
struct Made {
    id: ClientId,
    name: String,
    secret: Zeroizing<String>,
}

asked! {
    /// A client to register.
    pub(super) struct NewClient {
        name: DisplayName,
        current_password: Option<Password>,
    }
}

pub(super) async fn create(
    State(app): State<App>,
    WritesClients(caller): WritesClients,
    client: Peer,
    Asked { body, sent }: Asked<NewClient>,
) -> Result<Response> {
    let made = async {
        let NewClient { name, current_password } = body?;
        let actor = confirm::actor(&app, &caller, &client, &sent, current_password).await?;
        let (id, secret) = app.clients.create(&name, &actor).await?;
        Ok(Made { id, name: name.to_string(), secret })
    };
    form_or_json(&sent, made.await)
        .json(|Made { id, secret, .. }| {
            let body = json!({ "success": true, "client_id": id, "client_secret": *secret });
            (StatusCode::CREATED, Json(body))
        })
        .page(async |Made { id, name, secret }| {
            let made = context! { client_id => id.to_string(), name, client_secret => secret.as_str() };
            let shown = page(&app, &caller, None, PAGE, NewClient::blank()).await?;
            Ok(app.pages.show(LIST, StatusCode::CREATED, context! { made, ..shown }))
        })
        .await
        .confirmed(&app, &caller, "confirm-client-new", "/admin/clients")
        .await
        .again(LIST, "create", async || page(&app, &caller, None, PAGE, sent.shown()).await)
        .await
}

pub(super) async fn delete(
    State(app): State<App>,
    WritesClients(caller): WritesClients,
    client: Peer,
    kind: ClientKind,
    Path(id): Path<String>,
) -> Result<Response> {
    let id: ClientId = id.parse().map_err(|_| Error::NotFound)?;
    if !app.clients.delete(id, &caller.actor(&client, Confirmation::None)).await? {
        return Err(Error::NotFound);
    }
    Ok(go_or_tell(&app, kind, &super::CLIENT_DELETED.at("/admin/clients"), ack("Client deleted")))
}
