//! The server's time in the feed, by which guards judge tokens: in the shared table `tests/verdicts/time.json`.
//! `UPDATE=1 cargo test -p doorward --test guard the_table` writes it.
//!
//! Each row is what a feed says on one connection after the other, and the verdict on each token then. Nothing else tells
//! the guard the time, and its own clock is decades off. `cut` is a row whose last connection the guard gives up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::internals::Clock;
use doorward_core::token::{self, Claims, Expected, SigningKey};
use doorward_core::{Secret, SessionId, Timestamp};
use doorward_guard::Guard;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::table::Table;
use crate::way::Way;
use crate::{FEED_SECRET, eventually, server, verdict, verdict_on};

/// In the year 2100.
const NOW: i64 = 4_102_444_800;
const SECRET: &str = "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p";
const USER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const HOUR: i64 = 3_600;
/// The tokens: name, `iat` and `exp`, in seconds from [`NOW`] on.
const TOKENS: [(&str, i64, i64); 4] =
    [("live", 0, 900), ("expired", -1_000, -100), ("later", HOUR, HOUR + 900), ("end", 0, 900)];

const O: &str = "ok";
const E: &str = "token_expired";
const I: &str = "token_invalid";
/// The verdicts at [`NOW`] on the first three tokens.
const USUAL: [&str; 3] = [O, E, I];

const TABLE: Table = Table("time.json");

fn session(n: usize) -> SessionId {
    SessionId::from_bytes([u8::try_from(n).unwrap() + 1; 16])
}

fn made() -> Value {
    let key = SigningKey::hs256(&Secret::new(SECRET)).unwrap();
    let names = Expected {
        issuer: "doorward".into(),
        audience: "doorward".into(),
        max_ttl: Duration::from_secs(900),
        former_issuer: None,
    };
    let at = |seconds: i64| Timestamp::from_secs(NOW + seconds);
    let mut tokens = serde_json::Map::new();
    for (n, (name, iat, exp)) in TOKENS.into_iter().enumerate() {
        let claims = Claims::new(USER.parse().unwrap(), session(n), at(iat), at(exp), [1; 16]);
        tokens.insert(name.into(), json!(token::issue(&key, &names, &claims).unwrap()));
    }
    let rows = [good(), bounded(), unreadable()].concat();
    json!({ "secret": SECRET, "tokens": tokens, "rows": rows })
}

/// That nothing is missing, with this text as the time.
fn current(now: &str) -> String {
    format!("event: current\nid: e-1\ndata: {{\"now\":{now}}}\n\n")
}

/// That nothing is missing, so many seconds after [`NOW`].
fn at(seconds: i64) -> String {
    current(&((NOW + seconds) * 1_000).to_string())
}

fn row(name: &str, connections: &[&[String]], verdicts: [&str; 3]) -> Value {
    let connections: Vec<_> = connections.iter().map(|words| words.concat()).collect();
    json!({ "name": name, "connections": connections, "verdicts": verdicts })
}

fn cut(name: &str, connections: &[&[String]], verdicts: [&str; 3]) -> Value {
    let mut row = row(name, connections, verdicts);
    row["cut"] = true.into();
    row
}

fn good() -> Vec<Value> {
    let spelled = |now: &str| row(&format!("the time written as {now}"), &[&[current(now)]], USUAL);
    vec![
        row("the server's time", &[&[at(0)]], USUAL),
        spelled("4102444800000.0"),
        spelled("4.1024448e12"),
        // The guard's own clock.
        row("no time", &[&["event: current\nid: e-1\ndata: {}\n\n".into()]], [I, I, I]),
        row("a time after none", &[&["event: current\nid: e-1\ndata: {}\n\n".into(), at(0)]], USUAL),
        row("a jump ahead by 15 minutes", &[&[at(0), at(900)]], [E, E, I]),
        row("a jump ahead by an hour", &[&[at(0), at(HOUR)]], [E, E, O]),
        row("1970", &[&[current("0")]], [I, I, I]),
        row("the greatest time", &[&[current("9007199254740991")]], [E, E, E]),
        row("another connection", &[&[at(0)], &[at(1)]], USUAL),
    ]
}

