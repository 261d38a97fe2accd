//! The dashboard: `GET /dashboard` → {message: "Welcome NAME!", user}; as a page, the signed-in home with the devices.
//! `GET /` goes there.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use doorward_core::Refusal;
use doorward_guard::Identity;
use http::StatusCode;
use minijinja::context;
use minijinja::value::{Serde, Value};

use crate::app::App;
use crate::error::Result;
use crate::web::credential::go;
use crate::web::done::ready;
use crate::web::reader::Reader;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/dashboard", get(dashboard)).route("/", get(home))
}

async fn home(State(app): State<App>) -> Response {
    go(&app, "/dashboard")
}

async fn dashboard(State(app): State<App>, identity: Identity, reader: Reader) -> Result<Response> {
    let cached = app.users.cached(identity.user).await?.ok_or(Refusal::SessionEnded)?;
    let user = &cached.user;
    if !reader.is_person() {
        return Ok(ready(cached.welcome.clone()));
    }
    let sessions = app.sessions.list(identity.user, Some(identity.session)).await?;
    let (user, sessions) = (Value::from(Serde(user.shown())), Value::from(Serde(sessions)));
    Ok(app.pages.show("dashboard.html", StatusCode::OK, context! { user, sessions }))
}

#[cfg(test)]
mod tests;
