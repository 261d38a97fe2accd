//! One follower: reads the snapshot and the log to their ends at the speed of its socket, then passes on the messages
//! to all.

use std::sync::Arc;

use axum::body::Bytes;
use axum::response::Response;
use futures_util::stream::unfold;
use http::HeaderMap;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::caller::Caller;
use crate::app::App;
use crate::error::{Cause, Error, Result};
use crate::feed::{News, Place, Seat, Snapshot};
use crate::request_id::{self, RequestId};
use crate::wire::events;

const RESET: &[u8] = b"event: reset\ndata: {}\n\n";

struct Follower {
    app: App,
    caller: Caller,
    news: Receiver<News>,
    at: At,
    /// The name of this process when the stream began.
    name: Arc<String>,
    /// It starts over, and `reset` was not sent yet.
    resets: bool,
    /// The id of the request that the stream answers.
    request_id: Option<RequestId>,
    _seat: Seat,
}

/// What was sent.
enum At {
    /// A snapshot up to this place.
    Snapshot(Arc<Snapshot>, usize),
    /// The log up to this number, which has more.
    Behind(u64),
    /// The log up to this number. The messages go on from there.
    Live(u64),
}

/// Answers with the stream of events.
pub(super) async fn open(app: &App, caller: Caller, headers: &HeaderMap) -> Result<Response> {
    if app.is_draining() {
        return Err(Error::Unavailable(Cause::default()));
    }
    let (seat, name) = (app.feed.seat(caller.client())?, app.feed.name());
    // Subscribes first and reads then: what happens in between comes twice, and is not lost.
    let news = app.feed.listen();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let at = match last.and_then(|id| app.feed.place(id)) {
        Some(Place::Log(number)) if app.feed.after(number).is_ok() => At::Behind(number),
        _ => At::Snapshot(app.feed.snapshot().await?, 0),
    };
    let resets = matches!(at, At::Snapshot(..));
    let request_id = request_id::current();
    let follower = Follower { app: app.clone(), caller, news, at, name, resets, request_id, _seat: seat };
    Ok(events::stream(unfold(follower, async |mut follower| {
        let bytes = match follower.request_id {
            Some(id) => id.names(follower.next()).await?,
            None => follower.next().await?,
        };
        Some((bytes, follower))
    })))
}

impl Follower {
    /// The next bytes; `None` ends the stream, and the follower reconnects.
    async fn next(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.resets) {
            return Some(Bytes::from_static(RESET));
        }
        loop {
            if self.app.is_draining() || !self.caller.stands(&self.app) || self.name != self.app.feed.name() {
                return None;
            }
            match &mut self.at {
                At::Snapshot(snapshot, place) => match snapshot.event(*place) {
                    Some((event, next)) => {
                        *place = next;
                        return Some(event);
                    }
                    None => self.at = At::Behind(snapshot.number),
                },
                At::Behind(number) => {
                    let number = *number;
                    let Ok((revoked, to)) = self.app.feed.after(number) else {
                        return self.begin_again().await;
                    };
                    let mut events = self.app.feed.event(&revoked, to);
                    if to == number {
                        self.at = At::Live(number);
                        events += &self.app.feed.current(number);
                    } else {
                        self.at = At::Behind(to);
                    }
                    if !events.is_empty() {
                        return Some(events.into());
                    }
                }
                At::Live(number) => {
                    let number = *number;
                    let heard = tokio::select! {
                        heard = self.news.recv() => heard,
                        () = self.app.drained() => return None,
                    };
                    match heard {
                        Ok(news) => {
                            if let Some(bytes) = self.pass_on(number, news) {
                                return Some(bytes);
                            }
                        }
                        Err(RecvError::Lagged(_)) => self.at = At::Behind(number),
                        Err(RecvError::Closed) => return None,
                    }
                }
            }
        }
    }

    /// It was too slow: the log no longer has what comes next.
    async fn begin_again(&mut self) -> Option<Bytes> {
        self.at = At::Snapshot(self.app.feed.snapshot().await.ok()?, 0);
        Some(Bytes::from_static(RESET))
    }

    fn pass_on(&mut self, number: u64, news: News) -> Option<Bytes> {
        if news.from > number {
            self.at = At::Behind(number);
            None
        } else if news.to > number || news.from == news.to && news.to == number {
            self.at = At::Live(news.to);
            (!news.bytes.is_empty()).then_some(news.bytes)
        } else if news.to == number {
            // It was read from the log already.
            let current = self.app.feed.current(number);
            (!current.is_empty()).then(|| current.into())
        } else {
            None
        }
    }
}
