use std::time::Duration;

use doorward_core::Mode;
use http::{Method, header};
use serde_json::{Value, json};

use crate::testing::{PASSWORD, Site, Visitor};

#[tokio::test]
async fn logging_out_ends_this_session_and_no_other() {
    let site = Site::new().await;
    for mode in Mode::ALL {
        let (laptop, phone) = (site.logged_in_by("ada", mode).await, site.logged_in("ada").await);
        let copy = laptop.copy();
        assert_eq!(
            laptop.post("/logout", Value::Null).await.is_ok(),
            json!({ "success": true, "message": "Logged out" })
        );
        copy.get("/profile").await.is_refused("session_ended");
        copy.refresh().await.has_status(401);
        phone.get("/profile").await.is_ok();
    }
}

#[tokio::test]
async fn all_our_cookies_are_cleared_with_the_attributes_they_were_set_with() {
    let site = Site::new().await;
    let visitor = site.logged_in_by("ada", Mode::Session).await;
    let answer = visitor.post("/logout", Value::Null).await;
    let mut lines = answer.set_cookies();
    lines.sort_unstable();
    insta::assert_snapshot!(lines.join("\n"), @r"
    __Host-refresh_token=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT
    __Host-sessionId=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT
    __Host-token=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT
    __Secure-refresh_token=; HttpOnly; SameSite=Strict; Secure; Path=/refresh; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT
    ");
}

#[tokio::test]
async fn under_a_base_path_and_in_development_the_cookies_are_cleared_as_they_were_set() {
    let site = Site::with(&[("base_path", "/auth"), ("dev", "true")]).await;
    let answer = site.visitor().post("/auth/logout", Value::Null).await;
    let mut lines = answer.set_cookies();
    lines.sort_unstable();
    insta::assert_snapshot!(lines.join("\n"), @r"
    refresh_token=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT
    refresh_token=; HttpOnly; SameSite=Strict; Path=/auth/refresh; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT
    sessionId=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT
    token=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT
    ");
}

#[tokio::test]
async fn an_expired_token_still_logs_out() {
    let site = Site::new().await;
    for mode in [Mode::Bearer, Mode::Cookie] {
        let ada = site.logged_in_by("ada", mode).await;
        let copy = ada.copy();
        site.later(Duration::from_secs(3_600)).await;
        ada.get("/profile").await.is_refused("token_expired");
        ada.post("/logout", Value::Null).await.is_ok();
        copy.refresh().await.is_refused("session_ended");
    }
}

#[tokio::test]
async fn a_refresh_token_alone_logs_out_from_the_body_or_the_cookie() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let body = json!({ "refresh_token": ada.refresh_token().unwrap() });
    site.visitor().post("/logout", body).await.is_ok();
    ada.get("/profile").await.is_refused("session_ended");

    let ada = site.logged_in("ada").await;
    let body = json!({ "refresh_token": ada.refresh_token().unwrap(), "ticket": ["no text"] });
    site.visitor().post("/logout", body).await.is_ok();
    ada.get("/profile").await.is_refused("session_ended");

    let browser = site.logged_in_by("ada", Mode::Cookie).await;
    let cookie = format!("__Host-refresh_token={}", browser.cookie("__Host-refresh_token").unwrap());
    let request = site.visitor().request(Method::POST, "/logout").header(header::COOKIE, cookie);
    site.visitor().send(request, "").await.is_ok();
    browser.get("/profile").await.is_refused("session_ended");
}

#[tokio::test]
async fn a_request_that_proves_two_sessions_ends_both() {
    let site = Site::new().await;
    let (ada, bob) = (site.logged_in("ada").await, site.logged_in_by("bob", Mode::Session).await);
    let both = bob.copy();
    both.hold(ada.token().as_deref(), None);
    both.post("/logout", Value::Null).await.is_ok();
    ada.get("/profile").await.is_refused("session_ended");
    bob.get("/profile").await.is_refused("session_ended");
}

#[tokio::test]
async fn a_bad_or_missing_credential_and_a_body_that_cannot_be_read_are_no_error() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let bad = site.visitor();
    bad.hold(Some("garbage"), None);
    bad.hold_cookie("__Host-token", "garbage");
    bad.hold_cookie("__Host-sessionId", "garbage");
    for visitor in [bad, site.visitor()] {
        let answer = visitor.post("/logout", json!({ "refresh_token": 7 })).await;
        answer.is_ok();
        assert_eq!(answer.set_cookies().len(), 4);
    }
    let long = "x".repeat(1 << 20);
    for (content_type, body) in [
        ("application/json", "{"),
        ("text/plain", "x"),
        ("application/json", "\u{feff}{}"),
        ("application/json", long.as_str()),
    ] {
        let out = ada.copy();
        let request = out.request(Method::POST, "/logout").header(header::CONTENT_TYPE, content_type);
        out.send(request, body.to_owned()).await.is_ok();
    }
    ada.get("/profile").await.is_refused("session_ended");
    ada.post("/logout", Value::Null).await.is_ok();
}

