use std::time::Duration;

use doorward_core::Mode;
use http::{Method, header};
use serde_json::{Value, json};

use crate::testing::{PASSWORD, Site};

#[tokio::test]
async fn a_program_is_welcomed_by_name() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    insta::assert_snapshot!(ada.get("/dashboard").await.redacted(), @r#"
    {
      "message": "Welcome ada!",
      "user": {
        "created_at": "[time]",
        "email": "ada@example.org",
        "id": "[id]",
        "name": "ada",
        "role": "user"
      }
    }
    "#);
}

#[tokio::test]
async fn a_person_sees_the_devices_and_a_way_out_of_each() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let phone = site.logged_in("ada").await.session_id().await;
    let answer = ada.page("/dashboard").await;
    let page = answer.has_status(200).text();
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.contains("Welcome ada!") && page.matches("This device").count() == 1, "{page}");
    assert!(
        page.contains(&format!("action=\"/sessions/{phone}/end\"")) && page.contains("action=\"/logout\"")
    );
    assert!(page.contains("<time datetime=\"2027-01-15T08:00:00Z\">just now</time>"), "{page}");
    assert!(page.contains("action=\"/sessions/end-others\"") && !page.contains("/admin/users"), "{page}");
}

#[tokio::test]
async fn who_is_signed_in_nowhere_else_is_told_so() {
    let site = Site::new().await;
    let page = site.logged_in_by("ada", Mode::Session).await.page("/dashboard").await.text();
    assert!(page.contains("No other device is signed in") && !page.contains("end-others"), "{page}");
}

#[tokio::test]
async fn who_may_see_users_has_a_way_there() {
    let site = Site::with(&[("roles.support", "users:read")]).await;
    for (role, may) in [("user", false), ("support", true), ("admin", true)] {
        site.user(role, role.parse().unwrap()).await;
        let page = site.logged_in_by(role, Mode::Session).await.page("/dashboard").await.text();
        assert_eq!(page.contains("href=\"/admin/users\""), may, "{role}");
    }
}

#[tokio::test]
async fn the_page_says_what_was_done_and_no_words_of_others() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let page = ada.page("/dashboard?done=password-changed").await.text();
    assert!(page.contains("<p class=\"notice\" role=\"status\">Password changed."), "{page}");
    let page = ada.page("/dashboard?done=Your+account+was+stolen").await.text();
    assert!(!page.contains("notice") && !page.contains("stolen"), "{page}");
}

#[tokio::test]
async fn a_name_is_text_on_the_page_whatever_it_contains() {
    let site = Site::new().await;
    let visitor = site.visitor();
    let name = "<script>alert('x')</script>{{ 7 * 7 }}";
    let body = json!({ "name": name, "email": "x@example.org", "password": PASSWORD, "mode": "session" });
    visitor.post("/register", body).await.has_status(201);
    let page = visitor.page("/dashboard").await.text();
    assert!(
        page.contains("&lt;script&gt;") && page.contains("{{ 7 * 7 }}") && !page.contains("<script>"),
        "{page}"
    );
}

#[tokio::test]
async fn a_person_who_is_not_signed_in_goes_to_the_login_and_from_there_back() {
    let site = Site::new().await;
    site.visitor().page("/dashboard").await.goes_to("/login?return_to=%2Fdashboard");
    site.visitor()
        .page("/dashboard?a=b&c=%2F")
        .await
        .goes_to("/login?return_to=%2Fdashboard%3Fa%3Db%26c%3D%252F");
    site.visitor().get("/").await.goes_to("/dashboard");
    let ended = site.logged_in_by("ada", Mode::Session).await;
    ended.copy().post("/logout", Value::Null).await.is_ok();
    ended.page("/dashboard").await.goes_to("/login?return_to=%2Fdashboard");
    site.visitor().page("/").await.goes_to("/dashboard");
    site.visitor().get("/dashboard").await.has_status(401).is_refused("token_missing");
}

#[tokio::test]
async fn under_a_base_path_all_ways_stay_below_it() {
    let site = Site::with(&[("base_path", "/auth")]).await;
    site.visitor().page("/auth/dashboard?x").await.goes_to("/auth/login?return_to=%2Fdashboard%3Fx");
    let fields = [("name", "Ada"), ("email", "ada@example.org"), ("password", PASSWORD)];
    let browser = site.visitor();
    browser.form("/auth/register", &fields).await.goes_to("/auth/dashboard");
    site.visitor().page("/auth").await.goes_to("/auth/dashboard");
    site.visitor().page("/auth/").await.goes_to("/auth/dashboard");
    let page = browser.page("/auth/dashboard").await.has_status(200).text();
    assert!(
        page.contains("auth/logout\"")
            && page.contains("auth/style.css?v=")
            && page.contains("auth/favicon.svg"),
        "{page}"
    );
    site.visitor().get("/dashboard").await.has_status(404).is_refused("not_found");
    site.visitor().get("/auth/nothing").await.has_status(404).is_refused("not_found");
}

