//! The gate of development mode: which requests a development server answers at all, and who may use the routes that it
//! opens.
//!
//! A page that the developer visits must not read them: neither by a host name that it rebinds to this machine, nor
//! through a tunnel, nor from another port of this machine.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use doorward_core::message::Message;
use http::header::{HOST, HeaderName, HeaderValue};
use http::request::Parts;

use super::account_page::may_see;
use super::caller::{Caller, permitted};
use crate::app::App;
use crate::error::{Error, Result};
use crate::settings::is_loopback_name;
use crate::wire::origins::Sender;
use crate::wire::page::Value;

/// Who looks at what a route of `Who::DeveloperOr` or `Who::Developer` shows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Viewer {
    /// A developer on this machine, in development mode: without any credential.
    Developer,
    /// A caller whose role grants the route's permission, outside development mode.
    Admin(Caller, &'static str),
}

impl Viewer {
    /// Checks again that the viewer may look, by the store: for an answer that lasts, such as a stream.
    ///
    /// # Errors
    /// The refusal, if the session has ended or its role no longer grants the permission.
    pub(crate) async fn may_still(&self, app: &App) -> Result<()> {
        match self {
            Self::Developer => Ok(()),
            Self::Admin(caller, permission) => caller.still_may(app, permission).await,
        }
    }
}

impl Viewer {
    /// What the page of an admin needs, as [`may_see`] says; `None` for a developer, who has no account.
    pub(crate) fn may_see(&self, app: &App) -> Option<Value> {
        match self {
            Self::Developer => None,
            Self::Admin(caller, _) => Some(may_see(app, caller)),
        }
    }
}

impl FromRequestParts<App> for Viewer {
    type Rejection = Error;

    /// The gate has put it there; a route without a gate refuses.
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        parts.extensions.get().copied().ok_or(Error::Forbidden)
    }
}

/// Whether a request to a development server names this machine as its host, in the URI and in `Host`. Under any other
/// name, the browser counts the server to a site of somebody else (DNS rebinding).
pub(crate) fn names_this_machine<B>(request: &http::Request<B>) -> bool {
    let by_uri = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let mut by_header = request.headers().get_all(HOST).iter().map(HeaderValue::as_bytes);
    let hosts = [by_uri, by_header.next()];
    by_header.next().is_none()
        && hosts.iter().any(Option::is_some)
        && hosts.into_iter().flatten().all(is_loopback_host)
}

/// Whether a `Host` is a loopback name or address, with any port.
fn is_loopback_host(host: &[u8]) -> bool {
    let Ok(host) = str::from_utf8(host) else { return false };
    let (name, port) = match host.rsplit_once(':') {
        // The last colon of an IPv6 address is within its brackets.
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    port.bytes().all(|byte| byte.is_ascii_digit()) && is_loopback_name(name)
}

/// The gate before the handler of a route that development mode opens, and beyond that mode this permission, if any.
pub(super) async fn gate(
    State((app, permission)): State<(App, Option<&'static str>)>,
    request: Request,
    next: Next,
) -> Result<Response, Infallible> {
    let (mut parts, body) = request.into_parts();
    Ok(match viewer(&app, permission, &mut parts).await {
        Ok(viewer) => {
            parts.extensions.insert(viewer);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(error) => error.into_response(),
    })
}

async fn viewer(app: &App, permission: Option<&'static str>, parts: &mut Parts) -> Result<Viewer> {
    if app.settings.dev {
        return is_here(app, parts).map(|()| Viewer::Developer);
    }
    let permission = permission.ok_or_else(|| refused("development-off"))?;
    Ok(Viewer::Admin(permitted(parts, app, permission).await?, permission))
}

/// Whether a request comes from this machine, without a proxy, and from no other page.
fn is_here(app: &App, parts: &Parts) -> Result<()> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let is_local = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    if !is_local || parts.headers.keys().any(is_of_proxies) {
        return Err(refused("development-elsewhere"));
    }
    match app.origins.unlisted(&parts.headers, &parts.uri) {
        Sender::Own => Ok(()),
        _ => Err(refused(OF_ANOTHER_PAGE)),
    }
}

const OF_ANOTHER_PAGE: &str = "development-cross-site";

/// Whether this is the refusal of a request from this machine that another page made or links to.
pub(crate) fn is_of_another_page(error: &Error) -> bool {
    matches!(error, Error::DevelopmentOnly(message) if message.code() == OF_ANOTHER_PAGE)
}

fn refused(text: &'static str) -> Error {
    Error::DevelopmentOnly(Message::new(text))
}

/// Headers that proxies, tunnels and content delivery networks add to the requests that they forward.
const OF_PROXIES: [&str; 12] = [
    "forwarded",
    "via",
    "cdn-loop",
    "client-ip",
    "true-client-ip",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-host",
    "x-proxyuser-ip",
    "x-request-start",
    "x-cloud-trace-context",
];
/// The same by how their names begin.
const OF_PROXIES_BEGIN: [&str; 17] = [
    "forwarded-",
    "x-forward",
    "x-original-",
    "x-envoy-",
    "x-proxy-",
    "x-tunnel",
    "x-ngrok-",
    "x-amzn-",
    "x-azure-",
    "x-arr-",
    "x-appengine-",
    "x-vercel-",
    "cf-",
    "fastly-",
    "fly-",
    "ngrok-",
    "tailscale-",
];

fn is_of_proxies(name: &HeaderName) -> bool {
    let name = name.as_str();
    OF_PROXIES.contains(&name) || OF_PROXIES_BEGIN.iter().any(|begin| name.starts_with(begin))
}

#[cfg(test)]
mod tests;
