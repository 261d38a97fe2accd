use std::time::Duration;

use doorward_core::Mode;
use http::{Method, header};
use serde_json::{Value, json};

use crate::accounts::Actor;
use crate::testing::{Answer, Site};

/// Asks about a token, with this `Authorization`.
async fn ask(site: &Site, authorization: &str, token: &str) -> Answer {
    let request = site.visitor().request(Method::POST, "/introspect");
    let request = request
        .header(header::AUTHORIZATION, authorization)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("token", token)
        .append_pair("token_type_hint", "access_token")
        .finish();
    site.visitor().send(request, form).await
}

async fn told(site: &Site, client: &str, token: &str) -> Value {
    ask(site, client, token).await.is_ok()
}

#[tokio::test]
async fn a_client_learns_whose_token_it_is_and_nothing_of_the_person() {
    let site = Site::new().await;
    let client = site.client().await;
    let now = site.clock.now().as_secs();
    let (bearer, cookie) = (site.logged_in("ada").await, site.logged_in_by("ada", Mode::Cookie).await);
    let session = site.logged_in_by("ada", Mode::Session).await;
    let (access, refresh) = (bearer.token().unwrap(), bearer.refresh_token().unwrap());
    let (token, secret) = (cookie.cookie("__Host-token"), session.cookie("__Host-sessionId"));
    for (token, kind, visitor, mode, ttl) in [
        (access, "Bearer", &bearer, "bearer", 15 * 60),
        (token.unwrap(), "Bearer", &cookie, "cookie", 15 * 60),
        (refresh, "refresh_token", &bearer, "bearer", 30 * 86_400),
        (secret.unwrap(), "session_secret", &session, "session", 90 * 86_400),
    ] {
        let expected = json!({
            "active": true,
            "token_type": kind,
            "sub": visitor.user_id().await,
            "sid": visitor.session_id().await,
            "role": "user",
            "mode": mode,
            "ver": 0,
            "auth_time": now,
            "amr": ["pwd"],
            "iat": now,
            "exp": now + ttl,
            "iss": "doorward",
            "aud": "doorward",
        });
        assert_eq!(told(&site, &client, &token).await, expected);
    }
}

#[tokio::test]
async fn whatever_is_not_alive_is_inactive_and_no_more() {
    let site = Site::new().await;
    let client = site.client().await;
    let dead = json!({ "active": false });
    let other = Site::new().await.logged_in("ada").await.token().unwrap();
    for strange in ["x", "dr1.x", "dr2.x", "a.b.c", &"A".repeat(43), &other, &"e".repeat(20_000)] {
        assert_eq!(told(&site, &client, strange).await, dead, "{strange:.20}");
    }
    let ada = site.logged_in_by("ada", Mode::Bearer).await;
    let session = site.logged_in_by("ada", Mode::Session).await;
    let all =
        [ada.token().unwrap(), ada.refresh_token().unwrap(), session.cookie("__Host-sessionId").unwrap()];
    session.post("/logout", json!({})).await.is_ok();
    ada.post("/logout", json!({})).await.is_ok();
    for token in &all {
        assert_eq!(told(&site, &client, token).await, dead);
    }
    // Time alone.
    let ada = site.logged_in("ada").await;
    let (access, refresh) = (ada.token().unwrap(), ada.refresh_token().unwrap());
    site.later(Duration::from_secs(15 * 60)).await;
    assert_eq!(told(&site, &client, &access).await, dead);
    assert_eq!(told(&site, &client, &refresh).await["active"], true);
    site.later(Duration::from_secs(30 * 86_400)).await;
    assert_eq!(told(&site, &client, &refresh).await, dead);
}

#[tokio::test]
async fn a_token_with_an_old_role_and_one_of_a_disabled_user_are_inactive_at_once() {
    let site = Site::new().await;
    let (client, admin) = (site.client().await, site.admin("root").await);
    let (ada, grace) = (site.logged_in("ada").await, site.logged_in("grace").await);
    let tokens = [ada.token().unwrap(), grace.token().unwrap()];
    for (visitor, change) in [(&ada, json!({ "role": "admin" })), (&grace, json!({ "disabled": true }))] {
        let path = format!("/admin/users/{}", visitor.user_id().await);
        admin.patch(&path, change).await.is_ok();
    }
    for token in &tokens {
        assert_eq!(told(&site, &client, token).await, json!({ "active": false }));
    }
    assert_eq!(told(&site, &client, &grace.refresh_token().unwrap()).await, json!({ "active": false }));
}

