//! What the features contribute to the parts below them. Nothing here knows a feature: the list of them is above `App`.

use std::pin::Pin;

use axum::Router;
use axum::body::Bytes;
use doorward_core::Timestamp;
use doorward_core::password_hash::HashPolicy;
use doorward_guard::Identity;

use super::App;
use crate::clock::Clock;
use crate::error::Result;
use crate::sweeps::Expired;
use crate::texts::Language;
use crate::users::User;
use crate::wire::flash::Flash;
use crate::wire::page::Value;

/// A future of a feature's contribution.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What has expired by this time, for the sweep.
pub(crate) type Sweep = fn(Timestamp) -> Expired;

/// An answer from memory, before the router, for the most frequent requests of programs. Only `GET` without a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Express {
    /// The path, below the base path.
    pub(crate) path: &'static str,
    /// The JSON, made once for each user in memory. The route's handler answers with the same.
    pub(crate) json: fn(&User) -> Bytes,
}

/// Reads the data that a template shows.
pub(crate) type ContextOf = for<'a> fn(&'a App, &'a Identity) -> Boxed<'a, Result<Value>>;

/// A part of the account page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Card {
    /// The template, which the page includes.
    pub(crate) template: &'static str,
    /// Its data, beside `user`, `typed`, `trouble`, `may` and `now`, which every card has.
    pub(crate) context: Option<ContextOf>,
}

/// What all features contribute, each kind in the order of the features.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contributions {
    /// Templates, by name.
    pub(crate) templates: Vec<(&'static str, &'static str)>,
    /// The language of the pages, with all texts.
    pub(crate) language: Language,
    /// The path of every route, once.
    pub(crate) paths: Vec<&'static str>,
    /// The version of all that pages load.
    pub(crate) version: String,
    pub(crate) flashes: Vec<Flash>,
    pub(crate) express: Vec<Express>,
    pub(crate) cards: Vec<Card>,
    pub(crate) sweeps: Vec<Sweep>,
    /// Opens another server, for the tour; `None` within such a server.
    pub(crate) inner: Option<OpenInner>,
}

/// A whole server within this one: with a store in memory, and with keys, limits and cookie names of its own. Only
/// [`Inner::router`] reaches it.
pub(crate) struct Inner {
    pub(crate) app: App,
    pub(crate) router: Router,
}

/// Opens such a server with this clock, which hashes passwords so.
pub(crate) type OpenInner = fn(Clock, HashPolicy) -> Boxed<'static, Result<Inner>>;
