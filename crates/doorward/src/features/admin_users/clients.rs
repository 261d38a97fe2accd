//! Registered clients: listing, making and deleting them.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use doorward_core::ClientId;
use doorward_core::message::Message;
use doorward_core::name::DisplayName;
use doorward_core::role::permission;
use http::StatusCode;
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde_json::json;
use zeroize::Zeroizing;

use super::http::{MOST, PAGE, waiting};
use super::pages;
use super::queries::cut;
use crate::accounts::Confirmation;
use crate::app::App;
use crate::error::{Error, Result};
use crate::web::caller::{Caller, ReadsClients, WritesClients};
use crate::web::client::Client;
use crate::web::confirm;
use crate::web::credential::go;
use crate::web::flash::Flashed;
use crate::web::home::may_see;
use crate::web::input::Input;
use crate::wire::done::done;
use crate::wire::query::Query;
use crate::wire::reader::Reader;

const LIST: &str = "clients.html";

pub(super) async fn list(
    State(app): State<App>,
    ReadsClients(caller): ReadsClients,
    reader: Reader,
    Flashed(said): Flashed,
    query: Query,
) -> Result<Response> {
    let (after, limit) = (query.parse("after", Message::new("after-no-client"))?, query.limit(PAGE, MOST)?);
    if reader.is_person() {
        let shown = page(&app, &caller, (after, limit), "").await?;
        return Ok(app.pages.show(LIST, StatusCode::OK, context! { notice => said, ..shown }));
    }
    let mut clients = app.clients.page(after, limit + 1, Some(caller.user)).await?;
    let next = cut(&mut clients, limit).map(|last| last.client_id);
    Ok(Json(json!({ "clients": clients, "next": next })).into_response())
}

async fn page(
    app: &App,
    caller: &Caller,
    (after, limit): (Option<ClientId>, u32),
    typed: &str,
) -> Result<Value> {
    let mut clients = app.clients.page(after, limit + 1, Some(caller.user)).await?;
    let next = cut(&mut clients, limit).map(|last| pages::next(last.client_id, limit));
    let write = app.settings.roles.grants(caller.role, permission::CLIENTS_WRITE);
    Ok(context! {
        clients => Value::from(Serde(clients)), next, later => after.is_some(), write,
        may => may_see(app, caller), typed => context! { name => typed }, made => (),
    })
}

/// A client that was made just now.
struct Made {
    id: ClientId,
    name: String,
    secret: Zeroizing<String>,
}

pub(super) async fn create(
    State(app): State<App>,
    WritesClients(caller): WritesClients,
    client: Client,
    mut input: Input,
) -> Result<Response> {
    let (is_form, typed) = (input.is_form, input.typed("name"));
    let waiting = waiting(&app, "A new client", ("/admin/clients", "/admin/clients"), &input);
    match create_by(&app, &caller, &client, &mut input).await {
        Ok(made) if is_form => {
            let Made { id, name, secret } = made;
            let made = context! { client_id => id.to_string(), name, client_secret => secret.as_str() };
            let shown = page(&app, &caller, (None, PAGE), "").await?;
            Ok(app.pages.show(LIST, StatusCode::CREATED, context! { made, ..shown }))
        }
        Ok(made) => {
            let body = json!({ "success": true, "client_id": made.id, "client_secret": *made.secret });
            Ok((StatusCode::CREATED, Json(body)).into_response())
        }
        Err(error) if is_form => match waiting.ask(&app, &caller, error).await {
            Ok(page) => Ok(page),
            Err(error) => error.in_form_of((LIST, "create"), page(&app, &caller, (None, PAGE), &typed).await),
        },
        Err(error) => Err(error),
    }
}

async fn create_by(app: &App, caller: &Caller, client: &Client, input: &mut Input) -> Result<Made> {
    let name = input.required::<DisplayName>("name");
    input.check()?;
    let Some(name) = name else { return Err(input.refuse()) };
    let actor = confirm::actor(app, caller, client, input).await?;
    let (id, secret) = app.clients.create(&name, &actor).await?;
    Ok(Made { id, name: name.to_string(), secret })
}

pub(super) async fn delete(
    State(app): State<App>,
    WritesClients(caller): WritesClients,
    (client, reader): (Client, Reader),
    Path(id): Path<String>,
) -> Result<Response> {
    let id: ClientId = id.parse().map_err(|_| Error::NotFound)?;
    if !app.clients.delete(id, &caller.actor(&client, Confirmation::None)).await? {
        return Err(Error::NotFound);
    }
    if reader.is_person() {
        return Ok(go(&app, &super::CLIENT_DELETED.at("/admin/clients")));
    }
    Ok(done("Client deleted").into_response())
}
