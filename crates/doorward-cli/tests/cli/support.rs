//! A home for one installation, the program run in it, and a visitor who speaks just enough HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

/// The password of every user who needs no other.
pub(crate) const PASSWORD: &str = "a door is a promise";
/// Longer than anything takes here, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The second within which a running server follows, and another one for a busy machine.
const A_SECOND: Duration = Duration::from_secs(2);

/// A folder, and a database in it or on the PostgreSQL server of the test run.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Home {
    /// An empty home, on PostgreSQL if there is one.
    pub(crate) fn new() -> Self {
        let mut home = Self::sqlite();
        if let Ok(server) = std::env::var("DOORWARD_TEST_POSTGRES") {
            let name =
                format!("cli_{}", home.folder.path().file_name().unwrap().to_string_lossy().replace('.', ""));
            administer(&server, &format!("CREATE DATABASE \"{name}\""));
            let url = server.replace("/postgres?", &format!("/{name}?"));
            home = home.with("DOORWARD_DATABASE", &url);
            home = home.with("DOORWARD_SECRET", "a root secret for tests: 0123456789");
        }
        home
    }

    /// An empty home on SQLite.
    pub(crate) fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    /// With this variable set for every run.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// With this variable unset.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(set, _)| set != name);
        self
    }

    /// The value of a variable; the last one counts.
    pub(crate) fn variable(&self, name: &str) -> String {
        self.environment
            .iter()
            .rfind(|(set, _)| set == name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    }

    /// With this appended to a variable.
    pub(crate) fn extend(self, name: &str, more: &str) -> Self {
        let value = self.variable(name) + more;
        self.with(name, &value)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, "")
    }

    /// Runs a command with this on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Run {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // A command that doesn't read it may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs a command after a shell has mounted something, in a private view of the files, with one more variable. If
    /// this machine allows no such view, prints that and returns `None`.
    pub(crate) fn run_mounted(&self, prepared: &str, variable: &str, arguments: &[&str]) -> Option<Run> {
        let unshare = |script: &str| {
            let mut command = self.command(arguments);
            let program = command.get_program().to_owned();
            let given: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
            let mut outer = Command::new("unshare");
            outer.args(["--mount", "sh", "-ec", script]).arg(program).args(given);
            outer.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
            outer.envs(self.environment.iter().cloned()).current_dir(self.path());
            command = outer;
            command.stdin(Stdio::null()).output().ok()
        };
        if !unshare("mount -t tmpfs none /mnt").is_some_and(|tried| tried.status.success()) {
            let line =
                "SKIPPED: files on mounts of their own. To run it too: as root, with unshare of util-linux\n";
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        let output = unshare(&format!("{prepared}\nexport {variable}\nexec \"$0\" \"$@\"")).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Some(Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
    }

    /// Starts a server whose data folder is a small disk of its own, of this many megabytes. If this machine allows no
    /// such view of the files, prints that and returns `None`.
    pub(crate) fn serve_on_a_disk(&self, megabytes: u32, arguments: &[&str]) -> Option<Server> {
        self.run_mounted("true", "A=b", &["completions", "bash"])?;
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let program = self.command(&arguments);
        let script = format!(
            "mkdir -p data && mount -t tmpfs -o mode=0700,size={megabytes}m none data && exec \"$0\" \"$@\""
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", &script]).arg(program.get_program()).args(program.get_args());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.environment.iter().cloned()).current_dir(self.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Some(Server::of(command.spawn().unwrap()).started())
    }

    /// Runs a command in this server's view of the files.
    pub(crate) fn run_beside(&self, server: &Server, arguments: &[&str]) -> Run {
        let program = self.command(arguments);
        let mut command = Command::new("nsenter");
        command.args([
            "--mount",
            "--target",
            &server.child.id().to_string(),
            "sh",
            "-ec",
            "cd \"$0\"; exec \"$@\"",
        ]);
        command.arg(self.path()).arg(program.get_program()).args(program.get_args());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.environment.iter().cloned()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs a copy of the program as another user, with one more variable. If that user can't reach the folder, prints
    /// that and returns `None`.
    pub(crate) fn run_as(&self, user: u32, variable: &str, arguments: &[&str]) -> Option<Run> {
        let program = self.path().join("doorward");
        if !program.exists() {
            std::fs::copy(env!("CARGO_BIN_EXE_doorward"), &program).unwrap();
        }
        let (name, value) = variable.split_once('=').unwrap();
        let mut command = Command::new("./doorward");
        command.env_clear().env(name, value).current_dir(self.path()).args(arguments);
        let output = command.args(["--data", "data"]).uid(user).gid(user).stdin(Stdio::null()).output();
        let Ok(output) = output else {
            let line = "SKIPPED: files of several users: the temporary folder is closed to others\n";
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        };
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Some(Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
    }

    /// The program in this home, with none of the environment of the test run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        let theirs = |name: &str| name.starts_with("DOORWARD") || name.starts_with("JWT_");
        for (name, _) in std::env::vars().filter(|(name, _)| theirs(name)) {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().cloned()).env_remove("COLUMNS").current_dir(self.path());
        command.args(arguments).args(["--data", "data"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a server on a free port.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        self.starting(&arguments).started()
    }

    /// Starts a server that may not listen for a while.
    pub(crate) fn starting(&self, arguments: &[&str]) -> Server {
        Server::of(self.command(arguments).stdin(Stdio::null()).spawn().unwrap())
    }

    /// Starts a server whose log goes there.
    pub(crate) fn serve_logging_to(&self, log: impl Into<Stdio>, arguments: &[&str]) -> Server {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        Server::of(self.command(&arguments).stdin(Stdio::null()).stderr(log).spawn().unwrap()).started()
    }

    /// Makes an account with the usual password.
    pub(crate) fn create(&self, name: &str, role: &str) {
        let email = format!("{name}@example.org");
        let arguments =
            ["user", "create", "--email", &email, "--name", name, "--role", role, "--password-stdin"];
        self.run_with(&arguments, PASSWORD).ok();
    }
}

/// The folder of PostgreSQL's newest programs.
pub(crate) fn programs_of_postgres() -> PathBuf {
    let mut all: Vec<_> = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().collect();
    all.sort_by_key(std::fs::DirEntry::file_name);
    all.pop().map(|newest| newest.path().join("bin")).unwrap_or_default()
}

pub(crate) fn administer(server: &str, sql: &str) {
    drop(asked(server, sql));
}

/// What the PostgreSQL server at this URL answers: the first value of the first row, or nothing.
pub(crate) fn asked(server: &str, sql: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        // A server that lives on the same tables may be in the way of what drops them.
        let answer = loop {
            match client.simple_query(sql).await {
                Err(error)
                    if error.code() == Some(&tokio_postgres::error::SqlState::T_R_DEADLOCK_DETECTED) => {}
                answer => break answer.unwrap(),
            }
        };
        drop(client);
        connection.await.unwrap().unwrap();
        let row = answer.into_iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        row.unwrap_or_default()
    })
}

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// Asserts success; returns the output.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        self.out
    }

    /// Asserts success, and that the output is only JSON.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// Asserts that it prints `error:` with this, then `hint:` with that, and nothing else.
    #[track_caller]
    pub(crate) fn fails(self, problem: &str, hint: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{self:?}");
        let lines: Vec<&str> = self.err.lines().collect();
        assert!(lines[0].starts_with("error: ") && lines[0].contains(problem), "{problem:?} in {self:?}");
        assert!(
            hint.is_empty() || lines[1].starts_with("hint: ") && lines[1].contains(hint),
            "{hint:?} in {self:?}"
        );
        assert_eq!(lines.len(), if hint.is_empty() { 1 } else { 2 }, "{self:?}");
    }
}

/// A running server. It is killed if a test forgets it.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    out: Receiver<String>,
    log: Receiver<String>,
}

