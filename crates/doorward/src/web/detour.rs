//! Where a person goes on to whose page needs a sign-in that the request does not show: to the login, or by
//! `GET /refresh`, where a sign-in that is there after all comes to light.
//!
//! No circle: `GET /refresh` leads to the page or to `/login?return_to=`, and that leads to neither.

use axum::response::{IntoResponse, Response};
use doorward_core::{Mode, Refusal};
use http::header::REFRESH;
use http::{HeaderMap, StatusCode};
use minijinja::context;

use super::credential::{go, go_as};
use crate::app::App;

/// Whether a page of another site made the browser send this, so that `SameSite=Strict` kept our cookies at home.
pub(crate) fn from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

/// Whether a browser opens this as a page, and no script, frame or image asks for it. Browsers that say nothing of it
/// pass: they are known by what they accept.
pub(crate) fn is_navigation(headers: &HeaderMap) -> bool {
    let may_be = |name: &str, value: &str| headers.get(name).is_none_or(|said| said == value);
    may_be("sec-fetch-mode", "navigate") && may_be("sec-fetch-dest", "document")
}

/// The way by `GET /refresh` to this path, where it may help against this refusal.
pub(crate) fn detour(app: &App, refusal: Refusal, from_elsewhere: bool, path: &str) -> Option<Response> {
    match refusal {
        Refusal::TokenExpired | Refusal::TokenStale => Some(go(app, &by("/refresh", path))),
        Refusal::TokenMissing if from_elsewhere => Some(arrival(app, path)),
        _ => None,
    }
}

/// The way by `POST /refresh` for a form, which keeps what was typed: a 307 has the browser send it again.
pub(crate) fn send_again(app: &App, refusal: Refusal, path: &str) -> Option<Response> {
    let expired = matches!(refusal, Refusal::TokenExpired | Refusal::TokenStale);
    expired.then(|| go_as(app, StatusCode::TEMPORARY_REDIRECT, &by("/refresh", path)))
}

/// The login, and from there to this path.
pub(crate) fn to_login(app: &App, path: &str) -> Response {
    go(app, &by("/login", path))
}

/// In the query of the login: `GET /refresh` has just set cookies, and the login sees whether the browser keeps them.
pub(crate) const RENEWED: &str = "renewed";

/// The login, and from there to this path if the browser keeps the cookies of a session in this mode that come with the
/// answer. If they could be planted, the login goes on by itself only here.
pub(crate) fn to_login_with_cookies(app: &App, mode: Mode, path: &str) -> Response {
    let renewed = if app.cookies.is_bound_to_host(mode) { "" } else { "&renewed=1" };
    go(app, &format!("{}{renewed}", by("/login", path)))
}

/// The page of ours that a browser is sent to from an application, to come back to this place: by `GET /refresh`, where
/// that may help against this refusal.
pub(crate) fn from_application(app: &App, refusal: Refusal, place: &str) -> String {
    let expired = matches!(refusal, Refusal::TokenExpired | Refusal::TokenStale);
    let door = if expired { "/refresh" } else { "/login" };
    format!("{}{}", app.base_url(), by(door, place))
}

/// A page that goes on by itself. What it asks for comes from our own page, so that our cookies travel with it.
fn arrival(app: &App, path: &str) -> Response {
    let next = format!("{}{}", app.settings.base_path, by("/refresh", path));
    let page = app.pages.show("arrival.html", StatusCode::OK, context! { next => next.as_str() });
    ([(REFRESH, format!("0; url={next}"))], page).into_response()
}

fn by(door: &str, path: &str) -> String {
    let path: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
    format!("{door}?return_to={path}")
}
