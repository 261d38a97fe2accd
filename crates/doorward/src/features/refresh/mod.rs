//! Refresh: exchange a refresh token for its successor and a new access token, in the session's mode.
//!
//! `POST /refresh` {refresh_token} or the cookie → 200 with the credential. The predecessor is answered with the same
//! successor for 60 s; a copy that comes later ends the session (401 `refresh_reused`). `Authorization` is not looked at.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use doorward_guard::cookies_named;
use http::{HeaderMap, StatusCode};
use zeroize::Zeroizing;

use crate::app::App;
use crate::error::{Error, Result};
use crate::sessions;
use crate::web::client::Client;
use crate::web::credential;
use crate::web::input::Input;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/refresh", post(refresh))
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
    let from = sessions::From { ip: Some(client.ip), user_agent: client.user_agent };
    match app.sessions.refresh(token, from, |mode| credential::check_mode(&app, mode, false)).await {
        Ok(issued) => Ok(credential::hand_out(&app, &issued, (StatusCode::OK, None), None)),
        Err(error) if error.ends_session() && in_body.is_none() => {
            Ok((app.cookies.clear_all(), error).into_response())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
