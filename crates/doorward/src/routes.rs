//! The router of all features, and the layers around it, each with the reason for its place.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use hyper::body::Incoming;
use serde_json::Value;
use tower::layer::layer_fn;
use tower::service_fn;

use crate::app::App;
use crate::features::{self, dashboard, profile};
use crate::settings::Settings;
use crate::web::api::document;
use crate::web::front::{Front, Paths, Readable, RequestService};

/// All routes of Doorward, to be merged into another application.
pub fn router<S: Clone + Send + Sync + 'static>(app: &App) -> Router<S> {
    // Of two default fallbacks the second wins: a layered one would answer every unknown path of the application.
    let (routes, paths) = routes(app);
    layered(app, routes, paths).merge(Router::new())
}

/// All routes of Doorward, and its answer for every other path: the whole origin is Doorward's.
pub(crate) fn alone<S: Clone + Send + Sync + 'static>(app: &App) -> Router<S> {
    let (routes, paths) = routes(app);
    layered(app, at_the_root(app, routes), paths)
}

fn layered<S: Clone + Send + Sync + 'static>(app: &App, routes: Router<S>, paths: Arc<Paths>) -> Router<S> {
    let app = app.clone();
    routes.layer(layer_fn(move |route| answered(front(&app, route, paths.clone()), None)))
}

/// All routes of Doorward, to be served alone: the layers wrap the whole router, which saves each request the boxes of
/// a router's own layers.
pub(crate) struct Served {
    front: Arc<Front<Router>>,
}

impl Served {
    pub(crate) fn new(app: &App) -> Self {
        let (routes, paths) = routes(app);
        Self { front: front(app, at_the_root(app, routes), paths) }
    }

    /// The service for this client.
    pub(crate) fn to(&self, peer: SocketAddr) -> impl RequestService<Incoming> + use<> {
        answered(self.front.clone(), Some(peer))
    }
}

fn routes<S>(app: &App) -> (Router<S>, Arc<Paths>) {
    let base = app.settings.base_path.as_str();
    let features = features::routes();
    let whole = |path: &str| format!("{base}{path}");
    let express = app.contributions.express.iter().map(|one| whole(one.path)).collect();
    let changing = features.changing().map(whole).collect();
    let paths = Arc::new(Paths { express, changing, unrecorded: features.unrecorded().map(whole).collect() });
    // No fallback: inside another application, that one's fallback applies. Alone, the answer layer turns the 404 into
    // our form.
    let routes = match base {
        "" => features.router(app),
        _ => Router::new().nest(base, features.router(app)).route(&format!("{base}/"), get(dashboard::start)),
    };
    (routes.with_state(app.clone()), paths)
}

/// What is at the root of the origin even with a base path.
fn at_the_root<S: Clone + Send + Sync + 'static>(app: &App, routes: Router<S>) -> Router<S> {
    if app.settings.base_path.is_empty() {
        return routes;
    }
    routes.route(profile::CHANGE_PASSWORD, get(profile::to_password).with_state(app.clone()))
}

/// The OpenAPI 3.1 document for these settings: also served at `/openapi.json`.
pub fn openapi(settings: &Settings) -> Value {
    document(features::routes().operations(), settings)
}

/// The answer layer is outside of the base path: it also gives our form to answers beside the base path, and sees the
/// whole path. It checks the origin there, before every handler and for every credential.
fn front<S: RequestService>(app: &App, routes: S, paths: Arc<Paths>) -> Arc<Front<S>> {
    Arc::new(Front { app: app.clone(), paths, routes })
}

fn answered<S: RequestService, B: Readable>(
    front: Arc<Front<S>>,
    peer: Option<SocketAddr>,
) -> impl RequestService<B> + use<S, B> {
    service_fn(move |request| front.clone().answer(peer, request))
}

#[cfg(test)]
mod tests;
