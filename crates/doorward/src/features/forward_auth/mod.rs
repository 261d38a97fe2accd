//! Forward-auth: a proxy asks before it lets a request through to an application (nginx `auth_request`, Caddy and
//! Traefik forward auth, …).
//!
//! `GET /forward-auth?role=&redirect=` has two outcomes. **Identity**: 200, with the user in `Remote-User` (the id),
//! `Remote-Name`, `Remote-Role` and `Remote-Email` (empty unless `forward_auth.email` is set and somebody vouched for
//! it). It is also signed in `Doorward-Identity`, a JWT for this application and a minute. **Denial**: 401, and 403 for
//! a missing role and for internal failures, with the same headers, empty. A browser that opens a page gets the login's
//! URL in `Location`; with `redirect=1` as a 302, for proxies that pass it on. Its 403 is a page.
//!
//! With `forward_auth.preflights`, a browser's preflight passes with empty headers: it has no credential, and only the
//! application knows the answer.
//!
//! Only `trusted_proxies` get an answer, about hosts in `forward_auth.hosts`. Nothing is decided by the path. So a rule
//! that the proxy and the application read differently lets nobody in without an identity (attack F04).
//!
//! The assertion of a session at an application serves for a second, so its `jti` repeats within that second. Each
//! request is checked all the same, and a changed role, name, address or key makes another one at once.
//!
//! `role` may name several, separated by commas: one of them is enough. No check asks the store for what memory has.

