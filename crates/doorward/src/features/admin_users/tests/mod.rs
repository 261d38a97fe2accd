mod changing;
mod handing_out;
mod listing;
mod log;
mod pages;

use doorward_core::role::RoleName;
use serde_json::{Value, json};

use crate::testing::{PASSWORD, Site, Visitor};

/// A site with an admin, and a signed-in user with her admin path.
async fn site_with_ada() -> (Site, Visitor, Visitor, String) {
    let site = Site::new().await;
    let (admin, ada) = (site.admin("root").await, site.logged_in("ada").await);
    let path = format!("/admin/users/{}", ada.user_id().await);
    (site, admin, ada, path)
}

#[tokio::test]
async fn an_admin_makes_a_user_who_can_sign_in() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    let body = json!({ "name": "Ada", "email": "ADA@example.org", "role": "user", "password": PASSWORD });
    let answer = admin.post("/admin/users", body).await;
    answer.has_status(201);
    insta::assert_snapshot!(answer.redacted(), @r#"
    {
      "success": true,
      "user": {
        "created_at": "[time]",
        "disabled": false,
        "email": "ada@example.org",
        "email_vouched_by": "admin",
        "id": "[id]",
        "name": "Ada",
        "role": "user"
      }
    }
    "#);
    site.logged_in("ada").await.get("/profile").await.is_ok();
    admin.get("/profile").await.is_ok();
}

#[tokio::test]
async fn a_user_without_a_password_signs_in_after_a_reset_link() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    let made = admin.post("/admin/users", json!({ "name": "Ada", "email": "ada@example.org" })).await;
    let id = made.has_status(201).json()["user"]["id"].as_str().unwrap().to_owned();
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    site.visitor().post("/login", login.clone()).await.is_refused("invalid_credentials");
    let link = admin.post(&format!("/admin/users/{id}/reset-link"), Value::Null).await;
    insta::assert_snapshot!(link.redacted().replace(link.json()["url"].as_str().unwrap(), "[url]"), @r#"
    {
      "expires_at": "[time]",
      "url": "[url]"
    }
    "#);
    assert_eq!(link.json()["expires_at"], "2027-01-15T09:00:00Z");
    let url = link.json()["url"].as_str().unwrap().to_owned();
    let (base, token) = url.split_once("/password/reset?token=").unwrap();
    assert!(base.starts_with("http://127.0.0.1"), "{base}");
    let reset = json!({ "token": token, "new_password": PASSWORD });
    site.visitor().post("/password/reset", reset).await.is_ok();
    site.visitor().post("/login", login).await.is_ok();
}

#[tokio::test]
async fn what_is_wrong_with_a_new_user_is_named() {
    let (site, admin, ..) = site_with_ada().await;
    let problem = admin.post("/admin/users", json!({ "role": "Admin", "password": 7 })).await;
    let problem = problem.has_status(422).is_refused("invalid_input");
    let fields: Vec<_> =
        problem["fields"].as_array().unwrap().iter().map(|one| one["field"].clone()).collect();
    assert_eq!(fields, ["name", "email", "role", "password"]);
    let with = |field: &str, value: &str| {
        let mut body = json!({ "name": "new", "email": "new@example.org" });
        body[field] = value.into();
        body
    };
    admin
        .post("/admin/users", with("email", "Ada@Example.org"))
        .await
        .has_status(409)
        .is_refused("email_taken");
    for (field, value) in [("password", "short"), ("role", "nobody"), ("name", "\n\u{0}"), ("email", "@")] {
        let problem = admin.post("/admin/users", with(field, value)).await.is_refused("invalid_input");
        assert_eq!(problem["fields"][0]["field"], field);
    }
    let unknown = admin.post("/admin/users", with("role", "nobody")).await.json();
    assert_eq!(unknown["fields"][0]["message"], "is unknown; there are admin, user");
    assert_eq!(site.app.store.list("SELECT id FROM users", Vec::new()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_user_who_is_not_there_is_404_for_every_act() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    for id in ["01890000-0000-7000-8000-000000000000", "x", "1", "%00", "01890000000070008000000000000000"] {
        let path = format!("/admin/users/{id}");
        for answer in [
            admin.get(&path).await,
            admin.patch(&path, json!({ "name": "x" })).await,
            admin.delete(&path, Value::Null).await,
            admin.post(&format!("{path}/reset-link"), Value::Null).await,
            admin.get(&format!("{path}/sessions")).await,
            admin.delete(&format!("{path}/sessions"), Value::Null).await,
        ] {
            answer.has_status(404).is_refused("not_found");
        }
    }
}

#[tokio::test]
async fn an_invitation_is_a_link_of_a_week_for_a_role_that_exists() {
    let site = Site::with(&[("public_url", "https://accounts.example.com"), ("base_path", "/auth")]).await;
    site.user("root", RoleName::ADMIN).await;
    let admin = site.visitor();
    let login = json!({ "email": "root@example.org", "password": PASSWORD });
    admin.post("/auth/login", login).await.is_ok();
    let made = admin.post("/auth/admin/invitations", json!({ "email": "Eve@example.org" })).await;
    let made = made.has_status(201).json();
    assert_eq!((&made["success"], &made["expires_at"]), (&json!(true), &json!("2027-01-22T08:00:00Z")));
    assert!(made["url"].as_str().unwrap().starts_with("https://accounts.example.com/auth/register?invite="));
    for wrong in [json!({ "role": "nobody" }), json!({ "email": "x" }), json!({ "role": 1 })] {
        admin.post("/auth/admin/invitations", wrong).await.has_status(422).is_refused("invalid_input");
    }
}
