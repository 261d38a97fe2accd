use std::time::Duration;

use doorward_core::Mode;
use doorward_core::role::RoleName;
use doorward_core::token::{KeySet, jws};
use http::Method;
use serde_json::{Value, json};

use crate::testing::{Answer, PASSWORD, Site, Visitor};

const BEHIND: &str = "https://app.example.com/notes?page=2";
const RETURN: &str = "return_to=https%3A%2F%2Fapp.example.com%2Fnotes%3Fpage%3D2";
const IDENTITY: [&str; 5] =
    ["remote-user", "remote-name", "remote-role", "remote-email", "doorward-identity"];

async fn site() -> Site {
    site_with(&[]).await
}

async fn site_with(more: &[(&str, &str)]) -> Site {
    let mut settings = vec![
        ("public_url", "https://accounts.example.com"),
        ("cookie.domain", "example.com"),
        ("forward_auth.hosts", "app.example.com,accounts.example.com"),
        ("trusted_proxies", "10.0.0.0/8"),
    ];
    settings.extend(more);
    Site::with(&settings).await
}

/// As the proxy asks about this visitor's request.
async fn ask(visitor: &Visitor, query: &str, headers: &[(&str, &str)]) -> Answer {
    let proxy = visitor.copy().from([10, 0, 0, 1]);
    let mut request = proxy.request(Method::GET, &format!("/forward-auth{query}"));
    for (name, value) in [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "app.example.com"),
        ("x-forwarded-uri", "/notes?page=2"),
        ("x-forwarded-method", "GET"),
    ] {
        if !headers.iter().any(|(other, _)| *other == name) {
            request = request.header(name, value);
        }
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    proxy.send(request, axum::body::Body::empty()).await
}

/// As for a browser that opens a page.
async fn open(visitor: &Visitor, query: &str) -> Answer {
    ask(visitor, query, &[("accept", "text/html,*/*;q=0.8"), ("sec-fetch-mode", "navigate")]).await
}

#[track_caller]
fn names_nobody(answer: &Answer) {
    assert!(!answer.status.is_success());
    for name in IDENTITY {
        assert_eq!(answer.header(name), Some(""), "{name}");
    }
}

