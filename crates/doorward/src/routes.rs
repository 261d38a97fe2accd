//! Every URL of the product on one screen, and the layers around them, each with the reason for its place.

use axum::Router;
use axum::middleware::from_fn_with_state;
use http::{HeaderValue, Method, header};
use tower::ServiceBuilder;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::csrf::CsrfLayer;

use crate::app::App;
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
        .merge(style::routes());
    // No fallback: beside somebody's own routes theirs holds. Alone, the answer layer gives the 404 our form.
    let routes = match app.settings.base_path.as_str() {
        "" => routes,
        base => Router::new().nest(base, routes),
    };
    layered(app, routes).with_state(app.clone())
}

/// From the inside out: CSRF stands before every handler, whatever the credential; the answer layer outside of it gives
/// refusals our form, and every answer its headers; CORS outermost, so that a listed page can read refusals too.
///
/// All stand outside of the base path: what is beside it is answered in our form, and the whole path is known.
fn layered(app: &App, routes: Router<App>) -> Router<App> {
    let origins = &app.settings.origins;
    let csrf = origins
        .iter()
        .fold(CsrfLayer::new(), |layer, origin| layer.clone().add_trusted_origin(origin).unwrap_or(layer));
    // In one, so that a request goes through one box and not two.
    let routes =
        routes.layer(ServiceBuilder::new().layer(from_fn_with_state(app.clone(), answer)).layer(csrf));
    if origins.is_empty() { routes } else { routes.layer(cors(origins)) }
}

fn cors(origins: &[String]) -> CorsLayer {
    let listed: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(listed))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .allow_credentials(true)
}

#[cfg(test)]
mod tests;
