//! The API, described: `GET /openapi.json` → OpenAPI 3.1, for programs. `GET /docs` is the same for people.
//!
//! Both are made from what the routes say of themselves where they are routed, once, at the first request.

mod page;

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::extract::State;
use serde_json::json;

use crate::app::App;
use crate::web::api::{Operation, Routes, Who, document, says};

/// Adds the routes that describe all routes, themselves included.
pub(crate) fn add(routes: Routes) -> Routes {
    let api = Arc::new(Api::default());
    let for_programs = api.clone();
    let document_says = says("The API, as OpenAPI 3.1", Who::Anybody).json(
        200,
        "this document",
        json!({ "type": "object", "examples": [{ "openapi": "3.1.0" }] }),
    );
    let own = Routes::of("Operation").get(
        "/openapi.json",
        move |State(app): State<App>| async move { app.headers.json(for_programs.document(&app)) },
        document_says,
    );
    let for_people = api.clone();
    let page_says = says("The API, as a page", Who::Anybody).page(200, "the page");
    let page = move |State(app): State<App>| async move { page::show(&app, for_people.operations()) };
    let routes = routes.merge(own.get("/docs", page, page_says));
    let _ = api.operations.set(routes.operations().to_vec());
    routes
}

#[derive(Default)]
struct Api {
    operations: OnceLock<Vec<Operation>>,
    document: OnceLock<Bytes>,
}

impl Api {
    fn operations(&self) -> &[Operation] {
        self.operations.get().map_or(&[], Vec::as_slice)
    }

    fn document(&self, app: &App) -> Bytes {
        self.document.get_or_init(|| document(self.operations(), &app.settings).to_string().into()).clone()
    }
}

#[cfg(test)]
mod tests;
