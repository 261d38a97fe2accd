//! What all routes share: reading requests, writing answers, cookies, pages.

pub(crate) mod account_page;
pub(crate) mod api;
pub(crate) mod assets;
pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod client_credentials;
pub(crate) mod confirm;
pub(crate) mod credential;
pub(crate) mod dev;
pub(crate) mod feature;
pub(crate) mod flash;
pub(crate) mod front;
pub(crate) mod peer;
pub(crate) mod presented_sessions;
pub(crate) mod renew_redirect;
pub(crate) mod reply;
pub(crate) mod sign_in;

/// The templates of pages that several features show.
pub(crate) const TEMPLATES: &[(&str, &str)] =
    feature::templates!["arrival.html", "confirm.html", "home.html"];

/// Their English texts.
pub(crate) const TEXTS: &str = feature::texts!("en.ftl");
