use std::time::Duration;

use doorward_core::Mode;
use serde_json::{Value, json};

use crate::testing::{PASSWORD, Site, Visitor};

const NEW: &str = "another good phrase";

async fn can_log_in(site: &Site, email: &str, password: &str) -> bool {
    let answer = site.visitor().post("/login", json!({ "email": email, "password": password })).await;
    answer.status == 200
}

fn new_password(current: &str, new: &str) -> Value {
    json!({ "current_password": current, "new_password": new })
}

#[tokio::test]
async fn the_profile_shows_who_i_am_and_no_secret() {
    let site = Site::new().await;
    let ada = site.registered("ada").await;
    let answer = ada.get("/profile").await;
    insta::assert_snapshot!(answer.redacted(), @r#"
    {
      "user": {
        "created_at": "[time]",
        "email": "ada@example.org",
        "id": "[id]",
        "name": "ada",
        "role": "user"
      }
    }
    "#);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(ada.get("/profile").await.text(), answer.text(), "the second one comes from memory");
    ada.page("/profile").await.goes_to("/dashboard");
}

#[tokio::test]
async fn a_change_shows_at_once_on_every_device() {
    let site = Site::new().await;
    let (laptop, phone) = (site.logged_in("ada").await, site.logged_in_by("ada", Mode::Session).await);
    let name_on = async |visitor: &Visitor| visitor.get("/profile").await.is_ok()["user"]["name"].clone();
    assert_eq!((name_on(&laptop).await, name_on(&phone).await), (json!("ada"), json!("ada")));
    let changed = laptop.patch("/profile", json!({ "name": " Countess " })).await.is_ok();
    assert_eq!((&changed["success"], &changed["user"]["name"]), (&json!(true), &json!("Countess")));
    assert_eq!((name_on(&laptop).await, name_on(&phone).await), (json!("Countess"), json!("Countess")));
    assert_eq!(phone.get("/dashboard").await.is_ok()["message"], "Welcome Countess!");

    let admin = site.admin("root").await;
    let path = format!("/admin/users/{}", laptop.user_id().await);
    admin.patch(&path, json!({ "name": "Lady" })).await.is_ok();
    assert_eq!((name_on(&laptop).await, name_on(&phone).await), (json!("Lady"), json!("Lady")));
}

#[tokio::test]
async fn a_new_address_needs_the_password() {
    let site = Site::new().await;
    let ada = site.registered("ada").await;
    let problem =
        ada.patch("/profile", json!({ "email": "a@example.org" })).await.is_refused("invalid_input");
    assert_eq!(problem["fields"][0]["field"], "password");
    let wrong = json!({ "email": "a@example.org", "password": "wrong password" });
    ada.patch("/profile", wrong).await.has_status(403).is_refused("wrong_password");
    assert!(can_log_in(&site, "ada@example.org", PASSWORD).await);

    let right = json!({ "email": "A@Example.org", "password": PASSWORD });
    assert_eq!(ada.patch("/profile", right).await.is_ok()["user"]["email"], "a@example.org");
    assert_eq!(ada.get("/profile").await.is_ok()["user"]["email"], "a@example.org");
    assert!(!can_log_in(&site, "ada@example.org", PASSWORD).await);
    assert!(can_log_in(&site, "a@example.org", PASSWORD).await);
}

#[tokio::test]
async fn an_address_of_somebody_else_is_taken_and_the_own_one_is_no_change() {
    let site = Site::new().await;
    let ada = site.registered("ada").await;
    site.registered("bob").await;
    let taken = json!({ "email": "BOB@example.org", "password": PASSWORD });
    ada.patch("/profile", taken).await.has_status(409).is_refused("email_taken");
    ada.patch("/profile", json!({ "email": "Ada@Example.org", "name": "Ada" })).await.is_ok();
    ada.patch("/profile", json!({})).await.is_ok();
    let problem =
        ada.patch("/profile", json!({ "name": "", "email": "x" })).await.is_refused("invalid_input");
    assert_eq!(problem["fields"].as_array().unwrap().len(), 2);
    let user = ada.get("/profile").await.is_ok()["user"].clone();
    assert_eq!((&user["name"], &user["email"]), (&json!("Ada"), &json!("ada@example.org")));
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_keeps_this_one() {
    let site = Site::new().await;
    for mode in Mode::ALL {
        let name = mode.as_str();
        let (laptop, phone) = (site.logged_in_by(name, mode).await, site.logged_in_by(name, mode).await);
        let body = laptop.post("/profile/password", new_password(PASSWORD, NEW)).await.is_ok();
        assert_eq!((&body["message"], &body["sessions"]), (&json!("Password changed"), &json!(1)));
        assert_eq!(body["token"].is_string(), mode == Mode::Bearer);
        phone.ended_with_others().await;
        phone.refresh().await.has_status(401);
        laptop.get("/profile").await.is_ok();
        let email = format!("{name}@example.org");
        assert!(!can_log_in(&site, &email, PASSWORD).await && can_log_in(&site, &email, NEW).await);
    }
}

#[tokio::test]
async fn a_password_is_not_changed_without_the_current_one_or_to_a_bad_one() {
    let site = Site::new().await;
    let ada = site.registered("ada").await;
    let wrong = ada.post("/profile/password", new_password("wrong password", NEW)).await;
    wrong.has_status(403).is_refused("wrong_password");
    for bad in ["short", "password", "ada@example.org"] {
        let problem =
            ada.post("/profile/password", new_password(PASSWORD, bad)).await.is_refused("invalid_input");
        assert_eq!(problem["fields"][0]["field"], "new_password", "{bad}");
    }
    let problem = ada.post("/profile/password", json!({})).await.has_status(422).is_refused("invalid_input");
    assert_eq!(problem["fields"].as_array().unwrap().len(), 2);
    assert!(can_log_in(&site, "ada@example.org", PASSWORD).await);
}

#[tokio::test]
async fn wrong_current_passwords_count_as_guesses_at_the_account() {
    let site = Site::new().await;
    let ada = site.registered("ada").await;
    for n in 0..10 {
        let answer = match n % 3 {
            0 => ada.post("/profile/password", new_password("wrong password", NEW)).await,
            1 => ada.delete("/profile", json!({ "password": "wrong password" })).await,
            _ => {
                ada.patch("/profile", json!({ "email": "x@example.org", "password": "wrong password" })).await
            }
        };
        answer.is_refused("wrong_password");
    }
    let answer = ada.post("/profile/password", new_password(PASSWORD, NEW)).await;
    answer.has_status(429).is_refused("too_many_attempts");
    assert_eq!(answer.header("retry-after"), Some("30"));
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    site.visitor().post("/login", login).await.has_status(429);
}

#[tokio::test]
async fn a_deleted_account_is_gone_with_all_its_sessions() {
    let site = Site::new().await;
    let (laptop, phone) = (site.logged_in("ada").await, site.logged_in_by("ada", Mode::Session).await);
    laptop.delete("/profile", json!({ "password": "wrong password" })).await.is_refused("wrong_password");
    laptop.delete("/profile", json!({})).await.has_status(422).is_refused("invalid_input");
    let copy = phone.copy();
    let answer = phone.delete("/profile", json!({ "password": PASSWORD })).await;
    assert_eq!(answer.is_ok(), json!({ "success": true, "message": "Account deleted" }));
    assert_eq!(answer.set_cookies().len(), 3);
    for visitor in [laptop, copy] {
        visitor.ended_with_others().await;
        visitor.refresh().await.has_status(401);
    }
    assert!(!can_log_in(&site, "ada@example.org", PASSWORD).await);
    let again = site.registered("ada").await;
    assert_eq!(again.get("/sessions").await.is_ok()["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_last_admin_cannot_leave() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    admin.delete("/profile", json!({ "password": PASSWORD })).await.has_status(409).is_refused("last_admin");
    admin.get("/profile").await.is_ok();
    site.admin("second").await;
    admin.delete("/profile", json!({ "password": PASSWORD })).await.is_ok();
}

#[tokio::test]
async fn forms_do_the_same_and_go_on() {
    let site = Site::new().await;
    let browser = site.logged_in_by("ada", Mode::Session).await;
    browser
        .form("/profile", &[("name", "Countess"), ("email", "ada@example.org")])
        .await
        .goes_to("/dashboard?done=name-changed");
    assert!(browser.page("/dashboard").await.text().contains("Welcome Countess!"));
    let passwords = [("current_password", PASSWORD), ("new_password", NEW)];
    browser.form("/profile/password", &passwords).await.goes_to("/dashboard?done=password-changed");
    browser.form("/profile/delete", &[("password", PASSWORD)]).await.has_status(403);
    let answer = browser.form("/profile/delete", &[("password", NEW)]).await;
    answer.goes_to("/login?done=account-deleted");
    assert!(answer.set_cookies().len() == 3 && browser.cookie("__Host-sessionId").is_none());
    assert!(!can_log_in(&site, "ada@example.org", NEW).await);
}

/// The page that a form gets back, with the message beside the field, and without the passwords.
async fn wrong(browser: &Visitor, path: &str, fields: &[(&str, &str)], status: u16, parts: &[&str]) {
    let answer = browser.form(path, fields).await;
    let page = answer.has_status(status).text();
    assert!(page.contains("<title>Error: Welcome ada!") && page.contains("Your devices"), "{page}");
    for part in parts {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    for (name, secret) in fields.iter().filter(|(name, _)| name.contains("password")) {
        assert!(secret.is_empty() || !page.contains(secret), "{name} stands in {page}");
    }
}

#[tokio::test]
async fn a_form_that_is_wrong_comes_back_open_with_what_was_typed_and_the_message_beside_the_field() {
    let site = Site::new().await;
    site.registered("bob").await;
    let browser = site.logged_in_by("ada", Mode::Session).await;
    let beside = |id: &str| format!("aria-describedby=\"{id}-wrong");
    wrong(&browser, "/profile", &[("name", "")], 422, &[&beside("name-name"), "Name is required"]).await;
    let mail = |email, password| [("email", email), ("password", password)];
    let typed = "value=\"not an address\"";
    wrong(&browser, "/profile", &mail("not an address", "xyzzyx"), 422, &[&beside("email-email"), typed])
        .await;
    wrong(&browser, "/profile", &mail("", "xyzzyx"), 422, &["email is required"]).await;
    wrong(&browser, "/profile", &mail("new@example.org", ""), 422, &[&beside("email-password")]).await;
    wrong(&browser, "/profile", &mail("new@example.org", "xyzzyx"), 403, &["The current password is wrong"])
        .await;
    wrong(&browser, "/profile", &mail("bob@example.org", PASSWORD), 409, &["already registered"]).await;
    let new = [("current_password", PASSWORD), ("new_password", "passw0rd")];
    wrong(&browser, "/profile/password", &new, 422, &[&beside("password-new_password")]).await;
    wrong(&browser, "/profile/delete", &[("password", "xyzzyx")], 403, &["id=\"delete-trouble\""]).await;
    browser
        .form("/profile", &mail("new@example.org", PASSWORD))
        .await
        .goes_to("/dashboard?done=email-changed");
}

#[tokio::test]
async fn a_change_at_another_node_shows_within_a_minute() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let other = site.restarted().await;
    let there = ada.copy().at(&other);
    assert_eq!(there.get("/profile").await.is_ok()["user"]["name"], "ada");
    ada.patch("/profile", json!({ "name": "Ada L." })).await.is_ok();
    other.later(Duration::from_secs(60)).await;
    assert_eq!(there.get("/profile").await.is_ok()["user"]["name"], "Ada L.");
    assert_eq!(there.get("/dashboard").await.is_ok()["message"], "Welcome Ada L.!");
}

#[tokio::test]
async fn programs_that_keep_passwords_find_the_page_that_changes_one() {
    const PLACE: &str = "/.well-known/change-password";
    for (base, page) in [("", "/dashboard#change-password"), ("/auth", "/auth/dashboard#change-password")] {
        let site = Site::with(&[("base_path", base)]).await;
        site.visitor().page(PLACE).await.goes_to(page);
        site.visitor().get(PLACE).await.goes_to(page);
        // An unknown path is 404, or programs would not believe the other answers.
        site.visitor().get("/.well-known/resource-that-should-not-exist").await.has_status(404);
    }
    let ada = Site::new().await.logged_in_by("ada", Mode::Session).await;
    assert!(ada.page("/dashboard").await.text().contains("id=\"change-password\""));
}
