//! Changing an account: name, address, role, and whether it is disabled.

use std::time::Duration;

use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::role::{RoleName, Roles, permission};
use doorward_core::{Timestamp, UserId};

use super::found::{Found, end_every, gone, locked, locked_unless_last_admin, unlocked};
use super::make::verified;
use super::{Accounts, Actor};
use crate::actors::{Asking, Standing};
use crate::acts::{Change, Done};
use crate::audit::{Action, Entry};
use crate::challenges;
use crate::error::{Error, Result};
use crate::revocations::EndReason;
use crate::sessions::end::{Left, left_to_end, raise_version};
use crate::store::{Statement, values};
use crate::users::{Subject, User, VouchedBy, folded};

const UPDATE: &str = "UPDATE users SET name = $2, name_folded = $3, role = $4, disabled_at = $5, updated_at = $6 WHERE id = $1";
const UPDATE_EMAIL: &str = "UPDATE emails SET address = $2, folded = $3, verified_at = $4, verified_by = $5 \
     WHERE user_id = $1 AND is_primary = 1";
const OTHER_WITH_EMAIL: &str = "SELECT user_id FROM emails WHERE address = $1 AND user_id <> $2";
const SHORTEN: &str = "UPDATE sessions SET absolute_expires_at = CASE WHEN absolute_expires_at > created_at + $2 \
     THEN created_at + $2 ELSE absolute_expires_at END, sweep_at = 0, expires_at = CASE WHEN expires_at > created_at + $2 \
     THEN created_at + $2 ELSE expires_at END WHERE user_id = $1 AND ended_at IS NULL";

/// The changes; `None` stays as it is.
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
    /// Whether it only takes access away, so that neither a limit nor a full disk stops it.
    pub(crate) fn only_disables(&self) -> bool {
        self.disabled == Some(true) && self.name.is_none() && self.email.is_none() && self.role.is_none()
    }

    /// Whether this user is like that already, including who vouches for the address.
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
            // An actor who writes another user's address vouches for it, even if it is the same.
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
        self.role.is_some_and(|role| role != RoleName::ADMIN) || self.disabled == Some(true)
    }

    /// Who has the address that is wanted.
    fn has_email(&self, id: UserId) -> Vec<Statement> {
        let has = |email| Statement { sql: OTHER_WITH_EMAIL, values: values![email, id] };
        self.email.iter().map(has).collect()
    }

    /// Whether this actor may make it to this user. It may not give more than they have. A confirmation is needed for a
    /// change that takes over an account, or makes or removes a user who could.
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

    /// The changes, for the audit log.
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

impl Accounts {
    /// Changes an account. A new role makes the user's tokens stale at once, and disabling ends their sessions; a new
    /// role or address voids their reset links.
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
        let left = (wanted.disabled == Some(true)).then(|| left_to_end(id, None));
        let mut seen = unlocked(&self.base.store, id, &asking, Vec::from_iter(left)).await?;
        wanted.may_be_made(&seen.user, seen.standing, &asking.roles)?;
        let left = seen.also.next().map(|rows| Left::read(id, rows)).transpose()?.flatten();
        if left.is_none_or(|left| left.rows == 0) && wanted.is_in(&seen.user, asking.actor.vouches()) {
            return self.changed_already(seen, &wanted, asking.at).await;
        }
        let is_end = wanted.only_disables();
        if !is_end {
            self.count(&asking)?;
        }
        let act = if is_end { asking.ending() } else { asking.act() };
        let admin_ttl = self.sessions.admin_absolute_ttl();
        let change = async move |change: &mut Change<'_>| {
            let also = wanted.has_email(id);
            let found = match wanted.may_remove_admin() {
                true => locked_unless_last_admin(change, id, &asking, also).await?,
                false => locked(change, id, &asking, also).await?,
            };
            wanted.may_be_made(&found.user, found.standing, &asking.roles)?;
            let user = apply(change, found, &wanted, &asking, admin_ttl).await?;
            Ok(Done::new(user, entry.clone()))
        };
        self.base.acts.commit(act, change).await
    }

    /// The user is like that already: another act may have done it, here or elsewhere, and may not be in force here
    /// yet.
    async fn changed_already(&self, seen: Found, wanted: &UserChange, at: Timestamp) -> Result<User> {
        let subject = Subject { user: seen.user.id, role: seen.user.role, version: seen.version };
        if wanted.disabled == Some(true) {
            self.sessions.apply_ended_elsewhere(subject, None, at).await?;
        }
        if wanted.role.is_some() {
            self.sessions.revocations.apply_version(subject);
        }
        self.users.read_again(seen.user.id);
        Ok(seen.user)
    }
}

/// Writes the changes of the user that was found; `admin_ttl` is how long a session of an admin lives.
async fn apply(
    change: &mut Change<'_>,
    Found { user: old, version, also: mut has_email, .. }: Found,
    wanted: &UserChange,
    asking: &Asking,
    admin_ttl: Duration,
) -> Result<User> {
    let (id, now, new) = (old.id, change.at, wanted.applied_to(&old, asking.actor.vouches(), change.at));
    if new.email != old.email && has_email.next().is_some_and(|rows| !rows.is_empty()) {
        return Err(Error::EmailTaken);
    }
    let has_new_role = new.role != old.role;
    let name = new.name.as_str();
    let values = values![id, name, folded(name), new.role, new.disabled_at, now];
    change.queue(UPDATE, values)?;
    if new.email != old.email || new.email_vouched_by != old.email_vouched_by {
        let (verified_at, verified_by) = verified(new.email_vouched_by, now);
        let searched = folded(&new.email.searched());
        change.queue(UPDATE_EMAIL, values![id, &new.email, searched, verified_at, verified_by])?;
    }
    if has_new_role && new.role == RoleName::ADMIN {
        let ttl = i64::try_from(admin_ttl.as_micros()).unwrap_or(i64::MAX / 2);
        change.queue(SHORTEN, values![id, ttl])?;
    }
    let disabled = old.disabled_at.is_none() && new.disabled_at.is_some();
    // A reset link that somebody kept is good for the account as it was, never for one that may do more by now (attack
    // A06).
    if new.email != old.email || has_new_role || disabled {
        challenges::void_all_of_user(change, id)?;
    }
    // The links that they made are deleted if they lose any right; disabling ends their sessions, and the links with
    // them.
    if has_new_role && !asking.roles.covers(new.role, old.role) {
        challenges::void_of_maker(change, id, None)?;
    }
    // Even if another act did it already: its writes may not have reached the sets in memory yet.
    match (wanted.disabled, wanted.role) {
        (Some(true), _) => drop(end_every(change, id, None, EndReason::Disabled).await?),
        (_, Some(_)) if has_new_role => drop(raise_version(change, id).await?.ok_or_else(gone)?),
        (_, Some(role)) => change.raised_before(Subject { user: id, role, version }),
        _ => {}
    }
    change.user_changed(id);
    Ok(new)
}
