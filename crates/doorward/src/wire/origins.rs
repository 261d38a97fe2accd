//! Which pages may send requests from a browser: one check of `Origin`, for CORS and against forged requests (section C
//! of the attacks).
//!
//! A listed origin is compared byte for byte with what the browser sends, and `null` never matches. An origin with a
//! scheme of its own, such as `capacitor://localhost`, is the same in every app: it gets no cookie, and a cookie that
//! it sends doesn't count.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use doorward_core::message::Message;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, AsHeaderName, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    SET_COOKIE, VARY,
};
use http::{Method, Request, Uri};
use url::{Host, Url};

use crate::error::{Error, Result};
use crate::request_id::RequestId;
use crate::settings::Settings;

/// How many request headers a preflight may ask for.
const MOST_HEADERS: usize = 64;
/// How many different unlisted origins the log names in an hour.
const MOST_NAMED: usize = 10;
/// How many bytes of such an origin are compared and logged.
const MOST_BYTES: usize = 200;
const HOUR: Duration = Duration::from_secs(3_600);

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const METHODS: HeaderValue = HeaderValue::from_static("GET,POST,PATCH,DELETE");
/// The headers of an answer that a page may read.
const EXPOSED: HeaderValue = HeaderValue::from_static("retry-after,x-request-id,www-authenticate");
const ASKED: HeaderValue =
    HeaderValue::from_static("Access-Control-Request-Method, Access-Control-Request-Headers");

/// The origins that may call.
pub(crate) struct Origins {
    /// The public origin; without it, the request's `Host` decides.
    public_url: Option<Url>,
    scheme: &'static str,
    listed: Vec<ListedOrigin>,
    strangers: Mutex<Strangers>,
}

/// An origin of the settings.
#[derive(Debug)]
pub(crate) struct ListedOrigin {
    origin: HeaderValue,
    is_app: bool,
}

/// Where a request comes from, as far as a browser says it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sender<'a> {
    /// A page of ours, a person's own act, or a program.
    Own,
    /// A listed page or app.
    Listed(&'a ListedOrigin),
    /// Any other page.
    Stranger,
}

/// How often a request has a header, and its value.
enum Occurrence<'a> {
    Missing,
    Once(&'a [u8]),
    Repeated,
}

impl<'a> Occurrence<'a> {
    fn of(headers: &'a HeaderMap, name: impl AsHeaderName) -> Self {
        let mut values = headers.get_all(name).iter().filter(|value| !value.is_empty());
        match (values.next(), values.next()) {
            (None, _) => Self::Missing,
            (Some(value), None) => Self::Once(value.as_bytes()),
            _ => Self::Repeated,
        }
    }
}

impl Origins {
    pub(crate) fn new(settings: &Settings) -> Self {
        let listed = |origin: &String| {
            Some(ListedOrigin {
                origin: HeaderValue::from_str(origin).ok()?,
                is_app: !origin.starts_with("http"),
            })
        };
        Self {
            public_url: settings.public_url.clone(),
            scheme: settings.scheme(),
            listed: settings.page_origins().filter_map(listed).collect(),
            strangers: Mutex::default(),
        }
    }

