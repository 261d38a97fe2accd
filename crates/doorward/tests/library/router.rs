//! The router, the builder and closing.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use doorward::internals::settings::Settings;
use doorward::{Builder, Doorward, Identity};
use http::{Method, Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

const PASSWORD: &str = "a door is a promise";

/// A builder over a new folder that is removed with the test.
fn builder() -> (Builder, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Doorward::builder().data(folder.path().join("data")).setting("throttle.enabled", "false"), folder)
}

/// An application with a page of its own, a route that needs a sign-in, and its own 404.
fn application(doorward: &Doorward) -> Router {
    Router::new()
        .route("/hello", get(|who: Identity| async move { format!("Hello, {}", who.user) }))
        .route("/about", get(|| async { "A page of mine" }))
        .with_state(doorward.guard())
        .merge(doorward.router())
        .fallback(|| async { (http::StatusCode::NOT_FOUND, "nothing of mine") })
}

fn request(method: Method, path: &str, token: Option<&str>, body: &Value) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let json = if body.is_null() { String::new() } else { body.to_string() };
    request.header(header::CONTENT_TYPE, "application/json").body(json.into()).unwrap()
}

async fn answer(app: &Router, request: Request<Body>) -> Response {
    app.clone().oneshot(request).await.unwrap()
}

async fn posted(app: &Router, path: &str, body: Value) -> Response {
    answer(app, request(Method::POST, path, None, &body)).await
}

