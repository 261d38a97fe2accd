//! Reading a request's body: JSON or a form, strictly, within its limits, with every wrong field named.
//!
//! [`asked!`] declares a body once: its type, its schema in the document of the API, and how each field is read.

mod parse;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use axum::extract::{FromRequest, Request};
use doorward_core::email::Email;
use doorward_core::message::Message;
use doorward_core::name::DisplayName;
use doorward_core::password::Password;
use doorward_core::{Mode, OpaqueSecret, role::RoleName};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::app::App;
use crate::error::{Error, FieldError, Result};
use crate::posts;
use crate::wire::PAGES;
use crate::wire::page::Value as PageValue;
use crate::wire::shape::{Shape, described, or_null};
pub(super) use parse::read_body;

/// The field with the password of the user who sends the request.
pub(crate) const CURRENT_PASSWORD: &str = "current_password";

/// The body of a request, as [`asked!`] declares it.
pub(crate) struct Asked<B> {
    /// The fields, or all that is wrong with them.
    pub(crate) body: Result<B>,
    /// How it was sent.
    pub(crate) sent: Sent,
}

/// How a body was sent.
#[derive(Default)]
pub(crate) struct Sent {
    /// Whether a form sent it: then the sender is a browser, and wants pages and redirects.
    pub(crate) is_form: bool,
    /// The path of the request, below the base path.
    pub(crate) path: String,
    /// Those fields of the body that the form has.
    has: Vec<&'static str>,
    /// What was typed into the form, by the fields of the body, without passwords.
    typed: BTreeMap<&'static str, String>,
    /// The whole form, if the page that asks for the current password may have to send it again.
    pub(crate) whole: BTreeMap<String, Zeroizing<String>>,
}

/// What [`asked!`] declares.
pub(crate) trait Body: Sized {
    /// Its fields.
    const FIELDS: &'static [BodyField];

    /// Reads it; `None` if anything is wrong.
    fn read(input: &mut Input) -> Option<Self>;

    /// The fields of an empty form, for its page.
    fn blank() -> PageValue {
        typed::<Self>(|_| String::new()).into()
    }
}

/// One field of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyField {
    pub(crate) name: &'static str,
    /// What it means, if the name doesn't say it.
    pub(crate) about: &'static str,
    pub(crate) shape: fn() -> Value,
    pub(crate) required: bool,
    /// It means something in a form only.
    pub(crate) only_forms: bool,
    /// A form may leave it out, but not empty.
    not_empty: bool,
    is_secret: bool,
}

impl BodyField {
    pub(crate) const fn of<M: Member>(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            shape: M::Field::shape,
            required: M::IS_REQUIRED,
            only_forms: false,
            not_empty: false,
            is_secret: M::Field::IS_SECRET,
        }
    }

    /// Its schema in the document of the API.
    pub(crate) fn schema(&self) -> Value {
        let shape = (self.shape)();
        let shape = if self.required { shape } else { or_null(shape) };
        if self.about.is_empty() { shape } else { described(shape, self.about) }
    }

    /// The mark `in forms`.
    pub(crate) const fn forms(self) -> Self {
        Self { only_forms: true, ..self }
    }

    /// The mark `not empty`.
    pub(crate) const fn empty(self) -> Self {
        Self { not_empty: true, ..self }
    }
}

/// The type of a field in a declaration: a [`Field`] that must be there, or an `Option` of one.
pub(crate) trait Member: Sized {
    type Field: Field;
    const IS_REQUIRED: bool;

    fn of(field: Option<Self::Field>) -> Option<Self>;
}

impl<T: Field> Member for T {
    type Field = T;
    const IS_REQUIRED: bool = true;

    fn of(field: Option<T>) -> Option<T> {
        field
    }
}

impl<T: Field> Member for Option<T> {
    type Field = T;
    const IS_REQUIRED: bool = false;

    fn of(field: Option<T>) -> Option<Option<T>> {
        Some(field)
    }
}

/// A type that is read from a field.
pub(crate) trait Field: Shape + Sized {
    /// Whether no page shows it again.
    const IS_SECRET: bool = false;

    /// Reads it from its text, or says what is wrong.
    fn read(text: String) -> Result<Self, Message>;

    /// Reads it from JSON.
    fn read_json(value: Value) -> Result<Self, Message> {
        match value {
            Value::String(text) => Self::read(text),
            _ => Err(Message::new("value-no-text")),
        }
    }
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
    Zeroizing<String>: |text: String| Ok::<_, Message>(Zeroizing::new(text));
    Email: |text: String| Email::parse(&text);
    DisplayName: |text: String| DisplayName::parse(&text);
    Mode: |text: String| Mode::from_str(&text);
    RoleName: |text: String| RoleName::from_str(&text);
    OpaqueSecret: |text: String| Ok::<_, Message>(crate::challenges::secret(&text));
}

impl Field for Password {
    const IS_SECRET: bool = true;

    fn read(text: String) -> Result<Self, Message> {
        Self::new(text).map_err(Message::from)
    }
}

impl Field for bool {
    fn read(text: String) -> Result<Self, Message> {
        text.parse().map_err(|_| NO_BOOL)
    }

    fn read_json(value: Value) -> Result<Self, Message> {
        value.as_bool().ok_or(NO_BOOL)
    }
}

