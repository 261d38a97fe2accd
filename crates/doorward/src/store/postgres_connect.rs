//! The connection to PostgreSQL: TLS, time limits, and clear words for failures.

use std::error::Error;
use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, Runtime, TimeoutType,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::postgres_error::text;
use super::postgres_proof::{self as proof, Unproven};
use super::postgres_query::Way;
use super::postgres_url::{Parameter, Target};
use super::{PostgresSettings, StoreError};
use crate::clock::steady;

/// How long connecting may take, and how long a call waits for a free connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long a server that is silent, even at the level of TCP, is believed to be alive.
const SILENCE: Duration = Duration::from_secs(20);
/// How long a process that stands still in the middle of a transaction holds its locks. An act waits for nothing but its
/// own statements.
const IDLE: Duration = Duration::from_secs(3);
/// How long a statement waits for another act's lock, before the act is tried again.
const LOCKED: Duration = Duration::from_secs(1);
/// How often to try a server that isn't up yet.
const AGAIN: Duration = Duration::from_millis(500);

/// How a connection is made.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: MakeRustlsConnect,
    /// Whether a pooler may stand in between.
    pub(super) is_pooled: bool,
    parameters: Arc<[Parameter]>,
}

/// Reads how connections are made.
pub(super) fn plan(settings: &PostgresSettings) -> Result<Plan, StoreError> {
    let target = Target::read(&settings.url, settings.pooler)?;
    let files = settings.tls_ca_file.iter().chain(&target.authorities);
    let tls = MakeRustlsConnect::new(tls(files.map(AsRef::as_ref))?);
    let config = completed(target.config);
    Ok(Plan { config, tls, is_pooled: target.pooler, parameters: target.parameters.into() })
}

/// Makes the pool; no connection is opened yet.
pub(super) fn pool(plan: &Plan, settings: &PostgresSettings) -> Result<(Pool, Way), StoreError> {
    let Plan { config, tls, is_pooled, parameters: asked } = plan.clone();
    let mut parameters = vec![
        Parameter::new("statement_timeout", settings.statement_timeout.as_millis().max(1).to_string()),
        Parameter::new("idle_in_transaction_session_timeout", IDLE.as_millis().to_string()),
        Parameter::new("lock_timeout", LOCKED.as_millis().to_string()),
    ];
    parameters.extend(asked.iter().cloned());
    let connecting = config.get_connect_timeout().copied().unwrap_or(PATIENCE);
    let builder = Pool::builder(Manager::from_config(config.clone(), tls.clone(), ManagerConfig::default()))
        .max_size(settings.pool_size.max(1))
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(PATIENCE))
        .create_timeout(Some(connecting + PATIENCE));
    let (builder, way) = if is_pooled {
        (builder, Way::Pooled(format!("BEGIN; {}", set(&parameters, true)).into()))
    } else {
        let set = set(&parameters, false);
        // One proof at a time: each opens a second connection, and server and pooler may have room for only one.
        let turn = Arc::new(Semaphore::new(1));
        let prepare = Hook::async_fn(move |client: &mut ClientWrapper, _| {
            let (config, tls, set, turn) = (config.clone(), tls.clone(), set.clone(), turn.clone());
            Box::pin(async move {
                let ours = async {
                    let _turn = turn.acquire().await;
                    make_our_own(client, &config, tls, &set).await
                };
                let late = |_| Err(HookError::message("the server did not answer in time"));
                timeout(PATIENCE * 2, ours).await.unwrap_or_else(late)
            })
        });
        (builder.post_create(prepare), Way::Own)
    };
    let pool = builder.build().map_err(|error| StoreError::Refused(error.to_string()))?;
    Ok((pool, way))
}

/// The statement that sets these parameters, for a transaction or for the whole connection.
fn set(parameters: &[Parameter], in_transaction: bool) -> String {
    let mut sql = String::from("SELECT");
    for (at, Parameter { name, value }) in parameters.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let (name, value) = (name.replace('\'', "''"), value.replace('\'', "''"));
        let _ = write!(sql, "{comma} set_config('{name}', '{value}', {in_transaction})");
    }
    sql
}

/// Proves that a new connection has a server process of its own, and sets its parameters there.
async fn make_our_own(
    client: &ClientWrapper,
    config: &tokio_postgres::Config,
    tls: MakeRustlsConnect,
    set: &str,
) -> Result<(), HookError> {
    let prepared = async {
        proof::prove(client, config, tls).await?;
        client.batch_execute(set).await.map_err(Unproven::Failed)
    };
    prepared.await.map_err(|unproven| match unproven {
        Unproven::Shared => HookError::message(SHARED),
        Unproven::Failed(error) => HookError::Backend(error),
    })
}

/// What pgbouncer says about a connection parameter that it doesn't pass on.
const STARTUP: &str = "startup parameter";

