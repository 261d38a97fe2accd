//! The one table of errors: every refusal of the product is one row, with its status, code, message, check and advice.
//!
//! An error is answered as `application/problem+json` (RFC 9457), or as a page if the client is a browser. The cause of
//! an internal failure is logged by the answer layer, and never sent.

mod cause;
mod pending;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use doorward_core::Refusal;
use doorward_core::message::Message;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::store::StoreError;
use crate::texts::{Language, PROBLEMS, Texts, english};
pub(crate) use cause::Cause;
pub use pending::Pending;

/// The result of everything that can fail in a request.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! errors {
    (
        guard {
            $(
                $(#[doc = $guard_doc:literal])+
                $refusal:ident: $guard_status:ident, checks $guard_checks:literal, do $guard_advice:literal;
            )+
        }
        $(
            $(#[doc = $doc:literal])+
            $variant:ident $(($arg:ident: $type:ty, such as $example:expr))?:
            $status:ident $code:literal, $message:tt $(with $name:ident = $value:expr)?,
            checks $checks:literal, do $advice:literal $(, in $form:ident)?;
        )+
    ) => {
        /// Why a request was refused.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Error {
            /// The credential was refused: the guard's part of the table.
            Refused(Refusal),
            $($(#[doc = $doc])+ $variant $(($type))?,)+
        }

        impl Error {
            /// The status of the answer; the settings may say another one.
            pub fn status(&self) -> StatusCode {
                match self {
                    $(Self::Refused(Refusal::$refusal) => StatusCode::$guard_status,)+
                    // A refusal that is not in the table lets nobody in; a test asks for each.
                    Self::Refused(_) => StatusCode::UNAUTHORIZED,
                    $(Self::$variant { .. } => StatusCode::$status,)+
                }
            }

            /// The stable code.
            pub fn code(&self) -> &'static str {
                match self {
                    Self::Refused(refusal) => refusal.code(),
                    $(Self::$variant { .. } => $code,)+
                }
            }

            /// The text for people: that of the code, or what happened in this case.
            pub(crate) fn message(&self) -> Message {
                match self {
                    Self::Refused(refusal) => Message::new(refusal.code()),
                    $(Self::$variant $(($arg))? => errors!(@message $code, $message $(, $name, $value)?),)+
                }
            }

            /// What a client does about it.
            pub fn advice(&self) -> &'static str {
                match self {
                    $(Self::Refused(Refusal::$refusal) => $guard_advice,)+
                    Self::Refused(_) => "Sign in again.",
                    $(Self::$variant { .. } => $advice,)+
                }
            }

            /// What is checked before this refusal, what was found, and what to do.
            pub fn explanation(&self) -> Explanation {
                let (checked, found) = match self {
                    $(Self::Refused(Refusal::$refusal) => ($guard_checks, concat!($($guard_doc),+)),)+
                    Self::Refused(_) => ("The credential.", "It is refused."),
                    $(Self::$variant { .. } => ($checks, concat!($($doc),+)),)+
                };
                Explanation { checked, found: found.trim_ascii(), advice: self.advice() }
            }

            /// One of each code, in the order of their statuses.
            pub fn every() -> Vec<Self> {
                let mut all = vec![
                    $(Self::Refused(Refusal::$refusal),)+
                    $(Self::$variant $(($example))?,)+
                ];
                // `unavailable` is also one of the guard's codes.
                all.retain(|error| *error != Self::Refused(Refusal::Unavailable));
                all.sort_by_key(Self::status);
                all
            }

            /// The English texts of the rows, by their codes.
            pub(crate) fn texts() -> String {
                let guards = [$(Refusal::$refusal,)+].map(|one| format!("{} = {one}\n", one.code())).concat();
                let ours = [$(errors!(@text $code, $message),)+].concat();
                // `unavailable` is also one of the guard's codes.
                let guards = guards.lines().filter(|line| !ours.contains(line));
                guards.map(|line| format!("{line}\n")).collect::<String>() + &ours
            }

            /// Those about the input of a form, which its page shows.
            fn of_forms() -> Vec<Self> {
                let mut all = Vec::new();
                $($(
                    let _: &str = stringify!($form);
                    all.push(Self::$variant);
                )?)+
                all
            }
        }
    };
    (@message $code:literal, $message:literal $(, $name:ident, $value:expr)?) => {
        Message::new($code)$(.with(stringify!($name), $value))?
    };
    (@message $code:literal, ($message:expr)) => { $message };
    (@text $code:literal, $message:literal) => { concat!($code, " = ", $message, "\n") };
    (@text $code:literal, ($message:expr)) => { "" };
}

