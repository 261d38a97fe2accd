//! The real server, and the example beside it, for the tests of the examples.

mod http;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use http::ask;

const FEED_SECRET: &str = "a secret for the feed in tests: 01234";
const PASSWORD: &str = "a door is a promise";

/// A program that listens, and whose first output is its address.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let theirs = |name: &str| name.starts_with("DOORWARD") || name.starts_with("JWT_");
        for (name, _) in std::env::vars().filter(|(name, _)| theirs(name)) {
            command.env_remove(name);
        }
        command.env("DOORWARD_FEED_SECRET", FEED_SECRET);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("http://") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "it ended without saying where it listens");
        }
        // A full pipe would stop it.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let (_, url) = line.split_once("http://").unwrap();
        let address = url.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
        Self { child, address }
    }

    /// Status and body of an answer.
    pub(crate) fn asks(&self, method: &str, path: &str, token: Option<&str>, body: &Value) -> (u16, String) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        ask(&self.address, (method, path), token, "Content-Type: application/json\r\n", &body)
    }

    pub(crate) fn gets(&self, path: &str, token: Option<&str>) -> (u16, String) {
        self.asks("GET", path, token, &Value::Null)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A server with a feed, and the example that it protects.
pub(crate) struct Scene {
    pub(crate) server: Running,
    pub(crate) example: Running,
    folder: tempfile::TempDir,
}

impl Scene {
    /// With this example, a program that was built beside the server.
    pub(crate) fn with(example: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = doorward(example);
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path());
        let server = Running::start(command);
        let mut command = Command::new(example);
        command.arg("127.0.0.1:0").arg(format!("http://{}", server.address));
        Self { server, example: Running::start(command), folder }
    }

    /// Registers a user; returns the access token.
    pub(crate) fn registers(&self, name: &str) -> String {
        let email = format!("{}@example.org", name.to_lowercase());
        let body = json!({ "name": name, "email": email, "password": PASSWORD });
        self.token(self.server.asks("POST", "/register", None, &body))
    }

    /// Makes a user an admin by the command line, and signs in again.
    #[allow(dead_code, reason = "not every example has a route for admins")]
    pub(crate) fn admin(&self, example: &str, name: &str) -> String {
        self.registers(name);
        let email = format!("{}@example.org", name.to_lowercase());
        let mut command = doorward(example);
        command.args(["user", "role", &email, "admin", "--data"]).arg(self.folder.path());
        assert!(command.output().unwrap().status.success());
        let body = json!({ "email": email, "password": PASSWORD });
        self.token(self.server.asks("POST", "/login", None, &body))
    }

    fn token(&self, (status, body): (u16, String)) -> String {
        assert!(status < 300, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["token"].as_str().unwrap().to_owned()
    }

    /// Logs out at the server, and checks that the example refuses soon.
    pub(crate) fn logs_out(&self, path: &str, token: &str) {
        assert_eq!(self.server.asks("POST", "/logout", Some(token), &Value::Null).0, 200);
        let since = Instant::now();
        while self.example.gets(path, Some(token)).0 == 200 {
            assert!(since.elapsed() < Duration::from_secs(20), "a logout is not heard of");
        }
        let (status, body) = self.example.gets(path, Some(token));
        assert!(status == 401 && body.contains("session_ended"), "{status} {body}");
    }
}

/// The program beside the example; built if it doesn't exist.
fn doorward(example: &str) -> Command {
    let program = Path::new(example).with_file_name("doorward");
    if !program.exists() {
        let built = Command::new(env!("CARGO")).args(["build", "--package", "doorward-cli"]).status();
        assert!(built.unwrap().success() && program.exists(), "{} is missing", program.display());
    }
    Command::new(program)
}
