use doorward_core::Refusal;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

/// A refused request. Its response is `application/problem+json` (RFC 9457) with the challenge of RFC 6750, word for
/// word what a Doorward server answers, so one client understands both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denied {
    /// The credential is missing or refused: 401, or 503 if it could not be checked.
    Refused(Refusal),
    /// The caller is known, and their role doesn't grant this: 403.
    Forbidden,
}

#[derive(Serialize)]
struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    success: bool,
    code: &'static str,
    message: String,
}

/// A page of another origin reads the challenge only if it is exposed.
const EXPOSED: HeaderValue = HeaderValue::from_static("www-authenticate");

impl Denied {
    /// The stable code of the HTTP contract, such as `token_expired`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Forbidden => "forbidden",
        }
    }

    /// The status of the answer.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Refused(Refusal::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused(Refusal::TooManyCookies) => StatusCode::BAD_REQUEST,
            Self::Refused(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
        }
    }

    fn message(self) -> String {
        match self {
            Self::Refused(refusal) => refusal.to_string(),
            Self::Forbidden => "You are not allowed to do this".into(),
        }
    }

    /// The response. If it is a [`Refusal`], that is also among the response's extensions, for a layer that answers in
    /// another form.
    pub fn response<B: From<String>>(self) -> Response<B> {
        let status = self.status();
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            success: false,
            code: self.code(),
            message: self.message(),
        };
        let mut response = Response::new(B::from(serde_json::to_string(&problem).unwrap_or_default()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Self::Refused(refusal) = self {
            if let Some(challenge) = challenge(refusal) {
                headers.insert(header::WWW_AUTHENTICATE, challenge);
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            }
            if refusal == Refusal::Unavailable {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            response.extensions_mut().insert(refusal);
        }
        response
    }
}

/// The `WWW-Authenticate` of a refusal (RFC 6750 section 3): none if no other credential would help.
pub fn challenge(refusal: Refusal) -> Option<HeaderValue> {
    let challenge = match refusal {
        Refusal::Unavailable | Refusal::TooManyCookies => return None,
        // A new token would not help against two sign-ins.
        Refusal::TokenMissing | Refusal::AmbiguousCookies => "Bearer",
        Refusal::TokenExpired => "Bearer error=\"invalid_token\", error_description=\"jwt expired\"",
        _ => "Bearer error=\"invalid_token\"",
    };
    Some(HeaderValue::from_static(challenge))
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Denied {
    fn into_response(self) -> axum::response::Response {
        self.response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_origin_may_read_the_challenge_of_each_refused_credential() {
        for refusal in
            [Refusal::TokenMissing, Refusal::TokenInvalid, Refusal::TokenStale, Refusal::SessionEnded]
        {
            let answer: Response<String> = Denied::Refused(refusal).response();
            assert!(answer.headers().contains_key(header::WWW_AUTHENTICATE));
            assert_eq!(
                answer.headers().get(header::ACCESS_CONTROL_EXPOSE_HEADERS).unwrap(),
                "www-authenticate"
            );
        }
        for denied in [Denied::Forbidden, Denied::Refused(Refusal::Unavailable)] {
            let answer: Response<String> = denied.response();
            assert!(!answer.headers().contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS));
        }
    }
}
