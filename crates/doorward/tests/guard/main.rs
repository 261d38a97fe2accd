//! The crate `doorward-guard` in an application, against a real server over real sockets.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod building;
mod feed;
mod keys;
mod requests;
mod secrets;
mod table;
mod times;
mod tls;
mod vectors;
mod way;

use std::net::SocketAddr;
use std::time::Duration;

use doorward::testing::{Site, Visitor};
use doorward_guard::{Builder, Denied, Guard};
use http::HeaderMap;

const FEED_SECRET: &str = "a secret for the feed in tests: 01234";

/// A server with a feed.
async fn server() -> (Site, SocketAddr) {
    let site = Site::with(&[("DOORWARD_FEED_SECRET", FEED_SECRET), ("throttle.enabled", "false")]).await;
    let address = site.listen().await;
    (site, address)
}

/// A guard that asks this address, and shares the clock of the site.
fn told(site: &Site, address: SocketAddr) -> Builder {
    let clock = site.clock.clone();
    Guard::builder().server(format!("http://{address}")).clock(move || clock.now())
}

/// A guard that also follows the feed.
fn following(site: &Site, address: SocketAddr) -> Builder {
    told(site, address).feed_secret(FEED_SECRET)
}

/// The guard's answer to a request with this header: `ok` or a code.
async fn verdict_of(guard: &Guard, name: &'static str, value: &str) -> &'static str {
    let mut headers = HeaderMap::new();
    headers.insert(name, value.parse().unwrap());
    guard.check(&headers).await.map_or_else(|refusal| Denied::Refused(refusal).code(), |_| "ok")
}

/// The guard's answer to a bearer token.
async fn verdict(guard: &Guard, token: &str) -> &'static str {
    verdict_of(guard, "authorization", &format!("Bearer {token}")).await
}

/// The guard's answer to a visitor's access token.
async fn verdict_on(guard: &Guard, visitor: &Visitor) -> &'static str {
    verdict(guard, &visitor.token().unwrap()).await
}

/// Checks that something becomes true soon.
#[track_caller]
fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let mut look = tokio::time::interval(Duration::from_millis(2));
        let seen = async {
            while !check().await {
                look.tick().await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(20), seen).await;
        assert!(seen.is_ok(), "{place}: {what}");
    }
}
