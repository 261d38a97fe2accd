//! Every URL of the product on one screen, and the layers around them, each with the reason for its place.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::routing::get;
use hyper::body::Incoming;
use serde_json::Value;
use tower::layer::layer_fn;
use tower::service_fn;

use crate::app::App;
use crate::features::{
    admin_users, confirm, dashboard, devices, docs, feed, forward_auth, health, introspect, jwks, login,
    logout, password_reset, profile, refresh, register, revoke, style,
};
use crate::settings::Settings;
use crate::web::api::{InMemory, Routes, document};
use crate::web::front::{Answers, Front, Readable};

/// All routes of Doorward, to be merged into another application.
pub fn router<S: Clone + Send + Sync + 'static>(app: &App) -> Router<S> {
    // Of two default fallbacks the second stays: a layered one would answer for every unknown path of the application.
    let (routes, in_memory) = routes(app);
    layered(app, routes, in_memory).merge(Router::new())
}

/// All routes of Doorward, and its answer for every other path: the whole origin is Doorward's.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn alone<S: Clone + Send + Sync + 'static>(app: &App) -> Router<S> {
    let (routes, in_memory) = routes(app);
    layered(app, at_the_root(app, routes), in_memory)
}

fn layered<S: Clone + Send + Sync + 'static>(
    app: &App,
    routes: Router<S>,
    in_memory: Arc<[(String, InMemory)]>,
) -> Router<S> {
    let app = app.clone();
    routes.layer(layer_fn(move |route| answered(front(&app, route, in_memory.clone()), None)))
}

/// All routes of Doorward, to be served alone: the layers stand around the whole router, which saves each request the
/// boxes that a router's own layers cost.
pub(crate) struct Served {
    front: Arc<Front<Router>>,
}

impl Served {
    pub(crate) fn new(app: &App) -> Self {
        let (routes, in_memory) = routes(app);
        Self { front: front(app, at_the_root(app, routes), in_memory) }
    }

    /// What answers this client.
    pub(crate) fn to(&self, peer: SocketAddr) -> impl Answers<Incoming> + use<> {
        answered(self.front.clone(), Some(peer))
    }
}

fn routes<S>(app: &App) -> (Router<S>, Arc<[(String, InMemory)]>) {
    let base = app.settings.base_path.as_str();
    let features = features();
    let in_memory = features.in_memory(base);
    // No fallback: beside somebody's own routes theirs holds. Alone, the answer layer gives the 404 our form.
    let routes = match base {
        "" => features.router(app),
        _ => Router::new().nest(base, features.router(app)).route(&format!("{base}/"), get(dashboard::start)),
    };
    (routes.with_state(app.clone()), in_memory)
}

/// What stands at the root of the origin also with a base path.
fn at_the_root<S: Clone + Send + Sync + 'static>(app: &App, routes: Router<S>) -> Router<S> {
    if app.settings.base_path.is_empty() {
        return routes;
    }
    routes.route(profile::CHANGE_PASSWORD, get(profile::to_password).with_state(app.clone()))
}

/// The document of the API (OpenAPI 3.1), as these settings make it: also served at `/openapi.json`.
pub fn openapi(settings: &Settings) -> Value {
    document(features().operations(), settings)
}

fn features() -> Routes {
    let routes = Routes::of("")
        .merge(register::routes())
        .merge(login::routes())
        .merge(refresh::routes())
        .merge(logout::routes())
        .merge(profile::routes())
        .merge(confirm::routes())
        .merge(dashboard::routes())
        .merge(devices::routes())
        .merge(password_reset::routes())
        .merge(admin_users::routes())
        .merge(jwks::routes())
        .merge(forward_auth::routes())
        .merge(feed::routes())
        .merge(introspect::routes())
        .merge(revoke::routes())
        .merge(health::routes())
        .merge(style::routes());
    docs::add(routes)
}

/// The answer layer stands outside of the base path: what is beside it is answered in our form, and the whole path is
/// known. Who may ask from another origin is judged there, before every handler and whatever the credential.
fn front<S: Answers>(app: &App, routes: S, in_memory: Arc<[(String, InMemory)]>) -> Arc<Front<S>> {
    Arc::new(Front { app: app.clone(), in_memory, routes, methods })
}

/// The methods of a route by its path below the base.
fn methods(path: &str) -> Option<&'static str> {
    static METHODS: LazyLock<BTreeMap<&str, String>> = LazyLock::new(|| features().methods());
    METHODS.get(path).map(String::as_str)
}

fn answered<S: Answers, B: Readable>(
    front: Arc<Front<S>>,
    peer: Option<SocketAddr>,
) -> impl Answers<B> + use<S, B> {
    service_fn(move |request| front.clone().answer(peer, request))
}

#[cfg(test)]
mod tests;
