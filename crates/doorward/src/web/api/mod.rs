//! Routes that describe themselves: a URL is written once, with its handler, who may call it, what it reads and what it
//! answers. The router and the document of the API are made from the same call, so no route lacks a description.

mod document;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{self, MethodRouter};
use doorward_core::Refusal;
use doorward_core::message::Message;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::body::{Body, BodyField};
use super::dev::gate;
use super::flash::MEANING;
use crate::app::App;
use crate::error::{Cause, Error};
use crate::settings::{InvalidTokenStatus, Settings};
use crate::wire::PAGES;

pub(crate) use document::document;

/// Routes, each with its description.
pub(crate) struct Routes {
    topic: &'static str,
    /// Their handlers, in the same order.
    handlers: Vec<MethodRouter<App>>,
    operations: Vec<Operation>,
}

/// Every operation of the program, whatever its settings.
static ALL: OnceLock<Vec<Operation>> = OnceLock::new();

/// Every operation of the program; none before its routes are made.
pub(crate) fn all() -> &'static [Operation] {
    ALL.get().map_or(&[], Vec::as_slice)
}

/// The methods of a path, in the form of `Allow`.
pub(crate) fn methods(path: &str) -> &'static str {
    static METHODS: LazyLock<BTreeMap<&str, String>> = LazyLock::new(|| {
        let mut found = BTreeMap::<_, Vec<&str>>::new();
        for one in all() {
            let methods = found.entry(one.path).or_default();
            methods.push(one.method.as_str());
            if one.method == Method::GET {
                methods.push("HEAD");
            }
        }
        found.into_iter().map(|(path, methods)| (path, methods.join(","))).collect()
    });
    METHODS.get(path).map_or("", String::as_str)
}

/// Whether the route of this path refuses in OAuth's form.
pub(crate) fn is_oauth(path: &str) -> bool {
    all().iter().any(|one| one.path == path && one.description.oauth)
}

/// Whether development mode opens the route of this path.
pub(crate) fn is_gated(path: &str) -> bool {
    all().iter().any(|one| one.path == path && one.description.who.is_gated())
}

/// The name in a query that says what was done.
const DONE: &str = "done";

/// A function for each method of HTTP: a route, with its handler and its description.
macro_rules! methods {
    ($($name:ident: $method:ident;)+) => {
        $(pub(crate) fn $name<H: Handler<T, App>, T: 'static>(
            self,
            path: &'static str,
            handler: H,
            description: Description,
        ) -> Self {
            self.on(Method::$method, path, routing::$name(handler), description)
        })+
    };
}

impl Routes {
    /// No routes yet; the added ones belong to this topic.
    pub(crate) fn of(topic: &'static str) -> Self {
        Self { topic, handlers: Vec::new(), operations: Vec::new() }
    }

    methods! { get: GET; post: POST; patch: PATCH; delete: DELETE; }

    fn on(
        mut self,
        method: Method,
        path: &'static str,
        route: MethodRouter<App>,
        description: Description,
    ) -> Self {
        let Some(description) = (if PAGES { Some(description) } else { description.without_pages() }) else {
            return self;
        };
        self.handlers.push(route);
        self.operations.push(Operation { topic: self.topic, method, path, description });
        self
    }

    /// These, and others.
    pub(crate) fn merge(mut self, others: Self) -> Self {
        self.handlers.extend(others.handlers);
        self.operations.extend(others.operations);
        self
    }

    /// The descriptions of all.
    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Registers these routes as all of the program: [`all`] returns them.
    pub(crate) fn published(self) -> Self {
        let _ = ALL.set(self.operations.clone());
        self
    }

    /// The codes that `done` may have.
    pub(crate) fn with_flashes(mut self, codes: &[&str]) -> Self {
        for parameter in self.operations.iter_mut().flat_map(|one| &mut one.description.query) {
            if parameter.name == DONE {
                parameter.shape = json!({ "type": "string", "enum": codes });
            }
        }
        self
    }

