//! The restore of docs/guides/run-in-production.md, word by word: its commands run as they stand, on a view of the files
//! in which `/var/lib`, `/var/backups` and the user `doorward` are as the guide has them. A guard goes on running
//! meanwhile. `systemctl` is the one thing that the test does itself: it stops and starts the server.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use doorward_guard::{Denied, Guard};
use http::HeaderMap;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::support::{Answer, Home, Server, administer, programs_of_postgres, within};

const FEED_SECRET: &str = "a secret for the feed in tests: 01234";
/// Longer than a guard keeps away from a server that it has just asked.
const SOON: Duration = Duration::from_secs(30);

/// A machine as the guide has it.
struct Machine {
    view: Child,
    environment: Vec<(String, String)>,
    listen: String,
    server: Option<Server>,
    _folder: tempfile::TempDir,
}

impl Machine {
    /// `None` where no such view can be had.
    fn new(environment: Vec<(String, String)>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        for (name, line) in [
            ("passwd", "doorward:x:4711:4711::/var/lib/doorward:/usr/sbin/nologin"),
            ("group", "doorward:x:4711:"),
        ] {
            let before = std::fs::read_to_string(Path::new("/etc").join(name)).unwrap();
            std::fs::write(folder.path().join(name), format!("{}\n{line}\n", before.trim_end())).unwrap();
        }
        let script = "for name in passwd group; do mount --bind \"$name\" \"/etc/$name\"; done
            for folder in lib backups; do mount -t tmpfs -o mode=755 none \"/var/$folder\"; done
            mkdir /var/lib/bin
            touch /var/lib/bin/doorward
            mount --bind \"$0\" /var/lib/bin/doorward
            install -d -m 700 -o doorward -g doorward /var/lib/doorward
            echo ready
            exec cat";
        let mut view = Command::new("unshare")
            .args(["--mount", "sh", "-ec", script, env!("CARGO_BIN_EXE_doorward")])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(view.stdout.take()?).read_line(&mut line).unwrap();
        if line != "ready\n" {
            view.wait().unwrap();
            let line = "SKIPPED: the guide's restore. To run it too: as root, with unshare of util-linux\n";
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        Some(Self { view, environment, listen, server: None, _folder: folder })
    }

    fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(other, _)| other != name);
        self.environment.push((name.into(), value.into()));
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.view.id().to_string(), "--wd=/var/lib"]);
        let path = format!("/var/lib/bin:{}:/usr/sbin:/usr/bin:/sbin:/bin", programs_of_postgres().display());
        command.args(["sh", "-ec", script]).env_clear().env("PATH", path);
        command.envs(self.environment.iter().cloned()).stdin(Stdio::null());
        command
    }

    /// Runs commands of the guide; returns what they print.
    fn run(&mut self, commands: &str) -> String {
        let (mut before, mut out) = (Vec::new(), String::new());
        for line in commands.lines() {
            let act = line.strip_prefix("systemctl ");
            match act {
                None => before.push(line),
                Some(act) => {
                    out += &self.run_all(&before.join("\n"));
                    before.clear();
                    match act {
                        "stop doorward" => self.stop(),
                        "start doorward" => self.start(),
                        other => panic!("systemctl {other}"),
                    }
                }
            }
        }
        out + &self.run_all(&before.join("\n"))
    }

    fn run_all(&self, script: &str) -> String {
        let output = self.command(script).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(output.status.success(), "{script}\n{out}\n{err}");
        out
    }

    fn start(&mut self) {
        let script = format!(
            "exec setpriv --reuid=doorward --regid=doorward --init-groups doorward serve --data /var/lib/doorward --listen {} --set throttle.enabled=false",
            self.listen
        );
        let child = self.command(&script).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        self.server = Some(Server::of(child).started());
    }

    fn stop(&mut self) {
        self.server.take().unwrap().stop();
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.server = None;
        let _ = self.view.kill();
        let _ = self.view.wait();
    }
}

/// The commands of the guide's section, one text for each block.
struct Section {
    back_up: String,
    restore: String,
}

impl Section {
    fn of(engine: &str) -> Self {
        let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/run-in-production.md");
        let guide = std::fs::read_to_string(guide).unwrap();
        let section = guide.split_once("\n## Back up and restore\n").unwrap().1;
        let section = section.split_once("\n## ").unwrap().0;
        let blocks: Vec<&str> =
            section.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
        assert_eq!(blocks.len(), 4, "each block of the section is run: {blocks:?}");
        let of_engine: Vec<_> =
            blocks.iter().filter(|block| block.contains("DATABASE") == (engine == "postgres")).collect();
        assert_eq!(of_engine.len(), 2, "{blocks:?}");
        Self { back_up: (*of_engine[0]).to_owned(), restore: (*of_engine[1]).to_owned() }
    }
}

/// A guard in another program.
struct Application {
    runtime: Runtime,
    guard: Guard,
}

