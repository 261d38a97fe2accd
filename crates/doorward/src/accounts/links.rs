//! Links that admins and the command line make: to reset a password, and to register.

use doorward_core::role::{RoleName, Roles, permission};
use doorward_core::{LinkId, OpaqueSecret, Timestamp, UserId};

use super::found::{locked, unlocked};
use super::{Accounts, Actor};
use crate::actors::{Asking, Looked, Standing};
use crate::acts::{Change, Done};
use crate::audit::{Action, Entry};
use crate::challenges::{self, NewChallenge, Purpose};
use crate::error::{Error, Result};
use crate::invitations::{self, Invitation};
use crate::store::Reads;

impl Accounts {
    /// Makes a reset link for a user; older ones are void from then on.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`], [`Error::ConfirmationRequired`].
    pub async fn reset_link(&self, id: UserId, actor: Actor) -> Result<(OpaqueSecret, Timestamp)> {
        let link = self.prepare_reset(id, &actor);
        let shown = (link.secret.clone(), link.expires_at);
        self.make_reset(link, id, actor).await?;
        Ok(shown)
    }

    /// A reset link that is invalid before [`Accounts::make_reset`], so that it can be shown first.
    pub(crate) fn prepare_reset(&self, id: UserId, actor: &Actor) -> NewChallenge {
        NewChallenge::of(Purpose::Reset, self.base.clock.now()).of_user(id).made_by(actor.maker())
    }

    /// Makes the link that was prepared for this user.
    ///
    /// # Errors
    /// As [`Accounts::reset_link`].
    pub(crate) async fn make_reset(&self, link: NewChallenge, id: UserId, actor: Actor) -> Result<()> {
        let asking = self.asking(actor, permission::USERS_WRITE);
        unlocked(&self.base.store, id, &asking, Vec::new()).await?.standing.is_confirmed()?;
        self.count(&asking)?;
        let act = asking.act();
        let change = async move |change: &mut Change<'_>| -> Result<Done<()>> {
            locked(change, id, &asking, Vec::new()).await?.standing.is_confirmed()?;
            challenges::make(change, &link).await?;
            Ok(Done::new((), Entry::of(Action::ResetLinkMade).user(id)))
        };
        self.base.acts.commit(act, change).await
    }

    /// Makes an invitation to register with this role, for one address or for anybody.
    ///
    /// # Errors
    /// An unknown role, or one that the actor may not give.
    pub async fn invite(&self, invitation: Invitation, actor: Actor) -> Result<(OpaqueSecret, Timestamp)> {
        let role = invitation.role;
        let link = self.prepare_invitation(invitation, &actor)?;
        let shown = (link.secret.clone(), link.expires_at);
        self.make_invitation(link, role, actor).await?;
        Ok(shown)
    }

    /// An invitation that is invalid before [`Accounts::make_invitation`], so that it can be shown first.
    ///
    /// # Errors
    /// An unknown role.
    pub(crate) fn prepare_invitation(&self, invitation: Invitation, actor: &Actor) -> Result<NewChallenge> {
        self.check_role(invitation.role)?;
        Ok(invitation.challenge(actor.maker(), self.base.clock.now()))
    }

    /// Makes the invitation that was prepared with this role.
    ///
    /// # Errors
    /// As [`Accounts::invite`].
    pub(crate) async fn make_invitation(
        &self,
        link: NewChallenge,
        role: RoleName,
        actor: Actor,
    ) -> Result<()> {
        let may = move |standing: Standing, roles: &Roles| {
            standing.covers(roles, role)?;
            standing.is_confirmed_for(roles, &[role])
        };
        let asking = self.asking(actor, permission::USERS_WRITE);
        may(asking.standing_unlocked(&self.base.store).await?, &asking.roles)?;
        self.count(&asking)?;
        let act = asking.act();
        let change = async move |change: &mut Change<'_>| -> Result<Done<()>> {
            may(asking.stands(change).await?, &asking.roles)?;
            challenges::make(change, &link).await?;
            Ok(Done::new((), Entry::of(Action::InvitationMade).detail(format!("role {role}"))))
        };
        self.base.acts.commit(act, change).await
    }

    /// Withdraws an invitation.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Forbidden`] for one to a role that the actor may not give.
    pub async fn withdraw(&self, invitation: LinkId, actor: Actor) -> Result<()> {
        let asking = self.asking(actor, permission::USERS_WRITE);
        invited(&self.base.store, invitation, &asking).await?;
        let act = asking.act();
        let change = async move |change: &mut Change<'_>| -> Result<Done<()>> {
            asking.hold(change, None)?;
            let role = invited(&mut **change, invitation, &asking).await?;
            if !challenges::withdraw(change, invitation).await? {
                return Err(Error::NotFound);
            }
            Ok(Done::new((), Entry::of(Action::InvitationWithdrawn).detail(format!("role {role}"))))
        };
        self.base.acts.commit(act, change).await
    }
}

/// The role that an invitation gives, if the actor may give it, too.
async fn invited(reads: impl Reads, invitation: LinkId, asking: &Asking) -> Result<RoleName> {
    let Looked { standing, mut rows } =
        asking.look(reads, vec![invitations::by_id(invitation, asking.at)]).await?;
    let role = invitations::role(rows.next().unwrap_or_default())?.ok_or(Error::NotFound)?;
    standing.covers(&asking.roles, role)?;
    Ok(role)
}
