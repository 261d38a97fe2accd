//! The document of the API, as OpenAPI 3.1.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Map, Value, json};

use super::{DocumentedAnswer, Operation, Who, status};
use crate::error::Error;
use crate::settings::Settings;
use crate::web::body::BodyField;
use crate::wire::PAGES;
use crate::wire::cookies::CookieJar;
use crate::wire::oauth;
use crate::wire::problem::Problem;
use crate::wire::shape::{example, object, put};

const ABOUT: &str = "Register, sign in, sessions, tokens, refresh, roles and instant logout.\n\n";
const ABOUT_PAGES: &str = "JSON goes in and comes out; browsers send forms to the same paths, and get pages and \
    redirects. A form is what comes as `application/x-www-form-urlencoded`; a page goes to whom `Accept` lists text/html \
    and not below JSON. ";
const ABOUT_ALL: &str = "Unknown fields of a body and unknown names of a query are passed over.\n\n\
    Refusals are `application/problem+json` (RFC 9457) with a stable `code`. An address that isn't here is 404 \
    `not_found`, a method that it doesn't have 405 `method_not_allowed`. Heads that are too long or no HTTP are \
    refused before any route: 431 with a page that says how to delete cookies, 414 or 400 with no body. `/introspect` and `/revoke` refuse in OAuth's form \
    (RFC 6749).\n\n\
    `Authorization`, where it is sent, is looked at alone; otherwise the cookies are.";

/// The document of these operations, for these settings.
pub(crate) fn document(operations: &[Operation], settings: &Settings) -> Value {
    let mut writer = Writer { settings, schemas: Map::new(), responses: Map::new() };
    let mut paths = Map::new();
    for operation in operations {
        let written = writer.operation(operation);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_lowercase()] = written;
    }
    let mut topics: Vec<&str> = Vec::new();
    for operation in operations {
        if !topics.contains(&operation.topic) {
            topics.push(operation.topic);
        }
    }
    let tags: Vec<_> = topics.into_iter().map(|name| json!({ "name": name })).collect();
    let server = if settings.base_path.is_empty() { "/" } else { &settings.base_path };
    let about = [ABOUT, if PAGES { ABOUT_PAGES } else { "" }, ABOUT_ALL].concat();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Doorward",
            "version": env!("CARGO_PKG_VERSION"),
            "description": about,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": server }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": writer.schemas,
            "responses": writer.responses,
            "securitySchemes": schemes(settings),
        },
    })
}

fn schemes(settings: &Settings) -> Value {
    let jar = CookieJar::new(settings);
    let cookie = |name: &str, text: &str| json!({ "type": "apiKey", "in": "cookie", "name": name, "description": text });
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The access token of a sign-in in bearer mode.",
        },
        "token_cookie": cookie(&jar.names.token, "The access token of a sign-in in cookie mode."),
        "session_cookie": cookie(&jar.names.session, "The session secret of a sign-in in session mode."),
        "refresh_cookie": cookie(&jar.names.refresh, "The refresh token of a sign-in in cookie mode."),
        "client": {
            "type": "http",
            "scheme": "basic",
            "description": "Id and secret of a registered client, which `doorward client create` makes.",
        },
    })
}

struct Writer<'a> {
    settings: &'a Settings,
    schemas: Map<String, Value>,
    responses: Map<String, Value>,
}

