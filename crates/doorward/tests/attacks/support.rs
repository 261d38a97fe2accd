//! A server under attack, and what must be true afterwards.

use std::net::SocketAddr;

use doorward::testing::{Answer, Site, Visitor};
use http::Method;
use http::header::{AUTHORIZATION, COOKIE};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is sent to each kind of route: show oneself, show and change others, end sessions.
const ROUTES: [(&str, &str); 6] = [
    ("GET", "/profile"),
    ("GET", "/dashboard"),
    ("GET", "/sessions"),
    ("GET", "/admin/users"),
    ("DELETE", "/admin/users/{victim}"),
    ("POST", "/logout/all"),
];

/// A server with an admin, whose credential the attacks are about, and a user, whose account they would delete.
pub(crate) struct Target {
    pub(crate) site: Site,
    pub(crate) admin: Visitor,
    pub(crate) user: Visitor,
    victim: String,
    before: String,
}

impl Target {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let site = Site::with(settings).await;
        let admin = site.admin("ada").await;
        let user = site.logged_in("grace").await;
        let victim = user.user_id().await;
        let before = state(&site).await;
        Self { site, admin, user, victim, before }
    }

    /// Checks that every kind of route refuses this access token with the one answer for invalid tokens, in the header
    /// and in the cookie. It also ends nothing at the logout, which refuses nobody.
    pub(crate) async fn refuses(&self, token: impl AsRef<[u8]>) {
        let token = token.as_ref();
        self.refuses_as("token_invalid", token).await;
        for (name, value) in ways(token) {
            let answer = self.ask("POST", "/logout", &name, &value).await;
            assert_eq!(answer.json()["message"], "Logged out", "{}", String::from_utf8_lossy(&value));
        }
    }

    /// The same for a token that is refused for another reason, except for the logout.
    pub(crate) async fn refuses_as(&self, code: &str, token: impl AsRef<[u8]>) {
        for (name, value) in ways(token.as_ref()) {
            self.refuses_header(code, &name, &value).await;
        }
    }

    /// Checks that every kind of route refuses a request with this header.
    pub(crate) async fn refuses_header(&self, code: &str, name: &str, value: &[u8]) {
        for (method, path) in ROUTES {
            let answer = self.ask(method, &path.replace("{victim}", &self.victim), name, value).await;
            is_unauthorized(
                &answer,
                code,
                &format!("{method} {path} {name}: {}", String::from_utf8_lossy(value)),
            );
        }
    }

    /// One request of somebody without any other credential.
    pub(crate) async fn ask(&self, method: &str, path: &str, name: &str, value: &[u8]) -> Answer {
        let visitor = self.site.visitor();
        let request =
            visitor.request(Method::from_bytes(method.as_bytes()).unwrap(), path).header(name, value);
        visitor.send(request, "").await
    }

    /// Checks that nothing changed, and that the server still answers.
    pub(crate) async fn stands(&self) {
        assert_eq!(state(&self.site).await, self.before);
        self.stands_signed_in().await;
    }

    /// Checks that the server still answers, and knows the two as before.
    pub(crate) async fn stands_signed_in(&self) {
        self.admin.get("/admin/users").await.is_ok();
        self.user.get("/profile").await.is_ok();
    }
}

/// The header and the cookie that carry an access token. A value that would be two cookies goes only into the header.
fn ways(token: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut ways = vec![(AUTHORIZATION.to_string(), [b"Bearer ", token].concat())];
    if !token.contains(&b';') {
        ways.push((COOKIE.to_string(), [b"__Host-token=", token].concat()));
    }
    ways
}

/// Checks for a 401 in the form of the contract, which contains only its code, and clears nothing.
#[track_caller]
pub(crate) fn is_unauthorized(answer: &Answer, code: &str, asked: &str) {
    let message = match code {
        "token_missing" => "No token provided",
        "token_invalid" => "Invalid token",
        "token_expired" => "jwt expired",
        "token_stale" => "Token is out of date: refresh it",
        "session_ended" => "This session has ended",
        "ambiguous_cookies" => "Your browser holds two different sign-ins: sign out of both",
        other => panic!("no code of a token: {other}"),
    };
    let challenge = match code {
        "token_missing" | "ambiguous_cookies" => "Bearer",
        "token_expired" => "Bearer error=\"invalid_token\", error_description=\"jwt expired\"",
        _ => "Bearer error=\"invalid_token\"",
    };
    assert_eq!(answer.status.as_u16(), 401, "{asked}: {}", answer.text());
    let mut problem = answer.json();
    let request_id = problem.as_object_mut().unwrap().remove("request_id");
    assert!(request_id.is_some_and(|id| id.as_str().is_some_and(|id| id.len() == 24)), "{asked}");
    let expected = json!({
        "type": "about:blank", "title": "Unauthorized", "status": 401, "success": false, "code": code, "message": message,
    });
    assert_eq!(problem, expected, "{asked}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{asked}");
    assert_eq!(answer.header("www-authenticate"), Some(challenge), "{asked}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{asked}");
    assert!(
        answer.set_cookies().is_empty() || code == "session_ended",
        "{asked}: {:?}",
        answer.set_cookies()
    );
}

/// Everything that an attack could have changed.
pub(crate) async fn state(site: &Site) -> String {
    const MORE: [&str; 3] = [
        "SELECT id, ended_at, end_reason, expires_at, replays FROM sessions ORDER BY id",
        "SELECT session_id, user_id, reason FROM revocations ORDER BY session_id",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM audit_log",
    ];
    let mut state = site.stolen_database().await;
    for table in MORE {
        for row in site.app.store.list(table, Vec::new()).await.unwrap() {
            state += &format!("{row:?}\n");
        }
    }
    state
}

/// The members of a JWT's part, in their order, as JSON text each.
pub(crate) fn part(token: &str, at: usize) -> Vec<(String, String)> {
    let part = decode(token.split('.').nth(at).unwrap());
    let Value::Object(members) = serde_json::from_slice(&part).unwrap() else { panic!("no object") };
    members.into_iter().map(|(name, value)| (name, value.to_string())).collect()
}

/// base64url without padding.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a canonical base64url text.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Sends these bytes unchanged, and returns what comes back until the server closes. After a refusal the server may
/// reset the connection while the rest is still being sent.
pub(crate) async fn on_the_wire(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    stream.write_all(bytes).await.ok();
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}
