//! P04, P09, P17: hashes that Doorward did not make, and hashes that are made again.

use std::sync::Arc;

use doorward::testing::{PASSWORD, Site};
use serde_json::json;

use super::signs_in;
use crate::reading::{bcrypt, store_hash, stored_hash};

const NEW: &str = "quite another password";

/// A sign-in against this stored hash is refused like any wrong password, and everybody else goes on.
async fn matches_nobody(hashes: &[&str]) {
    let site = Site::new().await;
    let (id, ben) =
        (site.user("ada", doorward_core::role::RoleName::USER).await, site.logged_in("ben").await);
    for (n, hash) in hashes.iter().enumerate() {
        store_hash(&site, &id, hash).await;
        let from = site.visitor().from([203, 0, 113, u8::try_from(n).unwrap()]);
        for guess in [PASSWORD, "", "\0", "x"] {
            let login = json!({ "email": "ada@example.org", "password": guess });
            from.post("/login", login).await.is_refused("invalid_credentials");
        }
        assert_eq!(stored_hash(&site, "ada").await, *hash);
    }
    ben.get("/profile").await.is_ok();
    signs_in(&site, "ben", PASSWORD).await.is_ok();
}

#[tokio::test]
async fn p04_a_stored_hash_that_is_none_matches_nobody() {
    matches_nobody(&[
        "",
        "$",
        "a door is a promise",
        "$2x$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
        "$2a$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3",
        "$2b$5$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
        "$2b$00$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
        "$2b$-5$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
        "$2b$04$\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}x",
        "$argon2id$",
        "$argon2id$v=19$m=64,t=1,p=1$$",
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$====",
        "$1$salt$hash",
        "{SSHA}AAAA",
    ])
    .await;
}

#[tokio::test]
async fn p09_a_bomb_in_a_stored_hash_is_refused_without_its_work() {
    // If one of them were computed, this test would take hours or all memory.
    matches_nobody(&[
        "$2b$31$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
        "$2b$17$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
        "$2b$99$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
        "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG",
        "$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG",
        "$argon2id$v=19$m=65536,t=4294967295,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG",
        "$argon2id$v=19$m=65536,t=1,p=16777215$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG",
    ])
    .await;
}

#[tokio::test]
async fn p17_a_sign_in_raises_a_hash_and_never_lowers_it() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let strong = bcrypt(PASSWORD, 10);
    store_hash(&site, &ada.user_id().await, &strong).await;
    signs_in(&site, "ada", PASSWORD).await.is_ok();
    assert_eq!(stored_hash(&site, "ada").await, strong, "a lower setting took the stronger hash's place");

    let raised = site.restarted_with(&[("password.algorithm", "argon2id")]).await;
    let there = site.visitor().at(&raised);
    there
        .post("/login", json!({ "email": "ada@example.org", "password": NEW }))
        .await
        .is_refused("invalid_credentials");
    assert_eq!(stored_hash(&site, "ada").await, strong, "a wrong password raised a hash");
    there.post("/login", json!({ "email": "ada@example.org", "password": PASSWORD })).await.is_ok();
    assert!(stored_hash(&site, "ada").await.starts_with("$argon2id$"));
    signs_in(&site, "ada", PASSWORD).await.is_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p17_a_hash_that_is_raised_never_overwrites_a_newer_password() {
    let old = Site::new().await;
    let id = old.user("ada", doorward_core::role::RoleName::USER).await;
    let was = stored_hash(&old, "ada").await;
    let site = Arc::new(old.restarted_with(&[("password.algorithm", "argon2id")]).await);
    let new = bcrypt(NEW, 10);
    let mut signed_in = 0;
    for round in 0..60 {
        store_hash(&site, &id, &was).await;
        let visitor = site.visitor().from([198, 51, 100, u8::try_from(round).unwrap()]);
        let login = json!({ "email": "ada@example.org", "password": PASSWORD });
        // The sign-in finds the old hash, and is about to write a better one of the old password.
        let raising = tokio::spawn(async move { (visitor.post("/login", login).await, visitor) });
        for _ in 0..round * 3 {
            tokio::task::yield_now().await;
        }
        store_hash(&site, &id, &new).await;

        assert_eq!(stored_hash(&site, "ada").await, new);
        let (answer, visitor) = raising.await.unwrap();
        assert_eq!(stored_hash(&site, "ada").await, new);
        if answer.status == 200 {
            signed_in += 1;
            visitor.ended_with_others().await;
        } else {
            answer.is_refused("invalid_credentials");
        }
    }
    assert!(signed_in < 60, "the sign-in was always first: this tested nothing");
    signs_in(&site, "ada", NEW).await.is_ok();
    signs_in(&site, "ada", PASSWORD).await.is_refused("invalid_credentials");
}
