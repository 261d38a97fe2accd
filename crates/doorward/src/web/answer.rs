//! The answer layer: what memory answers before the router, a request's id, the form of errors, and the headers that
//! every answer has.

use std::any::Any;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Response};
use doorward_core::{Refusal, SessionId};
use doorward_guard::{challenge, distinct};
use futures_util::FutureExt;
use http::header::{self, HeaderName};
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri};
use tokio::time::Instant;
use tower::Service;
use tracing::Level;

use super::api::InMemory;
use super::credential::go;
use super::detour::{detour, from_elsewhere, send_again, to_login};
use super::oauth::{self, is_oauth};
use super::once::once;
use super::origins::Sender;
use super::page::{Again, HasForm};
use super::reader::Reader;
use crate::app::App;
use crate::clock::steady;
use crate::error::{Cause, Error, Problem};
use crate::metrics::{self, Route};
use crate::seldom;
use crate::sign_ins::SignIn;

/// Names a request, also in the log.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What answers requests with such a body: a router, and layers around one. Always ready.
pub(crate) trait Answers<B = Body>:
    Service<Request<B>, Response = Response, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S, B> Answers<B> for S where
    S: Service<Request<B>, Response = Response, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// The body of a request that a router can read.
pub(crate) trait Readable: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static {}

impl<B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static> Readable for B {}

/// What stands before the routes.
pub(crate) struct Front<S> {
    pub(crate) app: App,
    /// What lies ready, by its whole path.
    pub(crate) in_memory: Arc<[(String, InMemory)]>,
    pub(crate) routes: S,
    /// The methods of a route, as `Allow` writes them. Around a single route, axum adds that header later.
    pub(crate) methods: fn(&str) -> Option<&'static str>,
}

