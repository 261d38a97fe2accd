//! What all pages load: `GET /style.css`, `GET /assets/forms.js`, `GET /favicon.svg`.

use crate::web::api::Routes;
use crate::web::feature::{Feature, assets};

pub(crate) const FEATURE: Feature = Feature {
    assets: assets![
        "/style.css" = "text/css", "The style of all pages", "style.css";
        "/assets/forms.js" = "text/javascript", "The script of pages with forms", "forms.js";
        "/favicon.svg" = "image/svg+xml", "The icon of all pages", "favicon.svg";
    ],
    ..Feature::new("style", || Routes::of("Pages"))
};

#[cfg(test)]
mod tests;
