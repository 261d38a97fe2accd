//! Starts a server and the example, and tests both over HTTP.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../support/server.rs"]
mod server;

use server::Scene;

const EXAMPLE: &str = env!("CARGO_BIN_EXE_axum-app");

#[test]
fn who_is_signed_in_at_the_server_is_welcome_here_until_they_log_out_there() {
    let scene = Scene::with(EXAMPLE);
    let app = &scene.example;
    assert_eq!(app.gets("/", None), (200, "Hello, stranger!".into()));
    let (status, body) = app.gets("/dashboard", None);
    assert!(status == 401 && body.contains("token_missing"), "{status} {body}");

    let ada = scene.registers("Ada");
    assert_eq!(app.gets("/", Some(&ada)), (200, "Hello again!".into()));
    assert_eq!(app.gets("/dashboard", Some(&ada)), (200, "Welcome Ada!".into()));
    let (status, body) = app.gets("/numbers", Some(&ada));
    assert!(status == 403 && body.contains("forbidden"), "{status} {body}");
    let root = scene.admin(EXAMPLE, "Root");
    let (status, body) = app.gets("/numbers", Some(&root));
    assert!(status == 200 && body.contains(r#"["keys",1]"#), "{status} {body}");

    scene.logs_out("/dashboard", &ada);
    assert_eq!(app.gets("/dashboard", Some(&root)), (200, "Welcome Root!".into()));
}
