use std::time::Duration;

use doorward_core::Mode;
use doorward_core::role::RoleName;
use serde_json::{Value, json};

use crate::testing::{PASSWORD, Site};

fn ada() -> Value {
    json!({ "name": "Ada", "email": " ADA@Example.org ", "password": PASSWORD })
}

fn ada_with(field: &str, value: impl Into<Value>) -> Value {
    let mut body = ada();
    body[field] = value.into();
    body
}

#[tokio::test]
async fn who_registers_has_an_account_and_is_signed_in() {
    let site = Site::new().await;
    let visitor = site.visitor();
    let answer = visitor.post("/register", ada()).await;
    answer.has_status(201);
    insta::assert_snapshot!(answer.redacted(), @r#"
    {
      "device": "[device]",
      "expires_in": 900,
      "message": "Registered",
      "refresh_expires_in": 2592000,
      "refresh_token": "[token]",
      "success": true,
      "token": "[token]",
      "token_type": "Bearer",
      "user": {
        "created_at": "[time]",
        "email": "ada@example.org",
        "id": "[id]",
        "name": "Ada",
        "role": "user"
      }
    }
    "#);
    assert!(answer.set_cookies().is_empty());
    assert_eq!(visitor.get("/profile").await.is_ok()["user"], answer.json()["user"]);
}

#[tokio::test]
async fn with_cookies_no_script_sees_the_credential() {
    let site = Site::new().await;
    for (mode, cookies) in [
        (Mode::Cookie, vec!["__Host-token", "__Host-refresh_token"]),
        (Mode::Session, vec!["__Host-sessionId"]),
    ] {
        let visitor = site.visitor();
        let mut body = ada_with("mode", mode.as_str());
        body["email"] = format!("{mode}@example.org").into();
        let answer = visitor.post("/register", body).await;
        let fields: Vec<_> = answer.has_status(201).json().as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields, ["expires_in", "message", "success", "user"], "{mode}");
        for cookie in cookies {
            assert!(visitor.cookie(cookie).is_some(), "{mode}: {:?}", answer.set_cookies());
        }
        visitor.get("/profile").await.is_ok();
    }
}

#[tokio::test]
async fn a_form_registers_in_session_mode_and_goes_to_the_dashboard() {
    let site = Site::new().await;
    let visitor = site.visitor();
    let page = visitor.page("/register").await;
    assert!(page.has_status(200).text().contains("<form method=\"post\" action=\"/register\">"));
    let fields = [("name", "Ada"), ("email", "ada@example.org"), ("password", PASSWORD)];
    let answer = visitor.form("/register", &fields).await;
    answer.goes_to("/dashboard");
    assert!(answer.set_cookies()[0].starts_with("__Host-sessionId="));
    assert!(visitor.page("/dashboard").await.has_status(200).text().contains("Welcome Ada!"));
}

#[tokio::test]
async fn who_registers_on_the_way_to_a_page_comes_there_and_nobody_goes_elsewhere() {
    let settings = [
        ("public_url", "https://accounts.example.com"),
        ("cookie.domain", "example.com"),
        ("forward_auth.hosts", "app.example.com"),
        ("trusted_proxies", "10.0.0.0/8"),
    ];
    let site = Site::with(&settings).await;
    let way = "return_to=/dashboard%3Fa%3Db%26c";
    let login = site.visitor().page(&format!("/login?{way}")).await.text().replace("&#x2f;", "/");
    assert!(login.contains(&format!("href=\"/register?{way}\"")), "{login}");
    let page = site.visitor().page(&format!("/register?{way}")).await.text().replace("&#x2f;", "/");
    assert!(page.contains("name=\"return_to\" value=\"/dashboard?a=b&amp;c\""), "{page}");
    assert!(page.contains(&format!("href=\"/login?{way}\"")), "{page}");
    let places = [
        "/dashboard?a=b&c",
        "https://app.example.com/x",
        "https://evil.example/",
        "//evil.example",
        "/logout",
    ];
    for (n, place) in places.into_iter().enumerate() {
        let email = format!("ada{n}@example.org");
        let wrong = [("name", "Ada"), ("email", "ada"), ("password", PASSWORD), ("return_to", place)];
        let again = site.visitor().form("/register", &wrong).await.has_status(422).text();
        assert_eq!(again.contains("name=\"return_to\""), n < 2, "{place}: {again}");
        let browser = site.visitor();
        let fields = [("name", "Ada"), ("email", &email), ("password", PASSWORD), ("return_to", place)];
        let goes_to = if n < 2 { place } else { "/dashboard" };
        browser.form("/register", &fields).await.goes_to(goes_to);
        browser.page(&format!("/register?return_to={}", place.replace('&', "%26"))).await.goes_to(goes_to);
    }
}