impl<S: Answers> Front<S> {
    /// Answers a request, whatever happens to it.
    ///
    /// An unsafe method runs to its end in a task of its own, even where the client hangs up: what it changes is whole, and
    /// in force in memory too (attack H11). A panic costs one answer (H12).
    ///
    /// `peer` is whoever sent it, where axum's extension isn't there already.
    pub(crate) async fn answer<B: Readable>(
        self: Arc<Self>,
        peer: Option<SocketAddr>,
        mut request: Request<B>,
    ) -> Result<Response, Infallible> {
        let app = &self.app;
        let sender = app.origins.sender(&request);
        sender.strip(&mut request);
        app.origins.note(sender, request.headers(), || app.clock.ran());
        let asked = Asked::by(app, &request);
        let mut from_memory = false;
        let response = if let Some(response) = app.origins.preflight(sender, &request) {
            Ok(Ok(response))
        } else if asked.is_safe() {
            let answered = async {
                match self.in_memory(&asked, &request) {
                    Some(response) => {
                        from_memory = true;
                        Ok(response)
                    }
                    None => self.routes.clone().call(for_router(request, peer)).await,
                }
            };
            AssertUnwindSafe(answered).catch_unwind().await.map_err(|panic| panicked(&*panic))
        } else if matches!(sender, Sender::Stranger) && !asked.only_reads() {
            Ok(Ok(Error::CrossSite.into_response()))
        } else {
            let once = once(app.clone(), for_router(request, peer), self.routes.clone());
            let running = tokio::spawn(once.map(Ok));
            // Nobody aborts it: only a panic ends it early.
            running
                .await
                .map_err(|end| end.try_into_panic().map_or_else(|_| panicked(&()), |panic| panicked(&*panic)))
        };
        let response = response.map(|Ok(response)| response);
        let mut response = response.unwrap_or_else(Error::into_response);
        if let Some(sign_in) = response.extensions_mut().remove::<SignIn>() {
            app.sign_ins.note(sign_in, asked.request_id(), app.clock.ran());
        }
        let methods = || (self.methods)(app.metrics.requests.route(asked.uri.path()).name());
        let error = error_of(&mut response, methods);
        if let Some(error) = &error {
            metrics::count(&app.metrics.refusals, "code", error.row().1);
            asked.log(app, error, response.extensions_mut().remove());
            response = show(app, &asked, error, response);
        }
        // What lies ready in memory has no line, and costs no room for an id.
        if (error.is_some() || !from_memory)
            && let Ok(id) = HeaderValue::try_from(asked.request_id().to_string())
        {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        if response.extensions_mut().remove::<HasForm>().is_some() && !asked.has_form_cookie {
            let cookie = app.cookies.new_form().into_iter().map(|line| (header::SET_COOKIE, line));
            response.headers_mut().extend(cookie);
        }
        app.headers.complete(response.headers_mut());
        app.origins.complete(sender, &asked.method, response.headers_mut());
        asked.count(app, response.status());
        Ok(response)
    }

    /// The answer to a program, where memory has it. A check that has to wait is the router's.
    fn in_memory<B>(&self, asked: &Asked, request: &Request<B>) -> Option<Response> {
        let uri = request.uri();
        if asked.method != Method::GET || asked.reader.is_person() || uri.query().is_some() {
            return None;
        }
        let (_, json) = self.in_memory.iter().find(|(path, _)| path == uri.path())?;
        match self.app.guard.check_in_memory(request.headers())? {
            Ok(identity) => {
                let user = self.app.users.find_in_memory(identity.user)?;
                Some(self.app.headers.json(json(&user).clone()))
            }
            Err(refusal) => Some(Error::Refused(refusal).into_response()),
        }
    }
}

/// What is answered where a handler panicked.
fn panicked(payload: &(dyn Any + Send)) -> Error {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Error::unavailable("a handler panicked", text.unwrap_or_default())
}

/// The request as the router takes it: its body boxed, the client among the extensions. What memory answers is spared
/// both.
fn for_router<B: Readable>(request: Request<B>, peer: Option<SocketAddr>) -> Request {
    let mut request = request.map(Body::new);
    if let Some(peer) = peer {
        request.extensions_mut().insert(ConnectInfo(peer));
    }
    request
}

/// What an answer needs to know of its request.
struct Asked {
    id: u64,
    /// Since when and for which route, where that is counted or logged.
    watched: Option<(Instant, Route)>,
    reader: Reader,
    method: Method,
    uri: Uri,
    /// What a person asked for.
    path: Option<String>,
    from_elsewhere: bool,
    /// `/refresh` changes things by GET too.
    is_refresh: bool,
    /// The cookies of a person.
    cookies: HeaderMap,
    /// OAuth's routes answer in OAuth's form, whoever reads.
    is_oauth: bool,
    has_form_cookie: bool,
}

impl Asked {
    fn by<B>(app: &App, request: &Request<B>) -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let (method, headers) = (request.method(), request.headers());
        let reader = Reader::of(method, headers);
        let is_refresh = request.uri().path().ends_with("/refresh");
        let path = || request.uri().path_and_query().map(ToString::to_string);
        let is_watched = app.settings.metrics_listen.is_some() || tracing::enabled!(tracing::Level::DEBUG);
        let route = || app.metrics.requests.route(request.uri().path());
        Self {
            id: COUNTER.fetch_add(1, Ordering::Relaxed),
            watched: is_watched.then(|| (steady(), route())),
            reader,
            method: method.clone(),
            uri: request.uri().clone(),
            path: (reader.is_person() && matches!(*method, Method::GET | Method::POST)).then(path).flatten(),
            from_elsewhere: reader.is_person() && from_elsewhere(headers),
            cookies: if reader.is_person() { only_cookies(headers) } else { HeaderMap::new() },
            has_form_cookie: reader.is_person()
                && distinct(headers, app.cookies.form()).is_ok_and(|values| !values.is_empty()),
            is_refresh,
            is_oauth: is_oauth(&app.settings, request.uri().path()),
        }
    }

    /// Counts and logs the answer, where somebody watches.
    fn count(&self, app: &App, status: StatusCode) {
        let Some((since, route)) = self.watched else { return };
        let took = since.elapsed();
        app.metrics.requests.answered(route, &self.method, status, took);
        // The route and never the path: that may hold a secret, and the query too.
        tracing::debug!(
            request_id = %self.request_id(),
            method = %self.method,
            route = route.name(),
            status = status.as_u16(),
            ms = took.as_secs_f64() * 1e3,
            "answered"
        );
    }

