//! The server that a guard asks.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode, Uri, response};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::BuildError;
use crate::outgoing::Outgoing;
pub(super) use crate::outgoing::{Failure, REQUEST_TIMEOUT};

impl Failure {
    /// The failure, and what to do about it if that is known.
    pub(super) fn with_hint(&self) -> String {
        let hint = match self {
            Self::Connect(_) | Self::Silent => "is the server running, and is the address right?",
            Self::Status(StatusCode::UNAUTHORIZED) => {
                "it doesn't know these credentials; `doorward client create` makes some"
            }
            Self::Status(StatusCode::NOT_FOUND) => {
                "is this a Doorward, and does the address have its base path?"
            }
            _ => return self.to_string(),
        };
        format!("{self}; {hint}")
    }
}

/// The server's address.
pub(super) struct Server {
    url: String,
    client: Outgoing,
}

/// Parses the URL of a server; also returns whether it begins with `https`.
pub(super) fn parse(url: &str) -> Result<(bool, Uri), &'static str> {
    let uri: Uri = url.trim_end_matches('/').parse().map_err(|_| "it is no URL")?;
    let encrypted = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err("it begins neither with https:// nor with http://"),
    };
    match uri.authority() {
        Some(authority) if !authority.as_str().contains('@') && uri.query().is_none() => Ok((encrypted, uri)),
        _ => Err("write scheme, host and port, and nothing else but a base path"),
    }
}

/// Whether requests to this host stay on the machine.
pub(super) fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Server {
    pub(super) fn new(url: &str, plain_http: bool, roots: &[u8]) -> Result<Self, BuildError> {
        let refused = |why| BuildError::Address(url.to_owned(), why);
        let (encrypted, uri) = parse(url).map_err(refused)?;
        // An attacker on the path could choose the keys, and with them who is an admin.
        if !encrypted && !plain_http && !is_loopback(&uri) {
            return Err(refused(
                "plain http beyond this machine lets others choose the keys: write https://, or say allow_plain_http()",
            ));
        }
        let client = Outgoing::new(if encrypted { roots } else { &[] }).map_err(BuildError::Certificates)?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), client })
    }

    /// A request for `path`, which begins with a slash.
    pub(super) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let agent = concat!("doorward-guard/", env!("CARGO_PKG_VERSION"));
        Request::builder().method(method).uri(format!("{}{path}", self.url)).header(USER_AGENT, agent)
    }

    /// See [`Outgoing::open`].
    pub(super) async fn open(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        self.client.open(request).await
    }

    /// See [`Outgoing::ask`].
    pub(super) async fn ask(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(response::Parts, Bytes), Failure> {
        self.client.ask(request).await
    }
}

/// A request with these further headers and this body.
pub(super) fn finished(
    request: http::request::Builder,
    authorization: Option<&HeaderValue>,
    accept: &'static str,
    form: String,
) -> Result<Request<Full<Bytes>>, Failure> {
    let mut request = request.header(ACCEPT, accept);
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    if !form.is_empty() {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    request.body(Full::new(form.into())).map_err(|_| Failure::Unreadable("its address can't be asked"))
}