    /// The path of each, below the base path, if it changes something by `GET`.
    pub(crate) fn changing(&self) -> impl Iterator<Item = &'static str> {
        self.operations.iter().filter(|one| one.description.changes_by_get).map(|one| one.path)
    }

    /// The paths whose requests leave no flow, below the base path.
    pub(crate) fn unrecorded(&self) -> impl Iterator<Item = &'static str> {
        self.operations.iter().filter(|one| one.description.is_unrecorded).map(|one| one.path)
    }

    /// Their handlers.
    pub(crate) fn router(self, app: &App) -> Router<App> {
        let mut router = Router::new();
        for (handler, operation) in self.handlers.into_iter().zip(&self.operations) {
            let handler = match operation.needs_room() {
                true => handler.route_layer(from_fn_with_state(app.clone(), with_room)),
                false => handler,
            };
            let gated = |permission| from_fn_with_state((app.clone(), permission), gate);
            let handler = match operation.description.who {
                Who::Developer => handler.route_layer(gated(None)),
                Who::DeveloperOr(permission) => handler.route_layer(gated(Some(permission))),
                _ => handler,
            };
            router = router.route(operation.path, handler);
        }
        router
    }
}

/// Lets a request through if the disk has room for what it adds.
async fn with_room(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.disk.has_room() {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// The status of an error: that of its row, unless the settings choose the one of older tutorials.
pub(crate) fn status(error: &Error, settings: &Settings) -> StatusCode {
    let bad_token = matches!(error, Error::Refused(Refusal::TokenInvalid | Refusal::TokenExpired));
    let forbidden = settings.invalid_token_status == InvalidTokenStatus::Forbidden;
    if bad_token && forbidden { StatusCode::FORBIDDEN } else { error.status() }
}

/// A route: one method of one path.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) topic: &'static str,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) description: Description,
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// With any credential, a bad one, or none.
    Anybody,
    /// With a live session.
    SignedIn,
    /// With a live session, and a role that grants this permission.
    May(&'static str),
    /// With a refresh token.
    RefreshToken,
    /// A registered client, with its id and secret.
    Client,
    /// Browsers only: the route is a page without JSON.
    Browser,
    /// A trusted proxy, for a user with a live session.
    Proxy,
    /// A developer on this machine: only in development mode.
    Developer,
    /// With a live session, and a role that grants this permission. In development mode, a developer on this machine.
    DeveloperOr(&'static str),
}

impl Who {
    /// As the documents write it.
    pub(crate) fn name(self) -> Cow<'static, str> {
        match self {
            Self::Anybody => "anybody",
            Self::SignedIn => "signed in",
            Self::May(permission) => permission,
            Self::RefreshToken => "refresh token",
            Self::Client => "a client",
            Self::Browser => "a browser",
            Self::Proxy => "a proxy",
            Self::Developer => "development",
            Self::DeveloperOr(permission) => return format!("{permission} or development").into(),
        }
        .into()
    }

    /// Whether development mode opens it.
    pub(crate) fn is_gated(self) -> bool {
        matches!(self, Self::Developer | Self::DeveloperOr(_))
    }

    /// Whether it asks for a session of a user.
    fn needs_session(self) -> bool {
        matches!(self, Self::SignedIn | Self::May(_) | Self::Proxy | Self::DeveloperOr(_))
    }
}

/// The description of a route. What follows from the callers, from the method and from having a body is not repeated:
/// [`Operation::refusals`] adds it.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    pub(crate) summary: &'static str,
    pub(crate) text: &'static str,
    pub(crate) who: Who,
    query: Vec<Parameter>,
    body: Option<&'static [BodyField]>,
    /// Whether a body that can't be parsed is refused, not ignored.
    reads_strictly: bool,
    answers: Vec<DocumentedAnswer>,
    refusals: Vec<Error>,
    /// Whether it adds to the database: then it is refused while the disk is nearly full.
    needs_room: bool,
    /// Its `GET` changes something.
    changes_by_get: bool,
    /// It refuses in OAuth's form, for every client.
    oauth: bool,
    /// Its requests leave no flow.
    is_unrecorded: bool,
}

#[derive(Debug, Clone)]
struct Parameter {
    name: &'static str,
    shape: Value,
    text: &'static str,
}

#[derive(Debug, Clone)]
struct DocumentedAnswer {
    status: u16,
    text: &'static str,
    /// Media type and shape; none for a redirect, and for an answer in headers only.
    content: Option<(&'static str, Value)>,
    sets_cookies: bool,
}

impl DocumentedAnswer {
    /// Whether it is a page or a redirect.
    fn is_for_browsers(&self) -> bool {
        let is_page = self.content.as_ref().is_some_and(|(media, _)| *media == "text/html");
        is_page || (300..400).contains(&self.status)
    }
}

/// Begins the description of a route: in a few words, and who may call it.
pub(crate) fn describe(summary: &'static str, who: Who) -> Description {
    let (query, answers, refusals) = (Vec::new(), Vec::new(), Vec::new());
    Description {
        summary,
        text: "",
        who,
        query,
        body: None,
        reads_strictly: true,
        answers,
        refusals,
        needs_room: true,
        changes_by_get: false,
        oauth: false,
        is_unrecorded: false,
    }
}

/// The description, for a page.
impl Description {
    /// Names of the query, each with its meaning.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.query.iter().map(|one| (one.name, one.text))
    }

    /// Fields of the body.
    pub(crate) fn fields(&self) -> &'static [BodyField] {
        self.body.unwrap_or_default()
    }

    /// Statuses of success, each with its meaning.
    pub(crate) fn answers(&self) -> impl Iterator<Item = (u16, &'static str)> {
        self.answers.iter().map(|answer| (answer.status, answer.text))
    }

    /// The shape of the JSON that it answers with.
    pub(crate) fn json_shape(&self) -> Option<&Value> {
        let mut shapes = self.answers.iter().filter_map(|answer| answer.content.as_ref());
        shapes.find(|(media, _)| *media == "application/json").map(|(_, shape)| shape)
    }

    /// An example of a valid JSON body.
    pub(crate) fn body_example(&self) -> Option<Value> {
        self.body.map(document::example_of)
    }
}

