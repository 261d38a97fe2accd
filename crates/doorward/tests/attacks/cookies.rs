//! Section K of the attack list: cookies and sessions.

mod attributes;
mod lifetimes;
mod picking;
mod planted;
mod secrets;
mod signing_in;

use doorward::testing::{Answer, PASSWORD, Visitor};
use serde_json::json;

const TOKEN: &str = "__Host-token";
const SESSION: &str = "__Host-sessionId";
const REFRESH: &str = "__Host-refresh_token";

/// Signs in as `NAME@example.org`, with the visitor's cookies.
async fn sign_in(visitor: &Visitor, name: &str, mode: &str) -> Answer {
    let body = json!({ "email": format!("{name}@example.org"), "password": PASSWORD, "mode": mode });
    visitor.post("/login", body).await
}

/// The visitor's name, as the server knows it.
async fn name_of(visitor: &Visitor) -> String {
    visitor.get("/profile").await.is_ok()["user"]["name"].as_str().unwrap().to_owned()
}
