//! Whether the response time reveals who has an account. Classes of requests take turns. This compares their medians,
//! and how well one measurement distinguishes one class from another (the area under the ROC curve: 0.5 is a coin toss,
//! 1 is certainty).
//!
//! It runs over a socket, against a whole server with the lowest bcrypt cost, so that other differences show more.
//! `bench/run --timing` starts it.

use std::time::Instant;

use doorward::testing::{PASSWORD, Site};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Requests of one class.
const EACH: usize = 2_000;
/// Users whose addresses are known.
const KNOWN: usize = 20;

/// A class of requests: its name, and the body of the n-th.
type Class = (&'static str, fn(usize) -> Value);

/// As long as the right one.
const WRONG: &str = "a door is a premise";

const LOGIN: [Class; 3] = [
    ("known address, wrong password", |n| json!({ "email": email(n % KNOWN), "password": WRONG })),
    ("unknown address", |n| json!({ "email": format!("nobody{n}@example.org"), "password": WRONG })),
    (
        "known, wrong and of another length",
        |n| json!({ "email": email(n % KNOWN), "password": "w".repeat(60) }),
    ),
];

/// The answer to a wrong invitation; with open registration the status reveals it anyway.
const REGISTER: [Class; 2] = [
    ("known address", |n| registration(&email(n % KNOWN))),
    ("unknown address", |n| registration(&format!("nobody{n}@example.org"))),
];

const RESET: [Class; 2] = [
    ("link of nobody", |n| reset(format!("{n:042}A"))),
    ("text that is no link", |n| reset(format!("{n:042}"))),
];

fn registration(email: &str) -> Value {
    json!({ "name": "Ada", "email": email, "password": PASSWORD, "invite": "A".repeat(43) })
}

fn reset(token: String) -> Value {
    json!({ "token": token, "new_password": PASSWORD })
}

fn email(number: usize) -> String {
    format!("user{number}@example.org")
}

#[tokio::main]
async fn main() -> Result<()> {
    let open = Site::with(&[("throttle.enabled", "false")]).await;
    let by_invitation = Site::with(&[("throttle.enabled", "false"), ("registration", "invite")]).await;
    for number in 0..KNOWN {
        for site in [&open, &by_invitation] {
            site.user(&format!("user{number}"), doorward_core::role::RoleName::USER).await;
        }
    }
    println!(
        "{EACH} requests of each class in turns.\n\n{:60} {:>10} {:>8} {:>6}",
        "", "median, ms", "gap", "AUC"
    );
    compare(&open, "/password/reset", &RESET).await?;
    compare(&by_invitation, "/register", &REGISTER).await?;
    compare(&open, "/login", &LOGIN).await
}

/// Times the classes in turns, and compares each with the first.
async fn compare(site: &Site, path: &str, classes: &[Class]) -> Result<()> {
    let mut connection = TcpStream::connect(site.listen().await).await?;
    connection.set_nodelay(true)?;
    let mut times = vec![Vec::with_capacity(EACH); classes.len()];
    for round in 0..EACH {
        // Each class comes first, second and so on equally often.
        for turn in 0..classes.len() {
            let at = (turn + round) % classes.len();
            let (Some((_, body)), Some(times)) = (classes.get(at), times.get_mut(at)) else { continue };
            let request = post(path, &body(round));
            let began = Instant::now();
            connection.write_all(request.as_bytes()).await?;
            let answer = answer(&mut connection).await?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
            if !answer.starts_with("HTTP/1.1 4") {
                return Err(format!("{path}: {answer}").into());
            }
        }
    }
    let Some(first) = times.first() else { return Ok(()) };
    for ((name, _), class) in classes.iter().zip(&times) {
        let (middle, gap) = (median(class), median(class) - median(first));
        println!("{:60} {middle:>10.3} {gap:>8.3} {:>6.3}", format!("{path}: {name}"), auc(first, class));
    }
    Ok(())
}

fn post(path: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// A whole answer, head and body.
async fn answer(connection: &mut TcpStream) -> Result<String> {
    let mut bytes = Vec::new();
    loop {
        if connection.read_buf(&mut bytes).await? == 0 {
            return Err("the server closed the connection".into());
        }
        let text = str::from_utf8(&bytes)?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_lowercase();
        let length =
            length.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or("no length")?;
        if body.len() == length.parse::<usize>()? {
            return Ok(text.to_owned());
        }
    }
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// How often a value of one is above one of the other, ties half; it doesn't matter which is above.
fn auc(one: &[f64], other: &[f64]) -> f64 {
    let mut sorted = one.to_vec();
    sorted.sort_by(f64::total_cmp);
    let above = |value: &f64| {
        let below = sorted.partition_point(|one| one < value);
        let not_above = sorted.partition_point(|one| one <= value);
        (below + not_above) as f64 / 2.0
    };
    let area = other.iter().map(above).sum::<f64>() / (one.len() * other.len()) as f64;
    area.max(1.0 - area)
}
