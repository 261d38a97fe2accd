use axum::Json;
use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use doorward_core::role::RoleName;
use doorward_core::token::AccessToken;
use doorward_core::{Mode, Refusal, SessionId, Timestamp, UserId};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::Guard;

/// What a checked request carries on to the handler.
///
/// As an argument of an axum handler it lets signed-in callers in and refuses everybody else; `Option<Identity>` lets
/// callers without a credential in too, and still refuses a bad one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Who it is, by the stable id.
    pub user: UserId,
    /// On which device.
    pub session: SessionId,
    /// What they may do.
    pub role: RoleName,
    /// How the credential came.
    pub mode: Mode,
    /// When the credential was issued.
    pub issued_at: Timestamp,
    /// When the credential ends.
    pub expires_at: Timestamp,
}

impl Identity {
    /// The identity that a verified token gives.
    pub fn of_token(token: AccessToken, mode: Mode) -> Self {
        let AccessToken { user, session, role, issued_at, expires_at } = token;
        Self { user, session, role, mode, issued_at, expires_at }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Identity
where
    Guard: FromRef<S>,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denied> {
        Guard::from_ref(state).check(&parts.headers).await.map_err(Denied)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Identity
where
    Guard: FromRef<S>,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Denied> {
        match Guard::from_ref(state).check(&parts.headers).await {
            Ok(identity) => Ok(Some(identity)),
            Err(Refusal::TokenMissing) => Ok(None),
            Err(refusal) => Err(Denied(refusal)),
        }
    }
}

/// A refused request, as a response: `application/problem+json` (RFC 9457) with the challenge of RFC 6750.
///
/// The [`Refusal`] also stands among the response's extensions, for a layer that answers in another form.
#[derive(Debug, Clone, Copy)]
pub struct Denied(pub Refusal);

#[derive(Serialize)]
struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    success: bool,
    code: &'static str,
    message: String,
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let Self(refusal) = self;
        let status = match refusal {
            Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        };
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            success: false,
            code: refusal.code(),
            message: refusal.to_string(),
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = challenge(refusal) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(refusal);
        response
    }
}

/// The `WWW-Authenticate` of a refusal (RFC 6750 section 3): none where the failure is ours.
pub fn challenge(refusal: Refusal) -> Option<HeaderValue> {
    let challenge = match refusal {
        Refusal::Unavailable => return None,
        Refusal::TokenMissing => "Bearer",
        Refusal::TokenExpired => "Bearer error=\"invalid_token\", error_description=\"jwt expired\"",
        _ => "Bearer error=\"invalid_token\"",
    };
    Some(HeaderValue::from_static(challenge))
}
