//! A sign-in by a form that was sent twice: the browser threw the first answer away, and the credential with it.

use doorward_core::sign_in::{Judgement, judge};
use doorward_core::{Mode, SessionId, Timestamp, UserId};

use super::stored::authentication;
use super::{Beginner, Begun, Issued, Origin, Proved, Sessions, begin};
use crate::acts::{Change, Done};
use crate::audit::Action;
use crate::error::Result;
use crate::store::values;
use crate::users::{Enabled, ask_enabled, enabled};

/// A repeated sign-in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repeat {
    /// The session that the first one began.
    pub(crate) first: SessionId,
    /// When the first one was committed.
    pub(crate) done_at: Timestamp,
}

const FIRST: &str = "SELECT user_id, mode, secret_hash, authenticated_at, amr FROM sessions WHERE id = $1";
const UNUSED: &str = "UPDATE sessions SET replays = replays WHERE id = $1 AND ended_at IS NULL AND expires_at > $2 \
     AND last_seen_at <= $3 AND (rotated_at IS NULL OR rotated_at <= $3)";

impl Sessions {
    /// Ends the session of a sign-in and begins another in its place, together with those that the request proved;
    /// `None` if it has ended or was used. In cookie mode only a refresh shows a use.
    ///
    /// # Errors
    /// The store's, or the application's when it is asked for its claims.
    pub(crate) async fn begin_again(
        &self,
        repeat: Repeat,
        from: Origin,
        mut replaced: Vec<Proved>,
    ) -> Result<Option<Issued>> {
        let Repeat { first, done_at } = repeat;
        let Some(row) = self.store.find(FIRST, values![first]).await? else { return Ok(None) };
        let (user, mode): (UserId, Mode) = (row.get("user_id")?, row.get("mode")?);
        let secret: Option<[u8; 32]> = row.get("secret_hash")?;
        // Memory may know of a use that is not written yet.
        if secret.is_some_and(|hash| self.memory.session_of(&hash).is_some()) {
            return Ok(None);
        }
        replaced.push(Proved { session: first, user: Some(user) });
        let replaced = Proved::each_once(replaced);
        let authentication = authentication(&row)?;
        let beginner = Beginner { user, mode, authentication, action: Action::Login };
        let beginning = self.prepare(beginner, from, replaced).await?;
        let (session, now) = (beginning.clone(), self.clock.now());
        let change = async move |change: &mut Change<'_>| -> Result<Done<Option<Begun>>> {
            let nothing = || Ok(Done::without_entry(None));
            let lock = ask_enabled(change, user, None)?;
            let unused = change.ask(UNUSED, values![first, now, done_at])?;
            let look = session.look(change, user)?;
            let Some(Enabled { subject, enrolled }) = enabled(change, user, lock).await? else {
                return nothing();
            };
            // A factor that was enrolled since the first sign-in is needed for this one.
            let Judgement::Done(enough) = judge(authentication.methods, enrolled) else { return nothing() };
            if change.answer(unused).await?.changed == 0 {
                return nothing();
            }
            Ok(begin(change, subject, enough, &session, look).await?.map(Some))
        };
        let begun = self.acts.commit(beginning.act(), change).await?;
        begun.map(|begun| self.issue(&beginning, &begun)).transpose()
    }
}
