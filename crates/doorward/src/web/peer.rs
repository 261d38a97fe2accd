//! Reads who sent a request: the socket, the trusted proxies, and the client's own headers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use doorward_guard::internals::distinct;
use http::header::{AUTHORIZATION, COOKIE, USER_AGENT};
use http::request::Parts;
use zeroize::Zeroizing;

use crate::app::App;
use crate::error::Error;
use crate::flow::Traced;
use crate::sessions::CurrentPeer;
use crate::wire::client_kind::ClientKind;
use crate::wire::device::Device;
pub(crate) use crate::wire::peer::Peer;
use crate::wire::peer::{client_ip, said_of_itself};

impl FromRequestParts<App> for Peer {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = or_unknown(peer.map(|ConnectInfo(peer)| *peer));
        let user_agent = parts.headers.get(USER_AGENT).map(|value| said_of_itself(value).into_owned());
        Ok(Self {
            ip: client_ip(peer, &parts.headers, &app.settings.trusted_proxies),
            user_agent,
            in_the_clear: app.settings.is_plain_from(peer),
            loses_cookies: app
                .origins
                .loses_cookies(&parts.headers, ClientKind::of(&parts.method, &parts.headers).is_browser()),
            device: Device::read(distinct(&parts.headers, &app.cookies.names.device).unwrap_or_default()),
        })
    }
}

/// Without a peer, the router runs inside another application without connection info. One bucket for all is the strict
/// choice.
fn or_unknown(peer: Option<SocketAddr>) -> IpAddr {
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
}

/// The address of the socket.
fn peer_of<B>(peer: Option<SocketAddr>, request: &Request<B>) -> IpAddr {
    let known = || request.extensions().get().map(|ConnectInfo(peer)| *peer);
    or_unknown(peer.or_else(known))
}

/// The client that uses a session by this request, if its cookies are its credential. With `Authorization` they are
/// ignored, and a program that asks about another client's secret sends one.
pub(crate) fn user_of_session<B>(
    app: &App,
    peer: Option<SocketAddr>,
    request: &Request<B>,
) -> Option<CurrentPeer> {
    let headers = request.headers();
    if headers.contains_key(AUTHORIZATION) || !headers.contains_key(COOKIE) {
        return None;
    }
    let ip = client_ip(peer_of(peer, request), headers, &app.settings.trusted_proxies);
    Some(CurrentPeer { ip, user_agent: headers.get(USER_AGENT).cloned() })
}

/// What the span of a request needs to know of it, if spans are sent.
pub(crate) fn traced<B>(app: &App, peer: Option<SocketAddr>, request: &Request<B>) -> Option<Box<Traced>> {
    app.otel.traced(&app.settings, || peer_of(peer, request), request.headers())
}

impl Peer {
    /// With the device that a program sends in the body, since it has no cookies.
    pub(crate) fn with_device(self, sent: Option<Zeroizing<String>>) -> Self {
        let device = sent.map_or(self.device, |device| Device::read([device.as_str()]));
        Self { device, ..self }
    }
}
