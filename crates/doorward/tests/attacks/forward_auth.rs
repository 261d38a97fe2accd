//! Section F and K05: what a client, a stranger or a fault can do to the answer that a proxy relies on.

use axum::body::Body;
use doorward::internals::store::Fault;
use doorward::testing::{Answer, Site, Visitor};
use doorward_core::Mode;
use doorward_core::role::RoleName;
use http::Method;
use serde_json::json;

type Headers<'a> = Vec<(&'a str, &'a str)>;

const IDENTITY: [&str; 5] =
    ["remote-user", "remote-name", "remote-role", "remote-email", "doorward-identity"];

async fn site() -> Site {
    Site::with(&[
        ("public_url", "https://accounts.example.com"),
        ("cookie.domain", "example.com"),
        ("forward_auth.hosts", "app.example.com"),
        ("trusted_proxies", "10.0.0.0/8"),
    ])
    .await
}

/// The headers that a proxy sends for a browser that opens a page.
fn told() -> Headers<'static> {
    vec![
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "app.example.com"),
        ("x-forwarded-uri", "/"),
        ("x-forwarded-method", "GET"),
        ("accept", "text/html"),
    ]
}

fn told_but(name: &'static str, value: &'static str) -> Headers<'static> {
    let mut headers = told();
    headers.retain(|(other, _)| *other != name);
    headers.push((name, value));
    headers
}

async fn ask(visitor: &Visitor, method: Method, headers: &[(&str, &str)]) -> Answer {
    let mut request = visitor.request(method, "/forward-auth?redirect=1");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    visitor.send(request, Body::empty()).await
}

/// Checks that the answer lets nobody through, and names nobody.
#[track_caller]
fn denies(answer: &Answer, status: u16, why: &str) {
    assert_eq!(answer.status.as_u16(), status, "{why}: {}", answer.text());
    for name in IDENTITY {
        let said: Vec<_> = answer.headers.get_all(name).iter().collect();
        assert_eq!(said, [""], "{why}: {name}");
    }
}

#[tokio::test]
async fn f01_f02_no_identity_header_of_the_client_comes_back_in_any_spelling() {
    let site = site().await;
    let grace = site.logged_in("grace").await.from([10, 0, 0, 1]);
    let nobody = site.visitor().from([10, 0, 0, 1]);
    let id = grace.user_id().await;
    for name in [
        "remote-user",
        "Remote_User",
        "REMOTE-USER",
        "x-forwarded-user",
        "X_Forwarded_User",
        "doorward-identity",
    ] {
        let mut headers = told();
        headers.extend([(name, "boss"), (name, "boss"), ("connection", "remote-user, doorward-identity")]);
        let answer = ask(&grace, Method::GET, &headers).await;
        answer.has_status(200);
        assert_eq!(answer.headers.get_all("remote-user").iter().collect::<Vec<_>>(), [id.as_str()]);
        assert!(!format!("{:?}", answer.headers).contains("boss"), "{name}");
        denies(&ask(&nobody, Method::GET, &headers).await, 302, name);
    }
}

#[tokio::test]
async fn f02_an_underscore_makes_another_header_that_says_nothing() {
    let site = site().await;
    let grace = site.logged_in("grace").await.from([10, 0, 0, 1]);
    let headers = [
        ("x_forwarded_proto", "https"),
        ("x_forwarded_host", "app.example.com"),
        ("x_forwarded_uri", "/"),
        ("x_forwarded_method", "GET"),
    ];
    denies(&ask(&grace, Method::GET, &headers).await, 403, "underscores");
    let mut both = told();
    both.extend([("x_forwarded_host", "evil.example"), ("x_forwarded_uri", "/login")]);
    ask(&grace, Method::GET, &both).await.has_status(200);
}

#[tokio::test]
async fn f03_only_a_trusted_proxy_says_the_original_address_and_it_says_all_of_it_once() {
    let site = site().await;
    let grace = site.logged_in("grace").await;
    denies(&ask(&grace, Method::GET, &told()).await, 403, "a stranger");
    let proxy = grace.from([10, 0, 0, 1]);
    ask(&proxy, Method::GET, &told()).await.has_status(200);
    for missing in ["x-forwarded-proto", "x-forwarded-host", "x-forwarded-uri", "x-forwarded-method"] {
        let mut headers = told();
        headers.retain(|(name, _)| *name != missing);
        denies(&ask(&proxy, Method::GET, &headers).await, 403, missing);
        let mut twice = told();
        twice.push(*told().iter().find(|(name, _)| *name == missing).unwrap());
        denies(&ask(&proxy, Method::GET, &twice).await, 403, missing);
    }
    for (name, value) in [
        ("x-forwarded-host", "app.example.com, evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-host", ""),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-proto", "javascript"),
        ("x-forwarded-uri", "@evil.example/"),
        ("x-forwarded-uri", ".evil.example/"),
        ("x-forwarded-uri", ":8443/"),
        ("x-forwarded-uri", ""),
        ("x-original-url", "https://evil.example/"),
    ] {
        denies(&ask(&proxy, Method::GET, &told_but(name, value)).await, 403, value);
    }
}

