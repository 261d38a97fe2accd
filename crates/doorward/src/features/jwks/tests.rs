use std::collections::BTreeSet;

use serde_json::json;

use crate::testing::Site;

#[tokio::test]
async fn the_public_key_is_there_for_everybody_and_nothing_private() {
    let site = Site::new().await;
    let answer = site.visitor().get("/.well-known/jwks.json").await;
    let keys = answer.is_ok()["keys"].as_array().unwrap().clone();
    let names: BTreeSet<_> = keys[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["alg", "crv", "kid", "kty", "use", "x", "y"]));
    assert_eq!((keys.len(), &keys[0]["alg"], &keys[0]["use"]), (1, &json!("ES256"), &json!("sig")));
    assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

#[tokio::test]
async fn a_copy_is_kept_for_less_time_than_a_new_key_waits() {
    let site = Site::new().await;
    let answer = site.visitor().get("/.well-known/jwks.json").await;
    let kept = answer.header("cache-control").unwrap().strip_prefix("public, max-age=").unwrap();
    assert!(kept.parse::<u64>().unwrap() < crate::keys::PUBLISH_BEFORE_USE.as_secs(), "{kept}");
    assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
}

#[tokio::test]
async fn each_algorithm_publishes_its_own_kind_of_key() {
    for (algorithm, own) in [("EdDSA", ["crv", "x"]), ("RS256", ["e", "n"])] {
        let site = Site::with(&[("access.algorithm", algorithm)]).await;
        let key = site.visitor().get("/.well-known/jwks.json").await.is_ok()["keys"][0].clone();
        let names: BTreeSet<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, BTreeSet::from_iter(["alg", "kid", "kty", "use"].into_iter().chain(own)));
        assert_eq!(key["alg"], algorithm);
        site.logged_in("ada").await.get("/profile").await.is_ok();
    }
}

#[tokio::test]
async fn a_shared_secret_is_published_nowhere() {
    let site = Site::with(&[("JWT_SECRET", "a shared secret of 32 bytes: 0123")]).await;
    assert_eq!(site.visitor().get("/.well-known/jwks.json").await.is_ok(), json!({ "keys": [] }));
    site.logged_in("ada").await.get("/profile").await.is_ok();
}
