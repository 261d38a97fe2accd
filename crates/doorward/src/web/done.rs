//! Plain answers: an act is done; or here is what lay ready.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;

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
