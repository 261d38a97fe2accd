//! C: requests that a page of another site causes, on every route that changes something, in every mode.

use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::Mode;
use doorward_core::role::RoleName;
use http::{Method, header};
use serde_json::{Value, json};

use crate::authorisation::routes::{Route, routes};
use crate::support::state;

/// The routes that change something, with unknown ids in their paths.
fn changing() -> impl Iterator<Item = (Method, String)> {
    let changes = |route: &Route| route.method != "GET";
    routes().into_iter().filter(changes).map(|route| {
        let path = route.path.replace("{id}", "01890000-0000-7000-8000-000000000000");
        (route.method.parse().unwrap(), path)
    })
}

/// Routes that do their work without a body, up to their id. The logout refuses nobody, whatever is sent.
const READ_NO_BODY: [&str; 10] = [
    "/logout",
    "/logout/all",
    "/sessions",
    "/sessions/",
    "/sessions/end-others",
    "/admin/users/",
    "/admin/clients/",
    "/admin/invitations/",
    "/admin/sessions/",
    // Outside of development mode.
    "/tour/play",
];

async fn sent(visitor: &Visitor, (method, path): (&Method, &str), headers: &[(&str, &str)]) -> Answer {
    let body = json!({
        "name": "Eve", "email": "eve@example.org", "password": PASSWORD, "current_password": PASSWORD,
        "new_password": "chosen by somebody else",
    });
    let request = visitor.request(method.clone(), path).header(header::CONTENT_TYPE, "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    visitor.send(request, body.to_string()).await
}

/// Checks that no route lets this request change anything, with any credential, and that no cookie is lost.
async fn are_refused(site: &Site, headers: &[&[(&str, &str)]]) {
    let mut signed_in = vec![site.visitor()];
    for mode in Mode::ALL {
        signed_in.push(site.logged_in_by("ada", mode).await);
    }
    let before = state(site).await;
    for visitor in &signed_in {
        for (method, path) in changing() {
            for headers in headers {
                let answer = sent(visitor, (&method, &path), headers).await;
                assert_eq!(answer.status, 403, "{method} {path} {headers:?}: {}", answer.text());
                answer.is_refused("cross_site_request");
                assert!(answer.set_cookies().is_empty(), "{method} {path} {headers:?}");
                assert_eq!(answer.header("access-control-allow-origin"), None, "{method} {path} {headers:?}");
            }
        }
    }
    assert_eq!(state(site).await, before);
}

#[tokio::test]
async fn c01_c02_a_page_of_another_site_or_a_sibling_changes_nothing() {
    let site = Site::new().await;
    are_refused(
        &site,
        &[
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "SAME-ORIGIN")],
            &[("sec-fetch-site", "same-origin, cross-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1")],
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-user", "?1")],
        ],
    )
    .await;
}

#[tokio::test]
async fn c03_what_a_person_does_in_their_own_browser_passes() {
    let site = Site::new().await;
    for own in ["none", "same-origin"] {
        let ada = site.logged_in_by("ada", Mode::Session).await;
        renamed(&ada, &Method::PATCH, "/profile", &[("sec-fetch-site", own)]).await.is_ok();
        sent(&ada, (&Method::POST, "/logout"), &[("sec-fetch-site", own)]).await.is_ok();
        ada.get("/profile").await.is_refused("token_missing");
    }
}

#[tokio::test]
async fn c04_c05_without_fetch_metadata_a_foreign_or_hidden_origin_is_refused() {
    let site = Site::new().await;
    are_refused(
        &site,
        &[
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "https://evil.example"), ("sec-fetch-site", "")],
            &[("origin", "127.0.0.1")],
            &[("origin", "file://127.0.0.1")],
        ],
    )
    .await;
}

#[tokio::test]
async fn c06_a_program_that_keeps_cookies_sends_neither_and_passes() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    renamed(&ada, &Method::PATCH, "/profile", &[]).await.is_ok();
    // What protects an old browser: the cookie is not sent, since every cookie has `SameSite`.
    let login = site
        .visitor()
        .post("/login", json!({ "email": "ada@example.org", "password": PASSWORD, "mode": "cookie" }))
        .await;
    let cookies = login.set_cookies();
    assert!(cookies.len() >= 2 && cookies.iter().all(|one| one.contains("SameSite=Strict")), "{cookies:?}");
}

