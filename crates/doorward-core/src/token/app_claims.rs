use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{base64url, strict_json};
use crate::Refusal;

/// What an application adds to the access tokens of its users: one JSON object, as the claim `app`.
///
/// Inside a claim of its own, nothing of it can be mistaken for one of Doorward's claims, now or later. It is not
/// encrypted: anyone who holds the token can read it.
///
/// ```
/// use doorward_core::token::{AppClaims, AppClaimsError};
///
/// #[derive(serde::Serialize)]
/// struct Plan {
///     plan: &'static str,
///     seats: u32,
/// }
///
/// let claims = AppClaims::new(&Plan { plan: "gold", seats: 5 })?;
/// assert_eq!(claims.as_json(), Some(r#"{"plan":"gold","seats":5}"#));
/// assert_eq!(AppClaims::new(&"x".repeat(300)), Err(AppClaimsError::NotAnObject));
/// # Ok::<(), AppClaimsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppClaims(Option<Box<str>>);

/// Why a value cannot be claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppClaimsError {
    /// It doesn't serialise to a JSON object: make it a struct or a map.
    #[error("an application's claims must be a struct or a map, which JSON can write")]
    NotAnObject,
    /// It is too long for a token that is sent with every request.
    #[error("an application's claims are longer than {} bytes as JSON", AppClaims::MAX_LENGTH)]
    TooLong,
    /// Verifiers would refuse it: a name occurs twice in it, or needs an escape in JSON.
    #[error("an application's claims have a name twice, or one that JSON has to escape")]
    Ambiguous,
}

impl AppClaims {
    /// The most bytes that the claims may have as JSON. With them a token still fits into a cookie, and into the memory
    /// of verified tokens.
    pub const MAX_LENGTH: usize = 256;

    /// No claims: the token has no `app`.
    pub const fn none() -> Self {
        Self(None)
    }

    /// The claims from the JSON of this value; none if that is `null`.
    ///
    /// # Errors
    /// Not every verifier would read it alike, or it is too long.
    pub fn new(value: &impl Serialize) -> Result<Self, AppClaimsError> {
        let json = serde_json::to_string(value).map_err(|_| AppClaimsError::NotAnObject)?;
        match json {
            json if json == "null" => Ok(Self::none()),
            json if !json.starts_with('{') => Err(AppClaimsError::NotAnObject),
            json if json.len() > Self::MAX_LENGTH => Err(AppClaimsError::TooLong),
            json if !strict_json::is_object(&json) => Err(AppClaimsError::Ambiguous),
            json => Ok(Self(Some(json.into()))),
        }
    }

    /// The object as JSON; `None` if there are no claims.
    pub fn as_json(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// The application's claims in an access token that [`verify`](super::verify()) accepted: only the form is checked
/// here. `None` if there are none.
///
/// # Errors
/// [`Refusal::TokenStale`] if they are not a `T`: the application has changed since the token was made, and the next
/// token will fit.
pub fn app_claims<T: DeserializeOwned>(verified: &str) -> Result<Option<T>, Refusal> {
    let payload = verified.split('.').nth(1).and_then(base64url::decode).ok_or(Refusal::TokenInvalid)?;
    match serde_json::from_slice::<Payload<T>>(&payload) {
        Ok(payload) => Ok(payload.app),
        Err(_) => Err(Refusal::TokenStale),
    }
}

/// The one member of a payload that the application wrote.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Payload<T> {
    app: Option<T>,
}
