//! E01 to E04: a sign-in, a registration and a reset don't reveal who has an account. E01 is tested as work here; its
//! timed form waits for the load tests.

use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::role::RoleName;
use serde_json::{Value, json};

use crate::reading::{bcrypt, store_hash};

const WRONG: &str = "a wrong password";

/// The whole answer except the id of its request.
fn shown(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let headers = answer.headers.iter().filter(|(name, _)| *name != "x-request-id");
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    let mut body = answer.json();
    let request_id = body.as_object_mut().unwrap().remove("request_id");
    assert_eq!(request_id.unwrap().as_str().unwrap().len(), 24);
    assert_eq!(answer.header("x-request-id").unwrap().len(), 24);
    (answer.status.as_u16(), headers, body)
}

/// A user, one without a password, a disabled one, one whose hash is invalid, and an unknown address.
async fn people(site: &Site) -> [&'static str; 5] {
    site.logged_in("known").await;
    let root = site.admin("root").await;
    for (name, change) in [("nopassword", Value::Null), ("disabled", json!({ "disabled": true }))] {
        let id = if change.is_null() {
            let new = json!({ "name": name, "email": format!("{name}@example.org") });
            let made = root.post("/admin/users", new).await.has_status(201).json();
            made["user"]["id"].as_str().unwrap().to_owned()
        } else {
            site.user(name, RoleName::USER).await
        };
        if !change.is_null() {
            root.patch(&format!("/admin/users/{id}"), change).await.is_ok();
        }
    }
    store_hash(site, &site.user("broken", RoleName::USER).await, "$2x$none").await;
    ["known", "nopassword", "disabled", "broken", "unknown"]
}

async fn guesses(visitor: &Visitor, name: &str, mode: &str) -> Answer {
    let body = json!({ "email": format!("{name}@example.org"), "password": WRONG, "mode": mode });
    visitor.post("/login", body).await
}

#[tokio::test]
async fn e01_every_wrong_guess_costs_the_same_work() {
    let site = Site::new().await;
    let people = people(&site).await;
    // The invalid hash is refused before any work: no real account has it.
    for name in people.into_iter().filter(|name| *name != "broken") {
        site.app.hashing.take_jobs();
        guesses(&site.visitor(), name, "bearer").await.is_refused("invalid_credentials");
        assert_eq!(site.app.hashing.take_jobs(), ["verify bcrypt $2b$, cost 4"], "{name}");
    }
    let argon2id = Site::with(&[("password.algorithm", "argon2id")]).await;
    argon2id.user("known", RoleName::USER).await;
    for name in ["known", "unknown"] {
        argon2id.app.hashing.take_jobs();
        guesses(&argon2id.visitor(), name, "bearer").await.is_refused("invalid_credentials");
        let work = ["verify argon2id v=19, 64 KiB, 1 pass, 1 lane"];
        assert_eq!(argon2id.app.hashing.take_jobs(), work, "{name}");
    }
}

#[tokio::test]
async fn e02_every_wrong_guess_gets_the_same_answer() {
    let site = Site::new().await;
    let people = people(&site).await;
    for mode in ["bearer", "cookie", "session"] {
        let expected = shown(&guesses(&site.visitor(), "known", mode).await);
        assert_eq!((expected.0, &expected.2["code"]), (401, &json!("invalid_credentials")));
        assert!(expected.1.iter().all(|(name, _)| name != "set-cookie"));
        for name in people {
            assert_eq!(shown(&guesses(&site.visitor(), name, mode).await), expected, "{name}");
        }
    }
    let mut pages = Vec::new();
    for name in people {
        let email = format!("{name}@example.org");
        let page = site.visitor().form("/login", &[("email", &email), ("password", WRONG)]).await;
        assert_eq!((page.status.as_u16(), page.set_cookies().len()), (401, 0), "{name}");
        // The key of the form differs each time.
        let text = page.text().replace(&email, "");
        let (before, key) = text.split_once("name=\"form_key\" value=\"").unwrap();
        pages.push(format!("{before}{}", &key[32..]));
    }
    assert!(pages.iter().all(|page| *page == pages[0]));
}

#[tokio::test]
async fn e02_unknown_addresses_are_limited_like_known_ones() {
    let site = Site::new().await;
    let people = people(&site).await;
    let mut limited = Vec::new();
    for (n, name) in people.into_iter().enumerate() {
        let visitor = site.visitor().from([198, 51, 100, u8::try_from(n).unwrap()]);
        for _ in 0..10 {
            guesses(&visitor, name, "bearer").await.is_refused("invalid_credentials");
        }
        limited.push(shown(&guesses(&visitor, name, "bearer").await));
    }
    assert_eq!((limited[0].0, &limited[0].2["code"]), (429, &json!("too_many_attempts")));
    assert!(limited.iter().all(|answer| *answer == limited[0]), "{limited:?}");
}

