use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorward_core::Mode;
use http::{Method, header};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::testing::{Answer, PASSWORD, Site, Visitor};

const APP: &str = "https://app.example.com";
const PHONE: &str = "capacitor://localhost";

async fn site(origins: &str) -> Site {
    let site = Site::with(&[("public_url", "https://accounts.example.com"), ("origins", origins)]).await;
    site.user("ada", "user".parse().unwrap()).await;
    site
}

async fn from(visitor: &Visitor, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = visitor.request(method, path).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    visitor.send(request, body.to_owned()).await
}

async fn preflight(site: &Site, origin: &str, headers: &[&str]) -> Answer {
    let visitor = site.visitor();
    let mut request = visitor
        .request(Method::OPTIONS, "/sessions")
        .header("origin", origin)
        .header("access-control-request-method", "DELETE");
    for line in headers {
        request = request.header("access-control-request-headers", *line);
    }
    visitor.send(request, "").await
}

fn login(mode: &str) -> String {
    json!({ "email": "ada@example.org", "password": PASSWORD, "mode": mode }).to_string()
}

#[tokio::test]
async fn a_listed_origin_may_send_any_request_header() {
    let site = site(APP).await;
    for (asked, allowed) in [
        (&["authorization"][..], Some("authorization")),
        (&["traceparent,tracestate, baggage"], Some("traceparent,tracestate,baggage")),
        (&["sentry-trace", "X-Datadog-Trace-Id"], Some("sentry-trace,x-datadog-trace-id")),
        (&["x!#$%&'*+.^_`|~1"], Some("x!#$%&'*+.^_`|~1")),
        (&[], None),
        (&[""], None),
    ] {
        let answer = preflight(&site, APP, asked).await;
        answer.has_status(200);
        assert_eq!(answer.header("access-control-allow-headers"), allowed, "{asked:?}");
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET,POST,PATCH,DELETE"));
    }
    let names = |n: usize| (0..n).map(|n| format!("x-{n}")).collect::<Vec<_>>().join(",");
    assert_eq!(
        preflight(&site, APP, &[&names(64)]).await.header("access-control-allow-headers"),
        Some(names(64).as_str())
    );
    for bad in [names(65).as_str(), "a b", "a;b", "a,(b)", "{}", "\"a\"", "a\tb", "\u{e4}"] {
        let answer = preflight(&site, APP, &[bad]).await;
        let problem = answer.has_status(400).is_refused("malformed");
        assert!(problem["message"].as_str().unwrap().contains("64"), "{problem}");
        assert_eq!(answer.header("access-control-allow-headers"), None, "{bad}");
    }
}

#[tokio::test]
async fn a_preflight_has_the_headers_of_every_answer() {
    let site = site(APP).await;
    for origin in [APP, "https://evil.example"] {
        let answer = preflight(&site, origin, &["authorization"]).await;
        for (name, value) in [("cache-control", "no-store"), ("x-content-type-options", "nosniff")] {
            assert_eq!(answer.header(name), Some(value), "{origin}");
        }
        assert!(answer.header("x-request-id").is_some(), "{origin}");
        let vary: Vec<_> = answer.headers.get_all("vary").iter().map(|one| one.to_str().unwrap()).collect();
        let vary = vary.join(",").to_lowercase();
        for name in ["origin", "access-control-request-method", "access-control-request-headers"] {
            assert!(vary.contains(name), "{origin}: {vary}");
        }
    }
    preflight(&site, "https://evil.example", &[]).await.has_status(403).is_refused("cross_site_request");
}

#[tokio::test]
async fn an_answer_to_a_listed_origin_shows_why_a_token_is_refused() {
    let site = site(APP).await;
    let answer = from(&site.visitor(), Method::GET, "/profile", &[("origin", APP)], "").await;
    let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
    for name in ["retry-after", "x-request-id", "www-authenticate"] {
        assert!(exposed.split(',').any(|one| one.trim() == name), "{exposed}");
    }
}

