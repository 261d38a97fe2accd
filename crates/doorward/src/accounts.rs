//! Changing accounts: the one place where users are made, changed, disabled and deleted, whoever asks: their owner, an
//! admin, or the command line.
//!
//! Every act writes first what it depends on: the user's row, and the row `admins_lock` if it could remove the last admin.

mod steps;

use std::sync::Arc;

use doorward_core::email::Email;
use doorward_core::message::Message;
use doorward_core::name::DisplayName;
use doorward_core::role::{RoleName, Roles, permission};
use doorward_core::{LinkId, OpaqueSecret, Refusal, SessionId, Timestamp, UserId};

pub use crate::actors::{Actor, Admin, Confirmation, Owner};
use crate::actors::{Asking, Standing};
use crate::acts::{Act, Base, Change, Done};
use crate::audit::{Action, By, Entry};
pub use crate::authenticators::CredentialsVersion;
use crate::authenticators::{self, PasswordChange};
use crate::challenges::{self, NewChallenge, Presented, Purpose};
use crate::error::{Error, Result};
use crate::invitations::{self, Invitation};
use crate::known_devices;
use crate::revocations::EndReason;
use crate::sessions::end::{End, Ended, end_each, left_to_end};
use crate::sessions::renewal::{Renewal, Renewed, keep_over, renew};
use crate::sessions::{Issued, Sessions};
use crate::store::values;
use crate::throttle::{Kind, Throttle};
use crate::users::{self, Subject, User, Users, VouchedBy};
pub(crate) use steps::insert;
use steps::{Found, after_new_password, apply, end_every, is_last_admin, locked, seen};

/// What is to be changed; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// The name.
    pub name: Option<DisplayName>,
    /// The address.
    pub email: Option<Email>,
    /// The role.
    pub role: Option<RoleName>,
    /// Whether the account is disabled.
    pub disabled: Option<bool>,
}

impl UserChange {
    /// Whether it takes access away and does nothing else, so that neither a limit nor a full disk stops it.
    pub(crate) fn only_disables(&self) -> bool {
        self.disabled == Some(true) && self.name.is_none() && self.email.is_none() && self.role.is_none()
    }

    /// Whether this user is like that already, also in who vouches for the address.
    fn is_in(&self, user: &User, vouches: Option<VouchedBy>) -> bool {
        self.name.as_ref().is_none_or(|name| name.as_str() == user.name)
            && self.email.as_ref().is_none_or(|email| {
                *email == user.email && (vouches.is_none() || vouches == user.email_vouched_by)
            })
            && self.role.is_none_or(|role| role == user.role)
            && self.disabled.is_none_or(|disabled| disabled == user.disabled_at.is_some())
    }

    /// The user with the change, whose address the actor vouches for or not.
    fn applied_to(&self, old: &User, vouches: Option<VouchedBy>, now: Timestamp) -> User {
        let mut new = old.clone();
        if let Some(name) = &self.name {
            name.as_str().clone_into(&mut new.name);
        }
        if let Some(email) = &self.email {
            new.email = email.clone();
            // Who writes somebody else's address vouches for it, also if it is the same.
            if new.email != old.email || vouches.is_some() {
                new.email_vouched_by = vouches;
            }
        }
        new.role = self.role.unwrap_or(old.role);
        new.disabled_at = match self.disabled {
            Some(true) => Some(old.disabled_at.unwrap_or(now)),
            Some(false) => None,
            None => old.disabled_at,
        };
        new
    }

    /// Whether it could leave fewer admins than before.
    fn may_remove_admin(&self) -> bool {
        self.role.is_some() || self.disabled == Some(true)
    }

    /// Whether it may be made to this user by who stands so: it may not give more than they have, and what takes over an
    /// account, or makes or removes somebody who could, is confirmed.
    fn may_be_made(&self, user: &User, standing: Standing, roles: &Roles) -> Result<()> {
        let role = self.role.unwrap_or(user.role);
        standing.covers(roles, role)?;
        if self.email.is_some() {
            standing.is_confirmed()?;
        }
        let is_disabled = self.disabled.unwrap_or(user.disabled_at.is_some());
        let changes = role != user.role || is_disabled != user.disabled_at.is_some();
        if changes { standing.is_confirmed_for(roles, &[user.role, role]) } else { Ok(()) }
    }

