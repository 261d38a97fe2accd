//! Modules beside each other don't use each other in a circle: on every floor of every crate, and within each folder.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{Modules, Source, sources, uses};

/// `args` lists the commands, and the commands take the arguments common to all: clap's own shape.
const ALLOWED: [(&str, &str, &str); 1] = [("doorward-cli", "args", "commands")];

/// For each folder (a module's path), which of its modules uses which.
type Arrows = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn arrows(krate: &str, sources: &[Source]) -> Arrows {
    let (modules, mut all) = (Modules::of(sources), Arrows::new());
    for source in sources {
        let own = source.module();
        for used in uses(source).iter().map(|path| modules.of_path(path)) {
            let (from, to) = (own.split("::"), used.split("::"));
            let shared: Vec<_> = from.zip(to).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
            let below = |module: &str| module.split("::").nth(shared.len()).unwrap_or_default().to_owned();
            let (from, to) = (below(&own), below(&used));
            // Between a module and its own submodules arrows go both ways.
            if from.is_empty() || to.is_empty() || ALLOWED.contains(&(krate, from.as_str(), to.as_str())) {
                continue;
            }
            all.entry(shared.join("::")).or_default().entry(from).or_default().insert(to);
        }
    }
    all
}

/// The arrows that are left after removing everything outside of a circle.
fn circles(mut arrows: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let uses: BTreeSet<_> = arrows.keys().cloned().collect();
        let used: BTreeSet<_> = arrows.values().flatten().cloned().collect();
        let count = arrows.values().map(BTreeSet::len).sum::<usize>();
        arrows.retain(|from, _| used.contains(from));
        arrows.values_mut().for_each(|to| to.retain(|to| uses.contains(to)));
        arrows.retain(|_, to| !to.is_empty());
        if arrows.values().map(BTreeSet::len).sum::<usize>() == count {
            return arrows;
        }
    }
}

#[test]
fn modules_beside_each_other_use_each_other_without_a_circle() {
    let mut found = Vec::new();
    for krate in ["doorward-core", "doorward-guard", "doorward", "doorward-cli"] {
        for (folder, arrows) in arrows(krate, &sources(krate)) {
            let left = circles(arrows);
            let lines = left.iter().map(|(from, to)| format!("{krate} {folder}: {from} -> {to:?}"));
            found.extend(lines);
        }
    }
    assert!(found.is_empty(), "circles among:\n{}", found.join("\n"));
}

#[test]
fn a_circle_is_found_also_behind_what_a_module_hands_on() {
    let source = |path: &str, code: &str| Source { path: path.into(), code: code.into() };
    let sources = [
        source("lib.rs", "mod a;"),
        source("a/mod.rs", "mod b; mod c; pub use b::{B, Other}; fn f() { c::f() }"),
        source("a/b.rs", "use super::c::C;"),
        source("a/c.rs", "use super::B;"),
        source("a/d.rs", "use crate::a::b::B;"),
    ];
    let arrows = arrows("x", &sources).remove("a").unwrap();
    let left: Vec<_> = circles(arrows).into_keys().collect();
    assert_eq!(left, ["b", "c"]);
}
