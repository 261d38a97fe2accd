//! A database that was restored from a backup.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Home, administer, asked, programs_of_postgres, within};

/// The files of a stopped server's SQLite database.
fn copy(from: &Path, to: &Path) {
    for name in ["doorward.db", "doorward.db-wal", "doorward.db-shm"] {
        std::fs::remove_file(to.join(name)).ok();
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[test]
fn a_restored_database_is_opened_only_after_every_session_in_it_was_ended() {
    let (home, backup) = (Home::sqlite(), tempfile::tempdir().unwrap());
    let server = home.serve(&[]);
    let ada = server.register("ada");
    assert_eq!(server.get("/profile", &ada.token()).status, 200);
    server.stop();
    copy(&home.data(), backup.path());

    // After the backup, she logs out.
    let server = home.serve(&[]);
    assert_eq!(server.post("/logout", &ada.token(), json!({})).status, 200);
    assert_eq!(server.refresh(&ada).status, 401);
    server.stop();
    copy(backup.path(), &home.data());

    let refused = home.run(&["serve"]);
    refused.fails("the database is older than this server's data folder", "run `doorward restored`");
    // What would be lost without it: her session is live again.
    let said = home.run(&["restored"]).ok();
    assert!(said.contains("1 accounts are back") && said.contains("1 sessions were ended"), "{said}");

    let server = home.serve(&[]);
    assert_eq!(server.get("/profile", &ada.token()).status, 401);
    assert_eq!(server.refresh(&ada).status, 401);
    let again = server.login("ada");
    assert_eq!(server.get("/profile", &again.token()).status, 200);
    let audit = home.run(&["audit", "list", "--json"]).ok();
    assert!(audit.contains("\"restored\""), "{audit}");
    server.stop();
    home.serve(&[]).stop();

    // The same backup once more is older than what `restored` did.
    copy(backup.path(), &home.data());
    home.run(&["serve"])
        .fails("the database is older than this server's data folder", "run `doorward restored`");
    home.run(&["restored"]).ok();
    assert_eq!(home.serve(&[]).refresh(&ada).status, 401);
}

#[test]
fn who_knows_that_nothing_was_lost_keeps_the_sessions() {
    let (home, backup) = (Home::sqlite(), tempfile::tempdir().unwrap());
    let server = home.serve(&[]);
    let ada = server.register("ada");
    server.stop();
    copy(&home.data(), backup.path());
    let server = home.serve(&[]);
    server.login("ada");
    server.stop();
    copy(backup.path(), &home.data());
    home.run(&["serve"]).fails("older than this server's data folder", "run `doorward restored`");
    let said = home.run(&["restored", "--keep-sessions", "--json"]).json();
    assert_eq!((&said["sessions_kept"], &said["sessions_ended"]), (&json!(true), &json!(0)));
    let server = home.serve(&[]);
    assert_eq!(server.get("/profile", &ada.token()).status, 200);
}

/// What a database is set back to.
struct Dump<'a> {
    url: &'a str,
    file: std::path::PathBuf,
}

impl<'a> Dump<'a> {
    fn of(home: &Home, url: &'a str) -> Self {
        let dump = Self { url, file: home.path().join("dump") };
        dump.run("pg_dump", &["--format=custom", "--file", dump.file.to_str().unwrap(), url]);
        dump
    }

    /// Under the servers that live on it.
    fn restore(&self) {
        administer(self.url, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
        let options = ["--single-transaction", "--no-owner", "--dbname", self.url];
        self.run("pg_restore", &[&options[..], &[self.file.to_str().unwrap()]].concat());
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = Command::new(programs_of_postgres().join(program)).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// So short that a test can outlive what memory holds: an access token, and as long again.
const SHORT: [(&str, &str); 4] = [
    ("DOORWARD_ACCESS_TTL", "1s"),
    ("DOORWARD_REVOCATIONS_MARGIN", "1s"),
    ("DOORWARD_REVOCATIONS_STALE_AFTER", "900ms"),
    ("DOORWARD_READYZ_UNREACHABLE_AFTER", "900ms"),
];

#[test]
fn a_database_that_was_set_back_under_a_living_server_is_served_by_nobody_before_restored_has_run() {
    let (home, other) = (Home::new(), Home::sqlite());
    let url = home.variable("DOORWARD_DATABASE");
    if url.is_empty() {
        return;
    }
    let other =
        other.with("DOORWARD_DATABASE", &url).with("DOORWARD_SECRET", &home.variable("DOORWARD_SECRET"));
    let short = |home: Home| SHORT.iter().fold(home, |home, (name, value)| home.with(name, value));
    let (home, other) = (short(home), short(other));
    home.create("grace", "admin");
    let server = home.serve(&[]);
    let (ada, lin) = (server.register("ada"), server.register("lin"));
    let dump = Dump::of(&home, &url);
    assert_eq!(server.post("/logout", &ada.token(), json!({})).status, 200);
    let began = Instant::now();
    // Until nobody remembers it but the database.
    within(Duration::from_secs(20), || began.elapsed() > Duration::from_secs(5));
    dump.restore();
    assert_eq!(
        asked(&url, "SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL"),
        "0",
        "it was set back"
    );

    within(Duration::from_secs(20), || server.refresh(&lin).status == 503);
    for path in ["/readyz", "/profile"] {
        assert_eq!(server.get(path, "").status, 503, "{path}");
    }
    assert_eq!(server.get("/healthz", "").status, 200);
    other.run(&["serve"]).fails("was set back", "run `doorward restored`");
    home.run(&["restored"]).ok();
    within(Duration::from_secs(20), || server.login("grace").status == 200);
    assert_eq!((server.refresh(&ada).status, server.refresh(&lin).status), (401, 401));
    let second = other.serve(&[]);
    assert_eq!((second.refresh(&ada).status, second.login("lin").status), (401, 200));
}
