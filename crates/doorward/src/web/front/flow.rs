//! The first and the last steps of a request's flow.

use axum::response::Response;
use http::header::{HeaderMap, LOCATION, SET_COOKIE};
use http::{Method, StatusCode};

use super::RequestContext;
use crate::app::App;
use crate::error::Explanation;
use crate::flow::{Answered, CookieFact, Fact, Label, Seen, Sender, Step, Verb};

/// Completes the flow of an answered request: its cookies and its answer are the last steps.
pub(super) fn complete(
    app: &App,
    context: &mut RequestContext,
    response: &Response,
    refused: Option<&'static str>,
) {
    let recording = context.recording.clone().unwrap_or_else(|| app.flows.begin_refusal());
    let route = app.metrics.requests.route(context.uri.path()).name();
    for line in response.headers().get_all(SET_COOKIE) {
        if let Some(step) = line.to_str().ok().and_then(set_cookie) {
            recording.push(step);
        }
    }
    if let Some(explained) = refused.filter(|code| !recording.has_cause(code)).and_then(Explanation::of) {
        let step = Step::check(Verb::CheckRule, false).fact(Fact::text(Label::Check, explained.checked));
        recording.push(step.fact(Fact::text(Label::Found, explained.found)));
    }
    let answered = Answered {
        id: context.id,
        at: app.now(),
        sender: if context.by_browser { Sender::Browser } else { Sender::Program },
        method: method(&context.method),
        route,
        status: response.status().as_u16(),
        code: refused,
        first: first(route, &context.method),
        last: last(first(route, &context.method), response.status(), response.headers(), refused),
        traced: context.traced.take(),
    };
    app.flows.finish(&recording, answered);
}

/// The arrow with which the request arrives.
fn first(route: &str, method: &Method) -> Verb {
    match (route, method) {
        ("/register", &Method::POST) => Verb::Register,
        ("/login", &Method::POST) => Verb::Login,
        ("/refresh", _) => Verb::Refresh,
        ("/logout", &Method::POST) => Verb::Logout,
        ("/logout/all", _) => Verb::LogoutAll,
        ("/forward-auth", _) => Verb::ForwardAuth,
        ("/profile" | "/dashboard", &Method::GET) => Verb::AskProtected,
        _ if route.starts_with("/admin") => Verb::Admin,
        _ => Verb::Call,
    }
}

/// The answer itself.
fn last(first: Verb, status: StatusCode, headers: &HeaderMap, refused: Option<&'static str>) -> Step {
    let verb = match refused {
        _ if first == Verb::ForwardAuth => Verb::LetPass,
        Some(_) => Verb::Refuse,
        None if status.is_redirection() => Verb::Redirect,
        None if first == Verb::AskProtected => Verb::Welcome,
        None => Verb::Answer,
    };
    let fact = Fact::count(Label::Status, status.as_u16().into());
    let step = match refused {
        Some(code) => {
            let advice = Explanation::of(code).map(|explained| Fact::text(Label::Advice, explained.advice));
            Step::check(verb, false).fact(fact).fact(Fact::text(Label::Code, code)).maybe(advice)
        }
        None if verb == Verb::LetPass => Step::check(verb, status.is_success()).fact(fact),
        None => Step::of(verb).fact(fact),
    };
    // Its path alone: a query may hold a secret.
    let place = headers.get(LOCATION).and_then(|place| place.to_str().ok());
    let place = place.and_then(|place| place.split(['?', '#']).next());
    step.maybe(place.map(|place| Fact::seen(Label::Place, place)))
}

/// Whose page sent a change, as its browser says.
pub(super) fn origin(is_ours: bool, headers: &HeaderMap) -> Step {
    let seen = |label, name: &str| {
        let said = headers.get(name).and_then(|value| value.to_str().ok());
        said.map(|said| Fact::seen(label, said))
    };
    let step = Step::check(Verb::CheckOrigin, is_ours).maybe(seen(Label::Site, "sec-fetch-site"));
    step.maybe(seen(Label::Origin, "origin"))
}

/// A cookie that is set or cleared, without its value.
fn set_cookie(line: &str) -> Option<Step> {
    let cookie = cookie::Cookie::parse(line).ok()?;
    let max_age = cookie.max_age().map(cookie::time::SignedDuration::whole_seconds);
    let verb = if max_age == Some(0) { Verb::ClearCookie } else { Verb::SetCookie };
    Some(Step::of(verb).fact(Fact::Cookie(Box::new(CookieFact {
        name: Seen::new(cookie.name()),
        path: Seen::new(cookie.path().unwrap_or("/")),
        domain: cookie.domain().map(Seen::new),
        max_age,
        http_only: cookie.http_only().unwrap_or(false),
        secure: cookie.secure().unwrap_or(false),
        same_site: match cookie.same_site() {
            Some(cookie::SameSite::Strict) => "Strict",
            Some(cookie::SameSite::Lax) => "Lax",
            Some(cookie::SameSite::None) => "None",
            None => "",
        },
    }))))
}

/// The name of the method: a stranger may invent any.
pub(super) fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "DELETE", "PATCH", "PUT", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}
