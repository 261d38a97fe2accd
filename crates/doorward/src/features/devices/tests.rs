use std::time::Duration;

use doorward_core::Mode;
use http::{Method, header};
use serde_json::{Value, json};

use crate::testing::{PASSWORD, Site, Visitor};

#[tokio::test]
async fn my_devices_are_listed_the_newest_first_and_this_one_is_marked() {
    let site = Site::new().await;
    let laptop = site.logged_in("ada").await;
    site.later(Duration::from_secs(60)).await;
    let phone = site.logged_in_by("ada", Mode::Session).await.from([198, 51, 100, 7]);
    site.logged_in("bob").await;
    insta::assert_snapshot!(laptop.get("/sessions").await.redacted(), @r#"
    {
      "sessions": [
        {
          "amr": [
            "pwd"
          ],
          "authenticated_at": "[time]",
          "created_at": "[time]",
          "current": false,
          "device": "Unknown device",
          "expires_at": "[time]",
          "id": "[id]",
          "ip": "192.0.2.1",
          "last_seen_at": "[time]",
          "mode": "session",
          "user_agent": null
        },
        {
          "amr": [
            "pwd"
          ],
          "authenticated_at": "[time]",
          "created_at": "[time]",
          "current": true,
          "device": "Unknown device",
          "expires_at": "[time]",
          "id": "[id]",
          "ip": "192.0.2.1",
          "last_seen_at": "[time]",
          "mode": "bearer",
          "user_agent": null
        }
      ]
    }
    "#);
    let (on_laptop, on_phone) = (laptop.get("/sessions").await.is_ok(), phone.get("/sessions").await.is_ok());
    assert_eq!(on_phone["sessions"][0]["current"], true);
    assert_eq!(on_laptop["sessions"][0]["id"], on_phone["sessions"][0]["id"]);
    assert_eq!(on_laptop["sessions"][1]["created_at"], "2027-01-15T08:00:00Z");
    assert_eq!(on_laptop["sessions"][1]["expires_at"], "2027-02-14T08:00:00Z");
    phone.page("/sessions").await.goes_to("/dashboard");
}

/// Signs in with this user agent, and returns the session as it is listed.
async fn device(site: &Site, user_agent: &[u8]) -> Value {
    let visitor = site.visitor();
    let request = visitor
        .request(Method::POST, "/login")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, user_agent);
    let body = json!({ "email": "ada@example.org", "password": PASSWORD });
    visitor.send(request, body.to_string()).await.is_ok();
    let listed = visitor.get("/sessions").await.is_ok();
    let current = listed["sessions"].as_array().unwrap().iter().find(|session| session["current"] == true);
    current.unwrap().clone()
}

#[tokio::test]
async fn a_device_has_a_name_in_peoples_words() {
    let site = Site::new().await;
    site.registered("ada").await;
    for (user_agent, name) in [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36",
            "Chrome on Windows",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
            "Safari on macOS",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        ("curl/8.14.1", "curl"),
        ("python-requests/2.32", "Python program"),
        ("MyApp 1.0", "Unknown device"),
    ] {
        let listed = device(&site, user_agent.as_bytes()).await;
        assert_eq!((&listed["device"], &listed["user_agent"]), (&json!(name), &json!(user_agent)));
    }
}

#[tokio::test]
async fn what_a_client_says_of_itself_is_cut_and_cleaned() {
    let site = Site::new().await;
    site.registered("ada").await;
    let long = device(&site, "\u{e9}".repeat(5_000).as_bytes()).await;
    assert_eq!(long["user_agent"].as_str().unwrap(), "\u{e9}".repeat(200));
    let odd = device(&site, b"a\tb\xff<i>").await;
    assert_eq!(odd["user_agent"], "ab\u{fffd}<i>");
}

#[tokio::test]
async fn one_device_is_signed_out_at_once_and_no_other() {
    let site = Site::new().await;
    for mode in Mode::ALL {
        let (laptop, phone) = (site.logged_in("ada").await, site.logged_in_by("ada", mode).await);
        let path = format!("/sessions/{}", phone.session_id().await);
        let body = laptop.delete(&path, Value::Null).await.is_ok();
        assert_eq!(body, json!({ "success": true, "message": "Session ended" }));
        phone.get("/profile").await.is_refused("session_ended");
        laptop.get("/profile").await.is_ok();
        laptop.delete(&path, Value::Null).await.has_status(404).is_refused("not_found");
    }
}

