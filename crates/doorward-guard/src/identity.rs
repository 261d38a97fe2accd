use doorward_core::role::RoleName;
use doorward_core::sign_in::Authentication;
use doorward_core::token::AccessToken;
use doorward_core::{ClaimsVersion, Mode, SessionId, Timestamp, UserId};

/// What the handler learns from a checked request.
///
/// With the feature `axum` it is an extractor: as an argument of a handler it accepts signed-in callers and refuses all
/// others. `Option<Identity>` also accepts callers without a credential, and still refuses a bad one. Behind
/// [`GuardLayer`](crate::GuardLayer) it is among the request's extensions.
///
/// A guard makes it. [`Identity::new`] is for the tests of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The user, by the stable id.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// The user's role.
    pub role: RoleName,
    /// The version of the user's claims that the credential was made from.
    pub claims_version: ClaimsVersion,
    /// When and how they signed in.
    pub authentication: Authentication,
    /// How the credential was sent.
    pub mode: Mode,
    /// When the credential was issued.
    pub issued_at: Timestamp,
    /// When the credential ends.
    pub expires_at: Timestamp,
}

impl Identity {
    /// A caller with the role `user`, the claims version 0 and an unknown sign-in. Set the other fields after it.
    ///
    /// ```
    /// use doorward_guard::{Identity, Mode, RoleName, Timestamp};
    ///
    /// let user = "0192f5a0-0000-7000-8000-000000000001".parse()?;
    /// let session = "0192f5a0-0000-7000-8000-000000000002".parse()?;
    /// let (issued_at, expires_at) = (Timestamp::from_secs(1_800_000_000), Timestamp::from_secs(1_800_000_900));
    /// let mut caller = Identity::new(user, session, Mode::Bearer, issued_at, expires_at);
    /// caller.role = RoleName::ADMIN;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(
        user: UserId,
        session: SessionId,
        mode: Mode,
        issued_at: Timestamp,
        expires_at: Timestamp,
    ) -> Self {
        let (role, claims_version) = (RoleName::USER, ClaimsVersion::ZERO);
        let authentication = Authentication::UNKNOWN;
        Self { user, session, role, claims_version, authentication, mode, issued_at, expires_at }
    }

    /// The identity of a verified token.
    #[doc(hidden)]
    pub fn of_token(token: AccessToken, mode: Mode) -> Self {
        let AccessToken { user, session, role, version: claims_version, authentication, .. } = token;
        let AccessToken { issued_at, expires_at, .. } = token;
        Self { user, session, role, claims_version, authentication, mode, issued_at, expires_at }
    }
}
