//! Refusals as problem details (RFC 9457).

use std::borrow::Cow;
use std::collections::BTreeSet;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::shape::{and_maybe, described, exactly, like, named, object, of};
use crate::error::{Error, FieldError, Pending};

/// An error in the form of RFC 9457.
#[derive(Debug, Serialize)]
pub(crate) struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    success: bool,
    code: &'static str,
    message: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field<'a>>,
    #[serde(flatten)]
    pending: Option<&'a Pending>,
}

/// The request that was refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Its id.
    pub(crate) id: &'a str,
    /// In development mode: the link to its flow.
    pub(crate) flow: Option<&'a str>,
    /// The path below the base path that its page links to, if a person may open it from there.
    pub(crate) open_from_here: Option<&'a str>,
}

/// The shape of the link to a flow.
pub(crate) fn flow_shape() -> Value {
    let link =
        described(of::<&str>(), "In development mode only: the link to what this request did, step by step.");
    like(link, "http://127.0.0.1:8080/flow/6b0e5d1f2a93c8470000002a")
}

/// What is wrong with one field.
#[derive(Debug, Serialize)]
struct Field<'a> {
    field: &'a str,
    message: Cow<'static, str>,
}

impl Problem<'_> {
    /// Its shape; each route says which codes it has.
    pub(crate) fn shape() -> Value {
        let (text, row) = (of::<&str>, |error: &Error| error.code());
        let codes: BTreeSet<_> = Error::every().iter().map(row).collect();
        let refused = object([
            ("type", exactly("about:blank")),
            ("title", like(text(), "Unauthorized")),
            ("status", like(of::<u32>(), 401)),
            ("success", exactly(false)),
            ("code", json!({ "type": "string", "enum": codes, "examples": ["token_expired"] })),
            ("message", like(described(text(), "What happened, for people."), "jwt expired")),
            (
                "request_id",
                like(
                    described(text(), "The same as in `X-Request-Id` and in the log."),
                    "6b0e5d1f2a93c8470000002a",
                ),
            ),
        ]);
        let field = object([
            ("field", like(text(), "email")),
            ("message", like(described(text(), "What is wrong and what to do."), "is required")),
        ]);
        let fields =
            json!({ "type": "array", "items": named("FieldError", "What is wrong with one field.", field) });
        let handle = described(text(), "Of `second_factor_required`: names the sign-in that waits.");
        let factors = json!({ "type": "array", "items": { "type": "string", "examples": ["otp"] } });
        let factors = described(factors, "Of `second_factor_required`: one of these is needed (RFC 8176).");
        let maybe = [("flow", flow_shape()), ("fields", fields), ("handle", handle), ("factors", factors)];
        named("Problem", "Why a request was refused (RFC 9457).", and_maybe(refused, maybe))
    }
}

impl<'a> Problem<'a> {
    /// The error with this status, for this request.
    pub(crate) fn new(error: &'a Error, status: StatusCode, asked: Asked<'a>) -> Self {
        let Asked { id: request_id, flow, .. } = asked;
        let (code, message) = (error.code(), error.to_string());
        let title = status.canonical_reason().unwrap_or_default();
        let field = |one: &'a FieldError| Field { field: &one.field, message: one.message() };
        let (status, fields) = (status.as_u16(), error.fields().iter().map(field).collect());
        let (r#type, pending) = ("about:blank", error.pending());
        Self { r#type, title, status, success: false, code, message, request_id, flow, fields, pending }
    }
}
