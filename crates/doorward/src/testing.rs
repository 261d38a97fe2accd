//! A whole server in a temporary folder, with its own clock, and visitors with cookie jars, for tests.
//!
//! On SQLite; or, where `DOORWARD_TEST_POSTGRES` names a PostgreSQL server, in a new database there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod conformity;
pub mod parsers;

pub use conformity::{Api, Route};

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::password::Password;
use doorward_core::password_hash::{HashAlgorithm, HashPolicy};
use doorward_core::role::RoleName;
use doorward_core::{Mode, Timestamp};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::accounts::Actor;
use crate::app::App;
use crate::clock::Clock;
use crate::features::admin_users;
use crate::settings::{Origin, PasswordAlgorithm, Secrets, Settings, Values};

/// The password of everybody in tests.
pub const PASSWORD: &str = "a door is a promise";

/// A server of one's own.
pub struct Site {
    pub app: App,
    pub clock: Clock,
    router: Router,
    api: Arc<Api>,
    folder: Arc<tempfile::TempDir>,
    settings: Vec<(String, String)>,
    environment: Vec<(String, String)>,
}

impl Site {
    /// A site with the default settings.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// A site with these settings, such as `("access.ttl", "5s")`. `JWT_SECRET` goes among them too.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let (environment, settings): (Vec<_>, Vec<_>) = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .partition(|(key, _)| key.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
        let mut site_settings = settings;
        let mut environment = environment;
        if let Some(url) = new_postgres_database().await {
            site_settings.push(("database".into(), url));
            environment.push(("DOORWARD_SECRET".into(), "a root secret for tests: 0123456789".into()));
        }
        let app = open(folder.path(), &clock, &site_settings, &environment).await;
        let (router, api) = (crate::router(&app), Arc::new(Api::of(&app.settings)));
        Self { app, clock, router, api, folder, settings: site_settings, environment }
    }

    /// The same data, opened again as by a new process.
    pub async fn restarted(&self) -> Self {
        self.app.sessions.memory.flush().await.unwrap();
        let app = open(self.folder.path(), &self.clock, &self.settings, &self.environment).await;
        Self {
            router: crate::router(&app),
            api: Arc::new(Api::of(&app.settings)),
            app,
            clock: self.clock.clone(),
            folder: self.folder.clone(),
            settings: self.settings.clone(),
            environment: self.environment.clone(),
        }
    }

    /// The same data under changed settings, opened again as by a new process.
    pub async fn restarted_with(&self, settings: &[(&str, &str)]) -> Self {
        let mut all = self.settings.clone();
        all.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let app = open(self.folder.path(), &self.clock, &all, &self.environment).await;
        let (router, api) = (crate::router(&app), Arc::new(Api::of(&app.settings)));
        let (clock, folder, environment) =
            (self.clock.clone(), self.folder.clone(), self.environment.clone());
        Self { app, clock, router, api, folder, settings: all, environment }
    }

    /// Moves the clock on, and does what the server does as time goes by.
    pub async fn later(&self, by: Duration) {
        self.clock.advance(by);
        self.app.follow().await.unwrap();
        self.app.sweep().await.unwrap();
    }

    /// The document of the API, that every answer to a visitor is held against.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Somebody without a credential.
    pub fn visitor(&self) -> Visitor {
        Visitor {
            router: self.router.clone(),
            api: self.api.clone(),
            folder: self.folder.clone(),
            ip: [192, 0, 2, 1].into(),
            token: Mutex::default(),
            refresh_token: Mutex::default(),
            cookies: Mutex::default(),
        }
    }

    /// Somebody who registers in bearer mode as `NAME@example.org`, and is signed in.
    pub async fn registered(&self, name: &str) -> Visitor {
        let visitor = self.visitor();
        let body = json!({ "name": name, "email": format!("{name}@example.org"), "password": PASSWORD });
        visitor.post("/register", body).await.has_status(201);
        visitor
    }

    /// Somebody who is signed in as `NAME@example.org` in bearer mode; registered first where they are new.
    pub async fn logged_in(&self, name: &str) -> Visitor {
        self.logged_in_by(name, Mode::Bearer).await
    }

    /// The same in another mode.
    pub async fn logged_in_by(&self, name: &str, mode: Mode) -> Visitor {
        let email = Email::parse(&format!("{name}@example.org")).unwrap();
        if self.app.users.find_by_email(&email).await.unwrap().is_none() {
            self.user(name, RoleName::USER).await;
        }
        let visitor = self.visitor();
        let body = json!({ "email": email.as_str(), "password": PASSWORD, "mode": mode.as_str() });
        visitor.post("/login", body).await.has_status(200);
        visitor
    }

    /// A new admin `NAME@example.org`, signed in in bearer mode.
    pub async fn admin(&self, name: &str) -> Visitor {
        self.user(name, RoleName::ADMIN).await;
        self.logged_in(name).await
    }

    /// A new user with this role; gives the id.
    pub async fn user(&self, name: &str, role: RoleName) -> String {
        let email = Email::parse(&format!("{name}@example.org")).unwrap();
        let who = (DisplayName::parse(name).unwrap(), email, role);
        let password = Some(Password::new(PASSWORD).unwrap());
        admin_users::create(&self.app, who, password, Actor::CommandLine).await.unwrap().id.to_string()
    }

    /// Serves on a free port of the loopback address, for as long as the test runs.
    pub async fn listen(&self) -> SocketAddr {
        let listening = crate::Listening::bind(&self.app).await.unwrap();
        let address = listening.address().unwrap();
        tokio::spawn(listening.serve(std::future::pending()));
        address
    }

    /// Every value of every table as text, as a thief of the database would have it.
    pub async fn stolen_database(&self) -> String {
        const TABLES: [&str; 4] = [
            "SELECT name, email, role, password_hash FROM users",
            "SELECT mode, ip, user_agent, secret_hash, salt, generation FROM sessions",
            "SELECT purpose, email, hash FROM one_time_links",
            "SELECT kid, algorithm, public_jwk, private_key FROM signing_keys",
        ];
        let mut text = String::new();
        for table in TABLES {
            for row in self.app.store.list(table, Vec::new()).await.unwrap() {
                text += &row.for_tests();
            }
        }
        text
    }
}