impl Application {
    fn of(machine: &Machine) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let guard = Guard::builder().server(format!("http://{}", machine.listen)).feed_secret(FEED_SECRET);
        let guard = runtime.block_on(guard.build()).unwrap();
        Self { runtime, guard }
    }

    fn verdict(&self, signed_in: &Answer) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {}", signed_in.token()).parse().unwrap());
        let verdict = self.runtime.block_on(self.guard.check(&headers));
        verdict.map_or_else(|refusal| Denied::Refused(refusal).code(), |_| "ok")
    }

    #[track_caller]
    fn soon(&self, signed_in: &Answer, verdict: &str) {
        within(SOON, || self.verdict(signed_in) == verdict);
    }
}

/// Who was there, and what they hold.
struct People {
    /// Signed out after the backup.
    ada: Answer,
    /// Did nothing after it.
    grace: Answer,
    /// Signed out everywhere after it.
    lin: Answer,
    /// Registered after it.
    joan: Answer,
}

/// A backup, a span that is lost, and a restore; with these options of `doorward restored`.
fn story(engine: &str, options: &str, check: impl Fn(&Machine, &Application, &People)) {
    let mut environment = vec![("DOORWARD_FEED_SECRET".to_owned(), FEED_SECRET.to_owned())];
    let databases = match engine {
        "postgres" => {
            let (home, restored) = (Home::new(), Home::new());
            let urls = [home, restored].map(|home| home.variable("DOORWARD_DATABASE"));
            if urls[0].is_empty() {
                return;
            }
            environment.push(("DOORWARD_SECRET".into(), "a root secret for tests: 0123456789".into()));
            environment.push(("DOORWARD_DATABASE".into(), urls[0].clone()));
            environment.push(("RESTORED_DATABASE".into(), urls[1].clone()));
            Some(urls)
        }
        _ => None,
    };
    let (section, Some(mut machine)) = (Section::of(engine), Machine::new(environment)) else { return };
    machine.start();
    let [ada, grace, lin] = ["ada", "grace", "lin"].map(|name| machine.server().register(name));
    machine.run(&section.back_up);
    let application = Application::of(&machine);
    let server = machine.server();
    let joan = server.register("joan");
    assert_eq!(server.post("/logout", &ada.token(), json!({})).status, 200);
    assert_eq!(server.post("/logout/all", &lin.token(), json!({})).status, 200);
    for (who, verdict) in [(&ada, "session_ended"), (&lin, "token_stale"), (&grace, "ok"), (&joan, "ok")] {
        application.soon(who, verdict);
    }

    if databases.is_some() {
        machine.stop();
    }
    let commands = section.restore.replace("doorward restored", &format!("doorward restored{options}"));
    let said = machine.run(&commands);
    assert!(said.contains("3 accounts are back"), "{said}");
    if let Some([lost, restored]) = databases {
        machine.set("DOORWARD_DATABASE", &restored);
        // No server and no command goes to it any more.
        let name = lost.rsplit_once('/').unwrap().1.split_once('?').unwrap().0.to_owned();
        administer(&restored, &format!("DROP DATABASE \"{name}\" WITH (FORCE)"));
        machine.start();
    }
    let led_at = Instant::now();
    within(SOON, || application.guard.health().stale_for < led_at.elapsed());
    check(&machine, &application, &People { ada, grace, lin, joan });
    let health = application.guard.health();
    assert!(health.problem.is_none() && !health.is_stale, "{health:?}");
}

fn everybody_signs_in_again(machine: &Machine, application: &Application, people: &People) {
    let People { ada, grace, lin, joan } = people;
    let server = machine.server();
    for who in [ada, grace, lin, joan] {
        assert_eq!(server.get("/profile", &who.token()).status, 401);
        assert_eq!(server.refresh(who).status, 401);
        within(SOON, || application.verdict(who) != "ok" && application.verdict(who) != "unavailable");
    }
    for name in ["ada", "grace", "lin"] {
        let again = server.login(name);
        assert_eq!(server.get("/profile", &again.token()).status, 200);
        application.soon(&again, "ok");
        assert_eq!(server.post("/logout", &again.token(), json!({})).status, 200);
        application.soon(&again, "session_ended");
    }
    assert_eq!(server.login("joan").status, 401);
}

fn sessions_go_on(machine: &Machine, application: &Application, people: &People) {
    let People { ada, grace, lin, .. } = people;
    let server = machine.server();
    assert_eq!(server.get("/profile", &grace.token()).status, 200);
    application.soon(grace, "ok");
    // The guard forgets nothing, whatever the database has forgotten; and new tokens are good there.
    assert_eq!(application.verdict(ada), "session_ended");
    assert_eq!(application.verdict(lin), "token_stale");
    let refreshed = server.refresh(lin);
    application.soon(&refreshed, "ok");
    application.soon(&server.login("ada"), "ok");
}

#[test]
fn after_the_guides_restore_no_token_of_before_is_good_and_applications_go_on() {
    for engine in ["sqlite", "postgres"] {
        story(engine, "", everybody_signs_in_again);
    }
}

#[test]
fn after_the_guides_restore_that_keeps_sessions_a_guard_forgets_nothing_and_new_tokens_are_good() {
    for engine in ["sqlite", "postgres"] {
        story(engine, " --keep-sessions", sessions_go_on);
    }
}