impl Description {
    /// More about it.
    pub(crate) fn more(self, text: &'static str) -> Self {
        Self { text, ..self }
    }

    /// Its `GET` changes something: it runs to its end, even if the client hangs up.
    pub(crate) fn changes_by_get(self) -> Self {
        Self { changes_by_get: true, ..self }
    }

    /// It refuses in OAuth's form (RFC 6749 section 5.2), for every client.
    pub(crate) fn in_oauths_form(self) -> Self {
        Self { oauth: true, ..self }
    }

    /// Its requests leave no flow: looking at flows would make more of them, and nobody learns from a style sheet.
    pub(crate) fn unrecorded(self) -> Self {
        Self { is_unrecorded: true, ..self }
    }

    /// Its page says what was done, by `done` in the query.
    pub(crate) fn flashes(self) -> Self {
        self.query(DONE, json!({ "type": "string" }), MEANING)
    }

    /// It reads this from the query.
    pub(crate) fn query(mut self, name: &'static str, shape: Value, text: &'static str) -> Self {
        self.query.push(Parameter { name, shape, text });
        self
    }

    /// It reads this from JSON or a form.
    pub(crate) fn body<B: Body>(self) -> Self {
        Self { body: Some(B::FIELDS), ..self }
    }

    /// A body that can't be parsed is ignored.
    pub(crate) fn whatever_the_body(self) -> Self {
        Self { reads_strictly: false, ..self }
    }

    /// It answers with JSON.
    pub(crate) fn json(self, status: u16, text: &'static str, shape: Value) -> Self {
        self.content(status, text, "application/json", shape)
    }

