//! What pages load: `GET /style.css`, `GET /assets/forms.js`, `GET /favicon.svg`. Browsers keep what they requested
//! with its version for good.

use axum::extract::RawQuery;
use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};

use crate::web::api::{Routes, Who, describe};
use crate::web::feature::Feature;
use crate::wire::assets::{FAVICON, SCRIPT, STYLE, version};
use crate::wire::shape::of;

pub(crate) const FEATURE: Feature = Feature::new("style", routes);

fn routes() -> Routes {
    let kept = |summary, media| {
        describe(summary, Who::Anybody).content(
            200,
            "may be cached forever by its version",
            media,
            of::<&str>(),
        )
    };
    Routes::of("Pages")
        .get("/style.css", style, kept("The style of all pages", "text/css"))
        .get("/assets/forms.js", script, kept("The script of pages with forms", "text/javascript"))
        .get("/favicon.svg", favicon, kept("The icon of all pages", "image/svg+xml"))
}

async fn style(RawQuery(query): RawQuery) -> impl IntoResponse {
    kept("text/css; charset=utf-8", query.as_deref(), STYLE)
}

async fn script(RawQuery(query): RawQuery) -> impl IntoResponse {
    kept("text/javascript; charset=utf-8", query.as_deref(), SCRIPT)
}

async fn favicon(RawQuery(query): RawQuery) -> impl IntoResponse {
    kept("image/svg+xml", query.as_deref(), FAVICON)
}

/// The same for everybody, with any credential: a sign-in must not make browsers ask again.
fn kept(content_type: &'static str, query: Option<&str>, body: &'static str) -> impl IntoResponse + use<> {
    let present = query.and_then(|query| query.strip_prefix("v=")) == Some(version());
    let caching = if present { "public, max-age=31536000, immutable" } else { "public, max-age=3600" };
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, caching), (VARY, "Accept-Encoding")], body)
}

#[cfg(test)]
mod tests;
