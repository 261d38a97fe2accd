//! The credential of a session, as it is handed to the client.

use doorward_core::sign_in::Authentication;
use doorward_core::token::{AppClaims, Claims};
use doorward_core::{Mode, SessionId, Timestamp, UserId};
use zeroize::Zeroizing;

use super::Sessions;
use crate::error::Result;
use crate::users::Subject;

/// A credential as it is handed to the client, once.
#[derive(Debug)]
pub struct Issued {
    /// How the client will hold it.
    pub mode: Mode,
    /// The session that it belongs to.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Now, by which spans are counted.
    pub now: Timestamp,
    /// Whether the same was handed out before: to another tab, or in an answer that was lost.
    pub again: bool,
    /// When the cookies of this credential go.
    pub ends_at: Timestamp,
    /// What to hand out.
    pub content: Content,
    /// What the device shows at its next sign-in, if this was one.
    pub device: Option<Zeroizing<String>>,
}

/// What a credential consists of.
pub enum Content {
    /// Bearer and cookie mode.
    Tokens {
        /// The access token and its end.
        access: (String, Timestamp),
        /// The refresh token and its end.
        refresh: (Zeroizing<String>, Timestamp),
    },
    /// Session mode: the secret, and the end of the session unless it is used.
    Secret(Zeroizing<String>, Timestamp),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Content(…)")
    }
}

/// What the tokens of a session are made from.
pub(super) struct OfSession<'a> {
    pub(super) subject: Subject,
    pub(super) session: SessionId,
    pub(super) authentication: Authentication,
    pub(super) generation: u64,
    pub(super) salt: &'a [u8],
    pub(super) expires_at: Timestamp,
    pub(super) absolute_expires_at: Timestamp,
}

impl Sessions {
    /// Signs the tokens of a session.
    pub(super) fn tokens(&self, of: &OfSession<'_>, now: Timestamp, app: &AppClaims) -> Result<Content> {
        let expires_at = self.lifetimes.access_end(now, of.absolute_expires_at);
        let (Subject { user, role, version }, session) = (of.subject, of.session);
        let mut claims = Claims::new(user, session, now, expires_at, crate::random::bytes());
        (claims.role, claims.version, claims.authentication) = (role, version, of.authentication);
        let access = (self.keys.issue(&claims, app)?, expires_at);
        let refresh = Zeroizing::new(self.refresh_key.issue(user, session, of.generation, of.salt));
        Ok(Content::Tokens { access, refresh: (refresh, of.expires_at) })
    }
}