fn bounded() -> Vec<Value> {
    vec![
        row("a word that is 10 s late", &[&[at(0), at(-10)]], USUAL),
        cut("a word that is an hour late", &[&[at(0), at(-HOUR)]], USUAL),
        cut("a word from 1970", &[&[at(0), current("1")]], USUAL),
        // The server's clock was set back: an expired token stays so.
        row("a clock that was set back by an hour", &[&[at(0)], &[at(-HOUR)]], USUAL),
        row(
            "a clock that was set back by an hour, and goes on",
            &[&[at(0)], &[at(-HOUR), at(5 - HOUR)]],
            USUAL,
        ),
        row("a clock that was set back to 1970", &[&[at(0)], &[current("1")]], USUAL),
        row("a clock that was set back twice", &[&[at(0)], &[at(-HOUR)], &[at(-2 * HOUR)]], USUAL),
        row("a clock that was set back and right again", &[&[at(0)], &[at(-HOUR), at(0)]], USUAL),
        row("a jump ahead that is taken back", &[&[at(0), at(HOUR)], &[at(1)]], USUAL),
        row(
            "a jump to the end of time that is taken back",
            &[&[at(0), current("9007199254740991")], &[at(1)]],
            USUAL,
        ),
    ]
}

fn unreadable() -> Vec<Value> {
    let wrong = ["-1", "0.5", "9007199254740992", "1e300", "\"4102444800000\"", "null", "true", "[]", "{}"];
    wrong.map(|now| cut(&format!("the time {now}"), &[&[at(0), current(now)]], USUAL)).to_vec()
}

#[test]
fn the_table_of_times_is_what_its_generator_writes() {
    TABLE.is_what_its_generator_writes(&made());
}

/// A feed that says these on one connection after the other, and on the first one only the first word before `begun`. It
/// closes each but the last, and later ones hear nothing.
async fn feed(connections: Vec<String>, begun: Arc<Notify>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (last, mut open) = (connections.len() - 1, Vec::new());
        for n in 0.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let _ = socket.read(&mut head).await.unwrap();
            let Some(words) = connections.get(n) else {
                open.push(socket);
                continue;
            };
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            let _ = socket.write_all(head.as_bytes()).await;
            let mut rest = words.as_str();
            if n == 0 {
                let first = words.find("\n\n").unwrap() + 2;
                let begin = "event: reset\ndata: {}\n\n".to_owned() + &words[..first];
                let _ = socket.write_all(begin.as_bytes()).await;
                begun.notified().await;
                rest = &words[first..];
            }
            let _ = socket.write_all(rest.as_bytes()).await;
            if n == last {
                open.push(socket);
            }
        }
    });
    address
}

