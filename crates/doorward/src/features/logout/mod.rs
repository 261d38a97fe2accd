//! Log out: here, or everywhere.
//!
//! `POST /logout` ends every session that the request proves to be its own, by any credential, and clears all our
//! cookies. It never refuses for a bad or missing one: logging out twice, or with an expired token, is not an error.
//! Only a failing store is 503 (attack R06), and too many cookies are 400 (X04): then no answer says "signed out". A
//! page sends back a `ticket` for the session that it shows, or for both that it found, since their cookies may not be
//! sent along.
//!
//! `POST /logout/all` ends every session of the signed-in user. From a page, that is the user that it shows; another
//! user who is signed in by the cookies is signed out of this browser. `GET /logout` is the form, for browsers with any
//! credential.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorward_core::Refusal;
use doorward_guard::{Denied, Identity};
use http::{HeaderMap, StatusCode};
use zeroize::Zeroizing;

use crate::app::App;
use crate::audit::{Action, By};
use crate::error::{Error, Result};
use crate::revocations::EndReason;
use crate::web::api::{Routes, Who, describe};
use crate::web::body::{IfReadable, asked};
use crate::web::feature::{Feature, templates, texts};
use crate::web::peer::Peer;
use crate::web::presented_sessions::{self, InBody};
use crate::web::reply::go_or_tell;
use crate::wire::ack::{Ack, ack};
use crate::wire::client_kind::ClientKind;
use crate::wire::flash::Flash;
use crate::wire::page::context;
use crate::wire::query::Query;
use crate::wire::return_to::{is_in_app, with_way_on};
use crate::wire::shape::of;

const APP: &str = "The URL of a listed application to go to afterwards.";

const SIGNED_OUT: Flash = Flash::new("signed-out");
const SIGNED_OUT_EVERYWHERE: Flash = Flash::new("signed-out-everywhere");

pub(crate) const FEATURE: Feature = Feature {
    templates: templates!["logout.html"],
    flashes: &[SIGNED_OUT, SIGNED_OUT_EVERYWHERE],
    texts: texts!("en.ftl"),
    ..Feature::new("logout", routes)
};

fn routes() -> Routes {
    let logout_doc = describe("Sign out", Who::Anybody)
        .more("Ends every session that the request proves to be its own. It never refuses for a bad or missing credential or body.")
        .body::<InBody>()
        .whatever_the_body()
        .without_room()
        .json(200, "signed out", Ack::shape("Logged out"))
        .goes("after a form, to `return_to` or /login")
        .sets_cookies()
        .refuses([Error::Refused(Refusal::TooManyCookies)]);
    let all_doc = describe("Sign out everywhere", Who::SignedIn)
        .body::<LogoutAll>()
        .whatever_the_body()
        .without_room()
        .json(200, "signed out", Ack::shape_of_sessions("Logged out from all devices"))
        .goes("after a form, to /login")
        .sets_cookies()
        .refuses([Error::Refused(Refusal::TooManyCookies)]);
    let form_doc = describe("The form to sign out", Who::Browser)
        .query("return_to", of::<&str>(), APP)
        .page(200, "the form");
    Routes::of("Signing in").get("/logout", form, form_doc).post("/logout", logout, logout_doc).post(
        "/logout/all",
        logout_all,
        all_doc,
    )
}

asked! {
    /// Proves whose sessions a page shows.
    struct LogoutAll {
        ticket in forms: Option<Zeroizing<String>>,
    }
}

async fn form(State(app): State<App>, kind: ClientKind, query: Query) -> Response {
    if kind.is_browser() {
        let back = query.text("return_to").filter(|text| is_in_app(&app.settings, text));
        app.pages.show("logout.html", StatusCode::OK, with_way_on(&app.settings, back, context! {}))
    } else {
        Error::MethodNotAllowed("POST").into_response()
    }
}

async fn logout(
    State(app): State<App>,
    client: Peer,
    kind: ClientKind,
    headers: HeaderMap,
    IfReadable(body): IfReadable<InBody>,
) -> Result<Response> {
    let back = body.as_ref().and_then(|body| body.return_to.clone());
    let back = back.filter(|text| is_in_app(&app.settings, text));
    let sessions = presented_sessions::of_any_kind(&app, &headers, body).await?;
    app.sessions.end(sessions, EndReason::Logout, Action::Logout, By::Owner(client.ip)).await?;
    let cleared = app.cookies.sign_out();
    let place = back.unwrap_or_else(|| SIGNED_OUT.at("/login"));
    let answer = go_or_tell(&app, kind, &place, ack("Logged out"));
    Ok((cleared, answer).into_response())
}

async fn logout_all(
    State(app): State<App>,
    identity: Result<Identity, Denied>,
    client: Peer,
    kind: ClientKind,
    headers: HeaderMap,
    IfReadable(body): IfReadable<LogoutAll>,
) -> Result<Response> {
    let ticket = body.and_then(|body| body.ticket);
    let shown = ticket.and_then(|ticket| app.sessions.of_ticket(&ticket).first().copied());
    let shown = match shown {
        Some(session) => app.sessions.owner(session).await?.map(|user| (user, session)),
        None => None,
    };
    let ((user, session), beside) = match (shown, identity) {
        (Some(shown), _) => (shown, presented_sessions::by_cookies(&app, &headers).await?),
        (None, Ok(identity)) => ((identity.user, identity.session), Vec::new()),
        (None, Err(denied)) => return Ok(denied.into_response()),
    };
    let by = By::Owner(client.ip);
    let sessions = app.sessions.end_all(user, None, session, by).await?;
    app.sessions.end(beside, EndReason::Logout, Action::Logout, by).await?;
    let cleared = app.cookies.sign_out();
    let told = ack("Logged out from all devices").sessions(sessions);
    let answer = go_or_tell(&app, kind, &SIGNED_OUT_EVERYWHERE.at("/login"), told);
    Ok((cleared, answer).into_response())
}

#[cfg(test)]
mod tests;
