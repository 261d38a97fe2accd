//! Reading who sent a request: the socket, the trusted proxies, and what the client says of itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use doorward_guard::distinct;
use http::header::USER_AGENT;
use http::request::Parts;
use zeroize::Zeroizing;

use super::input::Input;
use crate::app::App;
use crate::error::Error;
pub(crate) use crate::wire::client::Client;
use crate::wire::client::client_ip;
use crate::wire::device::Device;
use crate::wire::reader::Reader;

impl FromRequestParts<App> for Client {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        // No peer: the router runs inside somebody's application without connection info. One bucket for all is the
        // strict reading.
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
        let user_agent = parts.headers.get(USER_AGENT).map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
            text.truncate(text.floor_char_boundary(400));
            text
        });
        Ok(Self {
            ip: client_ip(peer, &parts.headers, &app.settings.trusted_proxies),
            user_agent,
            in_the_clear: app.settings.is_plain_from(peer),
            loses_cookies: app
                .origins
                .loses_cookies(&parts.headers, Reader::of(&parts.method, &parts.headers).is_person()),
            device: Device::read(distinct(&parts.headers, &app.cookies.names.device).unwrap_or_default()),
        })
    }
}

impl Client {
    /// Reads the device that a program sends in the body: it has no cookies.
    pub(crate) fn read_device(&mut self, input: &mut Input) {
        if let Some(device) = input.optional::<String>("device").map(Zeroizing::new) {
            self.device = Device::read([device.as_str()]);
        }
    }
}
