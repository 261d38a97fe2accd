//! Health: `GET /healthz` → 200 while the process answers. `GET /readyz` → 200 while the store answers too and nobody
//! asked the process to stop, else 503, so that a balancer sends its requests elsewhere.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::Result;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn readyz(State(app): State<App>) -> Result<Json<Value>> {
    app.ready().await?;
    Ok(Json(json!({ "status": "ready" })))
}

#[cfg(test)]
mod tests;
