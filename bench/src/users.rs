//! Users of a server under test, registered over HTTP.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::Result;
use crate::http::{Answer, Connection, post};
use crate::server::Server;

/// Everybody's password.
const PASSWORD: &str = "correct horse battery staple";

/// How a user's credential travels.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    /// In `Authorization`.
    Bearer,
    /// A token in a cookie.
    Cookie,
    /// A session secret in a cookie.
    Session,
}

/// Registers user `number` and gives the header line that proves who it is.
pub(crate) fn register(server: &Server, number: usize, mode: Mode) -> Result<String> {
    let name = match mode {
        Mode::Bearer => "bearer",
        Mode::Cookie => "cookie",
        Mode::Session => "session",
    };
    let mut connection = Connection::open(server.address)?;
    let answer = connection.exchange(&registration(number, name))?;
    let credential = match mode {
        _ if answer.status != "201" => None,
        Mode::Bearer => bearer(&answer),
        Mode::Cookie => cookie(&answer, "token="),
        Mode::Session => cookie(&answer, "sessionId="),
    };
    credential.ok_or_else(|| format!("/register in {name} mode: {} {}", answer.status, answer.body).into())
}

/// Registers user `number` in bearer mode and gives the answer.
pub(crate) fn registered(address: SocketAddr, number: usize) -> Result<Value> {
    let mut connection = Connection::open(address)?;
    let answer = connection.exchange(&registration(number, "bearer"))?;
    match answer.status {
        "201" => Ok(serde_json::from_str(answer.body)?),
        _ => Err(format!("/register: {} {}", answer.status, answer.body).into()),
    }
}

fn registration(number: usize, mode: &str) -> Vec<u8> {
    post("/register", &json!({ "name": "Ada", "email": email(number), "password": PASSWORD, "mode": mode }))
}

/// The request by which user `number` signs in.
pub(crate) fn login(number: usize) -> Vec<u8> {
    post("/login", &json!({ "email": email(number), "password": PASSWORD }))
}

fn email(number: usize) -> String {
    format!("user{number}@example.org")
}

/// The header line of the user who has signed in.
pub(crate) fn bearer(answer: &Answer<'_>) -> Option<String> {
    token(answer).map(|token| format!("Authorization: Bearer {token}"))
}

fn token(answer: &Answer<'_>) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(answer.body).ok()?;
    body.get("token")?.as_str().map(str::to_owned)
}

fn cookie(answer: &Answer<'_>, prefix: &str) -> Option<String> {
    let set = answer.headers("set-cookie").find(|cookie| cookie.starts_with(prefix) && cookie.len() > 32)?;
    set.split(';').next().map(|pair| format!("Cookie: {pair}"))
}
