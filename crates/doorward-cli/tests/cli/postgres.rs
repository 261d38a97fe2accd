//! PostgreSQL servers as operators have them: with another encoding, without rights, not up yet.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use rustix::process::Signal;

use crate::support::{Home, administer};

/// The URL of the PostgreSQL server of the test run, for this database; `None` if there is none.
fn database(home: &Home, name: &str) -> Option<String> {
    let server = std::env::var("DOORWARD_TEST_POSTGRES").ok()?;
    let unique = home.path().file_name().unwrap().to_string_lossy().replace('.', "").to_lowercase();
    let name = format!("{name}_{unique}");
    administer(&server, &format!("CREATE DATABASE {name} {}", encoding(&name)));
    Some(server.replace("/postgres?", &format!("/{name}?")))
}

fn encoding(name: &str) -> &'static str {
    match name {
        _ if name.starts_with("latin") => "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
        _ if name.starts_with("ascii") => {
            "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        }
        _ => "",
    }
}

fn home_at(url: &str) -> Home {
    Home::sqlite()
        .with("DOORWARD_DATABASE", url)
        .with("DOORWARD_SECRET", "a root secret for tests: 0123456789")
}

/// The start, a command and the check-up all say this.
#[track_caller]
fn everything_says(home: &Home, words: &str) {
    for command in [&["serve"][..], &["user", "list"]] {
        home.run(command).fails(words, "");
    }
    let run = home.run(&["doctor"]);
    assert!(
        run.code == Some(1) && run.out.contains("fail  database: ") && run.out.contains(words),
        "{run:?}"
    );
}

#[test]
fn a_database_that_is_not_in_utf8_is_refused() {
    let place = Home::sqlite();
    for name in ["latin", "ascii"] {
        let Some(url) = database(&place, name) else { return };
        everything_says(&home_at(&url), "must be UTF8: make one with CREATE DATABASE … ENCODING 'UTF8'");
    }
}

#[test]
fn a_user_who_may_not_create_tables_is_told_the_statement_that_helps() {
    let place = Home::sqlite();
    let Some(url) = database(&place, "rights") else { return };
    let name = url.rsplit_once('/').unwrap().1.split('?').next().unwrap().to_owned();
    administer(
        &url,
        &format!(
            "CREATE ROLE {name}_user LOGIN PASSWORD 'sesame-4711'; REVOKE CREATE ON SCHEMA public FROM public"
        ),
    );
    let (_, place) = url.split_once('@').unwrap();
    let home = home_at(&format!("postgres://{name}_user:sesame-4711@{place}"));
    everything_says(&home, &format!("GRANT CREATE ON SCHEMA \"public\" TO \"{name}_user\""));
    everything_says(&home_at(&format!("{url}&schema=nowhere")), "make it with CREATE SCHEMA");

    administer(&url, &format!("GRANT CREATE ON SCHEMA public TO {name}_user"));
    home.create("ada", "admin");
    let text = home.run(&["doctor"]).ok();
    assert!(text.contains("ok    database: "), "{text}");

    // Tables that another program made.
    administer(&url, "ALTER TABLE users OWNER TO doorward; ALTER TABLE migrations OWNER TO doorward");
    for command in [&["serve"][..], &["user", "list"]] {
        home.run(command).fails("must belong to the user of the database URL", "");
    }
    assert!(home.run(&["doctor"]).out.contains("must belong to the user of the database URL"));
}

#[test]
fn a_url_parameter_that_means_nothing_here_is_named() {
    let home = home_at("postgres://ada:sesame-4711@127.0.0.1:1/none?sslmode=disable&sslkey=sesame-4711");
    for command in [&["serve"][..], &["config", "check"], &["user", "list"]] {
        let run = home.run(command);
        assert!(run.code == Some(1) && run.err.contains("there is no parameter sslkey here"), "{run:?}");
        assert!(!format!("{run:?}").contains("sesame"), "{run:?}");
    }
    assert!(home.run(&["doctor"]).out.contains("there is no parameter sslkey here"));
}

/// A port on which nobody listens yet.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_server_waits_for_a_database_that_is_not_up_yet() {
    let Ok(server) = std::env::var("DOORWARD_TEST_POSTGRES") else { return };
    let (port, own) = (free_port(), Home::new());
    let target = server.split_once('@').unwrap().1.split('/').next().unwrap().to_owned();
    let url = own.variable("DOORWARD_DATABASE").replace(&target, &format!("127.0.0.1:{port}"));
    let home = home_at(&url);
    let starting = home.starting(&["serve", "--listen", "127.0.0.1:0"]);
    starting.logged("waiting for the database");
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let (near, far) = (near.unwrap(), TcpStream::connect(&target).unwrap());
            let (back, forth) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            std::thread::spawn(move || carry(near, far));
            std::thread::spawn(move || carry(forth, back));
        }
    });
    let server = starting.started();
    assert_eq!(server.get("/readyz", "").status, 200);
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 4_096];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn waiting_for_a_database_ends_with_the_time_or_a_signal_and_never_begins_for_what_no_time_mends() {
    let home = home_at(&format!("postgres://ada:sesame@127.0.0.1:{}/none", free_port()));
    home.run(&["serve", "--set", "postgres.start_timeout=0s"])
        .fails("check host and port", "doorward doctor");
    home.run(&["user", "list"]).fails("check host and port", "doorward doctor");
    let mut starting = home.starting(&["serve", "--listen", "127.0.0.1:0"]);
    starting.logged("waiting for the database");
    starting.signal(Signal::TERM);
    assert_eq!(starting.code(), Some(0));

    let Ok(server) = std::env::var("DOORWARD_TEST_POSTGRES") else { return };
    let run = home_at(&server.replace("doorward:", "nobody:")).run(&["serve"]);
    assert!(run.code == Some(1) && !run.err.contains("waiting"), "{run:?}");
}
