//! What pages load: `GET /style.css`, `GET /favicon.svg`. Browsers keep what they asked for by its version for good.

use axum::Router;
use axum::extract::RawQuery;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};

use crate::app::App;
use crate::web::assets::{FAVICON, STYLE, version};

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/style.css", get(style)).route("/favicon.svg", get(favicon))
}

async fn style(RawQuery(query): RawQuery) -> impl IntoResponse {
    kept("text/css; charset=utf-8", query.as_deref(), STYLE)
}

async fn favicon(RawQuery(query): RawQuery) -> impl IntoResponse {
    kept("image/svg+xml", query.as_deref(), FAVICON)
}

/// The same for everybody, whatever they hold: a sign-in must not make browsers ask again.
fn kept(content_type: &'static str, query: Option<&str>, body: &'static str) -> impl IntoResponse + use<> {
    let present = query.and_then(|query| query.strip_prefix("v=")) == Some(version());
    let caching = if present { "public, max-age=31536000, immutable" } else { "public, max-age=3600" };
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, caching), (VARY, "Accept-Encoding")], body)
}

#[cfg(test)]
mod tests;
