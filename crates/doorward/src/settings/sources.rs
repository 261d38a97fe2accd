use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use doorward_core::role::{RoleName, RoleNameError, Roles};

use super::files::SecretFile;
use super::parse::FromText;
use super::service_links::is_service_link;
use super::{Contributed, SETTINGS, Setting, SettingsError};
use crate::store::is_postgres;
use crate::texts::english;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The default.
    Default,
    /// A configuration file.
    File(String),
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
    /// The code of an application that embeds Doorward.
    Code,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => f.write_str(path),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
            Self::Code => f.write_str("set in code"),
        }
    }
}

/// The values of all settings as text, each with its origin. A later source takes precedence.
#[derive(Debug, Clone)]
pub struct Values {
    all: BTreeMap<String, (String, Origin)>,
    contributed: Vec<Contributed>,
    /// Warnings from reading them.
    pub(super) noticed: Noticed,
}

/// Warnings from reading the settings, none of which stops the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Noticed {
    /// Variables that Kubernetes sets for a Service whose name begins with `doorward`: they are not settings.
    pub service_links: Vec<String>,
    /// Files and folders that others may read or write, if their place makes that unavoidable.
    pub warnings: Vec<String>,
}

impl Values {
    /// The defaults, with the settings that features add.
    pub(crate) fn with(contributed: Vec<Contributed>) -> Self {
        let mut values = Self { all: BTreeMap::new(), contributed, noticed: Noticed::default() };
        let default = |row: &Setting| (row.key.to_owned(), (row.default.to_owned(), Origin::Default));
        values.all = values.rows().iter().map(default).collect();
        values
    }

    /// The table of all settings, in the order of the reference page: those of a section are adjacent.
    pub fn rows(&self) -> Vec<Setting> {
        let section = |row: &Setting| row.key.split_once('.').map(|(section, _)| section);
        let mut rows = SETTINGS.to_vec();
        for Contributed { row, .. } in &self.contributed {
            let end = rows.iter().rposition(|other| section(other) == section(row));
            rows.insert(end.map_or(rows.len(), |at| at + 1), *row);
        }
        rows
    }

    /// Sets one value.
    ///
    /// # Errors
    /// There is no such setting; the hint names the nearest one.
    pub fn set(&mut self, key: &str, text: impl Into<String>, origin: Origin) -> Result<(), SettingsError> {
        let is_named = key.starts_with("roles.") || is_of_app(key);
        if !is_named && !self.rows().iter().any(|setting| setting.key == key) {
            return Err(SettingsError::new(
                format!("{origin}: there is no setting {key:?}"),
                self.nearest(key),
            ));
        }
        self.all.insert(key.to_owned(), (text.into(), origin));
        Ok(())
    }

    /// Takes the settings of a `doorward.toml`.
    ///
    /// # Errors
    /// The text is not TOML, or names an unknown setting.
    pub fn file(&mut self, path: &Path, text: &str) -> Result<(), SettingsError> {
        let origin = Origin::File(path.display().to_string());
        let table = text.parse::<toml::Table>().map_err(|error| {
            SettingsError::new(
                // The line itself is not shown: it may contain a password.
                format!("{origin} is not valid TOML{}: {}", line_of(text, error.span()), error.message()),
                "quote texts, such as ttl = \"15m\"",
            )
        })?;
        self.table("", &table, &origin)
    }

