use doorward_core::Refusal;
use doorward_core::token::app_claims;
use http::HeaderMap;
use serde::de::DeserializeOwned;

use crate::credential::{Credential, Credentials, credentials};
use crate::{Guard, Identity};

/// The caller, and the application's claims in their access token (the claim `app`). They are `None` in session mode,
/// which has no token, and if nothing was added.
///
/// Claims that don't fit `T` are those of an older version of the application: the caller has to refresh
/// (`token_stale`).
///
/// ```
/// # #[cfg(feature = "axum")]
/// # fn example() {
/// use doorward_guard::Claims;
///
/// #[derive(serde::Deserialize)]
/// struct Plan {
///     plan: String,
/// }
///
/// async fn plan(Claims(identity, plan): Claims<Plan>) -> String {
///     format!("{} has {}", identity.user, plan.map_or("no plan".into(), |it| it.plan))
/// }
/// # let _: axum::Router<doorward_guard::Guard> = axum::Router::new().route("/plan", axum::routing::get(plan));
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Claims<T>(pub Identity, pub Option<T>);

impl Guard {
    /// Checks the credential of a request as [`Guard::check`] does, and then reads the application's claims in it.
    ///
    /// # Errors
    /// As for [`Guard::check`]; [`Refusal::TokenStale`] if they don't fit `T`.
    pub async fn claims<T: DeserializeOwned>(&self, headers: &HeaderMap) -> Result<Claims<T>, Refusal> {
        let identity = self.check(headers).await?;
        let added = self.token_of(headers, &identity).map_or(Ok(None), app_claims)?;
        Ok(Claims(identity, added))
    }

    /// The token that this identity was read from, if it was one.
    fn token_of<'a>(&self, headers: &'a HeaderMap, identity: &Identity) -> Option<&'a str> {
        let token = |one: Credential<'a>| match one {
            Credential::BearerToken(token) | Credential::CookieToken(token) => Some(token),
            Credential::SessionSecret(_) => None,
        };
        match credentials(headers, self.cookies()).ok()? {
            Credentials::One(one) => token(one),
            Credentials::Several(all) => {
                all.into_iter().filter_map(token).find(|token| self.is_session_of(token, identity))
            }
        }
    }
}
