//! The fields of an account in a file, and what they may hold.

use std::collections::BTreeMap;
use std::str::FromStr;

use doorward::internals::Clock;
use doorward::internals::accounts::ImportedUser;
use doorward::internals::users::read_time;
use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::role::RoleName;
use doorward_core::{Timestamp, password_hash};

use crate::args::read;

/// A field of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Email,
    Name,
    Role,
    PasswordHash,
    CreatedAt,
    Disabled,
    Verified,
}

impl Field {
    const ALL: [Self; 7] = [
        Self::Email,
        Self::Name,
        Self::Role,
        Self::PasswordHash,
        Self::CreatedAt,
        Self::Disabled,
        Self::Verified,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Name => "name",
            Self::Role => "role",
            Self::PasswordHash => "password_hash",
            Self::CreatedAt => "created_at",
            Self::Disabled => "disabled",
            Self::Verified => "verified",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }
}

/// Reads `password=password_hash`.
pub(super) fn mapping(text: &str) -> Result<(String, Field), String> {
    let (theirs, ours) = text.rsplit_once('=').ok_or("must have the form THEIRS=OURS")?;
    let field = Field::named(ours).ok_or_else(|| {
        format!("{ours} is no field here; there are {}", Field::ALL.map(Field::as_str).join(", "))
    })?;
    Ok((theirs.to_owned(), field))
}

/// Which field of the file is which.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) map: Vec<(String, Field)>,
    pub(super) ignore: Vec<String>,
}

impl Columns {
    /// The field that this column is; `None` for one that is not imported.
    ///
    /// # Errors
    /// The column is unknown.
    pub(super) fn field(&self, name: &str) -> Result<Option<Field>, String> {
        if let Some((_, field)) = self.map.iter().find(|(theirs, _)| theirs == name) {
            return Ok(Some(*field));
        }
        if self.ignore.iter().any(|ignored| ignored == name) {
            return Ok(None);
        }
        let unknown = || {
            let shown: String = name.chars().take(60).collect();
            format!("unknown field {shown:?}: give it to --map or --ignore")
        };
        Field::named(name).map(Some).ok_or_else(unknown)
    }
}

/// The texts of one account.
#[derive(Debug, Default)]
pub(super) struct Texts(BTreeMap<Field, String>);

impl Texts {
    /// Adds a text; an empty one counts as none.
    pub(super) fn add(&mut self, field: Field, text: String) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        match self.0.insert(field, text) {
            None => Ok(()),
            Some(_) => Err(format!("{} is there twice", field.as_str())),
        }
    }

    /// The account; the reason names the first field that is wrong, and no value.
    pub(super) fn account(self) -> Result<ImportedUser, String> {
        let hash = self.0.get(&Field::PasswordHash).map(|text| password_hash::adopt(text)).transpose();
        Ok(ImportedUser {
            email: self.required::<Email>(Field::Email)?,
            name: self.required::<DisplayName>(Field::Name)?,
            role: self.parsed::<RoleName>(Field::Role)?.unwrap_or(RoleName::USER),
            password_hash: hash.map_err(|error| format!("password_hash {error}"))?,
            created_at: self.time()?,
            disabled: self.flag(Field::Disabled)?,
            verified: self.flag(Field::Verified)?,
        })
    }

    fn parsed<T: FromStr<Err: Into<doorward_core::message::Message>>>(
        &self,
        field: Field,
    ) -> Result<Option<T>, String> {
        let text = self.0.get(&field);
        text.map(|text| read(text)).transpose().map_err(|reason| format!("{} {reason}", field.as_str()))
    }

    fn required<T: FromStr<Err: Into<doorward_core::message::Message>>>(
        &self,
        field: Field,
    ) -> Result<T, String> {
        self.parsed(field)?.ok_or_else(|| format!("{} is missing", field.as_str()))
    }

    fn flag(&self, field: Field) -> Result<bool, String> {
        match self.0.get(&field).map_or("false", String::as_str) {
            "true" | "t" | "1" => Ok(true),
            "false" | "f" | "0" => Ok(false),
            _ => Err(format!("{} must be true or false", field.as_str())),
        }
    }

    fn time(&self) -> Result<Option<Timestamp>, String> {
        let Some(text) = self.0.get(&Field::CreatedAt) else { return Ok(None) };
        let time =
            read_time(text).ok_or("created_at must be as 2026-01-31T12:00:00Z, or seconds since 1970")?;
        if time < Timestamp::default() || time > Clock::system().now() {
            return Err("created_at must be between 1970 and now".to_owned());
        }
        Ok(Some(time))
    }
}
