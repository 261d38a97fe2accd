use doorward_core::Mode;
use http::{Method, header};
use serde_json::json;

use crate::testing::{Answer, Site};

async fn revoke(site: &Site, client: &str, token: &str) -> Answer {
    let request = site.visitor().request(Method::POST, "/revoke");
    let request =
        request.header(header::AUTHORIZATION, client).header(header::CONTENT_TYPE, "application/json");
    site.visitor().send(request, json!({ "token": token }).to_string()).await
}

#[tokio::test]
async fn a_client_ends_the_session_of_whatever_token_it_holds_and_no_other() {
    let site = Site::new().await;
    let client = site.client().await;
    let phone = site.logged_in("ada").await;
    let tokens = |mode| site.logged_in_by("ada", mode);
    let (bearer, again) = (tokens(Mode::Bearer).await, tokens(Mode::Bearer).await);
    let (cookie, session) = (tokens(Mode::Cookie).await, tokens(Mode::Session).await);
    for (token, visitor) in [
        (bearer.token(), &bearer),
        (again.refresh_token(), &again),
        (cookie.cookie("__Host-token"), &cookie),
        (session.cookie("__Host-sessionId"), &session),
    ] {
        let token = token.unwrap();
        assert_eq!(revoke(&site, &client, &token).await.is_ok()["message"], "Revoked");
        visitor.copy().get("/profile").await.is_refused("session_ended");
        assert_eq!(revoke(&site, &client, &token).await.is_ok()["message"], "Revoked");
    }
    phone.get("/profile").await.is_ok();
    let admin = site.admin("root").await;
    let log = admin.get("/admin/audit").await.is_ok();
    let entries = log["entries"].as_array().unwrap().iter().filter(|one| one["action"] == "token_revoked");
    let id = site.app.clients.list().await.unwrap()[0].client_id;
    let details: Vec<_> = entries.map(|one| one["detail"].as_str().unwrap().to_owned()).collect();
    assert_eq!(details, vec![format!("client {id}"); 4]);
}

#[tokio::test]
async fn a_token_of_nothing_is_answered_alike_and_a_missing_one_is_named() {
    let site = Site::new().await;
    let (client, ada) = (site.client().await, site.logged_in("ada").await);
    let forged = format!("{}x", ada.token().unwrap());
    for strange in ["x", "dr1.x", "dr2.x", "a.b.c", &"A".repeat(43), &forged] {
        assert_eq!(revoke(&site, &client, strange).await.is_ok()["message"], "Revoked");
    }
    ada.get("/profile").await.is_ok();
    let request = site.visitor().request(Method::POST, "/revoke").header(header::AUTHORIZATION, &client);
    let answer = site.visitor().send(request, "").await;
    let refused = answer.has_status(400).is_refused("invalid_input");
    assert_eq!(refused["error_description"], "token is required");
}
