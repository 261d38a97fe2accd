//! Handing out a credential: in the body for bearer mode, in cookies for the others.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{COOKIE, LOCATION};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::app::App;
use crate::error::{Error, Result};
use crate::known_devices;
use crate::sessions::{Content, Issued};
use crate::users;
use crate::wire::cookies::SetCookies;
use crate::wire::peer::Peer;
use crate::wire::shape::{and_maybe, described, exactly, like, object, of};
use doorward_core::Mode;
use doorward_core::message::Message;

/// `{success, message, user, …credential}`.
#[derive(Serialize)]
struct Body<'a> {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<users::UserView<'a>>,
    #[serde(flatten)]
    tokens: Option<Tokens<'a>>,
    expires_in: u64,
    /// How many other sessions ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<u32>,
}

/// The names of the common tutorials, so that their client code works unchanged.
#[derive(Serialize)]
struct Tokens<'a> {
    token: &'a str,
    token_type: &'static str,
    refresh_token: &'a str,
    refresh_expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
}

/// The shape of an answer with a credential; with `message` and user after a sign-in.
pub(crate) fn shape(message: Option<&'static str>) -> Value {
    let told = message.map(|message| [("message", exactly(message)), ("user", of::<users::UserView<'_>>())]);
    shape_with(told.into_iter().flatten(), message.is_some())
}

/// The shape of an answer with the new credential of a session that continues, and the number of those that ended.
pub(crate) fn shape_of_renewed(message: &'static str) -> Value {
    shape_with([("message", exactly(message)), ("sessions", like(of::<u32>(), 2))], false)
}

fn shape_with(more: impl IntoIterator<Item = (&'static str, Value)>, is_sign_in: bool) -> Value {
    let mut all = vec![("success", exactly(true)), ("expires_in", like(of::<u64>(), 900))];
    all.extend(more);
    let only = |shape, example: Value| described(like(shape, example), "In bearer mode only.");
    let mut tokens = vec![
        (
            "token",
            only(
                of::<&str>(),
                "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIwMTk3OWEzYyJ9.c2lnbmF0dXJl".into(),
            ),
        ),
        ("token_type", exactly("Bearer")),
        ("refresh_token", only(of::<&str>(), "dr2.AZeaPRsCfJSKFlLgw_fZqwGXmj0bAnyUihZS4MP32asAAAAB".into())),
        ("refresh_expires_in", only(of::<u64>(), 2_592_000.into())),
    ];
    if is_sign_in {
        let meaning = "In bearer mode only. Send it with the next sign-in: other people's failures don't keep a known device out.";
        let example: Value = "kVh0cXm3bJ5k7dQqzYx1n2vR8sTt4uWwZa6LpEoGfHc".into();
        tokens.push(("device", described(like(of::<&str>(), example), meaning)));
    }
    and_maybe(object(all), tokens)
}

/// The mode of a sign-in: the requested one, or that of the settings.
///
/// # Errors
/// As for [`check_mode`].
pub(crate) fn mode(app: &App, asked: Option<Mode>, client: &Peer, is_form: bool) -> Result<Mode> {
    let default = if is_form { app.settings.mode_form } else { app.settings.mode_json };
    let mode = asked.unwrap_or(default);
    check_mode(app, mode, client, is_form)?;
    Ok(mode)
}

/// Refuses a mode that the settings don't allow, one that a form can't have, since nobody would read the tokens, and
/// cookies that a browser would drop or that would cross the network in the clear.
pub(crate) fn check_mode(app: &App, mode: Mode, client: &Peer, is_form: bool) -> Result<()> {
    if is_form && mode == Mode::Bearer {
        return Err(Error::field("mode", Message::new("mode-in-form")));
    }
    if !app.settings.modes.contains(&mode) {
        let allowed: Vec<_> = app.settings.modes.iter().map(|mode| mode.as_str()).collect();
        return Err(Error::field("mode", Message::new("mode-not-allowed").with("modes", allowed.join(", "))));
    }
    check_cookies(mode, client)
}

/// Refuses cookies that a browser would drop or that would cross the network in the clear.
pub(crate) fn check_cookies(mode: Mode, client: &Peer) -> Result<()> {
    if mode != Mode::Bearer && client.loses_cookies {
        return Err(Error::field("mode", Message::new("mode-cross-site")));
    }
    if mode != Mode::Bearer && client.in_the_clear { Err(Error::HttpsRequired) } else { Ok(()) }
}

/// The answer that gives a program a credential.
pub(crate) fn hand_out(
    app: &App,
    issued: &Issued,
    status: StatusCode,
    message: Option<&'static str>,
    user: Option<users::UserView<'_>>,
) -> Response {
    (status, cookies(app, issued), Json(body(issued, message, user))).into_response()
}

/// The answer to an act that renewed its session and ended others.
pub(crate) fn hand_out_renewed(app: &App, issued: &Issued, message: &'static str, ended: u32) -> Response {
    let body = Body { sessions: Some(ended), ..body(issued, Some(message), None) };
    (cookies(app, issued), Json(body)).into_response()
}

fn body<'a>(
    issued: &'a Issued,
    message: Option<&'static str>,
    user: Option<users::UserView<'a>>,
) -> Body<'a> {
    let seconds = |end: doorward_core::Timestamp| end.since(issued.now).as_secs();
    let (expires_in, tokens) = match &issued.content {
        Content::Secret(_, ends_at) => (seconds(*ends_at), None),
        Content::Tokens { access: (token, expires_at), refresh: (refresh_token, refresh_end) } => {
            let refresh_expires_in = seconds(*refresh_end);
            let device = issued.device.as_ref().map(|device| device.as_str());
            let tokens = Tokens { token, token_type: "Bearer", refresh_token, refresh_expires_in, device };
            (seconds(*expires_at), (issued.mode == Mode::Bearer).then_some(tokens))
        }
    };
    Body { success: true, message, user, tokens, expires_in, sessions: None }
}

/// The answer that gives a browser a credential and redirects it.
pub(crate) fn hand_out_and_go(app: &App, issued: &Issued, path: &str) -> Response {
    (cookies(app, issued), go(app, path)).into_response()
}

/// Redirects to a place that [`return_to`](super::return_to) accepted, by GET.
pub(crate) fn go(app: &App, path: &str) -> Response {
    go_as(app, StatusCode::SEE_OTHER, path)
}

/// The same: 303 by GET, 307 with the method of the request.
pub(crate) fn go_as(app: &App, status: StatusCode, place: &str) -> Response {
    (status, [(LOCATION, self::place(app, place))]).into_response()
}

/// The URL of such a place.
pub(crate) fn place(app: &App, place: &str) -> String {
    let base = if place.starts_with('/') { app.settings.base_path.as_str() } else { "" };
    format!("{base}{place}")
}

/// Clears the cookies that a sign-in in bearer mode leaves behind: their session ended with it.
pub(crate) fn leftovers(app: &App, issued: &Issued, headers: &HeaderMap) -> SetCookies {
    let left = issued.mode == Mode::Bearer && headers.contains_key(COOKIE);
    if left { app.cookies.clear_all() } else { SetCookies::default() }
}

/// The cookies of the credential. Those of the other modes are cleared: no browser holds two sign-ins (attack C08).
pub(crate) fn cookies(app: &App, issued: &Issued) -> SetCookies {
    let jar = &app.cookies;
    let device =
        issued.device.as_ref().map(|device| jar.set_device(device, known_devices::TTL)).unwrap_or_default();
    let set = |name: &str, value: &str| jar.set(name, value, issued.now, issued.ends_at);
    match (&issued.content, issued.mode) {
        (Content::Secret(secret, _), _) => {
            let others = jar.clear([jar.names.token.as_str(), jar.names.refresh.as_str()]);
            set(&jar.names.session, secret).and(others).and(device)
        }
        (Content::Tokens { access: (token, _), refresh: (refresh, _) }, Mode::Cookie) => {
            let both = set(&jar.names.token, token).and(set(&jar.names.refresh, refresh));
            both.and(jar.clear([jar.names.session.as_str()])).and(device)
        }
        (Content::Tokens { .. }, _) => SetCookies::default(),
    }
}
