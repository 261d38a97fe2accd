//! The URL of a PostgreSQL server: the meaning of each parameter here, and clear words for the others.

use std::path::PathBuf;
use std::str::FromStr;

use doorward_core::Secret;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use url::form_urlencoded;

use super::{StoreError, is_postgres};

/// Parameters that the driver understands itself.
const OF_THE_DRIVER: [&str; 14] = [
    "user",
    "password",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "sslnegotiation",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "load_balance_hosts",
];

/// Parameters of other programs' URLs, and what to write instead.
const ELSEWHERE: [(&[&str], &str); 6] = [
    (&["connection_limit", "pool_size", "max_pool_size"], "say postgres.pool_size in the settings"),
    (&["statement_timeout", "pool_timeout"], "say postgres.statement_timeout in the settings"),
    (
        &["sslcert", "sslkey", "sslpassword", "sslidentity"],
        "there are no client certificates here: use a password",
    ),
    (
        &["ssl", "sslaccept", "sslcrl", "gssencmode"],
        "say sslmode: wherever TLS is used, the server's certificate is verified",
    ),
    (
        &["statement_cache_size", "prepared_statement_cache_size", "prepareThreshold", "binary_parameters"],
        "say pgbouncer=true behind a pooler",
    ),
    (&["service", "passfile"], "write host, user and password out; DOORWARD_DATABASE_FILE can hold the URL"),
];

/// A parsed URL.
pub(super) struct Target {
    /// For the driver.
    pub(super) config: Config,
    /// PEM files of authorities that the URL names.
    pub(super) authorities: Vec<PathBuf>,
    /// Whether the URL says that there is a pooler.
    pub(super) pooler: bool,
    /// Server parameters that hold for each of our transactions.
    pub(super) parameters: Vec<Parameter>,
    /// The text of `options`, for a server without a pooler.
    options: Option<String>,
}

/// A run-time parameter of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) value: String,
}

impl Parameter {
    pub(super) fn new(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.into() }
    }
}

impl Target {
    /// Parses the URL; `pooler` comes from the settings.
    ///
    /// # Errors
    /// What cannot be read or has no meaning here. It never contains a value, which may be a piece of the password.
    pub(super) fn read(url: &Secret, pooler: bool) -> Result<Self, StoreError> {
        let text = str::from_utf8(url.expose()).unwrap_or_default();
        let after_login = text.find('@').unwrap_or_default();
        let (login, rest) = text.split_at_checked(after_login).ok_or_else(unreadable)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if query.contains('@') || !is_postgres(text) {
            return Err(unreadable());
        }
        let config = Config::from_str(&with_query(login, place, "")).map_err(|_| unreadable())?;
        let mut target =
            Self { config, authorities: Vec::new(), pooler, parameters: Vec::new(), options: None };
        let mut for_the_driver = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, _) = form_urlencoded::parse(pair.as_bytes()).next().ok_or_else(unreadable)?;
            if OF_THE_DRIVER.contains(&key.as_ref()) {
                driver_takes(&key, pair)?;
                for_the_driver.push(pair);
            }
        }
        if !for_the_driver.is_empty() {
            let whole = with_query(login, place, &for_the_driver.join("&"));
            target.config = Config::from_str(&whole).map_err(|_| unreadable())?;
        }
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            target.take(&key, &value)?;
        }
        target.with_options()
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        match (key, value) {
            ("sslmode", mode) => {
                self.config.ssl_mode(ssl_mode(mode)?);
            }
            ("sslrootcert", "system") => {}
            ("sslrootcert", file) => self.authorities.push(file.into()),
            ("application_name", name) => {
                self.config.application_name(name);
            }
            ("connect_timeout", seconds) => match seconds.parse() {
                Ok(0) => {}
                Ok(seconds @ 1..=3_600) => {
                    self.config.connect_timeout(std::time::Duration::from_secs(seconds));
                }
                _ => return Err(refused("connect_timeout must be a number of seconds, 3600 at most")),
            },
            ("channel_binding", "prefer") | ("pgbouncer", "false") => {}
            ("channel_binding", _) => driver_takes(key, &format!("{key}={value}"))?,
            ("pgbouncer", "true") => self.pooler = true,
            ("pgbouncer", _) => return Err(refused("pgbouncer must be true or false")),
            ("schema" | "currentSchema" | "search_path", names) => {
                self.parameters.push(Parameter::new("search_path", quoted(names)));
            }
            ("options", words) => self.options = Some(words.to_owned()),
            _ if OF_THE_DRIVER.contains(&key) => {}
            _ => return Err(unknown(key)),
        }
        Ok(())
    }

    /// A pooler passes no `options` on: behind one they are set in each transaction, like all other parameters.
    fn with_options(mut self) -> Result<Self, StoreError> {
        match self.options.take() {
            Some(words) if self.pooler => self.parameters.extend(parameters_of(&words)?),
            Some(words) => {
                self.config.options(words);
            }
            None => {}
        }
        Ok(self)
    }
}

fn ssl_mode(text: &str) -> Result<SslMode, StoreError> {
    match text {
        "disable" => Ok(SslMode::Disable),
        "allow" | "prefer" => Ok(SslMode::Prefer),
        // Verifying is not optional here, so these three mean the same.
        "require" | "verify-ca" | "verify-full" => Ok(SslMode::Require),
        _ => Err(refused("sslmode must be verify-full, verify-ca, require, prefer or disable")),
    }
}

fn with_query(login: &str, place: &str, query: &str) -> String {
    format!("{login}{place}?{query}").trim_end_matches('?').to_owned()
}