    /// What is changed, for the audit log.
    pub fn summary(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.name.as_ref().map(|_| "name".to_owned()));
        parts.extend(self.email.as_ref().map(|_| "email".to_owned()));
        parts.extend(self.role.map(|role| format!("role {role}")));
        parts.extend(
            self.disabled.map(|disabled| if disabled { "disabled".into() } else { "enabled".to_owned() }),
        );
        parts.join(", ")
    }
}

/// A new account.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name.
    pub name: DisplayName,
    /// The address.
    pub email: Email,
    /// The role.
    pub role: RoleName,
    /// The hash of the password; without one it takes a reset link to sign in.
    pub password_hash: Option<String>,
}

impl NewUser {
    /// Whether it may be made by who stands so.
    fn may_be_made(&self, standing: Standing, roles: &Roles) -> Result<()> {
        standing.covers(roles, self.role)?;
        // Who sets a password knows it.
        match self.password_hash {
            Some(_) => standing.is_confirmed(),
            None => standing.is_confirmed_for(roles, &[self.role]),
        }
    }
}

/// Changes accounts.
pub struct Accounts {
    base: Base,
    users: Arc<Users>,
    sessions: Arc<Sessions>,
    throttle: Arc<Throttle>,
}

const DELETE: &str = "DELETE FROM users WHERE id = $1";

impl Accounts {
    pub(crate) fn new(
        base: Base,
        users: Arc<Users>,
        sessions: Arc<Sessions>,
        throttle: Arc<Throttle>,
    ) -> Self {
        Self { base, users, sessions, throttle }
    }

    /// An act by this actor, now.
    fn asking(&self, actor: Actor, permission: &'static str) -> Asking {
        Asking { actor, roles: self.base.roles.clone(), permission, at: self.base.clock.now() }
    }

