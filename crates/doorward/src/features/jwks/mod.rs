//! The public keys: `GET /.well-known/jwks.json` → a JWK set (RFC 7517), from which anybody verifies access tokens. Empty
//! with a shared secret, which nobody publishes. A new key stands here for longer than anybody may keep the set.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};

use crate::app::App;
use crate::keys::JWKS_MAX_AGE;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/.well-known/jwks.json", get(jwks))
}

async fn jwks(State(app): State<App>) -> Response {
    let kept = format!("public, max-age={}", JWKS_MAX_AGE.as_secs());
    let headers = [
        (CONTENT_TYPE, "application/jwk-set+json".to_owned()),
        (CACHE_CONTROL, kept),
        (VARY, "Accept-Encoding".to_owned()),
    ];
    (headers, app.keys.jwks()).into_response()
}

#[cfg(test)]
mod tests;
