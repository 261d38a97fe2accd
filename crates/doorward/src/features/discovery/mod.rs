//! What a client or a guard has to know of this server: `GET /.well-known/doorward` → issuer, URLs, modes and cookie
//! names. Nothing in it is secret; a page needs a listed origin to read it, as for every route.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorward_core::token::Algorithm;
use http::header::{CACHE_CONTROL, VARY};
use serde_json::json;

use crate::app::App;
use crate::web::api::{Routes, Who, describe};
use crate::web::feature::Feature;
use crate::wire::shape::{described, object, of};

pub(crate) const FEATURE: Feature = Feature::new("discovery", routes);

/// How long the answer may be kept: a changed setting is known everywhere after that.
const MAX_AGE: &str = "public, max-age=300";

fn routes() -> Routes {
    let text = |meaning: &'static str| described(of::<&str>(), meaning);
    let cookies = object([
        ("token", text("Of the access token, in cookie mode.")),
        ("session", text("Of the session's secret, in session mode.")),
        ("refresh", text("Of the refresh token, in cookie mode.")),
        ("device", text("Of what makes a known device.")),
        ("same_site", text("`strict` or `lax`.")),
        ("domain", text("The domain whose hosts share the session's cookie; empty for Doorward's own host.")),
    ]);
    let shape = object([
        ("issuer", text("The `iss` of access tokens.")),
        ("audience", text("Their `aud`.")),
        ("url", text("The URL below which all routes stand.")),
        ("jwks_uri", text("The public keys.")),
        ("revocations", text("The feed of ended sessions.")),
        ("login", text("The hosted login: it takes `return_to`.")),
        ("logout", text("The page that signs out: it takes `return_to`.")),
        ("modes", json!({ "type": "array", "items": { "type": "string" } })),
        (
            "session_tokens",
            described(of::<bool>(), "Whether the cookie of session mode gets an access token."),
        ),
        (
            "shared_secret",
            described(of::<bool>(), "Whether tokens are HS256, so that there is no public key."),
        ),
        ("cookies", cookies),
    ]);
    let doc = describe("What clients have to know", Who::Anybody)
        .more("Issuer, URLs, modes and names of cookies, so that nobody has to type them a second time.")
        .json(200, "the settings", shape);
    Routes::of("Tokens").get("/.well-known/doorward", discovery, doc)
}

async fn discovery(State(app): State<App>) -> Response {
    let (settings, base, names) = (&app.settings, app.base_url(), &app.cookies.names);
    let modes: Vec<_> = settings.modes.iter().map(|mode| mode.as_str()).collect();
    let expected = app.keys.verifier().expected();
    let body = json!({
        "issuer": expected.issuer,
        "audience": expected.audience,
        "url": base,
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "revocations": format!("{base}/revocations"),
        "login": format!("{base}/login"),
        "logout": format!("{base}/logout"),
        "modes": modes,
        "session_tokens": settings.gives_tokens_for_sessions(),
        "shared_secret": app.keys.algorithm() == Algorithm::Hs256,
        "cookies": {
            "token": names.token,
            "session": names.session,
            "refresh": names.refresh,
            "device": names.device,
            "same_site": if names.lax { "lax" } else { "strict" },
            "domain": settings.cookie_domain,
        },
    });
    let headers = [(CACHE_CONTROL, MAX_AGE), (VARY, "Accept-Encoding")];
    (headers, Json(body)).into_response()
}

#[cfg(test)]
mod tests;
