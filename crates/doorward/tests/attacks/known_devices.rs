//! X11: strangers on the owner's network use up the guesses, and the owner's known device still gets in. It gives ten
//! failures an hour at its own account and nothing else, and no answer reveals whether an account knows a device.

use std::time::Duration;

use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::Mode;
use doorward_core::role::RoleName;
use http::Method;
use serde_json::{Value, json};

const WRONG: &str = "a wrong password";
const COOKIE: &str = "__Host-device";

async fn tries(visitor: &Visitor, email: &str, password: &str) -> Answer {
    visitor.post("/login", json!({ "email": email, "password": password })).await
}

async fn ada_tries(visitor: &Visitor, password: &str) -> Answer {
    tries(visitor, "ada@example.org", password).await
}

/// Uses up the guesses at ada's account from the network of all visitors, or those of the whole network.
async fn storm(site: &Site, guesses: usize, spray: bool) {
    let stranger = site.visitor();
    for n in 0..guesses {
        let email = if spray { format!("made-up-{n}@example.org") } else { "ada@example.org".to_owned() };
        let status = tries(&stranger, &email, WRONG).await.status;
        assert!(status == 401 || status == 429, "{status}");
    }
}

/// A browser in which ada signed in once, and is signed out again.
async fn browser(site: &Site, name: &str) -> Visitor {
    let visitor = site.logged_in_by(name, Mode::Session).await;
    visitor.post("/logout", Value::Null).await.is_ok();
    assert!(visitor.cookie(COOKIE).is_some(), "it survives the logout");
    visitor
}

#[tokio::test]
async fn x11_the_owner_gets_in_a_hundred_times_of_a_hundred_under_fifty_guesses_a_second() {
    for spray in [false, true] {
        let site = Site::new().await;
        let ada = browser(&site, "ada").await;
        for round in 0..100 {
            storm(&site, 50, spray).await;
            let fields = [("email", "ada@example.org"), ("password", PASSWORD)];
            if round % 2 == 0 {
                ada.form("/login", &fields).await.goes_to("/dashboard");
            } else {
                ada_tries(&ada.copy(), PASSWORD).await.is_ok();
            }
            site.clock.advance(Duration::from_secs(1));
        }
        // A browser that never signed in here waits like the strangers.
        ada_tries(&site.visitor(), PASSWORD).await.is_refused("too_many_attempts");
    }
}

#[tokio::test]
async fn x11_a_program_that_sends_its_device_gets_in() {
    let site = Site::new().await;
    site.user("ada", RoleName::USER).await;
    let program = site.visitor();
    let device = ada_tries(&program, PASSWORD).await.is_ok()["device"].as_str().unwrap().to_owned();
    assert_eq!(program.cookie(COOKIE), None, "a program has no cookies");
    storm(&site, 20, false).await;
    let with = |device: &str| json!({ "email": "ada@example.org", "password": PASSWORD, "device": device });
    for _ in 0..20 {
        let again = site.visitor().post("/login", with(&device)).await.is_ok();
        assert_eq!(again["device"], device.as_str(), "a device keeps its secret");
    }
    for bad in ["", "x", &"A".repeat(43), &format!("{device}x"), &"A".repeat(10_000), "...."] {
        site.visitor().post("/login", with(bad)).await.is_refused("too_many_attempts");
    }
    let wrong = json!({ "email": "ada@example.org", "password": PASSWORD, "device": 7 });
    site.visitor().post("/login", wrong).await.is_refused("invalid_input");
}

#[tokio::test]
async fn x11_a_program_that_registers_with_its_device_is_known_to_both_accounts() {
    let site = Site::new().await;
    site.user("ada", RoleName::USER).await;
    let device = ada_tries(&site.visitor(), PASSWORD).await.is_ok()["device"].as_str().unwrap().to_owned();
    let ben = json!({ "name": "Ben", "email": "ben@example.org", "password": PASSWORD, "device": device });
    let made = site.visitor().post("/register", ben.clone()).await.has_status(201).json();
    let both = made["device"].as_str().unwrap();
    assert!(both.len() > device.len() && both.ends_with(&device), "{both}");
    storm(&site, 20, false).await;
    for email in ["ada@example.org", "ben@example.org"] {
        let body = json!({ "email": email, "password": PASSWORD, "device": both });
        site.visitor().post("/login", body).await.is_ok();
    }
    let mut wrong = ben;
    wrong["device"] = json!(7);
    site.visitor().post("/register", wrong).await.is_refused("invalid_input");
}

