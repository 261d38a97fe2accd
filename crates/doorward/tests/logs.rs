//! What the log contains at its most verbose level, and what it must never contain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Write;
use std::sync::{LazyLock, Mutex};

use doorward::hooks::Hooks;
use doorward::internals::settings::{Origin, Secrets, Settings, Values};
use doorward::internals::{App, Clock};
use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::Mode;
use doorward_core::role::RoleName;
use http::{Method, header};
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

static WRITTEN: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(Mutex::default);

#[derive(Clone, Copy)]
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        WRITTEN.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

/// Everything that the server can log, in both of its forms. Of libraries only warnings: tower-http's CSRF layer, for
/// example, traces whole URLs, and a reset link is a secret.
fn listen_in() {
    let targets = Targets::new().with_default(LevelFilter::WARN).with_target("doorward", LevelFilter::TRACE);
    let text = tracing_subscriber::fmt::layer().with_writer(Log).with_ansi(false);
    let json = tracing_subscriber::fmt::layer().with_writer(Log).json();
    // Another test of this file may have been first.
    let _ = tracing_subscriber::registry().with(text.and_then(json).with_filter(targets)).try_init();
}

fn written() -> String {
    String::from_utf8_lossy(&WRITTEN.lock().unwrap()).into_owned()
}

/// Each way to send a secret that is wrong, or in the wrong place.
async fn misplaces(visitor: &Visitor, secret: &str) {
    for body in [
        json!({ "email": "ada@example.org", "password": secret }),
        json!({ "email": secret, "password": PASSWORD, "name": secret, "mode": secret }),
        json!({ "password": [secret], "refresh_token": { "a": secret }, "token": secret }),
        json!({ "refresh_token": secret, "token": secret, "new_password": secret }),
    ] {
        for path in ["/login", "/register", "/refresh", "/logout", "/password/reset", "/profile/password"] {
            visitor.post(path, body.clone()).await;
        }
    }
    for path in ["/login", "/password/reset"] {
        visitor.form(path, &[("password", secret), ("token", secret), ("new_password", secret)]).await;
        let broken = visitor.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
        visitor.send(broken, format!("{{\"password\":\"{secret}\"")).await;
    }
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    for path in ["/profile", "/password/reset", "/login", "/nowhere", "/admin/users"] {
        visitor.get(&format!("{path}?token={encoded}&search={encoded}")).await;
        for value in [format!("Bearer {secret}"), format!("Basic {secret}"), secret.to_owned()] {
            let request = visitor.request(Method::GET, path).header(header::AUTHORIZATION, value);
            visitor.send(request, "").await;
        }
        let cookies =
            format!("__Host-token={secret}; __Host-sessionId={secret}; __Host-refresh_token={secret}");
        visitor.send(visitor.request(Method::GET, path).header(header::COOKIE, cookies), "").await;
    }
    visitor.get(&format!("/{encoded}")).await;
}

#[tokio::test]
async fn i04_no_secret_of_any_kind_stands_in_the_log() {
    listen_in();
    const JWT_SECRET: &str = "canary-jwt-secret-Zx81-Qw92-Ty73";
    const ROOT: &str = "canary-root-secret-Pl20-Mk39-Nj48";
    let mut secrets = vec![PASSWORD.to_owned(), JWT_SECRET.to_owned(), ROOT.to_owned()];
    secrets.extend(std::env::var("DOORWARD_TEST_POSTGRES").ok().and_then(|url| {
        let url = url::Url::parse(&url).unwrap();
        url.password().map(str::to_owned)
    }));
    let settings = [
        ("JWT_SECRET", JWT_SECRET),
        ("DOORWARD_SECRET", ROOT),
        ("throttle.enabled", "false"),
        ("http.body_timeout", "1s"),
    ];
    let site = Site::with(&settings).await;
    let admin = site.admin("root").await;
    for mode in Mode::ALL {
        let ada = site.logged_in_by("ada", mode).await;
        ada.get("/profile").await.is_ok();
        secrets.extend(held(&ada));
        if mode != Mode::Session {
            ada.refresh().await.is_ok();
            secrets.extend(held(&ada));
        }
        secrets.push(reset(&site, &admin, &ada).await);
        ada.post("/logout", Value::Null).await.is_ok();
    }
    for secret in &secrets {
        misplaces(&site.visitor(), secret).await;
        admin.post("/inspect", json!({ "token": secret })).await;
    }
    unreachable_database(&mut secrets).await;
    let log = written();
    assert!(log.contains("answered"), "the log says nothing at all");
    // A line for each request, by its route; the real path and query are the client's and stay out.
    assert!(log.contains("route=\"/password/reset\" status=200 ms="), "no line for a request");
    assert!(log.contains("\"route\":\"/admin/users/{id}/reset-link\"") && !log.contains("search="));
    for secret in &secrets {
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let found = log.lines().find(|line| line.contains(secret) || line.contains(&encoded));
        assert_eq!(found, None, "{secret} stands in the log");
        // Not in part either: the signature of a token is its secret.
        if let Some((_, signature)) = secret.rsplit_once('.') {
            assert!(!log.contains(signature), "{signature} stands in the log");
        }
    }
}

