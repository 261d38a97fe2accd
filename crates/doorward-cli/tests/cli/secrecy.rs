//! What must never appear in an output or a log, at any level.

use serde_json::json;

use crate::support::{Home, PASSWORD};

const CANARY: &str = "canary: never sing this aloud";
const TYPO: &str = "canary: typed it wrong";

#[test]
fn no_password_and_no_credential_is_in_any_output_or_log() {
    let home = Home::new().with("DOORWARD_LOG_LEVEL", "trace");
    let mut said = String::new();
    let server = home.serve(&[]);
    let create = ["user", "create", "--email", "bob@example.org", "--name", "Bob", "--password-stdin"];
    let run = home.run_with(&create, CANARY);
    assert_eq!(run.code, Some(0), "{run:?}");
    said += &format!("{run:?}");
    said +=
        &format!("{:?}", home.run_with(&["user", "password", "bob@example.org", "--password-stdin"], CANARY));
    said += &format!("{:?}", home.run_with(&["verify-hash", "$2b$10$x"], CANARY));

    let ada = json!({ "name": "Ada", "email": "ada@example.org", "password": CANARY });
    let registered = server.post("/register", "", ada);
    let sign_in = |password: &str| json!({ "email": "ada@example.org", "password": password });
    let signed_in = server.post("/login", "", sign_in(CANARY));
    assert_eq!((signed_in.status, server.post("/login", "", sign_in(TYPO)).status), (200, 401));
    let refreshed = server.post("/refresh", "", json!({ "refresh_token": signed_in.body["refresh_token"] }));
    assert_eq!(refreshed.status, 200);
    let change = json!({ "current_password": CANARY, "new_password": PASSWORD });
    assert_eq!(server.post("/profile/password", &registered.token(), change).status, 200);
    let link = home.run(&["user", "reset-link", "ada@example.org", "--json"]);
    let url =
        serde_json::from_str::<serde_json::Value>(&link.out).unwrap()["url"].as_str().unwrap().to_owned();
    let secret = url.split_once("token=").unwrap().1.to_owned();
    said += &link.err;
    server.get(&format!("/password/reset?token={secret}"), "");
    let reset = json!({ "token": secret, "new_password": CANARY });
    assert_eq!(server.post("/password/reset", "", reset).status, 200);
    said += &format!("{:?}", home.run(&["token", "explain", &registered.token()]).err);
    said += &server.stop();

    assert!(said.contains("stopped"), "the log was caught: {said}");
    let mut secrets = vec![CANARY.to_owned(), TYPO.to_owned(), PASSWORD.to_owned(), secret];
    for answer in [&registered, &signed_in, &refreshed] {
        secrets.push(answer.token());
        secrets.push(answer.body["refresh_token"].as_str().unwrap().to_owned());
    }
    for secret in secrets {
        assert!(!said.contains(&secret), "{secret} in {said}");
    }
}
