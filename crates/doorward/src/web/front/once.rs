//! A form of Doorward runs once, however often it is sent: by a double click, or by a reload of its answer. Each form has a
//! key of its own, and the browser a cookie. The same key, cookie and fields are the same form: a repeat waits for the
//! first, and ends the same way. A form without key or cookie is simply answered.
//!
//! A form of a page that shows an account acts only on that account. Another user may have signed in by now, or a
//! planted cookie may be sent to the page and not to the form's target. Then the form is refused (attack X02).

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use doorward_core::Timestamp;
use doorward_guard::internals::distinct;
use futures_util::FutureExt;
use http::header::{CONTENT_ENCODING, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::sleep;
use tower::ServiceExt;

use super::RequestService;

use crate::app::App;
use crate::clock::steady;
use crate::error::{Cause, Error, Result};
use crate::flow::{Step, Verb, note};
use crate::posts::{Ended, Hash, Known, Outcome, answering};
use crate::sessions::{self, Repeat};
use crate::sign_ins::SignIn;
use crate::web::body::read_body;
use crate::web::{credential, presented_sessions};
use crate::wire::client_kind::ClientKind;
use crate::wire::page::{ACCOUNT, Again, FORM_KEY};
use crate::wire::peer::Peer;

/// How long a repeat waits for the first. Hashing a password takes no longer (`hashing.timeout`).
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it checks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Answers a request by the routes, or as a form that came before.
pub(super) async fn once<S: RequestService>(app: App, request: Request, routes: S) -> Response {
    let (request, hash) = match read(&app, request).await {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    let run = |request| routes.oneshot(request).map(|Ok(response)| response);
    // A nearly full disk has no room to remember forms.
    let Some(hash) = hash.filter(|_| !app.disk.is_low()) else { return run(request).await };
    let (mut parts, body) = request.into_parts();
    let client = match Peer::from_request_parts(&mut parts, &app).await {
        Ok(client) => client,
        Err(error) => return error.into_response(),
    };
    let turn = turn(&app, hash, &parts.headers, client).await;
    note(|| Step::check(Verb::OncePerForm, matches!(turn, Turn::Alone | Turn::First(_))));
    let request = Request::from_parts(parts, body);
    match turn {
        Turn::Alone => run(request).await,
        Turn::Answered(response) => response,
        Turn::Refused(error) => answering(hash, Some(error), run(request)).await.0,
        Turn::First(came_at) => {
            let ran = AssertUnwindSafe(answering(hash, None, run(request))).catch_unwind().await;
            let outcome = ran.as_ref().ok().and_then(|(response, asked)| outcome(&app, response, *asked));
            let noted = match outcome {
                Some(outcome) => app.posts.ended(hash, came_at, &outcome).await,
                None => app.posts.forget(hash, came_at, None).await,
            };
            // The act is done. A repeat finds it committed, or runs.
            let _ = noted;
            ran.unwrap_or_else(|panic| resume_unwind(panic)).0
        }
    }
}

/// What to do with a form.
enum Turn {
    /// Run it without remembering it.
    Alone,
    /// It is the first, and came at this time.
    First(Timestamp),
    /// Run its handler, to show the form again with this error.
    Refused(Error),
    /// It is answered.
    Answered(Response),
}

async fn turn(app: &App, hash: Hash, headers: &HeaderMap, client: Peer) -> Turn {
    let owner = match app.guard.check(headers).await {
        Ok(identity) => identity.user.to_string(),
        Err(_) => client.network().to_string(),
    };
    let since = steady();
    loop {
        match app.posts.claim(hash, &owner).await {
            // A form that the store can't remember runs all the same: a logout works even if nothing new can be
            // written.
            Err(_) | Ok(Known::Unknown) => return Turn::Alone,
            Ok(Known::First(came_at)) => return Turn::First(came_at),
            Ok(Known::Runs) if since.elapsed() < PATIENCE => sleep(LOOK_EVERY).await,
            Ok(Known::Runs) => return Turn::Answered(Error::Unavailable(Cause::default()).into_response()),
            Ok(Known::Ended(ended)) => {
                let (came_at, session) = (ended.created_at, ended.session);
                // The session that it begins instead is the form's too.
                match answering(hash, None, Box::pin(again(app, ended, headers, &client))).await.0 {
                    Ok(Some(turn)) => return turn,
                    Ok(None) => {
                        // Another repeat may have begun the next session meanwhile: that one is checked then.
                        if app.posts.forget(hash, came_at, session).await.is_err() {
                            return Turn::Alone;
                        }
                    }
                    Err(error) => return Turn::Answered(error.into_response()),
                }
            }
        }
    }
}

/// Ends a repeat as the first ended; `None` if that is of no use any more, and it runs like any other.
async fn again(app: &App, ended: Ended, headers: &HeaderMap, client: &Peer) -> Result<Option<Turn>> {
    let home = || format!("{}/dashboard", app.settings.base_path);
    let (place, is_out, is_in) = match ended.outcome {
        Some(Outcome::Refused { code, message, fields, in_form }) => {
            let error = Error::repeated(&code, message, fields);
            return Ok(error.map(|error| match in_form {
                true => Turn::Refused(error),
                false => Turn::Answered(error.into_response()),
            }));
        }
        Some(Outcome::Went { place, is_out, is_in }) => (place, is_out, is_in),
        None if ended.showed_secret => return Ok(None),
        None => (home(), false, ended.session.is_some()),
    };
    let Ok(place) = HeaderValue::try_from(place) else { return Ok(None) };
    let on = (StatusCode::SEE_OTHER, [(LOCATION, place)]);
    let answer = match (is_in, ended.session, ended.done_at) {
        (true, Some(first), Some(done_at)) => {
            let from = sessions::Origin {
                ip: client.ip,
                user_agent: client.user_agent.clone(),
                device: client.device.clone(),
            };
            // The browser kept the first answer, and may throw this one away: its session continues.
            if presented_sessions::holds(app, headers, first).await? {
                return Ok(Some(Turn::Answered(on.into_response())));
            }
            let replaced = presented_sessions::by_cookies(app, headers).await?;
            let repeat = Repeat { first, done_at };
            match app.sessions.begin_again(repeat, from, replaced).await? {
                Some(issued) => {
                    let line = Extension(SignIn::done(client.ip, &issued));
                    (credential::cookies(app, &issued), line, on).into_response()
                }
                None => return Ok(None),
            }
        }
        (true, ..) => return Ok(None),
        _ if is_out => (app.cookies.sign_out(), on).into_response(),
        _ => on.into_response(),
    };
    Ok(Some(Turn::Answered(answer)))
}

/// The outcome of a form, if a repeat can end like that. Refusals that are not about the form itself aren't kept: no
/// sign-in, too many attempts, an internal failure. Nor is a page with a secret: a repeat makes another, and the first
/// is void.
fn outcome(app: &App, response: &Response, asked: bool) -> Option<Outcome> {
    if let Some(error) = response.extensions().get::<Arc<Error>>() {
        let (code, message) = (error.code(), error.to_string());
        let (message, fields) = (message, error.fields().to_vec());
        Error::repeated(code, message.clone(), fields.clone()).filter(|again| *again == **error)?;
        let in_form = asked && response.extensions().get::<Again>().is_some();
        return Some(Outcome::Refused { code: code.into(), message, fields, in_form });
    }
    let place = response.headers().get(LOCATION).filter(|_| response.status() == StatusCode::SEE_OTHER)?;
    let lines = || response.headers().get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
    let is_cleared = |line: &str| line.contains("Max-Age=0");
    let is_in = lines().any(|line| app.cookies.is_credential(line) && !is_cleared(line));
    let is_out = !is_in && lines().any(is_cleared);
    Some(Outcome::Went { place: place.to_str().ok()?.to_owned(), is_out, is_in })
}

/// The request, and what identifies its repeats, if it is a form with a key and a cookie.
///
/// # Errors
/// [`Error::OtherAccount`], or the body can't be read.
async fn read(app: &App, request: Request) -> Result<(Request, Option<Hash>)> {
    let headers = request.headers();
    let is_form = *request.method() == Method::POST
        && ClientKind::of(request.method(), headers).is_browser()
        && !headers.contains_key(CONTENT_ENCODING);
    if !is_form {
        return Ok((request, None));
    }
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body, &app.settings).await?;
    check_account(app, &parts.headers, &body).await?;
    let cookies = distinct(&parts.headers, app.cookies.form()).unwrap_or_default().join(";");
    let path = parts.uri.path_and_query().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let is_known = !cookies.is_empty() && has_key(&body);
    let hash = is_known.then(|| app.posts.hash(&[path.as_bytes(), cookies.as_bytes(), &body]));
    Ok((Request::from_parts(parts, Body::from(body)), hash))
}

/// Refuses a form whose page shows another account than the one that it would act on. It ignores callers who aren't
/// signed in: the routes check that.
async fn check_account(app: &App, headers: &HeaderMap, body: &Bytes) -> Result<()> {
    let fields = url::form_urlencoded::parse(body);
    let shown: Vec<_> = fields.filter(|(name, _)| name == ACCOUNT).map(|(_, id)| id.into_owned()).collect();
    if shown.is_empty() {
        return Ok(());
    }
    let Ok(identity) = app.guard.check(headers).await else { return Ok(()) };
    let user = identity.user.to_string();
    if shown.iter().all(|id| *id == user) { Ok(()) } else { Err(Error::OtherAccount) }
}

/// Whether a form has one key, of 128 bits.
fn has_key(body: &Bytes) -> bool {
    let mut keys = url::form_urlencoded::parse(body).filter(|(name, _)| name == FORM_KEY);
    let is_key = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    keys.next().is_some_and(|(_, key)| is_key(&key)) && keys.next().is_none()
}
