//! O: where a browser is redirected, who may frame, read or keep an answer, and what a page renders.

use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::Mode;
use http::{Method, header};
use serde_json::json;

use crate::authorisation::routes::routes;
use crate::support::on_the_wire;

/// Paths of every GET route, with this id in them.
fn shown(id: &str) -> impl Iterator<Item = String> {
    let read = routes().into_iter().filter(|route| route.method == "GET");
    read.map(move |route| route.path.replace("{id}", id))
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Checks that a sign-in with this `return_to`, and a visit of a signed-in user, go to the default page.
async fn goes_home(site: &Site, back: &str) {
    let browser = site.visitor();
    let fields = [("email", "ada@example.org"), ("password", PASSWORD), ("return_to", back)];
    let answer = browser.form("/login", &fields).await;
    assert_eq!(answer.header("location"), Some("/dashboard"), "{back:?}: {}", answer.text());
    let again = browser.page(&format!("/login?return_to={}", encoded(back))).await;
    assert_eq!(again.header("location"), Some("/dashboard"), "{back:?}");
    let form = site.visitor().page(&format!("/login?return_to={}", encoded(back))).await;
    assert!(!form.has_status(200).text().contains("evil"), "{back:?} stands in the form");
}

#[tokio::test]
async fn x22_a_secret_in_an_address_goes_to_no_other_site_and_forms_keep_their_origin() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    for visitor in [&ada, &site.visitor()] {
        let paths: Vec<_> = shown("01890000-0000-7000-8000-000000000000").collect();
        for path in paths.into_iter().chain(["/nothing".into(), "/register?invite=x".into()]) {
            if path == "/revocations" {
                continue; // A stream for programs, without an end.
            }
            for answer in [visitor.page(&path).await, visitor.form(&path, &[("name", "\0")]).await] {
                assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn o01_a_sign_in_goes_to_no_other_site() {
    let site = Site::new().await;
    site.user("ada", "user".parse().unwrap()).await;
    for back in [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "\\/evil.example",
        "https:evil.example",
        "http:///evil.example",
        "https://evil.example",
        "%2f%2fevil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        "  //evil.example",
        "evil.example",
        "",
        ".//evil.example",
    ] {
        goes_home(&site, back).await;
    }
}

#[tokio::test]
async fn o02_no_host_looks_enough_like_ours() {
    let site = Site::with(&[("public_url", "https://accounts.example.com")]).await;
    site.user("ada", "user".parse().unwrap()).await;
    for back in [
        "https://accounts.example.com.evil.example/",
        "https://evilaccounts.example.com/",
        "https://accounts.example.com@evil.example/",
        "https://accounts.example.com%00.evil.example/",
        "https://accounts.example.com:80@evil.example/",
        "//accounts.example.com/evil",
        "https://accounts.example.com/evil",
        "https://accounts\u{ff0e}example.com/evil",
        "https://evil.example#accounts.example.com",
        "https://evil.example?accounts.example.com",
    ] {
        goes_home(&site, back).await;
    }
}

#[tokio::test]
async fn o03_no_script_is_where_a_sign_in_goes() {
    let site = Site::new().await;
    site.user("ada", "user".parse().unwrap()).await;
    for back in [
        "javascript:alert('evil')",
        "JaVaScRiPt:evil",
        " javascript:evil",
        "java\tscript:evil",
        "data:text/html,evil",
        "blob:https://evil.example/1",
        "vbscript:evil",
    ] {
        goes_home(&site, back).await;
    }
}

#[tokio::test]
async fn o04_no_line_break_of_a_client_stands_in_a_header() {
    let site = Site::new().await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    for text in [
        "/x\r\nSet-Cookie: evil=1",
        "/x\nSet-Cookie: evil=1",
        "/x%0d%0aSet-Cookie:%20evil=1",
        "/x\u{2028}evil",
    ] {
        for answer in [
            site.visitor()
                .form("/login", &[("email", "ada@example.org"), ("password", PASSWORD), ("return_to", text)])
                .await,
            site.visitor().page(&format!("/login?return_to={}", encoded(text))).await,
            site.visitor().page(&format!("/dashboard?{}", encoded(text))).await,
            ada.patch("/profile", json!({ "name": text })).await,
            ada.page(&format!("/{}", encoded(text))).await,
            ada.get(&format!("/sessions/{}", encoded(text))).await,
        ] {
            for (name, value) in &answer.headers {
                assert!(!value.as_bytes().contains(&b'\n') && !value.as_bytes().contains(&b'\r'), "{name}");
                assert!(name != "set-cookie" || !value.to_str().unwrap().starts_with("evil"), "{text:?}");
            }
        }
        let named = ada.patch("/profile", json!({ "name": text })).await;
        let has_break = text.contains(['\r', '\n', '\u{2028}']);
        assert_eq!(named.status.as_u16() == 422, has_break, "{text:?}: {}", named.text());
    }
}

#[tokio::test]
async fn o05_no_answer_of_any_route_can_be_framed() {
    let site = Site::new().await;
    let admin = site.admin("ada").await;
    let browser = site.logged_in_by("grace", Mode::Session).await;
    let id = browser.user_id().await;
    let nowhere = ["/nowhere".to_owned(), "/%ff".to_owned()];
    for path in shown(&id).chain(nowhere) {
        for answer in [admin.get(&path).await, browser.page(&path).await, site.visitor().page(&path).await] {
            let policy = answer.header("content-security-policy").unwrap_or_default().to_owned();
            let is_page = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
            let opener = answer.header("cross-origin-opener-policy");
            assert_eq!(opener, is_page.then_some("same-origin"), "{path} {}", answer.status);
            assert!(policy.contains("frame-ancestors 'none'"), "{path} {}: {policy}", answer.status);
            assert!(policy.contains("base-uri 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        }
    }
}

async fn asked(visitor: &Visitor, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers
        .iter()
        .fold(visitor.request(method, path), |request, (name, value)| request.header(*name, *value));
    visitor.send(request, "").await
}

#[tokio::test]
async fn o06_no_foreign_page_may_read_an_answer() {
    const LISTED: &str = "https://app.example.com";
    for settings in [&[][..], &[("origins", LISTED)]] {
        let site = Site::with(settings).await;
        let ada = site.admin("ada").await;
        for path in shown(&ada.user_id().await) {
            for origin in [
                "https://evil.example",
                "null",
                "http://app.example.com",
                "https://app.example.com.evil.example",
                "*",
                "",
            ] {
                let origin = ("origin", origin);
                let preflight = [origin, ("access-control-request-method", "GET")];
                for answer in [
                    asked(&ada, Method::GET, &path, &[origin]).await,
                    asked(&ada, Method::OPTIONS, &path, &preflight).await,
                ] {
                    assert_eq!(answer.header("access-control-allow-origin"), None, "{path} {origin:?}");
                    assert!(!answer.status.is_server_error(), "{path} {origin:?}");
                    let varies = answer
                        .headers
                        .get_all("vary")
                        .iter()
                        .any(|value| value.to_str().unwrap().to_lowercase().contains("origin"));
                    assert!(
                        settings.is_empty() || varies,
                        "{path} {origin:?} may be kept for another origin"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn o07_a_foreign_host_is_nowhere_in_an_answer() {
    let site = Site::with(&[("public_url", "https://accounts.example.com")]).await;
    let admin = site.admin("ada").await;
    let id = site.user("grace", "user".parse().unwrap()).await;
    let address = site.listen().await;
    for path in shown(&id) {
        let authorization =
            format!("Authorization: Bearer {}\r\nConnection: close\r\n", admin.token().unwrap());
        for head in [
            format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\n{authorization}\r\n"),
            format!(
                "GET {path} HTTP/1.1\r\nHost: evil.example\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
            ),
            format!(
                "GET http://evil.example{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
            ),
            format!(
                "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
            ),
        ] {
            let answer = on_the_wire(address, head.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 ") && !answer.contains("evil"), "{head}\n{answer}");
        }
    }
    let request = admin
        .request(Method::POST, &format!("/admin/users/{id}/reset-link"))
        .header("x-forwarded-host", "evil.example")
        .header("content-type", "application/json");
    let body = serde_json::json!({ "current_password": PASSWORD }).to_string();
    let link = admin.send(request, body).await.is_ok()["url"].as_str().unwrap().to_owned();
    assert!(link.starts_with("https://accounts.example.com/password/reset?token="), "{link}");
    for head in [
        "GET /login HTTP/1.1\r\n\r\n",
        "GET /login HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /login HTTP/1.1\r\nHost: a b\r\n\r\n",
    ] {
        assert!(on_the_wire(address, head.as_bytes()).await.starts_with("HTTP/1.1 400 "), "{head}");
    }
}

#[tokio::test]
async fn o08_nothing_of_a_user_is_kept_or_served_under_another_name() {
    let site = Site::new().await;
    let admin = site.admin("adelheid").await;
    let browser = site.logged_in_by("grace", Mode::Session).await;
    let id = browser.user_id().await;
    for path in shown(&id) {
        for visitor in [&admin, &browser] {
            for answer in [visitor.get(&path).await, visitor.page(&path).await] {
                let cache = answer.header("cache-control").unwrap_or_default().to_owned();
                let public = !answer.text().contains("adelheid")
                    && !answer.text().contains("grace")
                    && answer.set_cookies().is_empty();
                assert!(cache == "no-store" || (public && !cache.is_empty()), "{path}: {cache}");
            }
        }
        if path == "/" {
            continue;
        }
        for tail in [
            "/a.css",
            ";a.js",
            "%0a.css",
            "%3ba.js",
            "%2fa.css",
            "/..%2fa.css",
            "%23a.css",
            "%3fa.css",
            ".css",
        ] {
            let answer = browser.get(&format!("{path}{tail}")).await;
            assert!(
                matches!(answer.status.as_u16(), 400 | 403 | 404 | 405),
                "{path}{tail}: {} {}",
                answer.status,
                answer.text()
            );
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}{tail}");
            assert!(!answer.text().contains("grace"), "{path}{tail}");
        }
    }
}

#[tokio::test]
async fn o09_what_people_write_is_drawn_as_text() {
    // Opens an element and closes an attribute of either kind, if it is rendered without escaping.
    const DRAWN: &str = "zq<img9 src=x onerror=zq()>\"zq='zq'>`zq`{{7*7}}${7*7}</title></script>";
    let site = Site::new().await;
    let admin = site.admin("ada").await;
    let address = "\"zq<img9>\"@example.org";
    admin.patch("/profile", json!({ "name": DRAWN })).await.is_ok();
    let browser = site.visitor();
    let body = json!({ "name": DRAWN, "email": "eve@example.org", "password": PASSWORD, "mode": "session" });
    let agent = browser.request(Method::POST, "/register").header(header::CONTENT_TYPE, "application/json");
    browser.send(agent.header(header::USER_AGENT, DRAWN), body.to_string()).await.has_status(201);
    let id = browser.user_id().await;
    let boss = site.visitor();
    boss.form("/login", &[("email", "ada@example.org"), ("password", PASSWORD)]).await.has_status(303);
    let query = encoded(DRAWN);
    let names =
        ["return_to", "token", "invite", "search", "role", "after", "limit", "email", "error", "message"];
    let mut pages = 0;
    for path in shown(&id).chain(["/nowhere".to_owned(), format!("/{query}")]) {
        let queries = names.iter().map(|name| format!("{path}?{name}={query}"));
        for path in queries.chain([path.clone()]) {
            for visitor in [&boss, &browser, &site.visitor()] {
                let answer = visitor.page(&path).await;
                pages += usize::from(is_text(&answer, &path));
            }
        }
    }
    for fields in [[("email", address), ("password", DRAWN)], [("email", "eve@example.org"), ("name", DRAWN)]]
    {
        for path in ["/login", "/register", "/password/reset", "/profile", "/profile/delete", "/nowhere"] {
            pages += usize::from(is_text(&browser.form(path, &fields).await, path));
        }
    }
    assert!(pages > 50, "only {pages} pages were looked at");
}

/// Checks that none of the text became markup; returns whether it was a page.
#[track_caller]
fn is_text(answer: &Answer, path: &str) -> bool {
    assert!(!answer.status.is_server_error(), "{path}: {}", answer.status);
    if !answer.header("content-type").is_some_and(|one| one.starts_with("text/html")) {
        return false;
    }
    let text = answer.text();
    for markup in ["<img9", "zq()>", "\"zq=", "'zq'", "zq`49", "</title></script>"] {
        assert!(!text.contains(markup), "{path} draws {markup}:\n{text}");
    }
    true
}
