//! `doorward backup`: a copy of a SQLite database whose server goes on writing.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::moving::{place, share_secret};
use crate::support::{Home, PASSWORD, send};

#[test]
fn a_backup_of_a_server_that_writes_is_whole_private_and_of_one_moment() {
    let home = Home::sqlite();
    let server = home.serve(&["--no-throttle"]);
    server.register("ada");
    let file = home.path().join("backup.db");
    let address = server.address.clone();
    let register = |name: String| {
        let email = format!("{name}@example.org");
        let body = json!({ "name": name, "email": email, "password": PASSWORD });
        assert_eq!(send(&address, "POST", "/register", "", Some(body)).unwrap().status, 201);
    };
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| (0..12).for_each(|number| register(format!("user{number}"))));
        for number in 0..3 {
            let file = home.path().join(format!("backup{number}.db"));
            let made = home.run(&["backup", &place(&file), "--json"]).json();
            assert_eq!(made["bytes"].as_u64(), Some(std::fs::metadata(&file).unwrap().len()));
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            let copy = rusqlite::Connection::open(&file).unwrap();
            let count = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
            let users = count("SELECT COUNT(*) FROM users");
            assert!(users >= 1);
            // One transaction made each account with its address, its password and its session.
            assert_eq!(users, count("SELECT COUNT(*) FROM emails"));
            assert_eq!(users, count("SELECT COUNT(*) FROM authenticators"));
            assert_eq!(users, count("SELECT COUNT(*) FROM audit WHERE action = 'register'"));
        }
        writing.join().unwrap();
    });
    home.run(&["backup", &place(&file)]).ok();
    home.run(&["backup", &place(&file)]).fails("there is a ", "");
    assert!(!home.path().join("backup.db.part").exists());
    server.kill();

    // It is the database of a new home, with the secret beside it.
    let other = Home::sqlite();
    share_secret(&home, &other);
    std::fs::copy(&file, other.data().join("doorward.db")).unwrap();
    // But what people have done since is not in it: sessions that they ended would be live again.
    other.run(&["serve"]).fails("the database is a backup", "run `doorward restored`");
    other.run(&["restored"]).ok();
    assert_eq!(other.serve(&[]).login("user11").status, 200);
}

/// In a folder that others can write to, one of them could have prepared the file.
#[test]
fn a_backup_writes_through_no_link_and_into_no_file_with_another_name() {
    let home = Home::sqlite();
    home.create("ada", "user");
    let (file, part) = (home.path().join("backup.db"), home.path().join("backup.db.part"));
    let other = home.path().join("diary");
    for link in [std::os::unix::fs::symlink::<_, &std::path::Path> as fn(_, _) -> _, std::fs::hard_link] {
        std::fs::write(&other, "dear diary").unwrap();
        link(other.as_path(), part.as_path()).unwrap();
        home.run(&["backup", &place(&file)]).fails("backup.db.part", "");
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "dear diary");
        assert!(!file.exists());
        std::fs::remove_file(&part).unwrap();
        std::fs::remove_file(&other).unwrap();
    }
    home.run(&["backup", &place(&file)]).ok();
}

#[test]
fn what_a_killed_backup_has_left_is_no_backup_and_stops_none() {
    let home = Home::sqlite();
    home.create("ada", "user");
    let file = home.path().join("backup.db");
    std::fs::write(home.path().join("backup.db.part"), "half of a page").unwrap();
    home.run(&["backup", &place(&file)]).ok();
    assert!(!home.path().join("backup.db.part").exists());
    let copy = rusqlite::Connection::open(&file).unwrap();
    assert_eq!(copy.query_row("SELECT COUNT(*) FROM users", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}
