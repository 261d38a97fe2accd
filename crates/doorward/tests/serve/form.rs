//! Heads and bodies that two parsers could read in two ways, or not at all.

use crate::client::{GET, Wire, answers, server, status};

/// Sends it with a second request after it, and returns all that came until the server closed.
async fn sent(address: std::net::SocketAddr, bytes: &str) -> String {
    let mut wire = Wire::to(address).await;
    wire.says(format!("{bytes}{GET}")).await;
    wire.hears_the_end().await
}

#[tokio::test]
async fn h05_unclear_lengths_are_refused_and_no_second_request_runs() {
    let (_site, address) = server(&[]).await;
    let chunked = "0\r\n\r\n";
    for (fields, body) in [
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", chunked),
        ("Transfer-Encoding: chunked, identity", chunked),
        ("Transfer-Encoding: identity", ""),
        ("Transfer-Encoding: gzip, chunked", chunked),
        ("Transfer-Encoding: chunked, chunked", chunked),
        ("Transfer-Encoding: xchunked", chunked),
        ("Transfer-Encoding: \"chunked\"", chunked),
        ("Transfer-Encoding: \x0bchunked", chunked),
        ("Transfer-Encoding : chunked", chunked),
        ("Transfer-Encoding:\r\n chunked", chunked),
        ("Content-Length: +5", "hello"),
        ("Content-Length: -5", "hello"),
        ("Content-Length: 0x5", "hello"),
        ("Content-Length: 5,5", "hello"),
        ("Content-Length: 5 5", "hello"),
        ("Content-Length:", "hello"),
        ("Content-Length : 5", "hello"),
        ("Content-Length: 5\r\nContent-Length: 6", "hello"),
        ("Content-Length: 18446744073709551616", "hello"),
        ("Content-Length: 5\r\n folded", "hello"),
        ("No colon", ""),
        (": no name", ""),
        ("Na me: x", ""),
    ] {
        let heard =
            sent(address, &format!("POST /logout HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}")).await;
        assert_eq!((answers(&heard), status(&heard)), (1, 400), "{fields:?}: {heard}");
    }
}

/// RFC 9112 section 6.1 allows using the coding alone, if the connection ends with that answer.
#[tokio::test]
async fn h05_with_a_length_and_a_coding_the_connection_ends_after_one_answer() {
    let (_site, address) = server(&[]).await;
    for (fields, body) in [
        ("Content-Length: 60\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: x", "0\r\n\r\n"),
    ] {
        let heard =
            sent(address, &format!("POST /logout HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}")).await;
        assert_eq!(answers(&heard), 1, "{fields:?}: {heard}");
        assert!(heard.contains("connection: close"), "{heard}");
    }
}

#[tokio::test]
async fn h05_unclear_chunks_are_refused_and_no_second_request_runs() {
    let (_site, address) = server(&[("http.head_timeout", "500ms")]).await;
    let head =
        "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked";
    for body in [
        "10000000000000000\r\n{}\r\n0\r\n\r\n",
        "ffffffffffffffff0\r\n{}\r\n0\r\n\r\n",
        "-1\r\n{}\r\n0\r\n\r\n",
        "+2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "\r\n{}\r\n0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
        "2;a\nb\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}\r\nzz\r\n",
    ] {
        let heard = sent(address, &format!("{head}\r\n\r\n{body}")).await;
        assert_eq!((answers(&heard), status(&heard)), (1, 400), "{body:?}: {heard}");
    }
    // An invalid trailer line is ignored, and so is what hides behind it.
    let heard = sent(address, &format!("{head}\r\n\r\n2\r\n{{}}\r\n0\r\n\n")).await;
    assert_eq!((answers(&heard), status(&heard)), (1, 422), "{heard}");
}

