//! What HTTP/1.1 demands of a request's head and hyper leaves to its user.

use http::header::{HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};

/// Whether two readers of this head could take it for two things (attack H05): it must have exactly one valid `Host`
/// (RFC 9112 section 3.2; HTTP/1.0 may have none), and no transfer coding but `chunked`, since hyper undoes no other.
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

/// The end of a connection on which it is unclear where a request ends: as hyper's own, without a body.
pub(super) fn refusal<B: Default>() -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
