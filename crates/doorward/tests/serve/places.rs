//! The limit on connections, and what happens when descriptors run out.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use doorward::internals::Listening;
use doorward::testing::{PASSWORD, Site};
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::client::{BOUND, GET, Wire, post, server, soon};

#[tokio::test]
async fn h06_beyond_the_limit_clients_wait_until_a_place_is_free() {
    let (_site, address) = server(&[("http.max_connections", "2"), ("http.head_timeout", "60s")]).await;
    let (mut first, mut second) = (Wire::to(address).await, Wire::to(address).await);
    assert_eq!((first.asks(GET).await.status(), second.asks(GET).await.status()), (200, 200));
    let mut third = Wire::to(address).await;
    third.says(GET).await;
    // Clients that have a place are served meanwhile.
    for _ in 0..50 {
        assert_eq!((first.asks(GET).await.status(), second.asks(GET).await.status()), (200, 200));
    }
    assert!(!third.has_heard());
    first.hangs_up(false);
    assert_eq!(third.hears().await.status(), 200);
    let mut fourth = Wire::to(address).await;
    fourth.says(GET).await;
    second.hangs_up(true);
    assert_eq!(fourth.hears().await.status(), 200);
}

#[tokio::test]
async fn a_session_shows_the_address_that_its_connection_came_from() {
    let (_site, address) = server(&[]).await;
    for own in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        let mut wire = Wire::from(own, address).await;
        let name = format!("ada{}", own[3]);
        let ada = json!({ "name": name, "email": format!("{name}@example.org"), "password": PASSWORD });
        let token = wire.asks(&post("/register", &ada)).await.field("token");
        let sessions = format!("GET /sessions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        let body: serde_json::Value = serde_json::from_str(&wire.asks(&sessions).await.body).unwrap();
        assert_eq!(body["sessions"][0]["ip"], std::net::Ipv4Addr::from(own).to_string());
    }
}

#[tokio::test]
async fn h06_an_address_with_all_its_connections_gets_no_further_one() {
    let (_site, address) = server(&[("http.max_connections_per_address", "2")]).await;
    let (mut first, mut second) = (Wire::to(address).await, Wire::to(address).await);
    assert_eq!((first.asks(GET).await.status(), second.asks(GET).await.status()), (200, 200));
    assert_eq!(Wire::to(address).await.hears_the_end().await, "");
    first.hangs_up(false);
    let back = async {
        loop {
            let mut third = Wire::to(address).await;
            third.says(GET).await;
            if third.hears_within(BOUND).await.is_some_and(|heard| heard.starts_with(b"HTTP/1.1 200")) {
                break;
            }
        }
    };
    soon(back).await;
    assert_eq!(second.asks(GET).await.status(), 200);
}

/// One test of this file again, in a process of its own that may open this many files.
fn with_few_files(files: u32, test: &str) -> Command {
    let mut again = Command::new("sh");
    again
        .arg("-c")
        .arg(format!("ulimit -n {files} && exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().unwrap());
    again.args(["--exact", test, "--nocapture"]).env(FEW_FILES, "1");
    again
}

const FEW_FILES: &str = "DOORWARD_TEST_FEW_FILES";

fn is_inside() -> bool {
    std::env::var_os(FEW_FILES).is_some()
}

/// Of 100 files 50 are for connections; the clients are in another process, and have theirs.
#[tokio::test]
async fn h06_the_limit_on_files_lowers_the_limit_on_connections() {
    if is_inside() {
        let (_site, address) = server(&[("http.head_timeout", "60s")]).await;
        println!("\nADDRESS {address}");
        // Until the other process closes our input.
        tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()))
            .await
            .unwrap()
            .unwrap();
        return;
    }
    let mut inside = with_few_files(100, "places::h06_the_limit_on_files_lowers_the_limit_on_connections");
    let mut inside = inside.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(inside.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| line.unwrap().strip_prefix("ADDRESS ")?.parse().ok()).unwrap();
    let mut served = Vec::new();
    for _ in 0..50 {
        let mut wire = Wire::to(address).await;
        assert_eq!(wire.asks(GET).await.status(), 200);
        served.push(wire);
    }
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut wire = Wire::to(address).await;
        wire.says(GET).await;
        waiting.push(wire);
    }
    // The database still opens what it needs, and no other client was accepted.
    let body = json!({ "name": "Ada", "email": "ada@example.org", "password": PASSWORD });
    assert_eq!(served[0].asks(&post("/register", &body)).await.status(), 201);
    assert!(!waiting.iter().any(Wire::has_heard));
    drop(served);
    for wire in &mut waiting {
        assert_eq!(wire.hears().await.status(), 200);
    }
    drop(inside.stdin.take());
    assert!(inside.wait().unwrap().success());
}

/// How often a connection could not be accepted.
async fn refused(monitor: &mut Wire) -> u64 {
    let metrics = monitor.asks("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    let line = metrics.body.lines().find_map(|line| line.strip_prefix("doorward_accepts_failed_total "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn h06_without_descriptors_the_server_waits_and_does_not_spin() {
    if !is_inside() {
        let mut inside =
            with_few_files(256, "places::h06_without_descriptors_the_server_waits_and_does_not_spin");
        let output = inside.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        return assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
    }
    let site = Site::with(&[("metrics.listen", "127.0.0.1:0")]).await;
    let listening = Listening::bind(&site.app).await.unwrap();
    let (address, metrics) = (listening.address().unwrap(), listening.metrics_address().unwrap());
    tokio::spawn(listening.serve(std::future::pending()));
    let mut monitor = Wire::to(metrics).await;
    assert_eq!(refused(&mut monitor).await, 0);
    assert_eq!(Wire::to(address).await.asks(GET).await.status(), 200);
    // No descriptor is left to accept a client with, not even one that the database's connections give back meanwhile.
    let mut files = Vec::new();
    for _ in 0..50 {
        while let Ok(file) = std::fs::File::open("/dev/null") {
            files.push(file);
        }
        refused(&mut monitor).await;
    }
    // The client takes the one that it needs, and is in the system's queue.
    files.pop();
    let stream = std::net::TcpStream::connect(address).unwrap();
    let began = Instant::now();
    let before = refused(&mut monitor).await;
    soon(async { while refused(&mut monitor).await < before + 4 {} }).await;
    assert!(began.elapsed() >= Duration::from_millis(300), "it spins");
    drop(files);
    stream.set_nonblocking(true).unwrap();
    let mut stream = tokio::net::TcpStream::from_std(stream).unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, GET.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}
