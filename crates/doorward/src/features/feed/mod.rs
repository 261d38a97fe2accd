//! The feed: `GET /revocations` → which sessions have ended and which tokens are stale, for programs that check
//! credentials elsewhere.
//!
//! If `Accept` lists `text/event-stream`, it is a stream: first the current state, then each end within a moment; it
//! continues from `Last-Event-ID`. Otherwise JSON, a page at a time. Entries may come twice, and none is left out. At
//! most `feed.max_streams` follow at once, and of one client `feed.max_streams_per_client`. A stream ends when its
//! follower may no longer follow, and at the signal to stop.

mod caller;
mod stream;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{Error, Result};
use crate::feed::PAGE;
use crate::web::api::{Routes, Who, describe};
use crate::web::feature::Feature;
use crate::wire::events::wants_events;
use crate::wire::query::Query;
use crate::wire::shape::{described, like, object, of};
use caller::Caller;

pub(crate) const FEATURE: Feature = Feature::new("feed", routes);

fn routes() -> Routes {
    let feed_doc = describe("The feed of revocations", Who::Client)
        .more("Which sessions have ended, and below which version the tokens of a user are stale, until the last token that \
            it concerns is dead. As server-sent events if `Accept` lists text/event-stream: `reset` if the follower has \
            to start over, `revoked` with `{sessions, users}` as in JSON, and `current` with `{keys, now}` when nothing up to \
            its id is missing, again every 5 s. Pass over kinds of events that you don't know. `Last-Event-ID` goes on after that id. Also opened by \
            `Authorization: Bearer` and the feed's secret.")
        .query("after", json!({ "type": "string" }), "the `position` of the page before")
        .query("limit", json!({ "type": "integer", "minimum": 1, "maximum": PAGE }), "about how many entries")
        .json(200, "a page", page_shape())
        .content(200, "the events", "text/event-stream", json!({ "type": "string" }))
        .refuses([Error::InvalidInput(Vec::new())]);
    Routes::of("For other programs").get("/revocations", follow, feed_doc)
}

fn page_shape() -> Value {
    let rows = |what: &str, example: Value| {
        let items = json!({ "type": "array", "examples": [example] });
        described(json!({ "type": "array", "items": items }), what)
    };
    let (session, user) = ("01979a3d-1b02-7c94-8a16-52e0c3f7d9ab", "01979a3c-8f4e-7b21-9c55-0d7f6a2b41e8");
    object([
        ("sessions", rows("Session, and how many seconds to keep it from reading.", json!([session, 1_500]))),
        (
            "users",
            rows(
                "User, least version (`ver`) that is not stale, and the same seconds.",
                json!([user, 1_773_480_413_000_i64, 1_500]),
            ),
        ),
        (
            "missing",
            described(
                of::<u64>(),
                "For how many seconds an entry counts that the server lacks, since there were too many; otherwise 0.",
            ),
        ),
        ("position", like(of::<&str>(), "8d1f0c27a4b3e596-4711")),
        ("more", described(of::<bool>(), "Whether there is a next page.")),
        ("reset", described(of::<bool>(), "Whether `after` was unknown, so that this is the first page.")),
        ("keys", like(described(of::<&str>(), "Changes when the published keys do."), "mTqzV0ncLZgJZ2bV")),
        (
            "now",
            like(
                described(
                    of::<u64>(),
                    "The server's time, by which tokens are issued, in milliseconds since 1970.",
                ),
                1_800_000_000_000_u64,
            ),
        ),
    ])
}

async fn follow(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    query: Query,
) -> Result<Response> {
    if wants_events(&headers) {
        return stream::open(&app, caller, &headers).await;
    }
    let most = u32::try_from(PAGE).unwrap_or(u32::MAX);
    let limit = usize::try_from(query.limit(most, most)?).unwrap_or(PAGE);
    let after = query.text("after").and_then(|id| app.feed.place(id));
    let page = app.feed.page(after, limit).await?;
    let (position, keys) = (app.feed.id(page.to), app.feed.keys());
    Ok(Json(json!({
        "sessions": page.revoked.sessions,
        "users": page.revoked.users,
        "missing": page.revoked.missing.as_secs(),
        "position": position,
        "more": page.more,
        "reset": page.begins,
        "keys": keys,
        "now": app.feed.now(),
    }))
    .into_response())
}
