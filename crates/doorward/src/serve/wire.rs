//! What HTTP/1.1 demands of a request's head and hyper leaves to its user.

use http::header::{HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};

use crate::wire::headers::POLICY;

/// Whether two parsers could read this head in two ways (attack H05). It must have exactly one valid `Host` (RFC 9112
/// section 3.2; HTTP/1.0 may have none). No transfer coding but `chunked` is allowed, since hyper decodes no other.
pub(super) fn is_plain<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => request.version() == Version::HTTP_10,
        (Some(host), None) => could_be_host(host),
        (Some(_), Some(_)) => false,
    };
    host && has_plain_coding(headers)
}

fn could_be_host(host: &HeaderValue) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%:[]".contains(byte);
    !host.is_empty() && host.as_bytes().iter().all(allowed)
}

fn has_plain_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// Closes a connection on which it is unclear where a request ends: like hyper's own answer, without a body.
pub(super) fn refusal<B: Default>() -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The first line of hyper's answer to a head that is too large: no route answers with this status.
const TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n";
/// Without cookies a browser's head is far below the limit, so the page is about them.
const PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<meta name=\"color-scheme\" content=\"light dark\">
<title>Too many cookies</title>
<h1>Too many cookies</h1>
<p>The head of this request is too large. In a browser that comes from too many or too large cookies, which may be those
of another site of this domain.</p>
<p>In the browser\u{2019}s settings, under privacy, delete the cookies and site data of this site and of others of its
domain. Then sign in again. Your account is not affected.</p>
</html>
";

/// Replaces hyper's bare answer to a head that is too large by a page that says what to do. A browser with too many
/// cookies gets it for every page. `None` for all other bytes, which are sent unchanged.
///
/// The target of the request is unknown, so every client gets the page.
pub(super) fn with_page(written: &[u8]) -> Option<Vec<u8>> {
    let fields = written.strip_prefix(TOO_LARGE)?.strip_suffix(b"\r\n\r\n")?;
    let fields = std::str::from_utf8(fields).ok()?;
    let kept = fields.split("\r\n").filter(|line| !line.starts_with("content-length:"));
    let length = PAGE.len();
    let mut answer = TOO_LARGE.to_vec();
    for line in kept.chain([
        "content-type: text/html; charset=utf-8",
        &format!("content-length: {length}"),
        "cache-control: no-store",
        &format!("content-security-policy: {POLICY}"),
        "referrer-policy: same-origin",
        "x-content-type-options: nosniff",
        "",
    ]) {
        answer.extend_from_slice(line.as_bytes());
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(PAGE.as_bytes());
    Some(answer)
}
