//! Callers of sensitive routes: session and user are read from the store, not believed from a token.

use axum::extract::FromRequestParts;
use doorward_core::Refusal;
use doorward_core::role::permission;
use doorward_guard::{Denied, Identity};
use http::request::Parts;

use crate::accounts::{Actor, Admin};
use crate::app::App;
use crate::client::Client;
use crate::error::{Error, Result};

/// A caller whose session is live and whose account is enabled, as the store has it now. For password change, deletion
/// and everything that admins do (attacks J33, R11).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Confirmed {
    /// Who it is; the role is the store's.
    pub(crate) identity: Identity,
}

impl FromRequestParts<App> for Confirmed {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let checked = <Identity as FromRequestParts<App>>::from_request_parts(parts, app).await;
        let identity = checked.map_err(|denied| match denied {
            Denied::Refused(refusal) => Error::Refused(refusal),
            Denied::Forbidden => Error::Forbidden,
        })?;
        let standing = app.sessions.standing(identity.session, identity.user).await?;
        let standing = standing.ok_or(Refusal::SessionEnded)?;
        if standing.ended_at.is_some() || standing.disabled_at.is_some() {
            return Err(Refusal::SessionEnded.into());
        }
        if standing.absolute_expires_at <= app.now() {
            return Err(Refusal::SessionExpired.into());
        }
        Ok(Self { identity: Identity { role: standing.role, ..identity } })
    }
}

/// A confirmed caller whose role grants one permission.
macro_rules! may {
    ($($(#[$doc:meta])* $name:ident: $permission:expr;)+) => {
        $($(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name(pub(crate) Identity);

        impl FromRequestParts<App> for $name {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
                let Confirmed { identity } = Confirmed::from_request_parts(parts, app).await?;
                if app.settings.roles.grants(identity.role, $permission) {
                    Ok(Self(identity))
                } else {
                    Err(Error::Forbidden)
                }
            }
        }

        impl $name {
            /// The caller as the one who acts.
            #[allow(dead_code)]
            pub(crate) fn actor(&self, client: &Client) -> Actor {
                let (user, session, role) = (self.0.user, Some(self.0.session), self.0.role);
                Actor::Admin(Admin { user, session, role, ip: client.ip })
            }
        })+
    };
}

may! {
    /// May see users.
    ReadsUsers: permission::USERS_READ;
    /// May change users.
    WritesUsers: permission::USERS_WRITE;
    /// May see everybody's sessions.
    ReadsSessions: permission::SESSIONS_READ;
    /// May end anybody's sessions.
    EndsSessions: permission::SESSIONS_END;
    /// May read the audit log.
    ReadsAudit: permission::AUDIT_READ;
}
