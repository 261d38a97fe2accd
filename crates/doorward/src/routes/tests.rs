use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse;
use doorward_core::Mode;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tower::service_fn;

use crate::testing::{Answer, PASSWORD, Site, Visitor};

const APP: &str = "https://app.example.com";

/// The headers that every answer has.
fn contract(answer: &Answer) -> [Option<&str>; 5] {
    ["cache-control", "vary", "x-content-type-options", "referrer-policy", "strict-transport-security"]
        .map(|name| answer.header(name))
}

const DYNAMIC: [Option<&str>; 4] =
    [Some("no-store"), Some("Accept, Cookie, Authorization"), Some("nosniff"), Some("same-origin")];

#[tokio::test]
async fn every_answer_has_the_headers_of_the_contract() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    for answer in [
        ada.get("/profile").await,
        ada.get("/dashboard").await,
        ada.page("/dashboard").await,
        ada.page("/login").await,
        ada.get("/sessions").await,
        ada.get("/admin/users").await,
        ada.get("/nothing").await,
        ada.page("/nothing").await,
        ada.post("/profile", json!([])).await,
        ada.post("/login", json!({})).await,
        ada.get("/healthz").await,
        site.visitor().get("/profile").await,
        site.visitor().page("/profile").await,
        ada.delete("/login", Value::Null).await,
        ada.post("/logout", Value::Null).await,
    ] {
        let [all @ .., hsts] = contract(&answer);
        assert_eq!((all, hsts), (DYNAMIC, None), "{} {}", answer.status, answer.text());
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        let page = answer.header("content-type").is_some_and(|one| one.starts_with("text/html"));
        assert_eq!(policy.contains("style-src 'self'"), page, "{}", answer.text());
        let has_script = answer.text().contains("<script");
        assert_eq!(policy.contains("script-src"), has_script, "{}", answer.text());
        assert!(!policy.contains("unsafe"));
    }
}

#[tokio::test]
async fn over_https_browsers_are_told_to_stay_there() {
    let site = Site::with(&[("public_url", "https://accounts.example.com")]).await;
    for visitor in [site.visitor(), site.logged_in("ada").await] {
        for path in ["/profile", "/login", "/healthz", "/nothing"] {
            let answer = visitor.get(path).await;
            let hsts = answer.header("strict-transport-security");
            assert_eq!(hsts, Some("max-age=31536000"), "{path}");
        }
    }
}

#[tokio::test]
async fn the_hosts_below_ours_are_committed_to_https_only_by_the_setting() {
    let https = ("public_url", "https://accounts.example.com");
    for hsts in ["max-age=63072000; includeSubDomains; preload", "max-age=60", ""] {
        let site = Site::with(&[https, ("http.hsts", hsts)]).await;
        let answer = site.visitor().get("/login").await;
        assert_eq!(answer.header("strict-transport-security").unwrap_or_default(), hsts);
    }
}

#[tokio::test]
async fn what_memory_has_for_a_program_is_answered_before_the_routes() {
    let site = Site::new().await;
    let ada = site.logged_in("ada").await;
    ada.get("/profile").await.is_ok();
    let (_, paths) = super::routes::<()>(&site.app);
    let no_route = service_fn(|_: Request| async { Ok(StatusCode::IM_A_TEAPOT.into_response()) });
    let front = super::front(&site.app, no_route, paths);
    for (status, method, path, accept) in [
        (200, Method::GET, "/profile", "*/*"),
        (200, Method::GET, "/dashboard", "application/json"),
        (418, Method::GET, "/dashboard", "text/html"),
        (418, Method::GET, "/dashboard?x", "*/*"),
        (418, Method::HEAD, "/profile", "*/*"),
        (418, Method::PATCH, "/profile", "*/*"),
        (418, Method::GET, "/profile/", "*/*"),
        (418, Method::GET, "/sessions", "*/*"),
    ] {
        let request = ada.request(method, path).header(header::ACCEPT, accept);
        let answer = front.clone().answer(None, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.unwrap().status().as_u16(), status, "{path} {accept}");
    }
}

#[tokio::test]
async fn a_refusal_has_the_form_of_rfc_9457_and_an_id_of_its_own() {
    let site = Site::new().await;
    let answer = site.visitor().get("/profile").await;
    insta::assert_snapshot!(answer.redacted(), @r#"
    {
      "code": "token_missing",
      "message": "No token provided",
      "request_id": "[request id]",
      "status": 401,
      "success": false,
      "title": "Unauthorized",
      "type": "about:blank"
    }
    "#);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    assert_eq!(answer.json()["request_id"], answer.header("x-request-id").unwrap());
    let other = site.visitor().get("/profile").await;
    assert_ne!(answer.json()["request_id"], other.json()["request_id"]);
}

#[tokio::test]
async fn what_is_not_there_is_404_for_programs_and_people() {
    let site = Site::new().await;
    for path in ["/nothing", "/profile/", "/admin", "/static/../etc/passwd", "/%00"] {
        site.visitor().get(path).await.has_status(404).is_refused("not_found");
        site.visitor().post(path, json!({})).await.has_status(404).is_refused("not_found");
        let page = site.visitor().page(path).await;
        assert!(page.has_status(404).text().contains("There is nothing here"));
    }
}

#[tokio::test]
async fn a_person_who_is_refused_sees_a_page_with_a_way_on_and_what_to_report() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let form = |site: &str| {
        let request = ada.request(Method::POST, "/logout/all").header("sec-fetch-site", site);
        request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
    };
    for (status, title, answer) in [
        (403, "This door stays shut", ada.page("/admin/users").await),
        (403, "This door stays shut", ada.send(form("cross-site"), "").await),
        (404, "No such page", ada.page("/nothing").await),
        (405, "Not this way", ada.page("/logout/all").await),
    ] {
        let page = answer.has_status(status).text();
        let id = answer.header("x-request-id").unwrap();
        assert!(page.contains(&format!("<h1>{title}</h1>")) && page.contains(id), "{page}");
        assert!(page.contains("href=\"/dashboard\"") && !page.contains("<script"), "{page}");
    }
}