#[tokio::test]
async fn c07_an_origin_is_ours_letter_for_letter_or_not_at_all() {
    let site = Site::with(&[("public_url", "https://accounts.example.com")]).await;
    let near = |origin: &'static str| [("host", "accounts.example.com"), ("origin", origin)];
    let misses = [
        "http://accounts.example.com",
        "https://accounts.example.com:8443",
        "https://accounts.example.com.",
        "https://accounts.example.com.evil.example",
        "https://evilaccounts.example.com",
        "https://example.com",
        "https://accounts.example.com@evil.example",
        "https://evil.example/accounts.example.com",
        "https://accounts.example.com/",
        "https://accounts.example.com https://evil.example",
    ];
    let misses = misses.map(near);
    are_refused_at(&site, &misses).await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let own = near("https://accounts.example.com");
    renamed(&ada, &Method::PATCH, "/profile", &own).await.is_ok();

    let listed = [("public_url", "https://accounts.example.com"), ("origins", "https://app.example.com")];
    let ada = Site::with(&listed).await.logged_in_by("ada", Mode::Session).await;
    let app = near("https://app.example.com");
    renamed(&ada, &Method::PATCH, "/profile", &app).await.is_ok();
}

/// A change of the name, with these headers replacing any others of their names.
async fn renamed(visitor: &Visitor, method: &Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = visitor.request(method.clone(), path).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        let name: header::HeaderName = name.parse().unwrap();
        request.headers_mut().unwrap().insert(name, value.parse().unwrap());
    }
    visitor.send(request, json!({ "name": "Eve" }).to_string()).await
}

async fn are_refused_at(site: &Site, misses: &[[(&str, &str); 2]]) {
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let before = state(site).await;
    for (method, path) in changing() {
        for headers in misses {
            let answer = renamed(&ada, &method, &path, headers).await;
            assert_eq!(answer.status, 403, "{method} {path} {headers:?}: {}", answer.text());
            answer.is_refused("cross_site_request");
            assert!(answer.set_cookies().is_empty(), "{method} {path} {headers:?}");
        }
    }
    assert_eq!(state(site).await, before);
}

const HTTPS: [(&str, &str); 1] = [("public_url", "https://accounts.example.com")];
const PLAIN: [(&str, &str); 2] = [("public_url", "http://door.test:8080"), ("http.plain", "true")];

