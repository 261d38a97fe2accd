//! Which sessions a request proves to be its own, by the credentials in it.

use doorward_core::refresh::RefreshToken;
use doorward_core::{OpaqueSecret, Refusal, SessionId};
use doorward_guard::internals::MOST_COOKIES;

use super::end::Proved;
use super::renewal::Former;
use super::{Sessions, renewal, stored};
use crate::error::Result;
use crate::store::Reads;

/// A live session that a request proves.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: SessionId,
    /// The newest of the sent refresh tokens that are correctly signed.
    pub(crate) newest: Option<RefreshToken>,
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
        if hashes.is_empty() && ids.is_empty() {
            return Ok(Vec::new());
        }
        // A logout may be in flight while the session is renewed: it still ends the session.
        let former = renewal::read_by_secrets(&hashes, self.clock.now());
        let reads = std::iter::once(stored::read_several(&hashes, &ids)).chain(former).collect();
        let mut rows = (&self.store).each(reads).await?.into_iter();
        let found = stored::read_all(&rows.next().unwrap_or_default())?;
        let former = Former::read_all(&rows.next().unwrap_or_default())?;
        let in_memory = hashes.iter().filter_map(|hash| self.memory.session_of(hash));
        let mut proved: Vec<_> = in_memory.map(Proved::unknown).collect();
        proved.extend(former.iter().map(|former| Proved::unknown(former.session)));
        for one in &found {
            let by_secret = one.secret_hash.is_some_and(|hash| hashes.contains(&hash));
            let by_token = tokens.iter().any(|it| it.session == one.id && self.has_signed(it, &one.salt));
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
            let signed = tokens.iter().filter(|it| it.session == one.id && self.has_signed(it, &one.salt));
            let newest = signed.copied().max_by_key(|token| token.generation);
            let is_proved = by_secret || newest.is_some() || verified.contains(&one.id);
            if is_proved && one.state.is_alive(now) {
                live.push(Live { id: one.id, newest });
            }
        }
        Ok(live)
    }
}