#[tokio::test]
async fn h05_there_is_one_valid_host() {
    let (_site, address) = server(&[]).await;
    for fields in [
        "Accept: */*",
        "Host: a\r\nHost: a",
        "Host: a\r\nhost: b",
        "Host:",
        "Host: a b",
        "Host: a, b",
        "Host: a/b",
        "Host: user@a",
        "Host: http://a",
        "Host: \u{e4}",
    ] {
        let heard = sent(address, &format!("GET /healthz HTTP/1.1\r\n{fields}\r\n\r\n")).await;
        assert_eq!((answers(&heard), status(&heard)), (1, 400), "{fields:?}: {heard}");
    }
    for host in ["doorward", "doorward.example:8080", "127.0.0.1:80", "[::1]:80", "a_b"] {
        let mut wire = Wire::to(address).await;
        let reply = wire.asks(&format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(reply.status(), 200, "{host}");
    }
}

#[tokio::test]
async fn h05_garbage_behind_a_request_ends_the_connection() {
    let (_site, address) = server(&[]).await;
    for garbage in ["\0\0\0\0\r\n\r\n", "{\"a\":1}\r\n\r\n", "GET\r\n\r\n"] {
        let heard = sent(address, &format!("{GET}{garbage}")).await;
        assert_eq!((answers(&heard), status(&heard)), (2, 200), "{garbage:?}: {heard}");
        assert!(heard.contains("HTTP/1.1 400 "), "{garbage:?}: {heard}");
    }
    let heard = sent(address, &format!("{GET}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).await;
    assert_eq!((answers(&heard), status(&heard)), (1, 200), "{heard}");
}

#[tokio::test]
async fn h05_forms_that_the_standard_allows_are_answered() {
    let (_site, address) = server(&[]).await;
    for (request, expected) in [
        ("GET http://elsewhere/healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("GET /healthz HTTP/1.1\nHost: a\n\n", 200),
        ("\r\nGET /healthz HTTP/1.1\r\nhOsT: a\r\n\r\n", 200),
        ("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("POST /logout HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", 200),
        ("BREW /login HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("get /login HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("TRACE /login HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    ] {
        let mut wire = Wire::to(address).await;
        wire.says(request).await;
        let heard = String::from_utf8(wire.hears_within(crate::client::BOUND).await.unwrap()).unwrap();
        assert_eq!(status(&heard), expected, "{request:?}: {heard}");
    }
}

#[tokio::test]
async fn h05_http_1_0_needs_no_host_and_ends_after_one_answer() {
    let (_site, address) = server(&[]).await;
    let heard = sent(address, "GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!((answers(&heard), status(&heard)), (1, 200), "{heard}");
    let coded = "POST /logout HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let heard = sent(address, coded).await;
    assert_eq!((answers(&heard), status(&heard)), (1, 400), "{heard}");
}

#[tokio::test]
async fn h10_control_characters_are_refused_and_bytes_beyond_ascii_do_no_harm() {
    let (_site, address) = server(&[]).await;
    for byte in (0..=0x1f).chain([0x7f]).filter(|byte| !b"\t\n\r".contains(byte)) {
        let control = char::from(byte);
        let in_value =
            sent(address, &format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX: a{control}b\r\n\r\n")).await;
        let in_path = sent(address, &format!("GET /healthz{control} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        for heard in [in_value, in_path] {
            assert_eq!((answers(&heard), status(&heard)), (1, 400), "{byte:#x}: {heard}");
        }
    }
    for (request, expected) in [
        ("GET /profile HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \u{e9}\u{fffd}\r\n\r\n", &[401][..]),
        ("GET /profile HTTP/1.1\r\nHost: a\r\nCookie: __Host-token=\u{e9}\r\n\r\n", &[401]),
        ("GET /healthz\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", &[400, 404]),
        ("GET /healthz%00%0d%0a%ff HTTP/1.1\r\nHost: a\r\n\r\n", &[400, 404]),
        ("GET /admin/users/%ff HTTP/1.1\r\nHost: a\r\n\r\n", &[400, 401]),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\tb\u{e9}\r\n\r\n", &[200]),
    ] {
        let mut wire = Wire::to(address).await;
        let reply = wire.asks(request).await;
        assert!(expected.contains(&reply.status()), "{request:?}: {reply:?}");
    }
}
