//! The tour: the flows of a sign-in server to play and to break, with JWT and session id beside each other.
//!
//! `GET /tour` → the list; for a browser the page. `POST /tour/play` {flow, broken?} → the played flow; with `broken`, a
//! request before and after that. Both names are of a closed list. Each play runs against a server of its own in memory:
//! see `tour.rs`. Only in development mode, on this machine.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorward_core::message::Message;
use http::StatusCode;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{Error, Result};
use crate::tour::{Break, SCRIPTS, Script, play, script};
use crate::web::api::{Routes, Who, describe};
use crate::web::body::{Asked, asked};
use crate::web::feature::{Feature, assets, templates, texts};
use crate::wire::client_kind::ClientKind;
use crate::wire::page::{Value as PageValue, context};
use crate::wire::shape::object;

pub(crate) const FEATURE: Feature = Feature {
    templates: templates!["tour.html"],
    texts: texts!("en.ftl"),
    assets: assets![
        "/assets/tour.js" = "text/javascript", "The script of the tour", "tour.js";
        "/assets/tour.css" = "text/css", "The style of the tour", "tour.css";
    ],
    ..Feature::new("tour", routes)
};

fn routes() -> Routes {
    let list_doc = describe("The flows of the tour", Who::Developer)
        .json(200, "the flows", object([("flows", list_shape())]))
        .page(200, "the page that plays them");
    let play_doc = describe("Play a flow", Who::Developer)
        .more("It is played against a server of its own in memory. With `broken`: the request before, and the same request after that was done.")
        .without_room()
        .body::<Wanted>()
        .json(200, "the played flow", played_shape());
    Routes::of("Seeing requests").get("/tour", list, list_doc.unrecorded()).post(
        "/tour/play",
        start,
        play_doc.unrecorded(),
    )
}

fn list_shape() -> Value {
    let example = json!({ "name": "logout", "title": "Logout", "about": "Logging out ends the session.", "breaks": [] });
    json!({ "type": "array", "items": { "type": "object", "examples": [example] } })
}

fn played_shape() -> Value {
    let text = "Its scenes, each with one request in both columns, and which of their steps are the same.";
    let example = json!({ "script": { "name": "logout" }, "broken": null, "scenes": [] });
    json!({ "type": "object", "title": "Played", "description": text, "examples": [example] })
}

asked! {
    /// A flow to play.
    struct Wanted {
        /// The name of the flow.
        flow: String,
        /// What to break after it: `character`, `wait`, `twice` or `phone`.
        broken: Option<String>,
    }
}

async fn list(State(app): State<App>, kind: ClientKind) -> Response {
    if !kind.is_browser() {
        return Json(json!({ "flows": SCRIPTS })).into_response();
    }
    let shown = |script: &Script| context! { name => script.name, title => script.title };
    let flows: Vec<PageValue> = SCRIPTS.iter().map(shown).collect();
    app.pages.show("tour.html", StatusCode::OK, context! { flows })
}

async fn start(State(app): State<App>, Asked { body, .. }: Asked<Wanted>) -> Result<Response> {
    let Wanted { flow, broken } = body?;
    let names = || SCRIPTS.iter().map(|script| script.name);
    let script = script(&flow).ok_or_else(|| one_of("flow", names()))?;
    let breaks = || script.breaks.iter().map(|one| one.name());
    let find = |name: String| script.breaks.iter().find(|one| one.name() == name).copied();
    let broken: Option<Break> = match broken {
        Some(name) => Some(find(name).ok_or_else(|| one_of("broken", breaks()))?),
        None => None,
    };
    // Only within a play is there no further server to open.
    let open = app.contributions.inner.ok_or(Error::NotFound)?;
    Ok(Json(play(open, *app.hashing.policy(), script, broken).await?).into_response())
}

fn one_of<'a>(field: &'static str, names: impl Iterator<Item = &'a str>) -> Error {
    let names = names.collect::<Vec<_>>().join(", ");
    Error::field(field, Message::new("value-one-of").with("names", names))
}

#[cfg(test)]
mod tests;
