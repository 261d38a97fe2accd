//! Administration: users, their sessions, reset links, invitations, the audit log. Every route reads session and user
//! from the store, and requires one permission.
//!
//! `GET /admin/users?search=&role=&after=&limit=` → {users, next}, by id. `POST /admin/users` {name, email, role?,
//! password?} → 201. `GET, PATCH, DELETE /admin/users/{id}`; PATCH {name, email, role, disabled}. The last admin can't
//! be demoted, disabled or removed (409). Nobody gives a role that may do more than their own, or changes a user with
//! one (403). `POST /admin/users/{id}/reset-link` → {url, expires_at}. `GET, DELETE /admin/users/{id}/sessions`.
//! `GET /admin/sessions, /admin/audit`; `DELETE /admin/sessions/{id}`. `GET, POST /admin/invitations` {email?, role?} →
//! 201 {url, expires_at}; `DELETE /admin/invitations/{id}`. `GET, POST /admin/clients` {name} → 201 {client_id,
//! client_secret}; `DELETE /admin/clients/{id}`.
//!
//! Each `GET` is a page too. Their forms post to the same paths; in place of DELETE, which forms don't have, to
//! `…/delete`, `…/end` and `…/withdraw`. They return to a list. A link or secret is only in the answer that made it.

mod clients;
mod http;
mod invitations;
mod pages;
mod queries;
mod records;
mod routes;
mod search;

use std::sync::Arc;

use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::password::Password;
use doorward_core::role::RoleName;
use doorward_core::{OpaqueSecret, SessionId, Timestamp, UserId};

use crate::accounts::{Actor, NewUser};
use crate::app::App;
use crate::audit::By;
use crate::challenges;
use crate::error::{Error, Result};
use crate::invitations::Invitation;
use crate::sessions;
use crate::users::{User, check_new_password};
use crate::web::feature::{Feature, templates, texts};
use crate::wire::flash::Flash;

pub use queries::{ListedSession, ListedUser, list_sessions};
pub use search::{Place, Search, list_users};

const USER_CREATED: Flash = Flash::new("user-created");
const USER_CHANGED: Flash = Flash::new("user-changed");
const USER_SIGNED_OUT: Flash = Flash::new("user-signed-out");
const USER_DELETED: Flash = Flash::new("user-deleted");
const SESSION_ENDED: Flash = Flash::new("session-ended");
const INVITATION_WITHDRAWN: Flash = Flash::new("invitation-withdrawn");
const CLIENT_DELETED: Flash = Flash::new("client-deleted");

pub(crate) const FEATURE: Feature = Feature {
    templates: templates![
        "users.html",
        "user.html",
        "sessions.html",
        "invitations.html",
        "clients.html",
        "audit.html"
    ],
    flashes: &[
        USER_CREATED,
        USER_CHANGED,
        USER_SIGNED_OUT,
        USER_DELETED,
        SESSION_ENDED,
        INVITATION_WITHDRAWN,
        CLIENT_DELETED,
    ],
    texts: texts!("en.ftl"),
    ..Feature::new("admin_users", routes::routes)
};

/// An account to make.
#[derive(Debug)]
pub struct CreateUser {
    /// The user's name.
    pub name: DisplayName,
    /// The address to sign in with.
    pub email: Email,
    /// The role.
    pub role: RoleName,
    /// Without one, a reset link lets the user in.
    pub password: Option<Password>,
}

/// Makes an account, with or without a password.
///
/// # Errors
/// [`Error::EmailTaken`], [`Error::Forbidden`], a password against the policy, or an unknown role.
pub async fn create(app: &App, new: CreateUser, actor: Actor) -> Result<User> {
    let CreateUser { name, email, role, password } = new;
    let password_hash = match password {
        None => None,
        Some(password) => {
            doorward_core::password::check_policy(&password, &name, &email)
                .map_err(|problem| Error::field("password", problem))?;
            Some(app.hashing.hash(Arc::new(password), std::net::Ipv4Addr::LOCALHOST.into()).await?)
        }
    };
    app.accounts.create(NewUser { name, email, role, password_hash }, actor).await
}

