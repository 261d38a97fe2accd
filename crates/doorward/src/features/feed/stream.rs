//! One follower: reads the table up to its end at the speed of its socket, then passes on the messages to all.

use axum::body::Bytes;
use axum::response::Response;
use futures_util::stream::unfold;
use http::HeaderMap;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::caller::Caller;
use crate::app::App;
use crate::error::{Cause, Error, Result};
use crate::feed::{News, PAGE, Place};
use crate::request_id::{self, RequestId};
use crate::seldom::seldom;
use crate::wire::events;

struct Follower {
    app: App,
    caller: Caller,
    news: Receiver<News>,
    /// Everything up to here was sent.
    at: i64,
    /// It starts over, and `reset` was not sent yet.
    resets: bool,
    /// The initial snapshot has no event ids, so a follower that disconnects halfway starts over.
    anew: bool,
    /// The table has more than was sent.
    behind: bool,
    /// The id of the request that the stream answers.
    request_id: Option<RequestId>,
    _place: Place,
}

/// Answers with the stream of events.
pub(super) async fn open(app: &App, caller: Caller, headers: &HeaderMap) -> Result<Response> {
    if app.is_draining() {
        return Err(Error::Unavailable(Cause::default()));
    }
    let place = app.feed.place(caller.client())?;
    // Subscribes first and reads then: what happens in between comes twice, and is not lost.
    let news = app.feed.listen();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let resumed = match last {
        Some(id) => app.feed.resumed(id).await?,
        None => None,
    };
    let (at, anew) = (resumed.unwrap_or(0), resumed.is_none());
    let follower = Follower {
        app: app.clone(),
        caller,
        news,
        at,
        resets: anew,
        anew,
        behind: true,
        request_id: request_id::current(),
        _place: place,
    };
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
            return Some(Bytes::from_static(b"event: reset\ndata: {}\n\n"));
        }
        loop {
            if self.app.is_draining() || !self.caller.stands(&self.app) {
                return None;
            }
            if self.behind {
                return self.page().await;
            }
            let heard = tokio::select! {
                heard = self.news.recv() => heard,
                () = self.app.drained() => return None,
            };
            match heard {
                Ok(news) => {
                    if let Some(bytes) = self.pass_on(news) {
                        return Some(bytes);
                    }
                }
                Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// A page of the table; after the last one, the event that nothing is missing. If the store fails, that can't be
    /// known.
    async fn page(&mut self) -> Option<Bytes> {
        let page = self.app.feed.page(self.at, PAGE).await;
        let page =
            page.inspect_err(|error| seldom!(WARN, "a follower of the revocations was left", %error)).ok()?;
        (self.at, self.behind) = (page.to, page.more);
        let mut events = String::new();
        if !page.revoked.is_empty() {
            events = self.app.feed.revoked(&page, !self.anew);
        }
        if !page.more {
            self.anew = false;
            self.app.feed.caught_up(self.at);
            events += &self.app.feed.current(self.at);
        }
        Some(events.into())
    }

    fn pass_on(&mut self, news: News) -> Option<Bytes> {
        if news.from > self.at {
            self.behind = true;
            None
        } else if news.to > self.at || news.from == news.to && news.to == self.at {
            self.at = news.to;
            Some(news.bytes)
        } else if news.to == self.at {
            // It was read from the table already. The message's sender has just seen that nothing is missing.
            Some(self.app.feed.current(self.at).into())
        } else {
            None
        }
    }
}
