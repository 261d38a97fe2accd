//! The visitors in tests, and what they send.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::canaries::Canaries;
use super::{Answer, Api, Site};

/// A visitor: a client with a cookie jar, and the tokens of bearer mode.
pub struct Visitor {
    router: Router,
    /// What every answer is compared with.
    api: Arc<Api>,
    /// What no flow may contain.
    canaries: Arc<Canaries>,
    /// Kept while there is a visitor, even if a test drops the site.
    folder: Arc<tempfile::TempDir>,
    pub ip: IpAddr,
    token: Mutex<Option<String>>,
    refresh_token: Mutex<Option<String>>,
    cookies: Mutex<BTreeMap<String, String>>,
    /// Whether their JSON to admin routes has their password in it, so that each act is confirmed.
    confirms: bool,
}

impl Visitor {
    pub(super) fn new(site: &Site) -> Self {
        Self {
            router: site.router.clone(),
            api: site.api.clone(),
            canaries: site.canaries.clone(),
            folder: site.folder.clone(),
            ip: [192, 0, 2, 1].into(),
            token: Mutex::default(),
            refresh_token: Mutex::default(),
            cookies: Mutex::default(),
            confirms: false,
        }
    }

    /// The same visitor, who sends their password with every act of an admin; or who doesn't.
    #[must_use]
    pub fn confirming(self, confirms: bool) -> Self {
        Self { confirms, ..self }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path), Body::empty()).await
    }

    /// Requests a page as a browser does.
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
        let (request, mut body) = (self.request(method, path), body);
        if self.confirms && path.starts_with("/admin/") {
            if body.is_null() {
                body = json!({});
            }
            if let Value::Object(fields) = &mut body {
                fields.entry("current_password").or_insert_with(|| super::PASSWORD.into());
            }
        }
        if body.is_null() {
            return self.send(request, Body::empty()).await;
        }
        self.send(request.header(header::CONTENT_TYPE, "application/json"), body.to_string()).await
    }

    /// Sends one of Doorward's forms as a browser does.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .request(Method::POST, path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.send(request, body).await
    }

    /// Refreshes with the visitor's tokens or cookies, and keeps the new ones.
    pub async fn refresh(&self) -> Answer {
        match self.refresh_token() {
            Some(token) => self.post("/refresh", json!({ "refresh_token": token })).await,
            None => self.post("/refresh", Value::Null).await,
        }
    }

    /// A request with the visitor's credentials.
    pub fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1");
        let cookies = self.cookies.lock().unwrap();
        let line =
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        if !line.is_empty() {
            request = request.header(header::COOKIE, line);
        }
        if let Some(token) = self.token() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request
    }

    /// Sends it, and keeps the credentials of the answer. Fails if the document of the API doesn't have the answer.
    pub async fn send(&self, request: http::request::Builder, body: impl Into<Body>) -> Answer {
        let mut request = request.body(body.into()).unwrap();
        // A body that is there as a whole; others arrive bit by bit.
        let mut sent = Bytes::new();
        if request.body().size_hint().exact().is_some_and(|size| size < 100_000) {
            let (parts, body) = request.into_parts();
            sent = body.collect().await.unwrap().to_bytes();
            request = Request::from_parts(parts, Body::from(sent.clone()));
        }
        self.canaries.sends(request.uri(), request.headers(), &sent);
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(self.ip, 4711)));
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let answer = Answer { status: parts.status, headers: parts.headers, body: body.to_vec() };
        self.api.check(&method, &path, &answer);
        self.canaries.receives(&answer);
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

    /// The access token of bearer mode.
    pub fn token(&self) -> Option<String> {
        self.token.lock().unwrap().clone()
    }

    /// The refresh token of bearer mode.
    pub fn refresh_token(&self) -> Option<String> {
        self.refresh_token.lock().unwrap().clone()
    }

    /// Uses these tokens from now on.
    pub fn hold(&self, token: Option<&str>, refresh_token: Option<&str>) {
        *self.token.lock().unwrap() = token.map(str::to_owned);
        *self.refresh_token.lock().unwrap() = refresh_token.map(str::to_owned);
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    /// Uses this cookie from now on.
    pub fn hold_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    /// A thief: another visitor with copies of all credentials.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            router: self.router.clone(),
            api: self.api.clone(),
            canaries: self.canaries.clone(),
            folder: self.folder.clone(),
            ip: self.ip,
            token: Mutex::new(self.token()),
            refresh_token: Mutex::new(self.refresh_token()),
            cookies: Mutex::new(self.cookies.lock().unwrap().clone()),
            confirms: self.confirms,
        }
    }

    /// The same visitor at another site, such as the same one after a restart.
    #[must_use]
    pub fn at(&self, site: &Site) -> Self {
        let (router, api, folder) = (site.router.clone(), site.api.clone(), site.folder.clone());
        Self { router, api, folder, canaries: site.canaries.clone(), ..self.copy() }
    }

    /// The same visitor from another address.
    #[must_use]
    pub fn from(self, ip: impl Into<IpAddr>) -> Self {
        Self { ip: ip.into(), ..self }
    }

    /// Checks that the session has ended together with others of its user. A session secret gets that answer; access
    /// tokens are stale, and the refresh says why.
    pub async fn ended_with_others(&self) {
        let answer = self.copy().get("/profile").await;
        let in_cookie = self.cookies.lock().unwrap().keys().any(|name| name.ends_with("refresh_token"));
        if in_cookie || self.refresh_token().is_some() {
            answer.has_status(401).is_refused("token_stale");
            assert!(answer.set_cookies().is_empty(), "{:?}", answer.set_cookies());
            self.copy().refresh().await.has_status(401).is_refused("session_ended");
        } else {
            answer.has_status(401).is_refused("session_ended");
        }
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