/// The English texts, as answers to programs have them.
static ENGLISH: LazyLock<Texts> =
    LazyLock::new(|| Texts::new(&Language::english([Error::texts().into(), PROBLEMS.into()])));

// A row: what was found, variant, status, code, message, what is checked, and what a client does about it. The message is
// the English text of the code; `with` is its parameter, and a message in parentheses is that of the case. `in forms` marks
// errors about a form itself: a form that is sent twice may be refused with the same error again.
errors! {
    guard {
        /// The request carries no credential, or not in a place that is read.
        TokenMissing: UNAUTHORIZED,
            checks "The header `Authorization` if there is one, otherwise the cookies: they have to hold a credential.",
            do "Sign in, and send the access token or the cookies.";
        /// The token or session secret is malformed, forged, for somebody else, or unknown here.
        TokenInvalid: UNAUTHORIZED,
            checks "Of a token its form, key, signature and claims. Of a session secret its form, and whether a session has it.",
            do "Drop the token and sign in. If it should be good, compare issuer and keys.";
        /// The signature holds, and the time in `exp` has passed. Its session may still be live.
        TokenExpired: UNAUTHORIZED,
            checks "`exp` of the access token against the clock of this server.",
            do "Refresh, and repeat the request with the new token.";
        /// The signature holds, and role or password have changed since, or many sessions were ended.
        TokenStale: UNAUTHORIZED,
            checks "`ver` of the access token against the least claims version of its user.",
            do "Refresh, and repeat the request with the new token.";
        /// The session was ended: by a logout, an admin, a password change or a refresh token that was used twice.
        SessionEnded: UNAUTHORIZED,
            checks "The session of the credential against the revocations.",
            do "Sign in again.";
        /// The session was not used for too long, or has reached the longest time that it may live.
        SessionExpired: UNAUTHORIZED,
            checks "The idle end and the absolute end of the session against the clock of this server.",
            do "Sign in again.";
        /// The cookies prove two different live sessions, so it is unclear which was meant.
        AmbiguousCookies: UNAUTHORIZED,
            checks "All cookies of one name: they may prove one live session.",
            do "Sign out by `POST /logout`, which ends both sessions, and sign in again.";
        /// There are more cookies of one name than the limit.
        TooManyCookies: BAD_REQUEST,
            checks "The number of cookies of one name, before any of them is tried.",
            do "Delete the cookies of this site in the browser.";
        /// Store, keys or revocations cannot be read at the moment. That is the server's failure.
        Unavailable: SERVICE_UNAVAILABLE,
            checks "The credential against what the server knows.",
            do "Keep your credentials, and try again after `Retry-After`.";
    }
    /// The request cannot be read; the text says where.
    Malformed(message: Message, such as Message::new("request-unreadable")):
        BAD_REQUEST "malformed", (message.clone()),
        checks "Whether request line, query, headers and body can be read as what the route takes.",
        do "Fix the request: the message says where.";
    /// The link is unknown, used, or too old.
    LinkInvalid: BAD_REQUEST "link_invalid", "This link is unknown, used or too old: ask for a new one",
        checks "The secret of the link against the links that were made, and their end.",
        do "Ask for a new link.", in forms;
    /// A cookie would cross the network in the clear.
    HttpsRequired: BAD_REQUEST "https_required", "Cookies need https here: open this site with https",
        checks "Whether the request came over https, since the answer would set a cookie.",
        do "Use https, or bearer mode.";
    /// Unknown email or wrong password: the answer doesn't tell which.
    InvalidCredentials: UNAUTHORIZED "invalid_credentials", "Invalid email or password",
        checks "The password against the hash of the account with this email address; for an unknown one, a dummy hash.",
        do "Let the person try again.", in forms;
    /// What was proved is right, and the account needs something on top of it.
    SecondFactorRequired(_pending: Pending, such as Pending::example()):
        UNAUTHORIZED "second_factor_required", "This account needs a second factor to sign in",
        checks "Whether what was proved is enough for this account.",
        do "Ask for one of `factors`, and send it with the `handle`. If the list is empty, ask the operator for a newer server.";
    /// The refresh token is malformed, forged, or of a session that no longer exists.
    RefreshInvalid: UNAUTHORIZED "refresh_invalid", "Invalid refresh token: sign in again",
        checks "The form and HMAC of the refresh token, and whether its session exists.",
        do "Sign in again.";
    /// The refresh token was used before: its session was ended.
    RefreshReused: UNAUTHORIZED "refresh_reused", "This refresh token was used before: sign in again",
        checks "The generation of the refresh token against the present one of its session.",
        do "Sign in again. If nobody copied the token: keep the successor that each refresh gives.";
    /// The program is not a registered client, or its secret is wrong.
    InvalidClient: UNAUTHORIZED "invalid_client", "This is for registered clients, with their id and secret",
        checks "Client id and secret in `Authorization: Basic` against the registered clients.",
        do "Check id and secret; `doorward client create` makes new ones.";
    /// The caller's role doesn't grant this, or not towards this user.
    Forbidden: FORBIDDEN "forbidden", "You are not allowed to do this",
        checks "The permissions of the caller's role, as it is now, against what the route needs.",
        do "Ask an admin for a role that grants it.", in forms;
    /// The page that sent the request belongs to another site.
    CrossSite: FORBIDDEN "cross_site_request", "This request comes from another site and was refused",
        checks "`Sec-Fetch-Site`, or `Origin` against the server's own origin and those in `origins`.",
        do "Call from the server's own origin, or list yours in `origins`.";
    /// Registration is closed, or needs an invitation; the text says which.
    RegistrationClosed(message: Message, such as Message::new("registration-refused")):
        FORBIDDEN "registration_closed", (message.clone()),
        checks "The setting `registration`, and the invitation if it asks for one.",
        do "Ask an admin for an invitation or an account.";
    /// The password was right, and the account is disabled.
    UserDisabled: FORBIDDEN "user_disabled", "This account is disabled",
        checks "Whether the account may sign in, after its password was right.",
        do "Ask an admin.", in forms;
    /// The embedding application refuses, with this message.
    RefusedByApplication(text: String, such as "What the application says".into()):
        FORBIDDEN "refused_by_application", "{ $text }" with text = text.as_str(),
        checks "The act, by a hook of the application that embeds Doorward.",
        do "Follow the message; it comes from your application's hook.";
    /// The act needs the current password, and the request doesn't have it.
    ConfirmationRequired: FORBIDDEN "confirmation_required", "This needs your current password as a confirmation",
        checks "Whether the caller confirmed the act by the current password.",
        do "Send `current_password` with the request; with cookies, `POST /confirm` once does for ten minutes.";
    /// The current password, asked for again, was wrong.
    WrongPassword: FORBIDDEN "wrong_password", "The current password is wrong",
        checks "The current password against the hash of the caller's account.",
        do "Ask for the current password again.", in forms;
    /// The route is open in development mode only, to its own machine and pages; the text says which of these failed.
    DevelopmentOnly(message: Message, such as Message::new("development-off")):
        FORBIDDEN "development_only", (message.clone()),
        checks "The mode of the server, the peer of the connection, headers of proxies and tunnels, and `Sec-Fetch-Site`.",
        do "Start the server with `--dev`, and open this on the same machine at the server's own address, without a proxy.";
    /// There is nothing at this URL, or nothing that the caller may see.
    NotFound: NOT_FOUND "not_found", "There is nothing here",
        checks "The path against the routes, and the id in it against what the caller may see.",
        do "Check the address and the id.", in forms;
    /// The URL doesn't support this method, but these, in the form of `Allow`.
    MethodNotAllowed(has: &'static str, such as "GET,HEAD"):
        METHOD_NOT_ALLOWED "method_not_allowed", "This address has no such method: it has { $methods }"
        with methods = has.replace(',', ", "),
        checks "The method against those of the route.",
        do "Use a method in `Allow`.";
    /// The client took too long to send its request.
    Timeout: REQUEST_TIMEOUT "timeout", "The request took too long to arrive",
        checks "The time that the body took to arrive, against `http.body_timeout`.",
        do "Send the request again, and faster.";
    /// The form is on a page of one account, and the browser that sends it is signed in to another.
    OtherAccount: CONFLICT "other_account",
        "The page with this form shows another account than the one that is signed in now, so nothing was done",
        checks "The account that the form's page showed against the one that is signed in.",
        do "Open the page again, and see whose account it shows.";
    /// Another account has this email address.
    EmailTaken: CONFLICT "email_taken", "This email address is already registered",
        checks "The email address, in its canonical form, against those of all accounts.",
        do "Sign in with it, or use another address.", in forms;
    /// It would leave no user with the role admin.
    LastAdmin: CONFLICT "last_admin", "This is the last admin: give the role to somebody else first",
        checks "Whether an enabled user with the role admin is left after the change.",
        do "Make somebody else an admin first.", in forms;
    /// The body is larger than the limit, in bytes.
    TooLarge(limit: usize, such as 65_536):
        PAYLOAD_TOO_LARGE "too_large", "The request body is too large: at most { $most } bytes" with most = *limit,
        checks "The length of the body against the limit of the route.",
        do "Send less; the limit is `http.body_limit`.";
    /// The body is of a type that is not supported; the text says which or why.
    UnsupportedMediaType(what: &'static str, such as "The body has no Content-Type"):
        UNSUPPORTED_MEDIA_TYPE "unsupported_media_type",
        "{ $what }: send JSON in UTF-8, with the header Content-Type: application/json" with what = *what,
        checks "`Content-Type` and `Content-Encoding` of the body.",
        do "Send JSON as application/json, in UTF-8, without compression.";
    /// The request to a development server names another host than its own machine, or none.
    WrongHost: MISDIRECTED_REQUEST "wrong_host",
        "This is a development server: it answers only as localhost, 127.0.0.1 or [::1]",
        checks "`Host`, and the host of an absolute URI: both must be `localhost`, a name below it, or a loopback address.",
        do "Use `http://localhost` with the server's port. For any other name, start the server without `--dev`.";
    /// Fields are missing or wrong.
    InvalidInput(_fields: Vec<FieldError>, such as Vec::new()):
        UNPROCESSABLE_ENTITY "invalid_input", "Some fields are missing or wrong",
        checks "Each field of the body or query: whether it is there, and its own rule.",
        do "Fix the `fields`: each has its own message.";
    /// Too many failures: wait.
    TooManyAttempts(wait: Duration, such as Duration::from_secs(30)):
        TOO_MANY_REQUESTS "too_many_attempts",
        "Too many attempts: try again in { $seconds ->\n [one] 1 second\n *[other] { $seconds } seconds\n }"
        with seconds = in_seconds(*wait),
        checks "The limits: attempts of this network, and at this account from this network.",
        do "Wait as long as `Retry-After` says.";
    /// The disk is nearly full: acts that add to the database have to wait.
    NoRoom: SERVICE_UNAVAILABLE "no_room", "The server's disk is nearly full, so nothing new is stored: try again later",
        checks "The free space of the disk with the database, before an act that adds to it.",
        do "Try again after `Retry-After`. Signing out, refreshing and a new password still work.";
    /// More work is waiting than can be done in time.
    Overloaded: SERVICE_UNAVAILABLE "overloaded", "Too busy at the moment: try again",
        checks "The length of the queues for hashing and the store.",
        do "Keep your credentials, and try again after `Retry-After`.";
    /// The store, or another part of the server, fails at the moment.
    Unavailable(_cause: Cause, such as Cause::default()):
        SERVICE_UNAVAILABLE "unavailable", "Temporarily unavailable: try again",
        checks "The parts that the act needs: store, keys, hashing.",
        do "Keep your credentials, and try again after `Retry-After`.";
}

/// What a code means, in plain English: each text is one or two sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// What was checked.
    pub checked: &'static str,
    /// What was found.
    pub found: &'static str,
    /// What to do.
    pub advice: &'static str,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field's name.
    pub field: Cow<'static, str>,
    /// What is wrong and what to do.
    pub problem: Message,
}

impl FieldError {
    /// What is wrong and what to do, in English.
    pub fn message(&self) -> Cow<'static, str> {
        english(&self.problem)
    }
}

