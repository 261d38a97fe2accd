//! A server's log: nobody can fill it, nothing waits for its reader, and it contains what an operator looks for.

use std::io::{PipeReader, PipeWriter, Write, pipe};

use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use crate::support::{Home, lines, read_answer};

/// A full pipe.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'.'; 4096]).is_ok() {}
    while writer.write(b".").is_ok() {}
    ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}

/// Makes each read of the database fail.
fn break_database(home: &Home) {
    let database = rusqlite::Connection::open(home.data().join("doorward.db")).unwrap();
    database.execute_batch("ALTER TABLE users RENAME TO gone; ALTER TABLE sessions RENAME TO over").unwrap();
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn login() -> String {
    let body = r#"{"email":"nobody@example.org","password":"a window is a promise"}"#;
    format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn x01_whoever_reads_no_log_gets_every_answer_and_an_orderly_end() {
    // At this level each request writes a line: many times what the pipe and the queue hold.
    for (level, requests) in [("info", 2_000), ("debug", 40_000)] {
        let home = Home::sqlite();
        let (reader, writer) = full_pipe();
        let mut server = home.serve_logging_to(writer, &["--log-level", level, "--no-throttle"]);
        assert_eq!(server.flood(&get("/forward-auth"), requests), requests);
        break_database(&home);
        assert_eq!(server.flood(&login(), 2_000), 2_000);
        assert_eq!(server.login("ada").code(), "unavailable");
        assert_eq!(server.get("/healthz", "").status, 200);
        if level == "debug" {
            // As soon as it is read again, the log says what it lost.
            let log = lines(reader.try_clone().unwrap());
            let said = log.iter().find(|line| line.contains("lines of the log were dropped"));
            assert!(said.is_some());
        }
        server.signal(Signal::TERM);
        assert_eq!(server.code(), Some(0));
    }
}

#[test]
fn x01_the_first_lines_and_an_error_wait_for_no_reader() {
    let home = Home::sqlite();
    let ((_out, out), (_err, err)) = (full_pipe(), full_pipe());
    let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut server = command.stdout(out).stderr(err).spawn().unwrap();
    let database = home.data().join("doorward.db");
    while !database.exists() {
        std::thread::yield_now();
    }
    rustix::process::kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));

    let (_err, err) = full_pipe();
    let mut command = home.command(&["serve", "--set", "access.ttl=soon"]);
    assert_eq!(command.stderr(err).spawn().unwrap().wait().unwrap().code(), Some(1));
}

#[test]
fn x01_a_strangers_requests_write_no_more_than_a_line_a_minute_each_with_their_number() {
    let home = Home::sqlite();
    let server = home.serve(&["--log-format", "json", "--no-throttle"]);
    assert_eq!(server.flood(&get("/forward-auth"), 5_000), 5_000);
    break_database(&home);
    assert_eq!(server.flood(&login(), 1_000), 1_000);
    let log = server.stop();
    let times = |what: &str| -> Vec<u64> {
        let lines = log.lines().filter(|line| line.contains(what));
        lines.map(|line| serde_json::from_str::<Value>(line).unwrap()["times"].as_u64().unwrap()).collect()
    };
    // One at once, one at the end with the rest.
    assert_eq!(times("forward-auth denied a request"), [1, 4_999], "{log}");
    assert_eq!(times("the store failed"), [1, 999], "{log}");
    assert!(log.lines().count() < 20, "{log}");
}

/// The lines of the log with this message.
fn said(log: &str, message: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == message).collect()
}

#[test]
fn header_body_and_log_name_a_failed_request_alike_and_its_cause_once() {
    let home = Home::sqlite();
    let server = home.serve(&["--log-format", "json"]);
    break_database(&home);
    let answer = server.login("ada");
    assert_eq!(answer.code(), "unavailable");
    let log = server.stop();
    let lines = said(&log, "the store failed");
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0]["why"].as_str().unwrap().contains("no such table"), "{log}");
    let ids = [&answer.request_id, answer.body["request_id"].as_str().unwrap()];
    assert_eq!(ids, [lines[0]["request_id"].as_str().unwrap(); 2]);
}

#[test]
fn sign_ins_are_lines_with_the_ids_of_their_answers_until_their_network_is_limited() {
    let home = Home::new();
    let server = home.serve(&["--log-format", "json"]);
    let registered = server.register("ada");
    let good = server.login("ada");
    let wrong = json!({ "email": "ada@example.org", "password": "a window is a promise" });
    let guess = || server.post("/login", "", wrong.clone());
    let mut answers = vec![guess()];
    while answers.last().unwrap().status == 401 {
        answers.push(guess());
    }
    let lines = answers.len() - 1;
    answers.extend([guess(), guess()]);
    // A form fails as JSON does, and for the log its network is limited.
    let form = "email=ben%40example.org&password=a+window+is+a+promise";
    let mut stream = server.connect();
    write!(
        stream,
        "POST /login HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        server.address,
        form.len()
    )
    .unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().status, 401);
    let log = server.stop();

    // A registration signs in too.
    let succeeded = said(&log, "signed in");
    let expected = [&registered, &good].into_iter().zip(&succeeded).map(|(answer, line)| {
        json!({
            "timestamp": line["timestamp"], "level": "INFO", "message": "signed in", "ip": "127.0.0.1",
            "user": registered.body["user"]["id"], "session": line["session"], "mode": "bearer",
            "request_id": answer.request_id, "target": "doorward::sign_in",
        })
    });
    assert_eq!(succeeded, expected.collect::<Vec<_>>(), "{log}");
    assert_ne!(succeeded[0]["session"], succeeded[1]["session"]);
    let failed = said(&log, "sign-in failed");
    let expected = answers[..lines].iter().zip(&failed).map(|(answer, line)| {
        json!({
            "timestamp": line["timestamp"], "level": "WARN", "message": "sign-in failed", "ip": "127.0.0.1",
            "code": "invalid_credentials", "request_id": answer.request_id, "target": "doorward::sign_in",
        })
    });
    assert_eq!(failed, expected.collect::<Vec<_>>(), "{log}");
    let rest = said(&log, "sign-ins failed");
    assert!(rest.iter().all(|line| line["network"] == "127.0.0.1"), "{log}");
    // On a slow machine a minute may end in between.
    let times: u64 = rest.iter().map(|line| line["times"].as_u64().unwrap()).sum();
    assert_eq!((times, rest.len() <= 2), (4, true), "{log}");
}

#[test]
fn a_failed_sign_in_in_text_begins_as_the_guide_says() {
    let home = Home::new();
    let server = home.serve(&["--log-format", "text"]);
    let answer = server.login("nobody");
    let log = server.stop();
    let line = log.lines().find(|line| line.contains("sign-in failed")).unwrap();
    let (_, line) = line.split_once("Z ").unwrap();
    let id = answer.request_id;
    assert_eq!(
        line,
        format!(
            " WARN doorward::sign_in: sign-in failed ip=127.0.0.1 code=invalid_credentials request_id={id}"
        )
    );
}
