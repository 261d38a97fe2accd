/// Why a credential was refused: plain data, for the code that answers.
///
/// All causes of one class share one refusal, so that an attacker learns nothing from the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The request carries no credential.
    #[error("No token provided")]
    TokenMissing,
    /// The credential is malformed, forged, for somebody else, or ambiguous.
    #[error("Invalid token")]
    TokenInvalid,
    /// The signature is good, and the token's `exp` has passed.
    #[error("jwt expired")]
    TokenExpired,
    /// The signature is good, and the user's claims have changed since, by a new role, a new password or the end of many
    /// sessions: refresh and go on.
    #[error("Token is out of date: refresh it")]
    TokenStale,
    /// The session was ended: by a logout, an admin, a password change or a replayed refresh token.
    #[error("This session has ended")]
    SessionEnded,
    /// The session reached its idle or absolute end.
    #[error("This session has expired: sign in again")]
    SessionExpired,
    /// The cookies prove two different live sessions, so it is unclear which was meant.
    #[error("Your browser holds two different sign-ins: sign out of both")]
    AmbiguousCookies,
    /// There are more cookies of one name than the limit.
    #[error("Too many cookies of one name: delete the cookies of this site")]
    TooManyCookies,
    /// The credential could not be checked. That is the server's failure, and the client keeps its credential.
    #[error("Temporarily unavailable: try again")]
    Unavailable,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 9] = [
        Self::TokenMissing,
        Self::TokenInvalid,
        Self::TokenExpired,
        Self::TokenStale,
        Self::SessionEnded,
        Self::SessionExpired,
        Self::AmbiguousCookies,
        Self::TooManyCookies,
        Self::Unavailable,
    ];

    /// The stable code of the HTTP contract.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TokenMissing => "token_missing",
            Self::TokenInvalid => "token_invalid",
            Self::TokenExpired => "token_expired",
            Self::TokenStale => "token_stale",
            Self::SessionEnded => "session_ended",
            Self::SessionExpired => "session_expired",
            Self::AmbiguousCookies => "ambiguous_cookies",
            Self::TooManyCookies => "too_many_cookies",
            Self::Unavailable => "unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal::{self, *};

    #[test]
    fn all_has_every_refusal() {
        // Here the compiler asks for a new one.
        let next = |refusal: &Refusal| match refusal {
            TokenMissing => Some(TokenInvalid),
            TokenInvalid => Some(TokenExpired),
            TokenExpired => Some(TokenStale),
            TokenStale => Some(SessionEnded),
            SessionEnded => Some(SessionExpired),
            SessionExpired => Some(AmbiguousCookies),
            AmbiguousCookies => Some(TooManyCookies),
            TooManyCookies => Some(Unavailable),
            Unavailable => None,
        };
        let each: Vec<_> = std::iter::successors(Some(TokenMissing), next).collect();
        assert_eq!(each, Refusal::ALL);
    }
}
