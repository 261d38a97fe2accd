//! The routes of the product as its sources say them, and who may what: a route without a row here fails.
//!
//! Read from the `.route("…", get(…).post(…))` lines of the features, since axum's router doesn't tell its routes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Method, path, who may. `anybody` includes whoever has a bad credential; `signed in` is every live session; a
/// permission stands for the roles that grant it; `refresh token` is that credential alone; `a browser` is no program:
/// a page that has no JSON.
pub(crate) const ROUTES: &str = "
GET    /                                anybody
GET    /.well-known/jwks.json           anybody
GET    /admin/audit                     audit:read
POST   /admin/invitations               users:write
GET    /admin/sessions                  sessions:read
GET    /admin/users                     users:read
POST   /admin/users                     users:write
DELETE /admin/users/{id}                users:write
GET    /admin/users/{id}                users:read
PATCH  /admin/users/{id}                users:write
POST   /admin/users/{id}/reset-link     users:write
DELETE /admin/users/{id}/sessions       sessions:end
GET    /admin/users/{id}/sessions       sessions:read
GET    /dashboard                       signed in
GET    /favicon.svg                     anybody
GET    /healthz                         anybody
GET    /login                           anybody
POST   /login                           anybody
GET    /logout                          a browser
POST   /logout                          anybody
POST   /logout/all                      signed in
GET    /password/reset                  anybody
POST   /password/reset                  anybody
DELETE /profile                         signed in
GET    /profile                         signed in
PATCH  /profile                         signed in
POST   /profile                         signed in
POST   /profile/delete                  signed in
POST   /profile/password                signed in
GET    /readyz                          anybody
GET    /refresh                         a browser
POST   /refresh                         refresh token
GET    /register                        anybody
POST   /register                        anybody
DELETE /sessions                        signed in
GET    /sessions                        signed in
POST   /sessions/end-others             signed in
DELETE /sessions/{id}                   signed in
POST   /sessions/{id}/end               signed in
GET    /style.css                       anybody
";

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) who: &'static str,
}

/// The rows of the table.
pub(crate) fn routes() -> Vec<Route> {
    let rows = ROUTES.lines().filter(|line| !line.is_empty());
    rows.map(|line| {
        let (method, rest) = line.split_once(' ').unwrap();
        let (path, who) = rest.trim_start().split_once(' ').unwrap();
        Route { method, path, who: who.trim_start() }
    })
    .collect()
}

/// Method and path of every route in the sources of the features.
fn routes_of_the_sources() -> BTreeSet<(String, String)> {
    let features = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/features");
    let mut found = BTreeSet::new();
    for file in sources(&features) {
        let text = std::fs::read_to_string(file).unwrap();
        for rest in text.split(".route(\"").skip(1) {
            let (path, rest) = rest.split_once("\",").unwrap();
            for method in methods(arguments(rest)) {
                found.insert((method, path.to_owned()));
            }
        }
    }
    found
}

pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" && !path.ends_with("tests.rs") => vec![path],
            _ => Vec::new(),
        })
        .collect()
}

/// Up to the parenthesis that closes the call.
fn arguments(text: &str) -> &str {
    let mut depth = 1;
    let end = text.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    });
    &text[..end.unwrap()]
}

/// The names of what is called: `get(list).post(create)` has two.
fn methods(arguments: &str) -> impl Iterator<Item = String> {
    let calls = arguments.split('(').rev().skip(1);
    calls.map(|call| call.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_uppercase())
}

#[test]
fn a01_every_route_has_a_row_and_every_row_a_route() {
    let rows: BTreeSet<_> =
        routes().iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    assert_eq!(rows, routes_of_the_sources());
    assert_eq!(rows.len(), routes().len(), "a row stands twice");
}

#[test]
fn a01_routes_are_read_from_all_ways_to_write_them() {
    let read = |text| methods(arguments(text)).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    assert_eq!(read(" get(show).patch(change).delete(delete)) .route("), ["DELETE", "GET", "PATCH"]);
    assert_eq!(read("\n  axum::routing::post(end),\n)"), ["POST"]);
}
