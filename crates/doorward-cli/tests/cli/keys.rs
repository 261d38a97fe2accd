use serde_json::{Value, json};

use crate::support::{Home, Server, within_a_second};

fn published(server: &Server) -> Vec<Value> {
    let jwks = server.get("/.well-known/jwks.json", "").body;
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
}

#[test]
fn a_key_that_is_rotated_now_signs_on_the_running_server_and_the_old_one_verifies_nothing() {
    let home = Home::new();
    let server = home.serve(&[]);
    let old = server.register("ada").token();
    let kid = home.run(&["key", "rotate", "--now", "--json"]).json()["kid"].clone();
    let signed_by =
        |token: &str| home.run(&["token", "decode", "--json", token]).json()["header"]["kid"].clone();
    within_a_second(|| published(&server).contains(&kid));
    let new = server.login("ada").token();
    assert_eq!(signed_by(&new), kid);
    assert_ne!(signed_by(&old), kid);
    assert_eq!(server.get("/profile", &new).status, 200);
    home.run(&["token", "verify", &new]).ok();
    assert_eq!(server.get("/profile", &old).status, 401);
    let states = home.run(&["key", "list", "--json"]).json();
    assert_eq!((&states[0]["state"], &states[1]["state"]), (&json!("removed"), &json!("active")));
}

#[test]
fn a_key_that_leaked_counts_no_more_even_if_its_successor_was_waiting() {
    let home = Home::new();
    let server = home.serve(&[]);
    home.run(&["key", "rotate", "--activate-in", "10m"]).ok();
    let old = server.register("ada").token();
    let kid = home.run(&["key", "rotate", "--now", "--json"]).json()["kid"].clone();
    within_a_second(|| server.get("/profile", &old).status == 401);
    let new = server.login("ada").token();
    let header = home.run(&["token", "decode", "--json", &new]).json()["header"].clone();
    assert_eq!(header["kid"], kid);
    assert_eq!(published(&server), [kid]);
}

#[test]
fn a_key_is_published_before_it_signs() {
    let home = Home::new();
    let server = home.serve(&[]);
    let first = published(&server);
    let made = home.run(&["key", "rotate", "--activate-in", "10m", "--json"]).json();
    within_a_second(|| published(&server).len() >= 2);
    let token = server.register("ada").token();
    let decoded = home.run(&["token", "decode", "--json", &token]).json();
    assert_eq!(decoded["header"]["kid"], first[0]);
    assert_ne!(made["kid"], first[0]);
    let both = home.run(&["key", "rotate", "--activate-in", "10m", "--now"]);
    assert_eq!(both.code, Some(2));
}

#[test]
fn a_command_with_other_settings_than_the_server_changes_no_key() {
    let home = Home::new();
    let server = home.serve(&["--set", "access.algorithm=EdDSA"]);
    let before = home.run(&["key", "list", "--json"]).json();
    assert_eq!(before[0]["algorithm"], "EdDSA");
    home.create("ada", "user");
    assert_eq!(home.run(&["key", "list", "--json"]).json(), before);
    let token = server.login("ada").token();
    home.run(&["token", "verify", &token]).ok();
}

#[test]
fn with_a_shared_secret_there_is_nothing_to_rotate() {
    let home = Home::new().with("JWT_SECRET", "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p");
    home.create("ada", "user");
    home.run(&["key", "rotate"]).fails("signed with JWT_SECRET", "");
}

#[test]
fn a_start_with_another_algorithm_makes_no_key_and_a_command_changes_it() {
    let home = Home::new();
    let changes = || {
        let log = home.run(&["audit", "list", "--json"]).json();
        let made = log.as_array().unwrap().iter().filter(|entry| entry["action"] == "key_rotated");
        made.map(|entry| entry["detail"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    home.serve(&[]).stop();
    for _ in 0..3 {
        let server = home.serve(&["--set", "access.algorithm=EdDSA"]);
        assert_eq!(published(&server).len(), 1);
        let said = server.stop();
        assert!(said.contains("doorward key rotate --algorithm EdDSA"), "{said}");
    }
    assert_eq!(changes(), [""; 0]);
    let made = home.run(&["key", "rotate", "--algorithm", "EdDSA", "--json"]).json();
    let keys = home.run(&["key", "list", "--json"]).json();
    assert_eq!((&keys[0]["algorithm"], &keys[1]["algorithm"]), (&json!("ES256"), &json!("EdDSA")));
    assert_eq!(changes(), [made["kid"].as_str().unwrap()]);
    // From now on the next key is one of it too, whatever a command's settings say.
    home.run(&["key", "rotate"]).ok();
    assert_eq!(home.run(&["key", "list", "--json"]).json()[2]["algorithm"], "EdDSA");
    for bad in ["HS256", "none", "es256"] {
        assert_eq!(home.run(&["key", "rotate", "--algorithm", bad]).code, Some(2));
    }
}
