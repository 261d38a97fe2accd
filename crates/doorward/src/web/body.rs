//! Reading a request's body: JSON or a form, strictly, within its limits, with every wrong field named.
//!
//! [`asked!`] declares a body once: its type, its schema in the document of the API, and how each field is read.

mod parse;

use std::collections::BTreeMap;
use std::convert::Infallible;
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
use crate::flow::{Fact, Label, Step, Verb, note};
use crate::posts;
use crate::wire::PAGES;
use crate::wire::page::Value as PageValue;
use crate::wire::shape::{Shape, described};
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

/// An optional body. If it is unreadable, it counts as missing, and the request goes on.
pub(crate) struct IfReadable<B>(pub(crate) Option<B>);

/// How a body was sent.
pub(crate) struct Sent {
    /// Whether a form sent it: then the sender is a browser, and wants pages and redirects.
    pub(crate) is_form: bool,
    /// The path of the request, below the base path.
    pub(crate) path: String,
    /// What a form sent. A password is in it only if the page that asks for the current one has to send it again.
    pub(crate) form: BTreeMap<String, Zeroizing<String>>,
    fields: &'static [BodyField],
}

/// What [`asked!`] declares.
pub(crate) trait Body: Sized {
    /// Its fields.
    const FIELDS: &'static [BodyField];
    /// How many bytes it has at most, if that is less than `http.body_limit`.
    const MOST: usize = usize::MAX;

    /// Reads it; `None` if a required field is missing or wrong.
    fn read(input: &mut Input) -> Option<Self>;

    /// The fields of an empty form, for its page.
    fn blank() -> PageValue {
        shown(Self::FIELDS, |_| "")
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
    /// Only forms use it.
    pub(crate) only_forms: bool,
    /// A form may omit it, but not send it empty.
    not_empty: bool,
    is_secret: bool,
}

impl BodyField {
    pub(crate) const fn of<T: Field>(name: &'static str, about: &'static str) -> Self {
        let (shape, required, is_secret) = (T::shape, T::IS_REQUIRED, T::IS_SECRET);
        Self { name, about, shape, required, only_forms: false, not_empty: false, is_secret }
    }

