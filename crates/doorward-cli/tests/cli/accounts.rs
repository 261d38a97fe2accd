use serde_json::Value;

use crate::support::{Home, PASSWORD};

#[test]
fn accounts_are_listed_searched_and_shown_by_id_or_address() {
    let home = Home::new();
    home.create("ada", "admin");
    home.create("bob", "user");
    let text = home.run(&["user", "list"]).ok();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("ID "), "{text}");
    let at = |line: &str, word: &str| line.find(word).unwrap();
    assert_eq!(at(lines[0], "EMAIL"), at(lines[1], "ada@example.org"));
    assert_eq!(at(lines[0], "ROLE"), at(lines[2], "user"));

    let names = |arguments: &[&str]| -> Vec<Value> {
        let listed = home.run(&[&["user", "list", "--json"], arguments].concat()).json();
        listed.as_array().unwrap().iter().map(|user| user["name"].clone()).collect()
    };
    assert_eq!(names(&["--search", "BO"]), ["bob"]);
    assert_eq!(names(&["--role", "admin"]), ["ada"]);
    assert!(names(&["--search", "%"]).is_empty());
    let ada = home.run(&["user", "show", "--json", " Ada@Example.ORG "]).json();
    assert_eq!(home.run(&["user", "show", "--json", ada["id"].as_str().unwrap()]).json(), ada);
}

#[test]
fn a_user_is_found_however_id_and_address_are_typed() {
    let home = Home::new();
    let create =
        ["user", "create", "--name", "Ada", "--email", "ada@b\u{fc}cher.example", "--password-stdin"];
    home.run_with(&create, PASSWORD).ok();
    let ada = home.run(&["user", "show", "--json", "ada@xn--bcher-kva.example"]).json();
    let id = ada["id"].as_str().unwrap();
    for typed in [
        " ADA@Bu\u{308}cher.Example ",
        "ada@b\u{fc}cher\u{3002}example",
        &format!(" {id}\n"),
        &id.to_uppercase(),
    ] {
        assert_eq!(home.run(&["user", "show", "--json", typed]).json(), ada, "{typed}");
        home.run(&["session", "list", typed]).ok();
        home.run(&["session", "end", "--user", typed]).ok();
    }
    for typed in [" b\u{fc}ch ", "BU\u{308}CHER", " ada@b\u{fc}cher.example"] {
        let found = home.run(&["user", "list", "--json", "--search", typed]).json();
        assert_eq!(found[0]["id"], ada["id"], "{typed}");
    }
}

#[test]
fn what_the_rules_refuse_the_command_line_refuses_too() {
    let home = Home::new();
    home.create("ada", "admin");
    let create = |email: &str, role: &str, password: &str| {
        let arguments =
            ["user", "create", "--name", "Bob", "--email", email, "--role", role, "--password-stdin"];
        home.run_with(&arguments, password)
    };
    create("bob@example.org", "user", "short").fails("password must have at least 8 characters", "");
    create("bob@example.org", "user", "password123").fails("most common", "");
    create("bob@example.org", "user", "BOB@example.org").fails("must not be your email address", "");
    create("bob@example.org", "user", "").fails("there is no password on standard input", "first line");
    create("ada@EXAMPLE.org", "user", "long enough to be one").fails("already registered", "user show");
    create("bob@example.org", "king", "long enough to be one")
        .fails("role is unknown; there are admin, user", "");
    assert_eq!(create("bob at example", "user", "long enough to be one").code, Some(2));
    assert_eq!(create("bob@example.org", "King", "long enough to be one").code, Some(2));
    home.run(&["user", "password", "ada@example.org"]).fails("there is no terminal", "--password-stdin");
    let set = ["user", "password", "ada@example.org", "--password-stdin"];
    home.run_with(&set, "ada").fails("password must have at least 8 characters", "");
    assert_eq!(home.run(&["user", "list", "--json"]).json().as_array().unwrap().len(), 1);
}

#[test]
fn the_last_admin_stays() {
    let home = Home::new();
    home.create("ada", "admin");
    for command in [
        &["user", "role", "ada@example.org", "user"][..],
        &["user", "disable", "ada@example.org"],
        &["user", "delete", "ada@example.org"],
    ] {
        home.run(command).fails("This is the last admin", "user role OTHER admin");
    }
    home.create("bob", "admin");
    home.run(&["user", "delete", "ada@example.org"]).ok();
}

#[test]
fn what_the_command_line_did_stands_in_the_audit_log() {
    let home = Home::new();
    let server = home.serve(&[]);
    server.register("ada");
    home.run(&["user", "role", "ada@example.org", "admin"]).ok();
    home.run(&["session", "end", "--user", "ada@example.org"]).ok();
    let entries = home.run(&["audit", "list", "--json", "--limit", "2"]).json();
    let actions: Vec<_> = entries.as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["sessions_ended", "user_changed"]);
    assert_eq!(entries[1]["detail"], "role admin");
    assert!(home.run(&["audit", "list"]).ok().contains("register"));
}

#[test]
fn x10_a_command_that_changes_nothing_is_no_entry_of_the_audit_log() {
    let home = Home::new();
    home.create("ada", "user");
    home.create("ben", "user");
    home.run(&["user", "disable", "ben@example.org"]).ok();
    let entries = || home.run(&["audit", "list", "--json"]).json().as_array().unwrap().len();
    let before = entries();
    for command in [
        &["user", "role", "ada@example.org", "user"][..],
        &["user", "enable", "ada@example.org"],
        &["user", "disable", "ben@example.org"],
        &["session", "end", "--user", "ada@example.org"],
    ] {
        home.run(command).ok();
        home.run(command).ok();
    }
    home.run(&["client", "delete", "01890a5d-ac96-774b-bcce-b302099a8057"])
        .fails("there is no client", "client list");
    assert_eq!(entries(), before);
}
