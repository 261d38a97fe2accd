//! My devices: every session of mine, and ending them.
//!
//! `GET /sessions` lists them. `DELETE /sessions/{id}` ends one, 404 if it is not mine. `DELETE /sessions` ends all but
//! this one. Forms post to `/sessions/{id}/end` and `/sessions/end-others`.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use doorward_core::{Refusal, SessionId};
use doorward_guard::Identity;
use serde_json::json;

use crate::app::{App, Boxed, Card};
use crate::audit::{Action, By};
use crate::error::{Error, Result};
use crate::revocations::EndReason;
use crate::sessions;
use crate::web::api::{Routes, Who, describe};
use crate::web::credential::go;
use crate::web::feature::{Feature, templates, texts};
use crate::web::peer::Peer;
use crate::web::reply::go_or_tell;
use crate::wire::ack::{Ack, ack};
use crate::wire::client_kind::ClientKind;
use crate::wire::flash::Flash;
use crate::wire::page::{Serde, Value, context};
use crate::wire::shape::{object, of};

const DEVICE_SIGNED_OUT: Flash = Flash::new("device-signed-out");
const OTHERS_SIGNED_OUT: Flash = Flash::new("others-signed-out");

pub(crate) const FEATURE: Feature = Feature {
    templates: templates!["devices.html"],
    flashes: &[DEVICE_SIGNED_OUT, OTHERS_SIGNED_OUT],
    card: Some(Card { template: "devices.html", context: Some(card) }),
    texts: texts!("en.ftl"),
    ..Feature::new("devices", routes)
};

fn routes() -> Routes {
    let listed = object([("sessions", of::<Vec<sessions::SessionView>>())]);
    let list_doc = describe("List my sessions", Who::SignedIn)
        .json(200, "my live sessions, the newest first", listed)
        .goes("a browser, to /dashboard");
    let end_doc = describe("End one of my sessions", Who::SignedIn)
        .without_room()
        .json(200, "ended", Ack::shape("Session ended"))
        .goes("after a form, to /dashboard")
        .refuses([Error::NotFound]);
    let others_doc = describe("End all my other sessions", Who::SignedIn)
        .without_room()
        .json(200, "ended", Ack::shape_of_sessions("Other sessions ended"))
        .goes("after a form, to /dashboard");
    Routes::of("My sessions")
        .get("/sessions", list, list_doc)
        .delete("/sessions", end_others, others_doc.clone())
        .post("/sessions/end-others", end_others, others_doc)
        .delete("/sessions/{id}", end, end_doc.clone())
        .post("/sessions/{id}/end", end, end_doc)
}

fn card<'a>(app: &'a App, identity: &'a Identity) -> Boxed<'a, Result<Value>> {
    Box::pin(async {
        let mut sessions =
            app.sessions.list(identity.user, Some(identity.session), Some(identity.user)).await?;
        sessions.sort_by_key(|session| !session.current);
        Ok(context! { sessions => Value::from(Serde(sessions)) })
    })
}

async fn list(State(app): State<App>, identity: Identity, kind: ClientKind) -> Result<Response> {
    if kind.is_browser() {
        return Ok(go(&app, "/dashboard"));
    }
    let sessions = app.sessions.list(identity.user, Some(identity.session), Some(identity.user)).await?;
    if !sessions.iter().any(|session| session.current) {
        return Err(Refusal::SessionEnded.into());
    }
    Ok(Json(json!({ "sessions": sessions })).into_response())
}

async fn end(
    State(app): State<App>,
    identity: Identity,
    client: Peer,
    kind: ClientKind,
    Path(id): Path<String>,
) -> Result<Response> {
    // Not mine and unknown get the same answer (attack A02).
    let id: SessionId = id.parse().map_err(|_| Error::NotFound)?;
    if app.sessions.owner(id).await? != Some(identity.user) {
        // Deleted or signed out while the request was in flight.
        let is_live = app.sessions.owner(identity.session).await?.is_some();
        return Err(if is_live { Error::NotFound } else { Refusal::SessionEnded.into() });
    }
    let reason = if id == identity.session { EndReason::Logout } else { EndReason::EndedByUser };
    let this = sessions::Proved::unknown(id);
    app.sessions.end(vec![this], reason, Action::Logout, By::Owner(client.ip)).await?;
    Ok(go_or_tell(&app, kind, &DEVICE_SIGNED_OUT.at("/dashboard"), ack("Session ended")))
}

async fn end_others(
    State(app): State<App>,
    identity: Identity,
    client: Peer,
    kind: ClientKind,
) -> Result<Response> {
    let (keep, by) = (Some(identity.session), By::Owner(client.ip));
    let sessions = app.sessions.end_all(identity.user, keep, identity.session, by).await?;
    let told = ack("Other sessions ended").sessions(sessions);
    Ok(go_or_tell(&app, kind, &OTHERS_SIGNED_OUT.at("/dashboard"), told))
}

#[cfg(test)]
mod tests;
