//! Refresh: exchange a refresh token for its successor and a new access token, in the session's mode.
//!
//! `POST /refresh` {refresh_token} or the cookie → 200 with the credential. The predecessor is answered with the same
//! successor for 60 s; a copy that comes later ends the session (401 `refresh_reused`). `Authorization` is not looked at.
//!
//! `GET /refresh?return_to=` is for a browser that opens a page, by the cookie alone: it renews and goes on (303), or to
//! the login. Scripts, frames and programs get a 405.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use doorward_guard::cookies_named;
use http::header::ALLOW;
use http::{HeaderMap, Method, StatusCode};
use zeroize::Zeroizing;

use crate::app::App;
use crate::error::{Error, Result};
use crate::sessions::{self, Issued};
use crate::web::client::Client;
use crate::web::credential;
use crate::web::detour::{is_navigation, to_login};
use crate::web::input::Input;
use crate::web::query::Query;
use crate::web::reader::Reader;
use crate::web::return_to::return_to;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/refresh", get(go_on).post(refresh))
}

async fn refresh(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    mut input: Input,
) -> Result<Response> {
    let in_body = input.optional::<String>("refresh_token").map(Zeroizing::new);
    input.check()?;
    let mut in_cookies = cookies_named(&headers, &app.cookies.refresh);
    let token = match (&in_body, in_cookies.next(), in_cookies.next()) {
        (Some(token), None, _) => token.as_str(),
        (None, Some(token), None) => token,
        (None, None, _) => return Err(Error::RefreshInvalid),
        // Two credentials of one kind: nobody guesses which was meant (attack K01).
        _ => return Err(Error::Malformed("Send one refresh token, in the body or in the cookie".into())),
    };
    match renew(&app, token, client).await {
        Ok(issued) => Ok(credential::hand_out(&app, &issued, (StatusCode::OK, None), None)),
        Err(error) if error.ends_session() && in_body.is_none() => {
            Ok((app.cookies.clear_all(), error).into_response())
        }
        Err(error) => Err(error),
    }
}

async fn go_on(
    State(app): State<App>,
    (method, client, reader): (Method, Client, Reader),
    headers: HeaderMap,
    query: Query,
) -> Result<Response> {
    if method != Method::GET || !reader.is_person() || !is_navigation(&headers) {
        return Ok(([(ALLOW, "POST")], Error::MethodNotAllowed).into_response());
    }
    let path = query.text("return_to").and_then(return_to).unwrap_or("/dashboard");
    let mut tokens = cookies_named(&headers, &app.cookies.refresh);
    let (Some(token), None) = (tokens.next(), tokens.next()) else {
        let signed_in = app.guard.check(&headers).await.is_ok();
        return Ok(if signed_in { credential::go(&app, path) } else { to_login(&app, path) });
    };
    match renew(&app, token, client).await {
        // Twice with one token: if the browser keeps no cookie that we set, the page would send it here for ever. The
        // login sees whether it does.
        Ok(issued) if issued.again => {
            Ok((credential::cookies(&app, &issued), to_login(&app, path)).into_response())
        }
        Ok(issued) => Ok(credential::hand_out_and_go(&app, &issued, path)),
        Err(error) if error.ends_session() => {
            Ok((app.cookies.clear_all(), to_login(&app, path)).into_response())
        }
        Err(Error::RefreshInvalid | Error::InvalidInput(_)) => Ok(to_login(&app, path)),
        Err(error) => Err(error),
    }
}

async fn renew(app: &App, token: &str, client: Client) -> Result<Issued> {
    let from = sessions::From { ip: Some(client.ip), user_agent: client.user_agent.clone() };
    app.sessions.refresh(token, from, |mode| credential::check_mode(app, mode, (&client, false))).await
}

#[cfg(test)]
mod tests;
