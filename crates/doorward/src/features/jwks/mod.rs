//! The public keys: `GET /.well-known/jwks.json` → a JWK set (RFC 7517), with which anybody verifies access tokens.
//! Empty with a shared secret, which is never published. A new key is published here for longer than anybody may cache
//! the set.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use serde_json::json;

use crate::app::App;
use crate::keys::JWKS_MAX_AGE;
use crate::web::api::{Routes, Who, describe};
use crate::web::feature::Feature;
use crate::wire::shape::object;

pub(crate) const FEATURE: Feature = Feature::new("jwks", routes);

fn routes() -> Routes {
    let key = json!({ "type": "object", "required": ["kty", "kid", "alg", "use"], "properties": {
        "kty": { "type": "string", "enum": ["EC", "OKP", "RSA"] },
        "kid": { "type": "string", "examples": ["NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"] },
        "alg": { "type": "string", "enum": ["ES256", "EdDSA", "RS256"] },
        "use": { "const": "sig" },
        "crv": { "type": "string", "enum": ["P-256", "Ed25519"] },
        "x": { "type": "string" }, "y": { "type": "string" }, "n": { "type": "string" }, "e": { "type": "string" },
    } });
    let set = object([("keys", json!({ "type": "array", "items": key }))]);
    let jwks_doc = describe("The public keys", Who::Anybody)
        .more("A JWK set (RFC 7517) with which anybody can verify access tokens. Empty with a shared secret.")
        .content(
            200,
            "the keys, to be kept as long as `Cache-Control` says",
            "application/jwk-set+json",
            set,
        );
    Routes::of("Tokens").get("/.well-known/jwks.json", jwks, jwks_doc)
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
