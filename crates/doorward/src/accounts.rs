//! Changing accounts: the one place where users are made, changed, disabled and deleted, whoever asks: their owner, an
//! admin, or the command line.
//!
//! Every act is one transaction that writes first what it depends on: the user's row, and the row `admins_lock` where it
//! could remove the last admin. Afterwards, before the answer, it is put in force in memory.

mod steps;

use std::sync::Arc;

use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::role::{RoleName, Roles, permission};
use doorward_core::{LinkId, OpaqueSecret, Refusal, SessionId, Timestamp, UserId};

use crate::actors::Standing;
pub use crate::actors::{Actor, Admin, Confirmation, Owner};
use crate::audit::{self, Action, Entry, Log};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::known_devices;
use crate::links::{self, Invitation};
use crate::revocations::{self, Because, Ending, Revocations};
use crate::sessions::renewal::{Renewal, keep_over, renew};
use crate::sessions::{Issued, Sessions};
use crate::store::{Store, Tx, values};
use crate::throttle::{Kind, Throttle};
use crate::users::{self, Subject, User, Users, VouchedBy};
use steps::{
    Doing, Done, Found, Needs, WITH_HASH, after_new_password, apply, end_all, is_last_admin, locked, seen,
};
pub(crate) use steps::{Inserted, insert};

/// What is to be changed; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The name.
    pub name: Option<DisplayName>,
    /// The address.
    pub email: Option<Email>,
    /// The role.
    pub role: Option<RoleName>,
    /// Whether the account is disabled.
    pub disabled: Option<bool>,
}

impl Change {
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

/// The owner's own change of a password.
#[derive(Debug, Clone)]
pub(crate) struct PasswordChange {
    pub(crate) user: UserId,
    /// The hash of the new password.
    pub(crate) hash: String,
    /// The stored hash that the current password matched.
    pub(crate) current: String,
    /// Of the session that makes it.
    pub(crate) renewal: Renewal,
}

/// Changes accounts.
pub struct Accounts {
    store: Store,
    clock: Clock,
    roles: Roles,
    users: Arc<Users>,
    sessions: Arc<Sessions>,
    revocations: Arc<Revocations>,
    throttle: Arc<Throttle>,
}

const SET_PASSWORD: &str = "UPDATE users SET password_hash = $2, updated_at = $3 WHERE id = $1";
const DELETE: &str = "DELETE FROM users WHERE id = $1";

impl Accounts {
    pub(crate) fn new(
        (store, clock, roles): (Store, Clock, Roles),
        (users, sessions, revocations): (Arc<Users>, Arc<Sessions>, Arc<Revocations>),
        throttle: Arc<Throttle>,
    ) -> Self {
        Self { store, clock, roles, users, sessions, revocations, throttle }
    }

    /// Counts an act that adds to the database.
    fn count(&self, actor: &Actor, now: Timestamp) -> Result<()> {
        actor.user().map_or(Ok(()), |user| self.throttle.act(Kind::Change, user, now))
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], an unknown role, one that the actor may not give, or [`Error::ConfirmationRequired`].
    pub async fn create(&self, new: NewUser, actor: Actor) -> Result<User> {
        self.check_role(new.role)?;
        let now = self.clock.now();
        let (id, roles) = (UserId::new(now, crate::random::bytes()), self.roles.clone());
        let entry = Entry::new(Action::UserCreated, actor.by(), now).user(id);
        let entry = entry.detail(format!("role {}", new.role));
        let asked = actor.is_seen_to_stand(&self.store, (&roles, permission::USERS_WRITE), now).await?;
        new.may_be_made(asked?, &roles)?;
        self.count(&actor, now)?;
        let created = self.store.transaction(async move |tx: &mut Tx| {
            let asked = actor.stands(tx, (&roles, permission::USERS_WRITE), now).await?;
            if let Err(error) = asked.and_then(|standing| new.may_be_made(standing, &roles)) {
                return Ok(Err(error));
            }
            let Some(Inserted { user, .. }) = insert(tx, id, (&new, actor.vouches()), now).await? else {
                return Ok(Err(Error::EmailTaken));
            };
            audit::record(tx, &entry).await?;
            Ok(Ok(user))
        });
        created.await?
    }

