//! Where to redirect a browser that asked for a protected page without credentials: to the login, or by `GET /refresh`,
//! which may find a sign-in after all.
//!
//! There is no loop: `GET /refresh` leads to the page or to `/login?return_to=`, and that leads to neither.

use axum::response::{IntoResponse, Response};
use doorward_core::{Mode, Refusal};
use http::header::REFRESH;
use http::{HeaderMap, StatusCode};

use super::credential::{go, go_as};
use crate::app::App;
use crate::wire::page::context;

/// Whether a page of another site made the browser send this, so that `SameSite=Strict` withheld our cookies.
pub(crate) fn from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

/// Whether a browser opens this as a page, and not for a script, frame or image. Browsers without these headers pass:
/// their `Accept` identifies them.
pub(crate) fn is_navigation(headers: &HeaderMap) -> bool {
    let may_be = |name: &str, value: &str| headers.get(name).is_none_or(|said| said == value);
    may_be("sec-fetch-mode", "navigate") && may_be("sec-fetch-dest", "document")
}

/// The redirect by `GET /refresh` to this path, if it may help after this refusal.
pub(crate) fn renew_redirect(
    app: &App,
    refusal: Refusal,
    from_elsewhere: bool,
    path: &str,
) -> Option<Response> {
    match refusal {
        Refusal::TokenExpired | Refusal::TokenStale => Some(go(app, &by("/refresh", path))),
        Refusal::TokenMissing if from_elsewhere => Some(arrival(app, path)),
        _ => None,
    }
}

/// The redirect by `POST /refresh` for a form, which keeps what was typed: after a 307 the browser sends it again.
pub(crate) fn send_again(app: &App, refusal: Refusal, path: &str) -> Option<Response> {
    let expired = matches!(refusal, Refusal::TokenExpired | Refusal::TokenStale);
    expired.then(|| go_as(app, StatusCode::TEMPORARY_REDIRECT, &by("/refresh", path)))
}

/// The login, and from there to this path.
pub(crate) fn to_login(app: &App, path: &str) -> Response {
    go(app, &by("/login", path))
}

/// In the login's query: `GET /refresh` has just set cookies, and the login sees whether the browser keeps them.
pub(crate) const RENEWED: &str = "renewed";

/// The login, and from there to this path if the browser keeps the answer's cookies of a session in this mode. If they
/// could be planted, the login redirects only in this case.
pub(crate) fn to_login_with_cookies(app: &App, mode: Mode, path: &str) -> Response {
    let renewed = if app.cookies.is_bound_to_host(mode) { "" } else { "&renewed=1" };
    go(app, &format!("{}{renewed}", by("/login", path)))
}

/// The page of ours that an application's browser is redirected to, to come back to this place: by `GET /refresh`, if
/// that may help after this refusal.
pub(crate) fn from_application(app: &App, refusal: Refusal, place: &str) -> String {
    let expired = matches!(refusal, Refusal::TokenExpired | Refusal::TokenStale);
    let door = if expired { "/refresh" } else { "/login" };
    format!("{}{}", app.base_url(), by(door, place))
}

/// A page that redirects by itself. Its request comes from our own page, so the browser sends our cookies.
fn arrival(app: &App, path: &str) -> Response {
    let next = format!("{}{}", app.settings.base_path, by("/refresh", path));
    let page = app.pages.show("arrival.html", StatusCode::OK, context! { next => next.as_str() });
    ([(REFRESH, format!("0; url={next}"))], page).into_response()
}

fn by(door: &str, path: &str) -> String {
    let path: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
    format!("{door}?return_to={path}")
}
