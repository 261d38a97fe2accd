//! The request that a proxy asks about, from its headers.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use url::Url;

use crate::settings::Settings;
use crate::web::renew_redirect::is_navigation;
use crate::wire::client_kind::ClientKind;
use crate::wire::return_to::{application, return_to};

/// The request that the proxy holds back.
pub(super) struct Original<'a> {
    /// The application's host, with its port, as the settings list it.
    pub(super) host: &'a str,
    /// Its place in the settings.
    pub(super) index: usize,
    url: Url,
    /// Whether a browser opens it as a page: no script, no form, no program.
    pub(super) is_opened: bool,
    /// Whether it is a preflight, as the proxy says.
    pub(super) is_preflight: bool,
}

/// Whether a browser opens this as a page. A sender of `Authorization` is a program: a sign-in by cookie would not help
/// it.
pub(super) fn is_opened(headers: &HeaderMap) -> bool {
    let by_script = headers.contains_key("x-requested-with") || headers.contains_key(AUTHORIZATION);
    ClientKind::of(&http::Method::GET, headers).is_browser() && is_navigation(headers) && !by_script
}

impl<'a> Original<'a> {
    /// Parses it from a trusted proxy's headers. If a header is missing, repeated, or not of a listed application, it
    /// denies (attacks F03, F09); the text says why.
    pub(super) fn of(settings: &'a Settings, parts: &Parts) -> Result<Self, &'static str> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        if !peer.is_some_and(|ConnectInfo(peer)| settings.is_trusted_proxy(peer.ip())) {
            return Err("it was not asked by one of trusted_proxies");
        }
        let headers = &parts.headers;
        let method = one(headers, "x-forwarded-method")?.ok_or("X-Forwarded-Method is missing")?;
        let url = url(headers)?;
        let host = application(settings, &url).ok_or(
            "the original address is of no host in forward_auth.hosts, or of another scheme than public_url",
        )?;
        let index = settings.forward_auth_hosts.iter().position(|listed| listed == host);
        let index = index.ok_or("its host is not listed")?;
        let is_opened = matches!(method, "GET" | "HEAD") && is_opened(headers);
        let says = |name| matches!(one(headers, name), Ok(Some(text)) if !text.is_empty());
        let is_preflight = method == "OPTIONS" && says("origin") && says("access-control-request-method");
        Ok(Self { host, index, url, is_opened, is_preflight })
    }

    /// Where a browser returns to after a sign-in.
    pub(super) fn place(&self, settings: &Settings) -> String {
        let place = return_to(settings, self.url.as_str()).map(str::to_owned);
        place.unwrap_or_else(|| format!("{}://{}/", self.url.scheme(), self.host))
    }
}

/// The original address: in parts, or whole in `X-Original-URL`. If both are there, one of them may be the client's
/// own, so they have to agree.
fn url(headers: &HeaderMap) -> Result<Url, &'static str> {
    let (proto, host) = (one(headers, "x-forwarded-proto")?, one(headers, "x-forwarded-host")?);
    let in_parts = match (proto, host, one(headers, "x-forwarded-uri")?) {
        (Some(proto), Some(host), Some(uri)) if is_host(host) && uri.starts_with('/') => {
            Some(format!("{proto}://{host}{uri}"))
        }
        _ => None,
    };
    let whole = one(headers, "x-original-url")?.map(str::to_owned);
    let read =
        |text: String| Url::parse(&text).ok().map(secured).ok_or("the original address cannot be read");
    match (in_parts.map(read).transpose()?, whole.map(read).transpose()?) {
        (Some(url), None) | (None, Some(url)) => Ok(url),
        (Some(url), Some(whole)) if url == whole => Ok(url),
        (Some(_), Some(_)) => Err("X-Original-URL and X-Forwarded-… name different addresses"),
        (None, None) => Err("X-Forwarded-Proto, -Host or -Uri is missing or unreadable"),
    }
}

/// Whether a text is only a host and a port, without a character that would end a host in a URL.
fn is_host(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
}

/// Some proxies call the opening of a WebSocket `ws` or `wss`, which makes no difference to cookies.
fn secured(mut url: Url) -> Url {
    let scheme = match url.scheme() {
        "ws" => "http",
        "wss" => "https",
        _ => return url,
    };
    // Both have the same default port, so nothing else can be refused.
    let _ = url.set_scheme(scheme);
    url
}

/// The text of a header; none if it is there twice.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, &'static str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| "a header of the proxy cannot be read"),
        _ => Err("a header of the proxy is there twice"),
    }
}
