//! Seeing requests: `GET /flow` → those in memory, for a browser as a page that draws each as a sequence diagram while it
//! happens, from server-sent events at the same path. `GET /flow/{id}` → one of them; with `.svg`, `.txt`, `.mmd` or
//! `.flow.json` after the id as a file. `GET /flow/stories/{id}` → a session from its sign-in to its end.
//!
//! They are open in development mode, and to roles that grant `flow:read`. None of these requests is recorded itself.

mod filter;
mod look;
mod story;
mod stream;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use doorward_core::role::permission::FLOW_READ;
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use self::filter::Filter;
use self::look::{FLOWS_VIEWED, audited};
use self::story::{Story, story};
use crate::app::App;
use crate::error::{Error, Result};
use crate::flow::draw::{self, Style};
use crate::flow::{Flow, words};
use crate::web::api::{Description, Routes, Who, describe};
use crate::web::dev::Viewer;
use crate::web::feature::{Feature, assets, templates, texts};
use crate::web::peer::Peer;
use crate::wire::client_kind::ClientKind;
use crate::wire::events::wants_events;
use crate::wire::page::context;
use crate::wire::query::Query;
use crate::wire::shape::{object, of};

pub(crate) const FEATURE: Feature = Feature {
    templates: templates!["flow.html"],
    texts: texts!("en.ftl"),
    assets: assets![
        "/assets/diagram.js" = "text/javascript", "Draws a flow in a page", "diagram.js";
        "/assets/facts.js" = "text/javascript", "Words for the facts of a flow", "facts.js";
        "/assets/read.js" = "text/javascript", "Reads a flow from outside", "read.js";
        "/assets/diagram.css" = "text/css", "The style of a drawn flow", "diagram.css";
        "/assets/flow.js" = "text/javascript", "The script of the page of requests", "flow.js";
        "/assets/flow.css" = "text/css", "The style of the page of requests", "flow.css";
    ],
    actions: &[FLOWS_VIEWED],
    ..Feature::new("flow", routes)
};

/// How many flows an answer has, and at most.
const USUAL: u32 = 50;
const MOST: u32 = 500;
/// How many columns a drawing in plain text has.
const COLUMNS: usize = 100;

/// A browser shows such a file as an image, and runs nothing in it.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'; style-src 'none'");

fn routes() -> Routes {
    let who = Who::DeveloperOr(FLOW_READ);
    let list_doc = describe("The requests in memory", who)
        .more("The newest first, each with its steps. `refusals` counts those of the last hour by the first check that failed. As \
            server-sent events if `Accept` lists text/event-stream: `flow` for those in memory and each new one, \
            `refusals`, `current` after those in memory, and `dropped` with `{count}` if requests came too fast to be \
            recorded. At most 20 watch at once.")
        .query("limit", json!({ "type": "integer", "minimum": 1, "maximum": MOST }), "how many")
        .json(
            200,
            "the requests",
            object([("flows", list_of(flow_shape())), ("refusals", list_of(refused_shape()))]),
        )
        .content(200, "the events", "text/event-stream", json!({ "type": "string" }))
        .page(200, "the same for a browser, live");
    let one_doc = describe("One request", who)
        .more("With `.svg`, `.txt`, `.mmd` or `.flow.json` after the id, it is a file.")
        .json(200, "the request", flow_shape())
        .page(200, "the same for a browser")
        .content(200, "a drawing", "image/svg+xml", json!({ "type": "string" }))
        .content(200, "a drawing in text, or for Mermaid", "text/plain", json!({ "type": "string" }))
        .refuses([Error::NotFound]);
    let story_doc = describe("The story of a session", who)
        .json(200, "how it began, what happened, how it ended", of::<Story>())
        .refuses([Error::NotFound]);
    let words_doc = describe("The tables by which flows are read", Who::Anybody)
        .more("In a flow, lanes, verbs and labels are places in these lists.")
        .json(200, "the tables", json!({ "type": "object", "examples": [{ "lanes": ["Client"], "verbs": [], "labels": ["found in"] }] }));
    Routes::of("Seeing requests")
        .get("/flow", list, filtered(list_doc).unrecorded())
        .get("/flow/stories/{id}", story_of, story_doc.unrecorded())
        .get("/flow/{id}", one, one_doc.unrecorded())
        .get("/assets/words.json", tables, words_doc.unrecorded())
}

/// By what the flows are chosen.
fn filtered(description: Description) -> Description {
    let text = || json!({ "type": "string" });
    description
        .query("id", text(), "the id of the request, as in `X-Request-Id`")
        .query("user", text(), "the id of its user")
        .query(
            "address",
            text(),
            "the email address that was typed, or its user's; it is compared as a keyed hash",
        )
        .query("session", text(), "the id of its session")
        .query("route", text(), "how its route begins")
        .query("verdict", text(), "`answered`, `refused`, or the code of a refusal")
        .refuses([Error::InvalidInput(Vec::new())])
}

