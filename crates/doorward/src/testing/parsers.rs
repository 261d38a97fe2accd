//! The crate's private parsers of untrusted bytes, for fuzzing: each as a request reaches it.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts};
use doorward_core::Mode;
use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::password::Password;
use http::request::Parts;
use http::{HeaderMap, Method, Request, header};
use tokio::runtime::{Builder, Runtime};

use super::Site;
use crate::error::Result;
use crate::web::body::{Asked, asked};
use crate::web::peer::Peer;
use crate::wire::client_kind::ClientKind;
use crate::wire::query::Query;

/// The parsers that need a server around them.
pub struct Parsers {
    runtime: Runtime,
    site: Site,
}

/// The fields of a registration, as they were read.
#[derive(Debug)]
pub struct Read {
    pub name: Option<DisplayName>,
    pub email: Option<Email>,
    pub password: Option<Password>,
    pub mode: Option<Mode>,
    /// Any text.
    pub text: Option<String>,
    pub is_form: bool,
}

asked! {
    struct Fields {
        name: Option<DisplayName>,
        email: Option<Email>,
        password: Option<Password>,
        mode: Option<Mode>,
        text: Option<String>,
    }
}

impl Parsers {
    /// With `10.0.0.0/8` and `fd00::/8` as trusted proxies, and an application at `https://app.example.com`.
    pub fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let settings = [
            ("trusted_proxies", "10.0.0.0/8,fd00::/8"),
            ("public_url", "https://accounts.example.com"),
            ("cookie.domain", "example.com"),
            ("forward_auth.hosts", "app.example.com"),
        ];
        let site = runtime.block_on(Site::with(&settings));
        Self { runtime, site }
    }

    /// The place that a sign-in may continue to.
    pub fn return_to<'t>(&self, text: &'t str) -> Option<&'t str> {
        crate::wire::return_to::return_to(&self.site.app.settings, text)
    }

    /// Reads a body of this media type: the fields of a registration, and `text`.
    pub fn body(&self, media_type: &str, body: &[u8]) -> Result<Read> {
        let request = Request::post("/").header(header::CONTENT_TYPE, media_type);
        let request = request.body(Body::from(body.to_vec())).unwrap();
        let Asked { body, sent } = self.runtime.block_on(Asked::from_request(request, &self.site.app))?;
        let Fields { name, email, password, mode, text } = body?;
        Ok(Read { name, email, password, mode, text, is_form: sent.is_form })
    }

    /// The client of a request with these headers from `peer`: address, network, user agent.
    pub fn client(&self, peer: IpAddr, headers: HeaderMap) -> (IpAddr, IpAddr, Option<String>) {
        let mut parts = parts("/", headers);
        parts.extensions.insert(ConnectInfo(SocketAddr::new(peer, 4711)));
        let client = self.runtime.block_on(Peer::from_request_parts(&mut parts, &self.site.app)).unwrap();
        (client.ip, client.network(), client.user_agent)
    }

    /// The text that a URL's query has under this name.
    pub fn query(&self, uri: &str, name: &str) -> Result<Option<String>> {
        let query =
            self.runtime.block_on(Query::from_request_parts(&mut parts(uri, HeaderMap::new()), &()))?;
        Ok(query.text(name).map(str::to_owned))
    }
}

impl Default for Parsers {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a request with these headers is answered with a page.
pub fn wants_page(method: &Method, headers: &HeaderMap) -> bool {
    ClientKind::of(method, headers).is_browser()
}

fn parts(uri: &str, headers: HeaderMap) -> Parts {
    let mut request = Request::get(uri).body(()).unwrap();
    *request.headers_mut() = headers;
    request.into_parts().0
}
