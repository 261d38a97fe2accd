//! A pooler between the server and PostgreSQL: Debian's pgbouncer, with two servers behind it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::support::{Home, PASSWORD, Server, send};

/// A user without rights, since pgbouncer refuses to run as root.
const NOBODY: u32 = 65_534;

/// A pgbouncer in front of the server that `DOORWARD_TEST_POSTGRES` names. It is killed at the end of its test.
struct Pooler {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pooler {
    /// Starts one with these lines in its settings. If the machine has no PostgreSQL or no pgbouncer, prints that and
    /// returns `None`.
    fn start(lines: &str) -> Option<Self> {
        let server = std::env::var("DOORWARD_TEST_POSTGRES").ok();
        let (Some(server), Some(program)) = (server, program()) else {
            let line = "SKIPPED: behind a pooler. To run it too: apt-get install -y pgbouncer, and scripts/with-postgres cargo test …";
            // Not eprintln, which the test harness swallows.
            std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
            return None;
        };
        (0..10).find_map(|_| Self::on_some_port(&server, &program, lines)).or_else(|| panic!("no free port"))
    }

    fn on_some_port(server: &str, program: &PathBuf, lines: &str) -> Option<Self> {
        let rest = server.strip_prefix("postgres://").unwrap();
        let (login, place) = rest.split_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        let (host, port) = place.split_once('/').unwrap().0.split_once(':').unwrap();
        let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={host} port={port} user={user} password={password}\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {own}\nunix_socket_dir =\nauth_type = any\n{lines}\n"
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program);
        if rustix::process::geteuid().is_root() {
            for path in [folder.path(), &file] {
                std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut child =
            command.arg(&file).stdin(Stdio::null()).stderr(Stdio::piped()).current_dir("/").spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut log =
            log.inspect(|line| assert!(!line.contains("FATAL") || line.contains("listen"), "{line}"));
        let listens = log.any(|line| line.contains(&format!("listening on 127.0.0.1:{own}")));
        let pooler = Self { child, port: own, _folder: folder };
        // Its output must be read, or pgbouncer waits.
        std::thread::spawn(move || log.for_each(drop));
        listens.then_some(pooler)
    }

    /// A home whose database is reached through this.
    fn home(&self, parameters: &str) -> Home {
        let home = Home::new();
        let url = home.variable("DOORWARD_DATABASE");
        let name = url.rsplit_once('/').unwrap().1.split('?').next().unwrap().to_owned();
        let url = format!("postgres://doorward:x@127.0.0.1:{}/{name}?sslmode=disable{parameters}", self.port);
        home.with("DOORWARD_DATABASE", &url)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    let folders = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    folders.split(':').map(|folder| PathBuf::from(folder).join("pgbouncer")).find(|file| file.exists())
}

/// What the owner of a right password and a fresh token must get, at both servers, again and again and all at once.
fn everybody_gets_what_is_theirs(servers: &[Server]) {
    std::thread::scope(|scope| {
        for (at, server) in servers.iter().enumerate() {
            for who in 0..4 {
                let address = server.address.clone();
                scope.spawn(move || a_day_of(&address, &format!("ada{at}{who}")));
            }
        }
    });
}

fn a_day_of(address: &str, name: &str) {
    let ask = |method, path, token: &str, body| send(address, method, path, token, Some(body)).unwrap();
    let person = json!({ "name": name, "email": format!("{name}@example.org"), "password": PASSWORD });
    let mut answer = ask("POST", "/register", "", person.clone());
    assert_eq!(answer.status, 201, "{answer:?}");
    for _ in 0..6 {
        let shown = send(address, "GET", "/profile", &answer.token(), None).unwrap();
        assert_eq!(shown.body["user"]["name"], name, "{shown:?}");
        answer = ask("POST", "/refresh", "", json!({ "refresh_token": answer.body["refresh_token"] }));
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = json!({ "email": person["email"], "password": PASSWORD });
        let again = ask("POST", "/login", "", body);
        assert_eq!(again.status, 200, "{again:?}");
        assert_eq!(ask("POST", "/logout", &again.token(), json!({})).status, 200);
        let ended = send(address, "GET", "/profile", &again.token(), None).unwrap();
        assert_eq!(ended.code(), "session_ended");
    }
}

#[test]
fn x06_behind_a_pooler_that_shares_connections_nothing_starts_without_the_setting() {
    for lines in [
        "pool_mode = transaction",
        "pool_mode = transaction\ndefault_pool_size = 1",
        "pool_mode = transaction\nserver_round_robin = 1",
        "pool_mode = transaction\nmin_pool_size = 2\nserver_round_robin = 1",
        "pool_mode = transaction\nmin_pool_size = 5\nserver_round_robin = 1",
        "pool_mode = transaction\nignore_startup_parameters = options",
    ] {
        let Some(pooler) = Pooler::start(lines) else { return };
        let home = pooler.home("");
        for command in [&["user", "list"][..], &["serve"]] {
            home.run(command).fails("a pooler shares its connections", "");
        }
        let run = home.run(&["doctor"]);
        assert!(run.code == Some(1) && run.out.contains("postgres.pooler = true"), "{lines}: {run:?}");
    }
}

#[test]
fn x06_with_the_setting_two_servers_behind_a_pooler_get_their_own_answers() {
    for lines in ["pool_mode = transaction\ndefault_pool_size = 1", "pool_mode = transaction"] {
        let Some(pooler) = Pooler::start(lines) else { return };
        let home = pooler.home("");
        let setting = ["--no-throttle", "--set", "postgres.pooler=true"];
        let servers = [home.serve(&setting), home.serve(&setting)];
        everybody_gets_what_is_theirs(&servers);
        let [one, other] = servers;
        let token = one.register("grace").token();
        assert_eq!(other.post("/logout", &token, json!({})).status, 200);
        one.soon(&token, "session_ended");
        // Nothing of Doorward is left on the connections for the next program.
        let leaked = pooler.asked(&home, "SHOW statement_timeout");
        assert_eq!(leaked, "0");
        assert_eq!(pooler.asked(&home, "SELECT count(*) FROM pg_prepared_statements"), "0");
    }
}

#[test]
fn x06_a_pooler_in_session_mode_is_as_good_as_none() {
    let Some(pooler) = Pooler::start("pool_mode = session") else { return };
    let home = pooler.home("");
    let servers = [home.serve(&["--no-throttle"]), home.serve(&["--no-throttle"])];
    everybody_gets_what_is_theirs(&servers);
}

#[test]
fn x06_a_pooler_that_can_never_work_is_refused_at_once_with_what_helps() {
    let Some(pooler) = Pooler::start("pool_mode = statement") else { return };
    // The log says before it that the connection was cut.
    let run = pooler.home("&pgbouncer=true").run(&["serve"]);
    assert!(run.code == Some(1) && run.err.contains("have the pooler use transaction mode"), "{run:?}");
    pooler.home("").run(&["serve"]).fails("a pooler shares its connections", "");
    pooler
        .home("&options=-c%20lock_timeout=4s")
        .run(&["serve"])
        .fails("say pgbouncer=true", "doorward doctor");
}

#[test]
fn x06_a_url_may_say_it_too_and_schema_and_options_work_there() {
    let Some(pooler) = Pooler::start("pool_mode = transaction\ndefault_pool_size = 1") else { return };
    let home = pooler.home("&pgbouncer=true");
    pooler.asked(&home, "CREATE SCHEMA \"The doors\"");
    let home = home.extend("DOORWARD_DATABASE", "&schema=The%20doors&options=-c%20lock_timeout=4s");
    home.create("ada", "user");
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'The doors' AND table_name = 'users'";
    assert_eq!(pooler.asked(&home, tables), "1");
    assert_eq!(pooler.asked(&home, "SHOW lock_timeout"), "0");
    assert!(home.run_with(&["user", "list"], PASSWORD).ok().contains("ada"));
}

impl Pooler {
    /// What another program on the same pooler gets as the first value of the first row.
    fn asked(&self, home: &Home, sql: &str) -> String {
        let url = home.variable("DOORWARD_DATABASE");
        let url = url.split(['&']).next().unwrap();
        crate::support::asked(url, sql)
    }
}
