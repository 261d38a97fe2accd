//! R05, R08, R11: an end of everything while sign-ins and refreshes of the same user are in flight.

use std::sync::Arc;

use doorward::internals::accounts::{Actor, UserChange};
use doorward::internals::audit::By;
use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::Mode;
use doorward_core::role::RoleName;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::reading::{admin, store_hash, stored_hash, user};

/// What a visitor is doing while the act comes.
async fn refreshes_or_signs_in(visitor: Visitor, email: String, signs_in: bool) -> (Answer, Visitor) {
    if signs_in {
        visitor.hold(None, None);
        (visitor.post("/login", json!({ "email": email, "password": PASSWORD })).await, visitor)
    } else {
        (visitor.refresh().await, visitor)
    }
}

/// Whether access and refresh token work; they say the same.
async fn is_in(visitor: &Visitor) -> bool {
    let seen = visitor.get("/profile").await;
    let refreshed = visitor.copy().refresh().await;
    assert_eq!(seen.status, refreshed.status, "{} {}", seen.text(), refreshed.text());
    seen.status == 200
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r05_logging_out_everywhere_while_a_hundred_sign_in_or_refresh() {
    let site = Site::new().await;
    for _ in 0..5 {
        let (desk, mut before) = (site.logged_in("ada").await, Vec::new());
        for _ in 0..50 {
            before.push(site.logged_in("ada").await);
        }
        let start = Arc::new(Barrier::new(101));
        let mut flying = Vec::new();
        for n in 0..100_u8 {
            // Each from a network of its own: a guess in flight counts until it was right.
            let visitor = before[usize::from(n / 2)].copy().from([198, 51, 100, n]);
            let start = start.clone();
            flying.push(tokio::spawn(async move {
                start.wait().await;
                refreshes_or_signs_in(visitor, "ada@example.org".into(), n % 2 == 0).await
            }));
        }
        start.wait().await;
        desk.copy().post("/logout/all", Value::Null).await.is_ok();

        assert!(!is_in(&desk).await);
        for visitor in &before {
            assert!(!is_in(visitor).await, "a token that was issued before lives on");
        }
        let late = site.logged_in("ada").await;
        for (n, flown) in flying.into_iter().enumerate() {
            let (answer, visitor) = flown.await.unwrap();
            match answer.status.as_u16() {
                200 if n % 2 == 0 => drop(is_in(&visitor).await),
                // A refresh of an ended session returns nothing that works, whenever it was answered.
                200 => assert!(!is_in(&visitor).await),
                401 => drop(answer.is_refused("session_ended")),
                other => panic!("{other} {}", answer.text()),
            }
        }
        assert!(is_in(&late).await, "a sign-in after the logout is dead");
        late.post("/logout/all", Value::Null).await.is_ok();
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Disable,
    Delete,
    ChangePassword,
}

/// One round: an act on a user while one client refreshes and one signs in. Returns how many of them were answered 200.
async fn act_in_flight(site: &Site, (name, other): (&str, &str), act: Act, steps: usize) -> usize {
    let ada = site.logged_in(name).await;
    let id = user(&ada.user_id().await);
    let mut flying = Vec::new();
    for signs_in in [false, true] {
        let (visitor, email) = (ada.copy(), format!("{name}@example.org"));
        flying.push(tokio::spawn(async move {
            for _ in 0..steps % 5 * 4 {
                tokio::task::yield_now().await;
            }
            refreshes_or_signs_in(visitor, email, signs_in).await
        }));
    }
    for _ in 0..steps / 5 % 5 * 4 {
        tokio::task::yield_now().await;
    }
    // Now and then the refresh has come through before the act begins, however busy the machine is.
    while steps % 10 == 9 && !flying[0].is_finished() {
        tokio::task::yield_now().await;
    }
    let accounts = &site.app.accounts;
    match act {
        Act::Disable => {
            let change = UserChange { disabled: Some(true), ..UserChange::default() };
            accounts.change(id, change, Actor::CommandLine).await.map(drop)
        }
        Act::Delete => accounts.delete(id, Actor::CommandLine).await,
        Act::ChangePassword => accounts.set_password(id, other.to_owned(), By::CommandLine).await.map(drop),
    }
    .unwrap();
    assert!(!is_in(&ada).await, "{act:?}");
    let mut brought = 0;
    for flown in flying {
        let (answer, visitor) = flown.await.unwrap();
        if answer.status == 200 {
            brought += 1;
            assert!(!is_in(&visitor).await, "{act:?}: what was handed out meanwhile works");
        } else {
            assert!(answer.status.is_client_error(), "{act:?}: {}", answer.text());
        }
    }
    brought
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r08_disabling_deleting_and_a_new_password_beat_what_is_in_flight() {
    let (site, other) = (Site::new().await, crate::reading::bcrypt("quite another password", 10));
    for act in [Act::Disable, Act::Delete, Act::ChangePassword] {
        let mut brought = 0;
        for round in 0..50 {
            let name = format!("{act:?}{round}").to_lowercase();
            brought += act_in_flight(&site, (&name, &other), act, round).await;
        }
        assert!((1..100).contains(&brought), "{act:?} was always first or always last: {brought}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r11_no_token_carries_the_old_role_after_its_change() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let id = user(&ada.user_id().await);
    for round in 0..100 {
        let (visitor, new) = (ada.copy(), if round % 2 == 0 { RoleName::ADMIN } else { RoleName::USER });
        let flying = tokio::spawn(async move {
            refreshes_or_signs_in(visitor, "ada@example.org".into(), round % 4 < 2).await
        });
        for _ in 0..round % 9 {
            tokio::task::yield_now().await;
        }
        // Somebody must stay admin.
        if round == 0 {
            site.user("root", RoleName::ADMIN).await;
        }
        let change = UserChange { role: Some(new), ..UserChange::default() };
        site.app.accounts.change(id, change, Actor::CommandLine).await.unwrap();
        ada.get("/profile").await.is_refused("token_stale");
        let (answer, visitor) = flying.await.unwrap();
        answer.is_ok();
        let seen = visitor.get("/admin/users").await;
        let expected = if new == RoleName::ADMIN { "" } else { "forbidden" };
        match seen.status.as_u16() {
            401 => drop(seen.is_refused("token_stale")),
            200 => assert_eq!(expected, ""),
            _ => drop(seen.is_refused(expected)),
        }
        ada.refresh().await.is_ok();
        ada.get("/profile").await.is_ok();
    }
}

#[tokio::test]
async fn r08_a_password_hash_that_changed_during_the_check_lets_nobody_in() {
    // The race in slow motion: the hash has changed when the session begins.
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let id = ada.user_id().await;
    let old = stored_hash(&site, "ada").await;
    store_hash(&site, &id, &crate::reading::bcrypt("quite another password", 10)).await;
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    site.visitor().post("/login", login.clone()).await.is_refused("invalid_credentials");
    store_hash(&site, &id, &old).await;
    site.visitor().post("/login", login).await.is_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r05_a_second_process_that_follows_all_the_time_misses_nothing() {
    let site = Arc::new(Site::new().await);
    let second = Arc::new(site.restarted().await);
    let (done, follower) = (Arc::new(std::sync::atomic::AtomicBool::new(false)), second.clone());
    let stop = done.clone();
    let following = tokio::spawn(async move {
        while !stop.load(std::sync::atomic::Ordering::SeqCst) {
            follower.app.follow().await.unwrap();
        }
    });
    let root = user(&site.user("root", RoleName::ADMIN).await);
    let ids = [user(&site.user("ada", RoleName::USER).await), user(&site.user("ben", RoleName::USER).await)];
    let (mut out, mut stale) = (Vec::new(), Vec::new());
    for round in 0..100 {
        let (leaving, name) = (site.logged_in("root").await, ["ada", "ben"][round % 2]);
        let changed = site.logged_in(name).await;
        let role = if round / 2 % 2 == 0 { RoleName::ADMIN } else { RoleName::USER };
        let change = UserChange { role: Some(role), ..UserChange::default() };
        let acts = site.app.accounts.change(ids[round % 2], change, admin(&site, root, None).await);
        let held = leaving.copy();
        let (left, acted) = tokio::join!(leaving.post("/logout", Value::Null), acts);
        left.is_ok();
        acted.unwrap();
        out.push(held);
        stale.push(changed);
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    following.await.unwrap();
    second.app.follow().await.unwrap();
    for (round, visitor) in out.iter().enumerate() {
        let answer = visitor.at(&second).get("/profile").await;
        assert_eq!(answer.json()["code"], "session_ended", "round {round}");
    }
    for (round, visitor) in stale.iter().enumerate().skip(98) {
        let answer = visitor.at(&second).get("/profile").await;
        assert_eq!(answer.json()["code"], "token_stale", "round {round}");
    }
}

/// Two browsers, each with a cookie of the other's account: every sign-in ends sessions of both.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn x16_sign_ins_that_end_each_others_sessions_wait_for_nobody() {
    let mut settings = vec![("session.max_per_user", "1"), ("throttle.enabled", "false")];
    let of_its_own = Deadlocks::of_a_database_of_its_own().await;
    settings.extend(of_its_own.iter().map(|database| ("database", database.url.as_str())));
    let site = Site::with(&settings).await;
    let mut browsers = Vec::new();
    for (own, others) in [("ada", "ben"), ("ben", "ada")] {
        let browser = site.logged_in_by(own, Mode::Session).await;
        let other = site.logged_in_by(others, Mode::Cookie).await;
        browser.hold_cookie("__Host-token", &other.cookie("__Host-token").unwrap());
        browsers.push((own, browser));
    }
    for _ in 0..20 {
        let sign_ins: Vec<_> = (0..8)
            .map(|n| {
                let (name, browser) = &browsers[n % 2];
                let (browser, email) = (browser.copy(), format!("{name}@example.org"));
                let body =
                    json!({ "email": email, "password": doorward::testing::PASSWORD, "mode": "cookie" });
                tokio::spawn(async move { (browser.post("/login", body).await.status, browser) })
            })
            .collect();
        let mut last = Vec::new();
        for sign_in in sign_ins {
            let (status, browser) = sign_in.await.unwrap();
            assert_eq!(status, 200);
            last.push(browser);
        }
        // The next round holds the session that this one left to the other account.
        for (n, browser) in last.iter().enumerate() {
            if browser.get("/profile").await.status == 200 {
                let (_, other) = &browsers[(n + 1) % 2];
                other.hold_cookie("__Host-token", &browser.cookie("__Host-token").unwrap());
            }
        }
    }
    let live = "SELECT CAST(COUNT(*) AS BIGINT) FROM sessions WHERE ended_at IS NULL";
    assert!(crate::reading::one::<i64>(&site, live, Vec::new()).await <= 2);
    site.app.store.close().await;
    if let Some(database) = of_its_own {
        assert_eq!(database.counted().await, 0, "deadlocks, even though each was tried again");
    }
}

/// Counts the deadlocks of a PostgreSQL database that nobody else uses.
struct Deadlocks {
    url: String,
    name: String,
    client: tokio_postgres::Client,
}

impl Deadlocks {
    async fn of_a_database_of_its_own() -> Option<Self> {
        let server = std::env::var("DOORWARD_TEST_POSTGRES").ok()?;
        let (client, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let name = format!("deadlocks_{}", std::process::id());
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let mut url = url::Url::parse(&server).unwrap();
        url.set_path(&name);
        Some(Self { url: url.into(), name, client })
    }

    /// After the last connection was closed: each adds what it counted when it ends.
    async fn counted(&self) -> i64 {
        let (open, counted) = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = $1",
            "SELECT deadlocks FROM pg_stat_database WHERE datname = $1",
        );
        while self.number(open).await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        self.number(counted).await
    }

    async fn number(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[&self.name]).await.unwrap().get(0)
    }
}

#[tokio::test]
async fn the_session_over_the_limit_that_goes_is_the_one_longest_unused() {
    let site = Site::with(&[("session.max_per_user", "2")]).await;
    let used = site.logged_in("ada").await;
    site.later(std::time::Duration::from_secs(1)).await;
    let unused = site.logged_in("ada").await;
    site.later(std::time::Duration::from_secs(1)).await;
    used.refresh().await.is_ok();
    let third = site.logged_in("ada").await;
    assert!(is_in(&used).await && is_in(&third).await && !is_in(&unused).await);
}