#[tokio::test]
async fn this_device_can_end_itself() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    ada.delete(&format!("/sessions/{}", ada.session_id().await), Value::Null).await.is_ok();
    ada.get("/profile").await.is_refused("session_ended");
}

#[tokio::test]
async fn what_is_not_mine_is_not_there() {
    let site = Site::new().await;
    let (ada, bob) = (site.logged_in("ada").await, site.logged_in("bob").await);
    let bobs = bob.session_id().await;
    for id in [bobs.as_str(), "01890000-0000-7000-8000-000000000000", "x", &bobs.to_uppercase(), "%20"] {
        ada.delete(&format!("/sessions/{id}"), Value::Null).await.has_status(404).is_refused("not_found");
        ada.post(&format!("/sessions/{id}/end"), Value::Null).await.is_refused("not_found");
    }
    bob.get("/profile").await.is_ok();
}

#[tokio::test]
async fn ending_all_others_keeps_this_one_and_counts_them() {
    let site = Site::new().await;
    let laptop = site.logged_in("ada").await;
    let others = [site.logged_in("ada").await, site.logged_in_by("ada", Mode::Session).await];
    let body = laptop.delete("/sessions", Value::Null).await.is_ok();
    assert_eq!(body, json!({ "success": true, "message": "Other sessions ended", "sessions": 2 }));
    for other in others {
        other.ended_with_others().await;
    }
    // The remaining session refreshes once.
    laptop.get("/profile").await.is_refused("token_stale");
    laptop.refresh().await.is_ok();
    assert_eq!(laptop.delete("/sessions", Value::Null).await.is_ok()["sessions"], 0);
    laptop.refresh().await.is_ok();
}

#[tokio::test]
async fn forms_do_the_same_and_go_to_the_dashboard() {
    let site = Site::new().await;
    let browser = site.logged_in_by("ada", Mode::Session).await;
    let others: Vec<Visitor> = vec![site.logged_in("ada").await, site.logged_in("ada").await];
    let path = format!("/sessions/{}/end", others[0].session_id().await);
    browser.form(&path, &[]).await.goes_to("/dashboard?done=device-signed-out");
    others[0].get("/profile").await.is_refused("session_ended");
    others[1].get("/profile").await.is_ok();
    browser.form("/sessions/end-others", &[]).await.goes_to("/dashboard?done=others-signed-out");
    others[1].ended_with_others().await;
    browser.get("/profile").await.is_ok();
    browser.form(&path, &[]).await.has_status(404);
}

/// Its access token is stale now, and the page finds its sign-in by the refresh.
#[tokio::test]
async fn a_browser_that_ends_its_other_sessions_goes_on_and_is_told_so() {
    let site = Site::new().await;
    let (browser, other) =
        (site.logged_in_by("ada", Mode::Cookie).await, site.logged_in_by("ada", Mode::Cookie).await);
    let path = "/dashboard?done=others-signed-out";
    browser.form("/sessions/end-others", &[]).await.goes_to(path);
    let back = "/refresh?return_to=%2Fdashboard%3Fdone%3Dothers-signed-out";
    browser.page(path).await.goes_to(back);
    browser.page(back).await.goes_to(path);
    let page = browser.page(path).await.has_status(200).text();
    assert!(page.contains("role=\"status\"") && page.contains("signed out"), "{page}");
    // The other one is redirected to the login, and no further.
    other.page("/dashboard").await.goes_to("/refresh?return_to=%2Fdashboard");
    other.page("/refresh?return_to=%2Fdashboard").await.goes_to("/login?return_to=%2Fdashboard");
    other.page("/login?return_to=%2Fdashboard").await.has_status(200);
}

#[tokio::test]
async fn a_session_that_is_over_is_not_listed() {
    let site = Site::new().await;
    let (laptop, phone) = (site.logged_in("ada").await, site.logged_in_by("ada", Mode::Session).await);
    site.later(Duration::from_secs(7 * 86_400)).await;
    phone.get("/profile").await.is_refused("session_expired");
    laptop.refresh().await.is_ok();
    let listed = laptop.get("/sessions").await.is_ok();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1, "{listed}");
}
