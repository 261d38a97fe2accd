//! The lists of attacks and of the verification standard are true. Every test and document that they name exists, and
//! every row that applies has a test or a reason.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How many rows the attack list has in each section.
const ROWS: [(char, usize); 14] = [
    ('J', 43),
    ('K', 14),
    ('R', 14),
    ('P', 17),
    ('E', 6),
    ('A', 9),
    ('C', 11),
    ('O', 9),
    ('L', 7),
    ('I', 6),
    ('H', 15),
    ('F', 9),
    ('D', 8),
    ('X', 25),
];

struct Row {
    id: String,
    tests: Vec<String>,
    reason: String,
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The rows of every table: id, what, tests or where it waits, note.
fn rows() -> Vec<Row> {
    let list = fs::read_to_string(workspace().join("docs/coverage/attacks.md")).unwrap();
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let tables = list.lines().filter(|line| line.starts_with('|')).map(cells);
    let is_id = |id: &str| id.len() == 3 && id[1..].bytes().all(|byte| byte.is_ascii_digit());
    let rows = tables.filter(|cells| is_id(&cells[0]));
    rows.map(|cells| {
        let [id, what, covered, _note] =
            <[String; 4]>::try_from(cells).unwrap_or_else(|cells| panic!("four cells: {cells:?}"));
        assert!(!what.is_empty(), "{id} says nothing");
        let tests = covered.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let reason = covered.split('`').step_by(2).collect::<String>();
        Row { id, tests, reason: reason.trim_matches([',', ';', ' ']).to_owned() }
    })
    .collect()
}

/// The names of all test functions of the workspace, and of the tests of the client and the guard in TypeScript.
fn tests() -> BTreeSet<String> {
    fn collect(folder: &Path, names: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, names);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                names.extend(tests_in(&fs::read_to_string(&path).unwrap()));
            } else if path.extension().is_some_and(|extension| extension == "mjs") {
                names.extend(scripted_tests_in(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut names = BTreeSet::new();
    collect(&workspace().join("crates"), &mut names);
    collect(&workspace().join("clients/typescript/test"), &mut names);
    names
}

/// The names that begin the titles of a script's tests: `story('x14_after_a_reset…'`.
fn scripted_tests_in(text: &str) -> impl Iterator<Item = String> {
    let titles = text.lines().filter_map(|line| {
        let line = line.trim_start();
        let call = line.strip_prefix("test(").or_else(|| line.strip_prefix("story("))?;
        call.strip_prefix(['\'', '`'])
    });
    titles.map(|title| title.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
}

/// The functions that follow a `#[test]`, or an attribute that ends in it. Inside `proptest!` they look the same.
fn tests_in(text: &str) -> Vec<String> {
    let (mut names, mut marked) = (Vec::new(), false);
    for line in text.lines().map(str::trim) {
        marked |= line.starts_with("#[") && line.contains("test") && !line.starts_with("#[cfg");
        let function = line.trim_start_matches("async ").strip_prefix("fn ");
        if let Some(function) = function {
            let name: String =
                function.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            names.extend(marked.then_some(name));
            marked = false;
        }
    }
    names
}

#[test]
fn every_test_that_the_list_of_attacks_names_exists() {
    let tests = tests();
    let named: Vec<_> = rows()
        .into_iter()
        .flat_map(|row| row.tests.into_iter().map(move |test| (row.id.clone(), test)))
        .collect();
    assert!(named.len() > 100, "only {} tests are named", named.len());
    let missing: Vec<_> = named.iter().filter(|(_, test)| !tests.contains(test)).collect();
    assert!(missing.is_empty(), "docs/coverage/attacks.md names tests that do not exist: {missing:#?}");
}

#[test]
fn every_row_that_applies_has_a_test_of_its_name_or_a_reason() {
    let is_covered = |row: &Row| {
        // The ids stand before the sentence: `k03_k04_only_the_exact_name_counts`.
        let id = row.id.to_lowercase();
        let ids = |test: &str| test.split('_').take_while(|word| word.len() == 3).any(|word| word == id);
        row.tests.iter().any(|test| ids(test)) || row.reason.starts_with("waits for: ")
    };
    let open: Vec<_> = rows().into_iter().filter(|row| !is_covered(row)).map(|row| row.id).collect();
    assert!(open.is_empty(), "neither test nor reason in docs/coverage/attacks.md: {open:?}");
}

#[test]
fn every_row_of_the_attack_list_stands_there_once_and_in_order() {
    let expected: Vec<_> = ROWS
        .iter()
        .flat_map(|(section, count)| (1..=*count).map(move |at| format!("{section}{at:02}")))
        .collect();
    let found: Vec<_> = rows().into_iter().map(|row| row.id).collect();
    assert_eq!(found, expected);
}

/// The rows of the standard: id, level, what, and its tests or documents.
fn asvs() -> Vec<[String; 4]> {
    let list = fs::read_to_string(workspace().join("docs/coverage/asvs.md")).unwrap();
    let rows = list
        .lines()
        .filter(|line| line.starts_with("| ") && line[2..].starts_with(|c: char| c.is_ascii_digit()));
    rows.map(|row| {
        let cells = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        cells.try_into().unwrap_or_else(|cells| panic!("four cells: {cells:?}"))
    })
    .collect()
}

/// How many rows of each level apply to what exists.
const ASVS: [(&str, usize); 3] = [("1", 57), ("2", 114), ("3", 46)];

#[test]
fn every_row_of_the_standard_stands_there_once_with_a_test_a_document_or_a_reason() {
    let rows = asvs();
    for (level, count) in ASVS {
        assert_eq!(rows.iter().filter(|row| row[1] == level).count(), count, "level {level}");
    }
    let ids: BTreeSet<_> = rows.iter().map(|row| &row[0]).collect();
    assert_eq!(ids.len(), rows.len(), "a row stands twice");
    let empty: Vec<_> = rows
        .iter()
        .filter(|row| {
            !row[3].contains('`')
                && !row[3].contains("](")
                && !row[3].starts_with("open: ")
                && row[3] != "this page"
        })
        .collect();
    assert!(empty.is_empty(), "neither test nor document nor reason: {empty:?}");
}

#[test]
fn every_test_and_document_that_the_list_of_the_standard_names_exists() {
    let tests = tests();
    for [id, _, _, covered] in asvs() {
        let quoted = covered.split('`').skip(1).step_by(2);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_test = |word: &&str| word.len() > 20 && word.chars().all(is_name);
        for test in quoted.filter(is_test) {
            assert!(tests.contains(test), "{id} names the test {test}, which does not exist");
        }
        for link in covered.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = workspace().join("docs/coverage").join(path);
            let text = fs::read_to_string(&file)
                .unwrap_or_else(|_| panic!("{id} names {path}, which does not exist"));
            let is_heading = |line: &str| {
                let title = line.trim_start_matches('#').trim().to_lowercase();
                line.starts_with('#') && title.replace(['\'', ','], "").replace(' ', "-") == heading
            };
            assert!(
                heading.is_empty() || text.lines().any(is_heading),
                "{id}: {path} has no heading {heading}"
            );
        }
    }
}

#[test]
fn every_promise_is_shown_by_a_test_that_exists() {
    let list = fs::read_to_string(workspace().join("docs/coverage/promises.md")).unwrap();
    let tests = tests();
    let (rules, rows): (Vec<_>, Vec<_>) =
        list.lines().filter(|line| line.starts_with('|')).partition(|line| line.starts_with("|---"));
    assert_eq!(rules.len(), 1);
    for row in rows.iter().skip(1) {
        let cells = row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
        let [promise, shown] = cells[..] else { panic!("two cells: {row}") };
        let named = shown.split('`').skip(1).step_by(2).collect::<Vec<_>>();
        let links = shown.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()).collect::<Vec<_>>();
        assert!(!promise.is_empty(), "no promise: {row}");
        assert!(named.len() + links.len() > 0, "nothing shows it: {row}");
        let missing: Vec<_> = named.into_iter().filter(|test| !tests.contains(*test)).collect();
        assert!(missing.is_empty(), "no such test: {missing:?}");
        let missing: Vec<_> =
            links.into_iter().filter(|path| !workspace().join("docs/coverage").join(path).exists()).collect();
        assert!(missing.is_empty(), "no such file: {missing:?}");
    }
}

#[test]
fn tests_are_found_and_other_functions_are_not() {
    let text =
        "#[tokio::test]\nasync fn a01_b() {}\nfn helper() {}\n#[test]\nfn c() {\n#[cfg(test)]\nfn d() {}";
    assert_eq!(tests_in(text), ["a01_b", "c"]);
}
