//! Users of another system are imported with their passwords.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::support::{Answer, Home, Server, within};
use std::time::Duration;

/// What a hash of cost 4 below is a hash of.
const KNOWN: &str = "Kk4DQuMMfZL9o";
const HASH: &str = "$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm";
/// 138 bytes, of which bcrypt used 72.
const LONG: &str = "THE YEAR 1866 was marked by a bizarre development, an unexplained and downright inexplicable \
    phenomenon that surely no one has forgotten.";
const OF_LONG: &str = "$2y$04$CCCCCCCCCCCCCCCCCCCCC.NNYMcLQ7lIauYt0h6mWJtoSyBZqwBwi";

fn home() -> Home {
    let home = Home::new();
    home.create("root", "admin");
    home
}

fn login(server: &Server, name: &str, password: &str) -> Answer {
    server.post("/login", "", json!({ "email": format!("{name}@example.org"), "password": password }))
}

fn counts(imported: u64, present: u64, refused: u64, dry_run: bool) -> Value {
    json!({ "imported": imported, "present": present, "refused": refused, "dry_run": dry_run })
}

fn imports(home: &Home, text: &str, expected: &Value) -> String {
    let run = home.run_with(&["user", "import", "-", "--json"], text);
    assert_eq!(serde_json::from_str::<Value>(&run.out).unwrap(), *expected, "{run:?}");
    assert_eq!(run.code, Some(i32::from(expected["refused"] != 0)));
    run.err
}

#[test]
fn imported_users_sign_in_with_the_passwords_that_they_had() {
    let home = home();
    let server = home.serve(&["--no-throttle"]);
    let mut text = "email,name,role,password_hash,created_at,disabled,verified\n".to_owned();
    for version in ["2a", "2b", "2y"] {
        writeln!(
            text,
            "{version}@example.org,\"B, {version}\",,${version}{HASH},2020-01-02T03:04:05+01:00,,1"
        )
        .unwrap();
    }
    text.push_str("i@example.org,I,admin,\"$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8\",0,f,f\r\n");
    writeln!(text, "off@example.org,Off,,$2b{HASH},,true,").unwrap();
    text.push_str("none@example.org,None,,,,,\n");
    imports(&home, &text, &counts(6, 0, 0, false));
    for name in ["2a", "2b", "2y"] {
        assert_eq!(login(&server, name, KNOWN).status, 200, "{name}");
        assert_eq!(login(&server, name, KNOWN).status, 200, "{name}, after the hash was replaced");
        assert_eq!(login(&server, name, "Kk4DQuMMfZL9p").code(), "invalid_credentials");
    }
    assert_eq!(login(&server, "i", "password").status, 200);
    assert_eq!(login(&server, "off", KNOWN).code(), "user_disabled");
    assert_eq!(login(&server, "none", KNOWN).code(), "invalid_credentials");
    let one = home.run(&["user", "show", "2a@example.org", "--json"]).json();
    assert_eq!((&one["name"], &one["created_at"]), (&json!("B, 2a"), &json!("2020-01-02T02:04:05Z")));
    assert_eq!(home.run(&["user", "show", "i@example.org", "--json"]).json()["role"], "admin");
}

#[test]
fn p01_an_imported_long_password_is_cut_as_it_was_until_its_first_sign_in() {
    let home = home();
    let server = home.serve(&["--no-throttle"]);
    let text = format!("email,name,password_hash\nlong@example.org,Long,{OF_LONG}\n");
    imports(&home, &text, &counts(1, 0, 0, false));
    let (cut, (kept, _)) = (format!("{}, cut", LONG.split_at(72).0), LONG.split_at(71));
    assert_eq!(login(&server, "long", kept).code(), "invalid_credentials");
    assert_eq!(login(&server, "long", &format!("{LONG}\0")).code(), "invalid_credentials");
    assert_eq!(login(&server, "long", LONG).status, 200);
    assert_eq!(login(&server, "long", &cut).code(), "invalid_credentials");
    assert_eq!(login(&server, "long", LONG).status, 200);
}

#[test]
fn each_wrong_line_is_reported_with_its_number_and_changes_nothing() {
    let home = home();
    let long = "x".repeat(70_000);
    let text = format!(
        "\u{feff}email,name,role,password_hash,created_at,disabled\r\n\
         ok@example.org,Ok,,,,\r\n\
         bad,Bad,,,,\n\
         a@example.org,,,,,\n\
         b@example.org,B,king,,,\n\
         c@example.org,C,,$2x{HASH},,\n\
         d@example.org,D,,$2{HASH},,\n\
         e@example.org,E,,{},,\n\
         f@example.org,F,,imported:$2b{HASH},,\n\
         g@example.org,G,,,yesterday,\n\
         h@example.org,H,,,99999999999,\n\
         i@example.org,I,,,,perhaps\n\
         j@example.org,J,,,\n\
         k@example.org,\"K,\n{long}\",,,,\n",
        format!("$2b{HASH}").replace("$04$", "$17$"),
    );
    let run = home.run_with(&["user", "import", "-"], &text);
    let lines: Vec<&str> = run.err.lines().collect();
    let expected = [
        "line 3: email must have one @",
        "line 4: name is missing",
        "line 6: password_hash is a $2x$ or $2$ hash",
        "line 7: password_hash is a $2x$ or $2$ hash",
        "line 8: password_hash asks for more than bcrypt cost 16",
        "line 9: password_hash is no bcrypt or argon2 hash",
        "line 10: created_at must be",
        "line 11: created_at must be between 1970 and now",
        "line 12: disabled must be true or false",
        "line 13: has 5 fields, and the header has 6",
    ];
    for text in expected {
        assert!(lines.iter().any(|line| line.starts_with(text)), "{text}: {run:?}");
    }
    assert!(lines.iter().any(|line| line.starts_with("line 5: role")), "{run:?}");
    assert!(run.err.contains("error: line 14: a quote is not closed"), "{run:?}");
    assert_eq!(run.code, Some(1));
    assert_eq!(home.run(&["user", "list", "--json"]).json().as_array().unwrap().len(), 2);
}