#[tokio::test]
async fn x11_the_cookie_lives_for_400_days_and_no_page_or_answer_shows_it() {
    let site = Site::new().await;
    site.user("ada", RoleName::USER).await;
    for mode in [Mode::Cookie, Mode::Session] {
        let body = json!({ "email": "ada@example.org", "password": PASSWORD, "mode": mode.as_str() });
        let answer = site.visitor().post("/login", body).await;
        let line = answer.set_cookies().into_iter().find(|line| line.starts_with(COOKIE)).unwrap().to_owned();
        let (value, attributes) = line.split_once('=').unwrap().1.split_once(';').unwrap();
        for attribute in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/", "Max-Age=34560000"] {
            assert!(attributes.contains(attribute), "{line}");
        }
        assert!(!attributes.contains("Domain"), "{line}");
        assert!(!answer.text().contains(value) && answer.json().get("device").is_none());
        assert!(!site.stolen_database().await.contains(value));
    }
    let dev = Site::with(&[("dev", "true")]).await;
    dev.user("ada", RoleName::USER).await;
    let answer = dev.visitor().form("/login", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
    let line = answer.set_cookies().into_iter().find(|line| line.starts_with("device=")).unwrap().to_owned();
    assert!(!line.contains("Secure"), "{line}");
}

#[tokio::test]
async fn x11_a_device_has_ten_failures_an_hour_at_its_account_and_nothing_else() {
    let site = Site::new().await;
    let ada = browser(&site, "ada").await;
    site.user("ben", RoleName::USER).await;
    storm(&site, 20, false).await;
    for _ in 0..10 {
        ada_tries(&ada, WRONG).await.is_refused("too_many_attempts");
    }
    site.app.hashing.take_jobs();
    ada_tries(&ada, PASSWORD).await.is_refused("too_many_attempts");
    assert!(site.app.hashing.take_jobs().is_empty(), "nothing is compared any more");
    site.clock.advance(Duration::from_secs(360));
    storm(&site, 20, false).await;
    ada_tries(&ada.copy(), PASSWORD).await.is_ok();
    // At another account it has no effect.
    storm(&site, 150, true).await;
    tries(&ada.copy(), "ben@example.org", PASSWORD).await.is_refused("too_many_attempts");
    // By itself it gives no access.
    let only_the_cookie = site.visitor();
    only_the_cookie.hold_cookie(COOKIE, &ada.cookie(COOKIE).unwrap());
    only_the_cookie.get("/profile").await.is_refused("token_missing");
    only_the_cookie.post("/refresh", Value::Null).await.is_refused("refresh_invalid");
}