    /// Counts an act that adds to the database.
    fn count(&self, asking: &Asking) -> Result<()> {
        asking.actor.user().map_or(Ok(()), |user| self.throttle.act(Kind::Change, user, asking.at))
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], an unknown role, one that the actor may not give, or [`Error::ConfirmationRequired`].
    pub async fn create(&self, new: NewUser, actor: Actor) -> Result<User> {
        self.check_role(new.role)?;
        let asking = self.asking(actor, permission::USERS_WRITE);
        let id = UserId::new(asking.at, crate::random::bytes());
        new.may_be_made(asking.is_seen_to_stand(&self.base.store).await?, &asking.roles)?;
        self.count(&asking)?;
        let act = asking.act();
        let change = async move |change: &mut Change<'_>| {
            new.may_be_made(asking.stands(change).await?, &asking.roles)?;
            let made = insert(change, id, (&new, asking.actor.vouches()), asking.at).await?;
            let user = made.ok_or(Error::EmailTaken)?.user;
            let entry = Entry::of(Action::UserCreated).user(id).detail(format!("role {}", new.role));
            Ok(Done::new(user, entry))
        };
        self.base.acts.commit(act, change).await
    }

    /// Changes an account. A new role makes its tokens stale at once, disabling ends its sessions; a new role or address
    /// voids its reset links.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EmailTaken`], [`Error::LastAdmin`], [`Error::Forbidden`],
    /// [`Error::ConfirmationRequired`], [`Error::WrongPassword`], [`Error::TooManyAttempts`], or an unknown role.
    pub async fn change(&self, id: UserId, wanted: UserChange, actor: Actor) -> Result<User> {
        if let Some(role) = wanted.role {
            self.check_role(role)?;
        }
        let entry = match &actor {
            Actor::Owner(owner) => Entry::of(Action::ProfileChanged).session(owner.session),
            Actor::Admin(_) | Actor::CommandLine => Entry::of(Action::UserChanged),
        };
        let entry = entry.user(id).detail(wanted.summary());
        let asking = self.asking(actor, permission::USERS_WRITE);
        let seen = seen(&self.base.store, id, &asking).await?;
        wanted.may_be_made(&seen.user, seen.standing, &asking.roles)?;
        let left = match wanted.disabled {
            Some(true) => left_to_end(&self.base.store, id, None).await?.map_or(0, |left| left.rows),
            _ => 0,
        };
        if left == 0 && wanted.is_in(&seen.user, asking.actor.vouches()) {
            return self.changed_already(seen, &wanted, asking.at).await;
        }
        let is_end = wanted.only_disables();
        if !is_end {
            self.count(&asking)?;
        }
        let act = if is_end { asking.ending() } else { asking.act() };
        let admin_ttl = self.sessions.admin_absolute_ttl();
        let change = async move |change: &mut Change<'_>| {
            let found = locked(change, id, &asking, wanted.may_remove_admin()).await?;
            wanted.may_be_made(&found.user, found.standing, &asking.roles)?;
            let user = apply(change, found, &wanted, &asking, admin_ttl).await?;
            Ok(Done::new(user, entry.clone()))
        };
        self.base.acts.commit(act, change).await
    }

    /// The user is like that: another act may have done it, here or in another process, and may not have come to put it in
    /// force here.
    async fn changed_already(&self, seen: Found, wanted: &UserChange, at: Timestamp) -> Result<User> {
        let subject = Subject { user: seen.user.id, role: seen.user.role, version: seen.version };
        if wanted.disabled == Some(true) {
            self.sessions.apply_over(subject, None, at).await?;
        }
        if wanted.role.is_some() {
            self.sessions.revocations.apply_version(subject, at);
        }
        self.users.read_again(seen.user.id);
        Ok(seen.user)
    }

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

    /// The owner's own change, if they have confirmed it by what is still an authenticator: renews the session that makes it, so that copies of
    /// its credential are out, and ends the others. Gives how many ended, and the new credential.
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
        // The act's time is the renewal's: a form that is repeated compares it with the last use of the session.
        let act = Act::ending(by, renewal.now);
        self.throttle.act(Kind::Password, new.user, act.at)?;
        let change = async move |change: &mut Change<'_>| -> Result<Done<(Ended, Renewed)>> {
            let (user, at) = (new.user, change.at);
            if change.execute(users::LOCK, values![user]).await? == 0 {
                return Err(Refusal::SessionEnded.into());
            }
            if !authenticators::set_password(change, &new, at).await? {
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

    /// Deletes an account with all that belongs to it, and removes what names it from the audit log.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::LastAdmin`], [`Error::Forbidden`], [`Error::ConfirmationRequired`],
    /// [`Error::WrongPassword`].
    pub async fn delete(&self, id: UserId, actor: Actor) -> Result<()> {
        let asking = self.asking(actor, permission::USERS_WRITE);
        let Found { user, standing, .. } = seen(&self.base.store, id, &asking).await?;
        standing.is_confirmed_for(&asking.roles, &[user.role])?;
        let act = asking.act();
        let change = async move |change: &mut Change<'_>| -> Result<Done<()>> {
            let Found { user, standing, .. } = locked(change, id, &asking, true).await?;
            standing.is_confirmed_for(&asking.roles, &[user.role])?;
            if is_last_admin(change, &user).await? {
                return Err(Error::LastAdmin);
            }
            end_every(change, id, None, EndReason::Deleted).await?;
            keep_over(change, id).await?;
            change.execute(DELETE, values![id]).await?;
            change.user_deleted(id);
            let entry = Entry::of(Action::UserDeleted);
            // An owner's own entry is about them: nothing that names them stays in it.
            Ok(Done::new((), if let Actor::Owner(_) = asking.actor { entry.user(id) } else { entry }))
        };
        self.base.acts.commit(act, change).await
    }

    /// Ends all sessions of a user, who is known by no device from then on.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub async fn end_sessions(&self, id: UserId, actor: Actor) -> Result<u32> {
        let asking = self.asking(actor, permission::SESSIONS_END);
        seen(&self.base.store, id, &asking).await?;
        let left = left_to_end(&self.base.store, id, None).await?.ok_or(Error::NotFound)?;
        if left.rows == 0 && !known_devices::has_any(&self.base.store, id).await? {
            self.sessions.apply_over(left.subject, None, asking.at).await?;
            return Ok(0);
        }
        let act = asking.ending();
        let change = async move |change: &mut Change<'_>| -> Result<Done<Ended>> {
            locked(change, id, &asking, false).await?;
            known_devices::void(change, id).await?;
            let ended = end_every(change, id, None, EndReason::EndedByAdmin).await?;
            Ok(Done::new(ended, Entry::of(Action::SessionsEnded).user(id)))
        };
        Ok(self.base.acts.commit(act, change).await?.live)
    }

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

    /// A reset link that opens nothing before [`Accounts::make_reset`]: so it can be shown first.
    pub(crate) fn prepare_reset(&self, id: UserId, actor: &Actor) -> NewChallenge {
        NewChallenge::of(Purpose::Reset, self.base.clock.now()).of_user(id).made_by(actor.maker())
    }

    /// Makes the link that was prepared for this user.
    ///
    /// # Errors
    /// As [`Accounts::reset_link`].
    pub(crate) async fn make_reset(&self, link: NewChallenge, id: UserId, actor: Actor) -> Result<()> {
        let asking = self.asking(actor, permission::USERS_WRITE);
        seen(&self.base.store, id, &asking).await?.standing.is_confirmed()?;
        self.count(&asking)?;
        let act = asking.act();
        let change = async move |change: &mut Change<'_>| -> Result<Done<()>> {
            locked(change, id, &asking, false).await?.standing.is_confirmed()?;
            challenges::make(change, &link).await?;
            Ok(Done::new((), Entry::of(Action::ResetLinkMade).user(id)))
        };
        self.base.acts.commit(act, change).await
    }

    /// Makes an invitation to register with this role, for one address or for anybody.
    ///
    /// # Errors
    /// An unknown role, or one that the actor may not give.
    pub async fn invite(
        &self,
        (email, role): (Option<Email>, RoleName),
        actor: Actor,
    ) -> Result<(OpaqueSecret, Timestamp)> {
        let link = self.prepare_invitation((email, role), &actor)?;
        let shown = (link.secret.clone(), link.expires_at);
        self.make_invitation(link, role, actor).await?;
        Ok(shown)
    }

    /// An invitation that opens nothing before [`Accounts::make_invitation`]: so it can be shown first.
    ///
    /// # Errors
    /// An unknown role.
    pub(crate) fn prepare_invitation(
        &self,
        (email, role): (Option<Email>, RoleName),
        actor: &Actor,
    ) -> Result<NewChallenge> {
        self.check_role(role)?;
        Ok(Invitation { email, role }.challenge(actor.maker(), self.base.clock.now()))
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
        may(asking.is_seen_to_stand(&self.base.store).await?, &asking.roles)?;
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
        let standing = asking.is_seen_to_stand(&self.base.store).await?;
        let role = invitations::role(&self.base.store, invitation, asking.at).await?;
        standing.covers(&asking.roles, role.ok_or(Error::NotFound)?)?;
        let act = asking.act();
        let change = async move |change: &mut Change<'_>| -> Result<Done<()>> {
            let standing = asking.stands(change).await?;
            let role = invitations::role(&mut **change, invitation, asking.at).await?;
            let role = role.ok_or(Error::NotFound)?;
            standing.covers(&asking.roles, role)?;
            if !challenges::withdraw(change, invitation).await? {
                return Err(Error::NotFound);
            }
            Ok(Done::new((), Entry::of(Action::InvitationWithdrawn).detail(format!("role {role}"))))
        };
        self.base.acts.commit(act, change).await
    }

    /// Ends one session of a user; gives the number of sessions that ended: none if it was over.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a user who may do more than the actor.
    pub async fn end_session(&self, session: SessionId, actor: Actor) -> Result<u32> {
        let Some(user) = self.sessions.owner(session).await? else { return Ok(0) };
        let asking = self.asking(actor, permission::SESSIONS_END);
        seen(&self.base.store, user, &asking).await?;
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

    /// Whether there is such a role.
    fn check_role(&self, role: RoleName) -> Result<()> {
        if self.base.roles.contains(role) {
            return Ok(());
        }
        let known: Vec<_> = self.base.roles.names().map(|name| name.to_string()).collect();
        Err(Error::field("role", Message::new("role-unknown").with("roles", known.join(", "))))
    }
}
