//! Section P: passwords and recovery. P03 is a rule of `doorward-core` and tested there; P13 and P14 wait for mail, P16
//! for one-time codes.

mod changes;
mod links;
mod policy;
mod stored;
mod storm;

use doorward::testing::{Answer, Site, Visitor};
use serde_json::json;

/// Somebody new who registers `NAME@example.org` with this password.
async fn registers(site: &Site, name: &str, password: &str) -> (Answer, Visitor) {
    let visitor = site.visitor();
    let body = json!({ "name": "A Name", "email": format!("{name}@example.org"), "password": password });
    (visitor.post("/register", body).await, visitor)
}

/// A sign-in of `NAME@example.org` with this password.
async fn signs_in(site: &Site, name: &str, password: &str) -> Answer {
    let body = json!({ "email": format!("{name}@example.org"), "password": password });
    site.visitor().post("/login", body).await
}

/// Only the first of these passwords is the one.
async fn is_the_only_one(site: &Site, password: &str, others: &[&str]) {
    for (n, other) in others.iter().enumerate() {
        let name = format!("user{n}");
        registers(site, &name, password).await.0.has_status(201);
        signs_in(site, &name, other).await.is_refused("invalid_credentials");
        signs_in(site, &name, password).await.is_ok();
    }
}
