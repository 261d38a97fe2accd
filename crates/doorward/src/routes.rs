//! Every URL of the product on one screen, and the layers around them, each with the reason for its place.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::{HeaderValue, Method, header};
use hyper::body::Incoming;
use serde_json::Value;
use tower::layer::layer_fn;
use tower::util::option_layer;
use tower::{Layer, service_fn};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::csrf::CsrfLayer;

use crate::app::App;
use crate::features::{
    admin_users, dashboard, devices, docs, feed, forward_auth, health, introspect, jwks, login, logout,
    password_reset, profile, refresh, register, revoke, style,
};
use crate::settings::Settings;
use crate::web::answer::{Answers, Front, REQUEST_ID, Readable};
use crate::web::api::{InMemory, Routes, document};

/// All routes of Doorward, to be merged into another application.
pub fn router<S: Clone + Send + Sync + 'static>(app: &App) -> Router<S> {
    // Of two default fallbacks the second stays: a layered one would answer for every unknown path of the application.
    alone(app).merge(Router::new())
}

/// All routes of Doorward, and its answer for every other path.
pub(crate) fn alone<S: Clone + Send + Sync + 'static>(app: &App) -> Router<S> {
    let (app, cors, (routes, in_memory)) = (app.clone(), cors(&app.settings.origins), routes(app));
    routes.layer(layer_fn(move |route| layered(front(&app, route, in_memory.clone()), cors.clone(), None)))
}

/// All routes of Doorward, to be served alone: the layers stand around the whole router, which saves each request the
/// boxes that a router's own layers cost.
pub(crate) struct Served {
    front: Arc<Front<Router>>,
    cors: Option<CorsLayer>,
}

impl Served {
    pub(crate) fn new(app: &App) -> Self {
        let (routes, in_memory) = routes(app);
        Self { front: front(app, routes, in_memory), cors: cors(&app.settings.origins) }
    }

    /// What answers this client.
    pub(crate) fn to(&self, peer: SocketAddr) -> impl Answers<Incoming> + use<> {
        layered(self.front.clone(), self.cors.clone(), Some(peer))
    }
}

fn routes<S>(app: &App) -> (Router<S>, Arc<[(String, InMemory)]>) {
    let base = app.settings.base_path.as_str();
    let features = features();
    let in_memory = features.in_memory(base);
    // No fallback: beside somebody's own routes theirs holds. Alone, the answer layer gives the 404 our form.
    let routes = match base {
        "" => features.router(),
        _ => Router::new().nest(base, features.router()).route(&format!("{base}/"), get(dashboard::start)),
    };
    (routes.with_state(app.clone()), in_memory)
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

/// From the inside out: CSRF stands before every handler of an unsafe method, whatever the credential; the answer layer
/// outside of it gives refusals our form, and every answer its headers; CORS outermost, so that a listed page can read
/// refusals too.
///
/// All stand outside of the base path: what is beside it is answered in our form, and the whole path is known.
fn layered<S: Answers, B: Readable>(
    front: Arc<Front<S>>,
    cors: Option<CorsLayer>,
    peer: Option<SocketAddr>,
) -> impl Answers<B> + use<S, B> {
    option_layer(cors).layer(service_fn(move |request| front.clone().answer(peer, request)))
}

fn front<S: Answers>(app: &App, routes: S, in_memory: Arc<[(String, InMemory)]>) -> Arc<Front<S>> {
    let origins = app.settings.origins.iter();
    let csrf = origins
        .fold(CsrfLayer::new(), |layer, origin| layer.clone().add_trusted_origin(origin).unwrap_or(layer));
    Arc::new(Front { app: app.clone(), in_memory, guarded: csrf.layer(routes.clone()), routes })
}

/// Nothing where no other origin is listed.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let listed: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(listed))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::RETRY_AFTER, REQUEST_ID])
        .allow_credentials(true);
    (!origins.is_empty()).then_some(cors)
}

#[cfg(test)]
mod tests;
