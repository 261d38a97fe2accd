use doorward_core::Mode;
use serde_json::json;

use crate::testing::{PASSWORD, Site};

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
    let ada = site.registered("ada").await;
    let body =
        ada.post("/login", json!({ "email": " ADA@example.org ", "password": PASSWORD })).await.is_ok();
    assert_eq!((&body["success"], &body["message"]), (&json!(true), &json!("Login successful")));
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(body["refresh_expires_in"], 30 * 86_400);
    let user: Vec<_> = body["user"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(user, ["created_at", "email", "id", "name", "role"]);
}
