//! Refresh: exchange a refresh token for its successor and a new access token, in the session's mode.
//!
//! `POST /refresh` {refresh_token} or the cookie → 200 with the credential. The predecessor is answered with the same
//! successor for 60 s; a copy that comes later ends the session (401 `refresh_reused`). `Authorization` is ignored.
//!
//! With the cookie of session mode alone the answer is {token, token_type, expires_in}: an access token for requests to
//! APIs on other hosts, which a page keeps in its memory. The session's secret is in no body.
//!
//! `GET /refresh?return_to=` is for a browser that opens a page, with the cookie alone: it renews and redirects (303),
//! or redirects to the login. Scripts, frames and programs get a 405. `POST /refresh?return_to=` does the same for a
//! form that came with an expired access token: the browser sends it here and back with everything that was typed
//! (307).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorward_core::message::Message;
use doorward_core::{Mode, Refusal, SessionId};
use doorward_guard::internals::distinct;
use http::header::{AUTHORIZATION, ORIGIN};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use zeroize::Zeroizing;

use crate::app::App;
use crate::error::{Error, Result};
use crate::sessions::{self, Exchanged, Issued};
use crate::web::api::{Routes, Who, describe};
use crate::web::body::{Asked, asked};
use crate::web::credential::{self, cookies, go_as};
use crate::web::feature::Feature;
use crate::web::front::Proved;
use crate::web::peer::Peer;
use crate::web::presented_sessions::{self, RefreshCookie};
use crate::web::renew_redirect::{is_navigation, to_login, to_login_with_cookies};
use crate::wire::client_kind::ClientKind;
use crate::wire::device::Device;
use crate::wire::query::Query;
use crate::wire::return_to::{RETURN_TO, path_of_ours, reaches, return_to};
use crate::wire::shape::of;

pub(crate) const FEATURE: Feature = Feature::new("refresh", routes);

fn routes() -> Routes {
    let refresh_doc = describe("Renew the credential", Who::RefreshToken)
        .without_room()
        .more("The refresh token is in the body or in the cookie, and so is its successor. With the cookie of session mode alone, the answer has an access token in its body, and nothing is renewed (`session.tokens`).")
        .body::<Refresh>()
        .json(200, "renewed", credential::shape(None))
        .query("return_to", of::<&str>(), "For a form on its way to another URL: that URL.")
        .goes("a form that cannot be renewed, to /login")
        .goes_again("a form that is on its way, to `return_to`")
        .sets_cookies()
        .refuses([Error::RefreshInvalid, Error::RefreshReused, Error::HttpsRequired])
        .refuses([Refusal::SessionEnded, Refusal::SessionExpired, Refusal::TokenStale].map(Error::Refused))
        .refuses([Refusal::AmbiguousCookies, Refusal::TooManyCookies].map(Error::Refused))
        .refuses([Error::RefusedByApplication(String::new())]);
    let go_on_doc = describe("Renew the cookies, and redirect", Who::Browser)
        .more("For a browser that opens a page; scripts, frames and programs get a 405.")
        .query("return_to", of::<&str>(), RETURN_TO)
        .changes_by_get()
        .goes("to `return_to` or /dashboard, otherwise to /login")
        .sets_cookies()
        .refuses([Error::HttpsRequired, Error::CrossSite, Error::RefusedByApplication(String::new())])
        .refuses([Refusal::AmbiguousCookies, Refusal::TooManyCookies].map(Error::Refused));
    Routes::of("Signing in").get("/refresh", go_on, go_on_doc).post("/refresh", refresh, refresh_doc)
}

asked! {
    /// The refresh token, if it isn't in a cookie.
    struct Refresh {
        refresh_token: Option<Zeroizing<String>>,
    }
}

async fn refresh(
    State(app): State<App>,
    client: Peer,
    headers: HeaderMap,
    query: Query,
    Asked { body, sent }: Asked<Refresh>,
) -> Result<Response> {
    if let Some(path) = query.text("return_to").and_then(path_of_ours).filter(|_| sent.is_form) {
        return onward(&app, client, &headers, path, StatusCode::TEMPORARY_REDIRECT).await;
    }
    let in_body = body?.refresh_token;
    let in_cookie = match presented_sessions::refresh_token(&app, &headers).await? {
        RefreshCookie::One(token) => Some(token),
        RefreshCookie::None => None,
        RefreshCookie::Ambiguous(sessions) => return Ok(ambiguous(sessions)),
    };
    let token = match (&in_body, in_cookie) {
        (Some(token), None) => token.as_str(),
        (None, Some(token)) => token,
        (None, None) if sent.is_form => return Err(Error::RefreshInvalid),
        (None, None) => return exchange(&app, &headers).await,
        // Two credentials of one kind: it is unclear which was meant (attack K01).
        _ => return Err(Error::Malformed(Message::new("refresh-one-token"))),
    };
    let issued = renew(&app, token, client).await?;
    Ok(credential::hand_out(&app, &issued, StatusCode::OK, None, None))
}

