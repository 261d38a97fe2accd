//! Metrics: on a listener of their own, true, and without personal data.

use doorward::internals::Listening;
use doorward::testing::{PASSWORD, Site};
use serde_json::json;
use tokio::sync::oneshot;

use crate::client::{Wire, post, soon};

const METRICS: &str = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

#[tokio::test]
async fn what_happened_is_counted_and_nobody_is_named() {
    let site = Site::with(&[("metrics.listen", "127.0.0.1:0")]).await;
    let listening = Listening::bind(&site.app).await.unwrap();
    let (address, metrics) = (listening.address().unwrap(), listening.metrics_address().unwrap());
    tokio::spawn(listening.serve(std::future::pending()));

    let mut ada = Wire::to(address).await;
    let who = json!({ "name": "Ada Lovelace", "email": "ada@example.org", "password": PASSWORD });
    assert_eq!(ada.asks(&post("/register", &who)).await.status(), 201);
    let login = ada.asks(&post("/login", &who)).await;
    let (token, refresh) = (login.field("token"), login.field("refresh_token"));
    ada.asks(&post("/login", &json!({ "email": "ada@example.org", "password": "not hers, no" }))).await;
    for _ in 0..2 {
        ada.asks(&post("/refresh", &json!({ "refresh_token": refresh }))).await;
    }
    ada.asks(&format!("GET /profile?x=ada HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"))
        .await;
    ada.asks("GET /ada/lovelace HTTP/1.1\r\nHost: a\r\n\r\n").await;
    ada.asks("GET /sessions/ada HTTP/1.1\r\nHost: a\r\n\r\n").await;

    ada.asks("GET /forward-auth HTTP/1.1\r\nHost: a\r\n\r\n").await;

    let mut monitor = Wire::to(metrics).await;
    let said = monitor.asks(METRICS).await;
    assert_eq!(said.status(), 200);
    for line in [
        "doorward_forward_auth_denied_total{reason=\"it was not asked by one of trusted_proxies\"} 1",
        "doorward_connections_closed_total 0",
        "doorward_accepts_failed_total 0",
        "doorward_log_lines_dropped_total 0",
        "doorward_requests_total{method=\"POST\",route=\"/login\",status=\"200\"} 1",
        "doorward_requests_total{method=\"GET\",route=\"/profile\",status=\"200\"} 1",
        "doorward_requests_total{method=\"GET\",route=\"/sessions/{id}\",status=\"405\"} 1",
        "doorward_requests_total{method=\"GET\",route=\"other\",status=\"404\"} 1",
        "doorward_request_duration_seconds_count{route=\"/login\"} 2",
        "doorward_sign_ins_total{outcome=\"ok\"} 1",
        "doorward_sign_ins_total{outcome=\"invalid_credentials\"} 1",
        "doorward_refusals_total{code=\"not_found\"} 1",
        "doorward_refreshes_total{outcome=\"rotated\"} 1",
        "doorward_refreshes_total{outcome=\"repeated\"} 1",
        "doorward_revocations_whole 1",
        "doorward_hashing_waiting 0",
        "doorward_disk_low 0",
        "doorward_draining 0",
        "doorward_build_info{version=\"",
        "doorward_store_seconds_count{kind=\"write\"}",
        "# EOF",
    ] {
        assert!(said.body.lines().any(|one| one.starts_with(line)), "no {line} in {}", said.body);
    }
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"] {
        assert!(!cfg!(target_os = "linux") || said.body.contains(&format!("\n{name} ")), "no {name}");
    }
    for secret in ["ada", "Lovelace", "127.0.0.1", &token, &refresh] {
        assert!(!said.body.contains(secret), "{secret} in {}", said.body);
    }
    assert_eq!(monitor.asks("GET /profile HTTP/1.1\r\nHost: a\r\n\r\n").await.status(), 404);
    assert_eq!(ada.asks(METRICS).await.status(), 404, "not where everybody is");
}

/// A load balancer has to learn of the end before the listener closes.
#[tokio::test]
async fn a_server_that_was_told_to_stop_says_so_while_it_still_accepts() {
    let site = Site::with(&[("http.drain_delay", "300ms"), ("metrics.listen", "127.0.0.1:0")]).await;
    let listening = Listening::bind(&site.app).await.unwrap();
    let (address, metrics) = (listening.address().unwrap(), listening.metrics_address().unwrap());
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(listening.serve(async { drop(stopped.await) }));
    const READY: &str = "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n";
    let (mut balancer, mut monitor) = (Wire::to(address).await, Wire::to(metrics).await);
    assert_eq!((balancer.asks(READY).await.status(), monitor.asks(READY).await.status()), (200, 200));
    stop.send(()).unwrap();
    soon(async { while balancer.asks(READY).await.status() == 200 {} }).await;
    // A new client still gets an answer, and so do requests on open connections.
    let mut late = Wire::to(address).await;
    assert_eq!(late.asks("GET /login HTTP/1.1\r\nHost: a\r\n\r\n").await.status(), 200);
    assert_eq!(monitor.asks(READY).await.status(), 503);
    soon(ended).await.unwrap();
}
