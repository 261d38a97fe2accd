//! The credential of a session, as the client gets it.

use doorward_core::sign_in::Authentication;
use doorward_core::token::{AppClaims, Claims};
use doorward_core::{Mode, SessionId, Timestamp, UserId};
use zeroize::Zeroizing;

use super::Sessions;
use crate::error::Result;
use crate::flow::{self, ClaimsFact, Fact, Label, Seen, Step, Verb, note, tell};
use crate::users::Subject;

/// A credential as the client gets it, once.
#[derive(Debug)]
pub struct Issued {
    /// How the client will hold it.
    pub mode: Mode,
    /// The session that it belongs to.
    pub session: SessionId,
    /// The session's user.
    pub user: UserId,
    /// The current time, from which spans are counted.
    pub now: Timestamp,
    /// True if this repeats an earlier answer (second tab, lost response).
    pub again: bool,
    /// When the cookies of this credential expire.
    pub ends_at: Timestamp,
    /// The credential itself.
    pub content: Content,
    /// What the device presents at its next sign-in, if this was one.
    pub device: Option<Zeroizing<String>>,
}

/// The parts of a credential.
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

/// The contents of a session's tokens.
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
        let access = self.access_token(of, now, app)?;
        let (Subject { user, .. }, session) = (of.subject, of.session);
        let generation = of.generation;
        note(|| {
            let step = Step::of(Verb::MakeRefreshToken)
                .fact(Fact::Count { label: Label::Generation, count: generation });
            step.fact(Fact::At { label: Label::EndsAt, at: of.expires_at })
        });
        tell(|story| {
            (story.user, story.session) = (Some(user), Some(session));
            story.generation = Some(generation);
        });
        let refresh =
            Zeroizing::new(self.refresh_keys.current().issue(user, session, of.generation, of.salt));
        Ok(Content::Tokens { access, refresh: (refresh, of.expires_at) })
    }

    /// Signs an access token of a session; returns it with its end.
    pub(super) fn access_token(
        &self,
        of: &OfSession<'_>,
        now: Timestamp,
        app: &AppClaims,
    ) -> Result<(String, Timestamp)> {
        let expires_at = self.lifetimes.access_end(now, of.absolute_expires_at);
        let Subject { user, role, version } = of.subject;
        let mut claims = Claims::new(user, of.session, now, expires_at, crate::random::bytes());
        (claims.role, claims.version, claims.authentication) = (role, version, of.authentication);
        let (started, token) = (flow::started(), self.keys.issue(&claims, app)?);
        note(|| Step::of(Verb::SignToken).since(started).fact(Fact::Claims(Box::new(self.fact(&claims)))));
        Ok((token, expires_at))
    }

    /// The claims of a token that was signed.
    fn fact(&self, claims: &Claims) -> ClaimsFact {
        let (algorithm, key) = self.keys.signs_with();
        ClaimsFact {
            algorithm: Seen::new(algorithm.as_str()),
            key: Seen::new(&key),
            user: claims.user,
            session: claims.session,
            role: claims.role,
            version: claims.version,
            signed_in_at: claims.authentication.at,
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
        }
    }
}
