//! The layer before the routes. [`Front::answer`] is the order in which a request is checked, answered and completed:
//!
//! 1. in development mode, [`dev`](super::dev): whether it names this machine as its host
//! 2. [`origins`](crate::wire::origins): whose page sent it, and whether it may; cookies that can't be ours are removed
//! 3. `express`: what memory has for a program is answered here, before the router
//! 4. the routes; a change runs to its end, and a form runs once (`once`); the page of an answer is rendered
//! 5. `refusal`: an error becomes problem details, a page, OAuth's form or a proxy's answer
//! 6. the headers that every answer has, and the id of the request; then its flow is complete, if it was recorded

mod express;
mod flow;
mod once;
mod refusal;

use std::any::Any;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Response};
use doorward_guard::internals::distinct;
use futures_util::FutureExt;
use http::header::{self, HeaderMap};
use http::{Method, StatusCode, Uri};
use tokio::time::Instant;
use tower::Service;

use self::once::once;
use super::dev;
use super::peer::{traced, user_of_session};
use super::renew_redirect::from_elsewhere;
use crate::app::App;
use crate::clock::steady;
use crate::error::{Cause, Error};
use crate::flow::{Recording, Step, Traced, recorded, recorded_at_once};
use crate::metrics::Route;
use crate::request_id::RequestId;
use crate::sessions::CurrentPeer;
use crate::sign_ins::SignIn;
use crate::web::api::is_gated;
use crate::wire::client_kind::ClientKind;
use crate::wire::origins::Sender;
use crate::wire::page::HasForm;

pub(crate) use self::refusal::{ForProxy, Proved};

/// A service for requests with such a body: a router, and layers around one. It is always ready.
pub(crate) trait RequestService<B = Body>:
    Service<Request<B>, Response = Response, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S, B> RequestService<B> for S where
    S: Service<Request<B>, Response = Response, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// A body that a router can read.
pub(crate) trait Readable: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static {}

impl<B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static> Readable for B {}

/// The layer before the routes.
pub(crate) struct Front<S> {
    pub(crate) app: App,
    pub(crate) paths: Arc<Paths>,
    pub(crate) routes: S,
}

/// The paths that the front itself knows, each with the base path before it.
pub(crate) struct Paths {
    /// The answers from memory, in the order in which each user's answers are stored.
    pub(crate) express: Vec<String>,
    /// The routes that change something by `GET`.
    pub(crate) changing: Vec<String>,
    /// The routes whose requests leave no flow.
    pub(crate) unrecorded: Vec<String>,
}

impl Paths {
    fn is_recorded(&self, path: &str) -> bool {
        // A parameter is the rest of its path.
        let is_at = |route: &String| match route.split_once('{') {
            Some((before, _)) => path.starts_with(before),
            None => path == route,
        };
        !self.unrecorded.iter().any(is_at)
    }
}

impl<S: RequestService> Front<S> {
    /// Answers a request, whatever happens to it. `peer` is the sender's address, if axum's extension isn't there
    /// already.
    pub(crate) async fn answer<B: Readable>(
        self: Arc<Self>,
        peer: Option<SocketAddr>,
        mut request: Request<B>,
    ) -> Result<Response, Infallible> {
        let app = &self.app;
        let sender = self.sender(&request);
        sender.strip(&mut request);
        app.cookies.names.strip_planted(request.headers_mut());
        let mut context = RequestContext::by(app, &self.paths, &request);
        context.traced = traced(app, peer, &request);
        let user = user_of_session(app, peer, &request);
        app.origins.note(sender, request.headers(), context.id, || app.clock.ran());
        let mut from_memory = false;
        let mut response = if let Some(response) = self.without_the_routes(sender, &request) {
            response
        } else if let Some(response) = caught(|| {
            CurrentPeer::answering(user.clone(), || {
                recorded_at_once(&context.recording, || self.express(&context, &request))
            })
        }) {
            from_memory = true;
            response
        } else if context.is_safe() {
            let answered = async {
                let answered = self.routes.clone().call(for_router(request, peer));
                let answered = recorded(context.recording.clone(), answered);
                CurrentPeer::answers(user, context.id.names(answered)).await
            };
            let answered = AssertUnwindSafe(answered).catch_unwind().await;
            answered.map_or_else(|panic| panicked(&*panic), |Ok(response)| response)
        } else if matches!(sender, Sender::Stranger)
            // A browser that opens a page sends no origin. A request with one is from a script, a frame or a program
            // (attack X22).
            && (!context.only_reads() || request.headers().contains_key(header::ORIGIN))
        {
            context.note(|| flow::origin(false, request.headers()));
            Error::CrossSite.into_response()
        } else {
            context.note(|| flow::origin(true, request.headers()));
            self.run_to_the_end(&context, user, for_router(request, peer)).await
        };
        if let Some(sign_in) = response.extensions_mut().remove::<SignIn>() {
            app.sign_ins.note(sign_in, context.id, app.clock.ran());
        }
        app.pages.complete(&mut response);
        let refused = self.refusal(&context, &mut response);
        // An answer from memory has no log line, and reserves no room for an id.
        if refused.is_some() || !from_memory || context.recording.is_some() {
            context.id.put(response.headers_mut());
        }
        if response.extensions_mut().remove::<HasForm>().is_some() && !context.has_form_cookie {
            let cookie = app.cookies.new_form().into_iter().map(|line| (header::SET_COOKIE, line));
            response.headers_mut().extend(cookie);
        }
        app.headers.complete(response.headers_mut());
        app.origins.complete(sender, &context.method, response.headers_mut());
        context.count(app, response.status(), refused);
        if context.recording.is_some() {
            flow::complete(app, &mut context, &response, refused);
        } else if let Some(code) = refused {
            self.record_refusal(&mut context, &response, code);
        }
        Ok(response)
    }

