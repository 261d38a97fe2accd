//! Compares answers with the document of the API: it must describe whatever a test provokes.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use http::{Method, StatusCode, header};
use serde_json::Value;

use super::Answer;
use crate::features::profile::CHANGE_PASSWORD;
use crate::settings::Settings;

/// A row of the list of routes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub method: String,
    pub path: String,
    pub who: String,
}

/// The document of the API.
pub struct Api {
    settings: Settings,
    document: Arc<OnceLock<Value>>,
}

impl Api {
    /// As these settings make it. Sites with the same settings share one document: making it takes longer than a
    /// sign-in.
    pub fn of(settings: &Settings) -> Self {
        static MADE: LazyLock<Mutex<HashMap<String, Arc<OnceLock<Value>>>>> = LazyLock::new(Mutex::default);
        let alike = Settings { data: "".into(), database: None, ..settings.clone() };
        let document = MADE.lock().unwrap().entry(format!("{alike:?}")).or_default().clone();
        Self { settings: settings.clone(), document }
    }

    pub fn document(&self) -> &Value {
        self.document.get_or_init(|| crate::routes::openapi(&self.settings))
    }

    /// Every route, by path and method.
    pub fn routes(&self) -> Vec<Route> {
        let paths = self.document()["paths"].as_object().unwrap();
        let of_path = |(path, methods): (&String, &Value)| {
            let path = path.clone();
            let rows = methods.as_object().unwrap().iter().map(move |(method, operation)| Route {
                method: method.to_uppercase(),
                path: path.clone(),
                who: operation["x-who-may"].as_str().unwrap().to_owned(),
            });
            rows.collect::<Vec<_>>()
        };
        paths.iter().flat_map(of_path).collect()
    }

    /// Fails if the document doesn't have this answer.
    #[track_caller]
    pub(super) fn check(&self, method: &Method, path: &str, answer: &Answer) {
        if let Err(what) = self.compare(method, path, answer) {
            panic!(
                "{method} {path} answers {}, and {what}:\n{:?}\n{}",
                answer.status,
                answer.headers,
                answer.text()
            );
        }
    }

    fn compare(&self, method: &Method, path: &str, answer: &Answer) -> Result<(), String> {
        let head = method == Method::HEAD;
        let method = if head { "GET" } else { method.as_str() };
        let Some(operation) = self.find(method, path) else {
            let general = [400, 403, 404, 405, 421].contains(&answer.status.as_u16());
            let preflight = method == "OPTIONS" && answer.status == StatusCode::OK;
            return if general || preflight { Ok(()) } else { Err("no route is documented".into()) };
        };
        let response = &operation["responses"][answer.status.as_str()];
        let response = self.followed(response);
        if response.is_null() {
            return Err("the status is not documented".into());
        }
        for (name, said) in response["headers"].as_object().into_iter().flatten() {
            if said["required"] == true && !answer.headers.contains_key(name) {
                return Err(format!("{name} is missing"));
            }
        }
        if head || answer.body.is_empty() {
            return Ok(());
        }
        let media = answer.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let essence = media.split(';').next().unwrap_or_default();
        let schema = &response["content"][essence]["schema"];
        match essence {
            _ if schema.is_null() => Err(format!("{media:?} is not documented")),
            _ if essence.ends_with("json") => self.fits(&answer.json(), schema, true, "the body"),
            _ => Ok(()),
        }
    }

    /// The operation at this path; a literal segment is preferred to a parameter.
    fn find(&self, method: &str, path: &str) -> Option<&Value> {
        let paths = self.document()["paths"].as_object().unwrap();
        // This one is at the root as well.
        let path = if path == CHANGE_PASSWORD { &format!("{}{path}", self.settings.base_path) } else { path };
        let inner = match path.strip_prefix(self.settings.base_path.as_str())? {
            "" => "/",
            inner => inner,
        };
        let fits = |template: &str| {
            let (asked, known): (Vec<_>, Vec<_>) =
                (inner.split('/').collect(), template.split('/').collect());
            asked.len() == known.len()
                && asked
                    .iter()
                    .zip(&known)
                    .all(|(one, other)| one == other || (other.starts_with('{') && !one.is_empty()))
        };
        let operations =
            paths.get(inner).or_else(|| paths.iter().find(|(path, _)| fits(path)).map(|(_, one)| one));
        let (_, operation) =
            operations?.as_object()?.iter().find(|(known, _)| known.to_uppercase() == method)?;
        Some(operation)
    }

    fn followed<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document().pointer(reference.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    /// Whether a value matches a schema, which uses only the keywords that are handled here. A closed one allows only
    /// the properties that it names.
    pub(crate) fn fits(&self, value: &Value, shape: &Value, closed: bool, at: &str) -> Result<(), String> {
        if shape.get("$ref").is_some() {
            self.fits(value, self.followed(shape), closed, at)?;
        }
        let closed = closed && shape.get("$ref").is_none() && shape.get("properties").is_some();
        let wrong = |what: &str| Err(format!("{at} {what}: {value} for {shape}"));
        let kinds = match &shape["type"] {
            Value::Array(kinds) => kinds.clone(),
            Value::Null => Vec::new(),
            kind => vec![kind.clone()],
        };
        if !kinds.is_empty() && !kinds.iter().any(|kind| *kind == kind_of(value)) {
            return wrong("has another type");
        }
        if shape.get("const").is_some_and(|only| only != value) {
            return wrong("is something else");
        }
        if shape["enum"].as_array().is_some_and(|all| !all.contains(value)) {
            return wrong("is none of those");
        }
        let is_time = |text: &str| text.len() >= 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
        match (shape["format"].as_str(), value.as_str()) {
            (Some("uuid"), Some(text)) if uuid::Uuid::parse_str(text).is_err() => return wrong("is no UUID"),
            (Some("date-time"), Some(text)) if !is_time(text) => return wrong("is no instant"),
            _ => {}
        }
        for name in shape["required"].as_array().into_iter().flatten() {
            if value.get(name.as_str().unwrap()).is_none() {
                return wrong(&format!("lacks {name}"));
            }
        }
        for (name, inner) in value.as_object().into_iter().flatten() {
            match shape["properties"].get(name) {
                Some(shape) => self.fits(inner, shape, true, name)?,
                None if closed => return wrong(&format!("has an undocumented {name}")),
                None => {}
            }
        }
        let items = value.as_array().into_iter().flatten();
        items
            .filter(|_| shape.get("items").is_some())
            .try_for_each(|item| self.fits(item, &shape["items"], true, at))
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