/// Whether the driver can read this parameter.
fn driver_takes(key: &str, pair: &str) -> Result<(), StoreError> {
    let read = Config::from_str(&format!("postgres://host/?{pair}"));
    read.map(drop).map_err(|_| refused(&format!("the value of {key} cannot be used")))
}

/// The names of schemas, separated by commas, as `search_path` has them.
fn quoted(names: &str) -> String {
    let quote = |name: &str| format!("\"{}\"", name.trim().trim_matches('"').replace('"', "\"\""));
    names.split(',').map(quote).collect::<Vec<_>>().join(", ")
}

/// `-c name=value`, `-cname=value` and `--name=value`, separated by spaces; a backslash keeps the next character.
fn parameters_of(options: &str) -> Result<Vec<Parameter>, StoreError> {
    let no_pair = || refused("options behind a pooler must be of the form -c name=value");
    let mut words = words(options).into_iter();
    let mut parameters = Vec::new();
    while let Some(word) = words.next() {
        let pair = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next(),
            pair => pair.map(str::to_owned),
        };
        let pair = pair.ok_or_else(no_pair)?;
        let (name, value) = pair.split_once('=').ok_or_else(no_pair)?;
        parameters.push(Parameter::new(name, value));
    }
    Ok(parameters)
}

fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' => words.push(String::new()),
            '\\' => words.last_mut().into_iter().for_each(|word| word.extend(characters.next())),
            other => words.last_mut().into_iter().for_each(|word| word.push(other)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn unreadable() -> StoreError {
    StoreError::Refused(
        "the database URL can't be read: write postgres://user:password@host:5432/name?sslmode=require, with \
         special characters of the password as %XX"
            .to_owned(),
    )
}

fn refused(problem: &str) -> StoreError {
    StoreError::Refused(format!("the database URL: {problem}"))
}

/// A parameter that means nothing here. A key that doesn't look like one may be a piece of the password.
fn unknown(key: &str) -> StoreError {
    if key.is_empty()
        || key.len() > 40
        || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return unreadable();
    }
    let hint = ELSEWHERE.iter().find(|(keys, _)| keys.contains(&key)).map_or(
        "leave it out; sslmode, sslrootcert, application_name, connect_timeout, schema, options, pgbouncer and what \
         the driver has are known",
        |(_, hint)| hint,
    );
    refused(&format!("there is no parameter {key} here: {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Target, StoreError> {
        Target::read(&Secret::new(format!("postgres://u:sesame@db.example.com/d?{query}")), false)
    }

    #[test]
    fn what_can_be_supported_is_supported() {
        let modes = ["require", "verify-ca", "verify-full", "prefer", "allow", "disable"];
        for mode in modes {
            read(&format!("sslmode={mode}")).unwrap();
        }
        let target = read(
            "sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&application_name=doors&connect_timeout=3&\
             schema=The%20doors,public&options=-c%20lock_timeout%3D4s&target_session_attrs=read-write&keepalives=1",
        )
        .unwrap();
        assert_eq!(target.config.get_ssl_mode(), SslMode::Require);
        assert_eq!(target.authorities, [PathBuf::from("/etc/ca.pem")]);
        assert_eq!(target.config.get_application_name(), Some("doors"));
        assert_eq!(target.config.get_connect_timeout().unwrap().as_secs(), 3);
        assert_eq!(target.config.get_options(), Some("-c lock_timeout=4s"));
        assert_eq!(target.parameters, [Parameter::new("search_path", "\"The doors\", \"public\"")]);
        assert!(!target.pooler && read("pgbouncer=true").unwrap().pooler);
        assert!(read("sslrootcert=system").unwrap().authorities.is_empty());
        let several = Secret::new("postgres://u:p@one:5432,two:5433/d?target_session_attrs=read-write");
        assert_eq!(Target::read(&several, false).unwrap().config.get_hosts().len(), 2);
    }

    #[test]
    fn behind_a_pooler_options_are_parameters_of_each_transaction() {
        let target = read("pgbouncer=true&options=-c%20a=1%20-cb=x%5C%20y%20--c=3").unwrap();
        assert_eq!(target.config.get_options(), None);
        let expected =
            [("a", "1"), ("b", "x y"), ("c", "3")].map(|(name, value)| Parameter::new(name, value));
        assert_eq!(target.parameters, expected);
        assert!(read("pgbouncer=true&options=-q").is_err());
    }

    #[test]
    fn what_means_nothing_here_is_named_without_its_value() {
        for (query, words) in [
            ("sesame=sesame1", "there is no parameter sesame here"),
            ("connection_limit=5", "postgres.pool_size"),
            ("sslcert=sesame1", "no client certificates"),
            ("statement_cache_size=0", "pgbouncer=true"),
            ("sslmode=sesame1", "sslmode must be"),
            ("connect_timeout=sesame1", "connect_timeout must be"),
            ("target_session_attrs=sesame1", "the value of target_session_attrs"),
            ("channel_binding=sesame1", "the value of channel_binding"),
            ("pgbouncer=sesame1", "pgbouncer must be"),
            ("keepalives", "the value of keepalives"),
            ("sesame1%20=1", "can't be read"),
            ("x=sesame1@host/d", "can't be read"),
        ] {
            let Err(error) = read(query) else { panic!("{query} was read") };
            let text = error.to_string();
            assert!(text.contains(words) && !text.contains("sesame1"), "{query}: {text}");
        }
        assert!(Target::read(&Secret::new("mysql://u:p@h/d"), false).is_err());
    }
}