#[tokio::test]
async fn f04_no_path_lets_anybody_in_who_has_no_identity() {
    let site = site().await;
    let (nobody, grace) =
        (site.visitor().from([10, 0, 0, 1]), site.logged_in("grace").await.from([10, 0, 0, 1]));
    for path in [
        "/public/../admin",
        "//",
        "//evil.example/",
        "/%2f%2e%2e%2fadmin",
        "/a;x=/healthz",
        "/%252e%252e/admin",
        "/HEALTHZ",
        "/?path=/healthz",
        "/.well-known/acme-challenge/../../admin",
        "/\\evil.example",
        "/healthz",
        "/style.css",
    ] {
        let headers = told_but("x-forwarded-uri", path);
        let answer = ask(&nobody, Method::GET, &headers).await;
        denies(&answer, 302, path);
        let place = answer.header("location").unwrap();
        let back = "https://accounts.example.com/login?return_to=https%3A%2F%2Fapp.example.com%2F";
        assert!(place.starts_with(back), "{path}: {place}");
        ask(&grace, Method::GET, &headers).await.has_status(200);
    }
}

#[tokio::test]
async fn f05_no_method_and_no_kind_of_client_gets_past() {
    let site = site().await;
    let nobody = site.visitor().from([10, 0, 0, 1]);
    for (name, value) in [
        ("user-agent", "GoogleHC/1.0"),
        ("user-agent", "kube-probe/1.29"),
        ("x-forwarded-method", "OPTIONS"),
        ("x-forwarded-method", "TRACE"),
        ("access-control-request-method", "POST"),
        ("upgrade", "websocket"),
        ("purpose", "prefetch"),
    ] {
        let answer = ask(&nobody, Method::GET, &told_but(name, value)).await;
        assert!(matches!(answer.status.as_u16(), 302 | 401), "{value}: {}", answer.status);
    }
    denies(&ask(&nobody, Method::HEAD, &told()).await, 302, "HEAD");
    for method in [Method::OPTIONS, Method::POST, Method::PUT, Method::DELETE] {
        let status = ask(&nobody, method.clone(), &told()).await.status;
        assert_eq!(status, 405, "{method}");
    }
}

#[tokio::test]
async fn f06_nobody_claims_to_be_the_proxy() {
    let site = site().await;
    let grace = site.logged_in("grace").await;
    for claim in ["10.0.0.1", "::ffff:10.0.0.1", "127.0.0.1", "10.0.0.1, 10.0.0.1"] {
        for name in ["x-forwarded-for", "x-real-ip", "forwarded"] {
            denies(&ask(&grace, Method::GET, &told_but(name, claim)).await, 403, claim);
        }
    }
    let mapped: std::net::IpAddr = "::ffff:10.0.0.1".parse().unwrap();
    ask(&grace.from(mapped), Method::GET, &told()).await.has_status(200);
}

#[tokio::test]
async fn f07_a_store_that_fails_denies_and_the_answer_does_not_say_why() {
    let site = site().await;
    for mode in [Mode::Session, Mode::Bearer] {
        let grace = site.logged_in_by("grace", mode).await.from([10, 0, 0, 1]);
        // The use from here is written, so that no later write meets the fault; and after a restart nothing is in memory.
        ask(&grace, Method::GET, &told()).await.has_status(200);
        site.app.sessions.memory.flush().await.unwrap();
        let site = site.restarted().await;
        let (grace, mut met) = (grace.at(&site), 0);
        for nth in 0..10 {
            site.app.users.read_all_again();
            site.app.store.faults().arm(Fault::Fails, nth);
            let answer = ask(&grace, Method::GET, &told()).await;
            if !site.app.store.faults().disarm() {
                answer.has_status(200);
                break;
            }
            met += 1;
            denies(&answer, 403, "the store fails");
            assert!(answer.text().contains("You are not allowed to do this"), "{}", answer.text());
            assert_eq!(answer.header("location"), None);
        }
        assert!(met > 0, "{mode} met no fault");
    }
}

