//! Starts the example, and tests it over HTTP.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../support/http.rs"]
mod http;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use http::ask;
use serde_json::{Value, json};

const PASSWORD: &str = "a door is a promise";

/// The example, running in a folder of its own.
struct Example {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Example {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_example-embedded"));
        let theirs = |name: &str| name.starts_with("DOORWARD") || name.starts_with("JWT_");
        for (name, _) in std::env::vars().filter(|(name, _)| theirs(name)) {
            command.env_remove(name);
        }
        command.args(["127.0.0.1:0".as_ref(), folder.path().join("data").as_os_str()]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let (_, rest) = line.split_once("http://").unwrap();
        let address = rest.split(',').next().unwrap().to_owned();
        Self { child, address, _folder: folder }
    }

    /// Status and body of an answer.
    fn asks(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, String) {
        let site = if body == "from another site" { "Sec-Fetch-Site: cross-site\r\n" } else { "" };
        let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
        let headers = format!("{site}Content-Type: {kind}\r\n");
        ask(&self.address, (method, path), token, &headers, body)
    }

    fn registers(&self, email: &str) -> (u16, Value) {
        let body = json!({ "name": "Ada", "email": email, "password": PASSWORD });
        let (status, answer) = self.asks("POST", "/account/register", None, &body.to_string());
        (status, serde_json::from_str(&answer).unwrap())
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn whoever_is_signed_in_writes_as_many_notes_as_their_plan_allows() {
    let example = Example::start();
    let (status, problem) = example.registers("eve@example.com");
    assert_eq!((status, &problem["code"]), (403, &json!("refused_by_application")));
    assert_eq!(problem["message"], "Only addresses at example.org can register");

    let (status, ada) = example.registers("ada@example.org");
    assert_eq!(status, 201, "{ada}");
    let token = ada["token"].as_str().unwrap();
    for n in 1..=3 {
        let written = example.asks("POST", "/", Some(token), &format!("note {n}"));
        assert_eq!(written, (201, "Written".into()));
    }
    assert_eq!(example.asks("POST", "/", Some(token), "one more").0, 402);
    assert_eq!(example.asks("POST", "/", None, "a stranger's").0, 401);
    assert_eq!(example.asks("POST", "/", Some(token), "from another site").0, 403);
    let (_, notes) = example.asks("GET", "/", None, "");
    assert_eq!(serde_json::from_str::<Value>(&notes).unwrap().as_array().unwrap().len(), 3);

    assert_eq!(example.asks("POST", "/account/logout", Some(token), "").0, 200);
    let (status, refused) = example.asks("POST", "/", Some(token), "after the logout");
    assert_eq!(status, 401);
    assert!(refused.contains("session_ended"), "{refused}");
    assert_eq!(example.asks("GET", "/nowhere", None, "").0, 404);
}

#[test]
fn a_signal_ends_it_in_order() {
    let mut example = Example::start();
    assert_eq!(example.registers("ada@example.org").0, 201);
    let pid = example.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let mut rest = String::new();
    example.child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "Closed in order\n");
    assert!(example.child.wait().unwrap().success());
}