#[test]
fn a_line_break_in_a_field_makes_no_line_of_its_own() {
    let home = home();
    let text = "email,name,bio,role\na@example.org,A,\"I am\nevil@example.org,E,,admin\n\",user\n";
    let run = home.run_with(&["user", "import", "-", "--ignore", "bio"], text);
    assert_eq!(run.ok(), "Imported 1, there already: 0, refused: 0\n");
    assert_eq!(home.run(&["user", "show", "evil@example.org"]).code, Some(1));
}

#[test]
fn a_header_that_is_wrong_is_named() {
    let home = home();
    let fails = |text: &str, problem: &str| {
        let run = home.run_with(&["user", "import", "-"], text);
        assert!(run.code == Some(1) && run.err.contains(problem), "{problem}: {run:?}");
    };
    fails("", "the file is empty");
    fails("[{}]", "a JSON array is not JSON lines");
    fails("name,role\n", "email is missing");
    fails("email\n", "name is missing");
    fails("email,name,e\u{1b}[2Jmail\n", "unknown field \"e\\u{1b}[2Jmail\"");
    fails("email,name,email\n", "email is there twice");
    fails("{\"email\":\"a@example.org\",\"name\":\"A\",\"age\":3}\n", "line 1: unknown field \"age\"");
    fails("{\"email\":[]}\n{\"email\"\n", "line 2: is not one JSON object");
    let wrong = home.run(&["user", "import", "-", "--map", "a=b"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[test]
fn an_import_again_skips_what_is_there_and_takes_no_address_over() {
    let home = home();
    let text = "email,name,created_at\na@example.org,A,5\nA@Example.org,A,5\na@example.org,Other,5\nb@example.org,B,5\n";
    let dry = home.run_with(&["user", "import", "-", "--json", "--dry-run"], text);
    assert_eq!(serde_json::from_str::<Value>(&dry.out).unwrap(), counts(2, 1, 1, true));
    assert_eq!(home.run(&["user", "list", "--json"]).json().as_array().unwrap().len(), 1);
    let said = imports(&home, text, &counts(2, 1, 1, false));
    assert!(said.starts_with("line 4: email has another account already"), "{said}");
    imports(&home, text, &counts(0, 3, 1, false));
    let log = home.run(&["audit", "list", "--json"]).json();
    let entries = log.as_array().unwrap().iter().filter(|entry| entry["action"] == "users_imported");
    let details: Vec<_> = entries.map(|entry| (&entry["actor"], &entry["detail"])).collect();
    assert_eq!(details, [(&json!("command_line"), &json!("2 accounts"))]);
}

#[test]
fn d01_an_import_that_was_killed_goes_on_when_it_is_run_again() {
    const USERS: usize = 20_000;
    let home = home();
    let file = home.path().join("users.csv");
    let mut text = "email,name,created_at\n".to_owned();
    (0..USERS).for_each(|n| writeln!(text, "u{n}@example.org,U{n},{n}").unwrap());
    std::fs::write(&file, text).unwrap();
    let arguments = ["user", "import", file.to_str().unwrap(), "--json"];
    let begun = || home.run(&["user", "show", "u999@example.org"]).code == Some(0);
    let mut child = home.command(&arguments).spawn().unwrap();
    within(Duration::from_secs(60), begun);
    child.kill().unwrap();
    child.wait().unwrap();
    let counted = home.run(&arguments).json();
    let (imported, present) = (counted["imported"].as_u64().unwrap(), counted["present"].as_u64().unwrap());
    assert_eq!(imported + present, USERS as u64);
    assert!(present >= 1_000 && present % 1_000 == 0, "whole transactions only: {counted}");
    assert_eq!(home.run(&arguments).json(), counts(0, USERS as u64, 0, false));
}

#[test]
fn the_guide_from_express_and_mongodb_imports_its_own_example() {
    let guide = include_str!("../../../../docs/guides/from-express-and-mongodb.md");
    let example = guide.lines().find(|line| line.starts_with("{\"_id\"")).unwrap();
    let home = home();
    std::fs::write(home.path().join("users.jsonl"), format!("{example}\n")).unwrap();
    let commands: Vec<Vec<&str>> = guide
        .lines()
        .filter_map(|line| line.strip_prefix("doorward "))
        .map(|line| line.split(" | ").next().unwrap().split(' ').collect())
        .collect();
    assert_eq!(commands.len(), 3);
    let mut said = commands.iter().map(|words| {
        let output = home.command(words).current_dir(home.path()).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    });
    assert_eq!(said.next().unwrap(), "Would import 1, there already: 0, refused: 0\n");
    assert_eq!(said.next().unwrap(), "Imported 1, there already: 0, refused: 0\n");
    let listed: Value = serde_json::from_str(&said.next().unwrap()).unwrap();
    let ada = listed.as_array().unwrap().iter().find(|user| user["email"] == "ada@example.com").unwrap();
    assert!(ada["id"].is_string() && ada["created_at"] == "2024-01-12T04:33:18Z", "{ada}");
    let server = home.serve(&["--no-throttle"]);
    let body = json!({ "email": "ada@example.com", "password": "correct horse battery" });
    assert_eq!(server.post("/login", "", body).status, 200);
}
