//! Health: `GET /healthz` → 200 while the process answers. `GET /readyz` → 200 while the store answers too and the
//! process was not asked to stop, otherwise 503, so that a load balancer sends requests elsewhere. `room` is false
//! while the disk is nearly full: most writes are refused then, and reads go on.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::Result;
use crate::web::api::{Routes, Who, describe};
use crate::web::feature::Feature;
use crate::wire::shape::{and_maybe, exactly, object};

pub(crate) const FEATURE: Feature = Feature::new("health", routes);

fn routes() -> Routes {
    let status = |word: &str| object([("status", exactly(word))]);
    let (alive, ready) = (
        describe("Whether the process answers", Who::Anybody),
        describe("Whether the store answers too", Who::Anybody),
    );
    Routes::of("Operation").get("/healthz", healthz, alive.json(200, "it does", status("ok"))).get(
        "/readyz",
        readyz,
        ready.json(200, "it does", and_maybe(status("ready"), [("room", exactly(false))])),
    )
}

async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn readyz(State(app): State<App>) -> Result<Json<Value>> {
    app.ready().await?;
    Ok(Json(match app.disk.has_room() {
        Ok(()) => json!({ "status": "ready" }),
        Err(_) => json!({ "status": "ready", "room": false }),
    }))
}

#[cfg(test)]
mod tests;
