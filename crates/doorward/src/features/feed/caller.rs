use axum::extract::FromRequestParts;
use doorward_core::ClientId;
use http::request::Parts;

use crate::app::App;
use crate::error::{Error, Result};
use crate::web::client_credentials::{ClientCredentials, authorization};

/// A follower.
#[derive(Debug, Clone, Copy)]
pub(super) enum Caller {
    /// A holder of the feed's secret.
    Secret,
    /// A registered client.
    Client(ClientId),
}

impl Caller {
    /// The client, if it is one.
    pub(super) fn client(self) -> Option<ClientId> {
        match self {
            Self::Secret => None,
            Self::Client(client) => Some(client),
        }
    }

    /// Whether they still may.
    pub(super) fn stands(self, app: &App) -> bool {
        match self {
            Self::Secret => true,
            Self::Client(client) => app.clients.has(client),
        }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        match authorization(&parts.headers) {
            Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer") => {
                if app.feed.is_opened_by(secret) { Ok(Self::Secret) } else { Err(Error::InvalidClient) }
            }
            _ => ClientCredentials::from_request_parts(parts, app)
                .await
                .map(|ClientCredentials(client)| Self::Client(client)),
        }
    }
}
