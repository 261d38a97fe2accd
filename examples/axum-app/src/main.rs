//! An application that a Doorward elsewhere protects: users who are signed in there are accepted here, and no longer
//! than there.
//!
//! ```sh
//! axum-app 127.0.0.1:3000 http://127.0.0.1:8080    # its own address, and the server's
//! ```
//!
//! `DOORWARD_FEED_SECRET` is the server's.

use std::error::Error;

use axum::extract::{FromRef, State};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use doorward_guard::{Admin, Guard, Identity, Require};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use tokio::net::TcpListener;

#[derive(Clone)]
struct App {
    guard: Guard,
    client: reqwest::Client,
    server: String,
}

impl FromRef<App> for Guard {
    fn from_ref(app: &App) -> Self {
        app.guard.clone()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [address, server] = arguments.as_slice() else {
        return Err("expected two arguments: the address to listen on, and the URL of a Doorward".into());
    };
    let secret = std::env::var("DOORWARD_FEED_SECRET")?;
    // The listener starts only when every logout is known.
    let guard = Guard::builder().server(server).feed_secret(secret).build().await?;
    let app = App { guard, client: reqwest::Client::new(), server: server.trim_end_matches('/').into() };
    let routes = Router::new()
        .route("/", get(hello))
        .route("/dashboard", get(dashboard))
        .route("/numbers", get(numbers))
        .with_state(app);
    let listener = TcpListener::bind(address).await?;
    println!("Listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, routes).await?)
}

/// For everybody.
async fn hello(caller: Option<Identity>) -> &'static str {
    if caller.is_some() { "Hello again!" } else { "Hello, stranger!" }
}

#[derive(Deserialize)]
struct Profile {
    user: User,
}

#[derive(Deserialize)]
struct User {
    name: String,
}

/// For signed-in users. A token contains no name, so the application asks the server, with the caller's own credential.
async fn dashboard(
    _: Identity,
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<String, (StatusCode, &'static str)> {
    let unavailable = |_| (StatusCode::SERVICE_UNAVAILABLE, "The account server does not answer: try again");
    let mut request = app.client.get(format!("{}/profile", app.server));
    for name in [header::AUTHORIZATION, header::COOKIE] {
        if let Some(value) = headers.get(&name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.and_then(reqwest::Response::error_for_status).map_err(unavailable)?;
    let profile: Profile = answer.json().await.map_err(unavailable)?;
    Ok(format!("Welcome {}!", profile.user.name))
}

/// For admins: the guard's health, as one metric each.
async fn numbers(_: Require<Admin>, State(guard): State<Guard>) -> impl IntoResponse {
    let health = guard.health();
    Json([
        ("revocations", health.revocations as u64),
        ("keys", health.keys as u64),
        ("stale_for_seconds", health.stale_for.as_secs()),
        ("reconnects", health.reconnects),
    ])
}
