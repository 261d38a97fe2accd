use doorward_core::role::RoleName;
use doorward_core::token::AccessToken;
use doorward_core::{ClaimsVersion, Mode, SessionId, Timestamp, UserId};

/// What a checked request carries on to the handler.
///
/// With the feature `axum` it is an extractor: as an argument of a handler it lets signed-in callers in and refuses
/// everybody else; `Option<Identity>` lets callers without a credential in too, and still refuses a bad one. Behind
/// [`GuardLayer`](crate::GuardLayer) it stands among the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Who it is, by the stable id.
    pub user: UserId,
    /// On which device.
    pub session: SessionId,
    /// What they may do.
    pub role: RoleName,
    /// From which version of the user's claims the credential was made.
    pub claims_version: ClaimsVersion,
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
        let AccessToken { user, session, role, version: claims_version, issued_at, expires_at } = token;
        Self { user, session, role, claims_version, mode, issued_at, expires_at }
    }
}