/// Asking is not using: a thief's copy is found out when it is used, and a question doesn't sign the owner out.
#[tokio::test]
async fn asking_about_a_refresh_token_neither_rotates_it_nor_ends_its_session() {
    let site = Site::new().await;
    let (client, ada) = (site.client().await, site.logged_in("ada").await);
    let first = ada.refresh_token().unwrap();
    for _ in 0..2 {
        ada.refresh().await.is_ok();
    }
    assert_eq!(told(&site, &client, &first).await, json!({ "active": false }));
    let current = ada.refresh_token().unwrap();
    assert_eq!(told(&site, &client, &current).await["active"], true);
    ada.refresh().await.is_ok();
}

#[tokio::test]
async fn e06_nothing_but_the_whole_secret_of_a_client_lets_it_ask_end_or_follow() {
    let site = Site::new().await;
    let (one, two) = (site.client().await, site.client().await);
    let admin = site.admin("ada").await;
    let token = admin.token().unwrap();
    let decoded = |client: &str| {
        use base64::Engine;
        let basic = client.strip_prefix("Basic ").unwrap();
        let text = base64::engine::general_purpose::STANDARD.decode(basic).unwrap();
        let text = String::from_utf8(text).unwrap();
        text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned())).unwrap()
    };
    let basic = |text: String| {
        use base64::Engine;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    };
    let ((id, secret), (other, _)) = (decoded(&one), decoded(&two));
    let hash = doorward_core::OpaqueSecret::parse(&secret).unwrap().hash();
    let hash = doorward_core::OpaqueSecret::new(hash).to_text();
    for wrong in [
        String::new(),
        "Basic".into(),
        "Basic ".into(),
        "Basic !".into(),
        format!("Bearer {token}"),
        format!("Bearer {secret}"),
        one.replace("Basic ", "Basic  "),
        basic(format!("{other}:{secret}")),
        basic(format!("{id}:{}", *hash)),
        basic(format!("{id}:")),
        basic(format!(":{secret}")),
        basic(id.clone()),
        basic(format!("{id}:{secret}:")),
        basic(format!("{}:{secret}", id.to_uppercase())),
    ] {
        for (method, path) in
            [(Method::POST, "/introspect"), (Method::POST, "/revoke"), (Method::GET, "/revocations")]
        {
            let request = site.visitor().request(method, path).header(header::AUTHORIZATION, &wrong);
            let request = request.header(header::CONTENT_TYPE, "application/json");
            let answer = site.visitor().send(request, json!({ "token": token }).to_string()).await;
            answer.has_status(401).is_refused("invalid_client");
            assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"doorward\""), "{wrong}");
        }
    }
    admin.get("/profile").await.is_ok();
    assert_eq!(told(&site, &one.replace("Basic", "bAsIc"), &token).await["active"], true);
    let request = site.visitor().request(Method::POST, "/introspect");
    let twice = request.header(header::AUTHORIZATION, &one).header(header::AUTHORIZATION, &one);
    site.visitor().send(twice, "").await.is_refused("invalid_client");
}

