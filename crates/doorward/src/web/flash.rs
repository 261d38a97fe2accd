//! What a page says after a redirect, by `done` in the query of its URL.

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::app::App;
use crate::error::{Error, Result};
use crate::wire::query::Query;

/// What `done` means to the routes that read it.
pub(super) const MEANING: &str = "What a page says was done; anything else says nothing.";

/// The code of the text, if `done` is in the list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flashed(pub(crate) Option<&'static str>);

impl FromRequestParts<App> for Flashed {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let query = Query::from_request_parts(parts, app).await?;
        let said = query.text("done");
        let known = app.contributions.flashes.iter().find(|flash| said == Some(flash.code));
        Ok(Self(known.map(|flash| flash.code)))
    }
}
