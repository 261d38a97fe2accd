//! Plain answers: an act is done; or here is what lay ready.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;
use serde_json::Value;

use crate::shape::{exactly, like, object, of};

/// `{success, message, sessions?}`.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    success: bool,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<u32>,
}

/// The act is done.
pub(crate) fn done(message: &'static str) -> Done {
    Done { success: true, message, sessions: None }
}

impl Done {
    /// Its shape, with this message.
    pub(crate) fn shape(message: &'static str) -> Value {
        object([("success", exactly(true)), ("message", exactly(message))])
    }

    /// Its shape where it counts the sessions that ended.
    pub(crate) fn shape_of_sessions(message: &'static str) -> Value {
        let sessions = like(of::<u32>(), 2);
        object([("success", exactly(true)), ("message", exactly(message)), ("sessions", sessions)])
    }

    /// And ended so many sessions.
    pub(crate) fn sessions(self, ended: u32) -> Self {
        Self { sessions: Some(ended), ..self }
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// How many headers an answer may have before their map has to grow: those that every answer gets, and a few more.
const HEADERS: usize = 9;

/// JSON that lay ready.
pub(crate) fn ready(json: Bytes) -> Response {
    let mut response = Response::new(Body::from(json));
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.headers_mut() = headers;
    response
}