#[tokio::test]
async fn an_app_with_a_scheme_of_its_own_signs_in_with_bearer_tokens_alone() {
    let site = site(&format!("{APP},{PHONE}")).await;
    let phone = [("origin", PHONE), ("sec-fetch-site", "cross-site")];
    let ada = site.visitor();
    let answer = from(&ada, Method::POST, "/login", &phone, &login("bearer")).await;
    answer.is_ok();
    assert_eq!(answer.header("access-control-allow-origin"), Some(PHONE));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let profile = from(&ada, Method::GET, "/profile", &phone, "").await;
    assert_eq!(profile.is_ok()["user"]["name"], "ada");
    assert_eq!(profile.header("access-control-allow-origin"), Some(PHONE));
    from(&ada, Method::PATCH, "/profile", &phone, r#"{"name":"Ada L."}"#).await.is_ok();
    assert_eq!(
        preflight(&site, PHONE, &["authorization"]).await.header("access-control-allow-credentials"),
        None
    );
    for mode in ["cookie", "session"] {
        for phone in [&phone[..], &phone[..1]] {
            let refused = from(&site.visitor(), Method::POST, "/login", phone, &login(mode)).await;
            let problem = refused.has_status(422).is_refused("invalid_input");
            assert_eq!(problem["fields"][0]["field"], "mode", "{mode}");
            assert!(refused.set_cookies().is_empty());
        }
    }
    preflight(&site, APP, &[]).await.header("access-control-allow-credentials").unwrap();
}

#[tokio::test]
async fn cookies_that_come_with_a_request_of_such_an_app_count_for_nothing() {
    let site = site(PHONE).await;
    for mode in [Mode::Cookie, Mode::Session] {
        let browser = site.logged_in_by("ada", mode).await;
        for headers in [&[("origin", PHONE)][..], &[("origin", PHONE), ("sec-fetch-site", "cross-site")]] {
            from(&browser, Method::GET, "/profile", headers, "").await.is_refused("token_missing");
            from(&browser, Method::POST, "/logout/all", headers, "").await.is_refused("token_missing");
            for path in ["/logout", "/login"] {
                let answer = from(&browser.copy(), Method::POST, path, headers, &login("bearer")).await;
                answer.has_status(200);
                assert!(answer.set_cookies().is_empty(), "{path}");
            }
            from(&browser, Method::POST, "/refresh", headers, "{}").await.is_refused("refresh_invalid");
        }
        browser.get("/profile").await.is_ok();
    }
}

#[tokio::test]
async fn c07_x22_an_origin_that_is_nearly_a_listed_one_or_null_is_not_listed() {
    let site = site(&format!("{APP},{PHONE},chrome-extension://abcdefghijklmnopabcdefghijklmnop")).await;
    for near in [
        "null",
        "NULL",
        "capacitor://localhost/",
        "capacitor://Localhost",
        "capacitor://localhost:80",
        "capacitor://localhost.evil.example",
        "capacitor:localhost",
        "CAPACITOR://localhost",
        "ionic://localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnoq",
        "chrome-extension://ABCDEFGHIJKLMNOPABCDEFGHIJKLMNOP",
        "https://app.example.com/",
        "https://app.example.com:443",
        "HTTPS://app.example.com",
        "https://app.example.com, null",
        "http://app.example.com",
        "file://",
    ] {
        let answer =
            from(&site.visitor(), Method::POST, "/login", &[("origin", near)], &login("bearer")).await;
        answer.has_status(403).is_refused("cross_site_request");
        for answer in [answer, preflight(&site, near, &[]).await] {
            assert_eq!(answer.header("access-control-allow-origin"), None, "{near}");
        }
    }
    // One of them listed, one not: no browser sends two.
    for both in [[APP, "https://evil.example"], ["https://evil.example", APP], [APP, "null"], [APP, APP]] {
        let headers = both.map(|one| ("origin", one));
        let answer = from(&site.visitor(), Method::POST, "/login", &headers, &login("bearer")).await;
        answer.has_status(403).is_refused("cross_site_request");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{both:?}");
    }
    let two_sites = [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")];
    let answer = from(&site.visitor(), Method::POST, "/login", &two_sites, &login("bearer")).await;
    answer.has_status(403).is_refused("cross_site_request");
}

#[tokio::test]
async fn cookies_for_a_page_of_another_site_are_refused_with_the_reason() {
    let there = "https://shop.example.net";
    let site = site(&format!("{APP},{there},http://app.example.com")).await;
    let asks = async |headers: &[(&str, &str)], mode: &str| {
        from(&site.visitor(), Method::POST, "/login", headers, &login(mode)).await
    };
    for mode in ["cookie", "session"] {
        for elsewhere in [
            &[("origin", there), ("sec-fetch-site", "cross-site")][..],
            &[("origin", there)],
            &[("origin", "http://app.example.com")],
            &[("origin", APP), ("sec-fetch-site", "cross-site")],
        ] {
            let refused = asks(elsewhere, mode).await;
            let problem = refused.has_status(422).is_refused("invalid_input");
            let message = problem["fields"][0]["message"].as_str().unwrap();
            assert!(message.contains("another site") && message.contains("bearer"), "{message}");
            assert!(refused.set_cookies().is_empty());
            assert_eq!(refused.header("access-control-allow-origin"), Some(elsewhere[0].1));
            asks(elsewhere, "bearer").await.is_ok();
        }
        for here in [
            &[("origin", APP), ("sec-fetch-site", "same-site")][..],
            &[("origin", APP)],
            &[("origin", "https://accounts.example.com")],
            &[("sec-fetch-site", "none")],
            &[],
        ] {
            let answer = asks(here, mode).await;
            answer.is_ok();
            assert!(!answer.set_cookies().is_empty(), "{here:?}");
        }
    }
}

#[tokio::test]
async fn a_registration_and_a_default_mode_are_refused_alike() {
    let there = [("origin", "https://shop.example.net"), ("sec-fetch-site", "cross-site")];
    let settings =
        [("public_url", "https://accounts.example.com"), ("origins", there[0].1), ("mode_json", "session")];
    let site = Site::with(&settings).await;
    let grace = json!({ "name": "Grace", "email": "grace@example.org", "password": PASSWORD });
    let post = async |path: &str, body: Value| {
        from(&site.visitor(), Method::POST, path, &there, &body.to_string()).await
    };
    post("/register", grace.clone()).await.has_status(422).is_refused("invalid_input");
    assert!(site.app.users.find_by_email(&"grace@example.org".parse().unwrap()).await.unwrap().is_none());
    let mut bearer = grace;
    bearer["mode"] = "bearer".into();
    post("/register", bearer).await.has_status(201);
    // A token of cookie mode that a page sends in the body would be answered with cookies too.
    let ada = site.logged_in_by("ada", Mode::Cookie).await;
    let token = ada.cookie("__Secure-refresh_token").or_else(|| ada.cookie("__Host-refresh_token")).unwrap();
    post("/refresh", json!({ "refresh_token": token })).await.has_status(422).is_refused("invalid_input");
}

#[tokio::test]
async fn a_form_that_a_page_of_another_site_opens_here_keeps_its_cookies() {
    let there = "https://shop.example.net";
    let site = site(there).await;
    let form = async |dest: &str| {
        let request = site
            .visitor()
            .request(Method::POST, "/login")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("origin", there)
            .header("sec-fetch-site", "cross-site")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", dest);
        let body = format!("email=ada%40example.org&password={}", PASSWORD.replace(' ', "+"));
        site.visitor().send(request, body).await
    };
    form("document").await.goes_to("/dashboard");
    form("iframe").await.has_status(422);
}

/// What is logged while it is held.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let lines = tracing_subscriber::fmt().with_writer(self.clone()).with_ansi(false);
        tracing::subscriber::set_default(lines.with_max_level(tracing::Level::INFO).finish())
    }

    /// The lines since the last call.
    fn lines(&self) -> Vec<String> {
        let written = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(written).unwrap().lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn an_origin_that_is_not_listed_is_named_in_the_log_ten_an_hour() {
    let (site, log) = (site(APP).await, Log::default());
    let _listening = log.listen();
    preflight(&site, "http://localhost:5173", &["authorization"]).await.has_status(403);
    for _ in 0..100 {
        from(&site.visitor(), Method::POST, "/login", &[("origin", "http://localhost:5173")], "{}").await;
        from(&site.visitor(), Method::GET, "/profile", &[("origin", "http://localhost:5173")], "").await;
    }
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("http://localhost:5173") && lines[0].contains("origins"), "{}", lines[0]);
    for n in 0..1_000 {
        from(&site.visitor(), Method::GET, "/profile", &[("origin", &format!("https://{n}.example"))], "")
            .await;
    }
    assert_eq!(log.lines().len(), 9, "ten in all");
    site.later(Duration::from_secs(3_601)).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("991"), "{}", lines[0]);
    from(&site.visitor(), Method::GET, "/profile", &[("origin", "https://1.example")], "").await;
    assert_eq!(log.lines().len(), 1);
    site.later(Duration::from_secs(3_601)).await;
    assert!(log.lines().is_empty(), "nothing is counted, nothing is said");
}

