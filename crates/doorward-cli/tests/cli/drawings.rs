//! The drawings in README and docs are made by `doorward tour`.

use std::path::Path;

use crate::support::Home;

/// The name of each file in docs/images/flows, and the flow that it draws.
const DRAWINGS: [(&str, &[&str]); 5] = [
    ("login", &["--flow", "login", "--scene", "browser", "--column", "jwt"]),
    ("protected", &["--flow", "protected", "--scene", "cookie"]),
    ("refresh", &["--flow", "refresh", "--column", "jwt"]),
    ("stolen-refresh-token", &["--flow", "stolen-refresh-token", "--scene", "thief", "--column", "jwt"]),
    ("logout", &["--flow", "logout", "--column", "jwt"]),
];

#[test]
fn the_drawings_in_the_documentation_are_those_of_the_program() {
    let home = Home::sqlite();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images/flows");
    for (name, flow) in DRAWINGS {
        let drawn = home.run(&[&["tour", "--svg"], flow].concat()).ok();
        let file = folder.join(format!("{name}.svg"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(file, drawn).unwrap();
            continue;
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == drawn, "{} is stale: UPDATE=1 cargo test -p doorward-cli drawings", file.display());
    }
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files, DRAWINGS.len(), "a file in docs/images/flows is made by nothing");
}
