//! Which sessions a request proves to be its own, so that it may end them: a logout, and a sign-in that takes their place.

use doorward_core::{OpaqueSecret, SessionId};
use doorward_guard::cookies_named;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::app::App;
use crate::error::Result;

/// How many credentials of one kind are looked at.
const MOST: usize = 4;

/// The sessions of the cookies: session secrets, correctly signed access tokens (`exp` ignored), refresh tokens. Bad ones
/// are passed over.
pub(crate) async fn by_cookies(app: &App, headers: &HeaderMap) -> Result<Vec<SessionId>> {
    let mut proved: Vec<SessionId> = cookies_named(headers, &app.cookies.names.token)
        .take(MOST)
        .filter_map(|token| by_token(app, token))
        .collect();
    for secret in cookies_named(headers, &app.cookies.names.session).take(MOST) {
        if let Some(secret) = OpaqueSecret::parse(secret) {
            proved.extend(app.sessions.of_secret(&secret).await?);
        }
    }
    for token in cookies_named(headers, &app.cookies.names.refresh).take(MOST) {
        proved.extend(app.sessions.of_refresh_token(token).await?);
    }
    Ok(proved)
}

/// Those of the cookies, of `Authorization`, and of a refresh token in the body.
pub(crate) async fn of_any_kind(
    app: &App,
    headers: &HeaderMap,
    refresh: Option<&str>,
) -> Result<Vec<SessionId>> {
    let mut proved = by_cookies(app, headers).await?;
    for value in headers.get_all(AUTHORIZATION).iter().take(MOST) {
        let token = value.to_str().ok().and_then(|value| value.split_once(' ')).map(|(_, token)| token);
        proved.extend(token.and_then(|token| by_token(app, token)));
    }
    if let Some(token) = refresh {
        proved.extend(app.sessions.of_refresh_token(token).await?);
    }
    proved.sort_unstable();
    proved.dedup();
    Ok(proved)
}

/// The session of this token or secret, of whatever kind.
pub(crate) async fn by_text(app: &App, text: &str) -> Result<Vec<SessionId>> {
    let session = match (by_token(app, text), OpaqueSecret::parse(text)) {
        (Some(session), _) => Some(session),
        (None, Some(secret)) => app.sessions.of_secret(&secret).await?,
        (None, None) => app.sessions.of_refresh_token(text).await?,
    };
    Ok(session.into_iter().collect())
}

fn by_token(app: &App, token: &str) -> Option<SessionId> {
    let verified = app.keys.verifier().verify_ignoring_expiry(token, app.now()).ok()?;
    Some(verified.session)
}
