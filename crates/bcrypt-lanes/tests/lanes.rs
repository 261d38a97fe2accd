//! The digests against test vectors, the crate `bcrypt` and libxcrypt; `CASES=100000` makes the comparisons long.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::io::Write;
use std::process::{Command, Stdio};

use bcrypt_lanes::{Batch, Error, Job, MOST_LANES, digest, hash, verify};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

const VECTORS: &str = include_str!("../../doorward-core/tests/data/bcrypt_kat.json");

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn every_known_hash_is_that_of_its_password_and_of_no_other() {
    let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    let mut counts = HashMap::new();
    for test in vectors["tests"].as_array().unwrap() {
        let (text, result) = (test["hash"].as_str().unwrap(), test["result"].as_str().unwrap());
        let password = unhex(test["password_hex"].as_str().unwrap());
        let verdict = verify(&password, text);
        match result {
            "valid" => {
                assert_eq!(verdict, Ok(true), "{text}");
                let mut other = password.clone();
                other.insert(0, 1);
                assert_eq!(verify(&other, text), Ok(false), "{text}");
            }
            "invalid" => assert_ne!(verdict, Ok(true), "{text}"),
            "legacy-2x" => assert_eq!(verdict, Err(Error::Version2x), "{text}"),
            // Another bcrypt takes measures against collisions there.
            "legacy-2a" => assert!(verdict.is_ok(), "{text}"),
            other => panic!("{other}"),
        }
        *counts.entry(result.to_owned()).or_insert(0) += 1;
    }
    assert_eq!(
        (counts["valid"], counts["invalid"], counts["legacy-2x"], counts["legacy-2a"]),
        (403, 21, 4, 3)
    );
}

/// A password, its salt and its cost.
type Case = (Vec<u8>, [u8; 16], u32);

