//! Clients that are slow, at every point of a connection where one can be.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

use crate::client::{GET, Wire, server, soon, status};

/// Sends a byte every 20 ms until the server closes, and returns the answer.
async fn drips(mut wire: Wire) -> String {
    let mut heard = Vec::new();
    soon(async {
        loop {
            match wire.hears_within(Duration::from_millis(20)).await {
                Some(bytes) if bytes.is_empty() => break String::from_utf8(heard).unwrap(),
                Some(bytes) => heard.extend(bytes),
                None => drop(wire.says("a").await),
            }
        }
    })
    .await
}

#[tokio::test]
async fn h06_a_head_that_drips_is_cut_off() {
    let (_site, address) = server(&[("http.head_timeout", "200ms")]).await;
    for start in ["", "G", "GET /healthz HTTP/1.1\r\nHost: a\r\nX: "] {
        let began = Instant::now();
        let mut wire = Wire::to(address).await;
        wire.says(start).await;
        assert_eq!(drips(wire).await, "");
        assert!(began.elapsed() >= Duration::from_millis(200));
    }
    // Also the second head of a connection.
    let mut wire = Wire::to(address).await;
    assert_eq!(wire.asks(GET).await.status(), 200);
    wire.says("GET /healthz HTTP/1.1\r\nHost: a\r\nX: ").await;
    assert_eq!(drips(wire).await, "");
}

#[tokio::test]
async fn h06_a_body_that_drips_is_refused_and_cut_off() {
    let (_site, address) = server(&[("http.body_timeout", "200ms")]).await;
    let head = "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    let mut wire = Wire::to(address).await;
    wire.says(format!("{head}Content-Length: 60000\r\n\r\n{{")).await;
    let heard = drips(wire).await;
    assert!(status(&heard) == 408 && heard.contains("\"timeout\""), "{heard}");
    let mut wire = Wire::to(address).await;
    wire.says(format!("{head}Transfer-Encoding: chunked\r\n\r\n1000\r\n")).await;
    let heard = drips(wire).await;
    assert!(status(&heard) == 408 && heard.contains("\"timeout\""), "{heard}");
}

#[tokio::test]
async fn h06_an_idle_connection_is_closed() {
    let (_site, address) = server(&[("http.head_timeout", "200ms")]).await;
    let silent = Wire::to(address).await;
    assert_eq!(silent.hears_the_end().await, "");
    let mut used = Wire::to(address).await;
    for _ in 0..3 {
        assert_eq!(used.asks(GET).await.status(), 200);
    }
    assert_eq!(used.hears_the_end().await, "");
}

/// An answer is small, and the system buffers it: so the reader requests many, and reads none.
#[tokio::test]
async fn h07_who_asks_and_never_reads_is_cut_off() {
    let (_site, address) = server(&[
        ("http.write_timeout", "200ms"),
        ("http.head_timeout", "60s"),
        ("http.max_connections", "1"),
    ])
    .await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let asking =
        async { while stream.write_all(b"GET /style.css HTTP/1.1\r\nHost: a\r\n\r\n").await.is_ok() {} };
    soon(asking).await;
    // Its place is free again.
    assert_eq!(Wire::to(address).await.asks(GET).await.status(), 200);
}

#[tokio::test]
async fn h06_newcomers_are_served_among_idle_and_dripping_connections() {
    let (_site, address) = server(&[]).await;
    let mut crowd = Vec::new();
    for n in 0..1_000 {
        let mut wire = Wire::to(address).await;
        if n % 2 == 0 {
            wire.says("POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nX: ").await;
        }
        crowd.push(wire);
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(Wire::to(address).await.asks(GET).await.status(), 200);
        slowest = slowest.max(began.elapsed());
    }
    // The limit is 0.1 s; a busy test machine gets some more.
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}
