//! The kind of a client: a program, which gets JSON, or a browser, which gets a page.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::header::{ACCEPT, AUTHORIZATION};
use http::request::Parts;
use http::{HeaderMap, Method};

use super::PAGES;
use super::media_type::MediaType;

/// The kind of the client that sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientKind {
    /// JSON in, JSON out.
    Program,
    /// Forms in, pages and redirects out.
    Browser,
}

impl ClientKind {
    /// On GET: a browser if `Accept` ranks text/html at least as high as JSON. Otherwise: a browser if the body is a
    /// form without a registered client's credentials.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        if !PAGES {
            return Self::Program;
        }
        let person = if method == Method::GET || method == Method::HEAD {
            // Most programs end here: there is no h in `application/json` and `*/*`.
            let accept = headers.get(ACCEPT).filter(|value| value.as_bytes().contains(&b'h'));
            let accept = accept.and_then(|value| value.to_str().ok());
            accept.is_some_and(prefers_html)
        } else {
            let basic = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().get(..6));
            MediaType::of(headers) == MediaType::Form
                && !basic.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "))
        };
        if person { Self::Browser } else { Self::Program }
    }

    /// Whether it is a browser.
    pub(crate) fn is_browser(self) -> bool {
        self == Self::Browser
    }
}

fn prefers_html(accept: &str) -> bool {
    let quality = |media_type: &str| {
        let of_type = accept
            .split(',')
            .filter(|range| range.split(';').next().unwrap_or_default().trim() == media_type);
        let weight =
            |range: &str| range.split(';').find_map(|p| p.trim().strip_prefix("q=")?.parse::<f32>().ok());
        of_type.map(|range| weight(range).unwrap_or(1.0)).fold(0.0, f32::max)
    };
    let html = quality("text/html");
    html > 0.0 && html >= quality("application/json")
}

impl<S: Send + Sync> FromRequestParts<S> for ClientKind {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.method, &parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_for_whom_lists_html_and_not_below_json() {
        let kind = |accept: &str| {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            ClientKind::of(&Method::GET, &headers)
        };
        for person in [
            "text/html",
            "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
            "application/json;q=0.5, text/html",
            "application/json, text/html",
        ] {
            assert_eq!(kind(person), ClientKind::Browser, "{person}");
        }
        for program in
            ["", "*/*", "application/json", "text/html;q=0.5, application/json", "text/html;q=0", "text/*"]
        {
            assert_eq!(kind(program), ClientKind::Program, "{program}");
        }
    }
}