    /// It shows a page.
    pub(crate) fn page(self, status: u16, text: &'static str) -> Self {
        self.content(status, text, "text/html", json!({ "type": "string" }))
    }

    /// It answers with this type.
    pub(crate) fn content(
        mut self,
        status: u16,
        text: &'static str,
        media: &'static str,
        shape: Value,
    ) -> Self {
        self.answers.push(DocumentedAnswer {
            status,
            text,
            content: Some((media, shape)),
            sets_cookies: false,
        });
        self
    }

    /// It answers only in headers.
    pub(crate) fn empty(mut self, status: u16, text: &'static str) -> Self {
        self.answers.push(DocumentedAnswer { status, text, content: None, sets_cookies: false });
        self
    }

    /// It redirects a browser.
    pub(crate) fn goes(self, text: &'static str) -> Self {
        self.empty(303, text)
    }

    /// It redirects a browser together with the form that it sent.
    pub(crate) fn goes_again(self, text: &'static str) -> Self {
        self.empty(307, text)
    }

    /// The answers so far may set or clear cookies.
    pub(crate) fn sets_cookies(mut self) -> Self {
        self.answers.iter_mut().for_each(|one| one.sets_cookies = true);
        self
    }

    /// It works while the disk is nearly full: it ends something, renews a credential, sets a password, or only reads.
    /// Any other route that is not a GET is refused then, before it reads anything.
    pub(crate) fn without_room(self) -> Self {
        Self { needs_room: false, ..self }
    }

    /// What is left of it if nobody gets pages; `None` if it is for browsers alone.
    fn without_pages(mut self) -> Option<Self> {
        self.answers.retain(|answer| !answer.is_for_browsers());
        self.query.retain(|parameter| parameter.name != DONE);
        (self.who != Who::Browser && !self.answers.is_empty()).then_some(self)
    }

    /// It refuses with these, besides what every such route refuses with.
    pub(crate) fn refuses<const N: usize>(mut self, errors: [Error; N]) -> Self {
        self.refusals.extend(errors);
        self
    }
}

impl Operation {
    /// Whether it is refused while the disk is nearly full.
    fn needs_room(&self) -> bool {
        self.description.needs_room && self.method != Method::GET
    }

    /// All its refusals.
    pub(crate) fn refusals(&self) -> Vec<Error> {
        use Refusal as R;
        let mut all = self.description.refusals.clone();
        if self.description.who.needs_session() {
            let credential = [
                R::TokenMissing,
                R::TokenInvalid,
                R::TokenExpired,
                R::TokenStale,
                R::SessionEnded,
                R::SessionExpired,
                R::AmbiguousCookies,
                R::TooManyCookies,
            ];
            all.extend(credential.map(Error::Refused));
        }
        match self.description.who {
            Who::May(_) | Who::Proxy | Who::DeveloperOr(_) => all.push(Error::Forbidden),
            Who::Client => all.push(Error::InvalidClient),
            Who::Browser => all.push(Error::MethodNotAllowed("")),
            _ => {}
        }
        if self.description.who.is_gated() {
            all.push(Error::DevelopmentOnly(Message::new("development-off")));
        }
        if self.method != Method::GET {
            all.push(Error::CrossSite);
        }
        if self.method == Method::POST
            && matches!(self.description.who, Who::SignedIn | Who::May(_) | Who::DeveloperOr(_))
        {
            all.push(Error::OtherAccount);
        }
        if self.needs_room() {
            all.push(Error::NoRoom);
        }
        if self.description.body.is_some() && self.description.reads_strictly {
            all.extend([
                Error::Malformed(Message::new("request-unreadable")),
                Error::Timeout,
                Error::TooLarge(0),
                Error::UnsupportedMediaType(""),
            ]);
            all.push(Error::InvalidInput(Vec::new()));
        }
        if !self.description.query.is_empty() || self.path.contains('{') {
            all.push(Error::Malformed(Message::new("request-unreadable")));
        }
        all.extend([Error::Overloaded, Error::Unavailable(Cause::default())]);
        all
    }
}
