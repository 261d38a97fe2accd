//! Keys that are not in force yet, or no longer.

use std::time::Duration;

use doorward_core::token::{self, Algorithm, Claims, SigningKey};
use doorward_core::{ClaimsVersion, RootSecret, Secret};
use serde_json::{Value, json};

use super::*;

const ROOT: &str = "k2J9-root-secret-of-a-test-Xq71Bn";
const PUBLISHED_BEFORE: Duration = Duration::from_secs(600);

/// Every signing key, the oldest first, as only the holder of the root secret can read them.
async fn signing_keys(target: &Target) -> Vec<SigningKey> {
    let root = RootSecret::new(&Secret::new(ROOT));
    let sql = "SELECT kid, algorithm, private_key FROM signing_keys ORDER BY activates_at";
    let rows = target.site.app.store.list(sql, Vec::new()).await.unwrap();
    let key = |row: &doorward::internals::store::Row| {
        let (kid, algorithm): (String, String) = (row.get("kid").unwrap(), row.get("algorithm").unwrap());
        let private = root.open(&kid, &row.get::<Vec<u8>>("private_key").unwrap()).unwrap();
        SigningKey::from_pkcs8(algorithm.parse().unwrap(), private.expose()).unwrap()
    };
    rows.iter().map(key).collect()
}

/// A token as the server would issue it now, for the admin's session, under any key.
fn signed(target: &Target, key: &SigningKey, of: &Forger) -> String {
    let text = |name| of.member(name).trim_matches('"').to_owned();
    let now = target.site.clock.now();
    let (user, session) = (text("sub").parse().unwrap(), text("sid").parse().unwrap());
    let mut claims = Claims::new(user, session, now, now + Duration::from_secs(900), [7; 16]);
    claims.role = text("role").parse().unwrap();
    claims.version = ClaimsVersion::new(of.member("ver").parse().unwrap()).unwrap();
    token::issue(key, target.site.app.keys.verifier().expected().as_ref(), &claims).unwrap()
}

async fn published(target: &Target) -> Vec<String> {
    let jwks = target.site.visitor().get("/.well-known/jwks.json").await.is_ok();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn accepts(target: &Target, token: &str) {
    target.ask("GET", "/admin/users", "authorization", format!("Bearer {token}").as_bytes()).await.is_ok();
    target.ask("GET", "/profile", "cookie", format!("__Host-token={token}").as_bytes()).await.is_ok();
}

#[tokio::test]
async fn j39_a_key_verifies_from_its_first_day_to_its_last() {
    let target = Target::with(&[("DOORWARD_SECRET", ROOT)]).await;
    let admin = Forger::after(&target.admin.token().unwrap());
    let now = target.site.clock.now();
    target.site.app.keys.rotate(Algorithm::Es256, now + PUBLISHED_BEFORE, now).await.unwrap();
    let [old, next] = <[SigningKey; 2]>::try_from(signing_keys(&target).await).unwrap();

    // Published, so that everybody has it in time; but nothing under it is accepted yet.
    assert_eq!(published(&target).await.len(), 2);
    accepts(&target, &signed(&target, &old, &admin)).await;
    target.refuses(signed(&target, &next, &admin)).await;
    let clocks_may_differ = Duration::from_secs(30);
    target.site.later(PUBLISHED_BEFORE - clocks_may_differ - Duration::from_micros(1)).await;
    target.refuses(signed(&target, &next, &admin)).await;

    // Another node's clock may be ahead, so that node signs with it already. This one doesn't.
    target.site.later(Duration::from_micros(1)).await;
    accepts(&target, &signed(&target, &next, &admin)).await;
    let still = Forger::after(&target.site.logged_in("grace").await.token().unwrap());
    assert!(still.header.iter().any(|(_, value)| value.contains(old.kid())), "{:?}", still.header);

    // In force. The old one no longer signs, and its tokens still work.
    target.site.later(clocks_may_differ).await;
    accepts(&target, &signed(&target, &next, &admin)).await;
    accepts(&target, &target.admin.token().unwrap()).await;
    let grace = target.site.logged_in("grace").await;
    assert_eq!(Forger::after(&grace.token().unwrap()).member("kid"), format!("\"{}\"", next.kid()));
    target.user.refresh().await.is_ok();

    // Its last moment: its tokens are remembered as verified, and still refused a moment later.
    target.site.later(Duration::from_secs(960) - Duration::from_micros(1)).await;
    let late = signed(&target, &old, &admin);
    accepts(&target, &late).await;
    target.site.later(Duration::from_micros(1)).await;
    target.refuses(late).await;
    target.refuses(signed(&target, &old, &admin)).await;
    assert_eq!(published(&target).await, [next.kid()]);
    // Only at the logout it still proves its session: a cookie may outlive the key that signed it.
    target.admin.refresh().await.is_refused("session_ended");
    target.user.refresh().await.is_ok();
    target.user.get("/profile").await.is_ok();
}

#[tokio::test]
async fn j39_another_algorithm_takes_over_without_a_logout() {
    let target = Target::with(&[("DOORWARD_SECRET", ROOT)]).await;
    let admin = Forger::after(&target.admin.token().unwrap());
    target.site.clock.advance(Duration::from_secs(1));
    let now = target.site.clock.now();
    target.site.app.keys.rotate(Algorithm::EdDsa, now, now).await.unwrap();
    let [old, new] = <[SigningKey; 2]>::try_from(signing_keys(&target).await).unwrap();
    assert_eq!(new.algorithm(), Algorithm::EdDsa);
    accepts(&target, &target.admin.token().unwrap()).await;
    accepts(&target, &signed(&target, &new, &admin)).await;
    // Each key under the other's name or algorithm.
    for (key, named) in [(&old, &new), (&new, &old)] {
        let [header, payload, signature] = parts(&signed(&target, key, &admin));
        let [other, ..] = parts(&signed(&target, named, &admin));
        target.refuses(format!("{other}.{payload}.{signature}")).await;
        let mixed = Forger::after(&format!("{header}.{payload}.{signature}"));
        let header = encode(mixed.header("alg", Some(&format!("\"{}\"", named.algorithm()))));
        target.refuses(format!("{header}.{payload}.{signature}")).await;
    }
    target.user.refresh().await.is_ok();
    target.user.get("/profile").await.is_ok();
}

#[tokio::test]
async fn j39_a_changed_secret_ends_every_token_and_no_session() {
    let (target, forger) = known_secret().await;
    let database = target.user.refresh_token().unwrap();
    let changed = Target::with(&[("JWT_SECRET", "qR7-another-secret-than-before-Zt3")]).await;
    changed.refuses(forger.with_payload(forger.own_payload())).await;
    changed.refuses(target.admin.token().unwrap()).await;
    let answer = changed.site.visitor().post("/refresh", json!({ "refresh_token": database })).await;
    answer.has_status(401).is_refused("refresh_invalid");
    changed.stands().await;
    assert_eq!(target.site.visitor().post("/refresh", Value::Null).await.status, 401);
}
