//! P11, P12, J32: reset links.

use std::sync::Arc;
use std::time::Duration;

use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use super::signs_in;
use crate::reading::audited;

const NEW: &str = "quite another password";

/// A new link for this user: the token in it.
async fn link_for(root: &Visitor, id: &str) -> String {
    let link = root.post(&format!("/admin/users/{id}/reset-link"), Value::Null).await.is_ok();
    link["url"].as_str().unwrap().split_once("token=").unwrap().1.to_owned()
}

async fn resets(site: &Site, token: &str, password: &str) -> Answer {
    site.visitor().post("/password/reset", json!({ "token": token, "new_password": password })).await
}

#[track_caller]
fn is_no_link(answer: &Answer) {
    let mut problem = answer.is_refused("link_invalid");
    problem.as_object_mut().unwrap().remove("request_id");
    let message = "This link is unknown, used or too old: ask for a new one";
    let expected = json!({
        "type": "about:blank", "title": "Bad Request", "status": 400, "success": false,
        "code": "link_invalid", "message": message,
    });
    assert_eq!(problem, expected);
}

#[tokio::test]
async fn p11_a_link_works_once_for_an_hour_and_looking_at_it_uses_nothing_up() {
    let site = Site::new().await;
    let (root, ada) = (site.admin("root").await, site.logged_in("ada").await);
    let id = ada.user_id().await;
    let token = link_for(&root, &id).await;
    for _ in 0..20 {
        // As a mail scanner does.
        site.visitor().get(&format!("/password/reset?token={token}")).await.has_status(200);
        site.visitor().page(&format!("/password/reset?token={token}")).await.has_status(200);
    }
    ada.get("/profile").await.is_ok();
    site.clock.advance(Duration::from_secs(3_600) - Duration::from_micros(1));
    resets(&site, &token, NEW).await.is_ok();
    ada.get("/profile").await.is_refused("token_expired");
    ada.refresh().await.is_refused("session_ended");
    signs_in(&site, "ada", PASSWORD).await.is_refused("invalid_credentials");
    signs_in(&site, "ada", NEW).await.is_ok();
    is_no_link(&resets(&site, &token, "a third long password").await);
    is_no_link(&site.visitor().get(&format!("/password/reset?token={token}")).await);
    signs_in(&site, "ada", NEW).await.is_ok();
    root.refresh().await.is_ok();

    let token = link_for(&root, &id).await;
    site.clock.advance(Duration::from_secs(3_600));
    is_no_link(&resets(&site, &token, PASSWORD).await);
    assert_eq!((audited(&site, "reset_link_made").await, audited(&site, "password_reset").await), (2, 1));
}

#[tokio::test]
async fn p11_a_guess_costs_no_hash_and_tells_nothing() {
    let site = Site::new().await;
    let root = site.admin("root").await;
    let ada = site.logged_in("ada").await;
    let token = link_for(&root, &ada.user_id().await).await;
    let cut = &token[..token.len() - 1];
    let other = if token.starts_with('A') { "B" } else { "A" };
    let near = format!("{other}{}", &token[1..]);
    let stolen = site.stolen_database().await;
    assert!(!stolen.contains(&token));
    site.app.hashing.take_jobs();
    let stored = stolen.lines().filter(|line| line.len() == token.len());
    let guesses = ["", "x", cut, &near, &format!("{token}A"), &format!(" {token}"), &format!("{token}=")];
    for guess in guesses.into_iter().chain(stored).chain([ada.token().unwrap().as_str()]) {
        is_no_link(&resets(&site, guess, NEW).await);
        let encoded: String = url::form_urlencoded::byte_serialize(guess.as_bytes()).collect();
        is_no_link(&site.visitor().get(&format!("/password/reset?token={encoded}")).await);
    }
    assert_eq!(site.app.hashing.take_jobs(), Vec::<String>::new());
    resets(&site, &token, NEW).await.is_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p11_of_fifty_uses_at_once_one_succeeds() {
    let site = Arc::new(Site::new().await);
    let (root, ada) = (site.admin("root").await, site.logged_in("ada").await);
    let token = link_for(&root, &ada.user_id().await).await;
    let start = Arc::new(Barrier::new(50));
    let uses: Vec<_> = (0..50)
        .map(|n| {
            let (site, token, start) = (site.clone(), token.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                // Each from a network of its own, so that none fills the queue of hashes.
                let visitor = site.visitor().from([198, 51, 100, n]);
                let reset = json!({ "token": token, "new_password": format!("{NEW} {n}") });
                visitor.post("/password/reset", reset).await
            })
        })
        .collect();
    let mut winners = Vec::new();
    for (n, used) in uses.into_iter().enumerate() {
        let answer = used.await.unwrap();
        if answer.status == 200 { winners.push(n) } else { is_no_link(&answer) }
    }
    assert_eq!(winners.len(), 1);
    signs_in(&site, "ada", &format!("{NEW} {}", winners[0])).await.is_ok();
    assert_eq!(audited(&site, "password_reset").await, 1);
}

