//! Reads sources: which modules a file names, in paths and by `include_str!`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A source file without its comments and tests.
pub(crate) struct Source {
    /// Below `src`: `web/peer.rs`.
    pub(crate) path: String,
    pub(crate) code: String,
}

impl Source {
    /// Its module, such as `web::peer`; empty for the root of the crate.
    pub(crate) fn module(&self) -> String {
        let path = self.path.trim_end_matches(".rs");
        let path = path.strip_suffix("/mod").unwrap_or(path);
        if matches!(path, "lib" | "main") { String::new() } else { path.replace('/', "::") }
    }

    /// The folder of its submodules, as a path of modules with `::` after each.
    fn inside(&self) -> String {
        let module = self.module();
        if module.is_empty() { module } else { format!("{module}::") }
    }
}

/// All sources below `src` of a crate.
pub(crate) fn sources(krate: &str) -> Vec<Source> {
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

/// Tests are at the end of a file.
fn code_of(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = before_tests.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The names in a file, each as a path from the root of its crate: `web::peer::Peer`.
pub(crate) fn uses(source: &Source) -> BTreeSet<String> {
    let (code, mut found) = (source.code.as_str(), BTreeSet::new());
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') {
                paths(&code[at..], "", &mut found);
            }
        }
    }
    let mut found: BTreeSet<_> = found.into_iter().map(|path| absolute(source, &path)).collect();
    found.extend(included(source));
    found
}

/// Reads a path, or a tree of paths in braces.
fn paths(text: &str, prefix: &str, found: &mut BTreeSet<String>) {
    if let Some(tree) = text.strip_prefix('{') {
        let (mut depth, mut start) = (0, 0);
        for (at, c) in tree.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    paths(tree[start..at].trim(), prefix, found);
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
    match text[name.len()..].strip_prefix("::") {
        _ if name.is_empty() => {}
        Some(rest) if rest.starts_with(|c: char| c.is_alphabetic() || c == '{' || c == '_') => {
            paths(rest, &format!("{prefix}{name}::"), found);
        }
        _ => {
            found.insert(format!("{prefix}{name}"));
        }
    }
}

/// A path from the root of the crate, in place of one that begins with `crate`, `super` or `self`.
fn absolute(source: &Source, path: &str) -> String {
    let mut base = source.module();
    let mut rest = path;
    loop {
        rest = match rest.split_once("::").unwrap_or((rest, "")) {
            ("crate", rest) => {
                base.clear();
                rest
            }
            ("super", rest) => {
                base = base.rsplit_once("::").map_or(String::new(), |(parent, _)| parent.to_owned());
                rest
            }
            ("self", rest) => rest,
            _ if base.is_empty() => return rest.to_owned(),
            _ => return format!("{base}::{rest}").trim_end_matches(':').to_owned(),
        }
    }
}

/// The modules whose files this one includes by `include_str!` or `templates!`: `features::login` for
/// `include_str!("../features/login/login.html")`.
fn included(source: &Source) -> Vec<String> {
    let folder = Path::new(&source.path).parent().unwrap();
    let of = |open: &'static str, close: char| {
        source.code.split(open).skip(1).map(move |rest| rest.split(close).next().unwrap())
    };
    let arguments = of("include_str!(", ')').chain(of("templates![", ']'));
    let texts = arguments.flat_map(|list| list.split('"').skip(1).step_by(2));
    let module = |text: &str| {
        let mut parts: Vec<_> = folder.iter().map(|part| part.to_str().unwrap()).collect();
        for part in text.split('/') {
            match part {
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.pop();
        parts.join("::")
    };
    texts.map(module).collect()
}

/// The modules of a crate, and what each of them re-exports from its submodules.
pub(crate) struct Modules {
    names: BTreeSet<String>,
    handed_on: BTreeMap<String, String>,
}

impl Modules {
    pub(crate) fn of(sources: &[Source]) -> Self {
        let names: BTreeSet<_> = sources.iter().map(Source::module).collect();
        let mut handed_on = BTreeMap::new();
        for source in sources {
            for line in source.code.split(';').map(str::trim).filter(|line| line.starts_with("pub")) {
                let Some((_, tree)) = line.split_once("use ") else { continue };
                let mut named = BTreeSet::new();
                paths(tree, "", &mut named);
                for path in named {
                    let name = path.rsplit("::").next().unwrap();
                    let from = match path.split("::").next().unwrap() {
                        "crate" | "super" | "self" => absolute(source, &path),
                        child if names.contains(&format!("{}{child}", source.inside())) => {
                            format!("{}{path}", source.inside())
                        }
                        _ => continue,
                    };
                    handed_on.insert(format!("{}{name}", source.inside()), from);
                }
            }
        }
        Self { names, handed_on }
    }

    /// The module that a path leads to: where the item is defined, not where it is re-exported.
    pub(crate) fn of_path(&self, path: &str) -> String {
        let mut path = path.to_owned();
        for _ in 0..8 {
            let Some((name, target)) = self.handed_on.iter().find(|(name, target)| {
                *target != *name && (path == **name || path.starts_with(&format!("{name}::")))
            }) else {
                break;
            };
            path = format!("{target}{}", &path[name.len()..]);
        }
        loop {
            if self.names.contains(&path) {
                return path;
            }
            path = path.rsplit_once("::").map_or(String::new(), |(parent, _)| parent.to_owned());
        }
    }
}
