//! The command line beside a running server: its acts take effect there within a second.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::{Home, PASSWORD, within_a_second};

#[test]
fn an_account_made_beside_a_server_can_sign_in_there() {
    let home = Home::new();
    let server = home.serve(&[]);
    home.create("grace", "admin");
    let answer = server.login("grace");
    assert_eq!(answer.body["user"]["role"], "admin");
    assert_eq!(server.get("/admin/users", &answer.token()).status, 200);
}

#[test]
fn disabling_somebody_ends_their_sessions_and_enabling_lets_them_sign_in_again() {
    let home = Home::new();
    let server = home.serve(&[]);
    let signed_in = server.register("ada");
    let token = signed_in.token();
    server.soon(&token, "ok");
    assert!(home.run(&["user", "disable", "ada@example.org"]).ok().contains("yes"));
    server.soon(&token, "token_stale");
    assert_eq!(server.refresh(&signed_in).code(), "session_ended");
    assert_eq!(server.login("ada").code(), "user_disabled");
    home.run(&["user", "enable", "ada@example.org"]).ok();
    assert_eq!(server.login("ada").status, 200);
    assert_eq!(server.get("/profile", &token).code(), "token_stale");
    assert_eq!(server.refresh(&signed_in).code(), "session_ended");
}

#[test]
fn a_new_role_makes_the_old_token_stale_and_a_refresh_brings_the_new_one() {
    let home = Home::new();
    let server = home.serve(&[]);
    let answer = server.register("ada");
    home.run(&["user", "role", "ADA@example.org", "admin"]).ok();
    server.soon(&answer.token(), "token_stale");
    let refreshed = server.refresh(&answer);
    assert_eq!(server.get("/admin/users", &refreshed.token()).status, 200);
}

#[test]
fn a_registered_client_may_ask_about_tokens_until_it_is_deleted() {
    let home = Home::new();
    let server = home.serve(&[]);
    let token = server.register("ada").token();
    let made = home.run(&["client", "create", "--name", "The shop", "--json"]).json();
    let (id, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let asks = || server.post("/introspect", &basic, json!({ "token": token }));
    within_a_second(|| asks().body["active"] == true);
    let listed = home.run(&["client", "list", "--json"]).json();
    assert_eq!((listed[0]["client_id"].as_str(), &listed[0]["name"]), (Some(id), &json!("The shop")));
    assert!(!home.run(&["client", "list"]).ok().contains(secret));
    assert_eq!(home.run(&["client", "delete", id]).ok(), format!("Deleted the client {id}\n"));
    within_a_second(|| asks().code() == "invalid_client");
    home.run(&["client", "delete", id]).fails("there is no client", "client list");
    let shown = home.run(&["client", "create", "--name", "Another"]).ok();
    assert!(shown.contains("client_id: ") && shown.contains("client_secret: "), "{shown}");
}

#[test]
fn a_deleted_account_is_gone_with_its_sessions() {
    let home = Home::new();
    let server = home.serve(&[]);
    let answer = server.register("ada");
    let id = answer.body["user"]["id"].as_str().unwrap();
    assert_eq!(home.run(&["user", "delete", id, "--json"]).json(), json!({ "deleted": id }));
    server.soon(&answer.token(), "token_stale");
    assert_eq!(server.refresh(&answer).code(), "session_ended");
    assert_eq!(server.login("ada").code(), "invalid_credentials");
    home.run(&["user", "show", id]).fails("there is no user", "user list");
}

#[test]
fn one_session_ends_and_the_other_goes_on_until_all_are_ended() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (laptop, on_phone) = (server.register("ada").token(), server.login("ada"));
    let phone = on_phone.token();
    let sid = |token: &str| home.run(&["token", "decode", token, "--json"]).json()["payload"]["sid"].clone();
    let ended = sid(&laptop);
    let ended = ended.as_str().unwrap();
    assert_eq!(home.run(&["session", "end", ended]).ok(), "Sessions ended: 1\n");
    server.soon(&laptop, "session_ended");
    server.soon(&phone, "ok");
    home.run(&["session", "end", ended]).fails("there is no live session", "stays ended");
    let listed = home.run(&["session", "list", "ada@example.org", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(home.run(&["session", "list", "--json"]).json()[0]["id"], sid(&phone));
    assert_eq!(
        home.run(&["session", "end", "--user", "ada@example.org", "--json"]).json(),
        json!({ "sessions": 1 })
    );
    server.soon(&phone, "token_stale");
    assert_eq!(server.refresh(&on_phone).code(), "session_ended");
}

#[test]
fn a_password_set_from_the_command_line_replaces_the_old_one_and_ends_the_sessions() {
    let home = Home::new();
    let server = home.serve(&[]);
    let signed_in = server.register("ada");
    let set = ["user", "password", "ada@example.org", "--password-stdin"];
    assert!(home.run_with(&set, "another promise\n").ok().ends_with("sessions ended: 1\n"));
    server.soon(&signed_in.token(), "token_stale");
    assert_eq!(server.refresh(&signed_in).code(), "session_ended");
    assert_eq!(server.login("ada").code(), "invalid_credentials");
    let new = json!({ "email": "ada@example.org", "password": "another promise" });
    assert_eq!(server.post("/login", "", new).status, 200);
}

#[test]
fn a_reset_link_gives_an_account_its_first_password() {
    let home = Home::new();
    let server = home.serve(&[]);
    let create = ["user", "create", "--email", "ada@example.org", "--name", "Ada"];
    assert!(home.run(&create).ok().contains("doorward user reset-link ada@example.org"));
    assert_eq!(server.login("ada").code(), "invalid_credentials");
    let link = home.run(&["user", "reset-link", "ada@example.org", "--json"]).json();
    let secret = link["url"].as_str().unwrap().split_once("/password/reset?token=").unwrap().1;
    let reset = server.post("/password/reset", "", json!({ "token": secret, "new_password": PASSWORD }));
    assert_eq!(reset.status, 200, "{reset:?}");
    assert_eq!(server.login("ada").status, 200);
    let again = server.post("/password/reset", "", json!({ "token": secret, "new_password": PASSWORD }));
    assert_eq!(again.code(), "link_invalid");
}

#[test]
fn an_invitation_opens_a_closed_door_once() {
    let home = Home::new().with("DOORWARD_REGISTRATION", "invite");
    let server = home.serve(&[]);
    let link = home.run(&["invite", "create", "--role", "admin", "--json"]).json();
    let invite = link["url"].as_str().unwrap().split_once("/register?invite=").unwrap().1.to_owned();
    let register = |name: &str| {
        let email = format!("{name}@example.org");
        server.post(
            "/register",
            "",
            json!({ "name": name, "email": email, "password": PASSWORD, "invite": invite }),
        )
    };
    assert_eq!(register("ada").body["user"]["role"], "admin");
    assert_eq!(register("bob").code(), "link_invalid");
}

#[test]
fn x11_clearing_the_limits_lets_people_sign_in_at_a_running_server() {
    let home = Home::new();
    let server = home.serve(&[]);
    server.register("ada");
    let tries = |password: &str| {
        server.post("/login", "", json!({ "email": "ada@example.org", "password": password })).status
    };
    let refused = (0..20).filter(|_| tries("a wrong password") == 429).count();
    assert_eq!((refused, tries(PASSWORD)), (10, 429));
    assert_eq!(home.run(&["limits", "clear"]).ok(), "Cleared the limits on guesses and registrations\n");
    within_a_second(|| tries(PASSWORD) == 200);
    assert_eq!(home.run(&["limits", "clear", "--json"]).json(), json!({ "cleared": true }));
}
