//! One request over a connection of its own, for the tests of the examples.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Status and body of the answer to the holder of this token; `headers` are further ones, each with its line end.
pub(crate) fn ask(
    address: &str,
    (method, path): (&str, &str),
    token: Option<&str>,
    headers: &str,
    body: &str,
) -> (u16, String) {
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{bearer}{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