impl Writer<'_> {
    fn operation(&mut self, operation: &Operation) -> Value {
        let description = &operation.description;
        let mut written = json!({
            "operationId": operation.id(),
            "tags": [operation.topic],
            "summary": description.summary,
            "security": security(description.who),
            "responses": self.responses(operation),
            "x-who-may": description.who.name(),
        });
        if !description.text.is_empty() {
            put(&mut written, &["description"], json!(description.text));
        }
        let parameters = self.parameters(operation);
        if !parameters.is_empty() {
            put(&mut written, &["parameters"], json!(parameters));
        }
        if let Some(fields) = description.body {
            let body = json!({
                "required": fields.iter().any(|field| field.required),
                "content": {
                    "application/json": body(fields, false),
                    "application/x-www-form-urlencoded": body(fields, true),
                },
            });
            put(&mut written, &["requestBody"], body);
        }
        written
    }

    fn parameters(&mut self, operation: &Operation) -> Vec<Value> {
        let mut parameters = Vec::new();
        if operation.path.contains("{id}") {
            let schema = crate::wire::shape::of::<doorward_core::UserId>();
            parameters.push(json!({ "name": "id", "in": "path", "required": true, "schema": schema }));
        }
        for one in &operation.description.query {
            parameters.push(
                json!({ "name": one.name, "in": "query", "description": one.text, "schema": self.named(one.shape.clone()) }),
            );
        }
        parameters
    }

    fn responses(&mut self, operation: &Operation) -> Value {
        let mut responses = Map::new();
        for answer in &operation.description.answers {
            let response = responses.entry(answer.status.to_string()).or_insert_with(|| json!({}));
            self.answer(response, answer);
        }
        for answer in on_the_way(operation).into_iter().filter(|answer| PAGES || !answer.is_for_browsers()) {
            let response = responses.entry(answer.status.to_string()).or_insert_with(|| json!({}));
            self.answer(response, &answer);
        }
        for (status, errors) in operation.refusals_by_status(self.settings) {
            responses.insert(status.to_string(), self.refusal(status, &errors, operation.description.oauth));
        }
        responses.into()
    }

    /// Writes an answer into its response, beside others of the same status.
    fn answer(&mut self, response: &mut Value, answer: &DocumentedAnswer) {
        let said = response["description"].as_str().map(|text| format!("{text}; ")).unwrap_or_default();
        put(response, &["description"], json!(said + answer.text));
        if let Some((media, shape)) = &answer.content {
            let mut content = json!({ "schema": self.named(shape.clone()) });
            if *media == "application/json" {
                put(&mut content, &["example"], example(shape));
            }
            put(response, &["content", media], content);
        } else if answer.status >= 300 {
            let location = json!({ "type": "string", "examples": ["/dashboard"] });
            put(response, &["headers", "Location"], json!({ "required": true, "schema": location }));
        }
        if answer.sets_cookies {
            let text = "Sets or clears the cookies of the session's mode.";
            let cookies = json!({ "description": text, "schema": { "type": "string" } });
            put(response, &["headers", "Set-Cookie"], cookies);
        }
    }

    /// The response of a refusal, shared by all that refuse with the same.
    fn refusal(&mut self, status: u16, errors: &BTreeMap<&str, String>, is_oauth: bool) -> Value {
        let codes: Vec<_> = errors.keys().collect();
        let form = if is_oauth { "oauth." } else { "" };
        let name = format!("{form}{status}.{}", errors.keys().copied().collect::<Vec<_>>().join("."));
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        if self.responses.contains_key(&name) {
            return reference;
        }
        let text: Vec<_> = errors.iter().map(|(code, message)| format!("`{code}`: {message}")).collect();
        let header = |schema: Value, required: bool| json!({ "required": required, "schema": schema });
        let mut headers =
            Map::from_iter([("X-Request-Id".into(), header(json!({ "type": "string" }), false))]);
        if status == 401 {
            headers.insert("WWW-Authenticate".into(), header(json!({ "type": "string" }), true));
        }
        if matches!(status, 429 | 503) {
            let seconds = json!({ "type": "integer", "minimum": 1 });
            headers.insert("Retry-After".into(), header(seconds, true));
        }
        let (shape, narrower) = match is_oauth {
            true => (oauth::shape(), json!({ "code": { "enum": codes } })),
            false => (Problem::shape(), json!({ "status": { "const": status }, "code": { "enum": codes } })),
        };
        let mut schema = self.named(shape);
        put(&mut schema, &["properties"], narrower);
        let mut content = match is_oauth {
            true => json!({ "application/json": { "schema": schema } }),
            false => json!({ "application/problem+json": { "schema": schema } }),
        };
        if PAGES && !is_oauth {
            put(&mut content, &["text/html"], json!({ "schema": { "type": "string" } }));
        }
        let response = json!({ "description": text.join("\n\n"), "headers": headers, "content": content });
        self.responses.insert(name, response);
        reference
    }

    /// The shape, with every named part moved into the components.
    fn named(&mut self, shape: Value) -> Value {
        match shape {
            Value::Object(fields) => {
                let name = fields.get("title").and_then(Value::as_str).map(str::to_owned);
                let inner = fields.into_iter().map(|(key, value)| (key, self.named(value))).collect();
                let Some(name) = name else { return Value::Object(inner) };
                let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
                self.schemas.insert(name, Value::Object(inner));
                reference
            }
            Value::Array(items) => items.into_iter().map(|item| self.named(item)).collect(),
            other => other,
        }
    }
}

