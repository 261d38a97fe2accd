//! X05 and X07: what admins hand out, and what a thief of an admin's credential gets.

mod audit;
mod confirmation;
mod links;

use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use serde_json::{Value, json};

/// A new reset link for this user: the token in it.
async fn reset_link(maker: &Visitor, id: &str) -> String {
    let body = json!({ "current_password": PASSWORD });
    token(&maker.post(&format!("/admin/users/{id}/reset-link"), body).await.is_ok())
}

/// A new invitation to this role: the token in it.
async fn invitation(maker: &Visitor, role: &str) -> String {
    let body = json!({ "role": role, "current_password": PASSWORD });
    let made = maker.post("/admin/invitations", body).await;
    token(&made.has_status(201).json())
}

fn token(link: &Value) -> String {
    let (_, token) = link["url"].as_str().unwrap().rsplit_once('=').unwrap();
    token.to_owned()
}

async fn resets(site: &Site, token: &str) -> Answer {
    let body = json!({ "token": token, "new_password": "quite another password" });
    site.visitor().post("/password/reset", body).await
}

async fn registers(site: &Site, token: &str) -> Answer {
    let body = json!({ "name": "New", "email": "new@example.org", "password": PASSWORD, "invite": token });
    site.visitor().post("/register", body).await
}
