use std::time::Duration;

use doorward_core::Mode;
use doorward_core::role::RoleName;
use serde_json::{Value, json};

use crate::store::values;
use crate::testing::{Answer, PASSWORD, Site, Visitor};

const NEW: &str = "another good phrase";

/// An admin, and a reset link of ada, who is signed in.
async fn site_with_link() -> (Site, Visitor, Visitor, String) {
    let site = Site::new().await;
    let (admin, ada) = (site.admin("root").await, site.logged_in("ada").await);
    let token = link(&admin, &ada.user_id().await).await;
    (site, admin, ada, token)
}

/// Makes a link, and returns its secret.
async fn link(admin: &Visitor, user: &str) -> String {
    let made = admin.post(&format!("/admin/users/{user}/reset-link"), Value::Null).await.is_ok();
    made["url"].as_str().unwrap().split_once("/password/reset?token=").unwrap().1.to_owned()
}

async fn reset(site: &Site, token: &str) -> Answer {
    site.visitor().post("/password/reset", json!({ "token": token, "new_password": NEW })).await
}

async fn can_log_in(site: &Site, password: &str) -> bool {
    let body = json!({ "email": "ada@example.org", "password": password });
    site.visitor().post("/login", body).await.status == 200
}

#[tokio::test]
async fn a_link_sets_a_new_password_once_and_ends_every_session() {
    let (site, _, ada, token) = site_with_link().await;
    let browser = site.logged_in_by("ada", Mode::Session).await;
    let answer = reset(&site, &token).await;
    assert_eq!(
        answer.is_ok(),
        json!({ "success": true, "message": "Password reset: sign in with it", "sessions": 2 })
    );
    assert_eq!(answer.set_cookies().len(), 3);
    ada.ended_with_others().await;
    ada.refresh().await.is_refused("session_ended");
    browser.ended_with_others().await;
    assert!(can_log_in(&site, NEW).await && !can_log_in(&site, PASSWORD).await);
    reset(&site, &token).await.has_status(400).is_refused("link_invalid");
}

#[tokio::test]
async fn looking_at_the_page_uses_nothing_up() {
    let (site, _, _, token) = site_with_link().await;
    for _ in 0..3 {
        let answer = site.visitor().page(&format!("/password/reset?token={token}")).await;
        let page = answer.has_status(200).text();
        assert!(page.contains(&format!("name=\"token\" value=\"{token}\"")), "{page}");
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    }
    site.visitor()
        .form("/password/reset", &[("token", &token), ("new_password", NEW)])
        .await
        .goes_to("/login?done=password-reset");
    assert!(can_log_in(&site, NEW).await);
    site.visitor().page(&format!("/password/reset?token={token}")).await.has_status(400);
}

#[tokio::test]
async fn unknown_used_and_old_links_are_one_answer() {
    let (site, admin, ada, token) = site_with_link().await;
    let used = link(&admin, &site.user("bob", RoleName::USER).await).await;
    reset(&site, &used).await.is_ok();
    let mut answers = Vec::new();
    for bad in
        ["x", &"A".repeat(43), &used, &format!("{token}="), &token.to_uppercase(), &format!(" {token}")]
    {
        let answer = reset(&site, bad).await;
        answer.has_status(400).is_refused("link_invalid");
        answers.push(answer.redacted());
    }
    site.later(Duration::from_secs(3_599)).await;
    site.visitor().page(&format!("/password/reset?token={token}")).await.has_status(200);
    site.later(Duration::from_secs(1)).await;
    answers.push(reset(&site, &token).await.redacted());
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    ada.refresh().await.is_ok();
    assert!(can_log_in(&site, PASSWORD).await);
}

#[tokio::test]
async fn a_bad_password_doesnt_use_the_link_up() {
    let (site, _, _, token) = site_with_link().await;
    for bad in ["short", "password", "ada@example.org", "\u{0}"] {
        let body = json!({ "token": token, "new_password": bad });
        let problem = site.visitor().post("/password/reset", body).await.is_refused("invalid_input");
        assert_eq!(problem["fields"][0]["field"], "new_password", "{bad}");
    }
    let problem = site.visitor().post("/password/reset", json!({})).await.is_refused("invalid_input");
    assert_eq!(problem["fields"].as_array().unwrap().len(), 2);
    reset(&site, &token).await.is_ok();
}

#[tokio::test]
async fn a_newer_link_voids_the_older_one() {
    let (site, admin, ada, older) = site_with_link().await;
    let newer = link(&admin, &ada.user_id().await).await;
    reset(&site, &older).await.is_refused("link_invalid");
    reset(&site, &newer).await.is_ok();
}