fn held(visitor: &Visitor) -> impl Iterator<Item = String> {
    let cookies = ["__Host-token", "__Host-sessionId", "__Host-refresh_token"];
    let cookies =
        cookies.into_iter().filter_map(|name| visitor.cookie(name)).filter(|value| !value.is_empty());
    cookies.chain(visitor.token()).chain(visitor.refresh_token()).collect::<Vec<_>>().into_iter()
}

/// Resets the password by a link of the admin's, to the same one; gives the link's secret.
async fn reset(site: &Site, admin: &Visitor, ada: &Visitor) -> String {
    let link = admin.post(&format!("/admin/users/{}/reset-link", ada.user_id().await), Value::Null).await;
    let url = link.json()["url"].as_str().unwrap().to_owned();
    let token = url.split_once("token=").unwrap().1.to_owned();
    site.visitor().page(&format!("/password/reset?token={token}")).await.has_status(200);
    let body = json!({ "token": token, "new_password": PASSWORD });
    site.visitor().post("/password/reset", body).await.has_status(200);
    token
}

/// A database whose URL has a password, and that isn't there: neither the log nor the error has it.
async fn unreachable_database(secrets: &mut Vec<String>) {
    const PASSWORD_THERE: &str = "canary-database-Rt56-Fg67";
    let folder = std::env::temp_dir();
    let mut values = Values::default();
    let mut set = |key, value: &str| values.set(key, value, Origin::Flag("test".into())).unwrap();
    set("data", folder.to_str().unwrap());
    set("database", &format!("postgres://ada:{PASSWORD_THERE}@127.0.0.1:1/none?sslmode=disable"));
    let settings = Settings::read(&values).unwrap();
    let root =
        |name: &str| (name == "DOORWARD_SECRET").then(|| "a root secret for tests: 0123456789".to_owned());
    let secrets_of_it = Secrets::read(&settings, root).unwrap();
    let shown: String = values.shown().map(|(_, value, _)| value).collect();
    assert!(!shown.contains(PASSWORD_THERE), "config print shows it");
    let error = App::open(settings, secrets_of_it, Clock::system()).await.err().unwrap();
    tracing::error!(%error, ?error, "could not open");
    secrets.push(PASSWORD_THERE.into());
}

#[tokio::test]
async fn i03_nobody_writes_a_line_of_the_log_or_colours_it() {
    listen_in();
    let site = Site::with(&[("throttle.enabled", "false"), ("trusted_proxies", "0.0.0.0/0")]).await;
    let admin = site.admin("root").await;
    for text in [
        "a\nINJECTED level=error",
        "a\r\nINJECTED",
        "\u{1b}[31mINJECTED\u{1b}[0m",
        "\u{85}INJECTED",
        "\u{2028}INJECTED",
    ] {
        let visitor = site.visitor();
        let body =
            json!({ "name": text, "email": text, "password": text, "mode": text, "role": text, text: text });
        for path in ["/register", "/login", "/refresh", "/logout", "/password/reset"] {
            visitor.post(path, body.clone()).await;
        }
        admin.patch("/profile", body.clone()).await;
        admin.post("/admin/users", body).await;
        let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        for path in [
            format!("/{encoded}"),
            format!("/admin/users?search={encoded}"),
            format!("/admin/users/{encoded}"),
        ] {
            admin.get(&path).await;
        }
        // HTTP allows no line end in a header; whatever it does allow must do no harm.
        let bytes: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_control()).collect();
        for name in ["user-agent", "x-forwarded-for", "accept", "origin"] {
            let request = visitor.request(Method::POST, "/login").header(name, bytes.clone());
            visitor.send(request.header(header::CONTENT_TYPE, "application/json"), "{}").await;
        }
    }
    let log = written();
    assert!(log.contains("answered"), "the log says nothing at all");
    assert!(!log.contains(['\u{1b}', '\r', '\u{85}', '\u{2028}']), "{log}");
    let torn = log.lines().find(|line| !(line.starts_with('{') || line.starts_with("20")));
    assert_eq!(torn, None, "a line that is none of ours");
}

