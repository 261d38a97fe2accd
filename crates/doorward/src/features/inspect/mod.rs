//! The inspector: `GET /inspect` is a page that says what a pasted text is, and what a token says. It decodes in the
//! browser, and sends nothing but an access token: `POST /inspect` with `token` says why that one is accepted or
//! refused, in the words of `doorward token explain`.
//!
//! In development mode both answer to this machine alone, and otherwise to roles that grant `flow:read`. A page of
//! another origin is refused, also a listed one. A body has at most 16 KiB, and a text that is no access token by its
//! form is refused unread. The token appears in no log, flow or audit entry. It costs as much as a request with a bad
//! token, so it has no limit of its own.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use doorward_core::message::Message;
use doorward_core::role::permission::FLOW_READ;
use doorward_core::token::{Kind, recognise};
use http::{HeaderMap, StatusCode, Uri};
use zeroize::Zeroizing;

use crate::app::App;
use crate::error::{Error, Result};
use crate::explain::{Explained, explain};
use crate::web::api::{Routes, Who, describe};
use crate::web::body::{Asked, asked};
use crate::web::dev::Viewer;
use crate::web::feature::{Feature, assets, templates, texts};
use crate::wire::origins::Sender;
use crate::wire::page::{Value, context};
use crate::wire::shape::of;

pub(crate) const FEATURE: Feature = Feature {
    templates: templates!["inspect.html"],
    assets: assets![
        "/assets/inspect.js" = "text/javascript", "The script of the inspector", "inspect.js";
        "/assets/inspect.css" = "text/css", "The style of the inspector", "inspect.css";
    ],
    texts: texts!("en.ftl"),
    ..Feature::new("inspect", routes)
};

fn routes() -> Routes {
    let page_doc =
        describe("The page of the inspector", Who::DeveloperOr(FLOW_READ)).unrecorded().page(200, "the page");
    let explain_doc = describe("Why a token is accepted or refused", Who::DeveloperOr(FLOW_READ))
        .more("The same as `doorward token explain --json`. Only an access token is read, and it is neither logged nor kept.")
        .without_room()
        .unrecorded()
        .body::<Inspect>()
        .json(200, "each check with its result", of::<Explained>());
    Routes::of("Seeing requests").get("/inspect", page, page_doc).post("/inspect", inspect, explain_doc)
}

asked! {
    /// What is explained.
    struct Inspect {
        /// An access token: the three parts of a JWT.
        token: Zeroizing<String>,
    }
    at most 16_384 bytes;
}

async fn page(State(app): State<App>, viewer: Viewer) -> Response {
    let kind = |kind: &Kind| context! { name => kind.name, text => kind.text };
    let kinds = Kind::ALL.iter().map(kind).collect::<Vec<Value>>();
    let may = viewer.may_see(&app);
    app.pages.show("inspect.html", StatusCode::OK, context! { kinds, may })
}

async fn inspect(
    State(app): State<App>,
    _: Viewer,
    headers: HeaderMap,
    uri: Uri,
    Asked { body, sent }: Asked<Inspect>,
) -> Result<Json<Explained>> {
    if !matches!(app.origins.unlisted(&headers, &uri), Sender::Own) {
        return Err(Error::CrossSite);
    }
    // Forms are remembered, so that a repeated one runs once.
    if sent.is_form {
        return Err(Error::UnsupportedMediaType("The body is a form"));
    }
    let Inspect { token } = body?;
    is_like_one(&token).map_err(|problem| Error::field("token", problem))?;
    explain(&app, &token).await.map(Json)
}

/// Whether a text is an access token by its form. A secret is not even read.
fn is_like_one(text: &str) -> Result<(), Message> {
    if let Some(kind) = recognise(text) {
        return Err(Message::new("inspect-other").with("what", kind.text));
    }
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let is_jwt = text.split('.').count() == 3 && text.split('.').all(is_part);
    if is_jwt { Ok(()) } else { Err(Message::new("inspect-parts")) }
}

#[cfg(test)]
mod tests;
