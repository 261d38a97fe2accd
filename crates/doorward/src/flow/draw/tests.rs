use doorward_core::{ClaimsVersion, SessionId, Timestamp, UserId};
use insta::assert_snapshot;
use proptest::prelude::*;
use roxmltree::Document;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::flow::{ClaimsFact, CookieFact, Fact, Foreign, Label, Lane, Seen, Sender, Step, Story, Verb};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn took(step: Step, us: u64) -> Step {
    Step { took_us: Some(us), ..step }
}

fn cookie(name: &str, max_age: i64) -> Fact {
    Fact::Cookie(Box::new(CookieFact {
        name: Seen::new(name),
        path: Seen::new("/"),
        domain: None,
        max_age: Some(max_age),
        http_only: true,
        secure: true,
        same_site: "Strict",
    }))
}

fn claims(text: &str) -> Fact {
    Fact::Claims(Box::new(ClaimsFact {
        algorithm: Seen::new(text),
        key: Seen::new(text),
        user: UserId::from_bytes([1; 16]),
        session: SessionId::from_bytes([2; 16]),
        role: "user".parse().unwrap(),
        version: ClaimsVersion::ZERO,
        signed_in_at: NOW,
        issued_at: Timestamp::from_secs(NOW.as_secs() - 120),
        expires_at: Timestamp::from_secs(NOW.as_secs() + 780),
    }))
}

fn flow(route: &'static str, status: u16, code: Option<&'static str>, steps: Vec<Step>) -> Flow {
    Flow {
        id: "a-request".into(),
        at: NOW,
        sender: Sender::Browser,
        method: "POST",
        route,
        status,
        code,
        total_us: steps.iter().filter_map(|step| step.took_us).sum::<u64>() + 24,
        story: Story::default(),
        steps,
        cut: 0,
        traced: None,
    }
}

fn login() -> Flow {
    let session = Uuid::from_u128(7);
    let hash = Fact::Hash { algorithm: "argon2id", cost: "m=19456,t=2,p=1".into() };
    let steps = vec![
        Step::of(Verb::Login),
        Step::check(Verb::TakeGuess, true).fact(Fact::text(Label::Limit, "account")),
        took(Step::check(Verb::FindUser, true), 40),
        took(Step::check(Verb::ComparePassword, true), 55_000)
            .fact(hash)
            .fact(Fact::Span { label: Label::Waited, us: 5_000 }),
        Step::of(Verb::BeginSession).fact(Fact::Id { label: Label::Session, id: session }),
        took(Step::of(Verb::Commit), 900),
        took(Step::of(Verb::SignToken), 15).fact(claims("ES256")),
        Step::of(Verb::SetCookie).fact(cookie("__Host-token", 900)),
        Step::of(Verb::Answer).fact(Fact::count(Label::Status, 200)),
    ];
    flow("/login", 200, None, steps)
}

fn expired() -> Flow {
    let found = Some(Seen::new("it expired 60 s ago"));
    let steps = vec![
        Step::of(Verb::AskProtected),
        Step::check(Verb::PickCredential, true).fact(Fact::text(Label::Where, "the Authorization header")),
        Step::check(Verb::CheckTimes, false).fact(Fact::Check { check: "expiry", passed: false, found }),
        Step::check(Verb::Refuse, false).fact(Fact::text(Label::Code, "token_expired")),
    ];
    flow("/profile", 401, Some("token_expired"), steps)
}

fn plain_text(flow: &Flow, width: usize) -> String {
    text(&[Titled::from(flow)], Style { colour: false, width })
}