    /// The answer to a request that names a wrong host, or to a preflight.
    fn without_the_routes<B>(&self, sender: Sender<'_>, request: &Request<B>) -> Option<Response> {
        if self.app.settings.dev && !dev::names_this_machine(request) {
            return Some(Error::WrongHost.into_response());
        }
        if self.app.is_set_back() && !self.is_probe(request.uri()) {
            return Some(Error::Unavailable(Cause::default()).into_response());
        }
        self.app.origins.preflight(sender, request)
    }

    /// Whether it is a question about the process itself.
    fn is_probe(&self, uri: &Uri) -> bool {
        let path = uri.path().strip_prefix(self.app.settings.base_path.as_str());
        matches!(path, Some("/healthz" | "/readyz"))
    }

    /// Who sent it. For a wrong host, and for what development mode opens, no origin is listed.
    fn sender<B>(&self, request: &Request<B>) -> Sender<'_> {
        let app = &self.app;
        let (headers, uri) = (request.headers(), request.uri());
        let is_strict =
            || !dev::names_this_machine(request) || is_gated(app.metrics.requests.route(uri.path()).name());
        if app.settings.dev && is_strict() {
            return app.origins.unlisted(headers, uri);
        }
        app.origins.sender(request)
    }

    /// A refusal that was not recorded becomes a flow afterwards, or is counted, if somebody wants it.
    fn record_refusal(&self, context: &mut RequestContext, response: &Response, code: &'static str) {
        let flows = &self.app.flows;
        if !flows.wants_refusals() || !self.paths.is_recorded(context.uri.path()) {
            return;
        }
        if flows.wants_refusal() {
            flow::complete(&self.app, context, response, Some(code));
        } else {
            flows.count_refusal(code, self.app.now());
        }
    }

    /// An unsafe method runs to its end in a task of its own, even if the client hangs up. So the change is complete,
    /// and in force in memory too (attack H11).
    async fn run_to_the_end(
        &self,
        context: &RequestContext,
        user: Option<CurrentPeer>,
        request: Request,
    ) -> Response {
        // Boxed: each layer around a large future keeps room for it twice.
        let answered = Box::pin(once(self.app.clone(), request, self.routes.clone()));
        let answered = recorded(context.recording.clone(), answered);
        let running = tokio::spawn(CurrentPeer::answers(user, context.id.names(answered)));
        // Nobody aborts it: only a panic ends it early.
        running.await.unwrap_or_else(|end| {
            end.try_into_panic().map_or_else(|_| panicked(&()), |panic| panicked(&*panic))
        })
    }
}

fn caught(answer: impl FnOnce() -> Option<Response>) -> Option<Response> {
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|panic| Some(panicked(&*panic)))
}

/// A panic costs one answer (attack H12).
fn panicked(payload: &(dyn Any + Send)) -> Response {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Error::unavailable("a handler panicked", text.unwrap_or_default()).into_response()
}

