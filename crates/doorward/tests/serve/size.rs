//! Heads and bodies over their limits.

use serde_json::json;

use crate::client::{BOUND, Wire, answers, post, server, status};

#[tokio::test]
async fn h09_a_head_over_the_limit_is_refused_and_ends_the_connection() {
    let (_site, address) = server(&[]).await;
    let long = "a".repeat(64 * 1024);
    let many: String = (0..1_000).map(|n| format!("X-{n}: a\r\n")).collect();
    for head in [
        format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
        format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("{long} / HTTP/1.1\r\nHost: a\r\n\r\n"),
        // It needs no end to be too long.
        format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX: {long}"),
    ] {
        let mut wire = Wire::to(address).await;
        wire.says(&head).await;
        let heard = wire.hears_the_end().await;
        assert_eq!(answers(&heard), 1, "{heard}");
        assert!([400, 414, 431].contains(&status(&heard)), "{heard}");
    }
}

#[tokio::test]
async fn h09_a_head_within_the_limit_is_read() {
    let (_site, address) = server(&[]).await;
    let mut wire = Wire::to(address).await;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(15_000));
    assert_eq!(wire.asks(&request).await.status(), 200);
}

#[tokio::test]
async fn h01_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent() {
    let (_site, address) = server(&[]).await;
    let head =
        "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 70000\r\n";
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut wire = Wire::to(address).await;
        let reply = wire.asks(&format!("{head}{expect}\r\n")).await;
        assert_eq!((reply.status(), reply.field("code").as_str()), (413, "too_large"));
        assert_eq!(wire.hears_the_end().await, "");
    }
}

#[tokio::test]
async fn h01_a_client_that_sends_all_of_it_first_still_reads_the_refusal() {
    let (_site, address) = server(&[]).await;
    let large = post("/login", &json!({ "password": "a".repeat(900_000) }));
    let mut wire = Wire::narrow(address).await;
    assert!(wire.says(&large).await, "the server cut it off while it was sending");
    let heard = wire.hears_the_end().await;
    assert!(status(&heard) == 413 && heard.contains("too_large"), "{heard}");
}

#[tokio::test]
async fn h01_chunks_without_end_are_refused_at_the_limit() {
    let (_site, address) = server(&[]).await;
    let head =
        "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    let mut wire = Wire::to(address).await;
    wire.says(format!("{head}\r\n")).await;
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    let mut sent = 0;
    while sent < 64 * 1024 * 1024 && wire.says(&chunk).await {
        sent += chunk.len();
    }
    assert!(sent < 64 * 1024 * 1024, "the server reads on for ever");
    let heard = wire.hears_the_end().await;
    assert!(heard.is_empty() || (status(&heard) == 413 && heard.contains("too_large")), "{heard}");

    // Seventeen chunks are just over the limit, and well within what is dropped after the answer.
    let mut wire = Wire::to(address).await;
    wire.says(format!("{head}\r\n{}", chunk.repeat(17))).await;
    let reply = wire.hears().await;
    assert_eq!((reply.status(), reply.field("code").as_str()), (413, "too_large"));
}

#[tokio::test]
async fn h01_a_body_that_nobody_reads_ends_the_connection() {
    let (_site, address) = server(&[]).await;
    let mut wire = Wire::to(address).await;
    let head = "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n";
    wire.says(head).await;
    let heard = wire.hears_the_end().await;
    assert_eq!((answers(&heard), status(&heard)), (1, 200), "{heard}");
}

#[tokio::test]
async fn a_browser_full_of_cookies_is_told_how_to_delete_them() {
    let (_site, address) = server(&[]).await;
    let cookies = |n: usize| -> String {
        (0..n).map(|n| format!("Cookie: planted{n}={}\r\n", "a".repeat(4_000))).collect()
    };
    let full = format!("GET /dashboard HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n{}\r\n", cookies(20));
    for before in ["", "GET", "HEAD", "POST"] {
        let mut wire = Wire::to(address).await;
        if !before.is_empty() {
            wire.says(format!("{before} /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")).await;
            assert!(wire.hears_within(BOUND).await.is_some_and(|heard| heard.starts_with(b"HTTP/1.1 ")));
        }
        wire.says(&full).await;
        let heard = wire.hears_the_end().await;
        let answer = &heard[heard.find("HTTP/1.1 431 ").unwrap_or_else(|| panic!("{before}: {heard}"))..];
        let (head, page) = answer.split_once("\r\n\r\n").unwrap();
        assert!(page.contains("delete the cookies") && page.ends_with("</html>\n"), "{before}: {answer}");
        let lengths: Vec<&str> =
            head.lines().filter_map(|line| line.strip_prefix("content-length: ")).collect();
        assert_eq!(lengths, [page.len().to_string()], "{before}: {head}");
        for line in ["connection: close", "cache-control: no-store", "referrer-policy: same-origin"] {
            assert!(head.lines().any(|said| said == line), "{before}: no {line}: {head}");
        }
        assert!(head.contains("\r\ncontent-security-policy: default-src 'none'"), "{before}: {head}");
        assert!(!head.contains("set-cookie"), "{before}: {head}");
    }
}
