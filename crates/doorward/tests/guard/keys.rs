//! Keys: fetched once for each set of them, whatever tokens say.

use std::net::TcpListener;

use doorward_core::role::RoleName;
use doorward_core::token::{self, Algorithm, Claims, Expected, SigningKey};
use doorward_core::{SessionId, Timestamp, UserId};
use doorward_guard::Guard;
use http::HeaderMap;

use crate::way::Way;
use crate::{eventually, following, server, told, verdict, verdict_on};

const JWKS: &str = "GET /.well-known/jwks.json";

/// A token like the server's own, signed by an attacker.
fn foreign(now: Timestamp) -> String {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let names = Expected {
        former_issuer: None,
        issuer: "doorward".into(),
        audience: "doorward".into(),
        max_ttl: std::time::Duration::from_secs(900),
    };
    let (user, session) = (UserId::new(now, [1; 10]), SessionId::new(now, [2; 10]));
    let expires_at = now + names.max_ttl;
    let mut claims = Claims::new(user, session, now, expires_at, [3; 16]);
    claims.role = RoleName::ADMIN;
    token::issue(&key, &names, &claims).unwrap()
}

#[tokio::test]
async fn j05_tokens_of_unknown_keys_make_one_question_at_the_server() {
    let (site, address) = server().await;
    let way = Way::to(address).await;
    let guard = told(&site, way.address).without_revocations().build().await.unwrap();
    assert_eq!(way.count(JWKS), 1);
    let now = site.clock.now();
    let asked = (0..200).map(|_| {
        let (guard, token) = (guard.clone(), foreign(now));
        tokio::spawn(async move { verdict(&guard, &token).await })
    });
    for answer in asked.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), "token_invalid");
    }
    assert_eq!(way.count(JWKS), 2);
    assert_eq!(verdict_on(&guard, &site.logged_in("ada").await).await, "ok");
}

#[tokio::test]
async fn j39_a_new_key_counts_at_once_and_a_replaced_one_no_more() {
    let (site, address) = server().await;
    let guard = told(&site, address).without_revocations().build().await.unwrap();
    let ada = site.logged_in("ada").await;
    let old = ada.token().unwrap();
    assert_eq!(verdict(&guard, &old).await, "ok");
    site.app.keys.replace(Algorithm::Es256, site.clock.now()).await.unwrap();
    ada.refresh().await.is_ok();
    assert_eq!(verdict_on(&guard, &ada).await, "ok");
    assert_eq!(verdict(&guard, &old).await, "token_invalid");
}

#[tokio::test]
async fn j39_a_guard_that_follows_the_feed_hears_that_a_key_was_replaced() {
    let (site, address) = server().await;
    let guard = following(&site, address).build().await.unwrap();
    let old = site.logged_in("ada").await.token().unwrap();
    assert_eq!(verdict(&guard, &old).await, "ok");
    site.app.keys.replace(Algorithm::Es256, site.clock.now()).await.unwrap();
    // With a heartbeat, which comes every 5 s; after the cool-down of the first fetching.
    eventually("the key is gone", async || verdict(&guard, &old).await == "token_invalid").await;
}

/// Every way in which a token could name a key of its own; nothing is ever fetched.
#[tokio::test]
async fn j07_nothing_that_a_token_names_is_fetched() {
    let (site, address) = server().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let attacker = listener.local_addr().unwrap();
    let guard = told(&site, address).without_revocations().build().await.unwrap();
    let good = site.logged_in("ada").await.token().unwrap();
    let (_, rest) = good.split_once('.').unwrap();
    for member in ["jku", "x5u", "kid", "iss"] {
        for url in [format!("http://{attacker}/jwks.json"), format!("//{attacker}/"), attacker.to_string()] {
            let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"other","{member}":"{url}"}}"#);
            let header = if member == "kid" { header.replacen(r#""kid":"other","#, "", 1) } else { header };
            assert_eq!(verdict(&guard, &format!("{}.{rest}", encode(&header))).await, "token_invalid");
        }
    }
    let connection = listener.accept().map(drop).unwrap_err();
    assert_eq!(connection.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn j06_a_key_that_a_token_brings_along_is_not_used() {
    let (site, address) = server().await;
    let guard = told(&site, address).without_revocations().build().await.unwrap();
    let token = foreign(site.clock.now());
    let (_, rest) = token.split_once('.').unwrap();
    let jwk = SigningKey::generate(Algorithm::Es256).unwrap().verifying_key();
    let header =
        format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{}","jwk":{}}}"#, jwk.kid(), jwk.to_jwk().unwrap());
    assert_eq!(verdict(&guard, &format!("{}.{rest}", encode(&header))).await, "token_invalid");
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_are_our_own_failure() {
    let (site, address) = server().await;
    let way = Way::to(address).await;
    let guard: Guard = told(&site, way.address).without_revocations().build().await.unwrap();
    let ada = site.logged_in("ada").await;
    way.cut();
    assert_eq!(verdict(&guard, &foreign(site.clock.now())).await, "unavailable");
    assert_eq!(verdict_on(&guard, &ada).await, "ok");
    assert_eq!(guard.check(&HeaderMap::new()).await.unwrap_err().code(), "token_missing");
}

fn encode(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}