    fn table(&mut self, prefix: &str, table: &toml::Table, origin: &Origin) -> Result<(), SettingsError> {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            match value {
                toml::Value::Table(inner) => self.table(&format!("{key}."), inner, origin)?,
                toml::Value::Array(items) => {
                    let items =
                        items.iter().map(|item| scalar(&key, item, origin)).collect::<Result<Vec<_>, _>>()?;
                    self.set(&key, items.join(","), origin.clone())?;
                }
                value => self.set(&key, scalar(&key, value, origin)?, origin.clone())?,
            }
        }
        Ok(())
    }

    /// Takes the settings of `DOORWARD_…` variables; `…_FILE` names a file that holds the value.
    ///
    /// # Errors
    /// A variable names an unknown setting, or a file that cannot be read.
    pub fn environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), SettingsError> {
        for (name, text) in variables {
            if is_service_link(&name, &text) {
                self.noticed.service_links.push(name);
                continue;
            }
            let rows = self.rows();
            let known = rows.iter().find(|setting| setting.variable() == name);
            let in_file = rows.iter().find(|setting| format!("{}_FILE", setting.variable()) == name);
            match (name.strip_prefix("DOORWARD_"), known, in_file) {
                (
                    None
                    | Some(
                        "SECRET" | "SECRET_FILE" | "SECRET_OTHER" | "SECRET_OTHER_FILE" | "FEED_SECRET"
                        | "FEED_SECRET_FILE" | "OTEL_HEADERS" | "OTEL_HEADERS_FILE" | "CONFIG",
                    ),
                    ..,
                ) => {}
                (Some(rest), ..) if rest.starts_with("TEST_") => {}
                (_, Some(setting), _) => self.set(setting.key, text, Origin::Variable(name))?,
                (_, _, Some(setting)) => {
                    let content = self.file_of(setting, &name, &text)?;
                    self.set(setting.key, content.trim_end(), Origin::Variable(name))?;
                }
                (Some(rest), ..) => match named_key(rest) {
                    Some(key) => self.set(&key, text, Origin::Variable(name.clone()))?,
                    None => {
                        let key = rest.to_lowercase().replacen('_', ".", 1);
                        let problem = format!("{name}: there is no such setting");
                        return Err(SettingsError::new(problem, self.nearest(&key)));
                    }
                },
            }
        }
        Ok(())
    }

    /// The value of a setting whose file is named by a variable. The database URL has a password.
    fn file_of(&mut self, setting: &Setting, variable: &str, path: &str) -> Result<String, SettingsError> {
        if setting.key == "database" {
            let file = SecretFile::read(path.as_ref())?;
            self.noticed.warnings.extend(file.warning.clone());
            return file.text(path.as_ref()).map(str::to_owned);
        }
        std::fs::read_to_string(path).map_err(|error| {
            SettingsError::new(format!("{variable}: cannot read {path}: {error}"), "name a readable file")
        })
    }

    /// Takes the settings of this process's own variables. Other programs' variables need not be text; Doorward's must
    /// be.
    ///
    /// # Errors
    /// As of [`Values::environment`], or a variable of Doorward is not valid text.
    pub fn own_environment(&mut self) -> Result<(), SettingsError> {
        let ours = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with("DOORWARD_"))?;
            Some((name, value))
        });
        let as_text = |(name, value): (String, std::ffi::OsString)| {
            let text = value.into_string();
            let text = text.map_err(|_| SettingsError::new(format!("{name} is not valid UTF-8"), ""))?;
            Ok((name, text))
        };
        self.environment(ours.map(as_text).collect::<Result<Vec<_>, SettingsError>>()?)
    }

    /// Each setting with its value and its origin; secrets in it are hidden.
    pub fn shown(&self) -> impl Iterator<Item = (&str, String, &Origin)> {
        self.all.iter().map(|(key, (text, origin))| {
            let shown = hidden(text).unwrap_or_else(|| text.clone());
            (key.as_str(), shown, origin)
        })
    }

    pub(super) fn parse<T: FromText>(&self, key: &str) -> Result<T, SettingsError> {
        let (text, origin) =
            self.all.get(key).map_or(("", &Origin::Default), |(text, origin)| (text.as_str(), origin));
        T::from_text(text.trim()).map_err(|problem| self.wrong(key, text, origin, &problem))
    }

    /// The values of the features' own settings, each checked.
    pub(super) fn contributed(&self) -> Result<BTreeMap<&'static str, String>, SettingsError> {
        let mut values = BTreeMap::new();
        for Contributed { row, check } in &self.contributed {
            let Some((text, origin)) = self.all.get(row.key) else { continue };
            check(text.trim()).map_err(|problem| self.wrong(row.key, text, origin, &problem))?;
            values.insert(row.key, text.trim().to_owned());
        }
        Ok(values)
    }

    fn wrong(&self, key: &str, text: &str, origin: &Origin, problem: &str) -> SettingsError {
        // A database URL may contain a password, so a refused one is not repeated.
        let shown = if key == "database" { String::new() } else { format!(" {text:?}") };
        let rows = self.rows();
        let row = rows.iter().find(|setting| setting.key == key && !setting.default.is_empty());
        let hint = row.map_or(String::new(), |setting| format!("the default is {:?}", setting.default));
        SettingsError::new(format!("{key} ({origin}):{shown} {problem}"), hint)
    }

    fn nearest(&self, key: &str) -> String {
        /// Below this a likeness is chance.
        const ALIKE: f64 = 0.7;
        let key = key.to_lowercase();
        if key.contains("secret") {
            return "secrets come from the variables DOORWARD_SECRET, JWT_SECRET and DOORWARD_FEED_SECRET, or files named by …_FILE".into();
        }
        if key == "otel.headers" {
            return "they may hold a secret, so they come from the variable DOORWARD_OTEL_HEADERS, or a file that DOORWARD_OTEL_HEADERS_FILE names".into();
        }
        let likeness = |setting: &Setting| strsim::jaro_winkler(setting.key, &key);
        let rows = self.rows();
        let nearest = rows.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        match nearest.filter(|setting| likeness(setting) >= ALIKE) {
            Some(setting) => format!("did you mean {}? `doorward config print` lists all", setting.key),
            None => "`doorward config print` lists all".into(),
        }
    }

    /// The values whose keys begin so.
    pub(super) fn dynamic(&self, start: &str) -> impl Iterator<Item = (&String, &(String, Origin))> {
        self.all.range(start.to_owned()..).take_while(move |(key, _)| key.starts_with(start))
    }

    pub(super) fn roles(&self) -> Result<Roles, SettingsError> {
        let mut roles = Vec::new();
        for (key, (text, origin)) in self.dynamic("roles.") {
            let name = key.trim_start_matches("roles.");
            let wrong = |problem: &str| {
                SettingsError::new(
                    format!("{key} ({origin}): {problem}"),
                    "such as support = [\"users:read\"]",
                )
            };
            let role: RoleName =
                name.parse().map_err(|error| wrong(&english(&RoleNameError::message(error))))?;
            let permissions: BTreeSet<String> =
                text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect();
            let exact = |one: &String| {
                one.len() <= 64
                    && one
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b":._-".contains(&b))
            };
            if !permissions.iter().all(exact) {
                return Err(wrong("a permission has 1 to 64 of a-z, 0-9 and : . _ -"));
            }
            roles.push((role, permissions));
        }
        Ok(Roles::new(roles))
    }
}