#[tokio::test]
async fn a_change_of_password_or_address_or_a_deletion_voids_the_link() {
    let changes = [
        (
            "POST",
            "/profile/password",
            json!({ "current_password": PASSWORD, "new_password": "a third one, also good" }),
        ),
        ("PATCH", "/profile", json!({ "email": "a@example.org", "password": PASSWORD })),
        ("DELETE", "/profile", json!({ "password": PASSWORD })),
    ];
    for (method, path, body) in changes {
        let (site, _, ada, token) = site_with_link().await;
        ada.json(method.parse().unwrap(), path, body).await.is_ok();
        reset(&site, &token).await.is_refused("link_invalid");
    }
}

#[tokio::test]
async fn a_link_that_is_too_old_leaves_nothing_behind() {
    let (site, ..) = site_with_link().await;
    let left = async || {
        let row = site.app.store.find("SELECT COUNT(*) AS count FROM challenges", values![]).await.unwrap();
        row.unwrap().get::<i64>("count").unwrap()
    };
    site.later(Duration::from_secs(3_599)).await;
    assert_eq!(left().await, 1);
    site.later(Duration::from_secs(1)).await;
    assert_eq!(left().await, 0);
}

#[tokio::test]
async fn a_reset_opens_no_disabled_account() {
    let (site, admin, ada, token) = site_with_link().await;
    let path = format!("/admin/users/{}", ada.user_id().await);
    admin.patch(&path, json!({ "disabled": true })).await.is_ok();
    reset(&site, &token).await.is_refused("link_invalid");
    let made = admin.post(&format!("{path}/reset-link"), Value::Null).await.is_ok();
    let (_, token) = made["url"].as_str().unwrap().split_once("token=").unwrap();
    reset(&site, token).await.is_ok();
    let body = json!({ "email": "ada@example.org", "password": NEW });
    site.visitor().post("/login", body).await.is_refused("user_disabled");
}

#[tokio::test]
async fn an_invitation_is_no_reset_link_and_a_reset_link_no_invitation() {
    let (site, admin, _, token) = site_with_link().await;
    let made = admin.post("/admin/invitations", json!({})).await.has_status(201).json();
    let (_, invitation) = made["url"].as_str().unwrap().split_once("invite=").unwrap();
    reset(&site, invitation).await.is_refused("link_invalid");
    let body = json!({ "name": "eve", "email": "eve@example.org", "password": PASSWORD, "invite": token });
    site.visitor().post("/register", body).await.is_refused("link_invalid");
}

#[tokio::test]
async fn a_person_without_a_link_is_told_whom_to_ask_for_one() {
    for (contact, description) in [
        ("", "Ask whoever runs this site for"),
        ("the office, room 12", "Ask the office, room 12 for"),
        ("help@example.org", "href=\"mailto:help@example.org\""),
        ("https://example.org/help", "href=\"https:&#x2f;&#x2f;example.org&#x2f;help\""),
        ("<b>me</b>", "Ask &lt;b&gt;me&lt;&#x2f;b&gt; for"),
    ] {
        let site = Site::with(&[("contact", contact)]).await;
        let page = site.visitor().page("/password/reset").await.has_status(200).text();
        assert!(page.contains(description), "{contact}: {page}");
    }
    Site::new().await.visitor().get("/password/reset").await.has_status(400).is_refused("link_invalid");
}

#[tokio::test]
async fn a_form_with_a_bad_password_comes_back_with_the_link_and_without_the_password() {
    let (site, _, _, token) = site_with_link().await;
    let fields = [("token", token.as_str()), ("new_password", "passw0rd")];
    let page = site.visitor().form("/password/reset", &fields).await.has_status(422).text();
    assert!(page.contains(&format!("value=\"{token}\"")) && !page.contains("passw0rd"), "{page}");
    assert!(page.contains("aria-describedby=\"reset-new_password-wrong"), "{page}");
    let dead = [("token", "x"), ("new_password", NEW)];
    let page = site.visitor().form("/password/reset", &dead).await.has_status(400).text();
    assert!(page.contains("This link is unknown, used or too old") && !page.contains("<form"), "{page}");
}

#[tokio::test]
async fn a_link_names_the_port_that_the_server_really_has() {
    let site = Site::with(&[("listen", "127.0.0.1:0")]).await;
    let admin = site.admin("root").await;
    let address = site.listen().await;
    let ada = site.user("ada", doorward_core::role::RoleName::USER).await;
    let answer = admin.post(&format!("/admin/users/{ada}/reset-link"), json!({})).await.is_ok();
    let link = answer["url"].as_str().unwrap();
    assert!(link.starts_with(&format!("http://{address}/password/reset?token=")), "{link}");
}
