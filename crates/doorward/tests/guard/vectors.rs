//! The wire format of the feed, in the shared table `tests/verdicts/feed.json`. This guard, the one for Node and the
//! server's own set read the same from each stream, and refuse the same.
//! `UPDATE=1 cargo test -p doorward --test guard the_table` writes it.
//!
//! Each row is what a feed says after a first `current`, and what is known then. That is the verdict on each token, and
//! the id to continue from. `unreadable` is a stream that no guard may count as read: it keeps what came before, and
//! connects again.

use std::net::SocketAddr;

use doorward_core::feed::{MAX_ID, Revoked};
use doorward_core::revocation::{Least, RevocationCheck, RevocationSet};
use doorward_core::token::{self, Claims, Expected, SigningKey};
use doorward_core::{ClaimsVersion, Secret, SessionId, Timestamp, UserId};
use doorward_guard::Guard;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::table::Table;
use crate::{eventually, verdict};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const SECRET: &str = "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p";
const ADA: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const CAROL: &str = "01890a5d-ac96-774b-bcce-b302099a8058";
/// The sessions of the tokens, by their names.
const TOKENS: [(&str, &str, &str, i64); 4] = [
    ("ada_5", ADA, "01890a5d-ac96-774b-bcce-b302099a8061", 5),
    ("ada_7", ADA, "01890a5d-ac96-774b-bcce-b302099a8062", 7),
    ("carol_0", CAROL, "01890a5d-ac96-774b-bcce-b302099a8063", 0),
    // Ended by the last event of every readable row, so that a test knows that everything before it was read.
    ("end", CAROL, "01890a5d-ac96-774b-bcce-b302099a8064", 0),
];

const TABLE: Table = Table("feed.json");

fn made() -> Value {
    let key = SigningKey::hs256(&Secret::new(SECRET)).unwrap();
    let ttl = std::time::Duration::from_secs(900);
    let names = Expected {
        issuer: "doorward".into(),
        audience: "doorward".into(),
        max_ttl: ttl,
        former_issuer: None,
    };
    let token = |(name, user, session, version): (&str, &str, &str, i64)| {
        let (user, session) = (user.parse().unwrap(), session.parse().unwrap());
        let mut claims = Claims::new(user, session, NOW, NOW + ttl, [1; 16]);
        claims.version = ClaimsVersion::new(version).unwrap();
        (name.to_owned(), json!(token::issue(&key, &names, &claims).unwrap()))
    };
    let tokens: serde_json::Map<_, _> = TOKENS.into_iter().map(token).collect();
    let rows: Vec<_> =
        [versions(), spans_and_members(), kinds(), ids(), framing(), numbers(), unreadable()].concat();
    json!({ "now": NOW.as_secs(), "secret": SECRET, "tokens": tokens, "rows": rows })
}

/// The verdicts on `ada_5`, `ada_7` and `carol_0`, and the id to continue from.
type Known<'a> = ([&'a str; 3], Option<&'a str>);

const O: &str = "ok";
const S: &str = "token_stale";
const E: &str = "session_ended";
const GOOD: [&str; 3] = [O, O, O];
/// The id of the `current` that comes before each row.
const FIRST: Option<&str> = Some("e-0");

fn row(name: &str, stream: impl Into<String>, (verdicts, position): Known<'_>) -> Value {
    json!({ "name": name, "stream": stream.into(), "verdicts": verdicts, "position": position })
}

fn revoked(data: impl std::fmt::Display) -> String {
    format!("event: revoked\ndata: {data}\n\n")
}

