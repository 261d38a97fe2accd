//! A wall of notes that embeds Doorward: accounts below /account, its own routes beside them.
//!
//! ```sh
//! cargo run -p example-embedded -- 127.0.0.1:3000 ./notes-data
//! ```
//!
//! Everybody reads the notes; signed-in users write some, as many as their plan allows. The plan is in the access
//! token. Only addresses at example.org may register.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use doorward::hooks::{Hooks, SigningIn, Veto};
use doorward::{Claims, Doorward, Guard};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_http::csrf::CsrfLayer;

/// The application's part of the access token, its claim `app`.
#[derive(Serialize, Deserialize)]
struct Plan {
    notes: usize,
}

/// The state of the application; whatever state has a guard can check requests.
#[derive(Clone)]
struct Wall {
    guard: Guard,
    notes: Arc<Mutex<Vec<Note>>>,
}

#[derive(Clone, Serialize)]
struct Note {
    user: String,
    text: String,
}

impl FromRef<Wall> for Guard {
    fn from_ref(wall: &Wall) -> Self {
        wall.guard.clone()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let listener = TcpListener::bind(arguments.next().as_deref().unwrap_or("127.0.0.1:3000")).await?;
    let address = listener.local_addr()?;

    let doorward = Doorward::builder()
        .environment()
        .data(arguments.next().as_deref().unwrap_or("./notes-data"))
        .setting("base_path", "/account")
        .setting("listen", address.to_string())
        .hooks(Hooks::new().before_register(only_ours).claims(|_user| async { Ok(Plan { notes: 3 }) }))
        .build()
        .await?;
    let wall = Wall { guard: doorward.guard(), notes: Arc::default() };
    let app = Router::new()
        .route("/", get(read).post(write))
        .layer(CsrfLayer::new()) // cookies are also sent with requests of other sites
        .with_state(wall)
        .merge(doorward.router())
        .into_make_service_with_connect_info::<SocketAddr>();

    println!("Notes are at http://{address}, accounts at http://{address}/account/login");
    axum::serve(listener, app).with_graceful_shutdown(stopped()).await?;
    doorward.close().await;
    println!("Closed in order");
    Ok(())
}

async fn only_ours(who: SigningIn) -> Result<(), Veto> {
    if who.email.as_str().ends_with("@example.org") {
        return Ok(());
    }
    Err(Veto::refuse("Only addresses at example.org can register"))
}

async fn read(State(wall): State<Wall>) -> Json<Vec<Note>> {
    Json(wall.notes.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// The handler runs only for signed-in callers. In session mode there is no token and no plan: one note.
async fn write(
    State(wall): State<Wall>,
    Claims(identity, plan): Claims<Plan>,
    text: String,
) -> (StatusCode, &'static str) {
    let (user, most) = (identity.user.to_string(), plan.map_or(1, |plan| plan.notes));
    let mut notes = wall.notes.lock().unwrap_or_else(PoisonError::into_inner);
    if notes.iter().filter(|note| note.user == user).count() >= most {
        return (StatusCode::PAYMENT_REQUIRED, "Your plan allows no more notes");
    }
    notes.push(Note { user, text: text.chars().take(200).collect() });
    (StatusCode::CREATED, "Written")
}

/// Completes when the process is asked to stop.
async fn stopped() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => std::future::pending().await,
    }
}
