//! The server's revocations: all of them, then each as it happens.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use doorward_core::role::RoleName;
use doorward_core::{SessionId, Timestamp, UserId};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::Shared;
use super::http::{Failure, finished};
use super::seldom::seldom;
use super::sse::{Event, Reader};

/// The server says every 5 s that it is there; after so long without a byte it isn't.
const SILENCE: Duration = Duration::from_secs(15);
/// The waits between two connections: each twice the one before, and a random part of it on top.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Revoked {
    #[serde(default)]
    sessions: Vec<(SessionId, i64)>,
    #[serde(default)]
    roles: Vec<(UserId, RoleName, i64, i64)>,
}

#[derive(Deserialize)]
struct Current {
    #[serde(default)]
    keys: Option<String>,
}

/// Roles with version and end, as a snapshot tells them.
type Roles = HashMap<UserId, (RoleName, i64, Timestamp)>;

/// A connection to the feed.
pub(super) struct Feed {
    body: Incoming,
    reader: Reader,
    /// The roles of a snapshot that begins anew, until it is whole; with the set's mark from before it.
    anew: Option<(u64, Roles)>,
}

impl Feed {
    /// Connects, and goes on where the last connection ended.
    pub(super) async fn open(shared: &Arc<Shared>) -> Result<Self, Failure> {
        let last = shared.position.load_full();
        let mut request = shared.server.request(Method::GET, "/revocations");
        if let Some(value) = last.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
            request = request.header("last-event-id", value);
        }
        let request = finished(request, shared.authorization.as_ref(), "text/event-stream", String::new())?;
        let mark = shared.verifier.revocations.mark();
        let response = shared.server.open(request).await?;
        let kind = response.headers().get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
        if !kind.starts_with(b"text/event-stream") {
            return Err(Failure::Unreadable("its feed is no stream of events"));
        }
        let anew = last.is_none().then(|| (mark, Roles::new()));
        Ok(Self { body: response.into_body(), reader: Reader::default(), anew })
    }

    /// Takes what comes, until everything is known that the server knows.
    pub(super) async fn catch_up(&mut self, shared: &Arc<Shared>) -> Result<(), Failure> {
        while !self.step(shared).await? {}
        Ok(())
    }

    /// Takes the next piece; says whether it brought the guard up to date.
    async fn step(&mut self, shared: &Arc<Shared>) -> Result<bool, Failure> {
        let frame = timeout(SILENCE, self.body.frame())
            .await
            .map_err(|_| Failure::Unreadable("the feed fell silent"))?;
        let frame = frame.ok_or(Failure::Unreadable("the feed ended"))??;
        let bytes = frame.into_data().unwrap_or_default();
        let events = self.reader.read(&bytes).map_err(|_| Failure::Unreadable("the feed can't be read"))?;
        let mut current = false;
        for event in events {
            current |= self.take(event, shared)?;
        }
        Ok(current)
    }

    fn take(&mut self, event: Event, shared: &Arc<Shared>) -> Result<bool, Failure> {
        let unreadable = |_| Failure::Unreadable("an event of the feed can't be read");
        let current = match event.name.as_str() {
            "reset" => {
                self.anew = Some((shared.verifier.revocations.mark(), Roles::new()));
                return Ok(false);
            }
            "revoked" => {
                self.revoke(serde_json::from_str(&event.data).map_err(unreadable)?, shared);
                false
            }
            "current" => {
                let current: Current = serde_json::from_str(&event.data).map_err(unreadable)?;
                self.complete(shared);
                shared.keys_are(current.keys);
                true
            }
            _ => return Ok(false),
        };
        // An id counts once what it stands for is in the set.
        if let Some(id) = event.id {
            shared.position.store(Some(Arc::new(id)));
        }
        if current {
            shared.heard(Duration::ZERO);
        }
        Ok(current)
    }

    fn revoke(&mut self, revoked: Revoked, shared: &Arc<Shared>) {
        let set = &shared.verifier.revocations;
        for (session, expires_at) in revoked.sessions {
            set.end_session(session, Timestamp::from_secs(expires_at));
        }
        let changes = !revoked.roles.is_empty();
        for (user, role, version, expires_at) in revoked.roles {
            let expires_at = Timestamp::from_secs(expires_at);
            set.change_role(user, role, version, expires_at);
            if let Some((_, roles)) = self.anew.as_mut().filter(|(_, roles)| roles.len() < shared.max_roles) {
                roles.insert(user, (role, version, expires_at));
            }
        }
        if changes {
            shared.role_events.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Everything is told. A feed that began anew may be that of a restored database, beside whose versions the old ones
    /// say nothing: its roles take the place of those before.
    fn complete(&mut self, shared: &Arc<Shared>) {
        if let Some((mark, roles)) = self.anew.take() {
            shared.verifier.revocations.replace_roles(roles);
            shared.verifier.revocations.loaded(mark);
        }
    }
}

/// Follows the feed for ever: after each end it connects again.
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
        if shared.must_begin_anew() {
            return Failure::Unreadable("there is room again for all revocations");
        }
    }
}

/// From 0 to 1, different in each process: guards that lost one server don't come back all at once.
fn chance() -> f64 {
    use std::hash::BuildHasher;
    let random = std::hash::RandomState::new().hash_one(0) >> 40;
    random as f64 / f64::from(1 << 24)
}