#[tokio::test]
async fn p11_a_link_dies_with_what_it_was_made_for() {
    let site = Site::new().await;
    let root = site.admin("root").await;
    for (n, end) in ["second", "email", "email_by_admin", "password", "reset", "deleted"].iter().enumerate() {
        let name = format!("ada{n}");
        let ada = site.logged_in(&name).await;
        let id = ada.user_id().await;
        let (path, token) = (format!("/admin/users/{id}"), link_for(&root, &id).await);
        let email = format!("new{n}@example.org");
        match *end {
            "second" => drop(link_for(&root, &id).await),
            "email" => {
                ada.patch("/profile", json!({ "email": email, "password": PASSWORD })).await.is_ok();
            }
            "email_by_admin" => drop(root.patch(&path, json!({ "email": email })).await.is_ok()),
            "password" => {
                let change = json!({ "current_password": PASSWORD, "new_password": NEW });
                ada.post("/profile/password", change).await.is_ok();
            }
            "reset" => drop(resets(&site, &token, NEW).await.is_ok()),
            _ => drop(root.delete(&path, Value::Null).await.is_ok()),
        }
        is_no_link(&resets(&site, &token, "a third long password").await);
        is_no_link(&site.restarted().await.visitor().get(&format!("/password/reset?token={token}")).await);
    }
}

#[tokio::test]
async fn p11_a_link_is_for_its_own_user_and_purpose() {
    let site = Site::new().await;
    let root = site.admin("root").await;
    let (ada, ben) = (site.logged_in("ada").await, site.logged_in("ben").await);
    let id = ada.user_id().await;
    let token = link_for(&root, &id).await;
    // Neither a sign-in as another user nor a name in the body changes whose password it sets.
    let body = json!({ "token": token, "new_password": NEW, "email": "ben@example.org", "user_id": ben.user_id().await });
    ben.post("/password/reset", body).await.is_ok();
    signs_in(&site, "ben", PASSWORD).await.is_ok();
    signs_in(&site, "ada", NEW).await.is_ok();
    ben.get("/profile").await.is_ok();
    // An invitation is no reset link, and the other way round.
    let invitation = root.post("/admin/invitations", json!({ "role": "user" })).await.has_status(201).json();
    let invite = invitation["url"].as_str().unwrap().split_once("invite=").unwrap().1.to_owned();
    is_no_link(&resets(&site, &invite, NEW).await);
    let token = link_for(&root, &id).await;
    let register =
        json!({ "name": "Eve", "email": "eve@example.org", "password": PASSWORD, "invite": token });
    is_no_link(&site.visitor().post("/register", register).await);
    // Only who may write users makes one.
    ben.post(&format!("/admin/users/{}/reset-link", ben.user_id().await), Value::Null)
        .await
        .is_refused("forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p11_of_links_that_are_made_at_once_one_is_good() {
    let site = Arc::new(Site::new().await);
    let (root, ada) = (site.admin("root").await, site.logged_in("ada").await);
    let id = ada.user_id().await;
    for _ in 0..10 {
        let start = Arc::new(Barrier::new(8));
        let made: Vec<_> = (0..8)
            .map(|_| {
                let (root, id, start) = (root.copy(), id.clone(), start.clone());
                tokio::spawn(async move {
                    start.wait().await;
                    link_for(&root, &id).await
                })
            })
            .collect();
        let mut tokens = Vec::new();
        for token in made {
            tokens.push(token.await.unwrap());
        }
        let mut good = 0;
        for token in tokens {
            let seen = site.visitor().get(&format!("/password/reset?token={token}")).await;
            good += u32::from(seen.status == 200);
        }
        assert_eq!((good, count_of_links(&site).await), (1, 1));
    }
}

async fn count_of_links(site: &Site) -> i64 {
    crate::reading::one(site, "SELECT CAST(COUNT(*) AS BIGINT) FROM challenges", Vec::new()).await
}

#[tokio::test]
async fn p12_no_header_decides_where_a_link_leads() {
    for (settings, base) in [
        (&[][..], "http://127.0.0.1:"),
        (
            &[("public_url", "https://door.example.com"), ("base_path", "/auth")],
            "https://door.example.com/auth/",
        ),
    ] {
        let site = Site::with(settings).await;
        let root = site.visitor();
        let prefix = if settings.is_empty() { "" } else { "/auth" };
        site.user("root", doorward_core::role::RoleName::ADMIN).await;
        let id = site.user("ada", doorward_core::role::RoleName::USER).await;
        let login = json!({ "email": "root@example.org", "password": PASSWORD });
        root.post(&format!("{prefix}/login"), login).await.is_ok();
        for (name, value) in [
            ("host", "evil.example"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "javascript"),
            ("x-forwarded-prefix", "//evil.example"),
            ("forwarded", "host=evil.example;proto=https"),
            ("x-original-url", "https://evil.example"),
            ("origin", "https://evil.example"),
        ] {
            for path in
                [format!("{prefix}/admin/users/{id}/reset-link"), format!("{prefix}/admin/invitations")]
            {
                let request = root.request(Method::POST, &path).header(name, value);
                let request = request.header("content-type", "application/json");
                let body = json!({ "current_password": PASSWORD }).to_string();
                let answer = root.send(request, body).await;
                assert!(!answer.text().contains("evil"), "{name}: {}", answer.text());
                // A refused connection also proves that nothing listens.
                if answer.status.is_success() {
                    let url = answer.json()["url"].as_str().unwrap().to_owned();
                    assert!(url.starts_with(base), "{name}: {url}");
                } else {
                    assert!(matches!(answer.status.as_u16(), 400 | 403 | 421), "{name}: {}", answer.text());
                }
            }
        }
        let with = json!({ "current_password": PASSWORD });
        let made = root.post(&format!("{prefix}/admin/users/{id}/reset-link"), with).await.is_ok();
        let url = made["url"].as_str().unwrap().to_owned();
        assert!(url.starts_with(base), "{url}");
    }
}
