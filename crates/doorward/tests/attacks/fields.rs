//! Hostile texts, bodies and cookies through every field, body, query and cookie of every route.
//!
//! The routes are those of the table that every new route must be in. The names of fields are those of the API document,
//! and each route is asked which of them it reads. Those of queries are read from the sources. So a new one is covered
//! automatically.

mod bodies;
mod cookies;
mod queries;
mod texts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::Mode;
use http::{Method, header};
use serde_json::{Map, Value, json};

use crate::authorisation::routes::{Route, routes, sources};

/// The big list of naughty strings, and a NUL, which PostgreSQL can't store in text.
fn naughty() -> Vec<String> {
    let list: Value = serde_json::from_str(include_str!("../data/blns.json")).unwrap();
    let texts = list["strings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned());
    texts.chain(["\0".into(), "a\0b".into(), "\u{feff}".into(), "%00".into()]).collect()
}

/// The first arguments of calls of these functions, if they are names, in the sources of the product.
fn names(functions: &[&str]) -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    names_in(["features", "web"].iter().flat_map(|folder| sources(&source.join(folder))), functions)
}

fn names_in(files: impl Iterator<Item = PathBuf>, functions: &[&str]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for function in functions {
            names.extend(text.split(function).skip(1).filter_map(first_argument));
        }
    }
    names
}

/// The names that the feature of this route reads from queries.
fn queries(route: &str) -> BTreeSet<String> {
    let features = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/features");
    let folders = std::fs::read_dir(features).unwrap().map(|entry| entry.unwrap().path());
    let written = format!("\"{route}\"");
    let has_it = |folder: &PathBuf| {
        sources(folder).iter().any(|file| std::fs::read_to_string(file).unwrap().contains(&written))
    };
    let files = folders.filter(|path| path.is_dir()).filter(has_it).flat_map(|folder| sources(&folder));
    let mut names = names_in(files, &[".text", ".parse"]);
    if names.contains("after") {
        names.insert("limit".into());
    }
    names
}

/// The quoted text after a `::<T>` and an opening parenthesis.
fn first_argument(rest: &str) -> Option<String> {
    let rest = match rest.strip_prefix("::<") {
        Some(generic) => generic.split_once(">(")?.1,
        None => rest.strip_prefix('(')?,
    };
    rest.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned)
}

/// The names of all fields that any body has. A route's description has them from the same declaration as its handler.
fn fields(site: &Site) -> BTreeSet<String> {
    let paths = site.api().document()["paths"].as_object().unwrap();
    let operations = paths.values().flat_map(|methods| methods.as_object().unwrap().values());
    // A server outside of development mode doesn't read those.
    let operations = operations.filter(|one| one["x-who-may"] != "development");
    let forms = operations.map(|one| &one["requestBody"]["content"]["application/x-www-form-urlencoded"]);
    let properties = forms.filter_map(|form| form["schema"]["properties"].as_object());
    properties.flat_map(|fields| fields.keys().cloned()).collect()
}

/// Values that get a request past all other fields, so that one can be tried alone. The current password is wrong, so
/// nothing that needs it is done.
fn good(field: &str) -> Value {
    match field {
        "name" => json!("Ada"),
        "email" => json!("somebody@example.org"),
        "mode" => json!("bearer"),
        "role" => json!("user"),
        "disabled" => json!(false),
        "password" | "current_password" => json!("not the password of anybody"),
        "new_password" => json!("a door is a threshold"),
        _ => Value::Null,
    }
}

/// A route with a body that is valid except for one field.
#[derive(Debug, Clone)]
struct Door {
    method: Method,
    path: String,
    /// The fields that it reads.
    fields: Vec<String>,
}

impl Door {
    fn body(&self, field: &str, value: Value) -> Value {
        let mut body: Map<String, Value> =
            self.fields.iter().map(|field| (field.clone(), good(field))).collect();
        body.insert(field.to_owned(), value);
        Value::Object(body)
    }
}