async fn go_on(
    State(app): State<App>,
    method: Method,
    client: Peer,
    kind: ClientKind,
    headers: HeaderMap,
    query: Query,
) -> Result<Response> {
    if method != Method::GET || !kind.is_browser() || !is_navigation(&headers) {
        return Err(Error::MethodNotAllowed("POST"));
    }
    let path =
        query.text("return_to").and_then(|text| return_to(&app.settings, text)).unwrap_or("/dashboard");
    onward(&app, client, &headers, path, StatusCode::SEE_OTHER).await
}

/// Renews by the cookie and redirects to the path; or to the login, and from there to the page.
async fn onward(
    app: &App,
    client: Peer,
    headers: &HeaderMap,
    path: &str,
    status: StatusCode,
) -> Result<Response> {
    let page = if status == StatusCode::SEE_OTHER { path } else { "/dashboard" };
    let token = match presented_sessions::refresh_token(app, headers).await? {
        RefreshCookie::One(token) => token,
        RefreshCookie::None => {
            let checked = app.guard.check(headers).await;
            let signed_in = checked.is_ok_and(|identity| reaches(&app.settings, identity.mode, path));
            return Ok(if signed_in { go_as(app, status, path) } else { to_login(app, page) });
        }
        RefreshCookie::Ambiguous(sessions) => return Ok(ambiguous(sessions)),
    };
    match renew(app, token, client).await {
        // Twice with one token: if the browser keeps no cookie that we set, the page would send it here forever. The
        // login sees whether it does.
        Ok(issued) if issued.again || !reaches(&app.settings, issued.mode, path) => {
            Ok((cookies(app, &issued), to_login_with_cookies(app, issued.mode, page)).into_response())
        }
        Ok(issued) => Ok((cookies(app, &issued), go_as(app, status, path)).into_response()),
        Err(error) if error.status() == StatusCode::UNAUTHORIZED => Ok(to_login(app, page)),
        Err(Error::InvalidInput(_)) => Ok(to_login(app, page)),
        Err(error) => Err(error),
    }
}

/// An access token for the cookie of session mode, for a page of our own or a listed origin: nothing rotates, so nothing
/// is lost with an answer. `Authorization` is ignored, as it is by every refresh.
async fn exchange(app: &App, headers: &HeaderMap) -> Result<Response> {
    let has_secret = !distinct(headers, &app.cookies.names.session)?.is_empty();
    // A page of another origin was refused before this.
    let is_page = headers.contains_key(ORIGIN)
        || headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
    if !has_secret || !is_page || !app.settings.gives_tokens_for_sessions() {
        return Err(Error::RefreshInvalid);
    }
    let mut cookies = headers.clone();
    cookies.remove(AUTHORIZATION);
    let identity = match app.guard.check(&cookies).await {
        Err(Refusal::TokenMissing | Refusal::TokenInvalid | Refusal::TokenExpired) => {
            return Err(Error::RefreshInvalid);
        }
        checked => checked?,
    };
    if identity.mode != Mode::Session {
        return Err(Error::RefreshInvalid);
    }
    let Exchanged { token, expires_in } = app.sessions.exchange(&identity).await?;
    Ok(Json(json!({ "success": true, "token": token, "token_type": "Bearer", "expires_in": expires_in }))
        .into_response())
}

/// The page can end the sessions that were found, even if their cookies aren't sent to /logout.
fn ambiguous(sessions: Vec<SessionId>) -> Response {
    let mut response = Error::Refused(Refusal::AmbiguousCookies).into_response();
    response.extensions_mut().insert(Proved(sessions));
    response
}

async fn renew(app: &App, token: &str, client: Peer) -> Result<Issued> {
    let from =
        sessions::Origin { ip: client.ip, user_agent: client.user_agent.clone(), device: Device::default() };
    app.sessions.refresh(token, from, |mode| credential::check_mode(app, mode, &client, false)).await
}

#[cfg(test)]
mod tests;
