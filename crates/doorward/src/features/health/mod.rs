//! Health: `GET /healthz` → 200 while the process answers. `GET /readyz` → 200 while the store answers too and the
//! process was not asked to stop, otherwise 503, so that a load balancer sends requests elsewhere. `room` is false
//! while the disk is nearly full: most writes are refused then, and reads go on.
//!
//! On PostgreSQL, a node whose store can't be reached is ready for `readyz.unreachable_after`, and says `writes` false:
//! checks go on, and a restart or failover of the store takes no node off. A node whose store answers and has refused
//! writes for 5 seconds is not ready: it may be connected to the wrong server. Nor is one whose clock is more than 30
//! seconds off the store's.

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
        ready.json(
            200,
            "it does",
            and_maybe(status("ready"), [("room", exactly(false)), ("writes", exactly(false))]),
        ),
    )
}

async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn readyz(State(app): State<App>) -> Result<Json<Value>> {
    let takes_writes = app.ready().await?;
    let lacks = |name: &str, is_there: bool| (!is_there).then(|| (name.to_owned(), json!(false)));
    let lacking = [lacks("room", app.disk.has_room().is_ok()), lacks("writes", takes_writes)];
    let status = [("status".to_owned(), json!("ready"))];
    Ok(Json(status.into_iter().chain(lacking.into_iter().flatten()).collect()))
}

#[cfg(test)]
mod tests;
