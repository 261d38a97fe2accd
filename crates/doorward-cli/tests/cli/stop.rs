use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;

use crate::support::{Home, PASSWORD, Server, read_answer};

/// Begins a sign-in whose body is still to come, and waits until the server asks for it: the request is open.
fn open_request(server: &Server) -> (TcpStream, String) {
    let body = format!(r#"{{"email":"nobody@example.org","password":"{PASSWORD}"}}"#);
    let mut stream = server.connect();
    write!(
        stream,
        "POST /login HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        server.address,
        body.len()
    )
    .unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    (stream, body)
}

#[test]
fn a_signal_lets_an_open_request_finish_and_the_exit_code_is_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new();
        let mut server = home.serve(&[]);
        let (mut stream, body) = open_request(&server);
        server.signal(signal);
        server.logged("stopping");
        while TcpStream::connect(&server.address).is_ok() {}
        stream.write_all(body.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut stream).unwrap().code(), "invalid_credentials");
        assert_eq!(server.code(), Some(0));
    }
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let home = Home::new();
    let mut server = home.serve(&["--set", "http.drain_timeout=1h"]);
    let _open = open_request(&server);
    server.signal(Signal::TERM);
    server.logged("stopping");
    server.signal(Signal::TERM);
    assert_eq!(server.code(), Some(128 + 15));
}

#[test]
fn an_open_request_is_not_waited_for_without_end() {
    let home = Home::new();
    let mut server = home.serve(&["--set", "http.drain_timeout=50ms"]);
    let _open = open_request(&server);
    server.signal(Signal::TERM);
    assert_eq!(server.code(), Some(0));
}