/// The lines of the log with this message, as JSON.
fn said(message: &str) -> Vec<Value> {
    let log = written();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["fields"]["message"] == message).collect()
}

fn id(answer: &Answer) -> &str {
    answer.header("x-request-id").unwrap()
}

#[tokio::test]
async fn what_goes_wrong_beside_an_answer_is_a_line_with_the_id_of_its_request() {
    listen_in();
    let hooks =
        Hooks::new().after_login(async |_| panic!("the hook breaks")).after_register(async |_| panic!("too"));
    let site = Site::with_hooks(&[], hooks).await;
    let registered = site.visitor();
    let ada = json!({ "name": "Ada", "email": "ada@example.org", "password": PASSWORD });
    let registration = registered.post("/register", ada.clone()).await;
    let sign_in = site.visitor().post("/login", ada.clone()).await;
    let lines = said("a hook of the application failed");
    let of = |hook: &str| lines.iter().find(|line| line["fields"]["which"] == hook).unwrap();
    assert_eq!(of("after_register")["fields"]["request_id"], id(&registration));
    assert_eq!(of("after_login")["fields"]["request_id"], id(&sign_in));

    let broken = "UPDATE authenticators SET data = 'broken'";
    site.app.store.execute(broken, Vec::<doorward::internals::store::Value>::new()).await.unwrap();
    let refused = site.visitor().post("/login", ada).await;
    refused.has_status(401);
    let line = &said("a stored password hash cannot be verified: its user needs a reset link")[0];
    assert_eq!(line["fields"]["request_id"], id(&refused));

    let elsewhere = site.visitor();
    let request =
        elsewhere.request(Method::GET, "/profile").header(header::ORIGIN, "https://ids.example.net");
    let asked = elsewhere.send(request, "").await;
    let lines = said("a page of this origin asked, which is not listed in the setting origins");
    let line = lines.iter().find(|line| line["fields"]["origin"] == "https://ids.example.net").unwrap();
    assert_eq!(line["fields"]["request_id"], id(&asked));
}

#[tokio::test]
async fn a_form_that_signs_in_again_is_one_line_with_the_session_that_it_began() {
    listen_in();
    let site = Site::with(&[("mode_form", "session")]).await;
    site.user("grace", RoleName::USER).await;
    let browser = site.visitor();
    let page = browser.page("/login").await.text();
    let key = page.split("name=\"form_key\" value=\"").nth(1).unwrap()[..32].to_owned();
    let fields = [("form_key", &*key), ("email", "grace@example.org"), ("password", PASSWORD)];
    let clicks = [browser.copy(), browser.copy()];
    let mut answers = Vec::new();
    for click in &clicks {
        answers.push(click.form("/login", &fields).await);
    }
    let lines = said("signed in");
    let lines = answers.iter().map(|answer| {
        answer.goes_to("/dashboard");
        let mut of = lines.iter().filter(|line| line["fields"]["request_id"] == id(answer));
        let line = of.next().unwrap();
        assert_eq!((of.next(), &line["level"]), (None, &json!("INFO")));
        line["fields"].clone()
    });
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines[1]["session"], clicks[1].session_id().await);
    assert_eq!(lines[1]["user"], clicks[1].user_id().await);
    assert_ne!(lines[0]["session"], lines[1]["session"]);
    // A repeat that begins no session has none.
    let answer = clicks[1].copy().form("/login", &fields).await;
    answer.goes_to("/dashboard");
    assert!(said("signed in").iter().all(|line| line["fields"]["request_id"] != id(&answer)));
}
