//! Asking a server whether it is well, from the same machine and by the same settings.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::settings::Settings;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The status is in the first line.
const MOST: u64 = 4096;

/// A server's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// The status of the answer.
    pub status: u16,
    /// The address that was asked.
    pub address: SocketAddr,
}

impl Health {
    /// Asks the server of these settings for this path, below `base_path`.
    ///
    /// # Errors
    /// If nothing answers at the address within five seconds, or something that speaks no HTTP.
    pub async fn ask(settings: &Settings, path: &str) -> io::Result<Self> {
        let address = Self::address(settings);
        let request = format!(
            "GET {}{path} HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\nconnection: close\r\n\r\n",
            settings.base_path
        );
        let asked = async {
            let stream = TcpStream::connect(address).await?;
            if settings.tls_cert.is_none() {
                return answer(stream, &request).await;
            }
            let name = ServerName::IpAddress(address.ip().into());
            answer(connector()?.connect(name, stream).await?, &request).await
        };
        let status = tokio::time::timeout(PATIENCE, asked).await;
        let status = status.unwrap_or_else(|_| Err(io::Error::other("it takes longer than five seconds")))?;
        Ok(Self { status, address })
    }

    /// Where the server of these settings can be asked from the same machine, also if it listens on all addresses.
    pub fn address(settings: &Settings) -> SocketAddr {
        let ip = match settings.listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, settings.listen.port())
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> io::Result<u16> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut bytes = Vec::new();
    // Without TLS's farewell the answer is good, too.
    let read = stream.take(MOST).read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes);
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    match (status, read) {
        (Some(status), _) => Ok(status),
        (None, Err(error)) => Err(error),
        (None, Ok(_)) => Err(io::Error::other("what answers speaks no HTTP/1.1")),
    }
}

fn connector() -> io::Result<TlsConnector> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate));
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}

/// The certificate is for the name that people use, and not for this machine's address. Nothing secret is sent, and a
/// status is all that is read.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
