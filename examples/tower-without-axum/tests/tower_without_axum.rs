//! Starts a server and the example, and tests both over HTTP.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../support/server.rs"]
mod server;

use server::Scene;

#[test]
fn the_layer_lets_in_who_is_signed_in_at_the_server_until_they_log_out_there() {
    let scene = Scene::with(env!("CARGO_BIN_EXE_tower-without-axum"));
    let (status, body) = scene.example.gets("/", None);
    assert!(status == 401 && body.contains("token_missing"), "{status} {body}");
    let ada = scene.registers("Ada");
    let (status, body) = scene.example.gets("/any/path", Some(&ada));
    assert!(status == 200 && body.starts_with("You are user 0"), "{status} {body}");
    scene.logs_out("/", &ada);
}
