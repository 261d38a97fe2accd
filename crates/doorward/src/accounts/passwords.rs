//! Setting a password: by the command line, by its owner, by a reset link.

use doorward_core::{Refusal, SessionId, UserId};

use super::Accounts;
use super::found::end_every;
use crate::acts::{Act, Change, Done};
use crate::audit::{Action, By, Entry};
use crate::authenticators::{self, PasswordChange};
use crate::challenges::{self, Presented, Purpose};
use crate::error::{Error, Result};
use crate::known_devices;
use crate::revocations::EndReason;
use crate::sessions::Issued;
use crate::sessions::end::Ended;
use crate::sessions::renewal::{Renewal, Renewed, renew};
use crate::store::{StoreError, values};
use crate::throttle::Kind;
use crate::users;

const UNCONFIRM: &str =
    "UPDATE sessions SET confirmed_at = NULL WHERE user_id = $1 AND confirmed_at IS NOT NULL";

impl Accounts {
    /// Sets a new password hash, and ends the user's sessions.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn set_password(&self, id: UserId, hash: String, by: By) -> Result<u32> {
        let new = PasswordChange { user: id, hash, confirmed_by: None };
        let change = async move |change: &mut Change<'_>| -> Result<Done<Ended>> {
            let at = change.at;
            if !authenticators::set_password(change, &new, at).await? {
                return Err(Error::NotFound);
            }
            let ended = after_new_password(change, id, None).await?;
            Ok(Done::new(ended, Entry::of(Action::UserChanged).user(id).detail("password")))
        };
        Ok(self.base.acts.commit(Act::ending(by, self.base.clock.now()), change).await?.live)
    }

    /// The owner's own change, if their confirmation is still valid. Renews the session that makes it, so that copies
    /// of its credential stop working, and ends the others. Returns how many ended, and the new credential.
    ///
    /// # Errors
    /// [`Error::WrongPassword`] if an authenticator changed since; [`Refusal::SessionEnded`] if the session is over, or its user gone.
    pub(crate) async fn change_password(
        &self,
        new: PasswordChange,
        renewal: Renewal,
        by: By,
    ) -> Result<(u32, Issued)> {
        let issued = renewal.clone();
        // The act's time is the renewal's: a repeated form compares it with the last use of the session.
        let act = Act::ending(by, renewal.now);
        self.throttle.act(Kind::Password, new.user, act.at)?;
        let change = async move |change: &mut Change<'_>| -> Result<Done<(Ended, Renewed)>> {
            let (user, at) = (new.user, change.at);
            let locked = change.ask(users::LOCK, values![user])?;
            let is_set = authenticators::set_password(change, &new, at).await?;
            if change.answer(locked).await?.changed == 0 {
                return Err(Refusal::SessionEnded.into());
            }
            if !is_set {
                return Err(Error::WrongPassword);
            }
            let renewed = renew(change, &renewal).await?.ok_or(Refusal::SessionEnded)?;
            let ended = after_new_password(change, user, Some(renewal.session)).await?;
            let entry = Entry::of(Action::PasswordChanged).user(user).session(renewal.session);
            Ok(Done::new((ended, renewed), entry))
        };
        let (ended, renewed) = self.base.acts.commit(act, change).await?;
        Ok((ended.live, self.sessions.issue_renewed(&issued, ended.subject, &renewed)?))
    }

    /// Sets a new password hash by a reset link, which is used up, and ends every session of its user.
    ///
    /// # Errors
    /// [`Error::LinkInvalid`].
    pub(crate) async fn reset_password(
        &self,
        link: [u8; 32],
        hash: String,
        action: Action,
        by: By,
    ) -> Result<u32> {
        let roles = self.base.roles.clone();
        let change = async move |change: &mut Change<'_>| -> Result<Done<Ended>> {
            let at = change.at;
            let reset = Presented { hash: link, purpose: Purpose::Reset, now: at };
            let used = challenges::use_up(change, &roles, reset).await?;
            let user = used.and_then(|found| found.user).ok_or(Error::LinkInvalid)?;
            let new = PasswordChange { user, hash: hash.clone(), confirmed_by: None };
            if !authenticators::set_password(change, &new, at).await? {
                return Err(Error::LinkInvalid);
            }
            Ok(Done::new(after_new_password(change, user, None).await?, Entry::of(action).user(user)))
        };
        Ok(self.base.acts.commit(Act::ending(by, self.base.clock.now()), change).await?.live)
    }
}

/// The consequences of every new password: challenges are void, the other sessions end, and the remaining one must be
/// confirmed again with the new password. A password that was set without the current one also makes the account forget
/// all devices.
async fn after_new_password(
    change: &mut Change<'_>,
    id: UserId,
    keep: Option<SessionId>,
) -> Result<Ended, StoreError> {
    challenges::void_all_of_user(change, id)?;
    change.queue(UNCONFIRM, values![id])?;
    if keep.is_none() {
        known_devices::void(change, id)?;
    }
    end_every(change, id, keep, EndReason::PasswordChanged).await
}