#[tokio::test]
async fn the_guard_judges_by_the_time_that_the_table_says() {
    let table = TABLE.read();
    let token = |name: &str| table["tokens"][name].as_str().unwrap().to_owned();
    let rows = table["rows"].as_array().unwrap().clone();
    let checks = rows.into_iter().map(async |row| {
        let name = row["name"].as_str().unwrap();
        let mut words: Vec<_> = row["connections"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect();
        let end = format!("event: revoked\ndata: {{\"sessions\":[[\"{}\",60]]}}\n\n", session(3));
        words.last_mut().unwrap().push_str(&end);
        let begun = Arc::new(Notify::new());
        let address = feed(words, begun.clone()).await;
        let guard = Guard::builder().server(format!("http://{address}")).feed_secret("of the test");
        let guard = guard.secret(SECRET).build().await.unwrap();
        begun.notify_one();
        if row["cut"] == true {
            eventually(name, async || guard.health().problem.is_some()).await;
        } else {
            eventually(name, async || guard.health().revocations == 1).await;
        }
        let mut verdicts = Vec::new();
        for (name, ..) in &TOKENS[..3] {
            verdicts.push(verdict(&guard, &token(name)).await);
        }
        assert_eq!(json!(verdicts), row["verdicts"], "{name}");
        assert_eq!(guard.health().revocations, if row["cut"] == true { 0 } else { 1 }, "{name}");
    });
    futures_util::future::join_all(checks).await;
}

const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// A guard without a clock of its own.
async fn guard(address: SocketAddr) -> Guard {
    Guard::builder().server(format!("http://{address}")).feed_secret(FEED_SECRET).build().await.unwrap()
}

#[tokio::test]
async fn j43_a_guard_whose_clock_is_years_off_accepts_good_tokens_and_refuses_expired_ones() {
    let turns: [fn(&Clock); 2] = [|clock| clock.turn_ahead(YEAR * 20), |clock| clock.turn_back(YEAR * 3)];
    for turn in turns {
        let (site, address) = server().await;
        turn(&site.clock);
        let ada = site.logged_in("ada").await;
        let way = Way::to(address).await;
        let guard = guard(way.address).await;
        assert_eq!(verdict_on(&guard, &ada).await, "ok");
        assert!(guard.health().clock_ahead.unsigned_abs() > YEAR.as_secs(), "{:?}", guard.health());
        site.clock.advance(Duration::from_secs(900));
        hears_again(&way, address, &guard).await;
        assert_eq!(verdict_on(&guard, &ada).await, "token_expired");
        ada.refresh().await.is_ok();
        assert_eq!(verdict_on(&guard, &ada).await, "ok");
    }
}

#[tokio::test]
async fn j43_no_expired_token_is_good_again_in_a_guard_after_its_servers_clock_was_set_back() {
    let (site, address) = server().await;
    let thief = site.logged_in("ada").await;
    thief.copy().post("/logout", json!({})).await.is_ok();
    // Nobody remembers the end any more.
    for _ in 0..60 {
        site.later(Duration::from_secs(60)).await;
    }
    let way = Way::to(address).await;
    let guard = guard(way.address).await;
    assert_eq!((verdict_on(&guard, &thief).await, guard.health().revocations), ("token_expired", 0));
    site.clock.turn_back(Duration::from_secs(3_600));
    hears_again(&way, address, &guard).await;
    assert_eq!(verdict_on(&guard, &thief).await, "token_expired");
    let problem = guard.health().problem.unwrap_or_default();
    assert!(problem.contains("set back by 3"), "{problem}");
}

/// The guard loses its connection, and has a word of the next one.
async fn hears_again(way: &Way, address: SocketAddr, guard: &Guard) {
    let before = guard.health().reconnects;
    way.cut();
    eventually("the cut is noticed", async || guard.health().reconnects > before).await;
    let led_at = Instant::now();
    way.lead_to(address);
    eventually("it hears again", async || guard.health().stale_for < led_at.elapsed()).await;
}

#[tokio::test]
async fn a_guard_that_stood_still_answers_from_memory_only_after_a_new_word() {
    let (site, address) = server().await;
    let ada = site.logged_in("ada").await;
    let token = ada.token().unwrap();
    let way = Way::to(address).await;
    let stale_after = Duration::from_secs(1);
    let builder = Guard::builder().server(format!("http://{}", way.address)).feed_secret(FEED_SECRET);
    let clock = site.clock.clone();
    let guard = builder.clock(move || clock.now()).stale_after(stale_after).build().await.unwrap();
    assert_eq!(verdict(&guard, &token).await, "ok");
    way.cut();
    // The whole process, its tasks too: the first thing that it does then is the check.
    std::thread::park_timeout(stale_after);
    assert_eq!(verdict(&guard, &token).await, "unavailable");
    way.lead_to(address);
    eventually("it hears again", async || verdict(&guard, &token).await == "ok").await;
}