impl Server {
    #[track_caller]
    pub(crate) fn of(mut child: Child) -> Self {
        let out = lines(child.stdout.take().unwrap());
        let log = child.stderr.take().map_or_else(|| lines(std::io::empty()), lines);
        Self { child, address: String::new(), out, log }
    }

    /// Waits until it listens.
    #[track_caller]
    pub(crate) fn started(mut self) -> Self {
        let first = self
            .out
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("no start: {:?}", self.log.iter().collect::<Vec<_>>()));
        first
            .split_once("http://")
            .unwrap()
            .1
            .split(['/', ' '])
            .next()
            .unwrap()
            .clone_into(&mut self.address);
        self
    }

    /// A path as this server sees it.
    pub(crate) fn sees(&self, path: &Path) -> PathBuf {
        Path::new("/proc")
            .join(self.child.id().to_string())
            .join("root")
            .join(path.strip_prefix("/").unwrap())
    }

    /// The next line on standard output.
    pub(crate) fn line(&self) -> String {
        self.out.recv_timeout(PATIENCE).unwrap()
    }

    /// The lines of the log until one has this.
    pub(crate) fn log_until(&self, text: &str) -> Vec<String> {
        let mut lines = vec![self.log.recv_timeout(PATIENCE).unwrap()];
        while !lines.last().unwrap().contains(text) {
            lines.push(self.log.recv_timeout(PATIENCE).unwrap());
        }
        lines
    }

    /// Waits until the log says this.
    pub(crate) fn logged(&self, text: &str) {
        while !self.log.recv_timeout(PATIENCE).unwrap().contains(text) {}
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Stops it gracefully; returns all that it has printed since, output and log.
    pub(crate) fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        assert_eq!(self.code(), Some(0));
        self.out.iter().chain(self.log.iter()).map(|line| line + "\n").collect()
    }

    /// The exit code, once it has ended.
    pub(crate) fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Kills it, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        send(&self.address, "GET", path, token, None).unwrap()
    }

    pub(crate) fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        send(&self.address, "POST", path, token, Some(body)).unwrap()
    }

    /// Sends the same request over and over, on a few connections that stay open; returns how many answers came.
    pub(crate) fn flood(&self, request: &str, times: usize) -> usize {
        const CONNECTIONS: usize = 4;
        const AT_ONCE: usize = 50;
        let rounds = times / CONNECTIONS / AT_ONCE;
        let batch = &request.repeat(AT_ONCE);
        let streams: Vec<_> = (0..CONNECTIONS).map(|_| self.connect()).collect();
        let one = &|mut stream: TcpStream| {
            let (mut answers, mut bytes) = (0, vec![0; 65_536]);
            let mut held = Vec::new();
            for round in 1..=rounds {
                stream.write_all(batch.as_bytes()).unwrap();
                while answers < round * AT_ONCE {
                    let read = stream.read(&mut bytes).unwrap_or(0);
                    if read == 0 {
                        return answers;
                    }
                    held.extend_from_slice(&bytes[..read]);
                    answers += held.windows(9).filter(|at| at == b"HTTP/1.1 ").count();
                    // What may be the beginning of the next.
                    held.drain(..held.len().saturating_sub(8));
                }
            }
            answers
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                streams.into_iter().map(|stream| scope.spawn(move || one(stream))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        })
    }

    pub(crate) fn login(&self, name: &str) -> Answer {
        self.post("/login", "", json!({ "email": format!("{name}@example.org"), "password": PASSWORD }))
    }

    /// Registers a user; returns the answer with the tokens.
    pub(crate) fn register(&self, name: &str) -> Answer {
        let email = format!("{name}@example.org");
        let answer =
            self.post("/register", "", json!({ "name": name, "email": email, "password": PASSWORD }));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    }

    /// Uses the refresh token that came with this sign-in.
    pub(crate) fn refresh(&self, signed_in: &Answer) -> Answer {
        self.post("/refresh", "", serde_json::json!({ "refresh_token": signed_in.body["refresh_token"] }))
    }

    /// Waits until `GET /profile` with this token is answered so; a second is enough.
    #[track_caller]
    pub(crate) fn soon(&self, token: &str, code: &str) {
        let start = Instant::now();
        loop {
            let answer = self.get("/profile", token);
            if answer.code() == code {
                return;
            }
            assert!(start.elapsed() < A_SECOND, "no {code} within a second: {answer:?}");
        }
    }
}

