use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use doorward_core::role::permission::FLOW_READ;
use http::{Method, Request};
use tower::ServiceExt;

use super::*;
use crate::testing::{Answer, Site, Visitor};
use crate::web::api::{Routes, Who, describe};

/// Two routes that development mode opens, alone, with the gate before them.
fn router(app: &App) -> Router {
    let about = |who| describe("x", who).empty(200, "who looks");
    Routes::of("x")
        .get("/tour", look, about(Who::Developer))
        .post("/flow", look, about(Who::DeveloperOr(FLOW_READ)))
        .router(app)
        .with_state(app.clone())
}

async fn look(State(app): State<App>, viewer: Viewer) -> Result<Response> {
    viewer.may_still(&app).await?;
    Ok(match viewer {
        Viewer::Developer => "developer",
        Viewer::Admin(..) => "admin",
    }
    .into_response())
}

/// The text or the code of the answer to a request with these headers, of this caller, from this address.
async fn ask(app: &App, by: &Visitor, path: &str, peer: Option<[u8; 4]>, headers: &[(&str, &str)]) -> String {
    let method = if path == "/flow" { Method::POST } else { Method::GET };
    let request =
        headers.iter().fold(by.request(method, path), |request, (name, value)| request.header(*name, *value));
    let mut request: Request<Body> = request.body(Body::empty()).unwrap();
    if let Some(peer) = peer {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 4711))));
    }
    let response = router(app).oneshot(request).await.unwrap();
    match response.extensions().get::<std::sync::Arc<Error>>() {
        Some(error) => error.code().to_owned(),
        None => {
            let status = response.status();
            let (parts, body) = response.into_parts();
            let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
            Answer { status, headers: parts.headers, body: body.to_vec() }.text().to_string()
        }
    }
}

const HERE: Option<[u8; 4]> = Some([127, 0, 0, 1]);

#[tokio::test]
async fn in_development_mode_the_gate_opens_to_this_machine_without_a_credential() {
    let site = Site::with(&[("dev", "true"), ("origins", "http://localhost:5173,http://127.0.0.1")]).await;
    let visitor = site.visitor();
    for path in ["/tour", "/flow"] {
        for headers in [
            &[][..],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1")],
            &[("origin", "http://127.0.0.1")],
        ] {
            assert_eq!(
                ask(&site.app, &visitor, path, HERE, headers).await,
                "developer",
                "{path} {headers:?}"
            );
        }
    }
}

#[tokio::test]
async fn x24_in_development_mode_the_gate_is_shut_to_networks_tunnels_and_other_pages() {
    let site = Site::with(&[("dev", "true"), ("origins", "http://localhost:5173")]).await;
    let root = site.admin("root").await;
    for path in ["/tour", "/flow"] {
        for peer in [None, Some([192, 0, 2, 1]), Some([10, 0, 0, 1]), Some([0, 0, 0, 0])] {
            assert_eq!(ask(&site.app, &root, path, peer, &[]).await, "development_only", "{path} {peer:?}");
        }
        for header in [
            "forwarded",
            "via",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-anything",
            "x-real-ip",
            "cf-connecting-ip",
            "cf-ray",
            "true-client-ip",
            "x-original-host",
            "x-envoy-external-address",
            "x-amzn-trace-id",
            "fly-client-ip",
            "tailscale-user-login",
            "ngrok-auth-user-email",
        ] {
            let code = ask(&site.app, &root, path, HERE, &[(header, "127.0.0.1")]).await;
            assert_eq!(code, "development_only", "{path} {header}");
            assert_eq!(
                ask(&site.app, &root, path, HERE, &[(header, "")]).await,
                "development_only",
                "{header}"
            );
        }
        for headers in [
            &[("sec-fetch-site", "same-site")][..],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-origin, none")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none")],
            &[("sec-fetch-site", "same-site"), ("origin", "http://localhost:5173")],
            &[("origin", "http://localhost:5173")],
            &[("origin", "http://evil.example")],
            &[("origin", "null"), ("sec-fetch-site", "same-origin")],
        ] {
            let code = ask(&site.app, &root, path, HERE, headers).await;
            assert_eq!(code, "development_only", "{path} {headers:?}");
        }
    }
}

#[tokio::test]
async fn outside_development_mode_the_gate_asks_for_the_permission() {
    let site = Site::with(&[("roles.watcher", "flow:read")]).await;
    site.user("watcher", "watcher".parse().unwrap()).await;
    let (watcher, root) = (site.logged_in("watcher").await, site.admin("root").await);
    let (ada, nobody) = (site.logged_in("ada").await, site.visitor());
    for (who, on_flow) in
        [(&watcher, "admin"), (&root, "admin"), (&ada, "forbidden"), (&nobody, "token_missing")]
    {
        assert_eq!(ask(&site.app, who, "/flow", HERE, &[]).await, on_flow);
        assert_eq!(ask(&site.app, who, "/tour", HERE, &[]).await, "development_only");
    }
    // From a network, and through a proxy: this is an admin's page like others.
    let proxied =
        ask(&site.app, &root, "/flow", Some([192, 0, 2, 1]), &[("x-forwarded-for", "192.0.2.7")]).await;
    assert_eq!(proxied, "admin");
    let copy = watcher.copy();
    watcher.post("/logout", serde_json::Value::Null).await.is_ok();
    assert_eq!(ask(&site.app, &copy, "/flow", HERE, &[]).await, "session_ended");
}