/// The shape of a flow.
fn flow_shape() -> Value {
    let text = "A request and its steps. The names of verbs and labels are in /assets/words.json.";
    let example = json!({
        "id": "414ffd6d84918b1500000541", "at": 1_773_480_413_000_i64, "method": "GET", "route": "/profile", "status": 401,
        "code": "token_missing", "total_us": 312, "steps": [{ "verb": 3, "verdict": "done", "at_us": 0 }],
    });
    json!({ "type": "object", "title": "Flow", "description": text, "examples": [example] })
}

/// The shape of counted refusals.
fn refused_shape() -> Value {
    let text = "The refusals of one code by the first check that failed, in the last hour.";
    let example = json!({
        "code": "token_invalid", "verb": 16, "check": "signature", "count": 12_000, "since": 1_773_480_413_000_i64,
        "sample": "414ffd6d84918b1500000541",
    });
    json!({ "type": "object", "title": "RefusedGroup", "description": text, "examples": [example] })
}

fn list_of(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

async fn list(
    State(app): State<App>,
    viewer: Viewer,
    kind: ClientKind,
    peer: Peer,
    headers: HeaderMap,
    query: Query,
) -> Result<Response> {
    if wants_events(&headers) {
        let filter = Filter::read(&app, &query).await?;
        audited(&app, &viewer, &peer, format!("the stream{}", filter.about())).await?;
        return stream::open(&app, viewer, filter);
    }
    if kind.is_browser() {
        audited(&app, &viewer, &peer, "the page".into()).await?;
        return Ok(page(&app, &viewer, true));
    }
    let (filter, limit) = (Filter::read(&app, &query).await?, query.limit(USUAL, MOST)?);
    audited(&app, &viewer, &peer, format!("the list{}", filter.about())).await?;
    let flows = app.flows.find(limit as usize, |flow| filter.meets(flow));
    let flows: Vec<&Flow> = flows.iter().map(|flow| &**flow).collect();
    Ok(Json(json!({ "flows": flows, "refusals": app.flows.refusals(app.now()) })).into_response())
}

/// The page fetches what it shows. If the request of its URL is not in memory, it says so.
fn page(app: &App, viewer: &Viewer, is_found: bool) -> Response {
    let may = viewer.may_see(app);
    app.pages.show("flow.html", StatusCode::OK, context! { may, is_found })
}

async fn one(
    State(app): State<App>,
    viewer: Viewer,
    kind: ClientKind,
    peer: Peer,
    Path(name): Path<String>,
) -> Result<Response> {
    let (id, form) = name.split_once('.').map_or((name.as_str(), None), |(id, form)| (id, Some(form)));
    let flow = app.flows.get(id);
    if form.is_none() && kind.is_browser() {
        audited(&app, &viewer, &peer, "the page".into()).await?;
        return Ok(page(&app, &viewer, flow.is_some()));
    }
    let flow = flow.ok_or(Error::NotFound)?;
    let answer = match form {
        None => Json(&*flow).into_response(),
        Some(form) => file(&flow, form).ok_or(Error::NotFound)?,
    };
    audited(&app, &viewer, &peer, format!("request {name}")).await?;
    Ok(answer)
}

/// The flow as a file; `None` if there is no such form.
fn file(flow: &Flow, form: &str) -> Option<Response> {
    let (media, body) = match form {
        "svg" => ("image/svg+xml", draw::svg(flow)),
        "txt" => {
            let style = Style { colour: false, width: COLUMNS };
            ("text/plain; charset=utf-8", draw::text(&[flow.into()], style))
        }
        "mmd" => ("text/plain; charset=utf-8", draw::mermaid(flow)),
        "flow.json" => ("application/json", draw::file(flow).to_string()),
        _ => return None,
    };
    // An id has hexadecimal digits only.
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{}.{form}\"", flow.id)).ok()?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media)),
        (CONTENT_DISPOSITION, disposition),
        (CONTENT_SECURITY_POLICY, SANDBOX),
    ];
    Some((headers, body).into_response())
}

async fn story_of(
    State(app): State<App>,
    viewer: Viewer,
    peer: Peer,
    Path(id): Path<String>,
) -> Result<Json<Story>> {
    let id = id.parse().map_err(|_| Error::NotFound)?;
    audited(&app, &viewer, &peer, format!("the story of session {id}")).await?;
    let asked_by = match &viewer {
        Viewer::Developer => None,
        Viewer::Admin(caller, _) => Some(caller.user),
    };
    Ok(Json(story(&app, id, asked_by).await?))
}

async fn tables() -> Json<Value> {
    Json(words())
}

#[cfg(test)]
mod tests;
