//! Other ways to write a request: the same decision as for the canonical one, or 404.

use doorward::testing::Site;
use http::Method;
use serde_json::{Value, json};

use super::routes::routes;

const OTHER_SPELLINGS: [&str; 26] = [
    "/admin/users/",
    "//admin/users",
    "/admin//users",
    "/./admin/users",
    "/admin/./users",
    "/login/../admin/users",
    "/admin/..;/admin/users",
    "/admin;x=1/users",
    "/admin/users;jsessionid=1",
    "/%61dmin/users",
    "/admin/%75sers",
    "/admin%2fusers",
    "/admin%2Fusers",
    "/%2e/admin/users",
    "/healthz/%2e%2e/admin/users",
    "/admin/users%00",
    "/admin/users%20",
    "/admin/users%0a",
    "/admin/users.json",
    "/admin/./",
    "/ADMIN/users",
    "/Admin/Users",
    "/admin/USERS",
    "/admin\\users",
    "/style.css/../admin/users",
    "/auth/admin/users",
];

#[tokio::test]
async fn a05_another_spelling_of_a_path_is_no_way_in() {
    let site = Site::new().await;
    let (admin, ada) = (site.admin("root").await, site.registered("ada").await);
    for path in OTHER_SPELLINGS {
        for (who, visitor) in [("nobody", &site.visitor()), ("a user", &ada), ("an admin", &admin)] {
            let answer = visitor.get(path).await;
            assert_eq!(answer.status, 404, "{path} by {who}");
            assert_eq!(answer.json()["code"], "not_found", "{path} by {who}");
        }
    }
}

#[tokio::test]
async fn a05_a_host_in_the_request_line_and_a_query_change_nothing() {
    let site = Site::new().await;
    let (admin, ada) = (site.admin("root").await, site.registered("ada").await);
    for path in [
        "http://evil.example/admin/users",
        "/admin/users?",
        "/admin/users?role=admin&/login",
        "/admin/users?.css",
    ] {
        site.visitor().get(path).await.is_refused("token_missing");
        ada.get(path).await.is_refused("forbidden");
        admin.get(path).await.is_ok();
    }
}

#[tokio::test]
async fn a05_headers_change_neither_the_method_nor_the_path() {
    let site = Site::new().await;
    let (admin, ada) = (site.admin("root").await, site.registered("ada").await);
    let bob = site.user("bob", "user".parse().unwrap()).await;
    let target = format!("/admin/users/{bob}");
    for name in ["x-http-method-override", "x-http-method", "x-method-override", "_method"] {
        let request = admin.request(Method::PUT, &target).header(name, "DELETE");
        admin.send(request, "").await.is_refused("method_not_allowed");
        // The method decides: a POST is a change, here of nothing.
        let request = admin.request(Method::POST, &target).header(name, "DELETE");
        assert_eq!(admin.send(request, "").await.is_ok()["user"]["id"], bob);
        let request = admin.request(Method::GET, &format!("{target}?_method=DELETE")).header(name, "DELETE");
        admin.send(request, "").await.is_ok();
    }
    for name in [
        "x-original-url",
        "x-rewrite-url",
        "x-forwarded-path",
        "x-forwarded-uri",
        "x-original-uri",
        "x-forwarded-prefix",
    ] {
        let request = ada.request(Method::GET, "/healthz").header(name, "/admin/users");
        assert_eq!(ada.send(request, "").await.is_ok(), json!({ "status": "ok" }));
        let request = ada.request(Method::GET, "/admin/users").header(name, "/healthz");
        ada.send(request, "").await.is_refused("forbidden");
    }
    admin.get(&target).await.is_ok();
}

#[tokio::test]
async fn a05_head_and_get_are_one_decision_and_one_status() {
    let site = Site::new().await;
    let (admin, ada) = (site.admin("root").await, site.registered("ada").await);
    for route in routes().iter().filter(|route| route.method == "GET") {
        let path = route.path.replace("{id}", "01890000-0000-7000-8000-000000000000");
        for visitor in [&site.visitor(), &ada, &admin] {
            let head = visitor.send(visitor.request(Method::HEAD, &path), "").await;
            assert_eq!(head.status, visitor.get(&path).await.status, "HEAD {path}");
        }
    }
}

#[tokio::test]
async fn a05_no_route_takes_a_method_that_its_row_does_not_name() {
    let site = Site::new().await;
    let admin = site.admin("root").await;
    let rows = routes();
    for route in &rows {
        let path = route.path.replace("{id}", "01890000-0000-7000-8000-000000000000");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get"] {
            if rows.iter().any(|other| other.path == route.path && other.method == method) {
                continue;
            }
            let answer = admin.json(method.parse().unwrap(), &path, Value::Null).await;
            answer.is_refused("method_not_allowed");
            let allowed = answer.header("allow").unwrap_or_default();
            assert!(allowed.split(',').any(|one| one == route.method), "{method} {path}: allows {allowed:?}");
        }
    }
}
