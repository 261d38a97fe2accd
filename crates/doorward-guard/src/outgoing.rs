//! Requests to other servers: the one HTTP client of Doorward. It follows no redirect, ignores proxy variables and
//! keeps no cookie; every answer is bounded in time and size.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

/// How long a whole request may take; for a stream, until its head arrives.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a TCP connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an idle connection is kept for the next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest answer that is read whole, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Why there is no usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No connection, or TLS failed.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection was lost, or what came over it is not HTTP.
    #[error("{0}")]
    Http(String),
    /// The answer took longer than [`REQUEST_TIMEOUT`].
    #[error("no answer within {} s", REQUEST_TIMEOUT.as_secs())]
    Silent,
    /// The status is not a success.
    #[error("answered {0}")]
    Status(StatusCode),
    /// The answer is too long or malformed.
    #[error("{0}")]
    Unreadable(&'static str),
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        Self::Http(error.to_string())
    }
}

impl From<hyper_util::client::legacy::Error> for Failure {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        if error.is_connect() { Self::Connect(cause.to_string()) } else { Self::Http(cause.to_string()) }
    }
}

/// The client. A clone shares its connections.
#[derive(Debug, Clone)]
pub struct Outgoing(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Outgoing {
    /// A client that trusts the certificate authorities of browsers, and those in `pem`.
    ///
    /// # Errors
    /// What is wrong with `pem`.
    pub fn new(pem: &[u8]) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls(pem)?).https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(1)
            .build(tls.wrap_connector(tcp));
        Ok(Self(client))
    }

    /// Sends a request, and returns the head of the answer; the body is read as it arrives.
    ///
    /// # Errors
    /// [`Failure`], also for a status that is not a success.
    pub async fn open(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let response = timeout(REQUEST_TIMEOUT, self.0.request(request)).await;
        let response = response.map_err(|_| Failure::Silent)??;
        if response.status().is_success() { Ok(response) } else { Err(Failure::Status(response.status())) }
    }

    /// Sends a request, and reads the whole answer.
    ///
    /// # Errors
    /// As [`Outgoing::open`], and [`Failure::Unreadable`] for more than 64 KiB.
    pub async fn ask(&self, request: Request<Full<Bytes>>) -> Result<(response::Parts, Bytes), Failure> {
        let answered = async {
            let (head, body) = self.open(request).await?.into_parts();
            let body = Limited::new(body, MAX_BODY).collect().await;
            let unreadable = |_| Failure::Unreadable("its answer is too long, or was cut");
            Ok((head, body.map_err(unreadable)?.to_bytes()))
        };
        timeout(REQUEST_TIMEOUT, answered).await.map_err(|_| Failure::Silent)?
    }
}

fn tls(pem: &[u8]) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if !pem.is_empty() && roots.len() == before {
        return Err("there is none in the PEM".to_owned());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