#[tokio::test]
async fn whoever_is_signed_in_is_named_to_the_application_in_every_mode() {
    let site = site().await;
    for mode in Mode::ALL {
        let visitor = site.logged_in_by("grace", mode).await;
        let answer = ask(&visitor, "", &[]).await;
        answer.has_status(200);
        assert_eq!(answer.header("remote-user"), Some(visitor.user_id().await.as_str()));
        assert_eq!(answer.header("remote-name"), Some("grace"));
        assert_eq!(answer.header("remote-role"), Some("user"));
        assert_eq!(answer.header("remote-email"), Some(""));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn a_name_goes_out_as_its_owner_writes_it() {
    let site = site().await;
    let visitor = site.registered("grace").await;
    visitor.patch("/profile", json!({ "name": "Grace Höpper 李" })).await.is_ok();
    let answer = ask(&visitor, "", &[]).await;
    answer.has_status(200);
    assert_eq!(answer.headers["remote-name"].as_bytes(), "Grace Höpper 李".as_bytes());
}

/// Checks the signature with the published keys, and returns the claims.
async fn claims(site: &Site, assertion: &str) -> Value {
    let jwks = site.visitor().get("/.well-known/jwks.json").await.text();
    let keys = KeySet::from_jwks(&jwks).unwrap();
    let key = keys.iter().next().unwrap();
    serde_json::from_slice(&jws::verify(assertion, key).unwrap()).unwrap()
}

#[tokio::test]
async fn the_assertion_is_for_one_application_and_a_minute() {
    let site = site().await;
    let visitor = site.logged_in_by("grace", Mode::Session).await;
    let answer = ask(&visitor, "", &[]).await;
    let said = claims(&site, answer.header("doorward-identity").unwrap()).await;
    assert_eq!(said["iss"], "https://accounts.example.com");
    assert_eq!(said["aud"], "app.example.com");
    assert_eq!(said["sub"], visitor.user_id().await);
    assert_eq!(said["sid"], visitor.session_id().await);
    assert_eq!(said["role"], "user");
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 60);
    assert!(said.get("name").is_none() && said.get("email").is_none(), "{said}");
}

#[tokio::test]
async fn j31_an_assertion_opens_nothing_and_an_access_token_is_none() {
    for jwt_secret in [None, Some(("JWT_SECRET", "3nQ7vR2kX9pL5wT8zC4mB6dF1gH0jS-y"))] {
        let site = site_with(jwt_secret.as_slice()).await;
        let grace = site.logged_in("grace").await;
        let token = grace.token().unwrap();
        let assertion = ask(&grace, "", &[]).await.header("doorward-identity").unwrap().to_owned();
        grace.hold(Some(&assertion), None);
        grace.get("/profile").await.is_refused("token_invalid");
        ask(&grace, "", &[]).await.has_status(401);
        let typ = |jwt: &str| site.app.keys.verifier().explain(jwt, site.app.now());
        assert!(format!("{:?}", typ(&assertion)).contains("doorward-identity+jwt"));
        assert!(!format!("{:?}", typ(&token)).contains("doorward-identity"));
    }
}

#[tokio::test]
async fn a_browser_without_a_sign_in_learns_where_to_go() {
    let site = site().await;
    let nobody = site.visitor();
    let login = format!("https://accounts.example.com/login?{RETURN}");

    let answer = open(&nobody, "").await;
    answer.has_status(401).is_refused("token_missing");
    assert_eq!(answer.header("location"), Some(login.as_str()));
    names_nobody(&answer);

    let answer = open(&nobody, "?redirect=1").await;
    answer.has_status(302);
    assert_eq!(answer.header("location"), Some(login.as_str()));
    names_nobody(&answer);
}

#[tokio::test]
async fn programs_scripts_and_forms_get_a_401_and_no_login_page() {
    let site = site().await;
    let nobody = site.visitor();
    let html = ("accept", "text/html");
    for headers in [
        &[("accept", "application/json")][..],
        &[],
        &[html, ("x-requested-with", "XMLHttpRequest")],
        &[html, ("sec-fetch-mode", "cors")],
        &[html, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
        &[html, ("x-forwarded-method", "POST")],
        &[html, ("authorization", "Bearer expired")],
    ] {
        let answer = ask(&nobody, "?redirect=1", headers).await;
        answer.has_status(401);
        assert_eq!(answer.header("location"), None, "{headers:?}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
        assert_eq!(answer.header("access-control-expose-headers"), Some("www-authenticate"));
        names_nobody(&answer);
    }
}

#[tokio::test]
async fn a_sign_in_leads_back_to_the_application() {
    let site = site().await;
    site.user("grace", RoleName::USER).await;
    let grace = site.visitor();
    let page = grace.page(&format!("/login?{RETURN}")).await;
    page.has_status(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self' https://app.example.com"), "{policy}");

    let fields = [("email", "grace@example.org"), ("password", PASSWORD), ("return_to", BEHIND)];
    let answer = grace.form("/login", &fields).await;
    answer.goes_to(BEHIND);
    let cookie =
        answer.set_cookies().into_iter().find(|line| line.starts_with("__Secure-sessionId=")).unwrap();
    assert!(cookie.contains("Domain=example.com") && cookie.contains("Secure"), "{cookie}");
    open(&grace, "").await.has_status(200);
    // A signed-in visitor gets a link: if the application had sent them, a redirect could loop.
    let page = grace.page(&format!("/login?{RETURN}")).await;
    let text = page.has_status(200).text().replace("&#x2f;", "/");
    assert!(text.contains(&format!("href=\"{BEHIND}\"")), "{text}");
    grace.page("/login?return_to=https%3A%2F%2Fevil.example%2F").await.goes_to("/dashboard");
}

#[tokio::test]
async fn a_cookie_that_does_not_reach_the_application_leads_in_no_circle() {
    let site = site().await;
    let grace = site.logged_in_by("grace", Mode::Cookie).await;
    grace.page(&format!("/login?{RETURN}")).await.has_status(200);
    let request = grace.request(Method::GET, &format!("/refresh?{RETURN}")).header("accept", "text/html");
    grace.send(request, axum::body::Body::empty()).await.goes_to(&format!("/login?{RETURN}"));
}

#[tokio::test]
async fn a_browser_from_another_site_gets_by_our_own_page_back_to_the_application() {
    let site = site().await;
    let nobody = site.visitor();
    let from_mail = nobody
        .request(Method::GET, &format!("/login?{RETURN}"))
        .header("accept", "text/html")
        .header("sec-fetch-site", "cross-site");
    let answer = nobody.send(from_mail, axum::body::Body::empty()).await;
    answer.has_status(200);
    assert_eq!(answer.header("refresh"), Some(format!("0; url=/refresh?{RETURN}").as_str()));

    let grace = site.logged_in_by("grace", Mode::Session).await;
    grace.page(&format!("/refresh?{RETURN}")).await.goes_to(BEHIND);
    nobody.page(&format!("/refresh?{RETURN}")).await.goes_to(&format!("/login?{RETURN}"));
}

#[tokio::test]
async fn a_token_that_has_run_out_and_cannot_be_renewed_leads_in_no_circle() {
    let site = site_with(&[("cookie.same_site", "lax")]).await;
    let grace = site.logged_in_by("grace", Mode::Cookie).await;
    grace.hold_cookie("__Host-refresh_token", "dr1.garbage");
    site.later(Duration::from_secs(901)).await;
    let back = "return_to=https%3A%2F%2Faccounts.example.com%2Fnotes";
    let arrives = |path: String| {
        let request = grace.request(Method::GET, &path).header("accept", "text/html");
        grace.send(request.header("sec-fetch-site", "cross-site"), axum::body::Body::empty())
    };
    arrives(format!("/refresh?{back}")).await.goes_to(&format!("/login?{back}"));
    let answer = arrives(format!("/login?{back}")).await;
    answer.has_status(200);
    assert_eq!(answer.header("refresh"), None);
}

#[tokio::test]
async fn an_access_token_that_has_run_out_is_renewed_on_the_way() {
    let site = site().await;
    let grace = site.logged_in_by("grace", Mode::Cookie).await;
    let ours = [
        ("accept", "text/html"),
        ("x-forwarded-host", "accounts.example.com"),
        ("x-forwarded-uri", "/notes"),
    ];
    ask(&grace, "", &ours).await.has_status(200);
    site.later(Duration::from_secs(901)).await;

    let answer = ask(&grace, "", &ours).await;
    answer.has_status(401).is_refused("token_expired");
    let place = "/refresh?return_to=https%3A%2F%2Faccounts.example.com%2Fnotes";
    assert_eq!(answer.header("location"), Some(format!("https://accounts.example.com{place}").as_str()));
    grace.page(place).await.goes_to("https://accounts.example.com/notes");
    ask(&grace, "", &ours).await.has_status(200);
}

#[tokio::test]
async fn a_role_that_is_asked_for_is_needed() {
    let site = site_with(&[("roles.editor", "")]).await;
    let (user, admin) = (site.logged_in("grace").await, site.admin("ada").await);
    for query in ["?role=admin", "?role=editor,admin", "?role=editor, admin&redirect=1"] {
        let query = query.replace(' ', "%20");
        ask(&admin, &query, &[]).await.has_status(200);
        let answer = ask(&user, &query, &[]).await;
        answer.has_status(403).is_refused("forbidden");
        assert_eq!(answer.header("location"), None, "a sign-in doesn't help");
        names_nobody(&answer);
    }
    ask(&user, "?role=user", &[]).await.has_status(200);
    ask(&user, "?tag=a&tag=b", &[]).await.has_status(200);
    // An unknown role, one that a proxy's variable left empty, and one that a client doubled.
    for query in ["?role=", "?role=Admin", "?role=*", "?role=user&role=user", "?role=admin&role=user"] {
        ask(&user, query, &[]).await.has_status(403);
    }
}

#[tokio::test]
async fn x12_an_address_that_its_owner_typed_is_not_told() {
    let site = site_with(&[("forward_auth.email", "true")]).await;
    let admin = site.admin("root").await;
    let told = async |visitor: &Visitor| {
        ask(visitor, "", &[]).await.has_status(200).header("remote-email").map(str::to_owned)
    };
    let vouched_by = async |visitor: &Visitor| {
        let path = format!("/admin/users/{}", visitor.user_id().await);
        admin.get(&path).await.is_ok()["user"]["email_vouched_by"].clone()
    };
    let register = async |email: &str, invite: Option<String>| {
        let visitor = site.visitor();
        let body = json!({ "name": "Somebody", "email": email, "password": PASSWORD, "invite": invite });
        visitor.post("/register", body).await.has_status(201);
        visitor
    };
    let invite = async |body: serde_json::Value| {
        let made = admin.post("/admin/invitations", body).await.has_status(201).json();
        Some(made["url"].as_str().unwrap().split_once("invite=").unwrap().1.to_owned())
    };

    let typed = register("boss@example.org", None).await;
    assert_eq!((told(&typed).await.as_deref(), vouched_by(&typed).await), (Some(""), json!(null)));
    let anybody = register("chief@example.org", invite(json!({})).await).await;
    assert_eq!((told(&anybody).await.as_deref(), vouched_by(&anybody).await), (Some(""), json!(null)));
    let email = "ada@example.org";
    let invited = register(email, invite(json!({ "email": email })).await).await;
    assert_eq!(
        (told(&invited).await.as_deref(), vouched_by(&invited).await),
        (Some(email), json!("invitation"))
    );
    let grace = site.logged_in("grace").await;
    let hers = Some("grace@example.org");
    assert_eq!((told(&grace).await.as_deref(), vouched_by(&grace).await), (hers, json!("command_line")));

    // What she types from then on is only her own claim, even if it was vouched for before.
    for email in ["head@example.org", "grace@example.org"] {
        grace.patch("/profile", json!({ "email": email, "password": PASSWORD })).await.is_ok();
        assert_eq!((told(&grace).await.as_deref(), vouched_by(&grace).await), (Some(""), json!(null)));
    }
    grace.patch("/profile", json!({ "name": "Grace" })).await.is_ok();
    assert_eq!(told(&grace).await.as_deref(), Some(""));
    // An admin who writes it vouches for it, even if it is the same; another act of theirs does not.
    let path = format!("/admin/users/{}", grace.user_id().await);
    admin.patch(&path, json!({ "name": "Grace Hopper" })).await.is_ok();
    assert_eq!(told(&grace).await.as_deref(), Some(""));
    admin.patch(&path, json!({ "email": "grace@example.org" })).await.is_ok();
    assert_eq!((told(&grace).await.as_deref(), vouched_by(&grace).await), (hers, json!("admin")));
    let same = json!({ "email": "grace@example.org", "password": PASSWORD });
    grace.patch("/profile", same).await.is_ok();
    assert_eq!(told(&grace).await.as_deref(), hers);
    // A smuggled field doesn't make up for typing it.
    let smuggled = json!({ "email": "head@example.org", "password": PASSWORD, "email_vouched_by": "admin" });
    grace.patch("/profile", smuggled).await.is_ok();
    assert_eq!(told(&grace).await.as_deref(), Some(""));
}

#[tokio::test]
async fn addresses_are_told_by_a_setting_only() {
    let site = site_with(&[("registration", "closed")]).await;
    let grace = site.logged_in("grace").await;
    assert_eq!(ask(&grace, "", &[]).await.header("remote-email"), Some(""));
}

#[tokio::test]
async fn the_address_may_come_whole_and_has_to_be_the_same_in_parts() {
    let site = site().await;
    let grace = site.logged_in("grace").await;
    let proxy = grace.copy().from([10, 0, 0, 1]);
    let whole = |url: &str| {
        let request = proxy.request(Method::GET, "/forward-auth").header("x-forwarded-method", "POST");
        request.header("x-original-url", url)
    };
    proxy.send(whole(BEHIND), axum::body::Body::empty()).await.has_status(200);
    proxy.send(whole("https://evil.example/"), axum::body::Body::empty()).await.has_status(403);
    ask(&grace, "", &[("x-original-url", BEHIND)]).await.has_status(200);
    ask(&grace, "", &[("x-original-url", "https://accounts.example.com/notes?page=2")]).await.has_status(403);
    ask(&grace, "", &[("x-forwarded-proto", "wss")]).await.has_status(200);
}

#[tokio::test]
async fn a_check_asks_the_store_for_nothing_that_memory_has() {
    let site = site().await;
    for mode in Mode::ALL {
        let grace = site.logged_in_by("grace", mode).await;
        ask(&grace, "", &[]).await.has_status(200);
        site.app.store.faults().arm(crate::store::Fault::Fails, 0);
        ask(&grace, "", &[]).await.has_status(200);
        assert!(!site.app.store.faults().disarm(), "the store was asked");
    }
}

const PREFLIGHT: [(&str, &str); 3] = [
    ("x-forwarded-method", "OPTIONS"),
    ("origin", "https://shop.example.com"),
    ("access-control-request-method", "POST"),
];

#[tokio::test]
async fn a_preflight_passes_by_a_setting_and_names_nobody() {
    let (off, on) = (site().await, site_with(&[("forward_auth.preflights", "true")]).await);
    ask(&off.visitor(), "", &PREFLIGHT).await.has_status(401);
    for visitor in [on.visitor(), on.logged_in_by("grace", Mode::Session).await, on.logged_in("ada").await] {
        for query in ["", "?role=admin", "?redirect=1"] {
            let answer = ask(&visitor, query, &PREFLIGHT).await;
            answer.has_status(200);
            for name in IDENTITY {
                assert_eq!(answer.header(name), Some(""), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn f05_what_is_no_preflight_of_a_trusted_proxy_passes_as_none() {
    let site = site_with(&[("forward_auth.preflights", "true")]).await;
    let nobody = site.visitor();
    let but = |name: &'static str, value: &'static str| {
        let mut headers = PREFLIGHT.to_vec();
        headers.retain(|(other, _)| *other != name);
        if !value.is_empty() {
            headers.push((name, value));
        }
        headers
    };
    let with = |name: &'static str, value: &'static str| [&PREFLIGHT[..], &[(name, value)]].concat();
    for (status, headers) in [
        (401, but("x-forwarded-method", "GET")),
        (401, but("x-forwarded-method", "options")),
        (401, but("x-forwarded-method", "OPTIONS, GET")),
        (401, but("origin", "")),
        (401, but("access-control-request-method", "")),
        (401, with("origin", "https://evil.example")),
        (401, with("access-control-request-method", "PUT")),
        (403, with("x-forwarded-method", "OPTIONS")),
        (403, with("x-forwarded-method", "GET")),
        (403, with("x-forwarded-host", "evil.example")),
        (403, but("x-forwarded-host", "evil.example")),
    ] {
        let answer = ask(&nobody, "", &headers).await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}");
        names_nobody(&answer);
    }
    // Only the proxy can say what a proxy says.
    let mut request = nobody.request(Method::GET, "/forward-auth");
    for (name, value) in PREFLIGHT {
        request = request.header(name, value);
    }
    let request = request.header("x-forwarded-proto", "https").header("x-forwarded-host", "app.example.com");
    let answer = nobody.send(request.header("x-forwarded-uri", "/"), axum::body::Body::empty()).await;
    names_nobody(answer.has_status(403));
}

#[tokio::test]
async fn a_browser_that_lacks_the_role_sees_a_page_that_leads_to_doorward() {
    let site = site().await;
    let grace = site.logged_in_by("grace", Mode::Session).await;
    for query in ["?role=admin&redirect=1", "?refused=1"] {
        let answer = open(&grace, query).await;
        let page = answer.has_status(403).text().replace("&#x2f;", "/");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(page.contains("This door stays shut") && page.contains("not allowed"), "{page}");
        for place in ["/dashboard", "/style.css?v="] {
            assert!(page.contains(&format!("\"https://accounts.example.com{place}")), "{page}");
        }
        assert!(!page.contains("=\"/"), "nothing of the application's host: {page}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("style-src https://accounts.example.com/;"), "{policy}");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        names_nobody(&answer);
    }
    for headers in [
        &[("accept", "application/json")][..],
        &[],
        &[("accept", "text/html"), ("sec-fetch-mode", "cors")],
        &[("accept", "text/html"), ("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "navigate")],
        &[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")],
    ] {
        for query in ["?role=admin", "?refused=1"] {
            let answer = ask(&grace, query, headers).await;
            answer.has_status(403).is_refused("forbidden");
            names_nobody(&answer);
        }
    }
}

/// The assertion in an answer that names somebody.
fn assertion(answer: &Answer) -> String {
    answer.has_status(200).header("doorward-identity").unwrap().to_owned()
}

#[tokio::test]
async fn an_assertion_serves_a_session_at_one_application_for_a_second() {
    let site = site().await;
    for mode in Mode::ALL {
        let visitor = site.logged_in_by("grace", mode).await;
        let here = async |visitor: &Visitor| assertion(&ask(visitor, "", &[]).await);
        let first = here(&visitor).await;
        assert_eq!(here(&visitor).await, first);
        let there = [("x-forwarded-host", "accounts.example.com")];
        let elsewhere = assertion(&ask(&visitor, "", &there).await);
        assert_eq!(claims(&site, &elsewhere).await["aud"], "accounts.example.com");
        assert_eq!(assertion(&ask(&visitor, "", &there).await), elsewhere);
        let other = site.logged_in_by("grace", mode).await;
        assert_ne!(claims(&site, &here(&other).await).await["sid"], claims(&site, &first).await["sid"]);
        site.later(Duration::from_secs(1)).await;
        let next = here(&visitor).await;
        assert_ne!(next, first);
        assert!(claims(&site, &next).await["iat"].as_i64() > claims(&site, &first).await["iat"].as_i64());
    }
}

#[tokio::test]
async fn within_that_second_whatever_changes_makes_another_assertion_or_none() {
    let site = site().await;
    let admin = site.admin("root").await;
    let visitor = site.logged_in_by("grace", Mode::Session).await;
    let user = visitor.user_id().await;
    let ask = async || ask(&visitor, "", &[]).await;
    let mut before = assertion(&ask().await);
    visitor.patch("/profile", json!({ "name": "Grace Hopper" })).await.is_ok();
    let answer = ask().await;
    assert_eq!(answer.header("remote-name"), Some("Grace Hopper"));
    assert_ne!(assertion(&answer), before);
    before = assertion(&answer);
    admin.patch(&format!("/admin/users/{user}"), json!({ "role": "admin" })).await.is_ok();
    let answer = ask().await;
    assert_eq!(answer.header("remote-role"), Some("admin"));
    assert_eq!(claims(&site, &assertion(&answer)).await["role"], "admin");
    assert_ne!(assertion(&answer), before);
    // A role that the proxy asks for is judged for each request.
    super::tests::ask(&visitor, "?role=other", &[]).await.has_status(403);
    before = assertion(&answer);
    site.app.keys.replace(doorward_core::token::Algorithm::EdDsa, site.app.now()).await.unwrap();
    let answer = ask().await;
    assert_ne!(assertion(&answer), before);
    claims(&site, &assertion(&answer)).await;
    visitor.copy().post("/logout", Value::Null).await.is_ok();
    names_nobody(&ask().await);
}
