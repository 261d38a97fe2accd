//! Reading a request's body: JSON or a form, strictly, within its limits, with every wrong field named.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use doorward_core::email::Email;
use doorward_core::message::Message;
use doorward_core::name::DisplayName;
use doorward_core::password::Password;
use doorward_core::{Mode, OpaqueSecret, role::RoleName};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::{BodyExt, Limited};
use serde::de::{self, Deserialize, Deserializer, MapAccess};
use serde_json::Value;
use serde_json::error::Category;

use crate::app::App;
use crate::error::{Error, FieldError, Result};
use crate::posts;
use crate::settings::Settings;
use crate::wire::media_type::MediaType;
use crate::wire::shape::Shape;

/// The fields of a request's body. Unknown ones are passed over: they have no effect (attack A03).
#[derive(Debug, Default)]
pub(crate) struct Input {
    fields: Fields,
    wrong: Vec<FieldError>,
    /// Whether a form sent it: then the sender is a browser, and wants pages and redirects.
    pub(crate) is_form: bool,
}

#[derive(Default)]
struct Fields(BTreeMap<String, Value>);

/// A field that is read from its text.
pub(crate) trait Field: Shape + Sized {
    /// Reads it, or says what is wrong.
    fn read(text: String) -> Result<Self, Message>;
}

macro_rules! field {
    ($($type:ty: $read:expr;)+) => {
        $(impl Field for $type {
            fn read(text: String) -> Result<Self, Message> {
                #[allow(clippy::redundant_closure_call)]
                ($read)(text).map_err(Message::from)
            }
        })+
    };
}

field! {
    String: Ok::<_, Message>;
    Email: |text: String| Email::parse(&text);
    DisplayName: |text: String| DisplayName::parse(&text);
    Password: Password::new;
    Mode: |text: String| Mode::from_str(&text);
    RoleName: |text: String| RoleName::from_str(&text);
    OpaqueSecret: |text: String| Ok::<_, Message>(crate::links::secret(&text));
}

impl Input {
    /// A field that must be there. `None` where it isn't or is wrong; [`Input::refuse`] tells all of them at once.
    pub(crate) fn required<T: Field>(&mut self, field: &'static str) -> Option<T> {
        let value = self.optional(field);
        if value.is_none() && !self.wrong.iter().any(|wrong| wrong.field == field) {
            self.blame(field, Message::new("value-required"));
        }
        value
    }

    /// A field that may be missing or null.
    pub(crate) fn optional<T: Field>(&mut self, field: &'static str) -> Option<T> {
        let text = match self.fields.0.remove(field)? {
            Value::Null => return None,
            // A browser sends the fields that nobody filled in too.
            Value::String(text) if self.is_form && text.is_empty() => return None,
            Value::String(text) => text,
            _ => {
                self.blame(field, Message::new("value-no-text"));
                return None;
            }
        };
        T::read(text).map_err(|problem| self.blame(field, problem)).ok()
    }

    /// A field that may be missing, but not empty where a form has it.
    pub(crate) fn where_sent<T: Field>(&mut self, field: &'static str) -> Option<T> {
        if self.is_form && self.has(field) { self.required(field) } else { self.optional(field) }
    }

    /// A truth value that may be missing or null.
    pub(crate) fn optional_bool(&mut self, field: &'static str) -> Option<bool> {
        match self.fields.0.remove(field)? {
            Value::Null => None,
            Value::Bool(truth) => Some(truth),
            Value::String(text) if self.is_form && (text == "true" || text == "false") => {
                Some(text == "true")
            }
            _ => {
                self.blame(field, Message::new("value-no-bool"));
                None
            }
        }
    }

    /// Whether the field is there, whatever is in it.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.fields.0.contains_key(field)
    }

    /// What stands in this field, to be shown again. Never asked for a password.
    pub(crate) fn typed(&self, field: &str) -> String {
        self.fields.0.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// All texts that were sent, by their names.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.0.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }

    /// Says that a field is wrong.
    pub(crate) fn blame(&mut self, field: &'static str, problem: impl Into<Message>) {
        self.wrong.push(FieldError { field: field.into(), problem: problem.into() });
    }

    /// All that was wrong, as one error.
    pub(crate) fn refuse(&mut self) -> Error {
        Error::InvalidInput(std::mem::take(&mut self.wrong))
    }

    /// Fails where anything was wrong so far.
    pub(crate) fn check(&mut self) -> Result<()> {
        // A form that came before is refused as it was then.
        if let Some(error) = posts::refusal() {
            return Err(error);
        }
        if self.wrong.is_empty() { Ok(()) } else { Err(self.refuse()) }
    }
}

impl FromRequest<App> for Input {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        if request.headers().contains_key(CONTENT_ENCODING) {
            return Err(Error::UnsupportedMediaType("The body has a Content-Encoding"));
        }
        let media_type = MediaType::of(request.headers());
        let (parts, body) = request.into_parts();
        let body = read_body(&parts.headers, body, &app.settings).await?;
        // Some programs put a byte order mark before UTF-8, which says nothing (RFC 8259 section 8.1).
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&body);
        match media_type {
            _ if body.is_empty() => Ok(Self { is_form: media_type == MediaType::Form, ..Self::default() }),
            MediaType::Json => read_json(body),
            // `curl -d` says so of everything.
            MediaType::Form if body.trim_ascii_start().starts_with(b"{") => Err(Error::UnsupportedMediaType(
                "The body is JSON, and its Content-Type says that it is a form",
            )),
            MediaType::Form => read_form(body),
            MediaType::Other(what) => Err(Error::UnsupportedMediaType(what)),
        }
    }
}

/// A request's body, within its limits.
pub(super) async fn read_body(headers: &HeaderMap, body: Body, settings: &Settings) -> Result<Bytes> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|n| n > settings.body_limit) {
        return Err(Error::TooLarge(settings.body_limit));
    }
    let read = read_whole(body, settings.body_limit);
    tokio::time::timeout(settings.body_timeout, read).await.map_err(|_| Error::Timeout)?
}

async fn read_whole(body: Body, limit: usize) -> Result<Bytes> {
    let collected = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            Error::TooLarge(limit)
        } else {
            malformed("body-broke-off")
        }
    })?;
    Ok(collected.to_bytes())
}

fn read_json(body: &[u8]) -> Result<Input> {
    let fields = serde_json::from_slice(body).map_err(|error| {
        let problem = match error.classify() {
            Category::Data => Message::new("body-no-object"),
            _ => Message::new("body-no-json"),
        };
        Error::Malformed(problem.with("line", error.line()).with("column", error.column()))
    })?;
    Ok(Input { fields, wrong: Vec::new(), is_form: false })
}

fn read_form(body: &[u8]) -> Result<Input> {
    str::from_utf8(body).map_err(|_| malformed("form-no-utf8"))?;
    let mut fields = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        if value.contains(char::REPLACEMENT_CHARACTER) {
            return Err(malformed("form-no-utf8"));
        }
        if fields.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
            return Err(malformed("form-field-twice"));
        }
    }
    Ok(Input { fields: Fields(fields), wrong: Vec::new(), is_form: true })
}

fn malformed(code: &'static str) -> Error {
    Error::Malformed(Message::new(code))
}

/// An object whose names are distinct, so that no two readers of one body disagree (attack H03).
impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if fields.insert(name, value).is_some() {
                        return Err(de::Error::custom("a name twice"));
                    }
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl fmt::Debug for Fields {
    /// Names only: a value may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests;
