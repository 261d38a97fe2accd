//! The server's revocations: all of them first, then each as it happens.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use doorward_core::feed::{Current, Revoked, is_event_id};
use doorward_core::revocation::Least;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{sleep, timeout};

use super::Shared;
use super::http::{Failure, finished};
use super::seldom::seldom;
use super::sse::{Event, EventParser};
use super::time::Word;
use crate::clock::{Moment, boot};

const LATE: Failure = Failure::Unreadable("the feed is late: its server said this a while ago");
const UNREADABLE: Failure = Failure::Unreadable("an event of the feed can't be read");
/// The server sends a heartbeat every 5 s; after this long without a byte the connection counts as lost.
const SILENCE: Duration = Duration::from_secs(15);
/// The delays between two connections: each twice the one before, plus a random part.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(5);

/// A connection to the feed.
pub(super) struct Feed {
    body: Incoming,
    parser: EventParser,
    /// When the guard connected, until the server has said its time.
    asked_at: Option<Duration>,
}

impl Feed {
    /// Connects, and continues where the last connection ended.
    pub(super) async fn open(shared: &Arc<Shared>) -> Result<Self, Failure> {
        let last = shared.position.load_full();
        let mut request = shared.server.request(Method::GET, "/revocations");
        if let Some(value) = last.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
            request = request.header("last-event-id", value);
        }
        let request = finished(request, shared.authorization.as_ref(), "text/event-stream", String::new())?;
        let asked_at = Some(boot());
        let response = shared.server.open(request).await?;
        let kind = response.headers().get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
        if !kind.starts_with(b"text/event-stream") {
            return Err(Failure::Unreadable("its feed is no stream of events"));
        }
        Ok(Self { body: response.into_body(), parser: EventParser::default(), asked_at })
    }

    /// Reads until the guard knows everything that the server knows.
    pub(super) async fn catch_up(&mut self, shared: &Arc<Shared>) -> Result<(), Failure> {
        while !self.step(shared).await? {}
        Ok(())
    }

    /// Reads the next piece; returns whether it brought the guard up to date.
    async fn step(&mut self, shared: &Arc<Shared>) -> Result<bool, Failure> {
        let frame = timeout(SILENCE, self.body.frame())
            .await
            .map_err(|_| Failure::Unreadable("the feed fell silent"))?;
        let frame = frame.ok_or(Failure::Unreadable("the feed ended"))??;
        let bytes = frame.into_data().unwrap_or_default();
        let events = self.parser.read(&bytes).map_err(|_| Failure::Unreadable("the feed can't be read"))?;
        let mut current = false;
        for event in events {
            current |= self.take(event, shared)?;
        }
        Ok(current)
    }

    /// Handles one event. An unknown kind is ignored, and its id counts like any other.
    fn take(&mut self, event: Event, shared: &Arc<Shared>) -> Result<bool, Failure> {
        let mut current = None;
        match event.name.as_str() {
            // What is known stays in force: versions never go back, not even in a restored database.
            "reset" => {
                shared.position.store(None);
                return Ok(false);
            }
            "revoked" => Self::revoke(&Revoked::read(&event.data).map_err(|_| UNREADABLE)?, shared),
            "current" => {
                let said = Current::read(&event.data).map_err(|_| UNREADABLE)?;
                shared.keys_are(said.keys);
                current = Some(said.now);
            }
            _ => {}
        }
        // An id counts once its event is in the set.
        if let Some(id) = event.id.filter(|id| is_event_id(id)) {
            shared.position.store(Some(Arc::new(id)));
        }
        let Some(now) = current else { return Ok(false) };
        if let Some(now) = now {
            let word = Word { now, asked_at: self.asked_at.take() };
            shared.time.hear(word, Moment::now()).map_err(|_| LATE)?;
        }
        shared.heard(Duration::ZERO);
        Ok(true)
    }

    fn revoke(revoked: &Revoked, shared: &Shared) {
        let (set, now) = (&shared.verifier.revocations, shared.ran());
        if !revoked.missing.is_zero() {
            set.lacks(now + revoked.missing);
        }
        for ended in &revoked.sessions {
            set.end_session(ended.session, now + ended.keep);
        }
        for one in &revoked.users {
            set.require_version(one.user, Least { version: one.version, expires_at: now + one.keep });
        }
    }
}

/// Follows the feed forever: it reconnects after each end.
pub(super) async fn follow(shared: Arc<Shared>, first: Feed) {
    let mut feed = Some(first);
    let mut wait = FIRST_WAIT;
    loop {
        let failure = match feed.take() {
            Some(open) => follow_one(open, &shared, &mut wait).await,
            None => match Feed::open(&shared).await {
                Ok(open) => {
                    feed = Some(open);
                    continue;
                }
                Err(failure) => failure,
            },
        };
        seldom!("the feed of revocations is cut; connecting again", failure);
        shared.problem.store(Some(Arc::new(failure.with_hint())));
        shared.reconnects.fetch_add(1, Ordering::Relaxed);
        sleep(wait + wait.mul_f64(chance())).await;
        wait = (wait * 2).min(LAST_WAIT);
    }
}

async fn follow_one(mut feed: Feed, shared: &Arc<Shared>, wait: &mut Duration) -> Failure {
    loop {
        match feed.step(shared).await {
            Ok(true) => *wait = FIRST_WAIT,
            Ok(false) => {}
            Err(failure) => return failure,
        }
    }
}

/// From 0 to 1, different in each process: guards that lost one server don't all return at the same moment.
fn chance() -> f64 {
    use std::hash::BuildHasher;
    let random = std::hash::RandomState::new().hash_one(0) >> 40;
    random as f64 / f64::from(1 << 24)
}