#[tokio::test]
async fn json_is_for_whoever_prefers_it() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    for accept in ["*/*", "application/json", "application/json, text/html;q=0.9", ""] {
        let request = ada.request(Method::GET, "/dashboard").header(header::ACCEPT, accept);
        assert_eq!(ada.send(request, "").await.is_ok()["message"], "Welcome ada!", "{accept}");
    }
}

#[tokio::test]
async fn an_expired_token_is_refused_by_its_own_code() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    site.later(Duration::from_secs(899)).await;
    ada.get("/dashboard").await.is_ok();
    site.later(Duration::from_secs(1)).await;
    let answer = ada.get("/dashboard").await;
    let problem = answer.has_status(401).is_refused("token_expired");
    assert_eq!(problem["message"], "jwt expired");
    let challenge = "Bearer error=\"invalid_token\", error_description=\"jwt expired\"";
    assert_eq!(answer.header("www-authenticate"), Some(challenge));
}

#[tokio::test]
async fn clients_of_old_tutorials_get_403_for_a_bad_token_by_a_setting() {
    let site = Site::with(&[("http.invalid_token_status", "403")]).await;
    let bad = site.visitor();
    bad.hold(Some("garbage"), None);
    assert_eq!(
        bad.get("/dashboard").await.has_status(403).is_refused("token_invalid")["message"],
        "Invalid token"
    );
    site.visitor().get("/dashboard").await.has_status(401).is_refused("token_missing");
}

#[tokio::test]
async fn a_page_says_what_was_done_as_the_document_of_the_api_lists_it_and_nothing_else() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let document = site.api().document();
    let parameter = |path: &str| {
        let all = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        all.iter().find(|one| one["name"] == "done").unwrap()["schema"]["enum"].clone()
    };
    let listed = parameter("/dashboard");
    for path in ["/login", "/admin/users", "/admin/users/{id}"] {
        assert_eq!(parameter(path), listed, "{path}");
    }
    for done in listed.as_array().unwrap() {
        let path = format!("/dashboard?done={}", done.as_str().unwrap());
        assert!(ada.page(&path).await.has_status(200).text().contains("role=\"status\""), "{path}");
    }
    let words = ada.page("/dashboard?done=Call+0900").await.has_status(200).text();
    assert!(!words.contains("0900") && !words.contains("role=\"status\""), "{words}");
    let twice = "/dashboard?done=signed-out&done=name-changed";
    ada.get(twice).await.has_status(400).is_refused("malformed");
}

#[tokio::test]
async fn a_server_without_users_says_what_it_is_and_how_to_begin_until_there_is_one() {
    let site = Site::with(&[("dev", "true"), ("base_path", "/auth")]).await;
    let has_tour = site.api().routes().iter().any(|route| route.path == "/tour");
    for path in ["/auth", "/auth/"] {
        let page = site.visitor().page(path).await.has_status(200).text().replace("&#x2f;", "/");
        let place = if site.app.settings.database.is_some() { " --database URL" } else { " --data /" };
        for said in ["doorward user create --role admin", "\"/auth/docs\"", "\"/auth/register\"", place] {
            assert!(page.contains(said), "{said} is missing in {page}");
        }
        assert!(page.contains("never an admin"), "{page}");
        assert_eq!(page.contains("\"/auth/tour\""), has_tour, "{page}");
    }
    site.visitor().get("/auth").await.goes_to("/auth/dashboard");
    site.user("ada", "user".parse().unwrap()).await;
    site.visitor().page("/auth").await.goes_to("/auth/dashboard");
}

#[tokio::test]
async fn in_production_the_first_page_says_nothing_of_the_machine_or_of_the_tour() {
    let site =
        Site::with(&[("public_url", "https://accounts.example.com"), ("registration", "closed")]).await;
    let page = site.visitor().page("/").await.has_status(200).text().replace("&#x2f;", "/");
    assert!(page.contains("doorward user create --role admin") && page.contains("href=\"/docs\""), "{page}");
    for kept in ["--data", "--database", "/tour", "/flow", "/register"] {
        assert!(!page.contains(kept), "{kept} in {page}");
    }
}
