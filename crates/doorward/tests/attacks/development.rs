//! What development mode opens, it opens to the developer of this machine alone: to no rebinding host name, no tunnel,
//! and no page of another port.

use axum::body::Body;
use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use http::{Method, header};
use serde_json::json;

/// Hosts of this machine, as browsers and programs write them.
const HERE: [&str; 12] = [
    "localhost",
    "localhost:8080",
    "LocalHost:8080",
    "app.localhost",
    "a.b.localhost:3000",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.2:8080",
    "[::1]",
    "[::1]:8080",
    "[0:0:0:0:0:0:0:1]:8080",
    "localhost:",
];
/// Hosts that a DNS server of somebody else may have made this machine's, and what looks like one of ours.
const ELSEWHERE: [&str; 30] = [
    "rebind.evil.example",
    "rebind.evil.example:8080",
    "localhost.evil.example",
    "localhost.evil.example:8080",
    "127.0.0.1.nip.io",
    "127.0.0.1.evil.example:8080",
    "evillocalhost",
    "evil-localhost:8080",
    ".localhost",
    "a..localhost",
    "localhost.",
    "localhost:8080:8080",
    "localhost:8080.evil.example",
    "localhost:port",
    "localhost@evil.example",
    "evil.example@localhost",
    "0.0.0.0",
    "0.0.0.0:8080",
    "[::]",
    "[::]:8080",
    "[::1].evil.example",
    "[::ffff:192.0.2.1]",
    "::1",
    "192.0.2.1",
    "10.0.0.1:8080",
    "169.254.169.254",
    "2130706433",
    "0x7f.1",
    "localhost, evil.example",
    "",
];

async fn to_host(visitor: &Visitor, method: Method, path: &str, host: &str) -> Answer {
    let mut request = visitor.request(method, path).header(header::ACCEPT, "application/json");
    request.headers_mut().unwrap().insert(header::HOST, host.parse().unwrap());
    visitor.send(request, Body::empty()).await
}

#[tokio::test]
async fn x24_a_development_server_answers_only_under_a_name_of_its_machine() {
    let site = Site::with(&[("dev", "true"), ("origins", "http://localhost:5173")]).await;
    let ada = site.logged_in("ada").await;
    for host in HERE {
        // From memory, from a handler, and where there is no route.
        to_host(&ada, Method::GET, "/profile", host).await.is_ok();
        to_host(&ada, Method::GET, "/sessions", host).await.is_ok();
        to_host(&ada, Method::GET, "/nothing", host).await.has_status(404);
    }
    for host in ELSEWHERE {
        for (method, path) in [
            (Method::GET, "/profile"),
            (Method::GET, "/sessions"),
            (Method::GET, "/nothing"),
            (Method::GET, "/healthz"),
            (Method::POST, "/logout"),
            (Method::OPTIONS, "/profile"),
        ] {
            let answer = to_host(&ada, method, path, host).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code()),
                (421, json!("wrong_host")),
                "{host:?} {path}"
            );
            assert!(!answer.text().contains("ada@") && answer.set_cookies().is_empty(), "{}", answer.text());
        }
    }
    ada.get("/profile").await.is_ok();
}

