//! Refusals of the routes of RFC 7662 and RFC 7009, in OAuth's form (RFC 6749 section 5.2), which their libraries
//! expect. Our own code is beside it, since it is more precise than OAuth's few.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::wire::problem::{Asked, flow_shape};
use crate::wire::shape::{and_maybe, described, like, named, object, of};

/// The codes that there can be.
const CODES: [&str; 3] = ["invalid_request", "invalid_client", "temporarily_unavailable"];

/// An error in OAuth's form.
#[derive(Debug, Serialize)]
struct OAuthError<'a> {
    error: &'static str,
    error_description: String,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<&'a str>,
}

/// Its status and code; 400 for unusable requests if OAuth has no more precise one.
pub(crate) fn row(error: &Error) -> (StatusCode, &'static str) {
    let [invalid_request, invalid_client, temporarily_unavailable] = CODES;
    match (error, error.status()) {
        (Error::InvalidClient, status) => (status, invalid_client),
        (Error::InvalidInput(_), _) => (StatusCode::BAD_REQUEST, invalid_request),
        (_, status) if status.is_server_error() => (status, temporarily_unavailable),
        (_, status) => (status, invalid_request),
    }
}

/// The answer to this request.
pub(crate) fn answer(error: &Error, asked: Asked<'_>) -> Response {
    let Asked { id: request_id, flow, .. } = asked;
    let (status, oauth_code) = row(error);
    let (code, message) = (error.code(), error.to_string());
    let fields = error.fields().iter().map(|at| format!("{} {}", at.field, at.message())).collect::<Vec<_>>();
    let text = if fields.is_empty() { message } else { fields.join("; ") };
    let error = OAuthError { error: oauth_code, error_description: printable(&text), code, request_id, flow };
    let body = serde_json::to_vec(&error).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// RFC 6749 allows printable ASCII there, without quotation marks and backslashes.
fn printable(text: &str) -> String {
    let allowed = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    text.chars().map(|c| if allowed(c) { c } else { '\'' }).collect()
}

/// Its shape.
pub(crate) fn shape() -> Value {
    let text = of::<&str>;
    let fields = object([
        ("error", json!({ "type": "string", "enum": CODES, "examples": ["invalid_client"] })),
        ("error_description", like(described(text(), "What happened, for people."), "token is required")),
        ("code", described(text(), "The code that other routes give, which says more.")),
        (
            "request_id",
            like(
                described(text(), "The same as in `X-Request-Id` and in the log."),
                "6b0e5d1f2a93c8470000002a",
            ),
        ),
    ]);
    named(
        "OAuthError",
        "Why a request was refused (RFC 6749 section 5.2).",
        and_maybe(fields, [("flow", flow_shape())]),
    )
}