#[tokio::test]
async fn a_form_that_is_wrong_comes_back_with_what_was_typed_and_names_the_fields() {
    let site = Site::new().await;
    let answer =
        site.visitor().form("/register", &[("name", "Ada"), ("email", "ada"), ("password", "")]).await;
    let page = answer.has_status(422).text();
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    // The list names the fields, and the problem is shown once, beside each.
    assert!(page.contains("<li>Email</li><li>Password</li>"), "{page}");
    for said in ["Email must have one @", "Password is required"] {
        assert_eq!(page.matches(said).count(), 1, "{page}");
    }
    assert!(page.contains("value=\"Ada\"") && page.contains("value=\"ada\""), "{page}");
    let described =
        "aria-describedby=\"register-password-wrong register-password-hint\" aria-invalid=\"true\"";
    assert!(page.contains(described) && page.matches(" autofocus").count() == 1, "{page}");
    let fields = [("name", "Ada"), ("email", "ada@example.org"), ("password", "xyzzy")];
    let page = site.visitor().form("/register", &fields).await.has_status(422).text();
    assert!(page.contains("Password must have at least 8 characters") && !page.contains("xyzzy"), "{page}");
}

#[tokio::test]
async fn an_address_that_somebody_has_is_taken_in_any_spelling() {
    let site = Site::new().await;
    site.visitor().post("/register", ada()).await.has_status(201);
    for email in ["ada@example.org", "ADA@EXAMPLE.ORG", "\tada@example.org\n"] {
        let mut body = ada_with("email", email);
        body["password"] = "of somebody else".into();
        let answer = site.visitor().post("/register", body).await;
        answer.has_status(409).is_refused("email_taken");
        assert!(answer.set_cookies().is_empty());
    }
    let login = |password: &str| json!({ "email": "ada@example.org", "password": password });
    site.visitor().post("/login", login("of somebody else")).await.is_refused("invalid_credentials");
    site.visitor().post("/login", login(PASSWORD)).await.is_ok();
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let site = Site::new().await;
    let body = json!({ "name": "\u{202e}", "email": "ada", "password": "p".repeat(1_025), "mode": "oauth", "invite": 7 });
    let answer = site.visitor().post("/register", body).await;
    answer.has_status(422).is_refused("invalid_input");
    insta::assert_snapshot!(answer.redacted(), @r#"
    {
      "code": "invalid_input",
      "fields": [
        {
          "field": "name",
          "message": "must have no line breaks, control characters or marks that turn the direction of writing"
        },
        {
          "field": "email",
          "message": "must have one @, like ada@example.com"
        },
        {
          "field": "password",
          "message": "must have at most 1024 bytes"
        },
        {
          "field": "mode",
          "message": "must be bearer, cookie or session"
        },
        {
          "field": "invite",
          "message": "must be a text"
        }
      ],
      "message": "Some fields are missing or wrong",
      "request_id": "[request id]",
      "status": 422,
      "success": false,
      "title": "Unprocessable Entity",
      "type": "about:blank"
    }
    "#);
}

#[tokio::test]
async fn each_wrong_field_is_named_and_nothing_is_made() {
    let site = Site::new().await;
    for (field, wrong) in [
        ("name", json!("")),
        ("name", json!("a\0b")),
        ("name", json!("a".repeat(201))),
        ("name", json!(7)),
        ("name", Value::Null),
        ("email", json!("a@b@c")),
        ("email", json!(format!("{}@example.org", "a".repeat(255)))),
        ("email", json!(["ada@example.org"])),
        ("password", json!("1234567")),
        ("password", json!("password")),
        ("password", json!("ADA@example.org")),
        ("password", json!("a".repeat(1_025))),
        ("password", json!({ "length": 20 })),
        ("password", json!(true)),
        ("mode", json!("Bearer")),
        ("mode", json!(["bearer"])),
    ] {
        let answer = site.visitor().post("/register", ada_with(field, wrong.clone())).await;
        let problem = answer.has_status(422).is_refused("invalid_input");
        let named: Vec<_> =
            problem["fields"].as_array().unwrap().iter().map(|one| one["field"].clone()).collect();
        assert_eq!(named, [field], "{wrong}");
    }
    site.visitor().post("/register", ada()).await.has_status(201);
}

#[tokio::test]
async fn closed_registration_refuses_everybody_and_by_invitation_all_without_one() {
    let closed = Site::with(&[("registration", "closed")]).await;
    closed.visitor().post("/register", ada()).await.has_status(403).is_refused("registration_closed");
    let link = invitation(&closed, json!({})).await;
    let invited = ada_with("invite", link.as_str());
    closed.visitor().post("/register", invited).await.is_refused("registration_closed");

    let by_invitation = Site::with(&[("registration", "invite")]).await;
    by_invitation.visitor().post("/register", ada()).await.has_status(403).is_refused("registration_closed");
    let unknown = ada_with("invite", "A".repeat(43));
    by_invitation.visitor().post("/register", unknown).await.has_status(400).is_refused("link_invalid");
}

/// An admin makes an invitation; returns its secret.
async fn invitation(site: &Site, body: Value) -> String {
    let admin = site.admin("root").await;
    let made = admin.post("/admin/invitations", body).await.has_status(201).json();
    made["url"].as_str().unwrap().split_once("/register?invite=").unwrap().1.to_owned()
}

#[tokio::test]
async fn an_invitation_works_once_and_gives_its_role() {
    let site = Site::with(&[("registration", "invite"), ("roles.support", "users:read")]).await;
    let invite = invitation(&site, json!({ "role": "support" })).await;
    let page = site.visitor().page(&format!("/register?invite={invite}")).await;
    assert!(page.text().contains(&format!("name=\"invite\" value=\"{invite}\"")));

    let visitor = site.visitor();
    let answer = visitor.post("/register", ada_with("invite", invite.as_str())).await;
    assert_eq!(answer.has_status(201).json()["user"]["role"], "support");
    visitor.get("/admin/users").await.is_ok();

    let mut second = ada_with("invite", invite.as_str());
    second["email"] = "bob@example.org".into();
    site.visitor().post("/register", second).await.is_refused("link_invalid");
}

#[tokio::test]
async fn an_invitation_is_for_its_address_and_not_used_up_by_a_failure() {
    let site = Site::with(&[("registration", "invite")]).await;
    site.user("bob", RoleName::USER).await;
    let anybody = invitation(&site, json!({})).await;
    let mut taken = ada_with("invite", anybody.as_str());
    taken["email"] = "bob@example.org".into();
    site.visitor().post("/register", taken).await.is_refused("email_taken");
    site.visitor().post("/register", ada_with("invite", anybody)).await.has_status(201);

    let admin = site.logged_in("root").await;
    let made =
        admin.post("/admin/invitations", json!({ "email": "Eve@example.org" })).await.has_status(201).json();
    let (_, for_eve) = made["url"].as_str().unwrap().split_once("invite=").unwrap();
    let invited = |email: &str| {
        let mut body = ada_with("invite", for_eve);
        body["email"] = email.into();
        body
    };
    site.visitor().post("/register", invited("mallory@example.org")).await.is_refused("link_invalid");
    site.visitor().post("/register", invited("eve@example.org")).await.has_status(201);
}

#[tokio::test]
async fn an_invitation_works_for_a_week() {
    let site = Site::with(&[("registration", "invite")]).await;
    let invite = invitation(&site, json!({})).await;
    let second = Duration::from_secs(1);
    site.later(crate::challenges::Purpose::Invite.ttl() - second).await;
    site.visitor().page(&format!("/register?invite={invite}")).await.has_status(200);
    site.later(second).await;
    site.visitor().post("/register", ada_with("invite", invite)).await.is_refused("link_invalid");
}

#[tokio::test]
async fn a_dead_invitation_is_told_before_anybody_fills_in_the_form() {
    let site = Site::with(&[("registration", "invite"), ("contact", "help@example.org")]).await;
    let used = invitation(&site, json!({})).await;
    let page = format!("/register?invite={used}");
    for _ in 0..2 {
        // Opening it doesn't use it up: a mail scanner does no harm.
        assert!(site.visitor().page(&page).await.has_status(200).text().contains("<form"));
    }
    let made =
        site.visitor().post("/register", ada_with("invite", used.as_str())).await.has_status(201).json();
    let path = format!("/admin/users/{}/reset-link", made["user"]["id"].as_str().unwrap());
    let made = site.logged_in("root").await.confirming(true).post(&path, Value::Null).await.is_ok();
    let (_, reset) = made["url"].as_str().unwrap().split_once("token=").unwrap();
    let mut answers = Vec::new();
    for dead in ["x", &"A".repeat(43), &used, reset] {
        let path = format!("/register?invite={dead}");
        let shown = site.visitor().page(&path).await.has_status(400).text();
        assert!(
            shown.contains("unknown, used or too old") && shown.contains("mailto:help@example.org"),
            "{shown}"
        );
        assert!(!shown.contains("<form"), "{shown}");
        let answer = site.visitor().get(&path).await;
        answer.has_status(400).is_refused("link_invalid");
        answers.push(answer.redacted());
        answers.push(site.visitor().post("/register", ada_with("invite", dead)).await.redacted());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let closed = Site::with(&[("registration", "closed")]).await;
    let shown = closed.visitor().page("/register?invite=x").await.has_status(200).text();
    assert!(shown.contains("Registration is closed"), "{shown}");
}

#[tokio::test]
async fn a_mode_that_is_not_allowed_or_a_cookie_in_the_clear_makes_no_account() {
    let site = Site::with(&[
        ("modes", "bearer,cookie"),
        ("public_url", "https://door.example"),
        ("listen", "0.0.0.0:0"),
    ])
    .await;
    let problem =
        site.visitor().post("/register", ada_with("mode", "session")).await.is_refused("invalid_input");
    assert_eq!(problem["fields"][0]["field"], "mode");
    site.visitor()
        .post("/register", ada_with("mode", "cookie"))
        .await
        .has_status(400)
        .is_refused("https_required");
    site.visitor().post("/register", ada()).await.has_status(201);
}

#[tokio::test]
async fn who_registers_over_a_signed_in_browser_ends_that_session() {
    let site = Site::new().await;
    let browser = site.logged_in_by("bob", Mode::Session).await;
    let bobs = browser.copy();
    browser.post("/register", ada_with("mode", "session")).await.has_status(201);
    bobs.get("/profile").await.is_refused("session_ended");
    assert_eq!(browser.get("/profile").await.is_ok()["user"]["name"], "Ada");
}

#[tokio::test]
async fn registrations_from_one_network_are_limited() {
    let site = Site::new().await;
    let visitor = site.visitor();
    let taken = ada();
    visitor.post("/register", taken.clone()).await.has_status(201);
    for _ in 0..29 {
        site.visitor().post("/register", taken.clone()).await.is_refused("email_taken");
    }
    let answer = site.visitor().post("/register", taken.clone()).await;
    answer.has_status(429).is_refused("too_many_attempts");
    assert_eq!(answer.header("retry-after"), Some("60"));
    site.visitor().from([198, 51, 100, 1]).post("/register", taken).await.is_refused("email_taken");
}

#[tokio::test]
async fn a06_an_invitation_goes_with_the_role_or_the_account_of_its_maker() {
    for change in [json!({ "role": "user" }), json!({ "disabled": true }), Value::Null] {
        let site = Site::with(&[("registration", "invite")]).await;
        let (boss, grace) = (site.admin("boss").await, site.admin("grace").await);
        let id = grace.user_id().await;
        let made = grace.post("/admin/invitations", json!({ "role": "admin" })).await;
        let url = made.has_status(201).json()["url"].as_str().unwrap().to_owned();
        let invite = url.split_once("invite=").unwrap().1;
        let path = format!("/admin/users/{id}");
        let answer =
            if change.is_null() { boss.delete(&path, change).await } else { boss.patch(&path, change).await };
        answer.is_ok();
        let body =
            json!({ "name": "Eve", "email": "eve@example.org", "password": PASSWORD, "invite": invite });
        site.visitor().post("/register", body).await.is_refused("link_invalid");
    }
}

#[tokio::test]
async fn a_form_keeps_its_invitation_where_the_address_is_taken() {
    let site = Site::with(&[("registration", "invite"), ("contact", "help@example.org")]).await;
    site.user("ada", RoleName::USER).await;
    let invite = invitation(&site, json!({})).await;
    let fields =
        [("name", "Ada"), ("email", "ada@example.org"), ("password", PASSWORD), ("invite", invite.as_str())];
    let page = site.visitor().form("/register", &fields).await.has_status(409).text();
    assert!(page.contains("already registered") && page.contains(&format!("value=\"{invite}\"")), "{page}");
}

#[tokio::test]
async fn the_page_says_who_may_register_and_whom_to_ask() {
    for (registration, description) in
        [("closed", "Registration is closed"), ("invite", "need an invitation")]
    {
        let site = Site::with(&[("registration", registration), ("contact", "help@example.org")]).await;
        let page = site.visitor().page("/register").await.has_status(200).text();
        assert!(page.contains(description) && page.contains("mailto:help@example.org"), "{page}");
        assert!(!page.contains("<form"), "{page}");
        let login = site.visitor().page("/login").await.text();
        assert!(!login.contains("/register"), "{login}");
    }
    let login = Site::new().await.visitor().page("/login").await.text();
    assert!(login.contains("href=\"/register\""), "{login}");
}

#[tokio::test]
async fn a_browser_that_is_signed_in_already_goes_on() {
    let site = Site::new().await;
    site.logged_in_by("ada", Mode::Session).await.page("/register").await.goes_to("/dashboard");
}

#[tokio::test]
async fn a_bad_password_is_named_beside_a_wrong_name_and_address() {
    let site = Site::new().await;
    for password in ["short", "password123"] {
        let body = json!({ "name": "", "email": "nobody", "password": password });
        let problem = site.visitor().post("/register", body).await.is_refused("invalid_input");
        let named: Vec<_> =
            problem["fields"].as_array().unwrap().iter().map(|field| &field["field"]).collect();
        assert_eq!(named, ["name", "email", "password"], "{password}");
    }
}
