//! What a feature declares. `features/mod.rs` lists them; everything else is built by a loop over that list.

use super::api::Routes;
use crate::app::{Card, Express, Sweep};
use crate::audit::Action;
use crate::settings::Contributed;
use crate::wire::assets::Asset;
use crate::wire::flash::Flash;

/// A feature. Its names are unique: a test refuses one that is used twice.
pub(crate) struct Feature {
    /// The name of its folder.
    #[allow(dead_code, reason = "a test holds it against the folder")]
    pub(crate) name: &'static str,
    /// Its routes, each with its description. Router, API document and metrics are made from them.
    pub(crate) routes: fn() -> Routes,
    /// Its templates by name.
    pub(crate) templates: &'static [(&'static str, &'static str)],
    /// What its pages load, for everybody: nothing in it is secret.
    pub(crate) assets: &'static [Asset],
    /// The English texts of its pages, by their codes.
    pub(crate) texts: &'static str,
    /// What its pages say after a redirect.
    pub(crate) flashes: &'static [Flash],
    /// The audit actions that only this feature writes.
    pub(crate) actions: &'static [Action],
    /// Its settings.
    pub(crate) settings: &'static [Contributed],
    /// Its part of the account page. The cards are in the order of the features.
    pub(crate) card: Option<Card>,
    /// Its answers from memory, before the router.
    pub(crate) express: &'static [Express],
    /// Deletes its expired data from the store.
    pub(crate) sweep: Option<Sweep>,
}

/// The templates of a folder, by name; none without the feature `pages`.
macro_rules! templates {
    [$($name:literal),+] => {
        if $crate::wire::PAGES { &[$(($name, include_str!($name))),+] } else { &[] }
    };
}
pub(crate) use templates;

/// Files that pages load: path, type, what it is, and a file of the folder or `made` by a function; none without the
/// feature `pages`.
macro_rules! assets {
    [$($path:literal = $media:literal, $about:literal, $($file:literal)? $(made $make:expr)?;)+] => {
        if $crate::wire::PAGES {
            &[$($crate::wire::assets::Asset {
                path: $path,
                media: $media,
                about: $about,
                body: $crate::wire::assets::Content::$(File(include_str!($file)))?$(Made($make))?,
            }),+]
        } else {
            &[]
        }
    };
}
pub(crate) use assets;

/// The texts of pages in this file; none without the feature `pages`.
macro_rules! texts {
    ($file:literal) => {
        if $crate::wire::PAGES { include_str!($file) } else { "" }
    };
}
pub(crate) use texts;

impl Feature {
    /// A feature with these routes and nothing else.
    pub(crate) const fn new(name: &'static str, routes: fn() -> Routes) -> Self {
        Self {
            name,
            routes,
            templates: &[],
            assets: &[],
            texts: "",
            flashes: &[],
            actions: &[],
            settings: &[],
            card: None,
            express: &[],
            sweep: None,
        }
    }
}
