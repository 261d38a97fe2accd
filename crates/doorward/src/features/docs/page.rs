use axum::response::Response;
use http::{Method, StatusCode};

use crate::app::App;
use crate::web::api::{Operation, Who};
use crate::web::body::BodyField;
use crate::wire::page::{Value, context};
use crate::wire::shape::example;

/// The page of these operations, by topic.
pub(super) fn show(app: &App, operations: &[Operation]) -> Response {
    let mut topics: Vec<(&str, Vec<Value>)> = Vec::new();
    for operation in operations {
        let shown = shown(app, operation);
        match topics.iter_mut().find(|(name, _)| *name == operation.topic) {
            Some((_, of_topic)) => of_topic.push(shown),
            None => topics.push((operation.topic, vec![shown])),
        }
    }
    let topics: Vec<_> = topics
        .into_iter()
        .map(|(name, operations)| context! { id => name.to_lowercase().replace(' ', "-"), name, operations })
        .collect();
    app.pages.show("docs.html", StatusCode::OK, context! { topics })
}

fn shown(app: &App, operation: &Operation) -> Value {
    let who = match operation.description.who {
        Who::Anybody => "anybody".to_owned(),
        Who::SignedIn => "signed-in users".to_owned(),
        Who::Proxy => "a trusted proxy, for a signed-in user".to_owned(),
        Who::May(permission) => format!("roles that grant {permission}"),
        Who::RefreshToken => "holders of a refresh token".to_owned(),
        Who::Client => "registered clients".to_owned(),
        Who::Browser => "browsers".to_owned(),
        Who::Developer => "a developer on this machine, in development mode".to_owned(),
        Who::DeveloperOr(permission) => {
            format!("roles that grant {permission}; in development mode a developer on this machine")
        }
    };
    let path = operation.description.parameters().map(|(name, text)| (name, "query", text.to_owned()));
    let fields = operation.description.fields().iter();
    let fields = fields.map(|field| (field.name, "body", what(field)));
    let inputs: Vec<_> =
        path.chain(fields).map(|(name, place, what)| context! { name, place, what }).collect();
    let answers: Vec<_> =
        operation.description.answers().map(|(status, text)| context! { status, text }).collect();
    let refusals: Vec<_> = operation
        .refusals_by_status(&app.settings)
        .into_iter()
        .map(|(status, codes)| context! { status, codes => codes.into_keys().collect::<Vec<_>>() })
        .collect();
    let answer = operation
        .description
        .json_shape()
        .and_then(|shape| serde_json::to_string_pretty(&example(shape)).ok());
    context! {
        id => operation.id(), method => operation.method.as_str(), path => operation.path, who, inputs, answers, refusals,
        summary => operation.description.summary, more => operation.description.text,
        curl => curl(app, operation), example => answer,
    }
}

fn what(field: &BodyField) -> String {
    let shape = (field.shape)();
    let text = |name| shape.get(name).and_then(serde_json::Value::as_str);
    let kind = shape.pointer("/type/0").and_then(serde_json::Value::as_str).or(text("type"));
    let kind = match (shape.get("enum").and_then(serde_json::Value::as_array), text("format"), kind) {
        (Some(all), ..) => all.iter().filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join(" or "),
        (_, Some(format), _) => format.to_owned(),
        (.., kind) => if kind == Some("boolean") { "true or false" } else { "text" }.to_owned(),
    };
    let kind = if field.required { format!("{kind}, required") } else { kind };
    if field.about.is_empty() { kind } else { format!("{kind}. {}", field.about.trim()) }
}

/// The request as a curl command.
fn curl(app: &App, operation: &Operation) -> String {
    let path = operation.path.replace("{id}", "01979a3c-8f4e-7b21-9c55-0d7f6a2b41e8");
    let mut lines = vec![format!("curl '{}{path}'", app.base_url())];
    if operation.method != Method::GET {
        lines.push(format!("--request {}", operation.method));
    }
    if operation.description.who == Who::Browser {
        lines.push("--header 'Accept: text/html'".into());
    }
    if operation.description.who == Who::Client {
        lines.push("--user \"$CLIENT_ID:$CLIENT_SECRET\"".into());
    }
    if matches!(operation.description.who, Who::SignedIn | Who::May(_) | Who::DeveloperOr(_)) {
        lines.push("--header \"Authorization: Bearer $TOKEN\"".into());
    }
    if let Some(body) = operation.description.body_example() {
        lines.push(format!("--json '{body}'"));
    }
    lines.join(" \\\n  ")
}