#[tokio::test]
async fn x11_no_answer_and_no_work_tells_whether_an_account_knows_a_device() {
    let site = Site::new().await;
    let (ada, ben) = (browser(&site, "ada").await, browser(&site, "ben").await);
    storm(&site, 150, true).await;
    storm(&site, 20, false).await;
    let mut seen = Vec::new();
    for (visitor, email) in
        [(&ada, "ada@example.org"), (&ben, "ada@example.org"), (&ben, "nobody@example.org")]
    {
        let mut answers = Vec::new();
        for _ in 0..12 {
            site.app.hashing.take_jobs();
            let answer = tries(visitor, email, WRONG).await;
            let wait = answer.header("retry-after").map(str::to_owned);
            answers.push((answer.redacted(), wait, site.app.hashing.take_jobs().len()));
        }
        assert_eq!(answers.iter().filter(|(.., hashes)| *hashes == 1).count(), 10, "{email}");
        seen.push(answers);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:#?}");
    // Before the guesses are used up, a device makes no difference at all.
    let site = Site::new().await;
    let (ada, ben) = (browser(&site, "ada").await, browser(&site, "ben").await);
    let answers = [
        ada_tries(&ada, WRONG).await.redacted(),
        ada_tries(&ben, WRONG).await.redacted(),
        ada_tries(&site.visitor(), WRONG).await.redacted(),
    ];
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
}

#[tokio::test]
async fn x11_made_up_devices_cost_no_hash_and_one_device_no_more_than_fifty_an_hour() {
    let site = Site::new().await;
    let ben = browser(&site, "ben").await;
    storm(&site, 150, true).await;
    site.app.hashing.take_jobs();
    for n in 0..100 {
        let made_up = site.visitor();
        made_up.hold_cookie(COOKIE, &format!("{n:0>43}"));
        ada_tries(&made_up, WRONG).await.is_refused("too_many_attempts");
    }
    assert!(site.app.hashing.take_jobs().is_empty());
    for n in 0..200 {
        tries(&ben, &format!("made-up-{n}@example.org"), WRONG).await.is_refused("too_many_attempts");
    }
    assert_eq!(site.app.hashing.take_jobs().len(), 50);
}

#[tokio::test]
async fn x11_a_browser_keeps_five_accounts_and_an_account_ten_devices() {
    let site = Site::new().await;
    let shared = site.visitor();
    let sign_in = async |visitor: &Visitor, name: &str| {
        let email = format!("{name}@example.org");
        let body = json!({ "email": email, "password": PASSWORD, "mode": "session" });
        visitor.post("/login", body).await
    };
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        site.user(name, RoleName::USER).await;
        sign_in(&shared, name).await.is_ok();
        site.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(shared.cookie(COOKIE).unwrap().split('.').count(), 5);
    let mut laptops = Vec::new();
    site.user("ada", RoleName::USER).await;
    for _ in 0..11 {
        let laptop = site.visitor();
        sign_in(&laptop, "ada").await.is_ok();
        site.clock.advance(Duration::from_secs(1));
        laptops.push(laptop);
    }
    storm(&site, 150, true).await;
    sign_in(&shared.copy(), "a").await.is_refused("too_many_attempts");
    for name in &names[1..] {
        sign_in(&shared.copy(), name).await.is_ok();
    }
    sign_in(&laptops[0].copy(), "ada").await.is_refused("too_many_attempts");
    for laptop in &laptops[1..] {
        sign_in(&laptop.copy(), "ada").await.is_ok();
    }
}

#[tokio::test]
async fn x11_a_reset_and_an_admins_sign_out_everywhere_void_all_devices_for_good() {
    for by_link in [true, false] {
        let site = Site::new().await;
        let (admin, ada) = (site.admin("root").await, browser(&site, "ada").await);
        let stolen = ada.copy();
        let id = site.logged_in("ada").await.user_id().await;
        let password = if by_link { "another good phrase" } else { PASSWORD };
        if by_link {
            let made = admin.post(&format!("/admin/users/{id}/reset-link"), Value::Null).await.is_ok();
            let (_, token) = made["url"].as_str().unwrap().split_once("token=").unwrap();
            let body = json!({ "token": token, "new_password": password });
            site.visitor().post("/password/reset", body).await.is_ok();
        } else {
            admin.delete(&format!("/admin/users/{id}/sessions"), Value::Null).await.is_ok();
        }
        storm(&site, 20, false).await;
        ada_tries(&ada.copy(), password).await.is_refused("too_many_attempts");
        // The next sign-in doesn't make the old secret valid again.
        let home = ada.from([198, 51, 100, 7]);
        ada_tries(&home, password).await.is_ok();
        ada_tries(&stolen, password).await.is_refused("too_many_attempts");
    }
}

#[tokio::test]
async fn x11_an_owner_under_attack_can_change_the_password() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    storm(&site, 20, false).await;
    let body = json!({ "current_password": PASSWORD, "new_password": "another good phrase" });
    ada.post("/profile/password", body).await.is_ok();
}

#[tokio::test]
async fn x11_an_exempt_network_is_exempt_from_the_limit_of_a_network_and_from_no_other() {
    let site = Site::with(&[("throttle.exempt", "192.0.2.0/24, 2001:db8::/32")]).await;
    site.user("ada", RoleName::USER).await;
    storm(&site, 300, true).await;
    ada_tries(&site.visitor(), PASSWORD).await.is_ok();
    storm(&site, 20, false).await;
    ada_tries(&site.visitor(), PASSWORD).await.is_refused("too_many_attempts");
    let elsewhere = site.visitor().from([198, 51, 100, 7]);
    for n in 0..101 {
        let answer = tries(&elsewhere, &format!("made-up-{n}@example.org"), WRONG).await;
        assert_eq!(answer.status, if n < 100 { 401 } else { 429 });
    }
}