#[tokio::test]
async fn an_origin_in_the_log_is_one_short_escaped_text() {
    let (site, log) = (site(APP).await, Log::default());
    let _listening = log.listen();
    let long = format!("https://{}.example", "a".repeat(10_000));
    for hostile in
        [long.as_str(), "https://a\u{2028}b\u{202e}c", "https://\u{e4}\u{1b}", "https://a\" level=ERROR"]
    {
        let request = site.visitor().request(Method::GET, "/profile");
        let hostile = header::HeaderValue::from_bytes(hostile.replace('\u{1b}', "\t").as_bytes()).unwrap();
        site.visitor().send(request.header("origin", hostile), "").await;
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].len() < 600 && lines[0].is_ascii(), "{}", lines[0]);
        assert!(!lines[0].contains('\t') && !lines[0].contains("a\" level"), "{}", lines[0]);
    }
}

#[tokio::test]
async fn what_is_no_stranger_is_not_in_the_log() {
    let (site, log) = (site(&format!("{APP},{PHONE}")).await, Log::default());
    let _listening = log.listen();
    for headers in [
        &[("origin", APP)][..],
        &[("origin", PHONE)],
        &[("origin", "https://accounts.example.com")],
        &[("origin", "")],
        &[],
    ] {
        from(&site.visitor(), Method::POST, "/logout", headers, "{}").await.has_status(200);
        from(&site.visitor(), Method::GET, "/profile", headers, "").await.has_status(401);
    }
    assert!(log.lines().is_empty(), "{:#?}", log.lines());
    // Without a public URL, the host decides.
    let site = Site::new().await;
    from(&site.visitor(), Method::POST, "/logout", &[("origin", "http://127.0.0.1")], "{}")
        .await
        .has_status(200);
    assert!(log.lines().is_empty(), "{:#?}", log.lines());
}
