use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use doorward_core::{RootSecret, Secret};
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::files::{SecretFile, check_data, unusable};
use super::{Settings, SettingsError};
use crate::private_file::sync_folder;
use crate::store::Database;

/// The secrets of the process. They come from variables or files. `doorward.toml` and flags can't hold them, since one
/// would be committed and the other is visible in the list of processes.
#[derive(Debug)]
pub struct Secrets {
    /// The secret that keys for stored private keys, refresh tokens and reset links are derived from.
    pub root: RootSecret,
    /// A second one, while the root secret is being changed. The database says which of them is in force.
    pub other_root: Option<RootSecret>,
    /// Where the root secret came from.
    pub root_source: RootSource,
    /// The shared secret of HS256 access tokens, if there is one. A program that has it can mint tokens.
    pub jwt: Option<Secret>,
    /// A program that has it may follow the revocations, and nothing else.
    pub feed: Option<Secret>,
    /// The headers that the collector of OpenTelemetry asks for, such as its token.
    pub otel_headers: HeaderMap,
    /// Files and folders that others may read or write, if their place makes that unavoidable.
    pub warnings: Vec<String>,
}

const ROOT: &str = "DOORWARD_SECRET";
const OTHER_ROOT: &str = "DOORWARD_SECRET_OTHER";
const JWT: &str = "JWT_SECRET";
const FEED: &str = "DOORWARD_FEED_SECRET";
const OTEL_HEADERS: &str = "DOORWARD_OTEL_HEADERS";

/// The file of the root secret in the data folder, and that of a second one.
const KEY_FILE: &str = "secret.key";
const OTHER_KEY_FILE: &str = "secret.other.key";

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
    /// The root secrets: one, or two.
    pub fn roots(self) -> Vec<RootSecret> {
        [self.root].into_iter().chain(self.other_root).collect()
    }

    /// Reads the secrets, and makes the root secret of a new data folder. `variable` looks up an environment variable.
    ///
    /// # Errors
    /// A secret is weak, unreadable, lost or equal to another. Its file or the data folder is open to others. Or
    /// PostgreSQL is used without a root secret.
    pub fn read(
        settings: &Settings,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        if let Some(secrets) = Self::find(settings, &variable)? {
            return Ok(secrets);
        }
        let path = settings.data.join(KEY_FILE);
        let secret = make_key_file(&path)?;
        Given::read(settings, &variable)?.with_root(&secret, RootSource::Made(path))
    }

    /// Reads the existing secrets; `None` if the root secret of a new data folder is still to be made.
    ///
    /// # Errors
    /// As [`Secrets::read`].
    pub fn find(
        settings: &Settings,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, SettingsError> {
        let mut given = Given::read(settings, &variable)?;
        if let Some(secret) = configured(ROOT, &variable, &mut given.warnings)? {
            return given.with_root(&secret, RootSource::Variable).map(Some);
        }
        let path = settings.data.join(KEY_FILE);
        if let Some(secret) = read_key_file(&path)? {
            if given.other_root.is_none() {
                given.other_root = read_key_file(&settings.data.join(OTHER_KEY_FILE))?;
            }
            return given.with_root(&secret, RootSource::File(path)).map(Some);
        }
        match settings.database() {
            Database::Postgres { .. } => Err(SettingsError::new(
                "with PostgreSQL the root secret must be given: other nodes need the same one",
                "set DOORWARD_SECRET to the output of `openssl rand -base64 32`, and keep a copy of it",
            )),
            // A new secret could decrypt nothing in there, and would hide that the right one is missing.
            Database::Sqlite(file) if file.exists() => Err(SettingsError::new(
                format!("{} is missing, and the database beside it was made with it", path.display()),
                "restore it from your backup, or set the DOORWARD_SECRET that the database was made with",
            )),
            Database::Sqlite(_) | Database::Memory => Ok(None),
        }
    }
}

/// Makes a second root secret beside the file of the first one; returns its path.
///
/// # Errors
/// If it can't be written.
pub fn make_other_root(settings: &Settings) -> Result<PathBuf, SettingsError> {
    let path = settings.data.join(OTHER_KEY_FILE);
    make_key_file(&path).map(|_| path)
}

/// Puts the second root secret in the place of the first one, which is gone then.
///
/// # Errors
/// If it can't be written.
pub fn drop_former_root(settings: &Settings) -> Result<(), SettingsError> {
    let (path, other) = (settings.data.join(KEY_FILE), settings.data.join(OTHER_KEY_FILE));
    let renamed = std::fs::rename(&other, &path).and_then(|()| sync_folder(&path));
    renamed.map_err(|error| unusable(&other, &error))
}

/// The secrets given besides the root secret.
struct Given {
    other_root: Option<Secret>,
    jwt: Option<Secret>,
    feed: Option<Secret>,
    otel_headers: HeaderMap,
    warnings: Vec<String>,
}