/// What a browser gets before a route that needs a sign-in.
fn on_the_way(operation: &Operation) -> Vec<DocumentedAnswer> {
    let goes = |status, text| DocumentedAnswer { status, text, content: None, sets_cookies: true };
    let page = ("text/html", json!({ "type": "string" }));
    let text = "a browser that comes from another site, to a page that loads this one again";
    let arrival = DocumentedAnswer { status: 200, text, content: Some(page), sets_cookies: false };
    let login = goes(303, "a browser that isn't signed in, to /login or by /refresh");
    let again = goes(307, "a form whose access token has run out, by /refresh and back");
    match operation.description.who {
        Who::SignedIn | Who::May(_) | Who::DeveloperOr(_) => match operation.method {
            Method::GET => vec![login, arrival],
            Method::POST => vec![login, again],
            _ => vec![login],
        },
        _ => Vec::new(),
    }
}

fn security(who: Who) -> Value {
    let with = |scheme: &str, roles: &[&str]| json!({ scheme: roles });
    let any =
        |roles: &[&str]| json!(["bearer", "token_cookie", "session_cookie"].map(|one| with(one, roles)));
    match who {
        Who::Anybody | Who::Browser | Who::Developer => json!([]),
        Who::SignedIn | Who::Proxy => any(&[]),
        Who::May(permission) | Who::DeveloperOr(permission) => any(&[permission]),
        Who::Client => json!([with("client", &[])]),
        Who::RefreshToken => json!([{}, { "refresh_cookie": [] }]),
    }
}

fn body(fields: &[BodyField], form: bool) -> Value {
    json!({ "example": example_of(fields), "schema": schema(fields, form) })
}

fn schema(fields: &[BodyField], form: bool) -> Value {
    let known = fields.iter().filter(|field| form || !field.only_forms);
    let mut schema = object(known.map(|field| (field.name, field.schema())));
    let needed: Vec<_> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    put(&mut schema, &["required"], json!(needed));
    schema
}

/// A valid body: the required fields; if there are none, the optional ones.
pub(super) fn example_of(fields: &[BodyField]) -> Value {
    let whole = example(&schema(fields, false));
    let any_needed = fields.iter().any(|field| field.required);
    let shown = fields.iter().filter(|field| field.required || (!any_needed && !field.only_forms));
    shown.map(|field| (field.name.to_owned(), whole.get(field.name).cloned().unwrap_or_default())).collect()
}

impl Operation {
    /// Its refusals: under each status the codes, each with its message.
    pub(crate) fn refusals_by_status(
        &self,
        settings: &Settings,
    ) -> BTreeMap<u16, BTreeMap<&'static str, String>> {
        let mut found: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        let of_host = settings.dev.then_some(Error::WrongHost);
        for error in self.refusals().into_iter().chain(of_host) {
            let (code, message) = (error.code(), error.to_string());
            let for_proxy = self.description.who == Who::Proxy;
            let status = if for_proxy { error.status() } else { status(&error, settings) };
            let status = if self.description.oauth { oauth::row(&error).0 } else { status };
            found.entry(status.as_u16()).or_default().insert(code, message);
        }
        found
    }

    /// A name for programs, also the anchor on the page: `get_sessions`, `delete_sessions_id`.
    pub(crate) fn id(&self) -> String {
        let words = self.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let words: Vec<_> = std::iter::once(self.method.as_str()).chain(words).collect();
        words.join("_").to_lowercase()
    }
}
