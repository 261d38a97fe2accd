//! The form of a refusal: problem details for a program, a page for a browser, OAuth's form at OAuth's routes, and for
//! a proxy the answer that it passes on. Internal failures are logged here, once, with the id of the request.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use doorward_core::message::Message;
use doorward_core::{Refusal, SessionId};
use doorward_guard::internals::challenge;
use http::header;
use http::{Extensions, HeaderValue, Method, StatusCode};
use tracing::Level;

use super::{Front, RequestContext};
use crate::app::App;
use crate::counters;
use crate::error::{Cause, Error};
use crate::seldom;
use crate::web::api::{is_oauth, methods, status};
use crate::web::credential::go;
use crate::web::dev;
use crate::web::renew_redirect::{renew_redirect, send_again, to_login};
use crate::wire::client_kind::ClientKind;
use crate::wire::oauth;
use crate::wire::page::Again;
use crate::wire::problem::{Asked, Problem};
use crate::wire::return_to::path_of_ours;

/// Among the extensions of a refusal: the live sessions that the request proved, which are too many.
#[derive(Debug, Clone)]
pub(crate) struct Proved(pub(crate) Vec<SessionId>);

/// Among the extensions of a refusal: a proxy reads it, whatever the browser accepts. Its status and headers stay.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ForProxy {
    /// The proxy passes it on to a browser, which shows it at another host.
    pub(crate) is_page: bool,
}

impl<S> Front<S> {
    /// Counts and logs a refusal and gives it its form; returns its code, if it is one.
    pub(super) fn refusal(&self, context: &RequestContext, response: &mut Response) -> Option<&'static str> {
        let app = &self.app;
        let route = || app.metrics.requests.route(context.uri.path()).name();
        let error = error_of(response, route)?;
        let code = error.code();
        counters::count(&app.metrics.refusals, "code", code);
        log(app, context, &error, response.extensions_mut().remove());
        let plain = std::mem::take(response);
        *response = show(app, context, &error, is_oauth(route()), plain);
        app.pages.complete(response);
        // Its page could not be rendered.
        if let Some(error) = response.extensions_mut().remove::<Arc<Error>>() {
            log(app, context, &error, None);
        }
        Some(code)
    }
}

/// The error behind an answer: Doorward's, the guard's, or axum's own refusal.
fn error_of(response: &mut Response, route: impl Fn() -> &'static str) -> Option<Arc<Error>> {
    let status = response.status();
    if status.is_success() || status.is_redirection() {
        return None;
    }
    if let Some(error) = response.extensions_mut().remove::<Arc<Error>>() {
        return Some(error);
    }
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        return Some(Arc::new(Error::Refused(refusal)));
    }
    let error = match status {
        StatusCode::METHOD_NOT_ALLOWED => Error::MethodNotAllowed(methods(route())),
        StatusCode::NOT_FOUND => Error::NotFound,
        StatusCode::BAD_REQUEST => Error::Malformed(Message::new("address-unreadable")),
        _ => return None,
    };
    Some(Arc::new(error))
}

/// The one log line of a request that failed inside, with its id: at most once a minute for each cause, and at debug
/// level for each request.
fn log(app: &App, context: &RequestContext, error: &Error, denied: Option<Cause>) {
    let cause = match error {
        Error::Unavailable(cause) => cause.clone(),
        Error::Refused(Refusal::Unavailable) => app.sessions.memory.last_failure(),
        _ => denied.unwrap_or_default(),
    };
    let Some((what, which, why)) = cause.parts() else { return };
    let (request_id, route) = (context.id, context.watched.map(|(_, route)| route.name()));
    let level = if error.status().is_server_error() { Level::ERROR } else { Level::WARN };
    let due = seldom::due(level, what, which);
    let [which, why] = [which, why].map(|text| (!text.is_empty()).then_some(text));
    match due {
        Some(times) if level == Level::ERROR => {
            tracing::error!(%request_id, route, which, why, times, "{what}");
        }
        Some(times) => tracing::warn!(%request_id, route, which, why, times, "{what}"),
        None => tracing::debug!(%request_id, route, which, why, "{what}"),
    }
}