#[tokio::test]
async fn the_document_of_the_api_names_no_refusal_of_a_logout_for_its_body() {
    let site = Site::new().await;
    let answers = &site.api().document()["paths"]["/logout"]["post"]["responses"];
    let statuses: Vec<_> = answers.as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["200", "303", "400", "403", "503"]);
    assert_eq!(answers["400"].to_string().matches("too_many_cookies").count(), 1);
    assert!(!answers["400"].to_string().contains("malformed"));
}

#[tokio::test]
async fn a_token_of_another_key_ends_nothing() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    let elsewhere = Site::new().await.logged_in("ada").await;
    site.visitor().post("/logout", json!({ "refresh_token": elsewhere.refresh_token() })).await.is_ok();
    elsewhere.at(&site).post("/logout", Value::Null).await.is_ok();
    ada.get("/profile").await.is_ok();
}

#[tokio::test]
async fn a_form_goes_to_the_login() {
    let site = Site::new().await;
    for (path, done) in [("/logout", "signed-out"), ("/logout/all", "signed-out-everywhere")] {
        let browser = site.logged_in_by("ada", Mode::Session).await;
        let answer = browser.form(path, &[]).await;
        answer.goes_to(&format!("/login?done={done}"));
        assert!(browser.page(&format!("/login?done={done}")).await.text().contains("You are signed out"));
        assert_eq!(answer.set_cookies().len(), 4);
        assert!(browser.cookie("__Host-sessionId").is_none());
    }
}

#[tokio::test]
async fn logging_out_everywhere_ends_every_session_of_the_user_and_counts_the_live_ones() {
    let site = Site::new().await;
    let mut all: Vec<Visitor> = Vec::new();
    for mode in Mode::ALL {
        all.push(site.logged_in_by("ada", mode).await);
    }
    let bob = site.logged_in("bob").await;
    let copies: Vec<_> = all.iter().map(Visitor::copy).collect();
    assert_eq!(
        all[0].post("/logout/all", Value::Null).await.is_ok(),
        json!({ "success": true, "message": "Logged out from all devices", "sessions": 3 })
    );
    for visitor in copies {
        visitor.ended_with_others().await;
    }
    bob.get("/profile").await.is_ok();
    all[0].post("/logout/all", Value::Null).await.has_status(401).is_refused("token_stale");
    site.visitor().post("/logout/all", Value::Null).await.is_refused("token_missing");
}

