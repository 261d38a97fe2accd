//! Callers of sensitive routes: session and user are read from the store, not taken from a token.

use std::ops::Deref;

use axum::extract::FromRequestParts;
use doorward_core::role::permission;
use doorward_core::{Mode, Refusal};
use doorward_guard::{Denied, Identity};
use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::accounts::{Actor, Admin, Confirmation};
use crate::app::App;
use crate::error::{Error, Result};
use crate::flow::{self, Fact, Label, Step, Verb, note};
use crate::sessions::Stored;
use crate::wire::peer::Peer;

/// A caller whose session is live and whose account is enabled, according to the store now. For password change,
/// deletion and all acts of admins (attacks J33, R11).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Confirmed {
    /// The caller; the role is the store's.
    pub(crate) identity: Identity,
    /// Whether the credential came as a cookie, of a session in a cookie mode: no script has read it.
    pub(crate) by_cookie: bool,
}

impl FromRequestParts<App> for Confirmed {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let checked = <Identity as FromRequestParts<App>>::from_request_parts(parts, app).await;
        let mut identity = checked.map_err(|denied| match denied {
            Denied::Refused(refusal) => Error::Refused(refusal),
            _ => Error::Forbidden,
        })?;
        let stored = live(app, &identity).await?;
        // The mode is the store's too: sending a bearer token as a cookie doesn't make it one.
        let by_cookie = stored.mode != Mode::Bearer && !parts.headers.contains_key(AUTHORIZATION);
        identity.role = stored.role;
        Ok(Self { identity, by_cookie })
    }
}

/// The session of this identity as it is in the store, if it is live.
async fn live(app: &App, identity: &Identity) -> Result<Stored> {
    let started = flow::started();
    let stored = app.sessions.stored(identity.session, identity.user).await?;
    note(|| Step::check(Verb::ReadUser, stored.is_some()).since(started));
    let stored = stored.ok_or(Refusal::SessionEnded)?;
    stored.state.check_not_ended()?;
    if stored.state.absolute_expires_at <= app.now() {
        return Err(Refusal::SessionExpired.into());
    }
    Ok(stored)
}

/// A caller, and how they hold their credential.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    identity: Identity,
    /// Whether the credential came as a cookie; see [`Confirmed::by_cookie`].
    pub(crate) by_cookie: bool,
}

impl Caller {
    /// The caller as an actor.
    pub(crate) fn actor(&self, client: &Peer, confirmation: Confirmation) -> Actor {
        let Identity { user, session, role, .. } = self.identity;
        Actor::Admin(Admin { user, session: Some(session), role, ip: client.ip, confirmation })
    }

    /// Checks by the store that the session is still live and its role still grants this permission.
    pub(crate) async fn still_may(&self, app: &App, permission: &str) -> Result<()> {
        let stored = live(app, &self.identity).await?;
        if app.settings.roles.grants(stored.role, permission) { Ok(()) } else { Err(Error::Forbidden) }
    }
}

/// The confirmed caller of a request, if their role grants this permission.
pub(crate) async fn permitted(parts: &mut Parts, app: &App, permission: &'static str) -> Result<Caller> {
    let Confirmed { identity, by_cookie } = Confirmed::from_request_parts(parts, app).await?;
    let grants = app.settings.roles.grants(identity.role, permission);
    note(|| {
        let step = Step::check(Verb::CheckPermission, grants).fact(Fact::text(Label::Permission, permission));
        step.fact(Fact::seen(Label::Role, identity.role.as_str()))
    });
    if grants { Ok(Caller { identity, by_cookie }) } else { Err(Error::Forbidden) }
}

impl Deref for Caller {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.identity
    }
}

/// A confirmed caller whose role grants one permission.
macro_rules! may {
    ($($(#[$doc:meta])* $name:ident: $permission:expr;)+) => {
        $($(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name(#[allow(dead_code, reason = "some only need to be there")] pub(crate) Caller);

        impl FromRequestParts<App> for $name {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
                Ok(Self(permitted(parts, app, $permission).await?))
            }
        }
        )+
    };
}

may! {
    /// May see users.
    ReadsUsers: permission::USERS_READ;
    /// May change users.
    WritesUsers: permission::USERS_WRITE;
    /// May see the sessions of all users.
    ReadsSessions: permission::SESSIONS_READ;
    /// May end the sessions of all users.
    EndsSessions: permission::SESSIONS_END;
    /// May read the audit log.
    ReadsAudit: permission::AUDIT_READ;
    /// May see the registered clients.
    ReadsClients: permission::CLIENTS_READ;
    /// May register and delete clients.
    WritesClients: permission::CLIENTS_WRITE;
}