#[tokio::test]
async fn a_method_that_is_not_there_is_405_and_says_which_are() {
    let site = Site::new().await;
    for (method, path, allowed) in [
        (Method::PUT, "/profile", vec!["DELETE", "GET", "HEAD", "PATCH", "POST"]),
        (Method::GET, "/logout", vec!["POST"]),
        (Method::DELETE, "/login", vec!["GET", "HEAD", "POST"]),
        (Method::OPTIONS, "/profile", vec!["DELETE", "GET", "HEAD", "PATCH", "POST"]),
        (Method::TRACE, "/healthz", vec!["GET", "HEAD"]),
    ] {
        let answer = site.visitor().json(method.clone(), path, Value::Null).await;
        answer.has_status(405).is_refused("method_not_allowed");
        let mut said: Vec<_> = answer.header("allow").unwrap().split(',').map(str::trim).collect();
        said.sort_unstable();
        assert_eq!(said, allowed, "{method} {path}");
    }
}

async fn from(visitor: &Visitor, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = visitor.request(method, path).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    visitor.send(request, "{}").await
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_and_loses_nobody_a_cookie() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    for headers in [
        [("sec-fetch-site", "cross-site"), ("x", "")],
        [("sec-fetch-site", "same-site"), ("x", "")],
        [("origin", "https://evil.example"), ("x", "")],
        [("origin", "null"), ("x", "")],
        [("origin", APP), ("sec-fetch-site", "cross-site")],
    ] {
        for path in ["/logout", "/logout/all", "/login", "/register", "/refresh", "/profile/delete"] {
            let answer = from(&ada, Method::POST, path, &headers).await;
            answer.has_status(403).is_refused("cross_site_request");
            assert!(answer.set_cookies().is_empty(), "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    ada.get("/profile").await.is_ok();
    for own in [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"), ("origin", "http://127.0.0.1")]
    {
        from(&ada, Method::PATCH, "/profile", &[own]).await.is_ok();
    }
}

#[tokio::test]
async fn a_listed_origin_may_call_and_read_also_what_is_refused() {
    let site = Site::with(&[("origins", APP)]).await;
    site.user("ada", "user".parse().unwrap()).await;
    let visitor = site.visitor();
    let request = visitor
        .request(Method::POST, "/login")
        .header(header::CONTENT_TYPE, "application/json")
        .header("origin", APP)
        .header("sec-fetch-site", "cross-site");
    let login =
        visitor.send(request, json!({ "email": "ada@example.org", "password": PASSWORD }).to_string()).await;
    login.is_ok();
    let refused = from(&site.visitor(), Method::GET, "/profile", &[("origin", APP)]).await;
    refused.has_status(401).is_refused("token_missing");
    for answer in [login, refused] {
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(
            answer.header("access-control-expose-headers"),
            Some("retry-after,x-request-id,www-authenticate")
        );
        let vary: Vec<_> = answer.headers.get_all("vary").iter().map(|one| one.to_str().unwrap()).collect();
        let vary = vary.join(", ").to_lowercase();
        for name in ["origin", "accept", "cookie", "authorization"] {
            assert!(vary.split(", ").any(|one| one == name), "{vary}");
        }
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn a_preflight_names_what_a_listed_origin_may_and_nothing_to_others() {
    let site = Site::with(&[("origins", APP)]).await;
    let ask =
        [("access-control-request-method", "DELETE"), ("access-control-request-headers", "authorization")];
    let answer =
        from(&site.visitor(), Method::OPTIONS, "/sessions", &[("origin", APP), ask[0], ask[1]]).await;
    answer.has_status(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET,POST,PATCH,DELETE"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("authorization"));
    for other in
        ["https://evil.example", "https://app.example.com.evil.example", "http://app.example.com", "null"]
    {
        let answer =
            from(&site.visitor(), Method::OPTIONS, "/sessions", &[("origin", other), ask[0], ask[1]]).await;
        answer.has_status(403).is_refused("cross_site_request");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{other}");
        let answer = from(&site.visitor(), Method::POST, "/login", &[("origin", other)]).await;
        answer.has_status(403).is_refused("cross_site_request");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{other}");
    }
}