    /// Determines the sender. A browser sends each of these headers once.
    pub(crate) fn sender<B>(&self, request: &Request<B>) -> Sender<'_> {
        if let Occurrence::Once(text) = Occurrence::of(request.headers(), ORIGIN)
            && let Some(listed) = self.listed.iter().find(|listed| listed.origin.as_bytes() == text)
        {
            return Sender::Listed(listed);
        }
        self.unlisted(request.headers(), request.uri())
    }

    /// The sender as if no origin were listed.
    pub(crate) fn unlisted(&self, headers: &HeaderMap, uri: &Uri) -> Sender<'_> {
        // The standard says lower case; nothing else matches.
        match (Occurrence::of(headers, SITE), Occurrence::of(headers, ORIGIN)) {
            (_, Occurrence::Repeated) | (Occurrence::Repeated, _) => Sender::Stranger,
            // A page or frame without an origin is not trusted, whatever else the browser says (attack X22).
            (_, Occurrence::Once(b"null")) => Sender::Stranger,
            (Occurrence::Once(b"same-origin" | b"none"), _) => Sender::Own,
            (Occurrence::Once(_), _) => Sender::Stranger,
            (Occurrence::Missing, Occurrence::Missing) => Sender::Own,
            (Occurrence::Missing, Occurrence::Once(text)) if self.is_own(text, headers, uri) => Sender::Own,
            (Occurrence::Missing, Occurrence::Once(_)) => Sender::Stranger,
        }
    }

    /// Whether an origin is ours, if the browser sends no fetch metadata. A page that an attacker put into plain http
    /// under our name isn't (attack C07). Without `public_url`, nothing says what the scheme should be.
    fn is_own(&self, origin: &[u8], headers: &HeaderMap, uri: &Uri) -> bool {
        if let Some(url) = &self.public_url {
            return url.origin().ascii_serialization().as_bytes() == origin;
        }
        let host = uri.authority().map(|authority| authority.as_str().as_bytes());
        let Some(host) = host.or(headers.get(HOST).map(HeaderValue::as_bytes)) else {
            return false;
        };
        [&b"http://"[..], b"https://"].iter().any(|scheme| origin.strip_prefix(*scheme) == Some(host))
    }

    /// Whether a browser drops the cookies of the answer to this request: `SameSite` compares sites, and a page of
    /// another site sent it. A page that is opened keeps them.
    ///
    /// For browsers without fetch metadata, scheme and the last two labels of the host decide. Under a public suffix of
    /// two labels (`co.uk`), two sites count as one.
    pub(crate) fn loses_cookies(&self, headers: &HeaderMap, is_form: bool) -> bool {
        let Occurrence::Once(origin) = Occurrence::of(headers, ORIGIN) else { return false };
        if self.listed.iter().any(|listed| listed.is_app && listed.origin.as_bytes() == origin) {
            return true;
        }
        let is = |name: &str, value: &str| headers.get(name).is_some_and(|said| said == value);
        match headers.get(SITE) {
            Some(site) => {
                let is_opened = is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document");
                site == "cross-site" && !is_opened
            }
            None => !is_form && !self.is_of_our_site(origin, headers),
        }
    }

    fn is_of_our_site(&self, origin: &[u8], headers: &HeaderMap) -> bool {
        let url = |text: &[u8]| Url::parse(str::from_utf8(text).ok()?).ok();
        let by_host = || {
            let host = headers.get(HOST)?.to_str().ok()?;
            url(format!("{}://{host}", self.scheme).as_bytes())
        };
        let (ours, theirs) = (self.public_url.clone().or_else(by_host), url(origin));
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return false };
        let same_host = match (ours.host(), theirs.host()) {
            (Some(Host::Domain(ours)), Some(Host::Domain(theirs))) => {
                ours.rsplit('.').take(2).eq(theirs.rsplit('.').take(2))
            }
            (ours, theirs) => ours == theirs,
        };
        ours.scheme() == theirs.scheme() && same_host
    }

    /// The answer to a preflight, if this is one.
    pub(crate) fn preflight<B>(&self, sender: Sender<'_>, request: &Request<B>) -> Option<Response> {
        let headers = request.headers();
        let asks = headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if *request.method() != Method::OPTIONS || !asks {
            return None;
        }
        Some(match sender {
            Sender::Own => return None,
            Sender::Stranger => Error::CrossSite.into_response(),
            Sender::Listed(_) => allowed(headers).map_or_else(IntoResponse::into_response, |names| {
                let mut response = [(ACCESS_CONTROL_ALLOW_METHODS, METHODS)].into_response();
                names.map(|names| response.headers_mut().insert(ACCESS_CONTROL_ALLOW_HEADERS, names));
                response
            }),
        })
    }

    /// Adds to an answer the headers that the sender's browser reads.
    pub(crate) fn complete(&self, sender: Sender<'_>, method: &Method, headers: &mut HeaderMap) {
        if self.listed.is_empty() {
            return;
        }
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if *method == Method::OPTIONS {
            headers.append(VARY, ASKED);
        }
        let Sender::Listed(listed) = sender else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, listed.origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        if listed.is_app {
            headers.remove(SET_COOKIE);
        } else {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

impl Sender<'_> {
    /// Removes what doesn't count for this sender: many apps have the same origin, and one could use the cookies of
    /// another.
    pub(crate) fn strip<B>(self, request: &mut Request<B>) {
        if matches!(self, Sender::Listed(listed) if listed.is_app) {
            request.headers_mut().remove(COOKIE);
        }
    }
}

/// The request headers of a preflight, all of which are allowed: none of them changes who the caller is.
fn allowed(headers: &HeaderMap) -> Result<Option<HeaderValue>> {
    let refuse = || Error::Malformed(Message::new("preflight-headers").with("most", MOST_HEADERS));
    let mut names = Vec::new();
    for line in headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
        let list = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        for name in list.filter(|name| !name.is_empty()) {
            names.push(HeaderName::from_bytes(name).map_err(|_| refuse())?);
            if names.len() > MOST_HEADERS {
                return Err(refuse());
            }
        }
    }
    let list = names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(",");
    Ok(HeaderValue::try_from(list).ok().filter(|list| !list.is_empty()))
}

/// Unlisted origins of requests, within an hour. The browser says only that the request failed, so the log says why.
/// Anybody can make up origins, so it does so rarely.
#[derive(Default)]
struct Strangers {
    since: Duration,
    named: Vec<Box<[u8]>>,
    /// The number of requests from further origins.
    others: u64,
}

impl Origins {
    /// Logs the origin of a request if it is not listed, or counts it. `ran` is monotonic time.
    pub(crate) fn note(
        &self,
        sender: Sender<'_>,
        headers: &HeaderMap,
        request_id: RequestId,
        ran: impl Fn() -> Duration,
    ) {
        let (Sender::Stranger, Some(origin)) = (sender, headers.get(ORIGIN)) else { return };
        let origin = origin.as_bytes().get(..MOST_BYTES).unwrap_or(origin.as_bytes());
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.begin_anew(ran());
        if strangers.named.iter().any(|named| **named == *origin) {
            return;
        }
        if strangers.named.len() == MOST_NAMED {
            strangers.others += 1;
            return;
        }
        strangers.named.push(origin.into());
        drop(strangers);
        let origin = origin.escape_ascii().to_string().replace(' ', "\\x20");
        tracing::info!(%origin, %request_id, "a page of this origin asked, which is not listed in the setting origins");
    }

    /// Logs how many further ones there were, once their hour is over.
    pub(crate) fn sweep(&self, ran: Duration) {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner).begin_anew(ran);
    }
}

impl Strangers {
    fn begin_anew(&mut self, ran: Duration) {
        if ran.saturating_sub(self.since) < HOUR {
            return;
        }
        if self.others > 0 {
            let requests = self.others;
            tracing::info!(requests, "in an hour pages of further origins asked, which are not listed");
        }
        *self = Self { since: ran, ..Self::default() };
    }
}

#[cfg(test)]
mod tests;
