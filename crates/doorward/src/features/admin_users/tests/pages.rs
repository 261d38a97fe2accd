use doorward_core::Mode;
use doorward_core::role::RoleName;
use serde_json::json;

use crate::testing::{PASSWORD, Site, Visitor};

/// A browser of a new user with this role, who has given the password once more.
async fn browser(site: &Site, name: &str, role: &str) -> Visitor {
    site.user(name, role.parse().unwrap()).await;
    let browser = site.logged_in_by(name, Mode::Session).await;
    browser.post("/confirm", json!({ "current_password": PASSWORD })).await.is_ok();
    browser
}

/// A site with an admin's browser, a signed-in user, and her admin path.
async fn site_with_ada() -> (Site, Visitor, Visitor, String) {
    let site = Site::new().await;
    let (admin, ada) = (browser(&site, "root", "admin").await, site.logged_in("ada").await);
    let path = format!("/admin/users/{}", ada.user_id().await);
    (site, admin, ada, path)
}

#[tokio::test]
async fn an_admin_sees_all_users_and_finds_some() {
    let (site, admin, _, path) = site_with_ada().await;
    let page = admin.page("/admin/users").await.has_status(200).text();
    assert!(page.contains("root@example.org") && page.contains("ada@example.org"), "{page}");
    assert!(page.contains(&format!("href=\"{path}\"")), "{page}");
    let page = admin.page("/admin/users?search=AD&role=user").await.text();
    assert!(page.contains("ada@example.org") && !page.contains("root@example.org<"), "{page}");
    assert!(page.contains("value=\"AD\"") && page.contains("<option selected>user</option>"), "{page}");
    let page = admin.page("/admin/users?search=%3Cb%3E").await.text();
    assert!(page.contains("Nobody like that") && !page.contains("<b>"), "{page}");
    admin.page("/admin/users?role=!").await.has_status(422);
    site.visitor().page("/admin/users").await.goes_to("/login?return_to=%2Fadmin%2Fusers");
}

#[tokio::test]
async fn many_users_stand_on_several_pages_that_keep_the_search() {
    let (site, admin, ..) = site_with_ada().await;
    for n in 0..4 {
        site.user(&format!("user&{n}"), RoleName::USER).await;
    }
    let mut path = "/admin/users?search=user%26&limit=3".to_owned();
    let mut seen = 0;
    for next in [true, false] {
        let page = admin.page(&path).await.has_status(200).text();
        seen += page.matches("<strong>user&amp;").count();
        let link = page.split("class=\"next\" href=\"").nth(1);
        assert_eq!(link.is_some(), next, "{page}");
        if let Some(link) = link {
            path = link.split('"').next().unwrap().replace("&amp;", "&").replace("&#x2f;", "/");
        }
    }
    assert_eq!(seen, 4);
}

#[tokio::test]
async fn a_form_makes_a_user_or_comes_back_with_what_was_typed() {
    let (site, admin, ..) = site_with_ada().await;
    let fields =
        |email, password| [("name", "Grace"), ("email", email), ("role", "admin"), ("password", password)];
    let page = admin.form("/admin/users", &fields("ada@example.org", "")).await.has_status(409).text();
    assert!(page.contains("already registered") && page.contains("value=\"Grace\""), "{page}");
    assert!(page.contains("<option selected>admin</option>"), "{page}");
    let page =
        admin.form("/admin/users", &fields("grace@example.org", "passw0rd")).await.has_status(422).text();
    assert!(page.contains("create-password-wrong") && !page.contains("passw0rd"), "{page}");
    let made = admin.form("/admin/users", &fields("grace@example.org", "")).await;
    let path = made.has_status(303).header("location").unwrap().to_owned();
    assert!(path.ends_with("?done=user-created"), "{path}");
    let page = admin.page(&path).await.text();
    assert!(page.contains("User created.") && page.contains("None yet: make a reset link"), "{page}");
    let login = json!({ "email": "grace@example.org", "password": PASSWORD });
    site.visitor().post("/login", login).await.is_refused("invalid_credentials");
}

#[tokio::test]
async fn forms_change_disable_enable_sign_out_and_delete_a_user() {
    let (_site, admin, ada, path) = site_with_ada().await;
    let changed = format!("{path}?done=user-changed");
    let page = admin.page(&path).await.has_status(200).text();
    assert!(page.contains("<h1>ada</h1>") && page.contains("Unknown device"), "{page}");
    admin.form(&path, &[("name", "Countess")]).await.goes_to(&changed);
    admin.form(&path, &[("email", "countess@example.org")]).await.goes_to(&changed);
    assert_eq!(ada.get("/profile").await.is_ok()["user"]["email"], "countess@example.org");
    admin.form(&path, &[("role", "admin")]).await.goes_to(&changed);
    ada.get("/profile").await.is_refused("token_stale");
    ada.refresh().await.is_ok();
    admin.form(&format!("{path}/sessions/end"), &[]).await.goes_to(&format!("{path}?done=user-signed-out"));
    ada.ended_with_others().await;
    assert!(admin.page(&path).await.text().contains("Signed in nowhere."));
    admin.form(&path, &[("disabled", "true")]).await.goes_to(&changed);
    let page = admin.page(&path).await.text();
    assert!(
        page.contains("<span class=\"chip off\">disabled</span>") && page.contains("Enable account"),
        "{page}"
    );
    admin.form(&path, &[("disabled", "false")]).await.goes_to(&changed);
    admin.form(&format!("{path}/delete"), &[]).await.goes_to("/admin/users?done=user-deleted");
    admin.page(&path).await.has_status(404);
}

