//! TLS 1.2 and 1.3 by rustls, where the settings name a certificate. A renewed one is taken up without a restart.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::settings::Settings;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The two files, and the certificate that was read from them last.
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
    /// Reads the certificate of the settings; `None` where they name none.
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

    /// Reads the files again when they change. What can't be used leaves the old certificate in place: whoever renews
    /// it may have written one file and not yet the other.
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

/// What tells one content of a file from the next.
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
        // The parser's words name no byte of the key.
        let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| unusable(&key, &error))?;
        CertifiedKey::from_der(chain, private, &provider).map_err(|error| unusable(&key, &error))
    })
    .await?
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
}