#[tokio::test]
async fn x11_the_limits_are_settings() {
    let settings = [
        ("throttle.account", "3/10s"),
        ("throttle.network", "5/1m"),
        ("throttle.registrations", "1/1h"),
        ("throttle.device", "2/1h"),
    ];
    let site = Site::with(&settings).await;
    let ada = browser(&site, "ada").await;
    for n in 0..4 {
        let answer = ada_tries(&site.visitor(), WRONG).await;
        assert_eq!(answer.status, if n < 3 { 401 } else { 429 });
    }
    for n in 0..3 {
        let answer = tries(&site.visitor(), &format!("made-up-{n}@example.org"), WRONG).await;
        assert_eq!(answer.status, if n < 2 { 401 } else { 429 });
    }
    for _ in 0..2 {
        ada_tries(&ada, WRONG).await.is_refused("too_many_attempts");
    }
    ada_tries(&ada, PASSWORD).await.is_refused("too_many_attempts");
    let register =
        |n: usize| json!({ "name": "Ben", "email": format!("ben{n}@example.org"), "password": PASSWORD });
    site.visitor().post("/register", register(0)).await.has_status(201);
    let answer = site.visitor().post("/register", register(1)).await;
    assert_eq!(answer.is_refused("too_many_attempts")["status"], 429);
    assert_eq!(answer.header("retry-after"), Some("3600"));
}

/// An admin, and a network whose registrations are used up by an address that is taken.
async fn closed_registration(settings: &[(&str, &str)]) -> (Site, Visitor) {
    let site = Site::with(settings).await;
    let admin = site.admin("root").await;
    for n in 0..31 {
        let body = json!({ "name": "Root", "email": "root@example.org", "password": PASSWORD });
        let answer = site.visitor().post("/register", body).await;
        assert_eq!(answer.status, if n < 30 { 409 } else { 429 });
    }
    (site, admin)
}

#[tokio::test]
async fn x11_a_valid_invitation_gets_in_while_registration_is_used_up() {
    let (site, admin) = closed_registration(&[]).await;
    let invite = async || {
        let made = admin.post("/admin/invitations", json!({})).await.has_status(201).json();
        made["url"].as_str().unwrap().split_once("invite=").unwrap().1.to_owned()
    };
    let register = |name: &str, invite: &str| {
        let email = format!("{name}@example.org");
        json!({ "name": "New", "email": email, "password": PASSWORD, "invite": invite })
    };
    for n in 0..5 {
        let body = register(&format!("new{n}"), &invite().await);
        site.visitor().post("/register", body).await.has_status(201);
    }
    // An invitation that is used, unknown or malformed is limited like everybody, and costs no hash.
    let used = invite().await;
    site.visitor().post("/register", register("ben", &used)).await.has_status(201);
    let bound = admin.post("/admin/invitations", json!({ "email": "joan@example.org" })).await.json();
    let (_, bound) = bound["url"].as_str().unwrap().split_once("invite=").unwrap();
    site.app.hashing.take_jobs();
    for bad in [used.as_str(), &"A".repeat(43), "x"] {
        site.visitor().post("/register", register("eve", bad)).await.is_refused("too_many_attempts");
    }
    let elsewhere = site.visitor().from([198, 51, 100, 7]);
    for bad in [used.as_str(), &"A".repeat(43), "x"] {
        elsewhere.post("/register", register("eve", bad)).await.is_refused("link_invalid");
    }
    elsewhere.post("/register", register("eve", bound)).await.is_refused("link_invalid");
    assert!(site.app.hashing.take_jobs().is_empty());
    // An invitation can't find out without a limit which addresses are taken.
    let (curious, mut told) = (invite().await, 0);
    for _ in 0..60 {
        told += usize::from(site.visitor().post("/register", register("root", &curious)).await.status == 409);
    }
    assert_eq!(told, 10);
}

#[tokio::test]
async fn x11_clearing_the_limits_reaches_every_running_server() {
    let (site, _) = closed_registration(&[]).await;
    site.user("ada", RoleName::USER).await;
    storm(&site, 150, true).await;
    storm(&site, 20, false).await;
    let elsewhere = site.restarted().await;
    elsewhere.app.clear_limits().await.unwrap();
    site.app.follow().await.unwrap();
    ada_tries(&site.visitor(), PASSWORD).await.is_ok();
    let body = json!({ "name": "Ben", "email": "ben@example.org", "password": PASSWORD });
    site.visitor().post("/register", body).await.has_status(201);
    // Once, and not at every check.
    storm(&site, 20, false).await;
    site.app.follow().await.unwrap();
    ada_tries(&site.visitor(), PASSWORD).await.is_refused("too_many_attempts");
    let audit =
        site.admin("boss").await.json(Method::GET, "/admin/audit?limit=200", Value::Null).await.is_ok();
    let entries = audit["entries"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["action"] == "limits_cleared"));
}