    /// Changes an account. A new role makes its tokens stale at once, disabling ends its sessions; a new role or address
    /// voids its reset links.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EmailTaken`], [`Error::LastAdmin`], [`Error::Forbidden`],
    /// [`Error::ConfirmationRequired`], [`Error::WrongPassword`], [`Error::TooManyAttempts`], or an unknown role.
    pub async fn change(&self, id: UserId, change: Change, actor: Actor) -> Result<User> {
        if let Some(role) = change.role {
            self.check_role(role)?;
        }
        let (now, roles) = (self.clock.now(), self.roles.clone());
        let entry = match &actor {
            Actor::Owner(owner) => Entry::new(Action::ProfileChanged, actor.by(), now).session(owner.session),
            Actor::Admin(_) | Actor::CommandLine => Entry::new(Action::UserChanged, actor.by(), now),
        };
        let entry = entry.user(id).detail(change.summary());
        let ending = self.revocations.ending(now, Because::Disabled);
        let admin_ttl = self.sessions.admin_absolute_ttl();
        let needs = Needs { admins: change.may_remove_admin(), permission: permission::USERS_WRITE, now };
        let seen = seen(&self.store, id, (&actor, &roles), needs).await?;
        change.may_be_made(&seen.user, seen.standing, &roles)?;
        let left = match change.disabled {
            Some(true) => revocations::left_to_end(&self.store, id, None).await?.map_or(0, |left| left.rows),
            _ => 0,
        };
        if left == 0 && change.is_in(&seen.user, actor.vouches()) {
            return self.changed_already(seen, &change, ending).await;
        }
        let is_end = change.only_disables();
        if !is_end {
            self.count(&actor, now)?;
        }
        let act = async move |tx: &mut Tx, log: &Log| {
            let locked = match locked(tx, id, (&actor, &roles), needs).await? {
                Ok(found) => found,
                Err(error) => return Ok(Err(error)),
            };
            if let Err(error) = change.may_be_made(&locked.user, locked.standing, &roles) {
                return Ok(Err(error));
            }
            let doing = Doing { now, ending, admin_ttl, roles: &roles, vouches: actor.vouches() };
            apply(tx, locked, &change, doing, (log, &entry)).await
        };
        let done = if is_end {
            audit::even_without(&self.store, act).await??
        } else {
            audit::together(&self.store, act).await??
        };
        self.put_in_force(id, &done, ending);
        Ok(done.user)
    }

    /// The user is like that: another act may have done it, here or in another process, and may not have come to put it in
    /// force here.
    async fn changed_already(&self, seen: Found, change: &Change, ending: Ending) -> Result<User> {
        let id = seen.user.id;
        let subject = Subject { user: id, role: seen.user.role, version: seen.version };
        if change.disabled == Some(true) {
            self.revocations.apply_over(subject, None, ending).await?;
        }
        let done = Done { user: seen.user, claims: change.role.map(|_| subject) };
        self.put_in_force(id, &done, ending);
        Ok(done.user)
    }

    fn put_in_force(&self, id: UserId, done: &Done, ending: Ending) {
        if let Some(subject) = done.claims {
            self.revocations.apply_version(subject, ending);
        }
        self.users.read_again(id);
    }

    /// Sets a new password hash, and ends the user's sessions.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn set_password(&self, id: UserId, hash: String, entry: Entry) -> Result<u32> {
        let now = self.clock.now();
        let ending = self.revocations.ending(now, Because::PasswordChanged);
        let act = async move |tx: &mut Tx, log: &Log| {
            if tx.execute(SET_PASSWORD, values![id, &hash, now]).await? == 0 {
                return Ok(Err(Error::NotFound));
            }
            after_new_password(tx, id, None, ending, (log, &entry)).await.map(Ok)
        };
        let ended = audit::even_without(&self.store, act).await??;
        self.revocations.apply_version(ended.subject, ending);
        Ok(ended.live)
    }

    /// The owner's own change, if `current` is still the stored hash: renews the session that makes it, so that copies of
    /// its credential are out, and ends the others. Gives how many ended, and the new credential.
    ///
    /// # Errors
    /// [`Error::WrongPassword`] if `current` is no more; [`Refusal::SessionEnded`] if the session is over, or its user gone.
    pub(crate) async fn change_password(
        &self,
        change: PasswordChange,
        entry: Entry,
    ) -> Result<(u32, Issued)> {
        let (renewal, now) = (change.renewal.clone(), self.clock.now());
        let ending = self.revocations.ending(now, Because::PasswordChanged);
        self.throttle.act(Kind::Password, change.user, now)?;
        let act = async move |tx: &mut Tx, log: &Log| {
            let PasswordChange { user, hash, current, renewal } = &change;
            if tx.execute(users::LOCK, values![*user]).await? == 0 {
                return Ok(Err(Refusal::SessionEnded.into()));
            }
            if tx.find(WITH_HASH, values![*user, current]).await?.is_none() {
                return Ok(Err(Error::WrongPassword));
            }
            let Some(renewed) = renew(tx, renewal).await? else {
                return Ok(Err(Refusal::SessionEnded.into()));
            };
            tx.execute(SET_PASSWORD, values![*user, hash, now]).await?;
            let ended = after_new_password(tx, *user, Some(renewal.session), ending, (log, &entry)).await?;
            Ok(Ok((ended, renewed)))
        };
        let (ended, renewed) = audit::even_without(&self.store, act).await??;
        self.revocations.apply_version(ended.subject, ending);
        Ok((ended.live, self.sessions.issue_renewed(&renewal, ended.subject, &renewed)?))
    }

