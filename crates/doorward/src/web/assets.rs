//! The routes of what pages load. Browsers keep for good what they requested with the version of now.

use axum::extract::{RawQuery, State};
use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};

use super::api::{Routes, Who, describe};
use crate::app::App;
use crate::wire::assets::Asset;
use crate::wire::shape::of;

/// A route for each of these files, for everybody.
pub(crate) fn routes(assets: impl IntoIterator<Item = &'static Asset>) -> Routes {
    assets.into_iter().fold(Routes::of("Pages"), |all, asset| {
        let text = "may be cached forever by its version";
        let doc =
            describe(asset.about, Who::Anybody).unrecorded().content(200, text, asset.media, of::<&str>());
        let get = move |State(app): State<App>, RawQuery(query): RawQuery| async move {
            answer(&app, asset, query.as_deref())
        };
        all.get(asset.path, get, doc)
    })
}

/// The same for everybody, with any credential: a sign-in must not make browsers ask again.
fn answer(app: &App, asset: &Asset, query: Option<&str>) -> impl IntoResponse + use<> {
    let version = query.and_then(|query| query.strip_prefix("v="));
    let is_present = version == Some(app.contributions.version.as_str());
    let caching = if is_present { "public, max-age=31536000, immutable" } else { "public, max-age=3600" };
    let media = match asset.media {
        "text/css" => "text/css; charset=utf-8",
        "text/javascript" => "text/javascript; charset=utf-8",
        other => other,
    };
    ([(CONTENT_TYPE, media), (CACHE_CONTROL, caching), (VARY, "Accept-Encoding")], asset.body.text())
}