#[tokio::test]
async fn f08_a_logout_and_a_new_role_count_at_the_next_check() {
    let site = site().await;
    let admin = site.admin("root").await;
    for mode in Mode::ALL {
        let name = mode.as_str();
        let grace = site.logged_in_by(name, mode).await;
        let proxy = grace.copy().from([10, 0, 0, 1]);
        ask(&proxy, Method::GET, &told()).await.has_status(200);
        let user = format!("/admin/users/{}", grace.user_id().await);
        admin.patch(&user, json!({ "role": "admin" })).await.is_ok();
        let answer = ask(&proxy, Method::GET, &told()).await;
        match mode {
            Mode::Session => assert_eq!(answer.header("remote-role"), Some("admin")),
            Mode::Cookie => denies(&answer, 302, "stale"),
            Mode::Bearer => denies(&answer, 401, "stale"),
            _ => panic!("what is answered in {mode}?"),
        }
        grace.copy().post("/logout", json!({})).await.has_status(200);
        let answer = ask(&proxy, Method::GET, &told()).await;
        denies(&answer, if mode == Mode::Bearer { 401 } else { 302 }, "after the logout");
    }
}

#[tokio::test]
async fn f09_o02_the_way_to_the_login_leads_back_to_listed_hosts_only() {
    let site = site().await;
    let nobody = site.visitor().from([10, 0, 0, 1]);
    for host in [
        "evil.example",
        "app.example.com.evil",
        "evilapp.example.com",
        "app.example.com@evil",
        "app.example.com:80@evil",
        "app.example.com:8443",
        "evil@app.example.com",
        "app.example.com#",
        "app.example.com\\@evil",
        "app.example.com/",
        "app.example.com?",
    ] {
        let answer = ask(&nobody, Method::GET, &told_but("x-forwarded-host", host)).await;
        let place = answer.header("location").unwrap_or_default().to_owned();
        assert!(!place.contains("evil") && !place.contains("8443"), "{host}: {place}");
        assert!(matches!(answer.status.as_u16(), 302 | 403), "{host}: {}", answer.status);
    }
    let answer = ask(&nobody, Method::GET, &told_but("x-forwarded-uri", "/?to=https://evil.example/")).await;
    assert!(answer.header("location").unwrap().ends_with("%2F%3Fto%3Dhttps%3A%2F%2Fevil.example%2F"));
}

#[tokio::test]
async fn k05_a_malformed_cookie_is_no_identity() {
    let site = site().await;
    site.user("grace", RoleName::USER).await;
    let good = site.logged_in_by("grace", Mode::Session).await.cookie("__Secure-sessionId").unwrap();
    for cookie in [
        "__Secure-sessionId=".to_owned(),
        "__Secure-sessionId=x".to_owned(),
        format!("__Secure-sessionId={good}=; a=b"),
        format!("__Secure-sessionId=\"{good}\""),
        format!("__Secure-sessionId={}", &good[1..]),
        format!("__Host-sessionId={good}"),
        format!("__secure-sessionid={good}"),
        format!("=__Secure-sessionId={good}"),
        format!("__Host-token={good}"),
    ] {
        let mut headers = told();
        headers.push(("cookie", &cookie));
        denies(&ask(&site.visitor().from([10, 0, 0, 1]), Method::GET, &headers).await, 302, &cookie);
    }
}

#[tokio::test]
async fn k06_a_bad_bearer_never_falls_back_to_a_good_cookie_at_forward_auth() {
    let site = site().await;
    let grace = site.logged_in_by("grace", Mode::Session).await.from([10, 0, 0, 1]);
    ask(&grace, Method::GET, &told()).await.has_status(200);
    let answer = ask(&grace, Method::GET, &told_but("authorization", "Bearer bad")).await;
    denies(&answer, 401, "a bad bearer");
    assert_eq!(answer.header("location"), None);
}

#[tokio::test]
async fn x02_forward_auth_passes_no_refresh_token_on() {
    let site = site().await;
    let grace = site.logged_in_by("grace", Mode::Cookie).await.from([10, 0, 0, 1]);
    let answer = ask(&grace, Method::GET, &told()).await;
    answer.has_status(200);
    let secret = grace.cookie("__Host-refresh_token").unwrap();
    for (name, value) in &answer.headers {
        assert!(name != "cookie" && !String::from_utf8_lossy(value.as_bytes()).contains(&secret), "{name}");
    }
}