    /// Sets a new password hash by a reset link, which is used up, and ends every session of its user.
    ///
    /// # Errors
    /// [`Error::LinkInvalid`].
    pub async fn reset_password(&self, link: [u8; 32], hash: String, entry: Entry) -> Result<u32> {
        let now = self.clock.now();
        let (roles, ending) = (self.roles.clone(), self.revocations.ending(now, Because::PasswordChanged));
        let act = async move |tx: &mut Tx, log: &Log| {
            let Some(id) = links::use_reset(tx, &roles, link, now).await? else {
                return Ok(Err(Error::LinkInvalid));
            };
            tx.execute(SET_PASSWORD, values![id, &hash, now]).await?;
            after_new_password(tx, id, None, ending, (log, &entry)).await.map(Ok)
        };
        let ended = audit::even_without(&self.store, act).await??;
        self.revocations.apply_version(ended.subject, ending);
        Ok(ended.live)
    }

    /// Deletes an account with all that belongs to it, and removes what names it from the audit log.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::LastAdmin`], [`Error::Forbidden`], [`Error::ConfirmationRequired`],
    /// [`Error::WrongPassword`].
    pub async fn delete(&self, id: UserId, actor: Actor) -> Result<()> {
        let (now, roles) = (self.clock.now(), self.roles.clone());
        let entry = Entry::new(Action::UserDeleted, actor.by(), now);
        // An owner's own entry is about them, so nothing that names them stays in it.
        let entry = if let Actor::Owner(_) = actor { entry.user(id) } else { entry };
        let ending = self.revocations.ending(now, Because::Deleted);
        let needs = Needs { admins: true, permission: permission::USERS_WRITE, now };
        let Found { user, standing, .. } = seen(&self.store, id, (&actor, &roles), needs).await?;
        standing.is_confirmed_for(&roles, &[user.role])?;
        let ended = self
            .store
            .transaction(async move |tx: &mut Tx| {
                let Found { user, standing, .. } = match locked(tx, id, (&actor, &roles), needs).await? {
                    Ok(found) => found,
                    Err(error) => return Ok(Err(error)),
                };
                if let Err(error) = standing.is_confirmed_for(&roles, &[user.role]) {
                    return Ok(Err(error));
                }
                if is_last_admin(tx, &user).await? {
                    return Ok(Err(Error::LastAdmin));
                }
                let ended = end_all(tx, id, None, ending).await?;
                keep_over(tx, id).await?;
                tx.execute(DELETE, values![id]).await?;
                audit::record(tx, &entry).await?;
                audit::forget(tx, id).await?;
                Ok(Ok(ended))
            })
            .await??;
        self.revocations.apply_version(ended.subject, ending);
        self.users.forget(id);
        Ok(())
    }

    /// Ends all sessions of a user, who is known by no device from then on.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub async fn end_sessions(&self, id: UserId, actor: Actor) -> Result<u32> {
        let (now, roles) = (self.clock.now(), self.roles.clone());
        let ending = self.revocations.ending(now, Because::EndedByAdmin);
        let entry = Entry::new(Action::SessionsEnded, actor.by(), now).user(id);
        let needs = Needs { admins: false, permission: permission::SESSIONS_END, now };
        seen(&self.store, id, (&actor, &roles), needs).await?;
        let left = revocations::left_to_end(&self.store, id, None).await?.ok_or(Error::NotFound)?;
        if left.rows == 0 && !known_devices::has_any(&self.store, id).await? {
            self.revocations.apply_over(left.subject, None, ending).await?;
            return Ok(0);
        }
        let act = async move |tx: &mut Tx, log: &Log| {
            if let Err(error) = locked(tx, id, (&actor, &roles), needs).await? {
                return Ok(Err(error));
            }
            known_devices::void(tx, id).await?;
            let ended = end_all(tx, id, None, ending).await?;
            log.record(tx, &entry).await?;
            Ok(Ok(ended))
        };
        let ended = audit::even_without(&self.store, act).await??;
        self.revocations.apply_version(ended.subject, ending);
        Ok(ended.live)
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
    pub(crate) fn prepare_reset(&self, id: UserId, actor: &Actor) -> links::New {
        links::New::reset(id, actor.maker(), self.clock.now())
    }

