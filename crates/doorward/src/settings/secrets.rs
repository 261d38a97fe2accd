use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use doorward_core::{RootSecret, Secret};

use super::{Settings, SettingsError};
use crate::store::Database;

/// The secrets of the process. They come from variables or files, never from `doorward.toml` or a flag, where they would
/// be committed or listed among the processes.
#[derive(Debug)]
pub struct Secrets {
    /// What keys for stored private keys, refresh tokens and reset links are derived from.
    pub root: RootSecret,
    /// Where the root secret came from.
    pub root_source: RootSource,
    /// The shared secret of HS256 access tokens, where there is one. Who has it can mint tokens.
    pub jwt: Option<Secret>,
    /// Who has it may follow the revocations, and nothing else.
    pub feed: Option<Secret>,
}

const JWT: &str = "JWT_SECRET";
const FEED: &str = "DOORWARD_FEED_SECRET";

/// Where the root secret came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootSource {
    /// The variable `DOORWARD_SECRET` or the file that `DOORWARD_SECRET_FILE` names.
    Variable,
    /// `secret.key` in the data folder.
    File(PathBuf),
    /// `secret.key` in the data folder, made just now.
    Made(PathBuf),
}

impl Secrets {
    /// Reads the secrets, and makes the root secret of a new data folder. `variable` looks up an environment variable.
    ///
    /// # Errors
    /// A secret is weak, unreadable or lost, its file is open to others, or PostgreSQL is used and no root secret given.
    pub fn read(
        settings: &Settings,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        if let Some(secrets) = Self::find(settings, &variable)? {
            return Ok(secrets);
        }
        let path = settings.data.join("secret.key");
        let secret = make_key_file(&path)?;
        let (jwt, feed) = (configured(JWT, &variable)?, configured(FEED, &variable)?);
        Ok(Self { root: RootSecret::new(&secret), root_source: RootSource::Made(path), jwt, feed })
    }

    /// Reads the secrets as they are; `None` where the root secret of a new data folder is still to be made.
    ///
    /// # Errors
    /// As [`Secrets::read`].
    pub fn find(
        settings: &Settings,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, SettingsError> {
        let (jwt, feed) = (configured(JWT, &variable)?, configured(FEED, &variable)?);
        let found = |secret: &Secret, root_source| {
            Ok(Some(Self { root: RootSecret::new(secret), root_source, jwt, feed }))
        };
        if let Some(secret) = configured("DOORWARD_SECRET", &variable)? {
            return found(&secret, RootSource::Variable);
        }
        let path = settings.data.join("secret.key");
        if let Some(secret) = read_key_file(&path)? {
            return found(&secret, RootSource::File(path));
        }
        match settings.database() {
            Database::Postgres { .. } => Err(SettingsError::new(
                "with PostgreSQL the root secret must be given: other nodes need the same one",
                "set DOORWARD_SECRET to the output of `openssl rand -base64 32`, and keep a copy of it",
            )),
            // A new one would open nothing of what is in there, and lie in the way of the right one.
            Database::Sqlite(file) if file.exists() => Err(SettingsError::new(
                format!("{} is missing, and the database beside it was made with it", path.display()),
                "restore it from your backup, or set the DOORWARD_SECRET that the database was made with",
            )),
            Database::Sqlite(_) => Ok(None),
        }
    }
}

fn configured(
    name: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Secret>, SettingsError> {
    let in_file = format!("{name}_FILE");
    let text = match (variable(name), variable(&in_file)) {
        (Some(_), Some(_)) => {
            return Err(SettingsError::new(
                format!("{name} and {in_file} are both set"),
                "unset one of them",
            ));
        }
        (None, None) => return Ok(None),
        (Some(text), None) => text,
        (None, Some(path)) => {
            refuse_open_to_others(Path::new(&path))?;
            let read = std::fs::read_to_string(&path);
            read.map_err(|error| SettingsError::new(format!("{in_file}: cannot read {path}: {error}"), ""))?
        }
    };
    let secret = Secret::configured(text.trim_end_matches(['\r', '\n'])).map_err(|problem| {
        let hint = "make one with `openssl rand -base64 32`";
        SettingsError::new(format!("{name} {problem}"), hint)
    })?;
    Ok(Some(secret))
}

fn read_key_file(path: &Path) -> Result<Option<Secret>, SettingsError> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(path, &error)),
    };
    refuse_open_to_others(path)?;
    let mut bytes = Vec::with_capacity(33);
    file.take(33).read_to_end(&mut bytes).map_err(|error| unusable(path, &error))?;
    if bytes.len() != 32 {
        let hint =
            "restore it from your backup; with another secret the stored keys and refresh tokens are lost";
        return Err(SettingsError::new(format!("{} does not hold 32 bytes", path.display()), hint));
    }
    Ok(Some(Secret::new(bytes)))
}

/// Makes the file whole or not at all: written beside its place, synced, then linked there, never over another's.
fn make_key_file(path: &Path) -> Result<Secret, SettingsError> {
    let secret = Secret::new(crate::random::bytes::<32>());
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(secret.expose())?;
        file.sync_all()?;
        std::fs::hard_link(&beside, path)?;
        path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
    };
    let written = write();
    let _ = std::fs::remove_file(&beside);
    match written {
        Ok(()) => Ok(secret),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            read_key_file(path)?.ok_or_else(|| unusable(path, &error))
        }
        Err(error) => Err(unusable(path, &error)),
    }
}

fn refuse_open_to_others(path: &Path) -> Result<(), SettingsError> {
    let mode = std::fs::metadata(path).map_err(|error| unusable(path, &error))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let problem = format!("{} can be read by others (mode {:03o})", path.display(), mode & 0o777);
    Err(SettingsError::new(problem, format!("chmod 600 {}", path.display())))
}

fn unusable(path: &Path, error: &std::io::Error) -> SettingsError {
    SettingsError::new(
        format!("cannot use {}: {error}", path.display()),
        "check that the data folder is yours",
    )
}
