//! Which sessions a request proves to be its own, by the credentials in it.

use doorward_core::refresh::RefreshToken;
use doorward_core::{OpaqueSecret, Refusal, SessionId, UserId};
use doorward_guard::internals::MOST_COOKIES;

use super::{Sessions, renewal, stored};
use crate::error::Result;

/// A live session that a request proves.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: SessionId,
    /// The newest of the sent refresh tokens that are correctly signed.
    pub(crate) newest: Option<RefreshToken>,
}

/// A session that a request proves to be its own.
#[derive(Debug, Clone, Copy)]
pub struct Proved {
    /// Its id.
    pub session: SessionId,
    /// Its user, if it is alive as far as is known already: then it can be ended without asking first.
    pub user: Option<UserId>,
}

impl Proved {
    /// One of which nothing is known.
    pub fn unknown(session: SessionId) -> Self {
        Self { session, user: None }
    }

    /// Each session once, in the order of their ids.
    pub(crate) fn each_once(mut proved: Vec<Self>) -> Vec<Self> {
        proved.sort_unstable_by_key(|one| (one.session, one.user.is_none()));
        proved.dedup_by_key(|one| one.session);
        proved
    }
}

impl Sessions {
    /// The sessions of these secrets and of these correctly signed refresh tokens, live or ended, including those that
    /// only memory still knows: for a logout.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn proved(
        &self,
        secrets: &[OpaqueSecret],
        tokens: &[RefreshToken],
    ) -> Result<Vec<Proved>> {
        let hashes: Vec<_> = secrets.iter().map(OpaqueSecret::hash).collect();
        let ids: Vec<_> = tokens.iter().map(|token| token.session).collect();
        let found = stored::several(&self.store, &hashes, &ids).await?;
        let in_memory = hashes.iter().filter_map(|hash| self.memory.session_of(hash));
        let mut proved: Vec<_> = in_memory.map(Proved::unknown).collect();
        // A logout may be in flight while the session is renewed: it still ends the session.
        let former = renewal::by_secrets(&self.store, &hashes, self.clock.now()).await?;
        proved.extend(former.iter().map(|former| Proved::unknown(former.session)));
        for one in &found {
            let by_secret = one.secret_hash.is_some_and(|hash| hashes.contains(&hash));
            let by_token =
                tokens.iter().any(|it| it.session == one.id && self.refresh_key.verify(it, &one.salt));
            if by_secret || by_token {
                let user = one.state.ended_at.is_none().then_some(one.user);
                proved.push(Proved { session: one.id, user });
            }
        }
        Ok(proved)
    }

    /// The live sessions that these secrets, correctly signed refresh tokens and verified access tokens prove.
    ///
    /// # Errors
    /// The store's; [`Refusal::TooManyCookies`].
    pub(crate) async fn live(
        &self,
        secrets: &[OpaqueSecret],
        tokens: &[RefreshToken],
        verified: &[SessionId],
    ) -> Result<Vec<Live>> {
        let hashes: Vec<_> = secrets.iter().map(OpaqueSecret::hash).collect();
        let mut ids: Vec<_> =
            tokens.iter().map(|token| token.session).chain(verified.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() > MOST_COOKIES {
            return Err(Refusal::TooManyCookies.into());
        }
        let now = self.clock.now();
        let mut live = Vec::new();
        for one in stored::several(&self.store, &hashes, &ids).await? {
            let by_secret = one.secret_hash.is_some_and(|hash| hashes.contains(&hash));
            let signed =
                tokens.iter().filter(|it| it.session == one.id && self.refresh_key.verify(it, &one.salt));
            let newest = signed.copied().max_by_key(|token| token.generation);
            let is_proved = by_secret || newest.is_some() || verified.contains(&one.id);
            if is_proved && one.state.is_alive(now) {
                live.push(Live { id: one.id, newest });
            }
        }
        Ok(live)
    }
}