impl Given {
    fn read(settings: &Settings, variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut warnings = Vec::new();
        if settings.database.is_none() || settings.data.join(KEY_FILE).exists() {
            warnings.extend(check_data(&settings.data)?);
        }
        let other_root = configured(OTHER_ROOT, &variable, &mut warnings)?;
        let jwt = configured(JWT, &variable, &mut warnings)?;
        let feed = configured(FEED, &variable, &mut warnings)?;
        let otel_headers = match given(OTEL_HEADERS, &variable, &mut warnings)? {
            Some(text) => headers(&text)?,
            None => HeaderMap::new(),
        };
        Ok(Self { other_root, jwt, feed, otel_headers, warnings })
    }

    /// All secrets, if no two are equal. A program that has one of them, such as one that checks tokens or follows the
    /// feed, would have the other.
    fn with_root(self, root: &Secret, root_source: RootSource) -> Result<Secrets, SettingsError> {
        let Self { other_root, jwt, feed, otel_headers, warnings } = self;
        let all = [
            (ROOT, Some(root)),
            (OTHER_ROOT, other_root.as_ref()),
            (JWT, jwt.as_ref()),
            (FEED, feed.as_ref()),
        ];
        let given: Vec<_> = all.into_iter().filter_map(|(name, secret)| Some((name, secret?))).collect();
        for (at, (name, secret)) in given.iter().enumerate() {
            let same = given.iter().take(at).find(|(_, other)| other.expose() == secret.expose());
            if let Some((other, _)) = same {
                let problem = format!("{name} and {other} are the same: who has one has the other");
                return Err(SettingsError::new(problem, "make each with `openssl rand -base64 32`"));
            }
        }
        let other_root = other_root.as_ref().map(RootSecret::new);
        Ok(Secrets {
            root: RootSecret::new(root),
            other_root,
            root_source,
            jwt,
            feed,
            otel_headers,
            warnings,
        })
    }
}

/// A secret that must not be guessed.
fn configured(
    name: &str,
    variable: impl Fn(&str) -> Option<String>,
    warnings: &mut Vec<String>,
) -> Result<Option<Secret>, SettingsError> {
    let Some(text) = given(name, variable, warnings)? else { return Ok(None) };
    let secret = Secret::configured(text.as_str()).map_err(|problem| {
        let hint = "make one with `openssl rand -base64 32`";
        SettingsError::new(format!("{name} {problem}"), hint)
    })?;
    Ok(Some(secret))
}

/// The text of a variable, or of the file that another one names, without the line ends after it.
fn given(
    name: &str,
    variable: impl Fn(&str) -> Option<String>,
    warnings: &mut Vec<String>,
) -> Result<Option<Zeroizing<String>>, SettingsError> {
    let in_file = format!("{name}_FILE");
    let text = match (variable(name), variable(&in_file)) {
        (Some(_), Some(_)) => {
            return Err(SettingsError::new(
                format!("{name} and {in_file} are both set"),
                "unset one of them",
            ));
        }
        (None, None) => return Ok(None),
        (Some(text), None) => Zeroizing::new(text),
        (None, Some(path)) => {
            let path = Path::new(&path);
            let file = SecretFile::read(path)?;
            warnings.extend(file.warning.clone());
            Zeroizing::new(file.text(path)?.to_owned())
        }
    };
    Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())))
}

/// Headers as `OTEL_EXPORTER_OTLP_HEADERS` writes them: `name=value` with commas between, `%XX` in a value.
fn headers(text: &str) -> Result<HeaderMap, SettingsError> {
    let mut headers = HeaderMap::new();
    for (at, pair) in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).enumerate() {
        let read = || {
            let (name, value) = pair.split_once('=')?;
            let name = HeaderName::try_from(name.trim()).ok().filter(|name| !is_ours(name))?;
            let value: Vec<u8> = percent_decode_str(value.trim()).collect();
            let mut value = HeaderValue::from_bytes(&value).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        };
        // The pair itself is not shown: it may be a token.
        let (name, value) = read().ok_or_else(|| {
            let problem = format!("{OTEL_HEADERS}: number {} is no header that can be set", at + 1);
            SettingsError::new(
                problem,
                "write name=value with commas between, such as authorization=Bearer%20TOKEN",
            )
        })?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Whether the client sets this header itself.
fn is_ours(name: &HeaderName) -> bool {
    const OURS: [HeaderName; 9] = [
        CONNECTION,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        EXPECT,
        HOST,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    OURS.contains(name)
}

fn read_key_file(path: &Path) -> Result<Option<Secret>, SettingsError> {
    if !path.try_exists().map_err(|error| unusable(path, &error))? {
        return Ok(None);
    }
    let SecretFile { content, .. } = SecretFile::read(path)?;
    if content.len() != 32 {
        let hint =
            "restore it from your backup; with another secret the stored keys and refresh tokens are lost";
        return Err(SettingsError::new(format!("{} does not hold 32 bytes", path.display()), hint));
    }
    Ok(Some(Secret::new(content.to_vec())))
}

/// Creates the file completely or not at all: written next to its place, synced, then linked there, never over an
/// existing file.
fn make_key_file(path: &Path) -> Result<Secret, SettingsError> {
    let secret = Secret::new(crate::random::bytes::<32>());
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(secret.expose())?;
        file.sync_all()?;
        std::fs::hard_link(&beside, path)?;
        sync_folder(path)
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
