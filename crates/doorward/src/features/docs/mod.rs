//! The API, described: `GET /openapi.json` → OpenAPI 3.1, for programs. `GET /docs` is the same for people.
//!
//! Both are made once, at the first request, from the descriptions of the routes.

mod page;

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::extract::State;
use serde_json::json;

use crate::app::App;
use crate::web::api::{self, Routes, Who, all, describe};
use crate::web::feature::{Feature, templates, texts};

pub(crate) const FEATURE: Feature =
    Feature { templates: templates!["docs.html"], texts: texts!("en.ftl"), ..Feature::new("docs", routes) };

fn routes() -> Routes {
    let document = Arc::new(OnceLock::new());
    let document_doc = describe("The API, as OpenAPI 3.1", Who::Anybody).json(
        200,
        "this document",
        json!({ "type": "object", "examples": [{ "openapi": "3.1.0" }] }),
    );
    let for_programs = move |State(app): State<App>| async move { app.headers.json(made(&document, &app)) };
    let page_doc = describe("The API, as a page", Who::Anybody).page(200, "the page");
    let for_people = |State(app): State<App>| async move { page::show(&app, all()) };
    Routes::of("Operation")
        .get("/openapi.json", for_programs, document_doc)
        .get("/docs", for_people, page_doc)
}

/// The document of the API, made at the first request.
fn made(document: &OnceLock<Bytes>, app: &App) -> Bytes {
    document.get_or_init(|| api::document(all(), &app.settings).to_string().into()).clone()
}

#[cfg(test)]
mod tests;