mod original;

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use doorward_core::token::Claims;
use doorward_core::{Refusal, Timestamp};
use doorward_guard::Identity;
use http::header::{ACCESS_CONTROL_EXPOSE_HEADERS, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::app::App;
use crate::assertions::About;
use crate::counters;
use crate::error::{Cause, Error, Result};
use crate::settings::Own;
use crate::users::User;
use crate::web::api::{Routes, Who, describe};
use crate::web::feature::Feature;
use crate::web::front::ForProxy;
use crate::web::renew_redirect::from_application;
use crate::wire::shape::of;
use original::{Original, is_opened};

const USER: HeaderName = HeaderName::from_static("remote-user");
const NAME: HeaderName = HeaderName::from_static("remote-name");
const ROLE: HeaderName = HeaderName::from_static("remote-role");
const EMAIL: HeaderName = HeaderName::from_static("remote-email");
const ASSERTION: HeaderName = HeaderName::from_static("doorward-identity");
/// How long an application may accept an assertion.
const ASSERTION_TTL: Duration = Duration::from_secs(60);

const EMAIL_SHOWN: Own<bool> = Own::new(
    "forward_auth.email",
    "false",
    "Whether `/forward-auth` sends applications the user's address (`Remote-Email`). Only addresses that an admin, an invitation for that address or the command line vouched for are sent.",
);
const PREFLIGHTS: Own<bool> = Own::new(
    "forward_auth.preflights",
    "false",
    "Whether `/forward-auth` lets browsers' preflights (CORS) through to applications, which then answer them. They carry no identity.",
);

pub(crate) const FEATURE: Feature = Feature {
    settings: &[EMAIL_SHOWN.contributed(), PREFLIGHTS.contributed()],
    ..Feature::new("forward_auth", routes)
};

fn routes() -> Routes {
    let judge_doc = describe("Whether a request may go through to an application", Who::Proxy)
        .more("For proxies in `trusted_proxies`, which send the original address in `X-Forwarded-Proto`, `-Host`, `-Uri` and `-Method`. The user is in `Remote-User`, `Remote-Name`, `Remote-Role`, `Remote-Email` and, signed, in `Doorward-Identity`.")
        .query("role", of::<&str>(), "The required role; or several, separated by commas, one of which is enough.")
        .query("redirect", of::<&str>(), "`1`: browsers are redirected to the login by a 302.")
        .query("refused", of::<&str>(), "`1`: always a 403, for a proxy that asks for its page.")
        .empty(200, "let it through, with these headers")
        .empty(302, "a browser, to the login");
    Routes::of("Tokens").get("/forward-auth", judge, judge_doc)
}

/// Why a request isn't let through.
enum Denial {
    /// Nobody is signed in: where to redirect, and with which status.
    NobodyThere(Refusal, Option<(StatusCode, String)>),
    /// The role is missing, or an internal failure: only the log says which, and its cause.
    Shut(&'static str, Cause),
    /// The proxy was refused before, and asks for what to show.
    Again,
}

async fn judge(State(app): State<App>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match identify(&app, &parts).await {
        Ok(identity) => (identity, Body::empty()).into_response(),
        Err(Denial::NobodyThere(refusal, way)) => {
            let (status, place) = way.map_or((StatusCode::UNAUTHORIZED, None), |(s, place)| (s, Some(place)));
            let mut response = deny(status, Error::Refused(refusal), ForProxy::default());
            if let Some(place) = place.and_then(|place| HeaderValue::try_from(place).ok()) {
                response.headers_mut().insert(LOCATION, place);
            }
            response
        }
        Err(Denial::Shut(reason, cause)) => {
            counters::count(&app.metrics.denied, "reason", reason);
            let mut response = refuse(&parts);
            response.extensions_mut().insert(Cause::new("forward-auth denied a request", reason, cause));
            response
        }
        Err(Denial::Again) => refuse(&parts),
    }
}

/// A browser that opens a page gets a page, which the proxy passes on: a sign-in would not help.
fn refuse(parts: &Parts) -> Response {
    deny(StatusCode::FORBIDDEN, Error::Forbidden, ForProxy { is_page: is_opened(&parts.headers) })
}

fn deny(status: StatusCode, error: Error, for_proxy: ForProxy) -> Response {
    let mut response = error.into_response();
    *response.status_mut() = status;
    response.extensions_mut().insert(for_proxy);
    // The proxy passes this answer on, also to pages of another origin.
    let exposed = HeaderValue::from_static("www-authenticate");
    response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    response.headers_mut().extend(nobody());
    response
}

/// The headers are there on every answer, so that a proxy that copies them leaves none of the client's own (attack F01).
fn nobody() -> HeaderMap {
    let names = [USER, NAME, ROLE, EMAIL, ASSERTION];
    names.into_iter().map(|name| (name, HeaderValue::from_static(""))).collect()
}

async fn identify(app: &App, parts: &Parts) -> Result<HeaderMap, Denial> {
    let shut = |reason| Denial::Shut(reason, Cause::default());
    let original = Original::of(&app.settings, parts).map_err(shut)?;
    let conditions = Conditions::of(parts.uri.query().unwrap_or_default()).map_err(shut)?;
    if conditions.refused {
        return Err(Denial::Again);
    }
    // It has no credential: the application answers it, and its browser decides by that answer.
    if app.settings.get(&PREFLIGHTS) && original.is_preflight {
        return Ok(nobody());
    }
    let not_there = |refusal| match refusal {
        Refusal::Unavailable => {
            Denial::Shut("the credential cannot be checked", app.sessions.memory.last_failure())
        }
        Refusal::TooManyCookies => shut("there are too many cookies of one name"),
        _ => Denial::NobodyThere(refusal, way(app, refusal, &original, &conditions)),
    };
    let identity = app.guard.check(&parts.headers).await.map_err(not_there)?;
    if conditions.roles.as_ref().is_some_and(|roles| !roles.iter().any(|role| role == identity.role.as_str()))
    {
        return Err(shut("the role is missing"));
    }
    let unread = |error| Denial::Shut("the user cannot be read", Error::from(error).into_cause());
    let user = app.users.cached(identity.user).await.map_err(unread)?;
    let user = user.ok_or_else(|| not_there(Refusal::SessionEnded))?;
    let (now, ran) = (app.now(), app.clock.ran());
    let about = About::of(&identity, user.clone(), original.index, &app.keys);
    if let Some(headers) = app.assertions.get(&about, now, ran) {
        return Ok(headers);
    }
    let headers = headers(app, original.host, &identity, &user.user, now)
        .map_err(|error| Denial::Shut("an assertion cannot be made", error.into_cause()))?;
    app.assertions.keep(about, now, ran, &headers);
    Ok(headers)
}

/// Where a browser that opens a page should sign in.
fn way(
    app: &App,
    refusal: Refusal,
    original: &Original<'_>,
    conditions: &Conditions,
) -> Option<(StatusCode, String)> {
    let status = if conditions.redirect { StatusCode::FOUND } else { StatusCode::UNAUTHORIZED };
    original.is_opened.then(|| (status, from_application(app, refusal, &original.place(&app.settings))))
}

fn headers(app: &App, host: &str, identity: &Identity, user: &User, now: Timestamp) -> Result<HeaderMap> {
    let issued_at = Timestamp::from_secs(now.as_secs());
    let (expires_at, jti) = (issued_at + ASSERTION_TTL, crate::random::bytes());
    let mut claims = Claims::new(identity.user, identity.session, issued_at, expires_at, jti);
    (claims.role, claims.version) = (identity.role, identity.claims_version);
    claims.authentication = identity.authentication;
    // An address that its owner typed proves nothing: nobody becomes the boss by it (attack X12).
    let is_told = app.settings.get(&EMAIL_SHOWN) && user.email_vouched_by.is_some();
    let email = if is_told { user.email.as_str() } else { "" };
    let mut headers = HeaderMap::with_capacity(16);
    for (name, value) in [
        (USER, identity.user.to_string()),
        (NAME, user.name.clone()),
        (ROLE, identity.role.to_string()),
        (EMAIL, email.to_owned()),
        (ASSERTION, app.keys.assert_identity(host, &claims)?),
    ] {
        headers.insert(
            name,
            HeaderValue::try_from(value.into_bytes())
                .map_err(|error| Error::unavailable("a header cannot be made", error))?,
        );
    }
    Ok(headers)
}

/// The conditions in the proxy's settings.
struct Conditions {
    roles: Option<Vec<String>>,
    redirect: bool,
    refused: bool,
}

impl Conditions {
    /// Parses the query. Other names are ignored, since some proxies add the original query. An empty or repeated role
    /// denies, whoever wrote it.
    fn of(query: &str) -> Result<Self, &'static str> {
        let mut conditions = Self { roles: None, redirect: false, refused: false };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "redirect" => conditions.redirect = value == "1",
                "refused" => conditions.refused = value == "1",
                "role" if conditions.roles.is_some() => return Err("the query has role twice"),
                "role" => {
                    conditions.roles = Some(value.split(',').map(|role| role.trim().to_owned()).collect());
                }
                _ => {}
            }
        }
        Ok(conditions)
    }
}

#[cfg(test)]
mod tests;