#[tokio::test]
async fn a_form_about_a_user_that_is_refused_comes_back_open() {
    let (_site, admin, _, path) = site_with_ada().await;
    let page = admin.form(&path, &[("name", "")]).await.has_status(422).text();
    assert!(page.contains("<details open>") && page.contains("Name is required"), "{page}");
    let page = admin.form(&path, &[("email", "root@example.org")]).await.has_status(409).text();
    assert!(page.contains("already registered") && page.contains("id=\"email-trouble\""), "{page}");
    admin.form("/admin/users/01890000-0000-7000-8000-000000000000/delete", &[]).await.has_status(404);
    admin.form("/admin/users/x", &[("name", "Ada")]).await.has_status(404);
}

#[tokio::test]
async fn a_reset_link_is_shown_once_and_works() {
    let (site, admin, _, path) = site_with_ada().await;
    let answer = admin.form(&format!("{path}/reset-link"), &[]).await;
    let page = answer.has_status(200).text().replace("&#x2f;", "/");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let token = page.split("/password/reset?token=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(!admin.page(&path).await.text().contains(&token));
    let fields = [("token", token.as_str()), ("new_password", "another good phrase")];
    site.visitor().form("/password/reset", &fields).await.goes_to("/login?done=password-reset");
}

#[tokio::test]
async fn an_admin_has_no_forms_against_themselves() {
    let (_site, admin, ..) = site_with_ada().await;
    let own = format!("/admin/users/{}", admin.user_id().await);
    let page = admin.page(&own).await.has_status(200).text();
    assert!(
        page.contains("This is you.") && !page.contains("/delete") && !page.contains("reset-link"),
        "{page}"
    );
    admin.form(&format!("{own}/reset-link"), &[]).await.has_status(403);
    admin.form(&own, &[("role", "user")]).await.has_status(409);
}

#[tokio::test]
async fn who_may_only_look_has_no_forms() {
    let site = Site::with(&[("roles.support", "users:read")]).await;
    let support = browser(&site, "support", "support").await;
    let path = format!("/admin/users/{}", site.user("ada", RoleName::USER).await);
    let list = support.page("/admin/users").await.has_status(200).text();
    assert!(list.contains("ada@example.org") && !list.contains("New user"), "{list}");
    let page = support.page(&path).await.has_status(200).text();
    assert!(page.contains("let you change this user") && !page.contains(&format!("{path}/")), "{page}");
    assert!(!page.contains("Unknown device") && page.contains("show you where"), "{page}");
    support.form(&path, &[("name", "x")]).await.has_status(403);
}

#[tokio::test]
async fn who_administrates_gives_no_more_than_they_have() {
    let site = Site::with(&[("roles.support", "users:read,users:write")]).await;
    let support = browser(&site, "support", "support").await;
    let ada = format!("/admin/users/{}", site.user("ada", RoleName::USER).await);
    let root = format!("/admin/users/{}", site.user("root", RoleName::ADMIN).await);
    let page = support.page(&ada).await.text();
    assert!(page.contains("<option>support</option>") && !page.contains("<option>admin</option>"), "{page}");
    assert!(!support.page(&root).await.text().contains(&format!("action=\"{root}")));
    support.form(&ada, &[("role", "admin")]).await.has_status(403);
    support.form(&format!("{root}/delete"), &[]).await.has_status(403);
}

#[tokio::test]
async fn pages_show_an_international_domain_as_people_write_it_and_no_look_alike() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    for (name, typed, shown) in [
        ("Ada", "ada@B\u{fc}cher.example", "ada@b\u{fc}cher.example"),
        ("Mallory", "m@\u{430}\u{440}\u{440}\u{4cf}\u{435}.com", "m@xn--80ak6aa92e.com"),
    ] {
        let body = json!({ "name": name, "email": typed, "password": PASSWORD });
        let id = admin.post("/admin/users", body).await.has_status(201).json()["user"]["id"].clone();
        let visitor = site.visitor();
        // However it is typed, the sign-in recognises the address.
        let fields = [("email", typed), ("password", PASSWORD)];
        visitor.form("/login", &fields).await.goes_to("/dashboard");
        for page in [
            admin.page("/admin/users").await,
            admin.page(&format!("/admin/users/{}", id.as_str().unwrap())).await,
            visitor.page("/dashboard").await,
        ] {
            assert!(page.has_status(200).text().contains(shown), "{}", page.text());
        }
        let stored = visitor.get("/profile").await.is_ok()["user"]["email"].as_str().unwrap().to_owned();
        assert!(stored.is_ascii() && stored.contains("@xn--"), "the API says what is stored: {stored}");
    }
}
