//! The style of all pages: `GET /style.css`.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::app::App;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/style.css", get(style))
}

async fn style() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "public, max-age=3600")];
    (headers, include_str!("../../web/style.css"))
}

#[cfg(test)]
mod tests;