#[tokio::test]
async fn e02_only_the_right_password_learns_that_an_account_is_disabled() {
    let site = Site::new().await;
    people(&site).await;
    let login = json!({ "email": "disabled@example.org", "password": PASSWORD });
    let answer = site.visitor().post("/login", login).await;
    assert_eq!(answer.is_refused("user_disabled")["status"], 403);
    assert!(answer.set_cookies().is_empty());
}

#[tokio::test]
async fn e03_registering_a_known_address_is_the_one_leak_and_it_is_rationed() {
    let site = Site::new().await;
    site.registered("ada").await;
    let guess =
        |name: &str| json!({ "name": "Eve", "email": format!("{name}@example.org"), "password": PASSWORD });
    let eve = site.visitor().from([198, 51, 100, 1]);
    site.app.hashing.take_jobs();
    eve.post("/register", guess("ada")).await.is_refused("email_taken");
    assert_eq!(site.app.hashing.take_jobs(), ["hash"], "a known address must cost what a new one costs");
    site.visitor().from([198, 51, 100, 2]).post("/register", guess("new")).await.has_status(201);
    assert_eq!(site.app.hashing.take_jobs(), ["hash"]);
    for _ in 1..30 {
        eve.post("/register", guess("ada")).await.is_refused("email_taken");
    }
    // Then known and unknown addresses get the same answer.
    let limited = shown(&eve.post("/register", guess("ada")).await);
    assert_eq!((limited.0, &limited.2["code"]), (429, &json!("too_many_attempts")));
    assert_eq!(shown(&eve.post("/register", guess("nobody")).await), limited);
    // If registration is closed, nothing is revealed at all.
    for registration in ["closed", "invite"] {
        let site = Site::with(&[("registration", registration)]).await;
        site.user("ada", RoleName::USER).await;
        let known = shown(&site.visitor().post("/register", guess("ada")).await);
        assert_eq!((known.0, &known.2["code"]), (403, &json!("registration_closed")));
        assert_eq!(shown(&site.visitor().post("/register", guess("nobody")).await), known);
        let mut body = guess("ada");
        body["invite"] = json!("A".repeat(43));
        let forged = shown(&site.visitor().post("/register", body.clone()).await);
        body["email"] = json!("nobody@example.org");
        assert_eq!(shown(&site.visitor().post("/register", body).await), forged);
        assert_ne!(forged.0, 409);
    }
}

#[tokio::test]
async fn e04_nobody_asks_for_a_reset_by_address() {
    let site = Site::new().await;
    site.user("known", RoleName::USER).await;
    for path in ["/password/forgot", "/password/reset-link", "/password/reset/request", "/forgot", "/resend"]
    {
        let known = shown(&site.visitor().post(path, json!({ "email": "known@example.org" })).await);
        assert_eq!((known.0, &known.2["code"]), (404, &json!("not_found")), "{path}");
        assert_eq!(shown(&site.visitor().post(path, json!({ "email": "unknown@example.org" })).await), known);
    }
    // The route of the links takes only tokens, and has one answer for all invalid ones.
    let mut answers = Vec::new();
    for token in ["known@example.org", "unknown@example.org", &"A".repeat(43), "", "x"] {
        let encoded: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
        answers.push(shown(&site.visitor().get(&format!("/password/reset?token={encoded}")).await));
        let reset = json!({ "token": token, "new_password": "quite another password" });
        answers.push(shown(&site.visitor().post("/password/reset", reset).await));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0].2["code"], "link_invalid");
}

#[tokio::test]
async fn e01_an_imported_hash_is_verified_at_its_own_cost_once() {
    // The accepted difference (decision 0011): until its owner signs in under the new policy.
    let site = Site::with(&[("password.algorithm", "argon2id")]).await;
    store_hash(&site, &site.user("ada", RoleName::USER).await, &bcrypt(PASSWORD, 10)).await;
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    let argon2id = "verify argon2id v=19, 64 KiB, 1 pass, 1 lane";
    for work in [&["verify bcrypt $2b$, cost 10", "hash"][..], &[argon2id]] {
        site.app.hashing.take_jobs();
        site.visitor().post("/login", login.clone()).await.is_ok();
        assert_eq!(site.app.hashing.take_jobs(), work);
    }
}
