//! The features of Doorward, one folder each. Router, metrics, pages, flash texts, audit actions, settings and account
//! page are built by loops over `FEATURES`.

pub mod admin_users;
pub(crate) mod confirm;
pub(crate) mod dashboard;
mod devices;
mod discovery;
mod docs;
mod feed;
mod flow;
mod forward_auth;
mod health;
mod inspect;
mod introspect;
mod jwks;
mod login;
mod logout;
mod password_reset;
pub(crate) mod profile;
mod refresh;
mod register;
mod revoke;
#[cfg(feature = "pages")]
mod style;
mod tour;

use crate::app::Contributions;
use crate::audit::{ACTIONS, Action};
use crate::error::Error;
use crate::settings::Values;
use crate::texts::{Language, PROBLEMS};
use crate::web;
use crate::web::api::Routes;
use crate::web::feature::Feature;
use crate::wire;
use crate::wire::assets::version;

/// Every feature. The API document, the reference and the account page have them in this order.
const FEATURES: &[&Feature] = &[
    &register::FEATURE,
    &login::FEATURE,
    &refresh::FEATURE,
    &logout::FEATURE,
    &devices::FEATURE,
    &profile::FEATURE,
    &confirm::FEATURE,
    &dashboard::FEATURE,
    &password_reset::FEATURE,
    &admin_users::FEATURE,
    &jwks::FEATURE,
    &discovery::FEATURE,
    &forward_auth::FEATURE,
    &feed::FEATURE,
    &introspect::FEATURE,
    &inspect::FEATURE,
    &revoke::FEATURE,
    &health::FEATURE,
    &flow::FEATURE,
    #[cfg(feature = "pages")]
    &style::FEATURE,
    &tour::FEATURE,
    &docs::FEATURE,
];

/// All routes.
pub(crate) fn routes() -> Routes {
    let codes: Vec<_> = FEATURES.iter().flat_map(|feature| feature.flashes).map(|flash| flash.code).collect();
    let all = FEATURES.iter().fold(Routes::of(""), |all, feature| all.merge((feature.routes)()));
    let assets = web::assets::routes(FEATURES.iter().flat_map(|feature| feature.assets));
    all.merge(assets).with_flashes(&codes).published()
}

/// What all features contribute to the parts below them.
pub(crate) fn contributions() -> Contributions {
    let texts = [Error::texts().into(), PROBLEMS.into(), wire::TEXTS.into(), web::TEXTS.into()];
    let (templates, language) = (web::TEMPLATES.to_vec(), Language::english(texts));
    let mut all = Contributions { templates, language, ..Contributions::default() };
    for feature in FEATURES {
        all.templates.extend(feature.templates);
        all.language.files.push(feature.texts.into());
        all.flashes.extend(feature.flashes);
        all.express.extend(feature.express);
        all.cards.extend(feature.card);
        all.sweeps.extend(feature.sweep);
    }
    let assets: Vec<_> = FEATURES.iter().flat_map(|feature| feature.assets).copied().collect();
    all.version = version(&assets);
    all.paths = routes().operations().iter().map(|operation| operation.path).collect();
    all.paths.sort_unstable();
    all.paths.dedup();
    all
}

/// Every action of the audit log.
pub fn actions() -> Vec<Action> {
    ACTIONS.iter().chain(FEATURES.iter().flat_map(|feature| feature.actions)).copied().collect()
}

impl Default for Values {
    fn default() -> Self {
        Self::with(FEATURES.iter().flat_map(|feature| feature.settings).copied().collect())
    }
}

#[cfg(test)]
mod tests;
