//! R14: neither another site nor a mistake can make a browser rotate or lose its tokens.

use axum::body::Body;
use doorward::testing::{Answer, Site, Visitor};
use doorward_core::Mode;
use http::Method;
use serde_json::Value;

use crate::reading::{one, session_of};

async fn forced(browser: &Visitor, path: &str, header: (&str, &str)) -> Answer {
    browser.send(browser.request(Method::POST, path).header(header.0, header.1), Body::empty()).await
}

#[tokio::test]
async fn r14_a_cross_site_refresh_or_logout_changes_nothing() {
    let site = Site::new().await;
    for mode in [Mode::Cookie, Mode::Session] {
        let ada = site.logged_in_by("ada", mode).await;
        let session = session_of(&ada).await;
        for path in ["/refresh", "/logout", "/logout/all", "/sessions/end-others"] {
            for header in [
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-site", "same-site"),
                ("origin", "https://evil.example"),
                ("origin", "null"),
            ] {
                let answer = forced(&ada, path, header).await;
                assert_eq!(answer.is_refused("cross_site_request")["status"], 403, "{path} {header:?}");
                assert!(answer.set_cookies().is_empty(), "{path} {header:?}");
            }
        }
        let generation = "SELECT generation FROM sessions WHERE id = $1 AND ended_at IS NULL";
        assert_eq!(one::<i64>(&site, generation, vec![session]).await, 0);
        ada.get("/profile").await.is_ok();
        // The browser's own page may.
        forced(&ada, "/logout", ("sec-fetch-site", "same-origin")).await.is_ok();
        ada.get("/profile").await.is_refused("token_missing");
    }
}

#[tokio::test]
async fn r14_a_refresh_without_a_good_refresh_token_costs_a_browser_nothing() {
    let site = Site::new().await;
    for mode in [Mode::Cookie, Mode::Session] {
        for token in [None, Some("dr1.nonsense")] {
            let ada = site.logged_in_by("ada", mode).await;
            let held = ada.copy();
            held.hold_cookie("__Host-refresh_token", token.unwrap_or_default());
            let answer = held.post("/refresh", Value::Null).await;
            answer.is_refused("refresh_invalid");
            assert!(answer.set_cookies().is_empty(), "{mode:?} {token:?}");
            ada.get("/profile").await.is_ok();
        }
    }
}
