//! The inner server of one column, and the clients that send requests to it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_core::email::Email;
use doorward_core::password_hash::HashPolicy;
use doorward_core::{Mode, Timestamp};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, SET_COOKIE, USER_AGENT};
use http::{Method, Request};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::names::Names;
use super::scripts::{Ask, Before, Change, Part, Scene, Who};
use super::{Column, PlayedPart};
use crate::app::{Inner, OpenInner};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::flow::{Flow, Sender};

/// When each play begins: 2026-01-01 09:00 UTC.
const BEGINS_AT: Timestamp = Timestamp::from_secs(1_767_258_000);
/// The host of the inner server, which nobody can reach.
const AT: &str = "tour.example";
/// The most bytes of an answer that are read.
const MOST_BYTES: usize = 256 << 10;

const NAME: &str = "Ada";
const EMAIL: &str = "ada@example.org";
const PASSWORD: &str = "correct horse battery";

/// One column while it is played.
pub(super) struct Stage {
    column: Column,
    inner: Inner,
    clock: Clock,
    clients: [Client; 4],
    names: Names,
}

impl Stage {
    /// Opens a server of its own.
    pub(super) async fn open(open: OpenInner, policy: HashPolicy, column: Column) -> Result<Self> {
        let clock = Clock::manual(BEGINS_AT);
        let inner = open(clock.clone(), policy).await?;
        let mode = match column {
            Column::Jwt => Mode::Cookie,
            Column::Session => Mode::Session,
        };
        let clients = [
            Client::new(mode, [192, 0, 2, 10]),
            Client::new(mode, [192, 0, 2, 11]),
            Client::new(mode, [203, 0, 113, 66]),
            Client::new(Mode::Bearer, [192, 0, 2, 12]),
        ];
        Ok(Self { column, inner, clock, clients, names: Names::default() })
    }

    /// Ends the server's threads.
    pub(super) async fn close(self) {
        self.inner.app.store.close().await;
    }

    /// Plays a scene; `script` is for the name of its flow.
    pub(super) async fn play(&mut self, script: &str, scene: &'static Scene) -> Result<PlayedPart> {
        for before in scene.before {
            self.prepare(*before).await?;
        }
        let part = scene.part(self.column);
        let Some((who, ask)) = part.ask else { return Ok(untouched(part)) };
        let token = self.client(who).access_token(&self.inner);
        self.make_usual().await?;
        let mut flow = self.send(who, ask).await?;
        let (verifier, now) = (self.inner.app.keys.verifier(), self.clock.now());
        let plain_accepts = token.is_some_and(|token| verifier.verify(&token, now).is_ok());
        let column = if self.column == Column::Jwt { "jwt" } else { "session" };
        self.names.rename(&mut flow, format!("{script}/{}/{column}", scene.name));
        Ok(PlayedPart { part, flow: Some(flow), plain_accepts, difference: None })
    }

    /// A request is drawn as on a server that knows Ada's account, but has not seen her token: so every check is seen,
    /// and no step is about filling a memory.
    async fn make_usual(&self) -> Result<()> {
        let app = &self.inner.app;
        app.keys.verifier().forget_verified();
        let email =
            Email::parse(EMAIL).map_err(|error| Error::unavailable("the tour failed", error.message()))?;
        if let Some(ada) = app.users.find_by_email(&email).await? {
            app.users.cached(ada.user.id).await?;
        }
        Ok(())
    }