async fn got(app: &Router, path: &str, token: Option<&str>) -> Response {
    answer(app, request(Method::GET, path, token, &Value::Null)).await
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn json(response: Response) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

fn ada() -> Value {
    json!({ "name": "Ada", "email": "ada@example.org", "password": PASSWORD })
}

/// Registers Ada, and gives her access token.
async fn registered(app: &Router, base: &str) -> String {
    let made = posted(app, &format!("{base}/register"), ada()).await;
    assert_eq!(made.status(), 201);
    json(made).await["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_application_has_accounts_and_routes_that_need_a_sign_in() {
    let (builder, _folder) = builder();
    let doorward = builder.build().await.unwrap();
    let app = application(&doorward);
    let token = registered(&app, "").await;
    assert!(text(got(&app, "/hello", Some(&token)).await).await.starts_with("Hello, 0"));
    let stranger = got(&app, "/hello", None).await;
    assert_eq!(stranger.status(), 401);
    assert_eq!(json(stranger).await["code"], "token_missing");

    let left = answer(&app, request(Method::POST, "/logout", Some(&token), &Value::Null)).await;
    assert_eq!(left.status(), 200);
    let after = got(&app, "/hello", Some(&token)).await;
    assert_eq!(json(after).await["code"], "session_ended");
}

#[tokio::test]
async fn the_applications_own_paths_stay_its_own() {
    let (builder, _folder) = builder();
    let doorward = builder.build().await.unwrap();
    let app = application(&doorward);
    let page = got(&app, "/about", None).await;
    assert!(!page.headers().contains_key(header::CONTENT_SECURITY_POLICY), "a layer of ours is around it");
    assert_eq!(text(got(&app, "/nowhere", None).await).await, "nothing of mine");
    let own = got(&app, "/login", None).await;
    assert!(own.headers().contains_key(header::CONTENT_SECURITY_POLICY));

    // An application without a fallback keeps axum's, whichever is merged into the other.
    // At a path of Doorward's it may have a method that Doorward lacks.
    let mine = || {
        Router::new().route("/about", get(|| async { "mine" })).route("/introspect", get(|| async { "mine" }))
    };
    for merged in [doorward.router().merge(mine()), mine().merge(doorward.router())] {
        let nowhere = got(&merged, "/nowhere", None).await;
        let ours = nowhere.headers().contains_key(header::CACHE_CONTROL);
        assert_eq!((nowhere.status().as_u16(), ours), (404, false));
        assert_eq!(got(&merged, "/login", None).await.status(), 200);
        assert_eq!(text(got(&merged, "/introspect", None).await).await, "mine");
        assert_eq!(posted(&merged, "/introspect", Value::Null).await.status(), 401);
        let refused = answer(&merged, request(Method::PUT, "/login", None, &Value::Null)).await;
        assert_eq!(json(refused).await["code"], "method_not_allowed");
    }
}

#[tokio::test]
async fn below_a_base_path_everything_names_the_whole_path() {
    let (builder, _folder) = builder();
    let doorward = builder.setting("base_path", "/auth").build().await.unwrap();
    let app = application(&doorward);
    let token = registered(&app, "/auth").await;
    assert_eq!(got(&app, "/auth/profile", Some(&token)).await.status(), 200);
    assert_eq!(text(got(&app, "/profile", Some(&token)).await).await, "nothing of mine");
    let start = got(&app, "/auth/", None).await;
    assert_eq!(start.headers()[header::LOCATION], "/auth/dashboard");
    let mut sign_in = ada();
    sign_in["mode"] = "cookie".into();
    let cookies = posted(&app, "/auth/login", sign_in).await;
    let is_bound_to_the_host = |value: &http::HeaderValue| {
        value.to_str().unwrap().split("; ").any(|attribute| attribute == "Path=/")
    };
    let set = cookies.headers().get_all(header::SET_COOKIE);
    assert!(set.iter().count() >= 2 && set.iter().all(is_bound_to_the_host));
}

#[tokio::test]
async fn without_connection_info_all_clients_are_one_address() {
    let (builder, _folder) = builder();
    let doorward = builder.setting("throttle.enabled", "true").build().await.unwrap();
    let app = application(&doorward);
    let token = registered(&app, "").await;
    let sessions = json(got(&app, "/sessions", Some(&token)).await).await;
    assert_eq!(sessions["sessions"][0]["ip"], "0.0.0.0");

    // A client's own headers change nothing.
    let mut wrong = ada();
    wrong["password"] = "another promise".into();
    for n in 0..=10 {
        let mut guess = request(Method::POST, "/login", None, &wrong);
        guess.headers_mut().insert("x-forwarded-for", format!("198.51.100.{n}").parse().unwrap());
        let answered = answer(&app, guess).await;
        assert_eq!(answered.status(), if n < 10 { 401 } else { 429 }, "guess {n}");
    }
}

#[tokio::test]
async fn h11_a_change_runs_to_its_end_where_the_client_hangs_up() {
    let (builder, _folder) = builder();
    let app = application(&builder.build().await.unwrap());
    let registering = answer(&app, request(Method::POST, "/register", None, &ada()));
    let hung_up = tokio::time::timeout(Duration::ZERO, registering).await;
    assert!(hung_up.is_err(), "it was done before the client could hang up");
    let mut login = posted(&app, "/login", ada()).await;
    for _ in 0..50 {
        if login.status() == 200 {
            break;
        }
        login = posted(&app, "/login", ada()).await;
    }
    assert_eq!(login.status(), 200);
}

#[tokio::test]
async fn what_another_process_ends_is_refused_without_being_told() {
    let (builder, folder) = builder();
    let app = application(&builder.build().await.unwrap());
    let token = registered(&app, "").await;
    assert_eq!(got(&app, "/hello", Some(&token)).await.status(), 200);

    let other = Doorward::builder().data(folder.path().join("data")).build().await.unwrap();
    let elsewhere = application(&other);
    let left = answer(&elsewhere, request(Method::POST, "/logout", Some(&token), &Value::Null)).await;
    assert_eq!(left.status(), 200);
    other.close().await;

    let refused = async {
        while got(&app, "/hello", Some(&token)).await.status() == 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), refused).await.unwrap();
}

#[tokio::test]
async fn after_the_orderly_end_requests_are_refused_and_the_data_opens_again() {
    let (builder, folder) = builder();
    let doorward = builder.build().await.unwrap();
    let app = application(&doorward);
    let token = registered(&app, "").await;
    doorward.close().await;
    assert_eq!(posted(&app, "/login", ada()).await.status(), 503);
    assert_eq!(got(&app, "/readyz", None).await.status(), 503);

    let again = Doorward::builder().data(folder.path().join("data")).build().await.unwrap();
    assert_eq!(got(&application(&again), "/hello", Some(&token)).await.status(), 200);
}

#[tokio::test]
async fn it_keeps_up_while_a_router_lives_and_no_longer() {
    let (builder, _folder) = builder();
    let doorward = builder.build().await.unwrap();
    let keeping_up = doorward.app().keep_up();
    let router: Router = doorward.router();
    drop(doorward);
    registered(&router, "").await;
    assert!(!keeping_up.is_finished());
    drop(router);
    tokio::time::timeout(Duration::from_secs(30), keeping_up).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_mistake_in_the_settings_is_told_with_what_to_do() {
    let (builder, _folder) = builder();
    let Err(error) = builder.setting("acces.ttl", "5m").build().await else {
        panic!("an unknown setting was taken")
    };
    assert!(error.problem.contains("set in code: there is no setting \"acces.ttl\""), "{error:?}");
    assert!(error.hint.contains("did you mean access.ttl?"), "{error:?}");
    assert_eq!(error.to_string(), format!("{} ({})", error.problem, error.hint));

    let (builder, _folder) = self::builder();
    let Err(error) = builder.jwt_secret("secret").build().await else { panic!("a weak secret was taken") };
    assert!(error.problem.contains("JWT_SECRET"), "{error:?}");
}

#[tokio::test]
async fn a_call_goes_before_the_file_and_the_file_before_the_default() {
    let (builder, folder) = builder();
    let file = folder.path().join("my.toml");
    std::fs::write(&file, "registration = \"closed\"\n[access]\nttl = \"2m\"\n").unwrap();
    let doorward = builder.file(&file).setting("access.ttl", "3m").build().await.unwrap();
    let Settings { access_ttl, refresh_ttl, .. } = doorward.app().settings;
    assert_eq!((access_ttl.as_secs(), refresh_ttl.as_secs()), (180, 30 * 86_400));
    assert_eq!(posted(&application(&doorward), "/register", ada()).await.status(), 403);
}

#[tokio::test]
async fn with_a_shared_secret_tokens_are_signed_with_it() {
    let (builder, _folder) = builder();
    let doorward = builder.jwt_secret("T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p").build().await.unwrap();
    let app = application(&doorward);
    let token = registered(&app, "").await;
    assert!(token.starts_with("eyJhbGciOiJIUzI1NiI"), "{token}");
    assert_eq!(text(got(&app, "/.well-known/jwks.json", None).await).await, "{\"keys\":[]}");
}