/// The end of the session of `ada_5`, to be kept for a text of JSON.
fn session(keep: &str) -> String {
    revoked(format_args!(r#"{{"sessions":[["{}",{keep}]]}}"#, TOKENS[0].2))
}

/// A least version of Ada, as a text of JSON.
fn ada(version: &str) -> String {
    revoked(format_args!(r#"{{"users":[["{ADA}",{version},1500]]}}"#))
}

fn versions() -> Vec<Value> {
    let (stale, both) = (([S, O, O], FIRST), ([S, S, O], FIRST));
    let two = |one: &str, other: &str| {
        revoked(format_args!(r#"{{"users":[["{ADA}",{one},1500],["{ADA}",{other},1500]]}}"#))
    };
    let ended = ([E, O, O], FIRST);
    vec![
        row("nothing", "", (GOOD, FIRST)),
        row("an ended session", session("1500"), ended),
        row("an ended session, twice", session("1500") + &session("1500"), ended),
        row("a least version", ada("6"), stale),
        row("the version of a token is not below itself", ada("7"), stale),
        row("a version above both", ada("8"), both),
        row("version 0", ada("0"), (GOOD, FIRST)),
        row("the greatest version", ada("9007199254740991"), both),
        row("a version in another spelling", ada("6.0"), stale),
        row("a version with an exponent", ada("6e0"), stale),
        row(
            "version 1 of one whose tokens are of version 0",
            revoked(format_args!(r#"{{"users":[["{CAROL}",1,60]]}}"#)),
            ([O, O, S], FIRST),
        ),
        row("a greater version after a lower one", ada("6") + &ada("8"), both),
        row("a lower version after a greater one", ada("8") + &ada("6"), both),
        row("a lower version after a greater one in one event", two("8", "6"), both),
        row(
            "both kinds in one event",
            revoked(format_args!(r#"{{"users":[["{ADA}",7,60]],"sessions":[["{}",60]]}}"#, TOKENS[1].2)),
            ([S, E, O], FIRST),
        ),
        row("an ended session whose token is stale too", session("60") + &ada("8"), ([E, S, O], FIRST)),
    ]
}

fn spans_and_members() -> Vec<Value> {
    let (stale, ended) = (([S, O, O], FIRST), ([E, O, O], FIRST));
    vec![
        row("a span of 0", session("0"), ended),
        row("a span of 30,000 years", session("1000000000000"), ended),
        row("the greatest span", session("9007199254740991"), ended),
        row("a span in another spelling", session("60.0"), ended),
        row("no members", revoked("{}"), (GOOD, FIRST)),
        row(
            "further members",
            revoked(format_args!(r#"{{"groups":[["x",1]],"at":null,"users":[["{ADA}",6,60]]}}"#)),
            stale,
        ),
        row(
            "further elements of an entry",
            revoked(format_args!(
                r#"{{"users":[["{ADA}",6,60,"role",null]],"sessions":[["{}",60,{{}}]]}}"#,
                TOKENS[2].2
            )),
            ([S, O, E], FIRST),
        ),
    ]
}

fn kinds() -> Vec<Value> {
    vec![
        row(
            "an unknown kind",
            "event: granted\nid: e-1\ndata: {\"users\":7}\n\n".to_owned() + &ada("6"),
            ([S, O, O], Some("e-1")),
        ),
        row("an unknown kind without JSON", "event: x\nid: e-1\ndata: }{\n\n", (GOOD, Some("e-1"))),
        row("an unknown kind without data", "event: x\nid: e-1\n\n", (GOOD, Some("e-1"))),
        row("no kind", "id: e-1\ndata: {\"sessions\":7}\n\n", (GOOD, Some("e-1"))),
        row("current without keys", "event: current\nid: e-1\ndata: {}\n\n", (GOOD, Some("e-1"))),
        row(
            "current with further members",
            "event: current\nid: e-1\ndata: {\"at\":1,\"keys\":\"x\"}\n\n",
            (GOOD, Some("e-1")),
        ),
        row(
            "a reset that says less",
            format!(
                "{}{}event: reset\ndata: {{}}\n\n{}event: current\nid: e-1\ndata: {{}}\n\n",
                ada("8"),
                session("60"),
                ada("6")
            ),
            ([E, S, O], Some("e-1")),
        ),
        row(
            "a reset that is not complete",
            format!("{}event: reset\nid: e-9\ndata: {{}}\n\n{}", ada("8"), ada("6")),
            (([S, S, O]), None),
        ),
        row(
            "a reset after which nothing comes",
            format!("{}event: reset\n\nevent: current\nid: e-1\ndata: {{}}\n\n", ada("8")),
            ([S, S, O], Some("e-1")),
        ),
    ]
}

fn ids() -> Vec<Value> {
    let entry = |id: &str| {
        revoked(format_args!(r#"{{"sessions":[[{id},60]],"users":[[{id},6,60],["{ADA}",6,60]]}}"#))
    };
    let stale = ([S, O, O], FIRST);
    let event = |id: &str| format!("event: revoked\nid: {id}\ndata: {{}}\n\n");
    let longest = "x".repeat(MAX_ID);
    let mut rows = vec![
        row("an id of 1 KiB", entry(&json!(longest).to_string()), stale),
        row("an id of 1 KiB in 512 characters", entry(&json!("ä".repeat(MAX_ID / 2)).to_string()), stale),
        row("an empty id", entry("\"\""), stale),
        row(
            "an id in another spelling",
            revoked(format_args!(r#"{{"sessions":[["{}",60]]}}"#, TOKENS[0].2.to_uppercase())),
            (GOOD, FIRST),
        ),
        row("an event's id of 1 KiB", event(&longest), (GOOD, Some(&longest))),
        row("an event's id of one character", event("~"), (GOOD, Some("~"))),
        row(
            "an event's id without a space before it",
            "event:revoked\nid:e:1\ndata:{}\n\n",
            (GOOD, Some("e:1")),
        ),
    ];
    for (name, id) in [
        ("over 1 KiB", "x".repeat(MAX_ID + 1)),
        ("with a space", "a b".into()),
        ("not of ASCII", "ä".into()),
        ("that is empty", String::new()),
    ] {
        rows.push(row(
            &format!("an event's id {name} is passed over"),
            event("e-1") + &event(&id),
            (GOOD, Some("e-1")),
        ));
    }
    rows
}

fn framing() -> Vec<Value> {
    let stale = |position| ([S, O, O], position);
    let parts = format!("event: revoked\ndata: {{\"users\":\ndata:[[\"{ADA}\",\ndata: 6,60]]}}\n\n");
    vec![
        row(
            "lines that end with CRLF",
            format!("{}id: e-1\r\n\r\n", ada("6").replace('\n', "\r\n")),
            stale(Some("e-1")),
        ),
        row("data on several lines", parts, stale(FIRST)),
        row("comments and other fields", format!(": hello\n\nretry: 5\nnamed\n{}", ada("6")), stale(FIRST)),
        row(
            "fields in another order",
            format!("data: {{\"users\":[[\"{ADA}\",6,60]]}}\nid: e-1\nevent: revoked\n\n"),
            stale(Some("e-1")),
        ),
    ]
}

/// An unreadable row after a readable event, whose id is the one to continue from.
fn refused(name: &str, stream: &str) -> Value {
    let before = format!("event: revoked\nid: e-1\ndata: {{\"users\":[[\"{ADA}\",6,60]]}}\n\n");
    let mut one = row(name, before + stream, ([S, O, O], Some("e-1")));
    one["unreadable"] = true.into();
    one
}

fn numbers() -> Vec<Value> {
    let wrong = [
        "-1",
        "0.5",
        "-0.5",
        "9007199254740992",
        "18446744073709551616",
        "1e300",
        "\"8\"",
        "null",
        "true",
        "[8]",
    ];
    let each = |number: &str| {
        let of_user = revoked(format_args!(r#"{{"users":[["{ADA}",8,{number}]]}}"#));
        [
            refused(&format!("the version {number}"), &ada(number)),
            refused(&format!("the span {number}"), &session(number)),
            refused(&format!("the span {number} of a user"), &of_user),
        ]
    };
    wrong.into_iter().flat_map(each).collect()
}

fn unreadable() -> Vec<Value> {
    let mut rows = Vec::new();
    let mut add = |name: &str, stream: String| rows.push(refused(name, &stream));
    let long = json!("x".repeat(MAX_ID + 1)).to_string();
    let in_two = json!("ä".repeat(MAX_ID / 2) + "x").to_string();
    for (name, id) in [
        ("over 1 KiB", &*long),
        ("over 1 KiB in 513 characters", &in_two),
        ("that is a number", "7"),
        ("that is null", "null"),
        ("that is a list", "[]"),
    ] {
        add(&format!("an id {name}"), revoked(format_args!(r#"{{"sessions":[[{id},60]]}}"#)));
        add(&format!("an id {name} of a user"), revoked(format_args!(r#"{{"users":[[{id},8,60]]}}"#)));
    }
    for data in [
        "[]",
        "null",
        "7",
        "\"x\"",
        "}{",
        "{\"sessions\":null}",
        "{\"sessions\":{}}",
        "{\"users\":7}",
        "{\"users\":[7]}",
        "{\"users\":[{}]}",
        "{\"users\":[null]}",
    ] {
        add(&format!("revoked with {data}"), revoked(data));
    }
    add("an entry that is too short", revoked(format_args!(r#"{{"users":[["{ADA}",8]]}}"#)));
    add(
        "a good entry beside a bad one",
        revoked(format_args!(r#"{{"users":[["{ADA}",6,60],["{ADA}",-1,60]]}}"#)),
    );
    for data in ["[]", "null", "}{", "{\"keys\":7}", "{\"keys\":null}"] {
        add(&format!("current with {data}"), format!("event: current\nid: e-2\ndata: {data}\n\n"));
    }
    add("no data", "event: revoked\nid: e-2\n\n".to_owned());
    rows
}

#[test]
fn the_table_of_feeds_is_what_its_generator_writes() {
    TABLE.is_what_its_generator_writes(&made());
}

/// A feed that starts for the first client, sends more when the test says so, and sends nothing to later clients.
async fn feed(more: oneshot::Receiver<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        let _ = first.read(&mut head).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
        let begin = "event: reset\ndata: {}\n\nevent: current\nid: e-0\ndata: {}\n\n";
        first.write_all((head.to_owned() + begin).as_bytes()).await.unwrap();
        first.write_all(more.await.unwrap().as_bytes()).await.unwrap();
        let mut others: Vec<TcpStream> = Vec::new();
        while let Ok((other, _)) = listener.accept().await {
            others.push(other);
        }
    });
    address
}

fn end() -> String {
    revoked(format_args!(r#"{{"sessions":[["{}",60]]}}"#, TOKENS[3].2))
}

#[tokio::test]
async fn the_guard_takes_from_a_feed_what_the_table_says() {
    let table = TABLE.read();
    let token = |name: &str| table["tokens"][name].as_str().unwrap().to_owned();
    for row in table["rows"].as_array().unwrap() {
        let name = &row["name"];
        let (say, more) = oneshot::channel();
        let address = feed(more).await;
        let guard = Guard::builder().server(format!("http://{address}")).feed_secret("of the test");
        let guard = guard.secret(SECRET).clock(|| NOW).build().await.unwrap();
        say.send(row["stream"].as_str().unwrap().to_owned() + &end()).unwrap();
        if row["unreadable"] == true {
            eventually("the cut", async || guard.health().problem.is_some()).await;
            assert_eq!(verdict(&guard, &token("end")).await, "ok", "{name}");
        } else {
            eventually(name.as_str().unwrap(), async || verdict(&guard, &token("end")).await == E).await;
        }
        let mut verdicts = Vec::new();
        for (name, ..) in &TOKENS[..3] {
            verdicts.push(verdict(&guard, &token(name)).await);
        }
        assert_eq!(json!(verdicts), row["verdicts"], "{name}");
        assert_eq!(json!(guard.health().position), row["position"], "{name}");
    }
}

/// The set is the one that the server itself uses, which knows no reset.
#[test]
fn the_set_of_the_server_takes_from_each_event_what_the_table_says() {
    let table = TABLE.read();
    let rows = table["rows"].as_array().unwrap().iter();
    let plain = rows.filter(|row| !row["stream"].as_str().unwrap().contains("event: reset"));
    let mut seen = 0;
    for row in plain {
        let set = RevocationSet::new(100);
        let stream = row["stream"].as_str().unwrap().replace("\r\n", "\n");
        for event in stream.split("\n\n").filter(|event| event.lines().any(|line| line == "event: revoked")) {
            let data: String = event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
            let Ok(revoked) = Revoked::read(&data) else { continue };
            for one in &revoked.sessions {
                set.end_session(one.session, NOW + one.keep);
            }
            for one in revoked.users {
                set.require_version(one.user, Least { version: one.version, expires_at: NOW + one.keep });
            }
            seen += 1;
        }
        let judged = TOKENS[..3].iter().map(|(_, user, session, version)| {
            let (user, session): (UserId, SessionId) = (user.parse().unwrap(), session.parse().unwrap());
            match set.check(user, session, ClaimsVersion::new(*version).unwrap()) {
                RevocationCheck::Good => O,
                RevocationCheck::Ended => E,
                RevocationCheck::Stale => S,
                RevocationCheck::Unknown => "unknown",
            }
        });
        assert_eq!(json!(judged.collect::<Vec<_>>()), row["verdicts"], "{}", row["name"]);
    }
    assert!(seen > 50, "{seen}");
}
