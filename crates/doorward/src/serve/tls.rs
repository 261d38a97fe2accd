//! TLS 1.2 and 1.3 by rustls, if the settings name a certificate. A renewed one is loaded without a restart.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use doorward_core::Timestamp;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::settings::{SecretFile, Settings, SettingsError};

/// How often the files are checked.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The two files, and the certificate that was last read from them.
pub(super) struct Tls {
    cert: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    /// Reads the certificate of the settings; `None` if they name none.
    pub(super) async fn load(settings: &Settings) -> io::Result<Option<Self>> {
        let (Some(cert), Some(key)) = (settings.tls_cert.clone(), settings.tls_key.clone()) else {
            return Ok(None);
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let first = read(cert.clone(), key.clone(), provider.clone()).await?;
        let current = Arc::new(Current(ArcSwap::from_pointee(first)));
        let versions =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let mut config =
            versions.map_err(io::Error::other)?.with_no_client_auth().with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self { cert, key, provider, current, config: Arc::new(config) }))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.clone())
    }

    /// Reads the files again when they change. An unusable file leaves the old certificate in place: whoever renews it
    /// may have written one file and not yet the other.
    pub(super) async fn follow(self) -> Infallible {
        let mut seen = (stamp(&self.cert), stamp(&self.key));
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            look.tick().await;
            let now = (stamp(&self.cert), stamp(&self.key));
            if now == seen {
                continue;
            }
            seen = now;
            match read(self.cert.clone(), self.key.clone(), self.provider.clone()).await {
                Ok(renewed) => {
                    self.current.0.store(Arc::new(renewed));
                    tracing::info!("the certificate was read again");
                }
                Err(error) => {
                    tracing::error!(%error, "the certificate changed and cannot be used: the old one stays");
                }
            }
        }
    }
}

/// A certificate's own data, for `doorward doctor`.
#[derive(Debug)]
pub struct Certificate {
    /// Whether it is valid for the host of `public_url`; true if there is none.
    pub covers_host: bool,
    /// When it expires.
    pub ends_at: Timestamp,
}

impl Certificate {
    /// Reads the certificate of the settings, and checks that the key belongs to it; `None` if they name none.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub async fn of(settings: &Settings) -> io::Result<Option<Self>> {
        let Some(tls) = Tls::load(settings).await? else { return Ok(None) };
        let current = tls.current.0.load_full();
        let unreadable = || unusable(&tls.cert, &"the certificate cannot be read");
        let parsed =
            current.end_entity_cert().and_then(ParsedCertificate::try_from).map_err(|_| unreadable())?;
        let host = settings.public_url.as_ref().and_then(|url| url.host_str());
        let name = host.map(|host| ServerName::try_from(host.trim_matches(['[', ']'])));
        let covers_host =
            name.is_none_or(|name| name.is_ok_and(|name| verify_server_name(&parsed, &name).is_ok()));
        let ends_at = ends_at(&parsed, &tls.provider).ok_or_else(unreadable)?;
        Ok(Some(Self { covers_host, ends_at }))
    }
}

/// rustls reveals the end of a certificate only when it has expired, so this verifies it for a date in the far future.
fn ends_at(parsed: &ParsedCertificate<'_>, provider: &CryptoProvider) -> Option<Timestamp> {
    const YEAR_9999: Duration = Duration::from_secs(253_370_764_800);
    let algorithms = provider.signature_verification_algorithms.all;
    let (anyone, then) = (RootCertStore::empty(), UnixTime::since_unix_epoch(YEAR_9999));
    match verify_server_cert_signed_by_trust_anchor(parsed, &anyone, &[], then, algorithms) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(Timestamp::from_secs(i64::try_from(not_after.as_secs()).ok()?))
        }
        _ => None,
    }
}

/// A fingerprint of a file's content.
fn stamp(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

async fn read(cert: PathBuf, key: PathBuf, provider: Arc<CryptoProvider>) -> io::Result<CertifiedKey> {
    tokio::task::spawn_blocking(move || {
        let chain = CertificateDer::pem_file_iter(&cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| unusable(&cert, &error))?;
        if chain.is_empty() {
            return Err(unusable(&cert, &"it holds no certificate"));
        }
        let file = SecretFile::read(&key).map_err(|error| refused(&error))?;
        if let Some(warning) = &file.warning {
            tracing::warn!("tls.key: {warning}");
        }
        // The parser's messages contain no byte of the key.
        let private = PrivateKeyDer::from_pem_slice(&file.content).map_err(|error| unusable(&key, &error))?;
        CertifiedKey::from_der(chain, private, &provider).map_err(|error| unusable(&key, &error))
    })
    .await?
}

fn refused(error: &SettingsError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {}", error.problem, error.hint))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
}