    /// Makes the link that was prepared for this user.
    ///
    /// # Errors
    /// As [`Accounts::reset_link`].
    pub(crate) async fn make_reset(&self, link: links::New, id: UserId, actor: Actor) -> Result<()> {
        let (now, roles) = (self.clock.now(), self.roles.clone());
        let entry = Entry::new(Action::ResetLinkMade, actor.by(), now).user(id);
        let needs = Needs { admins: false, permission: permission::USERS_WRITE, now };
        seen(&self.store, id, (&actor, &roles), needs).await?.standing.is_confirmed()?;
        self.count(&actor, now)?;
        let act = async move |tx: &mut Tx| {
            let locked = locked(tx, id, (&actor, &roles), needs).await?;
            if let Err(error) = locked.and_then(|locked| locked.standing.is_confirmed()) {
                return Ok(Err(error));
            }
            links::make(tx, &link).await?;
            audit::record(tx, &entry).await.map(Ok)
        };
        self.store.transaction(act).await?
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
    ) -> Result<links::New> {
        self.check_role(role)?;
        Ok(links::New::invitation(Invitation { email, role }, actor.maker(), self.clock.now()))
    }

    /// Makes the invitation that was prepared with this role.
    ///
    /// # Errors
    /// As [`Accounts::invite`].
    pub(crate) async fn make_invitation(&self, link: links::New, role: RoleName, actor: Actor) -> Result<()> {
        let (now, roles) = (self.clock.now(), self.roles.clone());
        let entry = Entry::new(Action::InvitationMade, actor.by(), now).detail(format!("role {role}"));
        let may = move |standing: Standing, roles: &Roles| {
            standing.covers(roles, role)?;
            standing.is_confirmed_for(roles, &[role])
        };
        let asked = actor.is_seen_to_stand(&self.store, (&roles, permission::USERS_WRITE), now).await?;
        may(asked?, &roles)?;
        self.count(&actor, now)?;
        let act = async move |tx: &mut Tx| {
            let asked = actor.stands(tx, (&roles, permission::USERS_WRITE), now).await?;
            if let Err(error) = asked.and_then(|standing| may(standing, &roles)) {
                return Ok(Err(error));
            }
            links::make(tx, &link).await?;
            audit::record(tx, &entry).await.map(Ok)
        };
        self.store.transaction(act).await?
    }

    /// Withdraws an invitation.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Forbidden`] for one to a role that the actor may not give.
    pub async fn withdraw(&self, invitation: LinkId, actor: Actor) -> Result<()> {
        let (now, roles) = (self.clock.now(), self.roles.clone());
        let entry = Entry::new(Action::InvitationWithdrawn, actor.by(), now);
        let asked = actor.is_seen_to_stand(&self.store, (&roles, permission::USERS_WRITE), now).await?;
        let role = links::role_of_invitation(&self.store, invitation, now).await?;
        asked?.covers(&roles, role.ok_or(Error::NotFound)?)?;
        let act = async move |tx: &mut Tx| {
            let standing = match actor.stands(tx, (&roles, permission::USERS_WRITE), now).await? {
                Ok(standing) => standing,
                Err(error) => return Ok(Err(error)),
            };
            let Some(role) = links::role_of_invitation(&mut *tx, invitation, now).await? else {
                return Ok(Err(Error::NotFound));
            };
            if let Err(error) = standing.covers(&roles, role) {
                return Ok(Err(error));
            }
            if !links::withdraw(tx, invitation).await? {
                return Ok(Err(Error::NotFound));
            }
            audit::record(tx, &entry.clone().detail(format!("role {role}"))).await.map(Ok)
        };
        self.store.transaction(act).await?
    }

    /// Ends one session of a user; gives the number of sessions that ended: none if it was over.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a user who may do more than the actor.
    pub async fn end_session(&self, session: SessionId, actor: Actor) -> Result<u32> {
        let Some(user) = self.sessions.owner(session).await? else { return Ok(0) };
        let (now, roles) = (self.clock.now(), self.roles.clone());
        let ending = self.revocations.ending(now, Because::EndedByAdmin);
        let entry = Entry::new(Action::SessionsEnded, actor.by(), now).user(user).session(session);
        let needs = Needs { admins: false, permission: permission::SESSIONS_END, now };
        seen(&self.store, user, (&actor, &roles), needs).await?;
        let act = async move |tx: &mut Tx, log: &Log| {
            if let Err(error) = locked(tx, user, (&actor, &roles), needs).await? {
                return Ok(Err(error));
            }
            let ended = revocations::end_each(tx, &[session], ending).await?;
            if !ended.is_empty() {
                log.record(tx, &entry).await?;
            }
            Ok(Ok(u32::from(!ended.is_empty())))
        };
        let ended = audit::even_without(&self.store, act).await??;
        self.revocations.apply(&[session], ending);
        Ok(ended)
    }

    /// Whether there is such a role.
    fn check_role(&self, role: RoleName) -> Result<()> {
        if self.roles.contains(role) {
            return Ok(());
        }
        let known: Vec<_> = self.roles.names().map(|name| name.to_string()).collect();
        Err(Error::field("role", format!("is unknown; there are {}", known.join(", "))))
    }
}
