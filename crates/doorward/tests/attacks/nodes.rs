//! Several nodes on one database agree: on keys, their algorithm, how long a token may live, and what users are called.

use std::time::Duration;

use doorward::testing::{PASSWORD, Site};
use doorward_core::Mode;
use doorward_core::role::RoleName;
use doorward_core::token::Algorithm;
use http::Method;
use serde_json::json;

#[tokio::test]
async fn j23_a_longer_lifetime_on_one_node_is_good_on_the_others_at_their_next_look() {
    let old = Site::new().await;
    old.user("ada", RoleName::USER).await;
    let new = old.restarted_with(&[("access.ttl", "2h")]).await;
    let ada = new.logged_in("ada").await;
    old.app.follow().await.unwrap();
    ada.at(&old).get("/profile").await.is_ok();
    // And the other way round: the old one's tokens stay good on the new one.
    old.logged_in("ada").await.at(&new).get("/profile").await.is_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_start_at_once_on_an_empty_database_make_one_key() {
    let site = Site::new().await;
    for _ in 0..4 {
        site.app.store.execute("DELETE FROM signing_keys", Vec::new()).await.unwrap();
        let nodes = tokio::join!(
            site.restarted(),
            site.restarted(),
            site.restarted(),
            site.restarted(),
            site.restarted(),
            site.restarted(),
        );
        assert_eq!(nodes.0.app.keys.list(site.app.now()).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn nodes_with_another_algorithm_make_no_key_and_follow_the_one_that_a_command_makes() {
    let site = Site::new().await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(site.restarted_with(&[("access.algorithm", "EdDSA")]).await);
        nodes.push(site.restarted().await);
    }
    let keys = async || site.app.keys.list(site.app.now()).await.unwrap();
    assert_eq!(keys().await.len(), 1);
    let ada = nodes[0].registered("ada").await;
    site.app.keys.rotate(Algorithm::EdDsa, site.app.now(), site.app.now()).await.unwrap();
    for node in &nodes {
        node.app.follow().await.unwrap();
    }
    for node in &nodes {
        let fresh = node.logged_in("ada").await;
        for other in &nodes {
            fresh.at(other).get("/profile").await.is_ok();
            // The tokens from before stay good.
            ada.at(other).get("/profile").await.is_ok();
        }
    }
    let _ = site.restarted().await;
    assert_eq!(keys().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j39_a_rotation_at_once_refuses_no_fresh_token_on_another_node() {
    let (one, mode) = (Site::new().await, Mode::Cookie);
    one.user("ada", RoleName::USER).await;
    let other = one.restarted().await;
    let looking = other.app.keep_up();
    // Its first looks may come before its first heartbeat.
    while !other.app.next_look().await {}
    for turn in 0..3 {
        one.app.keys.replace(Algorithm::Es256, one.app.now()).await.unwrap();
        let ada = if turn == 0 { one.logged_in_by("ada", mode).await } else { one.logged_in("ada").await };
        ada.at(&other).get("/profile").await.is_ok();
        one.app.keys.replace(Algorithm::Es256, one.app.now()).await.unwrap();
        // A logout must know the key too, or it would end nothing.
        let ada = one.logged_in("ada").await;
        ada.at(&other).post("/logout", json!({})).await.is_ok();
        one.app.follow().await.unwrap();
        ada.get("/profile").await.is_refused("session_ended");
        one.app.keys.replace(Algorithm::Es256, one.app.now()).await.unwrap();
        let client = other.client().await;
        let token = one.logged_in("ada").await.token().unwrap();
        let asked = other.visitor().request(Method::POST, "/introspect").header("authorization", client);
        let asked = asked.header("content-type", "application/x-www-form-urlencoded");
        let answer = other.visitor().send(asked, format!("token={token}")).await;
        assert_eq!(answer.is_ok()["active"], true);
    }
    looking.abort();
}

#[tokio::test]
async fn a_new_name_and_address_show_on_the_other_node_at_its_next_look() {
    let one = Site::new().await;
    if !one.app.store.is_shared() {
        return;
    }
    let ada = one.registered("ada").await;
    let other = one.restarted().await;
    other.app.follow().await.unwrap();
    let named = async || ada.at(&other).get("/profile").await.is_ok()["user"].clone();
    assert_eq!(named().await["name"], "ada");
    for name in ["Augusta", "Ada"] {
        one.clock.advance(Duration::from_secs(3));
        let body = json!({ "name": name, "email": format!("{name}@example.org"), "password": PASSWORD });
        ada.patch("/profile", body).await.is_ok();
        other.app.follow().await.unwrap();
        let user = named().await;
        assert_eq!(
            (&user["name"], &user["email"]),
            (&json!(name), &json!(format!("{name}@example.org").to_lowercase()))
        );
    }
}

#[tokio::test]
async fn roles_are_those_of_the_node_that_started_last_on_all_nodes() {
    let one = Site::with(&[("roles.support", "users:read")]).await;
    one.user("sam", "support".parse().unwrap()).await;
    let sam = one.logged_in("sam").await;
    sam.get("/admin/audit").await.is_refused("forbidden");
    let other = one.restarted_with(&[("roles.support", "audit:read"), ("roles.editor", "posts:write")]).await;
    one.app.follow().await.unwrap();
    for node in [&one, &other] {
        sam.at(node).get("/admin/audit").await.is_ok();
        sam.at(node).get("/admin/users").await.is_refused("forbidden");
    }
    one.user("edith", "editor".parse().unwrap()).await;
}

#[tokio::test]
async fn another_issuer_is_refused_until_a_command_makes_it_that_of_all_nodes() {
    let (one, new) = (Site::new().await, [("public_url", "https://accounts.example")]);
    let before = one.registered("ada").await;
    let said = one.refused_with(&new).await;
    assert!(said.contains("issue tokens as doorward") && said.contains("config adopt"), "{said}");
    one.adopts_issuer_of(&new).await;
    one.app.follow().await.unwrap();
    assert_eq!(one.app.keys.verifier().expected().issuer, "https://accounts.example");
    let after = one.logged_in("ada").await;
    let other = one.restarted_with(&new).await;
    for node in [&one, &other] {
        before.at(node).get("/profile").await.is_ok();
        after.at(node).get("/profile").await.is_ok();
    }
    assert!(one.refused_with(&[]).await.contains("https://accounts.example"));
}

#[tokio::test]
async fn limits_and_lifetimes_that_differ_among_nodes_are_told() {
    let one = Site::new().await;
    assert!(one.app.disagreements().is_empty());
    let _other = one.restarted_with(&[("throttle.account", "5/30s"), ("access.ttl", "5m")]).await;
    one.app.follow().await.unwrap();
    let told = one.app.disagreements();
    let told: Vec<_> = told.iter().map(|(what, _)| what.as_str()).collect();
    assert!(told.len() == 2 && told[0].contains("account 10/30s") && told[1].contains("300s"), "{told:?}");
}

/// It holds the row of its own lane, as one that was frozen between its last statement and its commit.
#[tokio::test]
async fn x19_a_process_that_stands_still_in_mid_logout_stops_only_itself() {
    let site = Site::new().await;
    let Some(url) = site.app.settings.database.as_ref().map(|url| url.expose().to_owned()) else { return };
    if url.contains("pgbouncer") {
        return; // A pooler takes no options of this driver.
    }
    let other = site.restarted().await;
    let third = site.restarted().await;
    site.logged_in("ada").await.post("/logout", json!({})).await.is_ok();
    let (frozen, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    frozen.batch_execute("BEGIN; UPDATE lanes SET position = position").await.unwrap();

    for mode in [Mode::Bearer, Mode::Cookie, Mode::Session] {
        let ben = other.logged_in_by(&format!("ben{}", mode.as_str()), mode).await;
        let copy = ben.copy();
        copy.at(&third).get("/profile").await.is_ok();
        ben.post("/logout", json!({})).await.is_ok();
        third.app.follow().await.unwrap();
        copy.at(&third).get("/profile").await.is_refused("session_ended");
    }
    let grace = site.logged_in("grace").await;
    grace.post("/logout", json!({})).await.has_status(503);
    frozen.batch_execute("ROLLBACK").await.unwrap();
    grace.post("/logout", json!({})).await.is_ok();
}