/// Waits until it holds; a second is enough.
#[track_caller]
pub(crate) fn within_a_second(holds: impl Fn() -> bool) {
    within(A_SECOND, holds);
}

/// Waits until it holds. How soon is not what the test is about.
#[track_caller]
pub(crate) fn within(span: Duration, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < span, "not within {span:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads lines as they come, so that the program never waits for its reader.
pub(crate) fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// An answer of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `X-Request-Id`, if it has one.
    pub(crate) request_id: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn token(&self) -> String {
        self.body["token"].as_str().unwrap().to_owned()
    }

    /// The error's code, or "ok".
    pub(crate) fn code(&self) -> &str {
        let code = self.body.get("code").or(self.body.get("error"));
        if self.status < 400 { "ok" } else { code.and_then(Value::as_str).unwrap_or_default() }
    }
}

/// Sends one request on a connection of its own.
pub(crate) fn send(
    address: &str,
    method: &str,
    path: &str,
    token: &str,
    body: Option<Value>,
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let bearer = match token {
        "" => String::new(),
        // With a scheme of its own.
        whole if whole.contains(' ') => format!("Authorization: {whole}\r\n"),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAccept: application/json\r\n{bearer}\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    read_answer(&mut stream)
}

/// Reads the answer to the end of the connection.
pub(crate) fn read_answer(stream: &mut TcpStream) -> std::io::Result<Answer> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let cut_off = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut_off)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut_off)?;
    let header = |name: &str| {
        head.lines()
            .find_map(|line| line.to_lowercase().strip_prefix(name).map(|value| value.trim().to_owned()))
    };
    let length = header("content-length:").and_then(|length| length.parse().ok());
    if length.is_some_and(|length: usize| body.len() < length) {
        return Err(cut_off());
    }
    let request_id = header("x-request-id:").unwrap_or_default();
    Ok(Answer { status, request_id, body: serde_json::from_str(body).unwrap_or_default() })
}
