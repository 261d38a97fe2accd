//! Server-sent events.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Keeps nginx from buffering events, wherever it is.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Whether a request asks for events: its `Accept` lists them.
pub(crate) fn wants_events(headers: &HeaderMap) -> bool {
    let lists = |value: &str| {
        value.split([',', ';']).any(|part| part.trim().eq_ignore_ascii_case("text/event-stream"))
    };
    headers.get_all(ACCEPT).iter().any(|value| value.to_str().is_ok_and(lists))
}

/// The answer that streams them.
pub(crate) fn stream(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (UNBUFFERED, HeaderValue::from_static("no")),
    ];
    (headers, Body::from_stream(events.map(Ok::<_, Infallible>))).into_response()
}
