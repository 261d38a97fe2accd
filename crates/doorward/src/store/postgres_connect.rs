//! How PostgreSQL is reached: the URL, TLS, the time limits, and clear words for what goes wrong.

use std::error::Error;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, PoolError, Runtime, TimeoutType};
use doorward_core::Secret;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::StoreError;

/// How long connecting may take, and how long an act waits for a free connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a server that says nothing, not even on the level of TCP, is taken to be alive.
const SILENCE: Duration = Duration::from_secs(20);

/// Where the server is.
pub(super) struct Config<'a> {
    pub(super) url: &'a Secret,
    pub(super) tls_ca_file: Option<&'a Path>,
}

/// Makes the pool; no connection is opened yet.
pub(super) fn pool(
    config: &Config<'_>,
    size: usize,
    statement_timeout: Duration,
) -> Result<Pool, StoreError> {
    let tls = MakeRustlsConnect::new(tls(config.tls_ca_file)?);
    let manager = Manager::from_config(read(config.url)?, tls, ManagerConfig::default());
    let limits = format!(
        "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}",
        statement_timeout.as_millis().max(1),
        SILENCE.as_millis(),
    );
    let set_limits = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
        let limits = limits.clone();
        Box::pin(async move { client.batch_execute(&limits).await.map_err(HookError::Backend) })
    });
    let built = Pool::builder(manager)
        .max_size(size.max(1))
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(PATIENCE))
        .create_timeout(Some(PATIENCE * 2))
        .post_create(set_limits)
        .build();
    built.map_err(|error| StoreError::Refused(error.to_string()))
}

fn read(url: &Secret) -> Result<tokio_postgres::Config, StoreError> {
    // Verifying is not optional here, so the words that ask for it elsewhere mean no more than "require".
    let text = str::from_utf8(url.expose()).unwrap_or_default();
    let text = text
        .replace("sslmode=verify-full", "sslmode=require")
        .replace("sslmode=verify-ca", "sslmode=require");
    // The parser's own words are left out: what it complains about may be a piece of the password.
    let mut config = tokio_postgres::Config::from_str(&text).map_err(|_| {
        StoreError::Refused(
            "the database URL can't be read: write postgres://user:password@host:5432/name?sslmode=require, with \
             special characters of the password as %XX"
                .to_owned(),
        )
    })?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(PATIENCE);
    }
    if config.get_application_name().is_none() {
        config.application_name("doorward");
    }
    // Silently in the clear is what an attacker on the way would choose.
    if config.get_ssl_mode() == SslMode::Prefer && leaves_the_machine(&config) {
        config.ssl_mode(SslMode::Require);
    }
    config.keepalives_idle(SILENCE).tcp_user_timeout(SILENCE);
    Ok(config)
}

fn leaves_the_machine(config: &tokio_postgres::Config) -> bool {
    let is_local = |ip: &IpAddr| ip.is_loopback();
    let away = |host: &Host| match host {
        Host::Tcp(name) => name != "localhost" && !name.parse().is_ok_and(|ip| is_local(&ip)),
        Host::Unix(_) => false,
    };
    // Where addresses are given, names are only for the certificate.
    match config.get_hostaddrs() {
        [] => config.get_hosts().iter().any(away),
        addresses => !addresses.iter().all(is_local),
    }
}

fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, StoreError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(file) = ca_file {
        add_authorities(&mut roots, file).map_err(|error| {
            StoreError::Refused(format!("no certificate can be read from {}: {error}", file.display()))
        })?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| StoreError::Refused(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn add_authorities(roots: &mut RootCertStore, file: &Path) -> Result<(), Box<dyn Error>> {
    let before = roots.len();
    for certificate in CertificateDer::pem_file_iter(file)? {
        roots.add(certificate?)?;
    }
    if roots.len() == before { Err("it holds none".into()) } else { Ok(()) }
}

/// Why there is no connection, in words that say what to do, and never with the password.
pub(super) fn pool_error(error: PoolError) -> StoreError {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => {
            StoreError::Unavailable("no connection became free".to_owned())
        }
        PoolError::Timeout(_) => StoreError::Unavailable("the server did not answer in time".to_owned()),
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            StoreError::Unavailable(connect_text(&error))
        }
        PoolError::Closed => StoreError::closed(),
        other => StoreError::Unavailable(other.to_string()),
    }
}

fn connect_text(error: &tokio_postgres::Error) -> String {
    let said = text(error);
    let hint = match error.code() {
        Some(code) if *code == SqlState::INVALID_PASSWORD => "check user and password in the database URL",
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
            "create the database first, or check its name"
        }
        Some(_) => return said,
        None if said.contains("lookup") => "check the host name in the database URL",
        None if said.contains("refused") => "check host and port, and that the server runs",
        None if said.contains("does not support TLS") => {
            "turn TLS on at the server, or write sslmode=disable in the database URL on a network that you trust"
        }
        None if said.contains("certificate") => {
            "give the authority's certificate, or write sslmode=disable on a network that you trust"
        }
        None => return said,
    };
    format!("{said}: {hint}")
}

/// What the driver or the server says, without the details that hold values.
pub(super) fn text(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_this_machine_tls_is_left_out_only_where_the_url_says_so() {
        let mode = |url: &str| read(&Secret::new(url)).unwrap().get_ssl_mode();
        for local in ["127.0.0.1", "localhost", "[::1]", "%2Fvar%2Frun%2Fpostgresql"] {
            assert_eq!(mode(&format!("postgres://u:p@{local}/d")), SslMode::Prefer, "{local}");
        }
        for away in ["db.example.com", "192.0.2.1", "127.0.0.1,db.example.com", "localhost.example.com"] {
            assert_eq!(mode(&format!("postgres://u:p@{away}/d")), SslMode::Require, "{away}");
            assert_eq!(mode(&format!("postgres://u:p@{away}/d?sslmode=prefer")), SslMode::Require, "{away}");
            assert_eq!(mode(&format!("postgres://u:p@{away}/d?sslmode=disable")), SslMode::Disable, "{away}");
        }
        let by_address = "postgres://u:p@localhost/d?hostaddr=192.0.2.1";
        assert_eq!(mode(by_address), SslMode::Require);
    }
}
