//! R06: while the store fails, known credentials are accepted from memory, and no answer says that they are invalid.

use doorward::testing::{PASSWORD, Site};
use doorward_core::Mode;
use serde_json::{Value, json};

#[tokio::test]
async fn r06_without_the_store_checks_go_on_and_a_logout_is_refused() {
    let site = Site::new().await;
    let mut visitors = Vec::new();
    for mode in Mode::ALL {
        let visitor = site.logged_in_by("ada", mode).await;
        visitor.get("/profile").await.is_ok();
        visitors.push(visitor);
    }
    let stranger = site.logged_in_by("ada", Mode::Session).await;

    site.app.store.close().await;

    for visitor in &visitors {
        // The first look-up was the last that needed the store.
        assert_eq!(visitor.get("/profile").await.is_ok()["user"]["email"], "ada@example.org");
        for path in ["/logout", "/logout/all", "/sessions/end-others"] {
            let answer = visitor.post(path, Value::Null).await;
            assert_eq!(answer.is_refused("unavailable")["status"], 503, "{path}");
            assert_eq!(answer.header("retry-after"), Some("1"), "{path}");
            // The server's own failure: clients keep their credentials.
            assert!(answer.set_cookies().is_empty(), "{path}");
        }
        // Routes that read the session from the store don't trust memory.
        let change = json!({ "current_password": PASSWORD, "new_password": "another long password" });
        visitor.post("/profile/password", change).await.is_refused("unavailable");
        visitor.get("/profile").await.is_ok();
    }
    // A secret that memory doesn't know is neither accepted nor called invalid.
    let answer = stranger.get("/profile").await;
    answer.is_refused("unavailable");
    assert!(answer.set_cookies().is_empty());
    for visitor in &visitors[..2] {
        let answer = visitor.refresh().await;
        assert_eq!(answer.is_refused("unavailable")["status"], 503);
        assert!(answer.set_cookies().is_empty());
    }
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    site.visitor().post("/login", login).await.is_refused("unavailable");
    site.visitor().get("/readyz").await.is_refused("unavailable");
    site.visitor().get("/healthz").await.is_ok();
}
