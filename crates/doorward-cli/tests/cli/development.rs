use crate::support::Home;

const OPEN_TO_ALL: &str = "a development server (--dev) has used this database";
const OF_PRODUCTION: &str = "a production server has used this database";

#[test]
fn a_database_of_production_is_refused_by_a_development_server_and_stays_as_it_is() {
    let home = Home::new();
    let server = home.serve(&[]);
    let token = server.register("ada").token();
    server.stop();
    home.run(&["serve", "--listen", "127.0.0.1:0", "--dev"]).fails(OF_PRODUCTION, "leave --dev out");
    assert_eq!(home.serve(&[]).get("/profile", &token).status, 200);
}

#[test]
fn a_database_of_a_development_server_is_refused_in_production_with_the_way_on() {
    let home = Home::new();
    let server = home.serve(&["--dev"]);
    let token = server.register("ada").token();
    server.stop();
    home.run(&["serve", "--listen", "127.0.0.1:0"])
        .fails(OPEN_TO_ALL, "start with --dev, or name a new database");
    let doctor = home.run(&["doctor"]);
    assert!(doctor.code == Some(1) && doctor.out.contains(OPEN_TO_ALL), "{doctor:?}");
    assert_eq!(home.run(&["doctor", "--dev"]).code, Some(0));
    assert_eq!(home.serve(&["--dev"]).get("/profile", &token).status, 200);
}

#[test]
fn an_empty_database_that_a_server_has_opened_has_its_kind_already() {
    for (first, then, problem) in [(&[][..], &["--dev"][..], OF_PRODUCTION), (&["--dev"], &[], OPEN_TO_ALL)] {
        let home = Home::new();
        home.serve(first).stop();
        home.run(&[&["serve", "--listen", "127.0.0.1:0"], then].concat()).fails(problem, "--dev");
        home.serve(first).stop();
    }
}

#[test]
fn commands_use_the_databases_of_both_and_decide_for_none() {
    for kind in [&[][..], &["--dev"]] {
        let home = Home::new();
        home.create("root", "admin");
        let server = home.serve(kind);
        assert_eq!(server.login("root").status, 200);
        home.create("grace", "user");
        assert_eq!(server.login("grace").status, 200);
    }
}

#[test]
fn a_database_from_before_the_kind_was_noted_is_productions_unless_it_is_empty() {
    let forget = |home: &Home| {
        let database = rusqlite::Connection::open(home.data().join("doorward.db")).unwrap();
        database.execute("DELETE FROM facts WHERE name = 'server_kind'", []).unwrap();
    };
    let home = Home::sqlite();
    home.serve(&["--dev"]).stop();
    forget(&home);
    home.serve(&["--dev"]).stop();
    forget(&home);
    home.serve(&[]).stop();
    home.create("ada", "user");
    forget(&home);
    home.run(&["serve", "--listen", "127.0.0.1:0", "--dev"]).fails(OF_PRODUCTION, "--data");
    home.serve(&[]).stop();
}

#[test]
fn the_log_has_a_line_for_each_request_with_its_verdict_and_its_flow_and_no_secret() {
    let home = Home::sqlite();
    let server = home.serve(&["--dev", "--log-format", "text"]);
    assert_eq!(server.line(), "Its data is in data");
    server.get("/password/reset?token=THE-SECRET-OF-A-LINK", "");
    server.get("/profile", "THE-SECRET-TOKEN");
    let address = server.address.clone();
    let log = server.log_until("route=\"/profile\"");
    let lines: Vec<_> = log.iter().filter(|line| line.contains("answered")).collect();
    assert_eq!(lines.len(), 2, "{log:?}");
    assert!(lines.iter().all(|line| line.contains("INFO") && line.contains("method=\"GET\"")), "{lines:?}");
    let refused = lines[1];
    assert!(refused.contains("status=401 code=\"token_invalid\""), "{refused}");
    assert!(refused.contains(&format!("flow=\"http://{address}/flow/")), "{refused}");
    assert!(!log.concat().contains("THE-SECRET"), "{log:?}");
}
