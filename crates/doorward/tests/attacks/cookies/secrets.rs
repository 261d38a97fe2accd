//! Secrets that can't be guessed, and a stolen database that gives no access.

use std::collections::BTreeSet;

use doorward_core::Mode;
use doorward_core::role::RoleName;
use serde_json::Value;

use super::*;
use crate::support::{Target, decode, state};

#[tokio::test]
async fn k09_secrets_of_one_moment_have_nothing_in_common() {
    let target = Target::new().await;
    let mut secrets = Vec::new();
    let mut sessions = BTreeSet::new();
    // The clock stands still: anything made from the time would be the same.
    for _ in 0..50 {
        let visitor = target.site.logged_in_by("lin", Mode::Session).await;
        let id = visitor.session_id().await;
        assert_ne!(
            decode(&visitor.cookie(SESSION).unwrap())[..16],
            *id.parse::<doorward_core::SessionId>().unwrap().as_bytes()
        );
        assert!(sessions.insert(id));
        secrets.push(decode(&visitor.cookie(SESSION).unwrap()));
    }
    assert!(secrets.iter().all(|secret| secret.len() == 32));
    for at in 0..32 {
        let values: BTreeSet<u8> = secrets.iter().map(|secret| secret[at]).collect();
        // 50 draws out of 256 give about 45 different ones, and fewer than 25 once in 10^20 times.
        assert!(values.len() >= 25, "byte {at}: {values:?}");
    }
    let stored = target.site.stolen_database().await;
    assert!(secrets.iter().all(|secret| !stored.contains(&crate::support::encode(secret))));
}

#[tokio::test]
async fn k10_nothing_in_a_stolen_database_is_a_credential() {
    let target = Target::new().await;
    let user = target.user.user_id().await;
    for mode in [Mode::Cookie, Mode::Session] {
        target.site.logged_in_by("ada", mode).await;
    }
    target.admin.post(&format!("/admin/users/{user}/reset-link"), Value::Null).await.is_ok();
    target.admin.post("/admin/invitations", json!({ "role": "admin" })).await.has_status(201);
    let stolen = target.site.stolen_database().await;
    let before = state(&target.site).await;
    let mut values: BTreeSet<&str> =
        stolen.lines().flat_map(|line| line.split('"')).filter(|value| value.len() > 3).collect();
    values.extend(stolen.lines().filter(|line| line.len() > 3));
    assert!(values.len() >= 12, "{values:?}");
    for value in values {
        target.refuses(value).await;
        target.refuses_header("token_invalid", "cookie", format!("{SESSION}={value}").as_bytes()).await;
        for token in [value.to_owned(), format!("dr1.{value}"), format!("dr2.{value}")] {
            let visitor = target.site.visitor();
            visitor
                .post("/refresh", json!({ "refresh_token": token }))
                .await
                .has_status(401)
                .is_refused("refresh_invalid");
            visitor.post("/logout", json!({ "refresh_token": token })).await.is_ok();
        }
        let body = json!({ "token": value, "new_password": "another promise of a door" });
        target.site.visitor().post("/password/reset", body).await.has_status(400).is_refused("link_invalid");
    }
    assert_eq!(state(&target.site).await, before);
    target.stands_signed_in().await;
}

#[tokio::test]
async fn k10_a_stored_hash_is_no_password() {
    let target = Target::new().await;
    target.site.user("lin", RoleName::USER).await;
    let stolen = target.site.stolen_database().await;
    let hashes: BTreeSet<&str> = stolen.lines().filter(|line| line.starts_with('$')).collect();
    assert_eq!(hashes.len(), 3, "{stolen}");
    for (at, hash) in (10_u8..).zip(hashes) {
        for name in ["ada", "grace", "lin"] {
            let visitor = target.site.visitor().from([198, 51, 100, at]);
            let body = json!({ "email": format!("{name}@example.org"), "password": hash });
            visitor.post("/login", body).await.has_status(401).is_refused("invalid_credentials");
        }
    }
}