impl fmt::Display for Error {
    /// The message in English.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            _ => f.write_str(&ENGLISH.say(&self.message())),
        }
    }
}

impl std::error::Error for Error {}

impl Explanation {
    /// That of the error with this code.
    pub fn of(code: &str) -> Option<Self> {
        Error::every().iter().find(|error| error.code() == code).map(Error::explanation)
    }
}

impl Error {
    /// An internal failure; the log says what failed, the answer doesn't.
    pub(crate) fn unavailable(what: &'static str, why: impl fmt::Display) -> Self {
        Self::Unavailable(Cause::new(what, "", why))
    }

    /// The detail for the log; empty if the code says it all.
    pub(crate) fn into_cause(self) -> Cause {
        if let Self::Unavailable(cause) = self { cause } else { Cause::default() }
    }

    /// One field is wrong.
    pub fn field(field: &'static str, problem: impl Into<Message>) -> Self {
        Self::InvalidInput(vec![FieldError { field: field.into(), problem: problem.into() }])
    }

    /// The refusal of a form, to be repeated; `None` for one that is not about the form itself, or may no longer hold.
    pub(crate) fn repeated(code: &str, message: String, fields: Vec<FieldError>) -> Option<Self> {
        match code {
            "invalid_input" => Some(Self::InvalidInput(fields)),
            "refused_by_application" => Some(Self::RefusedByApplication(message)),
            _ => Self::of_forms().into_iter().find(|error| error.code() == code),
        }
    }

    /// Whether only programs can get it, so that no page shows it: a body that no form has, or a client's wrong secret.
    pub(crate) fn is_of_programs(&self) -> bool {
        matches!(self, Self::InvalidClient | Self::UnsupportedMediaType(_))
    }

    /// When to try again, if that is known: in whole seconds, rounded up, as in `Retry-After`.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyAttempts(wait) => Some(in_seconds(*wait)),
            Self::NoRoom => Some(30),
            Self::Overloaded => Some(2),
            Self::Unavailable(_) | Self::Refused(Refusal::Unavailable) => Some(1),
            _ => None,
        }
    }

    /// What a sign-in still needs.
    pub(crate) fn pending(&self) -> Option<&Pending> {
        if let Self::SecondFactorRequired(pending) = self { Some(pending) } else { None }
    }

    /// The fields at fault.
    pub fn fields(&self) -> &[FieldError] {
        if let Self::InvalidInput(fields) = self { fields } else { &[] }
    }
}

/// Rounded up, so that a client does not come back too early.
fn in_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
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

/// The error goes to the answer layer among the response's extensions: only that layer knows request id and client.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
