//! Rule 8 over several servers on one database, and over restarts: they count together, and forget nothing.

use std::time::Duration;

use doorward::internals::store::Outage;
use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::Mode;
use doorward_core::role::RoleName;
use serde_json::{Value, json};

const WRONG: &str = "a wrong password";

/// Three servers on one database; one alone where the database can't be shared.
async fn servers(settings: &[(&str, &str)]) -> Vec<Site> {
    let first = Site::with(settings).await;
    if !first.app.store.is_shared() {
        return vec![first];
    }
    let (second, third) = (first.restarted().await, first.restarted().await);
    vec![first, second, third]
}

async fn tries(visitor: &Visitor, site: &Site, email: &str, password: &str) -> Answer {
    visitor.at(site).post("/login", json!({ "email": email, "password": password })).await
}

/// The number of tries in turn at these servers that were judged, and not refused by a limit.
async fn judged(servers: &[Site], from: &Visitor, email: impl Fn(usize) -> String, times: usize) -> usize {
    let mut judged = 0;
    for n in 0..times {
        let answer = tries(from, &servers[n % servers.len()], &email(n), WRONG).await;
        assert!(answer.status == 401 || answer.status == 429, "{}", answer.text());
        judged += usize::from(answer.status == 401);
    }
    judged
}

#[tokio::test]
async fn l05_three_servers_together_give_ten_guesses() {
    let servers = servers(&[]).await;
    servers[0].user("ada", RoleName::USER).await;
    let from = servers[0].visitor();
    assert_eq!(judged(&servers, &from, |_| "ada@example.org".into(), 60).await, 10);
    for server in &servers {
        let answer = tries(&from, server, "ada@example.org", PASSWORD).await;
        answer.is_refused("too_many_attempts");
        assert_eq!(answer.header("retry-after"), Some("30"));
    }
    servers[0].clock.advance(Duration::from_secs(30));
    assert_eq!(judged(&servers, &from, |_| "ada@example.org".into(), 6).await, 1);
    assert_eq!(judged(&servers, &from, |n| format!("made-up-{n}@example.org"), 150).await, 92);
}

#[tokio::test]
async fn l05_three_servers_together_give_thirty_registrations_and_ten_tries_of_an_invitation() {
    let servers = servers(&[]).await;
    let admin = servers[0].admin("root").await;
    let register = async |n: usize, body: Value| {
        let site = &servers[n % servers.len()];
        site.visitor().post("/register", body).await.status
    };
    let taken = json!({ "name": "Root", "email": "root@example.org", "password": PASSWORD });
    let mut judged = 0;
    for n in 0..40 {
        judged += usize::from(register(n, taken.clone()).await == 409);
    }
    assert_eq!(judged, 30);
    let made = admin.post("/admin/invitations", json!({})).await.has_status(201).json();
    let mut invited = taken;
    invited["invite"] = json!(made["url"].as_str().unwrap().split_once("invite=").unwrap().1);
    judged = 0;
    for n in 0..20 {
        judged += usize::from(register(n, invited.clone()).await == 409);
    }
    assert_eq!(judged, 10);
}

#[tokio::test]
async fn l05_right_passwords_never_count_whichever_server_they_reach() {
    let servers = servers(&[]).await;
    servers[0].user("ada", RoleName::USER).await;
    let from = servers[0].visitor();
    let confirmed = servers[0].logged_in("ada").await;
    // Fewer than the sessions that a user may have.
    for n in 0..60 {
        let server = &servers[n % servers.len()];
        tries(&from.copy(), server, "ada@example.org", PASSWORD).await.is_ok();
        // A right password that leads to no sign-in is no failure either.
        let short = json!({ "current_password": PASSWORD, "new_password": "short" });
        confirmed.at(server).post("/profile/password", short).await.is_refused("invalid_input");
    }
    assert_eq!(judged(&servers, &from, |_| "ada@example.org".into(), 30).await, 10);
}

#[tokio::test]
async fn l05_a_right_password_of_a_disabled_account_does_not_count() {
    let servers = servers(&[]).await;
    let admin = servers[0].admin("root").await;
    let id = servers[0].user("ada", RoleName::USER).await;
    admin.patch(&format!("/admin/users/{id}"), json!({ "disabled": true })).await.is_ok();
    let from = servers[0].visitor();
    for n in 0..30 {
        let answer = tries(&from, &servers[n % servers.len()], "ada@example.org", PASSWORD).await;
        answer.is_refused("user_disabled");
    }
}