#[tokio::test]
async fn x24_a_wrong_host_gets_no_answer_by_cors_either() {
    let origin = "http://rebind.evil.example:8080";
    let site = Site::with(&[("dev", "true"), ("origins", origin)]).await;
    let ada = site.logged_in("ada").await;
    for method in [Method::GET, Method::OPTIONS, Method::POST] {
        let mut request = ada.request(method, "/profile").header(header::ORIGIN, origin);
        request = request.header("access-control-request-method", "GET");
        request.headers_mut().unwrap().insert(header::HOST, "rebind.evil.example:8080".parse().unwrap());
        let answer = ada.send(request, Body::empty()).await;
        answer.has_status(421).is_refused("wrong_host");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn x24_the_host_of_the_uri_counts_and_so_do_two_hosts_and_none() {
    let site = Site::with(&[("dev", "true")]).await;
    let visitor = site.visitor();
    let ask = async |uri: &str, hosts: &[&str]| {
        let mut request = visitor.request(Method::GET, uri);
        let headers = request.headers_mut().unwrap();
        headers.remove(header::HOST);
        for host in hosts {
            headers.append(header::HOST, host.parse().unwrap());
        }
        visitor.send(request, Body::empty()).await.status.as_u16()
    };
    for (uri, hosts, status) in [
        ("/healthz", &["localhost"][..], 200),
        ("http://localhost:8080/healthz", &["localhost:8080"], 200),
        ("http://localhost:8080/healthz", &[], 200),
        ("http://rebind.evil.example/healthz", &["localhost"], 421),
        ("http://evil.example@localhost/healthz", &["localhost"], 421),
        ("http://localhost/healthz", &["rebind.evil.example"], 421),
        ("/healthz", &[], 421),
        ("/healthz", &["localhost", "rebind.evil.example"], 421),
        ("/healthz", &["rebind.evil.example", "localhost"], 421),
        ("/healthz", &["localhost", "localhost"], 421),
    ] {
        assert_eq!(ask(uri, hosts).await, status, "{uri} {hosts:?}");
    }
}

#[tokio::test]
async fn x24_a_browser_under_a_wrong_name_gets_a_page_that_says_so_and_its_form_does_nothing() {
    let site = Site::with(&[("dev", "true")]).await;
    let visitor = site.visitor();
    let host = "rebind.evil.example";
    let mut page = visitor.request(Method::GET, "/login").header(header::ACCEPT, "text/html");
    page.headers_mut().unwrap().insert(header::HOST, host.parse().unwrap());
    let answer = visitor.send(page, Body::empty()).await;
    let page = answer.has_status(421).text();
    assert!(page.contains("development server") && !page.contains("<form"), "{page}");
    let body = json!({ "name": "Eve", "email": "eve@example.org", "password": PASSWORD });
    let mut post =
        visitor.request(Method::POST, "/register").header(header::CONTENT_TYPE, "application/json");
    post.headers_mut().unwrap().insert(header::HOST, host.parse().unwrap());
    visitor.send(post, body.to_string()).await.has_status(421);
    let body = json!({ "email": "eve@example.org", "password": PASSWORD });
    visitor.post("/login", body).await.has_status(401).is_refused("invalid_credentials");
}

#[tokio::test]
async fn outside_development_mode_any_name_is_answered() {
    let site = Site::new().await;
    for host in ["accounts.example.com", "rebind.evil.example"] {
        to_host(&site.visitor(), Method::GET, "/healthz", host).await.has_status(200);
    }
}

#[tokio::test]
async fn in_development_mode_each_refusal_links_to_its_flow_and_nowhere_else() {
    for dev in [true, false] {
        let settings: &[_] = if dev { &[("dev", "true")] } else { &[] };
        let site = Site::with(settings).await;
        let visitor = site.visitor();
        for answer in [
            visitor.get("/profile").await,
            visitor.get("/nothing").await,
            visitor.post("/login", json!({})).await,
            visitor.post("/introspect", json!({})).await,
            visitor.delete("/login", json!(null)).await,
        ] {
            let problem = answer.json();
            let (flow, id) = (problem.get("flow"), problem["request_id"].as_str().unwrap());
            let expected = json!(format!("http://127.0.0.1:0/flow/{id}"));
            assert_eq!(flow, dev.then_some(&expected), "{problem}");
            assert!(!dev || site.app.flows.get(id).is_some(), "{problem}");
        }
    }
}

#[tokio::test]
async fn in_development_mode_each_page_of_a_refusal_shows_why() {
    for dev in [true, false] {
        let settings: &[_] = if dev { &[("dev", "true")] } else { &[] };
        let site = Site::with(settings).await;
        let visitor = site.visitor();
        let fields = [("email", "ada@example.org"), ("password", "not this one")];
        for answer in [visitor.page("/nothing").await, visitor.form("/login", &fields).await] {
            let (page, id) = (answer.text().replace("&#x2f;", "/"), answer.header("x-request-id").unwrap());
            let link = format!("<a href=\"/flow/{id}\">Show me why</a>");
            assert_eq!(page.contains(&link), dev, "{page}");
            assert_eq!(page.contains("/flow/"), dev, "{page}");
        }
        let page = visitor.page("/nothing").await.text().to_string();
        assert_eq!(page.contains("What was checked") && page.contains("What to do"), dev, "{page}");
    }
}

/// A visitor of this machine, and of a development server.
async fn developer() -> (Site, Visitor) {
    let site = Site::with(&[("dev", "true"), ("origins", "http://localhost:5173")]).await;
    let visitor = site.visitor().from([127, 0, 0, 1]);
    (site, visitor)
}

/// What a browser gets that opens this with these headers.
async fn opens(visitor: &Visitor, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = visitor.request(method, path).header(header::ACCEPT, "text/html");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    visitor.send(request, Body::empty()).await
}

#[tokio::test]
async fn x24_a_link_on_another_page_is_refused_with_a_link_that_goes_on() {
    let (_site, visitor) = developer().await;
    for site in ["same-site", "cross-site"] {
        for path in
            ["/flow", "/flow?route=/login&verdict=allowed", "/flow?user=%22%3E%3Cb%3E'", "/inspect", "/tour"]
        {
            let page = opens(&visitor, Method::GET, path, &[("sec-fetch-site", site)]).await;
            let (page, headers) = (page.has_status(403).text(), page.headers.clone());
            let shown = page.replace("&#x2f;", "/").replace("&amp;", "&").replace("&#x27;", "'");
            assert!(shown.contains(&format!("href=\"{path}\">Open it</a>")), "{path}: {shown}");
            // No other page can click there.
            let policy = headers["content-security-policy"].to_str().unwrap();
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            opens(&visitor, Method::GET, path, &[("sec-fetch-site", "same-origin")]).await.has_status(200);
        }
    }
}

#[tokio::test]
async fn x24_no_other_refusal_of_development_mode_goes_on() {
    let (_site, here) = developer().await;
    let (outside, elsewhere) = (Site::new().await, here.copy().from([192, 0, 2, 7]));
    let admin = outside.admin("root").await;
    let another_page = ("sec-fetch-site", "same-site");
    for (visitor, method, path, headers) in [
        (&here, Method::GET, "/tour", &[another_page, ("x-forwarded-for", "127.0.0.1")][..]),
        (&here, Method::GET, "/tour", &[("via", "1.1 tunnel")]),
        (&elsewhere, Method::GET, "/tour", &[another_page]),
        (&here, Method::POST, "/tour/play", &[another_page]),
        (&here, Method::POST, "/inspect", &[another_page]),
        (&admin, Method::GET, "/tour", &[another_page]),
    ] {
        let answer = opens(visitor, method, path, headers).await;
        let page = answer.has_status(403).text().replace("&#x2f;", "/");
        assert!(!page.contains("Open it") && !page.contains(&format!("href=\"{path}")), "{path}: {page}");
    }
}
