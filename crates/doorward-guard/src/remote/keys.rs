//! The server's keys: kept as its `Cache-Control` says, and fetched again for a token that names an unknown key. Many
//! such tokens share one request, and there is no second one within the cool-down (attack J05).

use std::sync::Arc;
use std::time::Duration;

use doorward_core::Refusal;
use doorward_core::token::KeySet;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, Method};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::Shared;
use super::http::{Failure, REQUEST_TIMEOUT, finished};
use super::seldom::seldom;
use crate::clock::steady;
use crate::verifier::VerificationKeys;

/// The least time between two requests for unknown keys.
const COOL_DOWN: Duration = Duration::from_secs(10);
/// How long keys are kept if the server doesn't say, and the least and most that it may say.
const USUAL: Duration = Duration::from_secs(300);
const LEAST: Duration = Duration::from_secs(10);
const MOST: Duration = Duration::from_secs(3_600);

/// The last request for an unknown key, and whether it was answered. Locked during a request.
#[derive(Default)]
pub(super) struct LastFetch(Mutex<Option<(Instant, bool)>>);

impl Shared {
    /// Gets the keys for a token that names an unknown one; returns whether they may be newer than before.
    ///
    /// Waits for one answer at most. A failed fetch in the cool-down is our own failure, not the token's.
    pub(super) async fn newer_keys(&self) -> Result<bool, Refusal> {
        let since = steady();
        let locked = timeout(REQUEST_TIMEOUT, self.last_fetch.0.lock()).await;
        let mut asked = locked.map_err(|_| Refusal::Unavailable)?;
        let good = match *asked {
            // Another request was answered while this one waited.
            Some((at, good)) if at >= since => good,
            Some((at, good)) if since.duration_since(at) < COOL_DOWN => {
                return if good { Ok(false) } else { Err(Refusal::Unavailable) };
            }
            _ => {
                let good = self.fetch_keys().await.is_ok();
                *asked = Some((steady(), good));
                good
            }
        };
        if good { Ok(true) } else { Err(Refusal::Unavailable) }
    }

    /// Fetches the keys; returns how long to keep them.
    pub(super) async fn fetch_keys(&self) -> Result<Duration, Failure> {
        let fetched = self.fetch_once().await;
        if let Err(failure) = &fetched {
            seldom!("the keys could not be fetched", failure);
        }
        fetched
    }

    async fn fetch_once(&self) -> Result<Duration, Failure> {
        let request = self.server.request(Method::GET, "/.well-known/jwks.json");
        let request = finished(request, None, "application/jwk-set+json, application/json", String::new())?;
        let (head, body) = self.server.ask(request).await?;
        let json = str::from_utf8(&body).map_err(|_| Failure::Unreadable("its keys are no JWK set"))?;
        let current = KeySet::from_jwks(json).map_err(|error| {
            seldom!("the server's keys can't be used", error);
            Failure::Unreadable("its keys are not a JWK set of Doorward")
        })?;
        self.verifier.replace_keys(VerificationKeys { current, ..Default::default() });
        Ok(kept_for(&head.headers))
    }
}

fn kept_for(headers: &HeaderMap) -> Duration {
    let said = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let age = said.split(',').find_map(|part| part.trim().strip_prefix("max-age="));
    let age = age.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    age.unwrap_or(USUAL).clamp(LEAST, MOST)
}

/// Fetches the keys again whenever their time is up.
pub(super) async fn keep(shared: Arc<Shared>, mut kept_for: Duration) {
    loop {
        sleep(kept_for).await;
        kept_for = match shared.fetch_keys().await {
            Ok(age) => {
                if !shared.follows {
                    shared.heard(age);
                }
                age
            }
            Err(_) => COOL_DOWN,
        };
    }
}
