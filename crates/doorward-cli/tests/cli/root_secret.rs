//! Changing the root secret while servers run.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::moving::{MODES, SignedIn};
use crate::support::{Home, Server};

#[test]
fn the_root_secret_changes_while_everybody_stays_signed_in() {
    let home = Home::sqlite();
    let server = home.serve(&[]);
    server.register("ada");
    let mut all: Vec<_> = MODES.iter().map(|mode| SignedIn::at(&server, "ada", mode)).collect();
    home.run(&["secret", "retire"]).fails("there is no former root secret", "rotate");
    assert!(home.run(&["secret", "rotate"]).ok().contains("restart the server"));
    let other = home.data().join("secret.other.key");
    assert_eq!(std::fs::metadata(&other).unwrap().permissions().mode() & 0o777, 0o600);
    let (first, second) =
        (std::fs::read(home.data().join("secret.key")).unwrap(), std::fs::read(&other).unwrap());
    assert_ne!(first, second);
    home.run(&["secret", "rotate"]).fails("no server has been started with the new root secret", "restart");
    server.stop();

    let server = home.serve(&[]);
    all.iter_mut().for_each(|one| one.refreshed(&server));
    let sealed = || -> Vec<u8> {
        let database = rusqlite::Connection::open(home.data().join("doorward.db")).unwrap();
        database.query_row("SELECT private_key FROM signing_keys", [], |row| row.get(0)).unwrap()
    };
    let before = sealed();
    assert!(home.run(&["secret", "rotate"]).ok().contains("is in force"));
    assert_ne!(sealed(), before);
    home.run(&["secret", "rotate"]).fails("the former one is still known", "retire");
    // Tokens of the former secret are good, and so are those that follow them.
    for _ in 0..2 {
        for one in &mut all {
            one.refreshed(&server);
            assert_eq!(one.profile(&server), 200, "{}", one.mode);
        }
    }
    server.stop();
    let server = home.serve(&[]);
    all.iter_mut().for_each(|one| one.refreshed(&server));
    home.run(&["secret", "retire"]).fails("are valid until", "--now");
    home.run(&["secret", "retire", "--now"]).ok();
    assert_eq!(std::fs::read(home.data().join("secret.key")).unwrap(), second);
    assert!(!other.exists());
    server.stop();

    let server = home.serve(&[]);
    for one in &mut all {
        one.refreshed(&server);
        assert_eq!(one.profile(&server), 200, "{}", one.mode);
    }
    // And again.
    home.run(&["secret", "rotate"]).ok();
    drop(server);
    let server = home.serve(&[]);
    home.run(&["secret", "rotate"]).ok();
    all.iter_mut().for_each(|one| one.refreshed(&server));
}

#[test]
fn a_token_of_a_secret_that_was_dropped_is_refused() {
    let home = Home::sqlite();
    home.serve(&[]).register("ada");
    let server = home.serve(&[]);
    let mut ada = SignedIn::at(&server, "ada", "bearer");
    server.stop();
    home.run(&["secret", "rotate"]).ok();
    let server = home.serve(&[]);
    home.run(&["secret", "rotate"]).ok();
    home.run(&["secret", "retire", "--now"]).ok();
    server.stop();
    let server = home.serve(&[]);
    // Its access token and its session are good; only the refresh token needs the secret.
    assert_eq!(ada.profile(&server), 200);
    let body = json!({ "refresh_token": ada.body["refresh_token"] });
    assert_eq!(server.post("/refresh", "", body).code(), "refresh_invalid");
    ada = SignedIn::at(&server, "ada", "bearer");
    ada.refreshed(&server);
}

#[test]
fn a_server_that_does_not_know_the_new_secret_signs_nobody_out() {
    let (one, two) = ("a root secret for tests: 0123456789", "another root secret: 0123456789abcdef");
    let old = Home::new().with("DOORWARD_SECRET", one);
    let server = old.serve(&[]);
    let ada = server.register("ada");
    let both = |name: &str, args: &[&str]| {
        let mut command = old.command(args);
        command.env("DOORWARD_SECRET_OTHER", name);
        command
    };
    old.run(&["secret", "rotate"]).fails("there is no new root secret yet", "DOORWARD_SECRET_OTHER");
    let mut second =
        both(two, &["serve", "--listen", "127.0.0.1:0"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let announced = || both(two, &["secret", "rotate"]).output().unwrap();
    crate::support::within(std::time::Duration::from_secs(60), || announced().status.success());
    // Its refreshes are refused as our own failure, which clients outlast.
    crate::support::within_a_second(|| server.refresh(&ada).code() == "unavailable");
    assert_eq!(server.get("/profile", &ada.token()).status, 200);
    rustix::process::kill_process(rustix::process::Pid::from_child(&second), Signal::TERM).unwrap();
    second.wait().unwrap();
    server.stop();
    let again = old.with("DOORWARD_SECRET_OTHER", two);
    assert_eq!(again.serve(&[]).refresh(&ada).status, 200);
    let new = again.with("DOORWARD_SECRET", two).with("DOORWARD_SECRET_OTHER", one);
    assert_eq!(new.serve(&[]).login("ada").status, 200);
    new.run(&["secret", "rotate"]).fails("the former one is still known", "retire");
}

#[test]
fn two_servers_change_the_root_secret_under_traffic_and_refuse_nobody() {
    let (one, two) = ("a root secret for tests: 0123456789", "another root secret: 0123456789abcdef");
    let home = Home::new().with("DOORWARD_SECRET", one).with("DOORWARD_SECRET_OTHER", two);
    let mut servers = [home.serve(&[]), home.serve(&[])];
    servers[0].register("ada");
    let mut all: Vec<_> = MODES.iter().map(|mode| SignedIn::at(&servers[1], "ada", mode)).collect();
    let traffic = |all: &mut Vec<SignedIn>, servers: &[Server; 2], during: fn(&Home), home: &Home| {
        std::thread::scope(|scope| {
            let changing = scope.spawn(|| during(home));
            let mut finished = None;
            // Every server follows within a second.
            while finished.is_none_or(|at: Instant| at.elapsed() < Duration::from_secs(1)) {
                if changing.is_finished() {
                    finished.get_or_insert_with(Instant::now);
                }
                for server in servers {
                    for one in all.iter_mut() {
                        one.refreshed(server);
                        assert_eq!(one.profile(server), 200, "{}", one.mode);
                    }
                }
            }
            changing.join().unwrap();
        });
    };
    let rotate = |home: &Home| assert!(home.run(&["secret", "rotate"]).ok().contains("is in force"));
    traffic(&mut all, &servers, rotate, &home);
    home.run(&["secret", "retire"]).fails("are valid until", "--now");
    home.run(&["secret", "retire", "--now"]).fails("given by variables", "unset DOORWARD_SECRET_OTHER");

    // Each is started again with the new one alone, while the other one answers.
    let home = home.with("DOORWARD_SECRET", two).without("DOORWARD_SECRET_OTHER");
    for at in 0..2 {
        servers[at] = home.serve(&[]);
        traffic(&mut all, &servers, |_| {}, &home);
    }
}
