use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use doorward_core::email::Email;
use doorward_core::role::RoleName;
use doorward_core::{ClaimsVersion, ClientId, LinkId, Mode, SessionId, Timestamp, UserId};

use super::StoreError;
use crate::clock::micros;

/// A parameter of a query (`$n`), or a value of one column of its answer.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// No value, of any type.
    Null,
    /// `BIGINT`.
    Int(i64),
    /// `TEXT`. PostgreSQL refuses a NUL character in it.
    Text(String),
    /// `BYTEA`.
    Bytes(Vec<u8>),
}

impl fmt::Debug for Value {
    /// Shows only kind and length: values are people's names, addresses and keys, which must not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Int(_) => f.write_str("Int"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
        }
    }
}

/// The values for `$1`, `$2` and so on, in that order: `values![user_id, "ada@example.org", now]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::store::Value::from($value)),*]
    };
}
pub(crate) use values;

macro_rules! value_from {
    ($($from:ty => |$name:ident| $value:expr),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from($name: $from) -> Self {
                $value
            }
        })*
    };
}

value_from! {
    i64 => |int| Self::Int(int),
    i32 => |int| Self::Int(i64::from(int)),
    u32 => |int| Self::Int(i64::from(int)),
    &str => |text| Self::Text(text.to_owned()),
    &String => |text| Self::Text(text.clone()),
    String => |text| Self::Text(text),
    &[u8] => |bytes| Self::Bytes(bytes.to_vec()),
    Vec<u8> => |bytes| Self::Bytes(bytes),
    UserId => |id| Self::Bytes(id.as_bytes().to_vec()),
    SessionId => |id| Self::Bytes(id.as_bytes().to_vec()),
    ClientId => |id| Self::Bytes(id.as_bytes().to_vec()),
    LinkId => |id| Self::Bytes(id.as_bytes().to_vec()),
    Timestamp => |at| Self::Int(at.as_micros()),
    Duration => |span| Self::Int(micros(span)),
    RoleName => |role| Self::Text(role.as_str().to_owned()),
    ClaimsVersion => |version| Self::Int(version.get()),
    Mode => |mode| Self::Text(mode.as_str().to_owned()),
    &Email => |email| Self::Text(email.as_str().to_owned()),
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A statement with its values.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) sql: &'static str,
    pub(crate) values: Vec<Value>,
}

/// The names of an answer's columns in one text, which its rows share: one allocation for a query that finds something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names(Arc<str>);

impl Names {
    /// No SQL text has this character, so no name has it.
    const SEPARATOR: &str = "\0";

    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Self(names.collect::<Vec<_>>().join(Self::SEPARATOR).into())
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.0.split(Self::SEPARATOR).position(|known| known == name)
    }
}

/// One row of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub(super) names: Names,
    pub(super) values: Vec<Value>,
}

impl Row {
    /// All values, in the order of the columns.
    pub(crate) fn into_values(self) -> Vec<Value> {
        self.values
    }

    /// The column with this name; `Option<T>` for one that may be NULL.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the answer has no such column, or its value is not a `T`.
    pub fn get<T: Column>(&self, name: &str) -> Result<T, StoreError> {
        let value = self.names.position(name).and_then(|position| self.values.get(position));
        let value = value.ok_or_else(|| StoreError::Corrupt(format!("the answer has no column {name}")))?;
        T::read(value).ok_or_else(|| {
            let kind = std::any::type_name::<T>();
            StoreError::Corrupt(format!("column {name} holds {value:?}, which is no {kind}"))
        })
    }
}

/// A type that a column can be read as.
pub trait Column: Sized {
    /// The value as this type, or `None` if it isn't one.
    fn read(value: &Value) -> Option<Self>;
}

macro_rules! column {
    ($($type:ty: $pattern:pat => $read:expr),* $(,)?) => {
        $(impl Column for $type {
            fn read(value: &Value) -> Option<Self> {
                match value {
                    $pattern => $read,
                    _ => None,
                }
            }
        })*
    };
}

column! {
    i64: Value::Int(int) => Some(*int),
    Timestamp: Value::Int(micros) => Some(Self::from_micros(*micros)),
    String: Value::Text(text) => Some(text.clone()),
    RoleName: Value::Text(text) => text.parse().ok(),
    ClaimsVersion: Value::Int(number) => Self::new(*number),
    Mode: Value::Text(text) => text.parse().ok(),
    Email: Value::Text(text) => Self::parse(text).ok(),
    Vec<u8>: Value::Bytes(bytes) => Some(bytes.clone()),
    UserId: Value::Bytes(bytes) => bytes.as_slice().try_into().ok().map(Self::from_bytes),
    SessionId: Value::Bytes(bytes) => bytes.as_slice().try_into().ok().map(Self::from_bytes),
    ClientId: Value::Bytes(bytes) => bytes.as_slice().try_into().ok().map(Self::from_bytes),
    LinkId: Value::Bytes(bytes) => bytes.as_slice().try_into().ok().map(Self::from_bytes),
}

impl<const N: usize> Column for [u8; N] {
    fn read(value: &Value) -> Option<Self> {
        let Value::Bytes(bytes) = value else { return None };
        bytes.as_slice().try_into().ok()
    }
}

impl<T: Column> Column for Option<T> {
    fn read(value: &Value) -> Option<Self> {
        if *value == Value::Null { Some(None) } else { T::read(value).map(Some) }
    }
}

#[cfg(feature = "testing")]
impl Row {
    /// Every value as text, bytes in base64url: what somebody who steals the database would try.
    pub fn for_tests(&self) -> String {
        use base64::Engine;
        let shown = self.values.iter().map(|value| match value {
            Value::Null => String::new(),
            Value::Int(int) => int.to_string(),
            Value::Text(text) => text.clone(),
            Value::Bytes(bytes) => base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes),
        });
        shown.collect::<Vec<_>>().join("\n") + "\n"
    }

    /// The only column, whatever its name.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if there is another, or its value is not a `T`.
    pub fn only<T: Column>(&self) -> Result<T, StoreError> {
        let [value] = self.values.as_slice() else {
            return Err(StoreError::Corrupt(format!("{} columns, not one", self.values.len())));
        };
        T::read(value).ok_or_else(|| StoreError::Corrupt(format!("the column holds {value:?}")))
    }
}