#[tokio::test]
async fn oauths_routes_refuse_in_oauths_form_whoever_reads_and_whatever_is_wrong() {
    let site = Site::new().await;
    let client = site.client().await;
    for path in ["/introspect", "/revoke"] {
        let form = "application/x-www-form-urlencoded";
        let request = || site.visitor().request(Method::POST, path).header(header::CONTENT_TYPE, form);
        let known = || request().header(header::AUTHORIZATION, &client);
        let too_long = format!("token={}", "x".repeat(70_000));
        for (request, body, status, error, code) in [
            // As a browser's form would come: still no page.
            (
                request().header(header::ACCEPT, "text/html"),
                "token=x",
                401,
                "invalid_client",
                "invalid_client",
            ),
            (request(), "", 401, "invalid_client", "invalid_client"),
            (known(), "", 400, "invalid_request", "invalid_input"),
            (known(), "token=a&token=b", 400, "invalid_request", "malformed"),
            (known(), too_long.as_str(), 413, "invalid_request", "too_large"),
            (
                known().header("sec-fetch-site", "cross-site"),
                "token=x",
                403,
                "invalid_request",
                "cross_site_request",
            ),
            (site.visitor().request(Method::GET, path), "", 405, "invalid_request", "method_not_allowed"),
        ] {
            let answer = site.visitor().send(request, body.to_owned()).await;
            let refused = answer.has_status(status).json();
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!((&refused["error"], &refused["code"]), (&error.into(), &code.into()), "{refused}");
            let challenge = (status == 401).then_some("Basic realm=\"doorward\"");
            assert_eq!(answer.header("www-authenticate"), challenge, "{refused}");
            assert_eq!(refused["request_id"].as_str(), answer.header("x-request-id"));
            let text = refused["error_description"].as_str().unwrap();
            assert!(
                text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte)),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn a_deleted_client_is_none_at_once_here_and_as_soon_as_it_is_read_elsewhere() {
    let site = Site::new().await;
    let (client, ada) = (site.client().await, site.logged_in("ada").await);
    let (token, other) = (ada.token().unwrap(), site.restarted().await);
    assert_eq!(told(&other, &client, &token).await["active"], true);
    let id = site.app.clients.list().await.unwrap()[0].client_id;
    assert!(site.app.clients.delete(id, &Actor::CommandLine).await.unwrap());
    ask(&site, &client, &token).await.is_refused("invalid_client");
    other.app.follow().await.unwrap();
    ask(&other, &client, &token).await.is_refused("invalid_client");
    assert!(!site.app.clients.delete(id, &Actor::CommandLine).await.unwrap());
}

#[tokio::test]
async fn a_token_is_asked_about_in_a_body_and_nowhere_else() {
    let site = Site::new().await;
    let (client, ada) = (site.client().await, site.logged_in("ada").await);
    let path = format!("/introspect?token={}", ada.token().unwrap());
    let get = site.visitor().request(Method::GET, &path).header(header::AUTHORIZATION, &client);
    site.visitor().send(get, "").await.has_status(405);
    let post = site.visitor().request(Method::POST, &path).header(header::AUTHORIZATION, &client);
    let refused = site.visitor().send(post, "").await.has_status(400).is_refused("invalid_input");
    assert_eq!(refused["error_description"], "token is required");
}

#[tokio::test]
async fn many_session_secrets_are_asked_about_at_once_and_answered_in_their_order() {
    let site = Site::new().await;
    let client = site.client().await;
    let (ada, bob) =
        (site.logged_in_by("ada", Mode::Session).await, site.logged_in_by("bob", Mode::Session).await);
    let secret = |visitor: &crate::testing::Visitor| visitor.cookie("__Host-sessionId").unwrap();
    let (of_ada, of_bob, nobody) = (secret(&ada), secret(&bob), format!("{}A", "n".repeat(42)));
    let ask = async |tokens: &str| {
        let request = site.visitor().request(Method::POST, "/introspect");
        let request = request
            .header(header::AUTHORIZATION, &client)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let form =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("tokens", tokens).finish();
        site.visitor().send(request, form).await
    };
    let told = ask(&format!("{of_bob} {nobody} {of_ada}")).await.is_ok();
    assert_eq!(told["tokens"][0]["sub"], bob.user_id().await);
    assert_eq!(told["tokens"][1], json!({ "active": false, "code": "token_invalid" }));
    assert_eq!(told["tokens"][2]["sub"], ada.user_id().await);
    ada.post("/logout", Value::Null).await.is_ok();
    assert_eq!(
        ask(&of_ada).await.is_ok(),
        json!({ "tokens": [{ "active": false, "code": "session_ended" }] })
    );
    for wrong in ["", " ", "x", &format!("{of_ada}  {of_bob}"), &vec![of_ada.as_str(); 65].join(" ")] {
        ask(wrong).await.has_status(400).is_refused("invalid_input");
    }
}
