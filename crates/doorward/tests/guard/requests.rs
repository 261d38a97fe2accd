//! The layer and the extractors, as an application uses them.

use axum::body::Body;
use axum::routing::get;
use axum::{Extension, Router};
use doorward::testing::{Site, Visitor};
use doorward_guard::{Admin, Guard, Identity, Needs, Require, Requirement};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

const SECRET: &str = "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p";

struct WritesPosts;

impl Requirement for WritesPosts {
    const NEEDS: Needs = Needs::Permission("posts.write");
}

async fn scene() -> (Site, Guard) {
    let site = Site::with(&[("JWT_SECRET", SECRET)]).await;
    let clock = site.clock.clone();
    let builder = Guard::builder().secret(SECRET).role("editor", ["posts.write"]).clock(move || clock.now());
    (site, builder.build().await.unwrap())
}

async fn ask(app: &Router, path: &str, who: Option<&Visitor>) -> (StatusCode, String) {
    let mut request = Request::get(path);
    if let Some(who) = who {
        request = request.header("authorization", format!("Bearer {}", who.token().unwrap()));
    }
    let answer = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_handler_says_whom_it_is_for_by_its_arguments() {
    let (site, guard) = scene().await;
    let app = Router::new()
        .route("/me", get(async |me: Identity| me.user.to_string()))
        .route("/greet", get(async |who: Option<Identity>| if who.is_some() { "you" } else { "stranger" }))
        .route("/admin", get(async |admin: Require<Admin>| admin.role.to_string()))
        .route("/write", get(async |writer: Require<WritesPosts>| writer.identity().role.to_string()))
        .with_state(guard);
    let (ada, root) = (site.logged_in("ada").await, site.admin("root").await);
    assert_eq!(ask(&app, "/me", Some(&ada)).await, (StatusCode::OK, ada.user_id().await));
    let (status, body) = ask(&app, "/me", None).await;
    assert!(status == 401 && body.contains("token_missing"), "{status} {body}");
    assert_eq!(ask(&app, "/greet", None).await.1, "stranger");
    assert_eq!(ask(&app, "/greet", Some(&ada)).await.1, "you");
    assert_eq!(ask(&app, "/admin", Some(&root)).await, (StatusCode::OK, "admin".into()));
    assert_eq!(ask(&app, "/write", Some(&root)).await.0, 200, "an admin may do everything");
    for path in ["/admin", "/write"] {
        assert_eq!(ask(&app, path, None).await.0, 401);
        let (status, body) = ask(&app, path, Some(&ada)).await;
        assert!(status == 403 && body.contains("\"code\":\"forbidden\""), "{status} {body}");
    }
    let bad = Request::get("/greet").header("authorization", "Bearer bad").body(Body::empty()).unwrap();
    assert_eq!(app.oneshot(bad).await.unwrap().status(), 401, "a bad credential is none to be passed over");
}

#[tokio::test]
async fn a_layer_guards_everything_inside_of_it() {
    let (site, guard) = scene().await;
    let who = async |who: Option<Extension<Identity>>| match who {
        Some(Extension(identity)) => identity.user.to_string(),
        None => "stranger".into(),
    };
    let behind = |layer| Router::new().route("/", get(who)).layer(layer).route("/open", get(who));
    let (ada, root) = (site.logged_in("ada").await, site.admin("root").await);

    let app = behind(guard.layer());
    assert_eq!(ask(&app, "/", Some(&ada)).await, (StatusCode::OK, ada.user_id().await));
    assert_eq!(ask(&app, "/", None).await.0, 401);
    assert_eq!(ask(&app, "/open", None).await.1, "stranger");

    let app = behind(guard.layer().optional());
    assert_eq!(ask(&app, "/", None).await.1, "stranger");
    assert_eq!(ask(&app, "/", Some(&ada)).await.1, ada.user_id().await);

    for needs in [Needs::Role("admin"), Needs::Permission("posts.write")] {
        let app = behind(guard.layer().optional().require(needs));
        assert_eq!(ask(&app, "/", None).await.0, 401);
        assert_eq!(ask(&app, "/", Some(&ada)).await.0, 403);
        assert_eq!(ask(&app, "/", Some(&root)).await.0, 200);
    }
    let app = behind(guard.layer().require(Needs::Role("admin")).require(Needs::Role("editor")));
    assert_eq!(ask(&app, "/", Some(&root)).await.0, 403, "of several requirements each counts");
}