fn cases() -> u32 {
    std::env::var("CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(600)
}

fn any_case() -> impl Strategy<Value = Case> {
    let bytes = prop::collection::vec(any::<u8>(), 0..=80);
    let text = "\\PC{0,40}".prop_map(String::into_bytes);
    let short = prop::collection::vec(prop::sample::select(vec![0, 1, 0x7f, 0x80, 0xff]), 0..=4);
    (prop_oneof![4 => bytes, 2 => text, 1 => short], any::<[u8; 16]>(), 4_u32..=6)
}

fn by_the_crate((password, salt, cost): &Case) -> [u8; 23] {
    let mut key: Vec<u8> = password.iter().copied().take(72).collect();
    key.push(0);
    key.truncate(72);
    bcrypt::bcrypt(*cost, *salt, &key)[..23].try_into().unwrap()
}

/// Adds each as soon as there is room in so many lanes, and returns the digests in the order of the cases.
fn in_lanes(cases: &[Case], lanes: usize) -> Vec<[u8; 23]> {
    let mut waiting = cases.iter().enumerate();
    let mut found = vec![None; cases.len()];
    let mut batch = Batch::new();
    loop {
        while batch.len() < lanes
            && let Some((n, (password, salt, cost))) = waiting.next()
        {
            batch.add(Job::new(password, *salt, *cost).unwrap(), n).ok().unwrap();
        }
        match batch.turn() {
            Some((n, digest)) => assert_eq!(found[n].replace(digest), None),
            None if batch.is_empty() => break,
            None => {}
        }
    }
    found.into_iter().map(Option::unwrap).collect()
}

#[test]
fn every_number_of_lanes_gives_what_the_crate_gives() {
    let config = Config { cases: cases() / 8, failure_persistence: None, ..Config::default() };
    let strategy = (prop::collection::vec(any_case(), 1..=15), 1..=MOST_LANES);
    TestRunner::new(config)
        .run(&strategy, |(cases, lanes)| {
            let expected: Vec<_> = cases.iter().map(by_the_crate).collect();
            prop_assert_eq!(in_lanes(&cases, lanes), expected);
            Ok(())
        })
        .unwrap();
}

#[test]
fn passwords_of_every_length_are_read_up_to_72_bytes() {
    let long: Vec<u8> = (1..=90).collect();
    let cases: Vec<Case> = (0..=90).map(|length| (long[..length].to_vec(), [length as u8; 16], 4)).collect();
    assert_eq!(in_lanes(&cases, 4), cases.iter().map(by_the_crate).collect::<Vec<_>>());
    let digest = |password: &[u8]| digest(password, [1; 16], 4).unwrap();
    assert_eq!(digest(&long[..72]), digest(&long[..73]));
    assert_ne!(digest(&long[..71]), digest(&long[..72]));
    // A NUL is a byte, and the end of a password is one too.
    assert_ne!(digest(b"a"), digest(b"a\0b"));
    assert_eq!(digest(b""), digest(b"\0"));
}

#[test]
fn the_crate_and_this_one_accept_each_others_texts_and_refuse_the_same_ones() {
    let text = hash(b"correct horse", [0xa5; 16], 4).unwrap();
    assert_eq!(text, bcrypt::hash_with_salt("correct horse", 4, [0xa5; 16]).unwrap().to_string());
    assert!(bcrypt::verify("correct horse", &text).unwrap());
    assert_eq!(verify(b"correct horse", &text.replace("$2b$", "$2y$")), Ok(true));
    let mut refused = 0;
    for at in 0..text.len() {
        for wrong in ["", "$", "!", "a", ".", "9", "0", "-", "é", "x", "+", "\0"] {
            let changed = format!("{}{wrong}{}", &text[..at], &text[at + 1..]);
            let (own, other) =
                (verify(b"correct horse", &changed), bcrypt::verify("correct horse", &changed));
            // Two kinds of texts are refused here alone: that of a maker with a bug, and a cost with a sign.
            let is_refused_here = changed.starts_with("$2x$") || changed.starts_with("$2b$+4$");
            assert_eq!(own.is_err(), other.is_err() || is_refused_here, "{changed}: {own:?} {other:?}");
            assert!(is_refused_here || own.unwrap_or(false) == other.unwrap_or(false), "{changed}");
            refused += u32::from(own.is_err());
        }
    }
    assert!(refused > 150, "{refused}");
    for cost in [0, 3, 32, u32::MAX] {
        assert_eq!(hash(b"", [0; 16], cost), Err(Error::Cost(cost)));
        assert!(bcrypt::hash_with_salt("", cost, [0; 16]).is_err());
    }
}

/// `crypt(3)` of this system, by Perl: passwords without a NUL, as C takes them.
#[test]
fn the_systems_crypt_gives_the_same_texts() {
    let strategy = any_case().prop_filter("no NUL", |(password, ..)| !password.contains(&0));
    let mut runner = TestRunner::new(Config::default());
    let cases: Vec<Case> =
        (0..cases() / 4).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let mut perl = Command::new("perl")
        .args(["-ne", r#"chomp; my ($p, $s) = split / /; print crypt(pack("H*", $p // ""), $s), "\n""#])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let texts: Vec<String> =
        cases.iter().map(|(password, salt, cost)| hash(password, *salt, *cost).unwrap()).collect();
    let mut input = perl.stdin.take().unwrap();
    let lines: String = cases
        .iter()
        .zip(&texts)
        .map(|((password, ..), text)| {
            let hex: String = password.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hex} {}\n", &text[..29])
        })
        .collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = perl.wait_with_output().unwrap();
    writer.join().unwrap();
    let found: Vec<_> = str::from_utf8(&output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(found.len(), texts.len());
    for ((own, other), (password, ..)) in texts.iter().zip(&found).zip(&cases) {
        assert_eq!(own, other, "{password:02x?}");
    }
}

#[test]
fn a_full_batch_gives_a_job_back_and_prints_no_password() {
    let job = || Job::new(b"a secret", [0; 16], 4).unwrap();
    assert!(!format!("{:?}", job()).contains("secret"));
    let mut batch = Batch::new();
    for n in 0..MOST_LANES {
        assert!(batch.add(job(), n).is_ok());
    }
    let (_, tag) = batch.add(job(), 9).unwrap_err();
    assert_eq!((tag, batch.len()), (9, MOST_LANES));
    assert!(matches!(Job::new(b"", [0; 16], 3), Err(Error::Cost(3))));
    assert_eq!(Batch::<()>::new().turn(), None);
}
