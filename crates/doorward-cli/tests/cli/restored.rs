//! A database that was restored from a backup.

use std::path::Path;

use serde_json::json;

use crate::support::Home;

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
