//! A small fuzzer on proptest: arbitrary bytes, arbitrary text, seeds with some edits, and large repetitions.
//! A failure is shrunk and printed.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// No input of a request's size may take longer, on a slow machine and without optimisation.
const BOUND: Duration = Duration::from_secs(5);

/// Pieces that parsers treat in a special way.
const PIECES: &[&str] = &[
    "\0",
    "\n",
    "\r\n",
    "\\",
    "\"",
    "'",
    "%00",
    "%2f",
    "\u{feff}",
    "\u{202e}",
    "\u{200d}",
    "\u{301}",
    "\u{fffd}",
    "\u{10ffff}",
    "=",
    "==",
    ".",
    "..",
    "/",
    "//",
    "@",
    ",",
    ";",
    ":",
    "$",
    "&",
    "#",
    "?",
    "{",
    "}",
    "[",
    "]",
    "[[[[",
    "{\"a\":",
    "null",
    "1e400",
    "-0",
    "9007199254740993",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "é",
    "ẞ",
    "İ",
    "ﬃ",
    "𝒜",
    "xn--",
    "Bearer ",
    "q=",
    "a",
];

/// Runs `property` on the seeds unchanged, and then for `FUZZ_SECONDS` (1) on mutations of them.
pub(crate) fn fuzz(seeds: Vec<String>, property: impl Fn(&[u8])) {
    let seconds = std::env::var("FUZZ_SECONDS").map_or(1, |text| text.parse().expect("a number of seconds"));
    seeds.iter().for_each(|seed| property(seed.as_bytes()));
    let inputs = inputs(seeds);
    let config =
        Config { cases: 64, failure_persistence: None, max_shrink_time: 20_000, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let outcome = runner.run(&inputs, |input| {
            let began = Instant::now();
            property(&input);
            prop_assert!(began.elapsed() < BOUND, "took {:?}", began.elapsed());
            Ok(())
        });
        if let Err(failure) = outcome {
            panic!("{failure}");
        }
    }
}

/// The seeds of a parser of text: its own, and the big list of naughty strings.
pub(crate) fn hostile_strings(own: &[&str]) -> Vec<String> {
    let list: serde_json::Value =
        serde_json::from_str(include_str!("../../../doorward/tests/data/blns.json")).unwrap();
    let naughty = list["strings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned());
    own.iter().map(|seed| (*seed).to_owned()).chain(naughty).collect()
}

fn inputs(seeds: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
    let edited = (select(seeds.clone()), vec(edit(), 0..6)).prop_map(|(seed, edits)| {
        let mut bytes = seed.into_bytes();
        edits.into_iter().for_each(|edit| edit.apply(&mut bytes));
        bytes
    });
    let spliced = (select(seeds.clone()), select(seeds.clone()), any::<(Index, Index)>()).prop_map(
        |(one, other, (cut, from))| {
            let mut bytes = one.into_bytes();
            bytes.truncate(cut.index(bytes.len() + 1));
            bytes.extend(&other.as_bytes()[from.index(other.len() + 1)..]);
            bytes
        },
    );
    let pieces: Vec<_> = PIECES.iter().map(|piece| (*piece).to_owned()).chain(seeds).collect();
    let built = vec(select(pieces.clone()), 0..24).prop_map(|pieces| pieces.concat().into_bytes());
    // Quadratic behaviour shows here.
    let large = (select(pieces), 1_000..70_000_usize).prop_map(|(piece, size)| {
        piece.bytes().cycle().take(if piece.is_empty() { 0 } else { size }).collect()
    });
    prop_oneof![
        30 => edited,
        10 => spliced,
        10 => built,
        10 => vec(any::<u8>(), 0..512),
        10 => ".{0,200}".prop_map(String::into_bytes),
        1 => large,
    ]
}

#[derive(Debug, Clone)]
enum Edit {
    Flip(Index, u8),
    Cut(Index, Index),
    Insert(Index, &'static str),
    Repeat(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        any::<(Index, u8)>().prop_map(|(at, byte)| Edit::Flip(at, byte)),
        any::<(Index, Index)>().prop_map(|(from, to)| Edit::Cut(from, to)),
        (any::<Index>(), select(PIECES)).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        any::<(Index, Index)>().prop_map(|(from, to)| Edit::Repeat(from, to)),
    ]
}

impl Edit {
    fn apply(self, bytes: &mut Vec<u8>) {
        let range = |from: Index, to: Index| {
            let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
            from.min(to)..from.max(to)
        };
        match self {
            Self::Flip(..) if bytes.is_empty() => {}
            Self::Flip(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            Self::Cut(from, to) => drop(bytes.drain(range(from, to))),
            Self::Insert(at, piece) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, piece.bytes());
            }
            Self::Repeat(from, to) => {
                let again = bytes[range(from, to)].to_vec();
                bytes.extend(again);
            }
        }
    }
}
