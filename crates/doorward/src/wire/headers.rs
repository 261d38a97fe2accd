//! The headers that every answer has, unless its handler sets others.

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS,
};

use crate::settings::Settings;

/// An answer that is not one of our pages never acts as one: a browser that opens JSON runs and frames nothing (ASVS
/// 3.2.1).
pub(crate) const POLICY: &str =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The headers, made once: copying a map costs a third of making one.
pub(crate) struct Headers {
    of_all: HeaderMap,
    of_json: HeaderMap,
}

impl Headers {
    pub(crate) fn new(settings: &Settings) -> Self {
        let fixed = HeaderValue::from_static;
        let mut of_all = HeaderMap::from_iter([
            (CACHE_CONTROL, fixed("no-store")),
            (VARY, fixed("Accept, Cookie, Authorization")),
            (CONTENT_SECURITY_POLICY, fixed(POLICY)),
            // Under `no-referrer` browsers send `Origin: null` with our own forms. With this one other sites learn
            // nothing.
            (REFERRER_POLICY, fixed("same-origin")),
            (X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        ]);
        let is_https = settings.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
        // The settings were checked, so only valid header values get here.
        let hsts = HeaderValue::from_str(&settings.hsts).ok().filter(|value| !value.is_empty());
        if let (true, Some(hsts)) = (is_https, hsts) {
            of_all.insert(STRICT_TRANSPORT_SECURITY, hsts);
        }
        let mut of_json = of_all.clone();
        of_json.insert(CONTENT_TYPE, fixed("application/json"));
        Self { of_all, of_json }
    }

    /// 200 with this JSON, and all headers.
    pub(crate) fn json(&self, json: Bytes) -> Response {
        let mut response = Response::new(Body::from(json));
        *response.headers_mut() = self.of_json.clone();
        response
    }

    /// Adds the missing ones to an answer.
    pub(crate) fn complete(&self, headers: &mut HeaderMap) {
        // Only `json` sets this one, and all others with it: handlers don't change it.
        if headers.contains_key(X_CONTENT_TYPE_OPTIONS) {
            return;
        }
        for (name, value) in &self.of_all {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }
}
