//! Reads the sources and fails if an arrow points upward: between the crates, and within this one.
//!
//! ARCHITECTURE.md draws the same map for people.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod circles;
mod sources;

use std::collections::BTreeMap;

use sources::{Source, sources, uses};

/// The floors of this crate, from the top. A file uses its own floor and those below it; a feature no other feature.
const FLOORS: [&[&str]; 6] = [
    &["embed", "open", "routes", "serve"],
    &["features"],
    &["web", "tour"],
    &["app", "explain"],
    &[
        "accounts",
        "actors",
        "acts",
        "sessions",
        "users",
        "passwords",
        "hashing",
        "hooks",
        "throttle",
        "agreed",
        "keys",
        "assertions",
        "look",
        "pulse",
        "next_look",
        "revocations",
        "audit",
        "posts",
        "authenticators",
        "challenges",
        "invitations",
        "known_devices",
        "clients",
        "disk",
        "roots",
        "root_rotation",
        "transfer",
        "feed",
        "sign_ins",
        "otel",
        "no_otel",
    ],
    &[
        "wire",
        "error",
        "store",
        "sweeps",
        "settings",
        "clock",
        "random",
        "private_file",
        "counters",
        "metrics",
        "seldom",
        "request_id",
        "flow",
        "texts",
    ],
];
/// The crate's root joins all floors, and so do what the program uses and the server of the tests.
const BESIDE: [&str; 3] = ["", "internals", "testing"];

/// The floor of a path such as `web::peer` or `users::User`; `None` for the crate's root.
fn floor(path: &str) -> Option<usize> {
    let first = path.split("::").next().unwrap();
    FLOORS.iter().position(|floor| floor.contains(&first))
}

#[test]
fn arrows_between_crates_point_only_downward() {
    let allowed = BTreeMap::from([
        ("doorward-cli", vec!["doorward", "doorward_core"]),
        ("doorward", vec!["doorward_guard", "doorward_core"]),
        ("doorward-guard", vec!["doorward_core"]),
        ("doorward-core", vec![]),
    ]);
    for (krate, below) in allowed {
        for Source { path, code } in sources(krate) {
            for other in ["doorward_cli", "doorward", "doorward_guard", "doorward_core"] {
                let named = code
                    .match_indices(&format!("{other}::"))
                    .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
                let own = other == krate.replace('-', "_");
                assert!(!named || own || below.contains(&other), "{krate}/src/{path} uses {other}");
            }
        }
    }
}

#[test]
fn every_file_stands_on_a_floor() {
    for source in sources("doorward") {
        let module = source.module();
        let beside = BESIDE.contains(&module.split("::").next().unwrap());
        let known = beside || floor(&module).is_some();
        assert!(known, "{}: put it on a floor, here and in ARCHITECTURE.md", source.path);
    }
}

#[test]
fn a_file_uses_its_own_floor_and_those_below() {
    let mut upward = Vec::new();
    for source in sources("doorward") {
        let (Some(own), path) = (floor(&source.module()), &source.path) else { continue };
        for used in uses(&source) {
            match floor(&used) {
                Some(other) if other < own => upward.push(format!("{path} uses {used}")),
                None => upward.push(format!("{path} uses crate::{used}")),
                _ => {}
            }
        }
    }
    assert!(upward.is_empty(), "arrows that point upward:\n{}", upward.join("\n"));
}

#[test]
fn no_feature_uses_another_feature() {
    for source in sources("doorward") {
        let Some((feature, _)) = source.path.strip_prefix("features/").and_then(|rest| rest.split_once('/'))
        else {
            continue;
        };
        for used in uses(&source) {
            let other = used.strip_prefix("features::").map(|rest| rest.split("::").next().unwrap());
            assert!(other.is_none_or(|other| other == feature), "{} uses {used}", source.path);
        }
    }
}

#[test]
fn a_file_of_doors_holds_no_sql() {
    let mut doors = 0;
    for Source { path, code } in sources("doorward").into_iter().filter(|one| one.path.ends_with("/http.rs"))
    {
        doors += 1;
        for word in ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE ", "\"WITH ", "values!["] {
            assert!(!code.contains(word), "{path} holds SQL: {word}");
        }
    }
    assert!(doors > 0);
}

#[test]
fn time_and_chance_come_in_at_one_place_each() {
    for krate in ["doorward-core", "doorward-guard", "doorward"] {
        for Source { path, code } in sources(krate) {
            for (call, place) in [
                ("SystemTime::now", "clock.rs"),
                ("Instant::now", "clock.rs"),
                ("OffsetDateTime::now", "clock.rs"),
                ("Uuid::now_v7", ""),
                ("Uuid::new_v4", ""),
            ] {
                assert!(!code.contains(call) || path == place, "{krate}/src/{path} calls {call}");
            }
            let draws = code.contains("rand::fill") || code.contains("SystemRandom");
            assert!(
                !draws || path == "random.rs" || krate == "doorward-core",
                "{krate}/src/{path} draws by itself"
            );
        }
    }
}

#[test]
fn core_is_decidable_with_pen_and_paper() {
    for Source { path, code } in sources("doorward-core") {
        for call in [
            "async fn",
            ".await",
            "std::fs",
            "std::io",
            "TcpStream",
            "std::env",
            "tokio::",
            "axum::",
            "http::",
            "rusqlite",
        ] {
            assert!(!code.contains(call), "doorward-core/src/{path} has {call}");
        }
    }
}

#[test]
fn paths_and_includes_are_read_as_the_compiler_reads_them() {
    let in_file = |path: &str, code: &str| {
        let source = Source { path: path.into(), code: code.into() };
        uses(&source).into_iter().collect::<Vec<_>>()
    };
    let read = |code: &str| in_file("web/a.rs", code);
    assert_eq!(read("use crate::{audit, challenges};"), ["audit", "challenges"]);
    assert_eq!(read("use crate::web::{peer::Peer, body};"), ["web::body", "web::peer::Peer"]);
    assert_eq!(
        read("use crate::{web::{a, b::C}, users::{self, User}};"),
        ["users::User", "users::self", "web::a", "web::b::C"]
    );
    assert_eq!(read("use super::{b::B, c}; super::super::users::f()"), ["users::f", "web::b::B", "web::c"]);
    assert_eq!(in_file("web/mod.rs", "use self::b::B;"), ["web::b::B"]);
    assert_eq!(read("let x = crate::random::bytes(); mycrate::z"), ["random::bytes"]);
    assert_eq!(read("include_str!(\"../features/login/login.html\")"), ["features::login"]);
    assert_eq!(in_file("features/login/mod.rs", "include_str!(\"login.html\")"), ["features::login"]);
    let templates = "templates![\"a.html\", \"../features/login/login.html\"]";
    assert_eq!(read(templates), ["features::login", "web"]);
    assert_eq!((floor("web::peer"), floor("wire::page"), floor("users::User")), (Some(2), Some(5), Some(4)));
}

#[test]
fn what_is_for_tests_alone_is_in_no_release() {
    for krate in ["doorward-core", "doorward-guard", "doorward", "doorward-cli"] {
        for source in sources(krate) {
            let lines: Vec<_> = source.code.lines().map(str::trim).collect();
            for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("fn for_tests")) {
                // Before it, or before what it stands in.
                let gated =
                    lines[..at].iter().rev().take(3).any(|line| line.contains("feature = \"testing\""));
                assert!(gated, "{krate}/{}: {line}", source.path);
            }
        }
    }
}