const NO_BOOL: Message = Message::new("value-no-bool");

/// Declares a body: one text is its type, its schema, and how each field is read. A comment on a field is its description.
/// `in forms` marks a field that only forms use; `not empty`, one that a form may leave out but not empty. `check` sees
/// every field as an `Option`, which is `None` if the field is missing or wrong, and may call [`Input::blame`].
macro_rules! asked {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident {
            $($(#[doc = $doc:literal])* $field:ident $(in $forms:ident)? $(not $empty:ident)?: $type:ty,)+
        }
        $(check($input:ident) $check:block)?
    ) => {
        $(#[$about])*
        #[allow(dead_code, reason = "some fields are only checked, and shown again")]
        $vis struct $name {
            $($(#[doc = $doc])* $vis $field: $type,)+
        }

        impl $crate::web::body::Body for $name {
            const FIELDS: &'static [$crate::web::body::BodyField] = &[$(
                $crate::web::body::BodyField::of::<$type>(stringify!($field), concat!($($doc),*))
                    $(.$forms())? $(.$empty())?,
            )+];

            fn read(input: &mut $crate::web::body::Input) -> Option<Self> {
                let mut fields = Self::FIELDS.iter();
                $(let $field = input.read::<$type>(fields.next()?);)+
                $({
                    let $input = &mut *input;
                    $check
                })?
                Some(Self { $($field: $field?,)+ })
            }
        }
    };
}
pub(crate) use asked;

/// The fields that a request sent. Unknown ones are passed over: they have no effect (attack A03).
#[derive(Debug, Default)]
pub(crate) struct Input {
    fields: Fields,
    wrong: Vec<FieldError>,
    is_form: bool,
}

#[derive(Default)]
struct Fields(BTreeMap<String, Value>);

impl Input {
    /// Reads a field; `None` if it is missing or wrong, which is noted.
    pub(crate) fn read<M: Member>(&mut self, field: &BodyField) -> Option<M> {
        let read = self.take::<M::Field>(field);
        let read = read.and_then(|read| M::of(read).ok_or(REQUIRED));
        read.map_err(|problem| self.blame(field.name, problem)).ok()
    }

    fn take<T: Field>(&mut self, field: &BodyField) -> Result<Option<T>, Message> {
        match self.fields.0.remove(field.name) {
            None | Some(Value::Null) => Ok(None),
            // A browser sends the fields that nobody filled in too.
            Some(Value::String(text)) if self.is_form && text.is_empty() => {
                if field.not_empty {
                    Err(REQUIRED)
                } else {
                    Ok(None)
                }
            }
            Some(Value::String(text)) if self.is_form => T::read(text).map(Some),
            Some(value) => T::read_json(value).map(Some),
        }
    }

    /// Says that a field is wrong.
    pub(crate) fn blame(&mut self, field: &'static str, problem: impl Into<Message>) {
        self.wrong.push(FieldError { field: field.into(), problem: problem.into() });
    }

    fn text(&self, name: &str) -> String {
        self.fields.0.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The body, as its declaration reads it.
    fn asked<B: Body>(mut self, path: String) -> Asked<B> {
        let sent = Sent::of::<B>(&self, path);
        let read = B::read(&mut self);
        let body = match (posts::refusal(), read) {
            // A form that came before is refused as it was then.
            (Some(refusal), _) => Err(refusal),
            (None, Some(body)) if self.wrong.is_empty() => Ok(body),
            _ => Err(Error::InvalidInput(self.wrong)),
        };
        Asked { body, sent }
    }
}

/// What is wrong with a field that is missing.
pub(crate) const REQUIRED: Message = Message::new("value-required");

impl Sent {
    fn of<B: Body>(input: &Input, path: String) -> Self {
        let mut sent = Self { path, is_form: PAGES && input.is_form, ..Self::default() };
        if sent.is_form {
            let known = B::FIELDS.iter().map(|field| field.name);
            sent.has = known.filter(|name| input.fields.0.contains_key(*name)).collect();
            sent.typed = typed::<B>(|name| input.text(name));
        }
        if sent.is_form && B::FIELDS.iter().any(|field| field.name == CURRENT_PASSWORD) {
            sent.whole = input.fields.0.keys().map(|name| (name.clone(), input.text(name).into())).collect();
        }
        sent
    }

    /// Whether a form has this field, whatever is in it.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.has.contains(&field)
    }

    /// What was typed into this field of a form.
    pub(crate) fn typed(&self, field: &str) -> &str {
        self.typed.get(field).map(String::as_str).unwrap_or_default()
    }

    /// All that was typed, for the page that shows the form again.
    pub(crate) fn shown(&self) -> PageValue {
        self.typed.clone().into()
    }
}

/// The texts of the fields that a page may show again.
fn typed<B: Body>(text: impl Fn(&str) -> String) -> BTreeMap<&'static str, String> {
    let shown = B::FIELDS.iter().filter(|field| !field.is_secret);
    shown.map(|field| (field.name, text(field.name))).collect()
}

impl<B: Body> FromRequest<App> for Asked<B> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let path = request.uri().path().to_owned();
        Ok(parse::read(request, app).await?.asked(path))
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
