use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{Home, within};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_empty_folder_becomes_a_server_that_says_where_it_is_and_how_to_make_the_first_admin() {
    let home = Home::sqlite();
    let server = home.serve(&[]);
    assert_eq!(server.get("/healthz", "").status, 200);
    assert_eq!(server.line(), "Its data is in data");
    assert_eq!(server.line(), "Keep a copy of data/secret.key: without it the data is of no use");
    assert_eq!(
        server.line(),
        "There is no admin yet. Make one: doorward user create --role admin --email E --name N --data data"
    );
    let files = ["", "secret.key", "doorward.db"].map(|file| mode(&home.data().join(file)));
    assert_eq!(files, [0o700, 0o600, 0o600]);

    home.create("grace", "admin");
    assert_eq!(server.login("grace").body["user"]["role"], "admin");
    assert!(!server.stop().contains("There is no admin"));
    assert!(!home.serve(&[]).stop().contains("There is no admin"));
}

#[test]
fn what_was_made_is_there_after_a_restart() {
    let home = Home::new();
    let first = home.serve(&[]);
    let token = first.register("ada").token();
    first.stop();
    let second = home.serve(&[]);
    assert_eq!(second.get("/profile", &token).body["user"]["name"], "ada");
    assert_eq!(second.login("ada").status, 200);
}

#[test]
fn a_port_that_is_taken_is_a_clear_error() {
    let home = Home::new();
    let server = home.serve(&[]);
    home.run(&["serve", "--listen", &server.address]).fails("cannot listen on 127.0.0.1:", "--listen");
}

#[test]
fn a_data_folder_that_cannot_be_made_is_a_clear_error() {
    let home = Home::sqlite();
    std::fs::write(home.data(), "a file").unwrap();
    home.run(&["serve"]).fails("cannot make the data folder data", "--data");
}

#[test]
fn a_command_that_only_reads_makes_nothing() {
    let home = Home::sqlite();
    for command in [
        ["user", "list"],
        ["session", "list"],
        ["key", "list"],
        ["audit", "list"],
        ["key", "rotate"],
        ["token", "verify"],
    ] {
        let arguments =
            if command[0] == "token" { [&command[..], &["a.b.c"]].concat() } else { command.to_vec() };
        home.run(&arguments).fails("there is no Doorward database in data", "--data");
    }
    assert!(!home.data().exists());
}

#[test]
fn a_base_path_moves_the_routes_and_the_printed_url() {
    let home = Home::sqlite();
    let server = home.serve(&["--base-path", "/auth"]);
    assert_eq!(server.get("/auth/healthz", "").status, 200);
    assert_eq!(server.get("/healthz", "").status, 404);
}

#[test]
fn a_health_check_asks_the_server_of_its_settings_also_over_tls() {
    let home = Home::sqlite();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let home = home.with("DOORWARD_LISTEN", &free);
    home.run(&["healthcheck"]).fails("no answer at 127.0.0.1", "the same settings");
    let mut server = home.command(&["serve"]).stderr(Stdio::null()).spawn().unwrap();
    let asked = |arguments: &[&str]| home.run(arguments).code == Some(0);
    within(Duration::from_secs(60), || asked(&["healthcheck"]));
    assert_eq!(home.run(&["healthcheck", "--ready"]).ok(), "ok\n");
    home.run(&["healthcheck", "--set", "base_path=/auth"])
        .fails("/healthz at 127.0.0.1", "the same settings");
    server.kill().unwrap();
    server.wait().unwrap();

    let made = rcgen::generate_simple_self_signed(vec!["accounts.example".to_owned()]).unwrap();
    std::fs::write(home.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(home.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(home.path().join("key.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let home = home.with("DOORWARD_TLS_CERT", "cert.pem").with("DOORWARD_TLS_KEY", "key.pem");
    let mut server = home.command(&["serve"]).stderr(Stdio::null()).spawn().unwrap();
    within(Duration::from_secs(60), || home.run(&["healthcheck"]).code == Some(0));
    server.kill().unwrap();
    server.wait().unwrap();
}
