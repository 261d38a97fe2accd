//! Reads the sources and fails where an arrow points upward: between the crates, and within this one.
//!
//! ARCHITECTURE.md draws the same map for people.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The floors of this crate, from the top. A file uses its own floor and those below it; a feature no other feature.
const FLOORS: [&[&str]; 6] = [
    &["library", "routes", "serve"],
    &["features"],
    &["web"],
    &["app"],
    &[
        "accounts",
        "actors",
        "sessions",
        "users",
        "passwords",
        "hashing",
        "hooks",
        "throttle",
        "keys",
        "revocations",
        "audit",
        "posts",
        "links",
        "known_devices",
        "client",
        "clients",
        "feed",
        "sign_ins",
    ],
    // These files of web stand down here, since App holds what they make; they know no App.
    &[
        "error",
        "store",
        "settings",
        "shape",
        "clock",
        "random",
        "metrics",
        "seldom",
        "web::cookies",
        "web::headers",
        "web::origins",
        "web::page",
        "web::assets",
        "web::words",
    ],
];
/// The face of the crate joins all floors, and so does the server of the tests.
const BESIDE: [&str; 2] = ["lib", "testing"];

/// A source file without its comments and tests.
struct Source {
    path: String,
    code: String,
}

/// All sources below `src` of a crate.
fn sources(krate: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(krate).join("src");
    let mut found = Vec::new();
    for path in files(&root) {
        let relative = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let is_test = relative.ends_with("tests.rs") || relative.contains("tests/");
        if relative.ends_with(".rs") && !is_test {
            found.push(Source { path: relative, code: code_of(&std::fs::read_to_string(&path).unwrap()) });
        }
    }
    assert!(!found.is_empty(), "{} has no sources", root.display());
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Tests stand at the end of a file.
fn code_of(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = before_tests.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// What a text names after `crate::`, in `use` lines and elsewhere: `web::{client, input}` is two.
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') {
            paths(&code[at + "crate::".len()..], "", &mut found);
        }
    }
    found
}

/// Reads a path, or a tree of paths in braces, with at most two parts each.
fn paths(text: &str, prefix: &str, found: &mut BTreeSet<String>) {
    if let Some(tree) = text.strip_prefix('{') {
        let mut depth = 0;
        let mut start = 0;
        for (at, c) in tree.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    paths(tree[start..at].trim_start(), prefix, found);
                    start = at + 1;
                    if c == '}' {
                        return;
                    }
                }
                _ => {}
            }
        }
        return;
    }
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let rest = &text[name.len()..];
    match rest.strip_prefix("::") {
        Some(rest) if prefix.is_empty() => paths(rest, &format!("{name}::"), found),
        _ if name.is_empty() => {}
        _ => {
            found.insert(format!("{prefix}{name}"));
        }
    }
}

/// The floor of a path such as `web::client` or `users::User`; `None` for the crate's face.
fn floor(path: &str) -> Option<usize> {
    let first = path.split("::").next().unwrap();
    let on = |name: &str| FLOORS.iter().position(|floor| floor.contains(&name));
    on(path).or_else(|| on(first))
}

/// A file's path as a module's: `web/client.rs` is `web::client`, `features/login/mod.rs` is `features::login`.
fn module(path: &str) -> String {
    path.trim_end_matches(".rs").trim_end_matches("/mod").split('/').take(2).collect::<Vec<_>>().join("::")
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
    for Source { path, .. } in sources("doorward") {
        let module = module(&path);
        let beside = BESIDE.iter().any(|name| module.split("::").next() == Some(name));
        assert!(beside || floor(&module).is_some(), "{path}: put it on a floor, here and in ARCHITECTURE.md");
    }
}

#[test]
fn a_file_uses_its_own_floor_and_those_below() {
    let mut upward = Vec::new();
    for Source { path, code } in sources("doorward") {
        let Some(own) = floor(&module(&path)) else { continue };
        for used in uses(&code) {
            // The face itself re-exports from all floors: only `router` is named by it, by who serves.
            match floor(&used) {
                Some(other) if other < own => upward.push(format!("{path} uses {used}")),
                None if own > 0 || used != "router" => upward.push(format!("{path} uses crate::{used}")),
                _ => {}
            }
        }
    }
    assert!(upward.is_empty(), "arrows that point upward:\n{}", upward.join("\n"));
}

#[test]
fn no_feature_uses_another_feature() {
    for Source { path, code } in sources("doorward") {
        let Some(feature) = path.strip_prefix("features/").and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        for used in uses(&code) {
            let other = used.strip_prefix("features::");
            assert!(other.is_none_or(|other| other == feature.0), "{path} uses {used}");
        }
        assert!(!code.contains("super::super"), "{path} climbs out of its folder");
    }
}

#[test]
fn foundations_use_each_other_without_a_circle() {
    let mut below: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let first = |path: &str| path.split("::").next().unwrap().to_owned();
    for Source { path, code } in sources("doorward") {
        let own = first(&module(&path));
        if FLOORS[4].contains(&own.as_str()) {
            let used: BTreeSet<_> = uses(&code).iter().map(|used| first(used)).collect();
            let foundations =
                used.into_iter().filter(|used| *used != own && FLOORS[4].contains(&used.as_str()));
            below.entry(own.clone()).or_default().extend(foundations);
        }
    }
    while !below.is_empty() {
        let lowest = below.iter().find(|(_, used)| used.iter().all(|one| !below.contains_key(one)));
        let lowest = lowest.map(|(name, _)| name.clone());
        assert!(lowest.is_some(), "a circle within {below:?}");
        below.remove(&lowest.unwrap());
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
fn trees_of_paths_are_read_as_the_compiler_reads_them() {
    let read = |code: &str| uses(code).into_iter().collect::<Vec<_>>();
    assert_eq!(read("use crate::{audit, links};"), ["audit", "links"]);
    assert_eq!(read("use crate::web::{client::Client, input};"), ["web::client", "web::input"]);
    assert_eq!(
        read("use crate::{web::{a, b::C}, users::{self, User}};"),
        ["users::User", "users::self", "web::a", "web::b"]
    );
    assert_eq!(read("let x = crate::random::bytes(); mycrate::z"), ["random::bytes"]);
    assert_eq!((floor("web::client"), floor("web::page"), floor("users::User")), (Some(2), Some(5), Some(4)));
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