#[tokio::test]
async fn l05_a_restart_forgets_no_guess() {
    let site = Site::new().await;
    site.user("ada", RoleName::USER).await;
    let from = site.visitor();
    let mut judged_by_all = 0;
    let mut servers = vec![site];
    for _ in 0..4 {
        judged_by_all += judged(&servers, &from, |_| "ada@example.org".into(), 4).await;
        servers = vec![servers[0].restarted().await];
    }
    assert_eq!(judged_by_all, 10);
    tries(&from, &servers[0], "ada@example.org", PASSWORD).await.is_refused("too_many_attempts");
    servers[0].clock.advance(Duration::from_secs(30));
    tries(&from, &servers[0], "ada@example.org", PASSWORD).await.is_ok();
}

#[tokio::test]
async fn x11_the_guesses_of_a_known_device_are_ten_over_all_servers_and_restarts() {
    let mut servers = servers(&[]).await;
    let ada = servers[0].logged_in_by("ada", Mode::Session).await;
    ada.post("/logout", Value::Null).await.is_ok();
    let strangers = servers[0].visitor();
    assert_eq!(judged(&servers, &strangers, |_| "ada@example.org".into(), 30).await, 10);
    for server in &servers {
        server.app.hashing.take_jobs();
    }
    let mut compared = 0;
    for n in 0..24 {
        let server = &servers[n % servers.len()];
        tries(&ada, server, "ada@example.org", WRONG).await.is_refused("too_many_attempts");
        compared += server.app.hashing.take_jobs().len();
        if n == 4 {
            let restarted = servers[0].restarted().await;
            servers[0] = restarted;
        }
    }
    assert_eq!(compared, 10);
    tries(&ada, &servers[0], "ada@example.org", PASSWORD).await.is_refused("too_many_attempts");
}

#[tokio::test]
async fn l07_what_is_refused_is_refused_from_memory_until_there_is_room() {
    let servers = servers(&[]).await;
    servers[0].user("ada", RoleName::USER).await;
    let from = servers[0].visitor();
    judged(&servers, &from, |_| "ada@example.org".into(), 15).await;
    for server in &servers {
        tries(&from, server, "ada@example.org", WRONG).await.is_refused("too_many_attempts");
        server.app.store.faults().outage(Outage::All);
        for _ in 0..20 {
            tries(&from, server, "ada@example.org", WRONG).await.is_refused("too_many_attempts");
        }
        server.app.store.faults().outage(Outage::None);
    }
}

/// Every row of the limits, without its key.
async fn rows(site: &Site) -> Vec<i64> {
    site.app.write_limits().await.unwrap();
    let rows = site.app.store.list("SELECT full_at FROM buckets ORDER BY full_at", Vec::new()).await.unwrap();
    rows.iter().map(|row| row.get("full_at").unwrap()).collect()
}

#[tokio::test]
async fn e02_guesses_at_known_and_unknown_accounts_write_the_same() {
    let written = async |email: &str| {
        let site = Site::new().await;
        site.user("ada", RoleName::USER).await;
        let mut written = Vec::new();
        for _ in 0..12 {
            tries(&site.visitor(), &site, email, WRONG).await;
            written.push(rows(&site).await);
        }
        written
    };
    let known = written("ada@example.org").await;
    assert_eq!(known, written("nobody@example.org").await);
    assert_eq!((known[0].len(), known[11].len()), (2, 2));
}

#[tokio::test]
async fn l05_clearing_reaches_what_the_store_has_counted() {
    let servers = servers(&[]).await;
    servers[0].user("ada", RoleName::USER).await;
    let from = servers[0].visitor();
    judged(&servers, &from, |_| "ada@example.org".into(), 30).await;
    servers[0].app.clear_limits().await.unwrap();
    for server in &servers {
        server.app.follow().await.unwrap();
    }
    assert_eq!(judged(&servers, &from, |_| "ada@example.org".into(), 30).await, 10);
    let restarted = servers[0].restarted().await;
    tries(&from, &restarted, "ada@example.org", PASSWORD).await.is_refused("too_many_attempts");
}