    async fn prepare(&mut self, before: Before) -> Result<()> {
        match before {
            Before::Sent(who, ask) => drop(self.send(who, ask).await?),
            Before::Minutes(minutes) => {
                self.clock.advance(Duration::from_secs(minutes * 60));
                self.inner.app.follow().await?;
            }
            Before::Copied => {
                let copy = self.client(Who::Laptop).credentials.clone();
                self.client_mut(Who::Thief).credentials = copy;
            }
            Before::Changed(change) => {
                let names = [&self.inner.app.settings.cookie_token, &self.inner.app.settings.cookie_session];
                let names = names.map(Clone::clone);
                for (name, value) in &mut self.client_mut(Who::Thief).credentials.cookies {
                    if names.iter().any(|of_ours| name.ends_with(of_ours.as_str())) {
                        *value = changed(value, change);
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends a request, keeps the credential of the answer, and returns the recorded flow.
    async fn send(&mut self, who: Who, ask: Ask) -> Result<Flow> {
        let request = self.client(who).request(ask)?;
        let response = self.inner.router.clone().oneshot(request).await;
        let response = response.unwrap_or_else(|never| match never {});
        self.client_mut(who).keep(response).await?;
        let flow = self.inner.app.flows.find(1, |_| true).pop();
        let flow = flow.ok_or_else(|| Error::unavailable("the tour failed", "a request was not recorded"))?;
        let mut flow = Flow::clone(&flow);
        flow.sender = if who == Who::Program { Sender::Program } else { Sender::Browser };
        Ok(flow)
    }

    fn client(&self, who: Who) -> &Client {
        let [laptop, phone, thief, program] = &self.clients;
        match who {
            Who::Laptop => laptop,
            Who::Phone => phone,
            Who::Thief => thief,
            Who::Program => program,
        }
    }

    fn client_mut(&mut self, who: Who) -> &mut Client {
        let [laptop, phone, thief, program] = &mut self.clients;
        match who {
            Who::Laptop => laptop,
            Who::Phone => phone,
            Who::Thief => thief,
            Who::Program => program,
        }
    }
}

fn untouched(part: &'static Part) -> PlayedPart {
    PlayedPart { part, flow: None, plain_accepts: false, difference: None }
}

/// A client with its credentials.
struct Client {
    mode: Mode,
    ip: IpAddr,
    credentials: Credentials,
}

/// What a client holds, and what a thief copies.
#[derive(Clone, Default)]
struct Credentials {
    token: Option<String>,
    refresh_token: Option<String>,
    cookies: BTreeMap<String, String>,
}

impl Client {
    fn new(mode: Mode, ip: [u8; 4]) -> Self {
        Self { mode, ip: ip.into(), credentials: Credentials::default() }
    }

    /// The access token that it sends, if it sends one.
    fn access_token(&self, inner: &Inner) -> Option<String> {
        let name = &inner.app.settings.cookie_token;
        let in_cookie =
            || self.credentials.cookies.iter().find(|(cookie, _)| *cookie == &format!("__Host-{name}"));
        self.credentials.token.clone().or_else(|| in_cookie().map(|(_, value)| value.clone()))
    }

    fn request(&self, ask: Ask) -> Result<Request<Body>> {
        let (method, path, body) = self.asks(ask);
        let mut request = Request::builder().method(method).uri(path).header(HOST, AT);
        request = request.header(ACCEPT, "application/json").header(USER_AGENT, "Doorward's tour");
        if self.mode == Mode::Bearer {
            if let Some(token) = &self.credentials.token {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
        } else {
            request = request.header("sec-fetch-site", "same-origin").header("sec-fetch-mode", "cors");
            let cookies = self.credentials.cookies.iter().map(|(name, value)| format!("{name}={value}"));
            let cookies = cookies.collect::<Vec<_>>().join("; ");
            if !cookies.is_empty() {
                request = request.header(COOKIE, cookies);
            }
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => {
                request = request.header(CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
        };
        let mut request = request.body(body).map_err(|error| Error::unavailable("the tour failed", error))?;
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(self.ip, 4_711)));
        Ok(request)
    }

    fn asks(&self, ask: Ask) -> (Method, &'static str, Value) {
        let mode = self.mode.as_str();
        match ask {
            Ask::Register => {
                let body = json!({ "name": NAME, "email": EMAIL, "password": PASSWORD, "mode": mode });
                (Method::POST, "/register", body)
            }
            Ask::Login => {
                (Method::POST, "/login", json!({ "email": EMAIL, "password": PASSWORD, "mode": mode }))
            }
            Ask::WrongPassword => {
                let body = json!({ "email": EMAIL, "password": "incorrect horse", "mode": mode });
                (Method::POST, "/login", body)
            }
            Ask::Welcome => (Method::GET, "/dashboard", Value::Null),
            Ask::Refresh => {
                let token = self.credentials.refresh_token.as_ref();
                let body = token.map_or(Value::Null, |token| json!({ "refresh_token": token }));
                (Method::POST, "/refresh", body)
            }
            Ask::Logout => (Method::POST, "/logout", Value::Null),
            Ask::LogoutEverywhere => (Method::POST, "/logout/all", Value::Null),
            Ask::ListUsers => (Method::GET, "/admin/users", Value::Null),
        }
    }

    /// Keeps what the answer sets, and deletes what it clears, as a browser does.
    async fn keep(&mut self, response: Response) -> Result<()> {
        let (head, body) = response.into_parts();
        for line in head.headers.get_all(SET_COOKIE) {
            let Some(cookie) = line.to_str().ok().and_then(|line| cookie::Cookie::parse(line).ok()) else {
                continue;
            };
            if cookie.max_age().is_some_and(time::Duration::is_zero) {
                self.credentials.cookies.remove(cookie.name());
            } else {
                self.credentials.cookies.insert(cookie.name().into(), cookie.value().into());
            }
        }
        let body = Limited::new(body, MOST_BYTES).collect().await;
        let body = body.map_err(|error| Error::unavailable("the tour failed", error))?.to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        if let (Some(token), Some(refresh_token)) = (text("token"), text("refresh_token")) {
            self.credentials.token = Some(token);
            self.credentials.refresh_token = Some(refresh_token);
        }
        Ok(())
    }
}

/// A changed credential: a token has three parts, a session id has one.
fn changed(credential: &str, change: Change) -> String {
    let parts: Vec<_> = credential.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return match change {
            Change::Unsigned => "A".repeat(credential.len()),
            Change::Role | Change::Character => with_other_character(credential),
        };
    };
    match change {
        Change::Character => format!("{header}.{claims}.{}", with_other_character(signature)),
        Change::Role => {
            let json = URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
            let mut json: Value = serde_json::from_slice(&json).unwrap_or_default();
            if let Some(claims) = json.as_object_mut() {
                claims.insert("role".into(), "admin".into());
            }
            format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(json.to_string()))
        }
        Change::Unsigned => {
            format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#))
        }
    }
}

/// The same text with another character in its middle.
fn with_other_character(text: &str) -> String {
    let middle = text.len() / 2;
    let other = |(at, c)| {
        if at != middle {
            c
        } else if c == 'A' {
            'B'
        } else {
            'A'
        }
    };
    text.chars().enumerate().map(other).collect()
}