    /// Its schema in the document of the API.
    pub(crate) fn schema(&self) -> Value {
        if self.about.is_empty() { (self.shape)() } else { described((self.shape)(), self.about) }
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

/// The type of a field. As an `Option` it may be missing or null.
pub(crate) trait Field: Shape + Sized {
    const IS_REQUIRED: bool = true;
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

    /// The value of a missing field, if it may be missing.
    fn missing() -> Option<Self> {
        None
    }
}

impl<T: Field> Field for Option<T> {
    const IS_REQUIRED: bool = false;
    const IS_SECRET: bool = T::IS_SECRET;

    fn read(text: String) -> Result<Self, Message> {
        T::read(text).map(Some)
    }

    fn read_json(value: Value) -> Result<Self, Message> {
        T::read_json(value).map(Some)
    }

    fn missing() -> Option<Self> {
        Some(None)
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

/// Declares a body: one declaration is its type, its schema, and how each field is read. A comment on a field is its
/// description. `in forms` marks a field that only forms use; `not empty`, one that a form may leave out but not empty.
/// `at most` is a limit of its own. `check` sees every field as an `Option`, which is `None` if a required field is missing or wrong, and may call
/// [`Input::blame`].
macro_rules! asked {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident {
            $($(#[doc = $doc:literal])* $field:ident $(in $forms:ident)? $(not $empty:ident)?: $type:ty,)+
        }
        $(at most $most:literal bytes;)?
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
            $(const MOST: usize = $most;)?

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

/// The fields that a request sent. Unknown ones are ignored: they have no effect (attack A03).
#[derive(Debug, Default)]
pub(crate) struct Input {
    fields: Fields,
    wrong: Vec<FieldError>,
    is_form: bool,
}

#[derive(Default)]
struct Fields(BTreeMap<String, Value>);

impl Input {
    /// Reads a field. A wrong one is noted, and counts as missing.
    pub(crate) fn read<T: Field>(&mut self, field: &BodyField) -> Option<T> {
        let read = match self.fields.0.remove(field.name) {
            None | Some(Value::Null) => T::missing().ok_or(REQUIRED),
            // A browser also sends unfilled fields.
            Some(Value::String(text)) if self.is_form && text.is_empty() => {
                T::missing().filter(|_| !field.not_empty).ok_or(REQUIRED)
            }
            Some(Value::String(text)) if self.is_form => T::read(text),
            Some(value) => T::read_json(value),
        };
        read.map_err(|problem| self.blame(field.name, problem)).ok().or_else(T::missing)
    }

    /// Says that a field is wrong.
    pub(crate) fn blame(&mut self, field: &'static str, problem: impl Into<Message>) {
        self.wrong.push(FieldError { field: field.into(), problem: problem.into() });
    }

    /// How it was sent.
    fn sent(&self, fields: &'static [BodyField], path: String) -> Sent {
        let sends_again = fields.iter().any(|field| field.name == CURRENT_PASSWORD);
        let is_kept =
            |name: &str| sends_again || !fields.iter().any(|field| field.is_secret && field.name == name);
        let text = |(name, value): (&String, &Value)| {
            let text = value.as_str().filter(|_| is_kept(name)).unwrap_or_default();
            (name.clone(), text.to_owned().into())
        };
        let is_form = PAGES && self.is_form;
        let form = self.fields.0.iter().filter(|_| is_form).map(text).collect();
        Sent { is_form, path, form, fields }
    }
}

/// What is wrong with a field that is missing.
pub(crate) const REQUIRED: Message = Message::new("value-required");

impl Sent {
    /// Whether a form has this field, whatever is in it.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.form.contains_key(field)
    }

    /// What was typed into this field of a form.
    pub(crate) fn typed(&self, field: &str) -> &str {
        self.form.get(field).map_or("", |text| text.as_str())
    }

    /// All that was typed, for the page that shows the form again.
    pub(crate) fn shown(&self) -> PageValue {
        shown(self.fields, |field| self.typed(field))
    }
}

/// The texts of the fields, without passwords.
fn shown<'t>(fields: &'static [BodyField], text: impl Fn(&str) -> &'t str) -> PageValue {
    let shown = fields.iter().filter(|field| !field.is_secret);
    shown.map(|field| (field.name, text(field.name).to_owned())).collect::<BTreeMap<_, _>>().into()
}

impl<B: Body> FromRequest<App> for Asked<B> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let path = request.uri().path().to_owned();
        let mut input = parse::read(request, app, B::MOST).await?;
        let sent = input.sent(B::FIELDS, path);
        let body = match (posts::refusal(), B::read(&mut input)) {
            // A repeated form is refused as the first one was.
            (Some(refusal), _) => Err(refusal),
            (None, Some(body)) if input.wrong.is_empty() => Ok(body),
            _ => Err(Error::InvalidInput(input.wrong)),
        };
        note(|| read_step(&body));
        Ok(Self { body, sent })
    }
}

/// The reading of a body, as a step: which fields are wrong.
fn read_step<B>(body: &Result<B>) -> Step {
    let wrong = body.as_ref().err().map(Error::fields).unwrap_or_default();
    let step = Step::check(Verb::ReadInput, body.is_ok());
    wrong.iter().fold(step, |step, wrong| step.fact(Fact::seen(Label::Field, &wrong.field)))
}

impl<B: Body> FromRequest<App> for IfReadable<B> {
    type Rejection = Infallible;

    async fn from_request(request: Request, app: &App) -> Result<Self, Infallible> {
        let input = parse::read(request, app, B::MOST).await;
        Ok(Self(input.ok().and_then(|mut input| B::read(&mut input))))
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
