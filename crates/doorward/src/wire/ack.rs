//! The plain answer: an act is done.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use crate::wire::shape::{exactly, like, object, of};

/// `{success, message, sessions?}`.
#[derive(Debug, Serialize)]
pub(crate) struct Ack {
    success: bool,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<u32>,
}

/// The act is done.
pub(crate) fn ack(message: &'static str) -> Ack {
    Ack { success: true, message, sessions: None }
}

impl Ack {
    /// Its shape, with this message.
    pub(crate) fn shape(message: &'static str) -> Value {
        object([("success", exactly(true)), ("message", exactly(message))])
    }

    /// Its shape if it counts the ended sessions.
    pub(crate) fn shape_of_sessions(message: &'static str) -> Value {
        let sessions = like(of::<u32>(), 2);
        object([("success", exactly(true)), ("message", exactly(message)), ("sessions", sessions)])
    }

    /// With this number of ended sessions.
    pub(crate) fn sessions(self, ended: u32) -> Self {
        Self { sessions: Some(ended), ..self }
    }
}

impl IntoResponse for Ack {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}