/// Makes a one-time link by which the user sets a new password; returns its URL and its end.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Forbidden`] for a user who may do more than the actor.
pub async fn reset_link(app: &App, user: UserId, actor: Actor) -> Result<(String, Timestamp)> {
    let (secret, expires_at) = app.accounts.reset_link(user, actor).await?;
    Ok((url(app, "/password/reset?token=", &secret), expires_at))
}

/// Makes an invitation to register, for one address or for anybody; returns its URL and its end.
///
/// # Errors
/// An unknown role, or one that the actor may not give.
pub async fn invite(
    app: &App,
    email: Option<Email>,
    role: RoleName,
    actor: Actor,
) -> Result<(String, Timestamp)> {
    let (secret, expires_at) = app.accounts.invite(Invitation { email, role }, actor).await?;
    Ok((url(app, "/register?invite=", &secret), expires_at))
}

/// A one-time link that is invalid until it is made, so that it can be shown first.
pub struct NewLink {
    /// The URL to hand out.
    pub url: String,
    /// Until when it works, once it is made.
    pub expires_at: Timestamp,
    link: challenges::NewChallenge,
}

/// Prepares what [`reset_link`] makes.
pub fn prepare_reset(app: &App, user: UserId, actor: &Actor) -> NewLink {
    let link = app.accounts.prepare_reset(user, actor);
    NewLink { url: url(app, "/password/reset?token=", &link.secret), expires_at: link.expires_at, link }
}

/// Makes the link that was prepared for this user.
///
/// # Errors
/// As [`reset_link`].
pub async fn make_reset(app: &App, new: NewLink, user: UserId, actor: Actor) -> Result<()> {
    app.accounts.make_reset(new.link, user, actor).await
}

/// Prepares what [`invite`] makes.
///
/// # Errors
/// An unknown role.
pub fn prepare_invitation(app: &App, email: Option<Email>, role: RoleName, actor: &Actor) -> Result<NewLink> {
    let link = app.accounts.prepare_invitation(Invitation { email, role }, actor)?;
    Ok(NewLink { url: url(app, "/register?invite=", &link.secret), expires_at: link.expires_at, link })
}

/// Makes the invitation that was prepared with this role.
///
/// # Errors
/// As [`invite`].
pub async fn make_invitation(app: &App, new: NewLink, role: RoleName, actor: Actor) -> Result<()> {
    app.accounts.make_invitation(new.link, role, actor).await
}

/// Sets a password for a user, and ends all of the user's sessions. For the command line only: an admin makes a link, and
/// never knows the password.
///
/// # Errors
/// [`Error::NotFound`], or a password against the policy.
pub async fn set_password(app: &App, user: UserId, password: Password) -> Result<u32> {
    let user = app.users.find(user).await?.ok_or(Error::NotFound)?.user;
    check_new_password(&password, &user)?;
    let hash = app.hashing.hash(Arc::new(password), std::net::Ipv4Addr::LOCALHOST.into()).await?;
    app.accounts.set_password(user.id, hash, By::CommandLine).await
}

/// The live sessions of a user, as a scan of the user who asks.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn sessions_of(
    app: &App,
    user: UserId,
    asked_by: Option<UserId>,
) -> Result<Vec<sessions::SessionView>> {
    app.users.find(user).await?.ok_or(Error::NotFound)?;
    app.sessions.list(user, None, asked_by).await
}

/// Logs a user out everywhere; returns the number of sessions that ended.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Forbidden`] for a user who may do more than the actor.
pub async fn end_sessions(app: &App, user: UserId, actor: Actor) -> Result<u32> {
    app.accounts.end_sessions(user, actor).await
}

/// Ends one session; returns the number of sessions that ended: none if it had ended already.
///
/// # Errors
/// [`Error::Forbidden`] for the session of a user who may do more than the actor.
pub async fn end_session(app: &App, session: SessionId, actor: Actor) -> Result<u32> {
    app.accounts.end_session(session, actor).await
}

fn url(app: &App, path: &str, secret: &OpaqueSecret) -> String {
    format!("{}{path}{}", app.base_url(), *secret.to_text())
}

#[cfg(test)]
mod tests;