/// The key of a variable, without `DOORWARD_`, for a role or an application.
fn named_key(rest: &str) -> Option<String> {
    let role = rest.strip_prefix("ROLES_").map(|role| format!("roles.{}", role.to_lowercase()));
    role.or_else(|| app_key(rest))
}

/// Whether this is the key of an application's origin or name.
fn is_of_app(key: &str) -> bool {
    let rest = key.strip_prefix("apps.").and_then(|rest| rest.rsplit_once('.'));
    rest.is_some_and(|(app, what)| {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        !app.is_empty() && app.bytes().all(is_plain) && matches!(what, "origin" | "name")
    })
}

/// The key of a variable whose name, without `DOORWARD_`, begins with `APPS_`.
fn app_key(rest: &str) -> Option<String> {
    let name = rest.strip_prefix("APPS_")?.to_lowercase();
    let (app, what) = name.rsplit_once('_')?;
    Some(format!("apps.{app}.{what}")).filter(|key| is_of_app(key))
}

fn line_of(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    let before = span.and_then(|span| text.get(..span.start));
    before.map_or(String::new(), |before| format!(" (line {})", before.matches('\n').count() + 1))
}

/// A URL with its password hidden; `None` if it has no password.
fn hidden(text: &str) -> Option<String> {
    if is_postgres(text) && url::Url::parse(text).is_err() {
        // Several hosts with ports, or a password that should have been written as %XX.
        let (login, _) = text.rsplit_once('@').unwrap_or((text, ""));
        let scheme = login.get(..login.find("://")? + 3)?;
        return Some(format!("{scheme}hidden"));
    }
    let mut url = url::Url::parse(text).ok()?;
    if url.password().is_none() && url.query().is_none() {
        return None;
    }
    if url.password().is_some() {
        url.set_password(Some("hidden")).ok()?;
    }
    // `?password=…` is another way to give it.
    url.set_query(url.query().map(|_| "hidden").map(str::to_owned).as_deref());
    Some(url.to_string())
}

fn scalar(key: &str, value: &toml::Value, origin: &Origin) -> Result<String, SettingsError> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(truth) => Ok(truth.to_string()),
        other => {
            let problem = format!("{origin}: {key} cannot be a {}", other.type_str());
            Err(SettingsError::new(problem, "write a text, a number or a list of texts"))
        }
    }
}
