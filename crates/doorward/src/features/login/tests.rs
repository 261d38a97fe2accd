use std::time::Duration;

use doorward_core::Mode;
use serde_json::{Value, json};

use crate::testing::{PASSWORD, Site};

fn ada() -> Value {
    json!({ "email": " ADA@example.org ", "password": PASSWORD })
}

fn ada_in(mode: &str) -> Value {
    json!({ "email": "ada@example.org", "password": PASSWORD, "mode": mode })
}

const FORM: [(&str, &str); 2] = [("email", "ada@example.org"), ("password", PASSWORD)];

#[tokio::test]
async fn the_right_password_signs_in_in_each_mode() {
    let site = Site::new().await;
    for mode in Mode::ALL {
        let ada = site.logged_in_by("ada", mode).await;
        assert_eq!(ada.get("/profile").await.is_ok()["user"]["email"], "ada@example.org");
        assert_eq!(ada.get("/dashboard").await.is_ok()["message"], "Welcome ada!");
    }
}

#[tokio::test]
async fn the_answer_has_the_names_of_the_contract() {
    let site = Site::new().await;
    let visitor = site.registered("ada").await;
    insta::assert_snapshot!(visitor.post("/login", ada()).await.redacted(), @r#"
    {
      "device": "[device]",
      "expires_in": 900,
      "message": "Login successful",
      "refresh_expires_in": 2592000,
      "refresh_token": "[token]",
      "success": true,
      "token": "[token]",
      "token_type": "Bearer",
      "user": {
        "created_at": "[time]",
        "email": "ada@example.org",
        "id": "[id]",
        "name": "ada",
        "role": "user"
      }
    }
    "#);
    insta::assert_snapshot!(visitor.post("/login", ada_in("session")).await.redacted(), @r#"
    {
      "expires_in": 604800,
      "message": "Login successful",
      "success": true,
      "user": {
        "created_at": "[time]",
        "email": "ada@example.org",
        "id": "[id]",
        "name": "ada",
        "role": "user"
      }
    }
    "#);
}

#[tokio::test]
async fn cookies_are_for_this_host_for_no_script_and_for_the_whole_session() {
    let site = Site::new().await;
    let visitor = site.registered("ada").await;
    let attributes = |line: &str| {
        let mut parts: Vec<_> = line.split("; ").map(str::to_owned).collect();
        parts[0] =
            parts[0].split_once('=').map(|(name, value)| format!("{name}={}", !value.is_empty())).unwrap();
        parts.sort();
        parts.join("; ")
    };
    let cookies = |answer: crate::testing::Answer| {
        let mut lines: Vec<_> = answer.set_cookies().into_iter().map(attributes).collect();
        lines.sort();
        lines.join("\n")
    };
    insta::assert_snapshot!(cookies(visitor.post("/login", ada_in("session")).await), @r"
    Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Max-Age=0; Path=/; SameSite=Strict; Secure; __Host-refresh_token=false
    Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Max-Age=0; Path=/; SameSite=Strict; Secure; __Host-token=false
    HttpOnly; Max-Age=34560000; Path=/; SameSite=Strict; Secure; __Host-device=true
    HttpOnly; Max-Age=7776000; Path=/; SameSite=Strict; Secure; __Host-sessionId=true
    ");
    insta::assert_snapshot!(cookies(visitor.post("/login", ada_in("cookie")).await), @r"
    Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Max-Age=0; Path=/; SameSite=Strict; Secure; __Host-sessionId=false
    HttpOnly; Max-Age=2592000; Path=/; SameSite=Strict; Secure; __Host-refresh_token=true
    HttpOnly; Max-Age=2592000; Path=/; SameSite=Strict; Secure; __Host-token=true
    HttpOnly; Max-Age=34560000; Path=/; SameSite=Strict; Secure; __Host-device=true
    ");
    assert!(site.visitor().post("/login", ada()).await.set_cookies().is_empty());
}

#[tokio::test]
async fn unknown_address_wrong_password_and_no_password_are_one_answer() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    site.registered("ada").await;
    admin.post("/admin/users", json!({ "name": "new", "email": "new@example.org" })).await.has_status(201);
    let mut bodies = Vec::new();
    for (email, password) in [("ada", "wrong password"), ("nobody", PASSWORD), ("new", PASSWORD)] {
        let body = json!({ "email": format!("{email}@example.org"), "password": password });
        let answer = site.visitor().post("/login", body).await;
        answer.has_status(401).is_refused("invalid_credentials");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        bodies.push(answer.redacted());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

#[tokio::test]
async fn a_disabled_account_is_told_so_only_after_the_right_password() {
    let site = Site::new().await;
    let (admin, ada) = (site.admin("root").await, site.registered("ada").await);
    let id = ada.user_id().await;
    admin.patch(&format!("/admin/users/{id}"), json!({ "disabled": true })).await.is_ok();
    let wrong = json!({ "email": "ada@example.org", "password": "wrong password" });
    site.visitor().post("/login", wrong).await.is_refused("invalid_credentials");
    site.visitor().post("/login", ada_in("session")).await.has_status(403).is_refused("user_disabled");
    admin.patch(&format!("/admin/users/{id}"), json!({ "disabled": false })).await.is_ok();
    site.visitor().post("/login", ada_in("session")).await.is_ok();
}

#[tokio::test]
async fn what_is_missing_or_of_a_wrong_type_is_named() {
    let site = Site::new().await;
    let fields = |problem: &Value| {
        let fields = problem["fields"].as_array().unwrap().iter();
        fields.map(|one| one["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (body, wrong) in [
        (json!({}), vec!["email", "password"]),
        (json!({ "email": "ada@example.org" }), vec!["password"]),
        (json!({ "email": 1, "password": [], "mode": {} }), vec!["email", "password", "mode"]),
        (json!({ "email": "ada@example.org", "password": PASSWORD, "mode": "cookies" }), vec!["mode"]),
    ] {
        let problem = site.visitor().post("/login", body).await.has_status(422).is_refused("invalid_input");
        assert_eq!(fields(&problem), wrong);
    }
}

#[tokio::test]
async fn a_form_signs_in_and_goes_where_the_person_was() {
    let site = Site::new().await;
    site.registered("ada").await;
    let browser = site.visitor();
    let page = browser.page("/login?return_to=%2Fdashboard%3Fa%3Db").await;
    assert!(page.text().contains("name=\"return_to\" value=\"&#x2f;dashboard?a=b\""), "{}", page.text());
    let fields = [FORM[0], FORM[1], ("return_to", "/dashboard?a=b")];
    let answer = browser.form("/login", &fields).await;
    answer.goes_to("/dashboard?a=b");
    assert!(browser.cookie("__Host-sessionId").is_some());
    site.visitor().form("/login", &FORM).await.goes_to("/dashboard");
    for elsewhere in ["https://evil.example/", "//evil.example", "/\\evil.example", "/logout", "javascript:x"]
    {
        site.visitor()
            .form("/login", &[FORM[0], FORM[1], ("return_to", elsewhere)])
            .await
            .goes_to("/dashboard");
    }
}

#[tokio::test]
async fn a_form_with_a_wrong_password_is_shown_again_with_the_address_and_the_way_back() {
    let site = Site::new().await;
    site.registered("ada").await;
    let fields =
        [("email", "ada@example.org"), ("password", "wrong password"), ("return_to", "/dashboard?x")];
    let answer = site.visitor().form("/login", &fields).await;
    let page = answer.has_status(401).text();
    assert!(
        page.contains("Invalid email or password") && page.contains("value=\"ada@example.org\""),
        "{page}"
    );
    assert!(page.contains("name=\"return_to\"") && !page.contains("wrong password"), "{page}");
    assert!(answer.set_cookies().is_empty() && answer.header("www-authenticate").is_some());
}

#[tokio::test]
async fn a_browser_that_is_signed_in_already_goes_on() {
    let site = Site::new().await;
    let browser = site.logged_in_by("ada", Mode::Session).await;
    browser.page("/login").await.goes_to("/dashboard");
    browser.page("/login?return_to=%2Fprofile").await.goes_to("/profile");
    browser.page("/login?return_to=%2F%2Fevil.example").await.goes_to("/dashboard");
    site.visitor().page("/login").await.has_status(200);
}

#[tokio::test]
async fn beyond_loopback_plain_http_carries_no_cookie() {
    let site = Site::with(&[("public_url", "https://door.example"), ("listen", "0.0.0.0:0")]).await;
    site.registered("ada").await;
    for mode in ["cookie", "session"] {
        let answer = site.visitor().post("/login", ada_in(mode)).await;
        answer.has_status(400).is_refused("https_required");
        assert!(answer.set_cookies().is_empty());
    }
    assert_eq!(site.visitor().form("/login", &FORM).await.status, 400);
    site.visitor().post("/login", ada()).await.is_ok();
}

#[tokio::test]
async fn a_mode_that_the_settings_leave_out_is_not_allowed() {
    let site = Site::with(&[("modes", "session"), ("mode_json", "session")]).await;
    site.user("ada", "user".parse().unwrap()).await;
    let problem = site.visitor().post("/login", ada_in("bearer")).await.is_refused("invalid_input");
    assert_eq!(
        problem["fields"][0],
        json!({ "field": "mode", "message": "is not allowed here; allowed: session" })
    );
    site.visitor().post("/login", ada()).await.is_ok();
}

#[tokio::test]
async fn a_sign_in_ends_the_session_whose_cookies_came_with_it() {
    let site = Site::new().await;
    for old in [Mode::Cookie, Mode::Session] {
        for new in Mode::ALL {
            let browser = site.logged_in_by("ada", old).await;
            let planted = browser.copy();
            browser.post("/login", ada_in(new.as_str())).await.is_ok();
            planted.get("/profile").await.is_refused("session_ended");
            browser.get("/profile").await.is_ok();
        }
    }
}

#[tokio::test]
async fn a_failed_sign_in_and_one_of_another_device_end_nothing() {
    let site = Site::new().await;
    let (browser, phone) = (site.logged_in_by("ada", Mode::Session).await, site.logged_in("ada").await);
    phone.post("/login", ada()).await.is_ok();
    let wrong = json!({ "email": "ada@example.org", "password": "wrong password", "mode": "session" });
    let answer = browser.post("/login", wrong).await;
    assert!(answer.has_status(401).set_cookies().is_empty());
    assert_eq!(browser.get("/sessions").await.is_ok()["sessions"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_session_beyond_the_limit_ends_the_oldest() {
    let site = Site::with(&[("session.max_per_user", "2")]).await;
    let first = site.logged_in("ada").await;
    site.later(std::time::Duration::from_secs(1)).await;
    let second = site.logged_in("ada").await;
    site.later(std::time::Duration::from_secs(1)).await;
    let third = site.logged_in_by("ada", Mode::Session).await;
    first.get("/profile").await.is_refused("session_ended");
    second.get("/profile").await.is_ok();
    third.get("/profile").await.is_ok();
}

#[tokio::test]
async fn a_form_with_too_many_attempts_comes_back_and_says_how_long_to_wait() {
    let site = Site::new().await;
    for _ in 0..10 {
        site.visitor().form("/login", &[FORM[0], ("password", "wrong password")]).await.has_status(401);
    }
    let answer = site.visitor().form("/login", &FORM).await;
    let page = answer.has_status(429).text();
    assert!(
        page.contains("Too many attempts: try again in 30 seconds.")
            && page.contains("value=\"ada@example.org\"")
    );
    assert_eq!(answer.header("retry-after"), Some("30"));
}

const APPS: [(&str, &str); 3] = [
    ("public_url", "https://accounts.example.com"),
    ("apps.shop.origin", "https://app.example.com"),
    ("apps.shop.name", "<Shop>"),
];
const IN_APP: &str = "/login?return_to=https%3A%2F%2Fapp.example.com%2Fcart%3Fa%3Db%23c";

#[tokio::test]
async fn a_listed_application_sends_people_to_the_login_and_gets_them_back() {
    let site = Site::with(&APPS).await;
    site.registered("ada").await;
    let browser = site.visitor();
    assert!(!browser.page("/login").await.text().contains("Continue to"));
    let page = browser.page(IN_APP).await;
    assert!(page.text().contains("Continue to &lt;Shop&gt;, app.example.com"), "{}", page.text());
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .contains("form-action 'self' https://app.example.com")
    );
    let back = ("return_to", "https://app.example.com/cart?a=b#c");
    let wrong = browser.form("/login", &[FORM[0], ("password", "wrong password"), back]).await;
    assert!(wrong.has_status(401).text().contains("app.example.com"), "{}", wrong.text());
    browser.form("/login", &[FORM[0], FORM[1], back]).await.goes_to(back.1);
    // The other application finds them signed in, and in the same session.
    let session = browser.session_id().await;
    browser.page(IN_APP).await.goes_to(back.1);
    assert_eq!(browser.session_id().await, session);
}

#[tokio::test]
async fn an_application_that_sends_the_browser_back_at_once_makes_no_circle() {
    for mode in [Mode::Session, Mode::Cookie] {
        let site = Site::with(&APPS).await;
        let browser = site.logged_in_by("ada", mode).await;
        browser.page(IN_APP).await.goes_to("https://app.example.com/cart?a=b#c");
        let page = browser.page(IN_APP).await;
        assert!(page.has_status(200).text().contains("sent you back at once"), "{}", page.text());
        assert!(page.text().contains("https:&#x2f;&#x2f;app.example.com&#x2f;cart"), "{}", page.text());
    }
}

#[tokio::test]
async fn an_expired_token_is_renewed_on_the_way_to_an_application_once() {
    let site = Site::with(&APPS).await;
    let browser = site.logged_in_by("ada", Mode::Cookie).await;
    site.later(Duration::from_secs(1_000)).await;
    let renews = "/refresh?return_to=https%3A%2F%2Fapp.example.com%2Fcart%3Fa%3Db%23c";
    browser.page(IN_APP).await.goes_to(renews);
    browser.copy().page(renews).await.goes_to("https://app.example.com/cart?a=b#c");
    // Without the cookies of that answer it comes back, and stays.
    browser.page(IN_APP).await.has_status(200);
}