fn show(app: &App, context: &RequestContext, error: &Error, is_oauth: bool, mut plain: Response) -> Response {
    let for_proxy = plain.extensions_mut().remove::<ForProxy>();
    let status = if for_proxy.is_some() { plain.status() } else { status(error, &app.settings) };
    let (id, flow) = (context.id.to_string(), context.flow_link(app, true));
    let asked = Asked { id: &id, flow: flow.as_deref(), open_from_here: open_from_here(context, error, app) };
    let mut response = match (for_proxy, context.kind) {
        _ if is_oauth => oauth::answer(error, asked),
        (Some(ForProxy { is_page: true }), _) => {
            app.pages.error_elsewhere(error, status, asked, &app.base_url())
        }
        (None, ClientKind::Browser) if !error.is_of_programs() => {
            page(app, context, error, status, plain.extensions_mut(), asked)
        }
        _ => problem(error, status, asked),
    };
    let response_status = response.status();
    let headers = response.headers_mut();
    for (name, value) in plain.headers() {
        let of_proxy = for_proxy.is_some() && *name != header::CONTENT_LENGTH;
        if of_proxy || *name == header::SET_COOKIE {
            headers.append(name, value.clone());
        }
    }
    if response_status == StatusCode::UNAUTHORIZED {
        let challenge = match error {
            Error::Refused(refusal) => challenge(*refusal),
            Error::InvalidClient => Some(HeaderValue::from_static("Basic realm=\"doorward\"")),
            _ => None,
        };
        headers.insert(header::WWW_AUTHENTICATE, challenge.unwrap_or(HeaderValue::from_static("Bearer")));
    }
    if let Error::MethodNotAllowed(methods) = error {
        headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    }
    if let Some(wait) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, wait.into());
    }
    response
}

fn problem(error: &Error, status: StatusCode, asked: Asked<'_>) -> Response {
    let body = serde_json::to_vec(&Problem::new(error, status, asked)).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}

/// A browser that isn't signed in is redirected to the login, and from there back to the page.
fn page(
    app: &App,
    context: &RequestContext,
    error: &Error,
    status: StatusCode,
    extensions: &mut Extensions,
    asked: Asked<'_>,
) -> Response {
    let again = extensions.remove::<Again>();
    match error {
        Error::Refused(Refusal::AmbiguousCookies) => {
            let proved = extensions.remove::<Proved>().map(|Proved(sessions)| sessions);
            let proved = proved.unwrap_or_else(|| app.guard.live_in_memory(&context.cookies));
            let ticket = app.sessions.ticket(&proved);
            app.pages.two_sign_ins(error, status, &ticket, asked)
        }
        Error::Refused(Refusal::Unavailable | Refusal::TooManyCookies) => {
            app.pages.error(error, status, again, asked)
        }
        Error::Refused(refusal) => {
            let Some(path) = path_in(context, app) else { return go(app, "/login") };
            if context.method == Method::POST {
                return send_again(app, *refusal, path).unwrap_or_else(|| go(app, "/login"));
            }
            renew_redirect(app, *refusal, context.from_elsewhere, path).unwrap_or_else(|| to_login(app, path))
        }
        _ => app.pages.error(error, status, again, asked),
    }
}

/// The path below the base path that a browser asked for.
fn path_in<'a>(context: &'a RequestContext, app: &App) -> Option<&'a str> {
    let path = context.path.as_deref()?;
    path.strip_prefix(app.settings.base_path.as_str()).and_then(path_of_ours)
}

/// A link to what development mode shows, from another page, looks like an attack. The page of its refusal is our own,
/// and no other page can click in it: so it links there again.
fn open_from_here<'a>(context: &'a RequestContext, error: &Error, app: &App) -> Option<&'a str> {
    let is_link = context.method == Method::GET && dev::is_of_another_page(error);
    is_link.then(|| path_in(context, app)).flatten()
}
