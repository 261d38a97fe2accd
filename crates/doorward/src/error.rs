//! THE error table: every refusal of the product, with its status, code and message.
//!
//! An error is answered as `application/problem+json` (RFC 9457), or as a page where the reader is a browser. What went
//! wrong inside is logged by the answer layer, and never sent.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use doorward_core::Refusal;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::store::StoreError;

/// The result of everything that a request can fail at.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a request was refused for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The credential was refused: the guard's part of the table.
    Refused(Refusal),
    /// Unknown email or wrong password: nobody learns which.
    InvalidCredentials,
    /// The refresh token is malformed, forged, or of a session that is no more.
    RefreshInvalid,
    /// The refresh token was used before: its session was ended.
    RefreshReused,
    /// The program that asks is no registered client, or its secret is wrong.
    InvalidClient,
    /// The caller's role doesn't grant this.
    Forbidden,
    /// The page that sent the request belongs to another site.
    CrossSite,
    /// Registration is closed, or needs an invitation; the text says which.
    RegistrationClosed(&'static str),
    /// The password was right, and the account is disabled.
    UserDisabled,
    /// The application that has Doorward inside refuses, with this message.
    RefusedByApplication(String),
    /// The act needs the current password, and the request doesn't confirm it.
    ConfirmationRequired,
    /// The current password, asked for again, was wrong.
    WrongPassword,
    /// The link is unknown, used, or too old.
    LinkInvalid,
    /// The request cannot be read; the text says where.
    Malformed(Cow<'static, str>),
    /// A cookie would cross the network in the clear.
    HttpsRequired,
    /// There is nothing at this URL, or nothing that the caller may see.
    NotFound,
    /// This URL has no such method, but these, as `Allow` writes them.
    MethodNotAllowed(&'static str),
    /// The client took too long to send its request.
    Timeout,
    /// Somebody has this email address.
    EmailTaken,
    /// It would leave nobody with the role admin.
    LastAdmin,
    /// The body is larger than the limit, in bytes.
    TooLarge(usize),
    /// The body is of a type that is not read; the text says which or why.
    UnsupportedMediaType(&'static str),
    /// Fields are missing or wrong.
    InvalidInput(Vec<FieldError>),
    /// Too many failures: wait.
    TooManyAttempts(Duration),
    /// More work is waiting than can be done in time.
    Overloaded,
    /// The store, or another part of ours, fails at the moment.
    Unavailable(Cause),
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field's name.
    pub field: Cow<'static, str>,
    /// What is wrong and what to do.
    pub message: String,
}

/// What failed inside, and why: for the log alone, where the answer layer writes it with the id of the request. No part of
/// what is answered, so all causes are equal.
#[derive(Debug, Clone, Default)]
pub struct Cause(Option<Arc<Failure>>);

#[derive(Debug)]
struct Failure {
    what: &'static str,
    which: &'static str,
    why: String,
}

impl Cause {
    /// What failed, and for which part of ours; both stand in this program, and each pair has a line of the log a minute.
    pub(crate) fn new(what: &'static str, which: &'static str, why: impl fmt::Display) -> Self {
        Self(Some(Arc::new(Failure { what, which, why: why.to_string() })))
    }

    /// What, which, and why, where there is anything to say.
    pub(crate) fn parts(&self) -> Option<(&'static str, &'static str, &str)> {
        self.0.as_ref().map(|failure| (failure.what, failure.which, failure.why.as_str()))
    }
}

impl PartialEq for Cause {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Cause {}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.parts().into_iter().flat_map(|(what, which, why)| [what, which, why]);
        f.write_str(&said.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": "))
    }
}

impl Error {
    /// Something of ours failed; the answer doesn't say what, the log does.
    pub(crate) fn unavailable(what: &'static str, why: impl fmt::Display) -> Self {
        Self::Unavailable(Cause::new(what, "", why))
    }

    /// Why it is answered, for who logs it; empty where the code says it all.
    pub(crate) fn into_cause(self) -> Cause {
        if let Self::Unavailable(cause) = self { cause } else { Cause::default() }
    }

    /// One field is wrong.
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self::InvalidInput(vec![FieldError { field: field.into(), message: message.into() }])
    }

    /// The row of the table: status, stable code, message for people.
    pub fn row(&self) -> (StatusCode, &'static str, Cow<'static, str>) {
        use StatusCode as S;
        let (status, code, message) = match self {
            Self::Refused(refusal) => return refused(*refusal),
            Self::Malformed(message) => return (S::BAD_REQUEST, "malformed", message.clone()),
            Self::MethodNotAllowed(has) => {
                return (S::METHOD_NOT_ALLOWED, "method_not_allowed", no_method(has));
            }
            Self::TooLarge(limit) => return (S::PAYLOAD_TOO_LARGE, "too_large", too_large(*limit)),
            Self::UnsupportedMediaType(what) => {
                return (S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", send_json(what));
            }
            Self::TooManyAttempts(_) => {
                return (S::TOO_MANY_REQUESTS, "too_many_attempts", try_again(self.retry_after()));
            }
            Self::RefusedByApplication(message) => {
                return (S::FORBIDDEN, "refused_by_application", message.clone().into());
            }
            Self::InvalidCredentials => (S::UNAUTHORIZED, "invalid_credentials", "Invalid email or password"),
            Self::RefreshInvalid => {
                (S::UNAUTHORIZED, "refresh_invalid", "Invalid refresh token: sign in again")
            }
            Self::RefreshReused => {
                (S::UNAUTHORIZED, "refresh_reused", "This refresh token was used before: sign in again")
            }
            Self::InvalidClient => (
                S::UNAUTHORIZED,
                "invalid_client",
                "This is for registered clients, with their id and secret",
            ),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "You are not allowed to do this"),
            Self::CrossSite => {
                (S::FORBIDDEN, "cross_site_request", "This request comes from another site and was refused")
            }
            Self::RegistrationClosed(message) => (S::FORBIDDEN, "registration_closed", *message),
            Self::ConfirmationRequired => {
                (S::FORBIDDEN, "confirmation_required", "This needs your current password as a confirmation")
            }
            Self::UserDisabled => (S::FORBIDDEN, "user_disabled", "This account is disabled"),
            Self::WrongPassword => (S::FORBIDDEN, "wrong_password", "The current password is wrong"),
            Self::LinkInvalid => {
                (S::BAD_REQUEST, "link_invalid", "This link is unknown, used or too old: ask for a new one")
            }
            Self::HttpsRequired => {
                (S::BAD_REQUEST, "https_required", "Cookies need https here: open this site with https")
            }
            Self::NotFound => (S::NOT_FOUND, "not_found", "There is nothing here"),
            Self::Timeout => (S::REQUEST_TIMEOUT, "timeout", "The request took too long to arrive"),
            Self::EmailTaken => (S::CONFLICT, "email_taken", "This email address is already registered"),
            Self::LastAdmin => {
                (S::CONFLICT, "last_admin", "This is the last admin: give the role to somebody else first")
            }
            Self::InvalidInput(_) => {
                (S::UNPROCESSABLE_ENTITY, "invalid_input", "Some fields are missing or wrong")
            }
            Self::Overloaded => (S::SERVICE_UNAVAILABLE, "overloaded", "Too busy at the moment: try again"),
            Self::Unavailable(_) => {
                (S::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable: try again")
            }
        };
        (status, code, message.into())
    }

    /// One of each, in the order of their statuses: the rows of the table.
    pub fn every() -> Vec<Self> {
        use Refusal as R;
        let of_the_guard = [
            R::TokenMissing,
            R::TokenInvalid,
            R::TokenExpired,
            R::TokenStale,
            R::SessionEnded,
            R::SessionExpired,
            R::AmbiguousCookies,
        ];
        let mut all = vec![
            Self::Malformed("The request cannot be read".into()),
            Self::Refused(R::TooManyCookies),
            Self::LinkInvalid,
            Self::HttpsRequired,
        ];
        all.extend(of_the_guard.map(Self::Refused));
        all.extend([
            Self::InvalidCredentials,
            Self::RefreshInvalid,
            Self::RefreshReused,
            Self::InvalidClient,
            Self::Forbidden,
            Self::CrossSite,
            Self::RegistrationClosed("Registration is closed, or needs an invitation"),
            Self::UserDisabled,
            Self::RefusedByApplication("What the application says".into()),
            Self::ConfirmationRequired,
            Self::WrongPassword,
            Self::NotFound,
            Self::MethodNotAllowed("GET,HEAD"),
            Self::Timeout,
            Self::EmailTaken,
            Self::LastAdmin,
            Self::TooLarge(65_536),
            Self::UnsupportedMediaType("The body has no Content-Type"),
            Self::InvalidInput(Vec::new()),
            Self::TooManyAttempts(Duration::from_secs(30)),
            Self::Overloaded,
            Self::Unavailable(Cause::default()),
        ]);
        all
    }

    /// What a client does about it.
    pub fn advice(&self) -> &'static str {
        use Refusal as R;
        match self {
            Self::Refused(R::TokenMissing) => "Sign in, and send the access token or the cookies.",
            Self::Refused(R::TokenInvalid) => {
                "Drop the token and sign in. Where it should be good: compare issuer and keys."
            }
            Self::Refused(R::TokenExpired | R::TokenStale) => "Refresh, and ask again with the new token.",
            Self::Refused(R::SessionEnded | R::SessionExpired) | Self::RefreshInvalid => "Sign in again.",
            Self::Refused(R::AmbiguousCookies) => {
                "Sign out by `POST /logout`, which ends both sessions, and sign in again."
            }
            Self::Refused(R::TooManyCookies) => "Delete the cookies of this site in the browser.",
            Self::RefreshReused => {
                "Sign in again. If nobody copied the token: keep the successor that each refresh gives."
            }
            Self::InvalidCredentials => "Let the person try again.",
            Self::InvalidClient => "Check id and secret; `doorward client create` makes new ones.",
            Self::Forbidden => "Ask an admin for a role that grants it.",
            Self::CrossSite => "Call from the server's own origin, or list yours in `origins`.",
            Self::RegistrationClosed(_) => "Ask an admin for an invitation or an account.",
            Self::UserDisabled => "Ask an admin.",
            Self::RefusedByApplication(_) => "Do what the message says: a hook of your application made it.",
            Self::ConfirmationRequired => {
                "Send `current_password` with the request; with cookies, `POST /confirm` once does for ten minutes."
            }
            Self::WrongPassword => "Ask for the current password again.",
            Self::LinkInvalid => "Ask for a new link.",
            Self::Malformed(_) => "Mend the request: the message says where.",
            Self::HttpsRequired => "Use https, or bearer mode.",
            Self::NotFound => "Check the address and the id.",
            Self::MethodNotAllowed(_) => "Use one of those in `Allow`.",
            Self::Timeout => "Send the request again, and faster.",
            Self::EmailTaken => "Sign in with it, or use another address.",
            Self::LastAdmin => "Make somebody else an admin first.",
            Self::TooLarge(_) => "Send less; the limit is `http.body_limit`.",
            Self::UnsupportedMediaType(_) => "Send JSON as application/json, in UTF-8, without compression.",
            Self::InvalidInput(_) => "Mend the `fields`, each of which has a message of its own.",
            Self::TooManyAttempts(_) => "Wait as long as `Retry-After` says.",
            Self::Overloaded | Self::Unavailable(_) | Self::Refused(R::Unavailable) => {
                "Keep what you hold, and try again after `Retry-After`."
            }
        }
    }

    /// The refusal of a form, to be repeated; `None` for what is not about the form itself, or may be over by now.
    pub(crate) fn repeated(code: &str, message: String, fields: Vec<FieldError>) -> Option<Self> {
        let mut fixed = [
            Self::InvalidCredentials,
            Self::Forbidden,
            Self::UserDisabled,
            Self::WrongPassword,
            Self::LinkInvalid,
            Self::NotFound,
            Self::EmailTaken,
            Self::LastAdmin,
        ]
        .into_iter();
        match code {
            "invalid_input" => Some(Self::InvalidInput(fields)),
            "refused_by_application" => Some(Self::RefusedByApplication(message)),
            _ => fixed.find(|error| error.row().1 == code),
        }
    }

    /// Whether only programs meet it, so that no page says it: a body that no form has, or a client's wrong secret.
    pub(crate) fn is_of_programs(&self) -> bool {
        matches!(self, Self::InvalidClient | Self::UnsupportedMediaType(_))
    }

    /// When to try again, where that is known: in so many seconds, rounded up, as `Retry-After` says it.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyAttempts(wait) => Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            Self::Overloaded => Some(2),
            Self::Unavailable(_) | Self::Refused(Refusal::Unavailable) => Some(1),
            _ => None,
        }
    }

    /// The fields at fault.
    pub fn fields(&self) -> &[FieldError] {
        if let Self::InvalidInput(fields) = self { fields } else { &[] }
    }
}

fn no_method(has: &str) -> Cow<'static, str> {
    format!("This address has no such method: it has {}", has.replace(',', ", ")).into()
}

fn too_large(limit: usize) -> Cow<'static, str> {
    format!("The request body is too large: at most {limit} bytes").into()
}

fn send_json(what: &str) -> Cow<'static, str> {
    format!("{what}: send JSON in UTF-8, with the header Content-Type: application/json").into()
}

fn try_again(seconds: Option<u64>) -> Cow<'static, str> {
    let seconds = seconds.unwrap_or_default();
    let unit = if seconds == 1 { "second" } else { "seconds" };
    format!("Too many attempts: try again in {seconds} {unit}").into()
}

fn refused(refusal: Refusal) -> (StatusCode, &'static str, Cow<'static, str>) {
    let status = match refusal {
        Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::TooManyCookies => StatusCode::BAD_REQUEST,
        _ => StatusCode::UNAUTHORIZED,
    };
    (status, refusal.code(), refusal.to_string().into())
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        if error.is_overloaded() {
            return Self::Overloaded;
        }
        Self::unavailable("the store failed", error)
    }
}

/// The error goes to the answer layer among the response's extensions: only there are request id and reader known.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.row().0.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
