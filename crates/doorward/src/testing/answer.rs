//! What the server answered in tests, with assertions on it.

use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

/// An answer, with assertions on it.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The body, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as indented JSON for a snapshot, with placeholders for ids, times and secrets.
    pub fn redacted(&self) -> String {
        let mut body = self.json();
        redact(&mut body);
        serde_json::to_string_pretty(&body).unwrap()
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// All `Set-Cookie` lines about credentials: not that of forms.
    pub fn set_cookies(&self) -> Vec<&str> {
        let lines = self.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap());
        lines.filter(|line| !line.contains("doorward-form=")).collect()
    }

    #[track_caller]
    pub fn has_status(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// Asserts 200, and returns the body.
    #[track_caller]
    pub fn is_ok(&self) -> Value {
        self.has_status(200);
        self.json()
    }

    /// The code of a refusal, in any form; null if it has no code.
    pub fn code(&self) -> Value {
        let body = self.json();
        body.get("code").or(body.get("error")).cloned().unwrap_or_default()
    }

    /// Asserts a refusal with this code, in the form of the contract, or in OAuth's if the route uses that; returns it.
    #[track_caller]
    pub fn is_refused(&self, code: &str) -> Value {
        if self.header("content-type") == Some("application/json") {
            return self.is_refused_in_oauths_form(code);
        }
        assert!(
            self.status.is_client_error() || self.status.is_server_error(),
            "{} {}",
            self.status,
            self.text()
        );
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!((&problem["success"], &problem["status"]), (&json!(false), &json!(self.status.as_u16())));
        assert!(
            !problem["message"].as_str().unwrap().is_empty()
                && !problem["request_id"].as_str().unwrap().is_empty()
        );
        problem
    }

    #[track_caller]
    fn is_refused_in_oauths_form(&self, code: &str) -> Value {
        let error = match (code, self.status.is_server_error()) {
            ("invalid_client", _) => "invalid_client",
            (_, true) => "temporarily_unavailable",
            (_, false) => "invalid_request",
        };
        assert!(self.status.is_client_error() || self.status.is_server_error(), "{}", self.text());
        let body = self.json();
        assert_eq!((&body["error"], &body["code"]), (&error.into(), &code.into()), "{body}");
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"), "{body}");
        assert!(!body["error_description"].as_str().unwrap().is_empty());
        body
    }

    /// A redirect to this path.
    #[track_caller]
    pub fn goes_to(&self, path: &str) {
        self.has_status(303);
        assert_eq!(self.header("location"), Some(path));
    }
}

fn redact(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| match (name.as_str(), &value) {
            ("token" | "refresh_token", Value::String(_)) => *value = json!("[token]"),
            // The device of a session is a browser's name, with blanks in it.
            ("device", Value::String(text)) if !text.contains(' ') => *value = json!("[device]"),
            ("request_id", Value::String(_)) => *value = json!("[request id]"),
            (name, Value::String(_)) if name.ends_with("_at") || name == "at" => *value = json!("[time]"),
            ("id" | "next", Value::String(_)) => *value = json!("[id]"),
            (name, Value::String(_)) if name.ends_with("_id") => *value = json!("[id]"),
            _ => redact(value),
        }),
        _ => {}
    }
}