    /// THE line of a request that failed inside, with its id: at most once a minute for each cause, and at the level of
    /// debugging for each request.
    fn log(&self, app: &App, error: &Error, denied: Option<Cause>) {
        let cause = match error {
            Error::Unavailable(cause) => cause.clone(),
            Error::Refused(Refusal::Unavailable) => app.sessions.memory.last_failure(),
            _ => denied.unwrap_or_default(),
        };
        let Some((what, which, why)) = cause.parts() else { return };
        let route = self.watched.map(|(_, route)| route.name());
        let request_id = self.request_id();
        let level = if error.row().0.is_server_error() { Level::ERROR } else { Level::WARN };
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

    fn is_safe(&self) -> bool {
        !self.is_refresh && self.only_reads()
    }

    /// By its method: what another site's page can always make a browser ask.
    fn only_reads(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// Unique among all processes, without asking the generator for each request.
    fn request_id(&self) -> impl std::fmt::Display {
        static START: std::sync::LazyLock<u64> =
            std::sync::LazyLock::new(|| u64::from_be_bytes(crate::random::bytes()));
        struct Id(u64, u64);
        impl std::fmt::Display for Id {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:016x}{:08x}", self.0, self.1)
            }
        }
        Id(*START, self.id)
    }
}

/// The error behind an answer: ours, the guard's, or what axum itself refuses.
fn error_of(response: &mut Response, methods: impl Fn() -> Option<&'static str>) -> Option<Arc<Error>> {
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
        StatusCode::METHOD_NOT_ALLOWED => Error::MethodNotAllowed(methods().unwrap_or_default()),
        StatusCode::NOT_FOUND => Error::NotFound,
        StatusCode::BAD_REQUEST => Error::Malformed("The address cannot be read".into()),
        _ => return None,
    };
    Some(Arc::new(error))
}

fn only_cookies(headers: &HeaderMap) -> HeaderMap {
    headers.get_all(header::COOKIE).iter().map(|line| (header::COOKIE, line.clone())).collect()
}

/// Among the extensions of a refusal: the live sessions that the request proved, too many for one.
#[derive(Debug, Clone)]
pub(crate) struct Proved(pub(crate) Vec<SessionId>);

/// Among the extensions of a refusal: a proxy reads it, whatever the browser accepts. Its status and headers stay.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ForProxy {
    /// The proxy passes it on to a browser, which shows it at another host.
    pub(crate) is_page: bool,
}

fn show(app: &App, asked: &Asked, error: &Error, mut plain: Response) -> Response {
    let for_proxy = plain.extensions_mut().remove::<ForProxy>();
    let status = if for_proxy.is_some() { plain.status() } else { error.status(&app.settings) };
    let request_id = asked.request_id().to_string();
    let mut response = match (for_proxy, asked.reader) {
        _ if asked.is_oauth => oauth::answer(error, &request_id),
        (Some(ForProxy { is_page: true }), _) => {
            app.pages.error_elsewhere(error, status, (&request_id, &app.base_url()))
        }
        (None, Reader::Person) if !error.is_of_programs() => {
            page(app, asked, error, (status, plain.extensions_mut()), &request_id)
        }
        _ => problem(error, status, &request_id),
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
    if let Error::MethodNotAllowed(methods) = error {
        headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    }
    response
}

fn problem(error: &Error, status: StatusCode, request_id: &str) -> Response {
    let body = serde_json::to_vec(&Problem::new(error, status, request_id)).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}

/// A person who isn't signed in goes to the login, and from there back to where they were.
fn page(
    app: &App,
    asked: &Asked,
    error: &Error,
    (status, extensions): (StatusCode, &mut Extensions),
    request_id: &str,
) -> Response {
    let again = extensions.remove::<Again>();
    match error {
        Error::Refused(Refusal::AmbiguousCookies) => {
            let proved = extensions.remove::<Proved>().map(|Proved(sessions)| sessions);
            let proved = proved.unwrap_or_else(|| app.guard.live_in_memory(&asked.cookies));
            let ticket = app.sessions.tickets.issue(&proved);
            app.pages.two_sign_ins(error, status, &ticket, request_id)
        }
        Error::Refused(Refusal::Unavailable | Refusal::TooManyCookies) => {
            app.pages.error(error, status, again, request_id)
        }
        Error::Refused(refusal) => {
            let inner =
                asked.path.as_deref().and_then(|path| path.strip_prefix(app.settings.base_path.as_str()));
            let Some(path) = inner.and_then(super::return_to::path_of_ours) else { return go(app, "/login") };
            if asked.method == Method::POST {
                return send_again(app, *refusal, path).unwrap_or_else(|| go(app, "/login"));
            }
            detour(app, *refusal, asked.from_elsewhere, path).unwrap_or_else(|| to_login(app, path))
        }
        _ => app.pages.error(error, status, again, request_id),
    }
}