/// A site without limits, an admin there, and a user whom no request acts for.
struct House {
    site: Site,
    admin: Visitor,
    /// A user whose other sessions may end: the rest of them in session mode need no refresh.
    other: Visitor,
    id: String,
}

impl House {
    async fn new() -> Self {
        let site = Site::with(&[("throttle.enabled", "false")]).await;
        let admin = site.admin("ada").await;
        let other = site.logged_in_by("joan", Mode::Session).await;
        let id = site.user("grace", "user".parse().unwrap()).await;
        Self { site, admin, other, id }
    }

    /// An allowed caller of this route; for the logout one without a credential, which it would end.
    fn caller(&self, path: &str) -> Visitor {
        match path {
            _ if path.starts_with("/logout") => self.site.visitor(),
            "/sessions" | "/sessions/end-others" => self.other.copy(),
            _ => self.admin.copy(),
        }
    }

    /// The routes of one kind, with the id of a user in their paths.
    fn routes(&self, wanted: impl Fn(&Route) -> bool) -> Vec<(Method, String)> {
        let routes = routes().into_iter().filter(|route| wanted(route));
        routes.map(|route| (route.method.parse().unwrap(), route.path.replace("{id}", &self.id))).collect()
    }

    /// Every route that takes a body, with the fields that it names when they have a type that no field has.
    async fn doors(&self) -> Vec<Door> {
        let mut doors = Vec::new();
        for (method, path) in self.routes(|route| route.method != "GET") {
            let fields = fields(&self.site).into_iter();
            let wrong: Map<String, Value> = fields.map(|field| (field, json!([1]))).collect();
            let answer = self.caller(&path).json(method.clone(), &path, Value::Object(wrong)).await;
            is_clean(&answer, &path);
            let named = answer.json()["fields"].as_array().cloned().unwrap_or_default();
            let fields = named.iter().map(|field| field["field"].as_str().unwrap().to_owned()).collect();
            doors.push(Door { method, path, fields });
        }
        doors
    }
}

/// Checks for a clean answer: no server error, a problem of the contract or a page, and nothing of the text as markup.
#[track_caller]
fn is_clean(answer: &Answer, text: &str) {
    assert!(!answer.status.is_server_error(), "{text:?}: {} {}", answer.status, answer.text());
    let kind = answer.header("content-type").unwrap_or_default();
    if kind.starts_with("text/html") {
        let markup = text.contains('<') && answer.text().contains(text);
        assert!(!markup, "{text:?} stands in a page as it is:\n{}", answer.text());
    } else if answer.status.is_client_error() {
        let code = answer.code().as_str().unwrap().to_owned();
        answer.is_refused(&code);
    }
}

/// Within ten seconds, or it hangs.
async fn soon<T>(what: impl Future<Output = T>, asked: &str) -> T {
    let done = tokio::time::timeout(Duration::from_secs(10), what).await;
    done.unwrap_or_else(|_| panic!("{asked} hangs"))
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn every_field_of_the_document_is_asked_of_the_routes_that_read_it() {
    let house = House::new().await;
    let doors = house.doors().await;
    let read = |path: &str| doors.iter().find(|door| door.path == path).unwrap().fields.clone();
    assert_eq!(read("/login"), ["email", "password", "mode", "device", "return_to"]);
    assert_eq!(read("/register"), ["name", "email", "password", "mode", "invite", "device", "return_to"]);
    assert_eq!(read("/refresh"), ["refresh_token"]);
    let asked: BTreeSet<_> = doors.iter().flat_map(|door| door.fields.iter().cloned()).collect();
    // The logout refuses no body, and clients show a secret first.
    let others = ["ticket", "tokens", "token_type_hint"].map(str::to_owned);
    let asked: BTreeSet<_> = asked.into_iter().chain(others).collect();
    assert_eq!(asked, fields(&house.site), "a field that no route reads");
}
