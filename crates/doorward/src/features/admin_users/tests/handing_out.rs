use doorward_core::Mode;
use doorward_core::role::RoleName;
use serde_json::{Value, json};

use crate::testing::{PASSWORD, Site, Visitor};

async fn invite(admin: &Visitor, body: Value) -> String {
    let made = admin.post("/admin/invitations", body).await.has_status(201).json();
    made["url"].as_str().unwrap().split_once("invite=").unwrap().1.to_owned()
}

async fn open(admin: &Visitor) -> Vec<Value> {
    admin.get("/admin/invitations").await.is_ok()["invitations"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_invitation_is_listed_until_it_is_used_or_withdrawn() {
    let site = Site::with(&[("registration", "invite")]).await;
    let admin = site.admin("root").await;
    let used = invite(&admin, json!({ "email": "ada@example.org" })).await;
    site.clock.advance(std::time::Duration::from_secs(1));
    let withdrawn = invite(&admin, json!({ "role": "admin" })).await;
    let list = admin.get("/admin/invitations").await;
    insta::assert_snapshot!(list.redacted(), @r#"
    {
      "invitations": [
        {
          "created_at": "[time]",
          "email": "ada@example.org",
          "expires_at": "[time]",
          "id": "[id]",
          "maker_id": "[id]",
          "role": "user"
        },
        {
          "created_at": "[time]",
          "email": null,
          "expires_at": "[time]",
          "id": "[id]",
          "maker_id": "[id]",
          "role": "admin"
        }
      ],
      "next": null
    }
    "#);
    assert!(!list.text().contains(&used) && !list.text().contains(&withdrawn));
    let first = admin.get("/admin/invitations?limit=1").await.is_ok();
    let next = first["next"].as_str().unwrap();
    let second = admin.get(&format!("/admin/invitations?limit=1&after={next}")).await.is_ok();
    assert_eq!((&second["invitations"][0]["role"], &second["next"]), (&json!("admin"), &Value::Null));

    let body = |invite: &str| json!({ "name": "Ada", "email": "ada@example.org", "password": PASSWORD, "invite": invite });
    site.visitor().post("/register", body(&used)).await.has_status(201);
    let left = open(&admin).await;
    assert_eq!(left.len(), 1);
    let path = format!("/admin/invitations/{}", left[0]["id"].as_str().unwrap());
    let said = admin.delete(&path, Value::Null).await.is_ok();
    assert_eq!(said, json!({ "success": true, "message": "Invitation withdrawn" }));
    assert_eq!(open(&admin).await, Vec::<Value>::new());
    site.visitor().post("/register", body(&withdrawn)).await.is_refused("link_invalid");
    admin.delete(&path, Value::Null).await.has_status(404);
    admin.delete("/admin/invitations/x", Value::Null).await.has_status(404);
}

#[tokio::test]
async fn nobody_withdraws_or_signs_out_what_may_do_more() {
    let site = Site::with(&[("roles.support", "users:read,users:write,sessions:end,sessions:read")]).await;
    let admin = site.admin("root").await;
    site.user("sue", "support".parse().unwrap()).await;
    let support = site.logged_in_by("sue", Mode::Session).await;
    invite(&admin, json!({ "role": "admin" })).await;
    let path = format!("/admin/invitations/{}", open(&support).await[0]["id"].as_str().unwrap());
    support.delete(&path, Value::Null).await.has_status(403).is_refused("forbidden");
    support.form(&format!("{path}/withdraw"), &[]).await.has_status(403);
    assert!(!support.page("/admin/invitations").await.text().contains(&path));
    let session = format!("/admin/sessions/{}", admin.session_id().await);
    support.delete(&session, Value::Null).await.has_status(403).is_refused("forbidden");
    assert!(!support.page("/admin/sessions").await.text().contains(&session));
    admin.get("/profile").await.is_ok();
    let ada = site.logged_in("ada").await;
    let hers = format!("/admin/sessions/{}", ada.session_id().await);
    assert!(support.page("/admin/sessions").await.text().contains(&format!("{hers}/end")));
    support.form(&format!("{hers}/end"), &[]).await.goes_to("/admin/sessions?done=session-ended");
    ada.get("/profile").await.is_refused("session_ended");
    admin.delete(&hers, Value::Null).await.has_status(404);
}

#[tokio::test]
async fn a_client_is_made_listed_and_deleted() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    let made = admin.post("/admin/clients", json!({ "name": "the shop" })).await.has_status(201).json();
    let (id, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    let (client, given) = (id.parse().unwrap(), crate::challenges::secret(secret));
    assert!(site.app.clients.knows(client, &given));
    let list = admin.get("/admin/clients").await;
    assert_eq!(list.is_ok()["clients"][0]["name"], "the shop");
    assert!(!list.text().contains(secret));
    let browser = site.logged_in_by("root", Mode::Session).await;
    browser.post("/confirm", json!({ "current_password": PASSWORD })).await.is_ok();
    let page = browser.form("/admin/clients", &[("name", "")]).await.has_status(422).text();
    assert!(page.contains("Name is required"), "{page}");
    let page = browser.form("/admin/clients", &[("name", "a <b>")]).await.has_status(201).text();
    assert!(page.contains("a &lt;b&gt;") && page.contains("id=\"client_secret\""), "{page}");
    let path = format!("/admin/clients/{id}");
    browser.form(&format!("{path}/delete"), &[]).await.goes_to("/admin/clients?done=client-deleted");
    assert!(!site.app.clients.knows(client, &given));
    admin.delete(&path, Value::Null).await.has_status(404);
}

#[tokio::test]
async fn a_page_leads_only_where_its_reader_may_go() {
    let site = Site::with(&[("roles.auditor", "audit:read")]).await;
    site.user("ada", RoleName::USER).await;
    site.user("eve", "auditor".parse().unwrap()).await;
    let auditor = site.logged_in_by("eve", Mode::Session).await;
    let page = auditor.page("/admin/audit").await.has_status(200).text();
    assert!(page.contains("User created") && page.contains("ada"), "{page}");
    for other in ["users", "invitations", "sessions", "clients"] {
        assert!(!page.contains(&format!("/admin/{other}")), "{other}: {page}");
        auditor.page(&format!("/admin/{other}")).await.has_status(403);
    }
    assert!(auditor.page("/dashboard").await.text().contains("/admin/audit"));
    auditor.page("/admin/audit?after=x").await.has_status(422);
    let paged = auditor.page("/admin/audit?limit=1").await.text().replace("&#x2f;", "/");
    let next = paged.split("href=\"/admin/audit?").nth(1).unwrap().split('"').next().unwrap();
    let next = next.replace("&amp;", "&");
    assert!(auditor.page(&format!("/admin/audit?{next}")).await.text().contains("The latest entries"));
}