#[test]
fn a_login_for_a_terminal() {
    assert_snapshot!(plain_text(&login(), 80), @r"
    POST /login: 200 OK

     Browser           Doorward            Hashing            Store             Keys
        │                  │                  │                 │                 │
        │ Login  POST /login                  │                 │                 │
        │─────────────────▶│                  │                 │                 │
        │                  │↻ ✓ Limit has room  account         │                 │
        │                  │ ✓ Find the user  40 µs             │                 │
        │                  │───────────────────────────────────▶│                 │
        │                  │ ✓ Compare the password  55 ms, argon2id m=19456,t=2,p=1
        │                  │─────────────────▶│                 │                 │
        │                  │ A session begins  session 1        │                 │
        │                  │───────────────────────────────────▶│                 │
        │                  │ Commit  900 µs   │                 │                 │
        │                  │───────────────────────────────────▶│                 │
        │                  │ Sign an access token               │                 │
        │                  │   15 µs, role user, issued 2 min ago, expires in 13 min
        │                  │─────────────────────────────────────────────────────▶│
        │ Set-Cookie: token  HttpOnly, Secure, SameSite=Strict, for 15 min        │
        │◀─────────────────│                  │                 │                 │
        │ 200 OK           │                  │                 │                 │
        │◀─────────────────│                  │                 │                 │
        │                  │                  │                 │                 │

    56 ms in all: wait for hashing 5 ms, hash 50 ms, store 940 µs, sign 15 µs, the
    rest 24 µs
    ");
}

#[test]
fn a_narrow_terminal_gets_a_list() {
    assert_snapshot!(plain_text(&expired(), 44), @r"
    POST /profile: 401 token_expired

    Browser → Doorward
      Protected request
        POST /profile
    Guard ↻
      ✓ Pick the credential
        the Authorization header
    Guard ↻
      ✗ Expired
        expiry: it expired 60 s ago
    Doorward → Browser
      ✗ 401 token_expired

    24 µs in all: the rest 24 µs
    ");
}

#[test]
fn a_refusal_as_mermaid() {
    assert_snapshot!(mermaid(&expired()), @r"
    sequenceDiagram
        participant L0 as Browser
        participant L1 as Guard
        participant L2 as Doorward
        L0->>L2: Protected request
        Note over L2: POST #47;profile
        L1->>L1: #10003; Pick the credential
        Note over L1: the Authorization header
        L1-xL1: #10007; Expired
        Note over L1: expiry#58; it expired 60 s ago
        L2--xL0: #10007; 401 token#95;expired
        Note over L0,L2: POST #47;profile#58; 401 token#95;expired#58; 24 #181;s in all
    ");
}

#[test]
fn a_refusal_as_a_file() {
    let mut file = file(&expired());
    let words = json!({ "lanes": Lane::ALL.len(), "verbs": Verb::ALL.len(), "labels": Label::ALL.len() });
    assert_eq!(file.as_object_mut().unwrap().remove("words"), Some(words));
    file["flow"]["steps"].as_array_mut().unwrap().truncate(2);
    assert_snapshot!(serde_json::to_string_pretty(&file).unwrap(), @r#"
    {
      "doorward_flow": 1,
      "flow": {
        "at": 1800000000000,
        "code": "token_expired",
        "cut": 0,
        "id": "a-request",
        "method": "POST",
        "route": "/profile",
        "sender": "browser",
        "status": 401,
        "steps": [
          {
            "at_us": 0,
            "verb": 3,
            "verdict": "done"
          },
          {
            "at_us": 0,
            "facts": [
              {
                "label": 0,
                "text": "the Authorization header",
                "type": "text"
              }
            ],
            "verb": 13,
            "verdict": "passed"
          }
        ],
        "story": {},
        "total_us": 24
      }
    }
    "#);
}

#[test]
fn colours_change_nothing_but_the_colour() {
    let flow = expired();
    let coloured = text(&[Titled::from(&flow)], Style { colour: true, width: 80 });
    let mut parts = coloured.split("\u{1b}[");
    let mut bare = parts.next().unwrap().to_owned();
    for part in parts {
        bare.push_str(part.split_once('m').unwrap().1);
    }
    assert_eq!(bare, plain_text(&flow, 80));
    assert!(coloured.contains("\u{1b}[1;31m✗ Expired"), "{coloured}");
}

#[test]
fn equal_flows_and_equal_steps_are_drawn_once() {
    let (login, expired) = (login(), expired());
    let flows: Vec<_> = [&expired, &expired, &expired, &login].map(Titled::from).into();
    let drawn = text(&flows, Style { colour: false, width: 80 });
    assert_eq!(drawn.matches("3 × POST /profile: 401 token_expired").count(), 1, "{drawn}");
    assert_eq!(drawn.matches("✗ Expired").count(), 1, "{drawn}");
    assert!(svg_of(&flows).contains("3 × POST /profile: 401 token_expired"));

    let mut twice = login.clone();
    twice.steps.insert(2, twice.steps[1].clone());
    assert!(plain_text(&twice, 80).contains("✓ 2 × Limit has room"));
}

#[test]
fn sessions_and_users_are_named_by_their_order() {
    let id = |label, n| Fact::Id { label, id: Uuid::from_u128(n) };
    let step = |label, n| Step::of(Verb::EndSession).fact(id(label, n));
    let ended = |ids: [u128; 3]| {
        let [one, two, user] = ids;
        flow(
            "/logout",
            204,
            None,
            vec![
                Step::of(Verb::LogoutAll),
                step(Label::Session, one),
                step(Label::Session, two),
                step(Label::Session, one),
                step(Label::User, user),
            ],
        )
    };
    let drawn = plain_text(&ended([5, 9, 3]), 80);
    let named = ["session 1", "session 2", "user 1"].map(|name| drawn.matches(name).count());
    assert_eq!(named, [2, 1, 1], "{drawn}");
    assert_eq!(svg(&ended([5, 9, 3])), svg(&ended([70, 60, 80])));
}

#[test]
fn steps_that_were_cut_are_counted() {
    let cut = Flow { cut: 41, ..login() };
    assert!(plain_text(&cut, 80).contains("41 steps more"));
}

#[test]
fn equal_steps_stand_beside_each_other() {
    let (login, expired) = (login(), expired());
    let both = svg_pair(&[Titled::from(&login)], &[Titled::from(&expired)]);
    let document = Document::parse(&both).unwrap();
    let find = |text: &str| {
        let node = document.descendants().find(|node| node.has_tag_name("text") && node.text() == Some(text));
        let node = node.unwrap_or_else(|| panic!("{text} in {both}"));
        ["x", "y"].map(|name| node.attribute(name).unwrap().parse::<i32>().unwrap())
    };
    let ([left, top], [right, beside]) =
        (find("POST /login: 200 OK"), find("POST /profile: 401 token_expired"));
    assert!(left + 400 < right && top == beside);
    let same = svg_pair(&[Titled::from(&expired)], &[Titled::from(&expired)]);
    let document = Document::parse(&same).unwrap();
    let heights = document.descendants().filter(|node| node.text() == Some("✗ Expired"));
    let heights: Vec<_> = heights.filter_map(|node| node.attribute("y")).collect();
    assert!(heights.len() == 2 && heights[0] == heights[1], "{heights:?}");
}

/// Elements and attributes that can neither run, load nor link anything.
const ELEMENTS: [&str; 7] = ["svg", "title", "desc", "rect", "polyline", "polygon", "text"];
const ATTRIBUTES: [&str; 21] = [
    "width",
    "height",
    "viewBox",
    "role",
    "font-family",
    "x",
    "y",
    "rx",
    "points",
    "fill",
    "stroke",
    "stroke-width",
    "stroke-dasharray",
    "font-size",
    "font-weight",
    "text-anchor",
    "d",
    "cx",
    "cy",
    "r",
    "opacity",
];

#[track_caller]
fn is_harmless_svg(drawn: &str) {
    let document = Document::parse(drawn).unwrap_or_else(|error| panic!("{error}: {drawn}"));
    for node in document.descendants() {
        assert!(node.is_root() || node.is_element() || node.is_text(), "{node:?}");
        if node.is_element() {
            assert!(ELEMENTS.contains(&node.tag_name().name()), "{node:?}");
            for attribute in node.attributes() {
                assert!(ATTRIBUTES.contains(&attribute.name()), "{attribute:?}");
                assert!(!attribute.value().contains("url("), "{attribute:?}");
            }
        }
    }
}

#[track_caller]
fn is_harmless_text(drawn: &str, width: usize) {
    for line in drawn.lines() {
        assert!(line.chars().count() <= width, "{line}");
        let known = |c: char| plain::plain(&c.to_string()) == c.to_string() || "│─╌▶◀↻µ×".contains(c);
        assert!(line.chars().all(known), "{line:?}");
    }
}

#[track_caller]
fn is_harmless_mermaid(drawn: &str) {
    let mut lines = drawn.lines();
    assert_eq!(lines.next(), Some("sequenceDiagram"));
    for line in lines {
        let (command, text) = line.split_once(": ").or_else(|| line.split_once(" as ")).unwrap();
        let command = command.trim_start();
        assert!(
            command.starts_with('L')
                || command.starts_with("Note over L")
                || command.starts_with("participant L")
        );
        let simple = |c: char| c.is_ascii_alphanumeric() || " .,#;".contains(c);
        assert!(text.chars().all(simple) && !text.split(' ').any(|word| word == "end"), "{line}");
        assert!(
            text.split('#')
                .skip(1)
                .all(|code| code.split_once(';').is_some_and(|(code, _)| code.parse::<u32>().is_ok()))
        );
    }
}

/// A flow that has this text wherever a flow can have text from outside.
fn hostile(text: &str) -> Flow {
    let seen = || Seen::new(text);
    let facts = [
        Fact::seen(Label::Found, text),
        Fact::seen(Label::Place, text),
        Fact::seen(Label::Field, text),
        Fact::Check { check: "issuer", passed: false, found: Some(seen()) },
        claims(text),
        Fact::Foreign(Foreign { algorithm: Some(seen()), key: Some(seen()), length: 9 }),
        Fact::Cookie(Box::new(CookieFact {
            name: seen(),
            path: seen(),
            domain: Some(seen()),
            max_age: None,
            http_only: false,
            secure: false,
            same_site: "",
        })),
    ];
    let verbs = [Verb::ReadInput, Verb::FindKey, Verb::SetCookie, Verb::Redirect];
    let steps = verbs.into_iter().cycle().zip(facts).map(|(verb, fact)| Step::of(verb).fact(fact));
    flow("/login", 200, None, steps.collect())
}

#[track_caller]
fn draws_harmlessly(text: &str) {
    let flow = hostile(text);
    let titled = [Titled { title: text, note: text, flow: &flow }];
    for width in [40, 80] {
        let drawn = super::text(&titled, Style { colour: false, width });
        is_harmless_text(&drawn, width);
        assert!(drawn.lines().count() < 300, "{drawn}");
    }
    is_harmless_svg(&svg_pair(&titled, &titled));
    is_harmless_mermaid(&mermaid(&flow));
    let written = file(&flow).to_string();
    assert!(!written.contains('\n') && serde_json::from_str::<Value>(&written).is_ok());
}

#[test]
fn naughty_strings_draw_nothing_but_themselves() {
    let list: Value = serde_json::from_str(include_str!("../../../tests/data/blns.json")).unwrap();
    for text in list["strings"].as_array().unwrap() {
        draws_harmlessly(text.as_str().unwrap());
    }
    for text in [
        "]]>",
        "<!--",
        "&#0;",
        "\u{0}\u{b}\u{fffe}\u{ffff}",
        "\u{1b}[2J",
        "%%{init: {}}%%",
        "end",
        "界".repeat(99).as_str(),
    ] {
        draws_harmlessly(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn no_text_draws_anything_but_itself(text in any::<String>()) {
        draws_harmlessly(&text);
    }
}

#[test]
fn spans_are_read_at_a_glance() {
    let said = [0, 999, 1_000, 1_449, 55_400, 900_000_000, 7_200_000_000, 604_800_000_000].map(phrases::span);
    assert_eq!(said, ["0 µs", "999 µs", "1 ms", "1.4 ms", "55 ms", "15 min", "2 h", "7 days"]);
    assert_eq!(phrases::span(u64::MAX), "213503982 days");
}
