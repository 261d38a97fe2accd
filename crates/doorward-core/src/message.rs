//! Texts that people read, as codes. The sentences stand outside of this crate: a file for each language.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A text that people read: its code, and the parameters that stand in it.
///
/// ```
/// use doorward_core::email::Email;
/// use doorward_core::message::{Message, Parameter};
/// let problem: Message = Email::parse("ada").unwrap_err().into();
/// assert_eq!(problem.code(), "email-at");
/// let problem = Message::new("limit-range").with("most", 100_u64);
/// assert_eq!(problem.parameters().next(), Some(("most", &Parameter::Number(100))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    code: Cow<'static, str>,
    parameters: Vec<(Cow<'static, str>, Parameter)>,
}

/// What stands in a text. A language may say it differently for different numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parameter {
    /// A number, such as a limit.
    Number(u64),
    /// A text that is the same in all languages, such as a name.
    Text(String),
}

impl Message {
    /// The text of this code.
    pub const fn new(code: &'static str) -> Self {
        Self { code: Cow::Borrowed(code), parameters: Vec::new() }
    }

    /// The same with one more parameter.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Parameter>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// The code: the same in all languages.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The parameters by name.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.parameters.iter().map(|(name, value)| (name.as_ref(), value))
    }
}

impl fmt::Display for Message {
    /// The code and the parameters, for developers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        self.parameters().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl From<u64> for Parameter {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Parameter {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<String> for Parameter {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Parameter {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// Makes a type with `fn message(self) -> Message` an error that shows the code of its text.
macro_rules! error_with_message {
    ($($error:ty),+) => {
        $(
            impl std::fmt::Display for $error {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    self.message().fmt(f)
                }
            }

            impl std::error::Error for $error {}

            impl From<$error> for $crate::message::Message {
                fn from(error: $error) -> Self {
                    error.message()
                }
            }
        )+
    };
}

pub(crate) use error_with_message;