/// What the hook says about a connection that shares its server process.
const SHARED: &str = "shared";

/// The first connection. It waits for a server that isn't up yet; what waiting can't cure fails at once.
pub(super) async fn first(pool: &Pool, patience: Duration) -> Result<Object, StoreError> {
    let begun = steady();
    let mut said = false;
    loop {
        match pool.get().await {
            Ok(client) => return Ok(client),
            Err(error) if may_come_up(&error) && begun.elapsed() < patience => {
                if !said {
                    let why = pool_error(error);
                    tracing::warn!(%why, "waiting for the database, {} s at most", patience.as_secs());
                }
                said = true;
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(pool_error(error)),
        }
    }
}

/// Whether the reason may go away by itself: nobody listens yet, the name isn't known yet, the server is starting.
fn may_come_up(error: &PoolError) -> bool {
    match error {
        PoolError::Timeout(_) => true,
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            let said = text(error);
            match error.code() {
                _ if said.contains(STARTUP) => false,
                Some(code) => ["08", "53", "57"].iter().any(|class| code.code().starts_with(class)),
                None => !["certificate", "support TLS", "invalid configuration"]
                    .iter()
                    .any(|word| said.contains(word)),
            }
        }
        _ => false,
    }
}

/// Refuses a database with another text encoding than the program writes.
pub(super) async fn require_utf8(client: &ClientWrapper) -> Result<(), StoreError> {
    let answer = client.simple_query("SHOW server_encoding").await;
    let answer = answer.map_err(|error| StoreError::Unavailable(text(&error)))?;
    let encoding = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    match encoding {
        Some("UTF8") => Ok(()),
        other => Err(StoreError::Refused(format!(
            "the database's encoding is {} and must be UTF8: make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE \
             template0",
            other.unwrap_or("unknown")
        ))),
    }
}

fn completed(mut config: tokio_postgres::Config) -> tokio_postgres::Config {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(PATIENCE);
    }
    if config.get_application_name().is_none() {
        config.application_name("doorward");
    }
    // An attacker on the path would choose the silent fallback to plain text.
    if config.get_ssl_mode() == SslMode::Prefer && leaves_the_machine(&config) {
        config.ssl_mode(SslMode::Require);
    }
    config.keepalives_idle(SILENCE);
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    config
}

fn leaves_the_machine(config: &tokio_postgres::Config) -> bool {
    let is_local = |ip: &IpAddr| ip.is_loopback();
    let away = |host: &Host| match host {
        Host::Tcp(name) => name != "localhost" && !name.parse().is_ok_and(|ip| is_local(&ip)),
        Host::Unix(_) => false,
    };
    // If addresses are given, names are only for the certificate.
    match config.get_hostaddrs() {
        [] => config.get_hosts().iter().any(away),
        addresses => !addresses.iter().all(is_local),
    }
}

fn tls<'f>(authorities: impl Iterator<Item = &'f Path>) -> Result<ClientConfig, StoreError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for file in authorities {
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

/// Why there is no connection, with what to do, and never with the password.
pub(super) fn pool_error(error: PoolError) -> StoreError {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => {
            StoreError::Unavailable("no connection became free".to_owned())
        }
        PoolError::Timeout(_) => StoreError::Unavailable("the server did not answer in time".to_owned()),
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            StoreError::Unavailable(connect_text(&error))
        }
        PoolError::PostCreateHook(HookError::Message(said)) if said == SHARED => proof::refusal(),
        PoolError::PostCreateHook(HookError::Message(said)) => StoreError::Unavailable(said.into_owned()),
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
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => {
            "lower postgres.pool_size: while a connection is opened, there is one more than that"
        }
        Some(_) if said.contains(STARTUP) => {
            "there is a pooler in front: say pgbouncer=true in the database URL"
        }
        Some(_) => return said,
        None if said.contains("lookup") => "check the host name in the database URL",
        None if said.contains("refused") => "check host and port, and that the server runs",
        None if said.contains("does not support TLS") => {
            "turn TLS on at the server, or write sslmode=disable in the database URL on a network that you trust"
        }
        None if said.contains("certificate") => {
            "name the authority's file (sslrootcert or postgres.tls_ca); if the name is another one, write the certificate's \
             as host, and hostaddr=IP beside it; or write sslmode=disable on a network that you trust"
        }
        None => return said,
    };
    format!("{said}: {hint}")
}

#[cfg(test)]
mod tests {
    use doorward_core::Secret;

    use super::*;

    #[test]
    fn beyond_this_machine_tls_is_left_out_only_where_the_url_says_so() {
        let read = |url: &str| Target::read(&Secret::new(url), false).unwrap().config;
        let mode = |url: &str| completed(read(url)).get_ssl_mode();
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
