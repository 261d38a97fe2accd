//! Deleting an account, and ending other users' sessions.

use doorward_core::role::permission;
use doorward_core::{SessionId, UserId};

use super::found::{Found, end_every, locked, locked_unless_last_admin, unlocked};
use super::{Accounts, Actor};
use crate::acts::{Change, Done};
use crate::audit::{Action, Entry};
use crate::error::{Error, Result};
use crate::known_devices;
use crate::revocations::EndReason;
use crate::sessions::end::{End, Ended, Left, end_each, left_to_end};
use crate::sessions::renewal::keep_over;
use crate::store::values;

const DELETE: &str = "DELETE FROM users WHERE id = $1";

impl Accounts {
    /// Deletes an account with all its data, and removes the user's id and data from the audit log.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::LastAdmin`], [`Error::Forbidden`], [`Error::ConfirmationRequired`],
    /// [`Error::WrongPassword`].
    pub async fn delete(&self, id: UserId, actor: Actor) -> Result<()> {
        let asking = self.asking(actor, permission::USERS_WRITE);
        let Found { user, standing, .. } = unlocked(&self.base.store, id, &asking, Vec::new()).await?;
        standing.is_confirmed_for(&asking.roles, &[user.role])?;
        let act = asking.act();
        let change = async move |change: &mut Change<'_>| -> Result<Done<()>> {
            let Found { user, standing, .. } =
                locked_unless_last_admin(change, id, &asking, Vec::new()).await?;
            standing.is_confirmed_for(&asking.roles, &[user.role])?;
            end_every(change, id, None, EndReason::Deleted).await?;
            keep_over(change, id)?;
            change.queue(DELETE, values![id])?;
            change.user_deleted(id);
            let entry = Entry::of(Action::UserDeleted);
            // An owner's own entry is about them: nothing that names them stays in it.
            Ok(Done::new((), if let Actor::Owner(_) = asking.actor { entry.user(id) } else { entry }))
        };
        self.base.acts.commit(act, change).await
    }

    /// Ends all sessions of a user, and makes their account forget all devices.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub async fn end_sessions(&self, id: UserId, actor: Actor) -> Result<u32> {
        let asking = self.asking(actor, permission::SESSIONS_END);
        let also = vec![left_to_end(id, None), known_devices::any(id)];
        let mut seen = unlocked(&self.base.store, id, &asking, also).await?;
        let left = Left::read(id, seen.also.next().unwrap_or_default())?.ok_or(Error::NotFound)?;
        let knows_devices = seen.also.next().is_some_and(|devices| !devices.is_empty());
        if left.rows == 0 && !knows_devices {
            self.sessions.apply_ended_elsewhere(left.subject, None, asking.at).await?;
            return Ok(0);
        }
        let act = asking.ending();
        let change = async move |change: &mut Change<'_>| -> Result<Done<Ended>> {
            locked(change, id, &asking, Vec::new()).await?;
            known_devices::void(change, id)?;
            let ended = end_every(change, id, None, EndReason::EndedByAdmin).await?;
            Ok(Done::new(ended, Entry::of(Action::SessionsEnded).user(id)))
        };
        Ok(self.base.acts.commit(act, change).await?.live)
    }

    /// Ends one session of a user; returns the number of sessions that ended: none if it had ended already.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a user who may do more than the actor.
    pub async fn end_session(&self, session: SessionId, actor: Actor) -> Result<u32> {
        let Some(user) = self.sessions.owner(session).await? else { return Ok(0) };
        let asking = self.asking(actor, permission::SESSIONS_END);
        unlocked(&self.base.store, user, &asking, Vec::new()).await?;
        let act = asking.ending();
        let change = async move |change: &mut Change<'_>| -> Result<Done<u32>> {
            locked(change, user, &asking, Vec::new()).await?;
            let end = End { session, reason: EndReason::EndedByAdmin };
            if end_each(change, vec![end]).await?.is_empty() {
                return Ok(Done::without_entry(0));
            }
            Ok(Done::new(1, Entry::of(Action::SessionsEnded).user(user).session(session)))
        };
        self.base.acts.commit(act, change).await
    }
}