/// As a browser sends one of our forms: with its origin, and without fetch metadata.
async fn form(visitor: &Visitor, path: &str, (host, origin): (&str, &str), fields: &str) -> Answer {
    let request = visitor
        .request(Method::POST, path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("origin", origin);
    let mut request = request;
    request.headers_mut().unwrap().insert(header::HOST, host.parse().unwrap());
    visitor.send(request, fields.to_owned()).await
}

#[tokio::test]
async fn x22_forms_work_in_browsers_that_send_no_fetch_metadata() {
    for (settings, ours, prefix) in [
        (&HTTPS[..], ("accounts.example.com", "https://accounts.example.com"), "__Host-"),
        (&PLAIN, ("door.test:8080", "http://door.test:8080"), ""),
    ] {
        for mode in ["session", "cookie"] {
            let site = Site::with(&[settings, &[("mode_form", mode)]].concat()).await;
            let ada = site.visitor();
            let fields = "name=Ada&email=ada%40example.org&password=a+door+is+a+promise";
            form(&ada, "/register", ours, fields).await.goes_to("/dashboard");
            form(&ada, "/logout", ours, "").await.goes_to("/login?done=signed-out");
            let answer = form(&ada, "/login", ours, fields).await;
            answer.goes_to("/dashboard");
            for line in answer.set_cookies() {
                assert_eq!(line.contains("; Secure"), !prefix.is_empty(), "{line}");
                assert!(line.starts_with(prefix), "{line}");
                assert_eq!(line.starts_with("__"), !prefix.is_empty(), "{line}");
                assert!(line.contains("; HttpOnly") && line.contains("; SameSite=Strict"), "{line}");
            }
            form(&ada, "/profile", ours, "name=Eve").await.goes_to("/dashboard?done=name-changed");
            for origin in [
                "http://door.test",
                "http://door.test:8081",
                "https://door.test:8080",
                "http://accounts.example.com",
                "http://evil.test",
            ] {
                let answer = form(&ada, "/profile/delete", (ours.0, origin), "password=x").await;
                assert_eq!(answer.status, 403, "{origin}");
                assert!(answer.text().contains("comes from another site"), "{origin}: {}", answer.text());
            }
        }
    }
}

#[tokio::test]
async fn x22_a_hidden_origin_is_refused_whatever_else_the_browser_says() {
    for settings in [&[][..], &HTTPS, &PLAIN, &[("origins", "https://app.example.com")]] {
        let site = Site::with(settings).await;
        are_refused(
            &site,
            &[
                &[("origin", "null")],
                &[("origin", "null"), ("sec-fetch-site", "same-origin")],
                &[("origin", "null"), ("sec-fetch-site", "none")],
                &[("origin", "http://127.0.0.1"), ("origin", "null"), ("sec-fetch-site", "same-origin")],
            ],
        )
        .await;
    }
}

/// A browser that opens a page sends no origin, so a GET that changes something is refused to callers who do.
#[tokio::test]
async fn x22_no_get_changes_anything_for_a_hidden_or_foreign_origin() {
    let reads = || routes().into_iter().filter(|route| route.method == "GET" && route.path != "/revocations");
    for settings in [&[][..], &HTTPS, &PLAIN] {
        let site = Site::with(settings).await;
        for headers in [
            &[("origin", "null")][..],
            &[("origin", "NULL")],
            &[("origin", "null"), ("sec-fetch-site", "same-origin")],
            &[("origin", "null"), ("sec-fetch-site", "none")],
            &[("origin", "null"), ("sec-fetch-site", "cross-site")],
            &[("origin", "null"), ("origin", "null")],
            &[("origin", "https://evil.example")],
            &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin"), ("origin", "null")],
        ] {
            let ada = site.logged_in_by("ada", Mode::Cookie).await;
            let before = state(&site).await;
            for route in reads() {
                let path = route.path.replace("{id}", "01890000-0000-7000-8000-000000000000");
                let opened = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
                let request = ada.request(Method::GET, &path).header(header::ACCEPT, "text/html");
                let said = headers.iter().chain(&opened);
                let request = said.fold(request, |request, (name, value)| request.header(*name, *value));
                let answer = ada.send(request, "").await;
                if path == "/refresh" {
                    assert_eq!(answer.status, 403, "{headers:?}: {}", answer.text());
                    assert!(answer.set_cookies().is_empty(), "{headers:?}");
                }
            }
            assert_eq!(state(&site).await, before, "{headers:?}");
            ada.get("/profile").await.is_ok();
        }
        // As a person opens it, also from a page of another site. Cookies from there could be planted over plain http,
        // and don't count.
        let in_the_clear = settings == PLAIN;
        for from in ["same-origin", "none", "cross-site"] {
            let ada = site.logged_in_by("ada", Mode::Cookie).await;
            let request = ada.request(Method::GET, "/refresh").header(header::ACCEPT, "text/html");
            let request = request.header("sec-fetch-site", from).header("sec-fetch-mode", "navigate");
            let answer = ada.send(request.header("sec-fetch-dest", "document"), "").await;
            let counts = from != "cross-site" || !in_the_clear;
            answer.goes_to(if counts { "/dashboard" } else { "/login?return_to=%2Fdashboard" });
        }
    }
}

#[tokio::test]
async fn c08_a_second_sign_in_leaves_one_credential_in_the_browser() {
    let site = Site::new().await;
    for first in [Mode::Cookie, Mode::Session] {
        for second in Mode::ALL {
            let browser = site.logged_in_by("ada", first).await;
            site.logged_in("grace").await;
            let body = json!({ "email": "grace@example.org", "password": PASSWORD, "mode": second.as_str() });
            let answer = browser.post("/login", body).await;
            answer.has_status(200);
            let held = ["__Host-token", "__Host-sessionId"]
                .iter()
                .filter(|name| browser.cookie(name).is_some())
                .count();
            assert_eq!(held, usize::from(second != Mode::Bearer), "{first} then {second}");
            assert_eq!(
                browser.get("/profile").await.is_ok()["user"]["name"],
                "grace",
                "{first} then {second}"
            );
        }
    }
}

/// Only a route that reads no body can do its work with any body. A browser sends it nothing without a preflight that
/// the checks above refuse.
#[tokio::test]
async fn c09_a_body_of_another_type_is_read_by_nobody() {
    let site = Site::new().await;
    site.user("ada", RoleName::ADMIN).await;
    let client = site.client().await;
    for (method, path) in changing() {
        let ada = site.logged_in("ada").await;
        let before = state(&site).await;
        for of_type in [
            "text/plain",
            "text/plain;charset=UTF-8",
            "multipart/form-data; boundary=x",
            "application/json-seq",
            "application/vnd.api+json",
            "application/json; charset=utf-16",
            "text/json",
            "*/*",
            "",
        ] {
            let body = json!({ "name": "Eve", "email": "eve@example.org", "password": PASSWORD });
            let ada = ada.copy();
            let request = match path.as_str() {
                "/introspect" | "/revoke" => {
                    let request = site.visitor().request(method.clone(), &path);
                    request.header(header::AUTHORIZATION, &client)
                }
                _ => ada.request(method.clone(), &path),
            };
            let request = request.header(header::CONTENT_TYPE, of_type);
            let answer = ada.send(request, body.to_string()).await;
            if READ_NO_BODY.contains(&path.split("01890000").next().unwrap()) {
                assert!(!answer.status.is_server_error(), "{method} {path} {of_type:?}: {}", answer.text());
            } else {
                assert_eq!(answer.status, 415, "{method} {path} {of_type:?}: {}", answer.text());
                answer.is_refused("unsupported_media_type");
                assert_eq!(state(&site).await, before, "{method} {path} {of_type:?}");
            }
        }
    }
}

#[tokio::test]
async fn c10_nobody_is_signed_in_out_or_up_by_another_site() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Cookie).await;
    site.user("eve", "user".parse().unwrap()).await;
    let before = state(&site).await;
    for path in ["/login", "/register", "/logout", "/refresh", "/password/reset"] {
        for foreign in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
            let form = "name=Eve&email=eve%40example.org&password=a+door+is+a+promise&token=x&new_password=y";
            let request = ada
                .request(Method::POST, path)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(foreign.0, foreign.1);
            let answer = ada.send(request, form).await;
            assert_eq!(answer.status, 403, "{path} {foreign:?}");
            assert!(
                answer.set_cookies().is_empty() && answer.header("location").is_none(),
                "{path} {foreign:?}"
            );
        }
    }
    assert_eq!(state(&site).await, before);
    assert_eq!(ada.get("/profile").await.is_ok()["user"]["name"], "ada");
}

#[tokio::test]
async fn c11_a_bearer_token_gives_a_foreign_page_nothing() {
    const APP: &str = "https://app.example.com";
    let site = Site::with(&[("origins", APP)]).await;
    let ada = site.logged_in("ada").await;
    for origin in
        ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com"]
    {
        for (method, path) in changing() {
            let answer = sent(&ada, (&method, &path), &[("origin", origin)]).await;
            assert_eq!(answer.status, 403, "{method} {path} {origin}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{method} {path} {origin}");
        }
        let read = ada.request(Method::GET, "/profile").header("origin", origin);
        assert_eq!(ada.send(read, "").await.header("access-control-allow-origin"), None, "{origin}");
    }
    let from_there = [("origin", APP), ("sec-fetch-site", "cross-site")];
    let listed = renamed(&ada, &Method::PATCH, "/profile", &from_there).await;
    assert_eq!(listed.is_ok()["user"]["name"], Value::from("Eve"));
    assert_eq!(listed.header("access-control-allow-origin"), Some(APP));
}