async fn open(
    folder: &Path,
    clock: &Clock,
    settings: &[(String, String)],
    environment: &[(String, String)],
) -> App {
    let mut values = Values::default();
    let test = || Origin::Flag("test".into());
    values.set("data", folder.to_str().unwrap(), test()).unwrap();
    values.set("listen", "127.0.0.1:0", test()).unwrap();
    for (key, value) in settings {
        values.set(key, value.clone(), test()).unwrap();
    }
    let settings = Settings::read(&values).unwrap();
    let variable =
        |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let secrets = Secrets::read(&settings, variable).unwrap();
    let algorithm = match settings.password_algorithm {
        PasswordAlgorithm::Bcrypt => HashAlgorithm::Bcrypt,
        PasswordAlgorithm::Argon2id => HashAlgorithm::Argon2id,
    };
    App::open_with(settings, secrets, clock.clone(), HashPolicy::for_tests(algorithm)).await.unwrap()
}

/// The throw-away server is gone after the tests, and the databases with it.
async fn new_postgres_database() -> Option<String> {
    let server = std::env::var("DOORWARD_TEST_POSTGRES").ok()?;
    let (client, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let name = format!("site_{:016x}", u64::from_be_bytes(crate::random::bytes()));
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    connection.abort();
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(&name);
    Some(url.into())
}

/// Somebody at the door: a client with a cookie jar, and with what bearer mode gave it.
pub struct Visitor {
    router: Router,
    /// What every answer is held against.
    api: Arc<Api>,
    /// Kept while anybody is at the door, also where a test lets go of the site.
    folder: Arc<tempfile::TempDir>,
    pub ip: IpAddr,
    token: Mutex<Option<String>>,
    refresh_token: Mutex<Option<String>>,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Visitor {
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path), Body::empty()).await
    }

    /// As a browser asks for a page.
    pub async fn page(&self, path: &str) -> Answer {
        let request = self.request(Method::GET, path).header(header::ACCEPT, "text/html,*/*;q=0.8");
        self.send(request, Body::empty()).await
    }

    /// With a JSON body; [`Value::Null`] for none.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PATCH, path, body).await
    }

    pub async fn delete(&self, path: &str, body: Value) -> Answer {
        self.json(Method::DELETE, path, body).await
    }

    pub async fn json(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.request(method, path);
        if body.is_null() {
            return self.send(request, Body::empty()).await;
        }
        self.send(request.header(header::CONTENT_TYPE, "application/json"), body.to_string()).await
    }

    /// As a browser sends a form of ours.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .request(Method::POST, path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.send(request, body).await
    }

    /// Asks for new tokens by what the visitor holds, and keeps them.
    pub async fn refresh(&self) -> Answer {
        match self.refresh_token() {
            Some(token) => self.post("/refresh", json!({ "refresh_token": token })).await,
            None => self.post("/refresh", Value::Null).await,
        }
    }

    /// A request with the visitor's credentials on it.
    pub fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1");
        let cookies = self.cookies.lock().unwrap();
        let sent =
            cookies.iter().filter(|(name, _)| !name.contains("refresh") || path.starts_with("/refresh"));
        let line = sent.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        if !line.is_empty() {
            request = request.header(header::COOKIE, line);
        }
        if let Some(token) = self.token() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request
    }

    /// Sends it, and keeps what the answer hands out. An answer that the document of the API doesn't have fails.
    pub async fn send(&self, request: http::request::Builder, body: impl Into<Body>) -> Answer {
        let mut request = request.body(body.into()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(self.ip, 4711)));
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let answer = Answer { status: parts.status, headers: parts.headers, body: body.to_vec() };
        self.api.check(&method, &path, &answer);
        self.keep(&answer);
        answer
    }

    fn keep(&self, answer: &Answer) {
        for value in answer.headers.get_all(header::SET_COOKIE) {
            let (pair, attributes) = value.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            if attributes.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Ok(Value::Object(body)) = serde_json::from_slice(&answer.body) {
            let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
            if let (Some(token), Some(refresh)) = (text("token"), text("refresh_token")) {
                self.hold(Some(&token), Some(&refresh));
            }
        }
    }

    /// What bearer mode gave: the access token.
    pub fn token(&self) -> Option<String> {
        self.token.lock().unwrap().clone()
    }

    /// What bearer mode gave: the refresh token.
    pub fn refresh_token(&self) -> Option<String> {
        self.refresh_token.lock().unwrap().clone()
    }

    /// Holds these tokens from now on.
    pub fn hold(&self, token: Option<&str>, refresh_token: Option<&str>) {
        *self.token.lock().unwrap() = token.map(str::to_owned);
        *self.refresh_token.lock().unwrap() = refresh_token.map(str::to_owned);
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    /// Holds this cookie from now on.
    pub fn hold_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    /// Somebody else who holds copies of all credentials: a thief.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            router: self.router.clone(),
            api: self.api.clone(),
            folder: self.folder.clone(),
            ip: self.ip,
            token: Mutex::new(self.token()),
            refresh_token: Mutex::new(self.refresh_token()),
            cookies: Mutex::new(self.cookies.lock().unwrap().clone()),
        }
    }

    /// The same visitor at another site, such as the same one after a restart.
    #[must_use]
    pub fn at(&self, site: &Site) -> Self {
        let (router, api, folder) = (site.router.clone(), site.api.clone(), site.folder.clone());
        Self { router, api, folder, ..self.copy() }
    }

    /// The same visitor from another address.
    #[must_use]
    pub fn from(self, ip: impl Into<IpAddr>) -> Self {
        Self { ip: ip.into(), ..self }
    }

    /// The id of the signed-in user.
    pub async fn user_id(&self) -> String {
        self.get("/profile").await.is_ok()["user"]["id"].as_str().unwrap().to_owned()
    }

    /// The id of the session.
    pub async fn session_id(&self) -> String {
        let sessions = self.get("/sessions").await.is_ok();
        let current =
            sessions["sessions"].as_array().unwrap().iter().find(|session| session["current"] == true);
        current.unwrap()["id"].as_str().unwrap().to_owned()
    }
}

