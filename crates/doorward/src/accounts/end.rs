//! Deleting an account, and ending other users' sessions.

use doorward_core::role::permission;
use doorward_core::{SessionId, UserId};

use super::found::{Found, end_every, is_last_admin, locked, unlocked};
use super::{Accounts, Actor};
use crate::acts::{Change, Done};
use crate::audit::{Action, Entry};
use crate::error::{Error, Result};
use crate::known_devices;
use crate::revocations::EndReason;
use crate::sessions::end::{End, Ended, end_each, left_to_end};
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
        let Found { user, standing, .. } = unlocked(&self.base.store, id, &asking).await?;
        standing.is_confirmed_for(&asking.roles, &[user.role])?;
        let act = asking.act();
        let change = async move |change: &mut Change<'_>| -> Result<Done<()>> {
            let Found { user, standing, .. } = locked(change, id, &asking, true).await?;
            standing.is_confirmed_for(&asking.roles, &[user.role])?;
            if is_last_admin(change, &user).await? {
                return Err(Error::LastAdmin);
            }
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
        unlocked(&self.base.store, id, &asking).await?;
        let left = left_to_end(&self.base.store, id, None).await?.ok_or(Error::NotFound)?;
        if left.rows == 0 && !known_devices::has_any(&self.base.store, id).await? {
            self.sessions.apply_ended_elsewhere(left.subject, None, asking.at).await?;
            return Ok(0);
        }
        let act = asking.ending();
        let change = async move |change: &mut Change<'_>| -> Result<Done<Ended>> {
            locked(change, id, &asking, false).await?;
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
        unlocked(&self.base.store, user, &asking).await?;
        let act = asking.ending();
        let change = async move |change: &mut Change<'_>| -> Result<Done<u32>> {
            locked(change, user, &asking, false).await?;
            let end = End { session, reason: EndReason::EndedByAdmin };
            if end_each(change, vec![end]).await?.is_empty() {
                return Ok(Done::without_entry(0));
            }
            Ok(Done::new(1, Entry::of(Action::SessionsEnded).user(user).session(session)))
        };
        self.base.acts.commit(act, change).await
    }
}
