use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::app::App;
use crate::error::{Error, Result};

/// Who may follow.
#[derive(Debug)]
pub(super) enum Caller {
    /// Who has the feed's secret.
    Secret,
}

impl Caller {
    /// Whether they still may.
    pub(super) fn stands(&self, _: &App) -> bool {
        match self {
            Self::Secret => true,
        }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let mut values = parts.headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(Error::InvalidClient) };
        let presented = value.to_str().ok().and_then(|value| value.split_once(' '));
        match presented {
            Some((scheme, secret))
                if scheme.eq_ignore_ascii_case("bearer") && app.feed.is_opened_by(secret) =>
            {
                Ok(Self::Secret)
            }
            _ => Err(Error::InvalidClient),
        }
    }
}