/// The request as the router needs it: its body boxed, the client among the extensions. Answers from memory need
/// neither.
fn for_router<B: Readable>(request: Request<B>, peer: Option<SocketAddr>) -> Request {
    let mut request = request.map(Body::new);
    if let Some(peer) = peer {
        request.extensions_mut().insert(ConnectInfo(peer));
    }
    request
}

/// What an answer needs to know about its request.
struct RequestContext {
    id: RequestId,
    /// Its start and its route, if that is counted or logged.
    watched: Option<(Instant, Route)>,
    /// What is recorded of it, if somebody wants to see it.
    recording: Option<Arc<Recording>>,
    /// Whether its flow is linked: in development mode, if it may have one.
    has_link: bool,
    /// For its flow: whether a browser sent it, perhaps for a script.
    by_browser: bool,
    traced: Option<Box<Traced>>,
    kind: ClientKind,
    method: Method,
    uri: Uri,
    /// The URL that a browser requested.
    path: Option<String>,
    from_elsewhere: bool,
    /// The route changes something by GET too.
    changes_by_get: bool,
    /// The cookies of a browser.
    cookies: HeaderMap,
    has_form_cookie: bool,
}

impl RequestContext {
    fn by<B>(app: &App, paths: &Paths, request: &Request<B>) -> Self {
        let (method, headers) = (request.method(), request.headers());
        let kind = ClientKind::of(method, headers);
        let path = || request.uri().path_and_query().map(ToString::to_string);
        let is_watched = app.settings.dev
            || app.settings.metrics_listen.is_some()
            || tracing::enabled!(tracing::Level::DEBUG);
        let route = || app.metrics.requests.route(request.uri().path());
        let recording = app.flows.begin(method).filter(|_| paths.is_recorded(request.uri().path()));
        let by_script = || recording.is_some() && headers.contains_key("sec-fetch-mode");
        Self {
            id: RequestId::next(),
            by_browser: kind.is_browser() || by_script(),
            watched: is_watched.then(|| (steady(), route())),
            recording,
            has_link: app.settings.dev && paths.is_recorded(request.uri().path()),
            traced: None,
            kind,
            method: method.clone(),
            uri: request.uri().clone(),
            path: (kind.is_browser() && matches!(*method, Method::GET | Method::POST)).then(path).flatten(),
            from_elsewhere: kind.is_browser() && from_elsewhere(headers),
            changes_by_get: paths.changing.iter().any(|path| path == request.uri().path()),
            cookies: if kind.is_browser() { only_cookies(headers) } else { HeaderMap::new() },
            has_form_cookie: kind.is_browser()
                && distinct(headers, app.cookies.form()).is_ok_and(|values| !values.is_empty()),
        }
    }

    /// Records a step, if somebody watches.
    fn note(&self, make: impl FnOnce() -> Step) {
        if let Some(recording) = &self.recording {
            recording.push(make());
        }
    }

    fn is_safe(&self) -> bool {
        !self.changes_by_get && self.only_reads()
    }

    /// Whether its method is one that another site's page can always make a browser send.
    fn only_reads(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// In development mode: the link to its flow, if that is kept.
    fn flow_link(&self, app: &App, refused: bool) -> Option<String> {
        if !self.has_link {
            return None;
        }
        let is_kept = match &self.recording {
            Some(recording) => recording.is_kept(refused),
            None => refused && app.flows.wants_refusal(),
        };
        is_kept.then(|| format!("{}/flow/{}", app.base_url(), self.id))
    }

    /// Counts and logs the answer, if somebody watches; in development mode each request has its line, for people.
    fn count(&self, app: &App, status: StatusCode, code: Option<&'static str>) {
        let Some((since, route)) = self.watched else { return };
        let took = since.elapsed();
        app.metrics.requests.answered(route, &self.method, status, took);
        // The route and never the path, which may contain a secret, as the query may.
        if app.settings.dev {
            let (method, route, flow) =
                (self::flow::method(&self.method), route.name(), self.flow_link(app, code.is_some()));
            return tracing::info!(method, route, status = status.as_u16(), code, flow, "answered");
        }
        tracing::debug!(
            request_id = %self.id,
            method = %self.method,
            route = route.name(),
            status = status.as_u16(),
            ms = took.as_secs_f64() * 1e3,
            "answered"
        );
    }
}

fn only_cookies(headers: &HeaderMap) -> HeaderMap {
    headers.get_all(header::COOKIE).iter().map(|line| (header::COOKIE, line.clone())).collect()
}
