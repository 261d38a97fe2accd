//! The bytes of a body: within their limits, then parsed as JSON or a form into named values.

use std::collections::BTreeMap;
use std::fmt;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use doorward_core::message::Message;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::{BodyExt, Limited};
use serde::de::{self, Deserialize, Deserializer, MapAccess};
use serde_json::Value;
use serde_json::error::Category;

use super::{Fields, Input};
use crate::app::App;
use crate::error::{Error, Result};
use crate::settings::Settings;
use crate::wire::media_type::MediaType;

pub(super) async fn read(request: Request, app: &App, most: usize) -> Result<Input> {
    if request.headers().contains_key(CONTENT_ENCODING) {
        return Err(Error::UnsupportedMediaType("The body has a Content-Encoding"));
    }
    let media_type = MediaType::of(request.headers());
    let (parts, body) = request.into_parts();
    let body = read_at_most(&parts.headers, body, &app.settings, most).await?;
    // Some programs put a byte order mark before UTF-8, which has no meaning (RFC 8259 section 8.1).
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&body);
    match media_type {
        _ if body.is_empty() => Ok(Input { is_form: media_type == MediaType::Form, ..Input::default() }),
        MediaType::Json => read_json(body),
        // `curl -d` sends this for everything.
        MediaType::Form if body.trim_ascii_start().starts_with(b"{") => {
            Err(Error::UnsupportedMediaType("The body is JSON, and its Content-Type says that it is a form"))
        }
        MediaType::Form => read_form(body),
        MediaType::Other(what) => Err(Error::UnsupportedMediaType(what)),
    }
}

/// A request's body, within its limits.
pub(in crate::web) async fn read_body(headers: &HeaderMap, body: Body, settings: &Settings) -> Result<Bytes> {
    read_at_most(headers, body, settings, usize::MAX).await
}

/// The same, if it has no more than so many bytes.
async fn read_at_most(headers: &HeaderMap, body: Body, settings: &Settings, most: usize) -> Result<Bytes> {
    let limit = settings.body_limit.min(most);
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|n| n > limit) {
        return Err(Error::TooLarge(limit));
    }
    let read = read_whole(body, limit);
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

/// An object whose names are distinct, so that two parsers of one body can't disagree (attack H03).
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
