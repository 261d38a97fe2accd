//! Which sessions a request proves to be its own, so that it may end them: by a logout, or by a sign-in that replaces
//! them.

use doorward_core::refresh::RefreshToken;
use doorward_core::{OpaqueSecret, SessionId};
use doorward_guard::internals::distinct;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use super::body::asked;
use crate::app::App;
use crate::error::Result;
use crate::sessions::Proved;

/// How many `Authorization` headers are read.
const MOST: usize = 4;

/// The sessions of the cookies: session secrets, correctly signed access tokens (`exp` ignored), refresh tokens, all
/// with one query. Bad ones are ignored.
///
/// # Errors
/// [`Refusal::TooManyCookies`](doorward_core::Refusal::TooManyCookies), since it is then unknown what they prove
/// (attack X04).
pub(crate) async fn by_cookies(app: &App, headers: &HeaderMap) -> Result<Vec<Proved>> {
    let names = &app.cookies.names;
    let tokens = distinct(headers, &names.token)?;
    let secrets = distinct(headers, &names.session)?.into_iter().filter_map(OpaqueSecret::parse);
    let refresh = distinct(headers, &names.refresh)?.into_iter().filter_map(RefreshToken::parse);
    let (secrets, refresh): (Vec<_>, Vec<_>) = (secrets.collect(), refresh.collect());
    let mut proved = app.sessions.proved(&secrets, &refresh).await?;
    for token in tokens {
        proved.extend(by_token(app, token).await);
    }
    Ok(Proved::each_once(proved))
}

/// Whether a cookie is this live session's latest credential. An access token isn't, since its copies outlive a
/// renewal, nor is a superseded one.
pub(crate) async fn holds(app: &App, headers: &HeaderMap, session: SessionId) -> Result<bool> {
    let names = &app.cookies.names;
    let secrets = distinct(headers, &names.session)?.into_iter().filter_map(OpaqueSecret::parse);
    let refresh = distinct(headers, &names.refresh)?.into_iter().filter_map(RefreshToken::parse);
    let (secrets, refresh): (Vec<_>, Vec<_>) = (secrets.collect(), refresh.collect());
    let live = app.sessions.live(&secrets, &refresh, &[]).await?;
    Ok(live.iter().any(|live| live.id == session))
}

asked! {
    /// What the body of a request may prove.
    pub(crate) struct InBody {
        refresh_token: Option<Zeroizing<String>>,
        /// The ticket of a page.
        ticket in forms: Option<Zeroizing<String>>,
        /// The URL of a listed application to redirect to.
        return_to in forms: Option<String>,
    }
}

/// Those of the cookies, of `Authorization`, and of the body.
pub(crate) async fn of_any_kind(app: &App, headers: &HeaderMap, body: Option<InBody>) -> Result<Vec<Proved>> {
    let (refresh, ticket) = body.map_or((None, None), |body| (body.refresh_token, body.ticket));
    let mut proved = by_cookies(app, headers).await?;
    if let Some(token) = refresh.and_then(|token| RefreshToken::parse(&token)) {
        proved.extend(app.sessions.proved(&[], &[token]).await?);
    }
    let of_ticket = ticket.map(|ticket| app.sessions.of_ticket(&ticket)).unwrap_or_default();
    proved.extend(of_ticket.into_iter().map(Proved::unknown));
    for value in headers.get_all(AUTHORIZATION).iter().take(MOST) {
        let token = value.to_str().ok().and_then(|value| value.split_once(' ')).map(|(_, token)| token);
        if let Some(token) = token {
            proved.extend(by_token(app, token).await);
        }
    }
    Ok(Proved::each_once(proved))
}

/// The session of this token or secret, of any kind.
pub(crate) async fn by_text(app: &App, text: &str) -> Result<Vec<Proved>> {
    if let Some(session) = by_token(app, text).await {
        return Ok(vec![session]);
    }
    let (secret, refresh) = (OpaqueSecret::parse(text), RefreshToken::parse(text));
    app.sessions.proved(secret.as_slice(), refresh.as_slice()).await
}

/// The refresh token of the cookies.
pub(crate) enum RefreshCookie<'a> {
    None,
    One(&'a str),
    /// The cookies, of any kind, prove these different live sessions.
    Ambiguous(Vec<SessionId>),
}

/// The refresh token that counts: that of the one live session which all our cookies prove together, so that a planted
/// one can't change the account (attacks X02, X03). Tokens of ended sessions are ignored.
pub(crate) async fn refresh_token<'a>(app: &App, headers: &'a HeaderMap) -> Result<RefreshCookie<'a>> {
    let names = &app.cookies.names;
    let refresh = distinct(headers, &names.refresh)?;
    let Some(first) = refresh.first().copied() else { return Ok(RefreshCookie::None) };
    let mut of_tokens = Vec::new();
    for token in distinct(headers, &names.token)? {
        of_tokens.extend(by_token(app, token).await.map(|proved| proved.session));
    }
    let secrets = distinct(headers, &names.session)?.into_iter().filter_map(OpaqueSecret::parse);
    let secrets: Vec<_> = secrets.collect();
    let parsed: Vec<_> =
        refresh.iter().filter_map(|text| Some((RefreshToken::parse(text)?, *text))).collect();
    // As in almost every request: nothing beside it, or a token of its own session.
    if let ([_], [(one, _)], []) = (&*refresh, &*parsed, &*secrets)
        && of_tokens.iter().all(|session| *session == one.session)
    {
        return Ok(RefreshCookie::One(first));
    }
    let tokens: Vec<_> = parsed.iter().map(|(token, _)| *token).collect();
    let live = app.sessions.live(&secrets, &tokens, &of_tokens).await?;
    match &*live {
        [] => Ok(RefreshCookie::One(parsed.first().map_or(first, |(_, text)| text))),
        [one] => {
            let newest = parsed.iter().find(|(token, _)| one.newest == Some(*token));
            Ok(newest.map_or(RefreshCookie::None, |(_, text)| RefreshCookie::One(text)))
        }
        _ => Ok(RefreshCookie::Ambiguous(live.iter().map(|one| one.id).collect())),
    }
}

/// The session of a correctly signed access token. Its end is in memory for as long as the token is good.
async fn by_token(app: &App, token: &str) -> Option<Proved> {
    app.keys.look_for_the_key_of(token).await;
    let now = app.now();
    let verified = app.keys.verifier().verify_ignoring_expiry(token, now).ok()?;
    let user = (now < verified.expires_at).then_some(verified.user);
    Some(Proved { session: verified.session, user })
}
