//! E05, E06: data of other users, and secrets that are compared.

use doorward::testing::{Answer, Site};
use doorward_core::Mode;
use serde_json::{Value, json};

use crate::reading::one;

#[tokio::test]
async fn e05_who_is_no_admin_learns_nothing_of_others() {
    let site = Site::new().await;
    site.admin("root").await;
    let (eve, victim) = (site.logged_in("eve").await, site.logged_in("victim").await);
    let (id, session) = (victim.user_id().await, victim.session_id().await);
    let nobody = "01890000-0000-7000-8000-000000000000";
    let anonymous = site.visitor();
    for path in [
        "/admin/users",
        "/admin/users?search=victim",
        "/admin/users?search=nobody",
        "/admin/users?role=admin&limit=1",
        "/admin/users?limit=0",
        &format!("/admin/users/{id}"),
        &format!("/admin/users/{nobody}"),
        &format!("/admin/users/{id}/sessions"),
        &format!("/admin/users/{nobody}/sessions"),
        "/admin/sessions",
        "/admin/audit",
    ] {
        let refused = eve.get(path).await;
        assert_eq!(refused.is_refused("forbidden")["status"], 403, "{path}");
        assert!(!refused.text().contains("victim"), "{path}");
        assert_eq!(anonymous.get(path).await.is_refused("token_missing")["status"], 401, "{path}");
    }
    // Whether a session or a user exists is no answer either.
    let without_id = |answer: Answer| {
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("request_id");
        (answer.status.as_u16(), body)
    };
    let theirs = without_id(eve.delete(&format!("/sessions/{session}"), Value::Null).await);
    let nobodys = without_id(eve.delete(&format!("/sessions/{nobody}"), Value::Null).await);
    assert_eq!(theirs, nobodys);
    assert_eq!(theirs.0, 404);
    for path in [
        "/users",
        &format!("/users/{id}"),
        "/.well-known/webfinger?resource=acct:victim@example.org",
        "/avatar/victim",
    ] {
        assert_eq!(eve.get(path).await.is_refused("not_found")["status"], 404, "{path}");
    }
    for path in ["/profile?id=", "/dashboard?user=", "/sessions?user_id="] {
        let mine = eve.get(&format!("{path}{id}")).await;
        mine.is_ok();
        assert!(!mine.text().contains("victim") && !mine.text().contains(&id), "{path}");
    }
    victim.get("/profile").await.is_ok();
}

#[tokio::test]
async fn e06_no_secret_is_compared_that_the_store_holds() {
    // Nothing is looked up by the secret itself, so no prefix can be found byte by byte. Session secrets and links are
    // found by a SHA-256. Refresh tokens are found by a public id, and then compared by an HMAC in constant time
    // (doorward-core).
    let site = Site::new().await;
    let root = site.admin("root").await;
    let (ada, browser) = (site.logged_in("ada").await, site.logged_in_by("ada", Mode::Session).await);
    let link =
        root.post(&format!("/admin/users/{}/reset-link", ada.user_id().await), Value::Null).await.is_ok();
    let link = link["url"].as_str().unwrap().split_once("token=").unwrap().1.to_owned();
    let secret = browser.cookie("__Host-sessionId").unwrap();
    let refresh = ada.refresh_token().unwrap();
    let stolen = site.stolen_database().await;
    for secret in [&link, &secret, &refresh, &refresh[4..].to_owned()] {
        assert!(!stolen.contains(secret.as_str()), "the database holds a secret");
    }
    let hashes = "SELECT CAST(COUNT(*) AS BIGINT) FROM sessions WHERE length(secret_hash) = 32";
    assert_eq!(one::<i64>(&site, hashes, Vec::new()).await, 1);
    // However much of a guess is right, the answer is the same.
    let mut answers = Vec::new();
    for right in [0, 1, 20, 42] {
        let wrong = |secret: &str| {
            let changed = if secret.as_bytes()[right] == b'A' { "B" } else { "A" };
            format!("{}{changed}{}", &secret[..right], "A".repeat(secret.len() - right - 1))
        };
        let guesser = site.visitor();
        guesser.hold_cookie("__Host-sessionId", &wrong(&secret));
        let seen = guesser.get("/profile").await;
        let reset = json!({ "token": wrong(&link), "new_password": "quite another password" });
        let used = site.visitor().post("/password/reset", reset).await;
        let token = format!("dr2.{}", wrong(&refresh[4..]));
        let refreshed = site.visitor().post("/refresh", json!({ "refresh_token": token })).await;
        answers.push([seen, used, refreshed].map(|answer| (answer.status, answer.json()["code"].clone())));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let codes = answers[0].clone().map(|(_, code)| code);
    assert_eq!(codes, ["token_invalid", "link_invalid", "refresh_invalid"].map(Value::from));
}