/// Another process ends it first; this one has not read that when it is asked to end it too.
#[tokio::test]
async fn r04_a_session_that_another_process_ended_is_over_for_whoever_ends_it_here_too() {
    let site = Site::new().await;
    let other = site.restarted().await;
    let root = site.admin("root").await;
    for mode in Mode::ALL {
        for act in ["logout", "logout/all", "login", "end", "disable", "password"] {
            let name = format!("{act}-{mode}").replace('/', "-");
            let (ada, phone) = (site.logged_in_by(&name, mode).await, site.logged_in(&name).await);
            let (id, thief) = (ada.user_id().await, ada.copy());
            let password =
                json!({ "current_password": PASSWORD, "new_password": "another door, another promise" });
            let login = json!({ "email": format!("{name}@example.org"), "password": PASSWORD, "mode": mode.as_str() });
            let disabled = json!({ "disabled": true });
            match act {
                "disable" => {
                    root.at(&other).patch(&format!("/admin/users/{id}"), disabled.clone()).await.is_ok()
                }
                _ => ada.at(&other).post("/logout", Value::Null).await.is_ok(),
            };
            match act {
                "logout" => ada.post("/logout", Value::Null).await.is_ok(),
                "logout/all" => phone.post("/logout/all", Value::Null).await.is_ok(),
                // It ignores `Authorization`, and so proves no session.
                "login" if mode == Mode::Bearer => continue,
                "login" => ada.post("/login", login).await.is_ok(),
                "end" => root.delete(&format!("/admin/users/{id}/sessions"), Value::Null).await.is_ok(),
                "disable" => root.patch(&format!("/admin/users/{id}"), disabled).await.is_ok(),
                _ => phone.post("/profile/password", password).await.is_ok(),
            };
            match act {
                // The other process has left nothing to disable: the sessions that it ended are over here without help.
                "logout" | "login" | "disable" => {
                    drop(thief.get("/profile").await.is_refused("session_ended"));
                }
                _ => thief.ended_with_others().await,
            }
        }
    }
}

#[tokio::test]
async fn r04_a_session_whose_user_another_process_deleted_is_over_after_a_logout_here() {
    let site = Site::new().await;
    let other = site.restarted().await;
    for mode in Mode::ALL {
        let ada = site.logged_in_by("ada", mode).await;
        ada.get("/profile").await.is_ok();
        let thief = ada.copy();
        ada.at(&other).delete("/profile", json!({ "password": PASSWORD })).await.is_ok();
        ada.post("/logout", Value::Null).await.is_ok();
        thief.get("/profile").await.is_refused("session_ended");
    }
}

#[tokio::test]
async fn r11_a_role_that_another_process_changed_counts_for_whoever_gives_it_here_too() {
    let site = Site::new().await;
    let other = site.restarted().await;
    let root = site.admin("root").await;
    for mode in [Mode::Bearer, Mode::Cookie] {
        let ada = site.logged_in_by(&format!("ada-{mode}"), mode).await;
        let path = format!("/admin/users/{}", ada.user_id().await);
        let admin = json!({ "role": "admin" });
        root.at(&other).patch(&path, admin.clone()).await.is_ok();
        root.patch(&path, admin).await.is_ok();
        ada.get("/profile").await.is_refused("token_stale");
    }
}

#[tokio::test]
async fn a_form_goes_back_to_a_listed_application_and_nowhere_else() {
    let site =
        Site::with(&[("public_url", "https://accounts.example.com"), ("apps", "https://app.example.com")])
            .await;
    let back = "https://app.example.com/bye";
    let browser = site.logged_in_by("ada", Mode::Session).await;
    let page = browser.page("/logout?return_to=https%3A%2F%2Fapp.example.com%2Fbye").await;
    assert!(page.text().contains("Continue to app.example.com"), "{}", page.text());
    browser.form("/logout", &[("return_to", back)]).await.goes_to(back);
    browser.get("/profile").await.is_refused("token_missing");
    for bad in ["https://evil.example/", "/dashboard", "https://app.example.com.evil/", "javascript:x"] {
        browser.form("/logout", &[("return_to", bad)]).await.goes_to("/login?done=signed-out");
    }
}
