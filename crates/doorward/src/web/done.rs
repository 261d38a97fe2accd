//! The plain answer of an act: it is done.

use axum::Json;
use axum::response::{IntoResponse, Response};
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