/// An answer, with assertions on it.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The body, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as indented JSON for a snapshot, in which ids, times and secrets are named and not shown.
    pub fn redacted(&self) -> String {
        let mut body = self.json();
        redact(&mut body);
        serde_json::to_string_pretty(&body).unwrap()
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// All `Set-Cookie` lines.
    pub fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[track_caller]
    pub fn has_status(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// 200, and gives the body.
    #[track_caller]
    pub fn is_ok(&self) -> Value {
        self.has_status(200);
        self.json()
    }

    /// A problem with this code, in the form of the contract; gives it.
    #[track_caller]
    pub fn is_refused(&self, code: &str) -> Value {
        assert!(
            self.status.is_client_error() || self.status.is_server_error(),
            "{} {}",
            self.status,
            self.text()
        );
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!((&problem["success"], &problem["status"]), (&json!(false), &json!(self.status.as_u16())));
        assert!(
            !problem["message"].as_str().unwrap().is_empty()
                && !problem["request_id"].as_str().unwrap().is_empty()
        );
        problem
    }

    /// A redirect to this path.
    #[track_caller]
    pub fn goes_to(&self, path: &str) {
        self.has_status(303);
        assert_eq!(self.header("location"), Some(path));
    }
}

fn redact(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| match (name.as_str(), &value) {
            ("token" | "refresh_token", Value::String(_)) => *value = json!("[token]"),
            ("request_id", Value::String(_)) => *value = json!("[request id]"),
            (name, Value::String(_)) if name.ends_with("_at") || name == "at" => *value = json!("[time]"),
            ("id" | "next", Value::String(_)) => *value = json!("[id]"),
            (name, Value::String(_)) if name.ends_with("_id") => *value = json!("[id]"),
            _ => redact(value),
        }),
        _ => {}
    }
}
