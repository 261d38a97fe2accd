//! Every URL of the product on one screen, and the layers around them, each with the reason for its place.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::csrf::CsrfLayer;

use crate::app::App;
use crate::error::Error;
use crate::features::{
    admin_users, dashboard, devices, health, jwks, login, logout, password_reset, profile, refresh, register,
    style,
};
use crate::web::answer::answer;

/// All routes of Doorward, ready to be served or merged into another application.
pub fn router(app: &App) -> Router {
    let routes = Router::new()
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
        .merge(health::routes())
        .merge(style::routes())
        .fallback(nothing_here);
    let routes = layered(app, routes).with_state(app.clone());
    match app.settings.base_path.as_str() {
        "" => routes,
        base => Router::new().nest(base, routes),
    }
}

/// From the inside out: CSRF stands before every handler, whatever the credential; CORS outside of it answers preflights;
/// the answer layer outside of both gives their refusals our form, and every answer its headers.
fn layered(app: &App, routes: Router<App>) -> Router<App> {
    let origins = &app.settings.origins;
    let csrf = origins
        .iter()
        .fold(CsrfLayer::new(), |layer, origin| layer.clone().add_trusted_origin(origin).unwrap_or(layer));
    let routes = routes.layer(csrf);
    let routes = if origins.is_empty() { routes } else { routes.layer(cors(origins)) };
    routes.layer(from_fn_with_state(app.clone(), answer))
}

fn cors(origins: &[String]) -> CorsLayer {
    let listed: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(listed))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .allow_credentials(true)
}

async fn nothing_here() -> Response {
    Error::NotFound.into_response()
}
