//! Asking the server: HTTP/1.1 over TCP or TLS, never a redirect, never a proxy of the environment.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode, Uri, response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::BuildError;

/// How long a connection with its answer's head may take, and a short answer's body.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The largest answer that is read whole.
const MAX_BODY: usize = 64 * 1024;

/// Why the server gave no answer of use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("answered {0}")]
    Status(StatusCode),
    #[error("{0}")]
    Unreadable(&'static str),
}

impl Failure {
    /// What it is, and what to do where that can be said.
    pub(super) fn with_hint(&self) -> String {
        let hint = match self {
            Self::Connect(_) | Self::Silent => "is the server running, and is the address right?",
            Self::Status(StatusCode::UNAUTHORIZED) => {
                "it doesn't know these credentials; `doorward client create` makes some"
            }
            Self::Status(StatusCode::NOT_FOUND) => {
                "is this a Doorward, and does the address have its base path?"
            }
            _ => return self.to_string(),
        };
        format!("{self}; {hint}")
    }
}

/// Where the server is.
pub(super) struct Server {
    host: String,
    port: u16,
    authority: HeaderValue,
    base: String,
    tls: Option<TlsConnector>,
    /// One connection that waits for the next question.
    idle: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

/// Scheme, host and the rest of a URL that a server may have.
pub(super) fn parse(url: &str) -> Result<(bool, Uri), &'static str> {
    let uri: Uri = url.trim_end_matches('/').parse().map_err(|_| "it is no URL")?;
    let encrypted = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err("it begins neither with https:// nor with http://"),
    };
    match uri.authority() {
        Some(authority) if !authority.as_str().contains('@') && uri.query().is_none() => Ok((encrypted, uri)),
        _ => Err("write scheme, host and port, and nothing else but a base path"),
    }
}

/// Whether what is sent to this host stays on the machine.
pub(super) fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Server {
    pub(super) fn new(url: &str, plain_http: bool, roots: &[u8]) -> Result<Self, BuildError> {
        let refused = |why| BuildError::Address(url.to_owned(), why);
        let (encrypted, uri) = parse(url).map_err(refused)?;
        // Whoever is on the way could choose the keys, and with them who is an admin.
        if !encrypted && !plain_http && !is_loopback(&uri) {
            return Err(refused(
                "plain http beyond this machine lets others choose the keys: write https://, or say allow_plain_http()",
            ));
        }
        let authority = uri.authority().map(|authority| authority.as_str().parse());
        Ok(Self {
            host: uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 }),
            authority: authority.and_then(Result::ok).ok_or_else(|| refused("its host can't be used"))?,
            base: uri.path().trim_end_matches('/').to_owned(),
            tls: if encrypted { Some(tls(roots)?) } else { None },
            idle: Mutex::default(),
        })
    }

    /// A question about `path`, which begins with a slash.
    pub(super) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let agent = concat!("doorward-guard/", env!("CARGO_PKG_VERSION"));
        let request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        request.header(HOST, &self.authority).header(USER_AGENT, agent)
    }

    /// Asks, and gives the head of the answer; its body comes as it comes.
    pub(super) async fn open(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let asked = async { Ok::<_, Failure>(self.connect().await?.send_request(request).await?) };
        let response = timeout(PATIENCE, asked).await.map_err(|_| Failure::Silent)??;
        if response.status().is_success() { Ok(response) } else { Err(Failure::Status(response.status())) }
    }

    /// Asks, and reads the answer whole. A connection that was kept is used again; where the server has closed it
    /// meanwhile, a new one.
    pub(super) async fn ask(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(response::Parts, Bytes), Failure> {
        timeout(PATIENCE, self.ask_for_long(request)).await.map_err(|_| Failure::Silent)?
    }

    async fn ask_for_long(&self, request: Request<Full<Bytes>>) -> Result<(response::Parts, Bytes), Failure> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut kept) = kept
            && let Ok(response) = kept.send_request(request.clone()).await
        {
            return self.read(kept, response).await;
        }
        let mut connection = self.connect().await?;
        let response = connection.send_request(request).await?;
        self.read(connection, response).await
    }

    async fn read(
        &self,
        connection: SendRequest<Full<Bytes>>,
        response: Response<Incoming>,
    ) -> Result<(response::Parts, Bytes), Failure> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map_err(|_| Failure::Unreadable("its answer is too long, or was cut"))?.to_bytes();
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        if head.status.is_success() { Ok((head, body)) } else { Err(Failure::Status(head.status)) }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(Failure::Connect)?;
        stream.set_nodelay(true).map_err(Failure::Connect)?;
        let Some(tls) = &self.tls else { return speak(stream).await };
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| Failure::Unreadable("its host is no name that a certificate could have"))?;
        speak(tls.connect(name, stream).await.map_err(Failure::Connect)?).await
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends when the sender and the body of the answer are dropped; what went wrong, they say.
    tokio::spawn(async move { connection.await.ok() });
    Ok(sender)
}

fn tls(pem: &[u8]) -> Result<TlsConnector, BuildError> {
    let refused = |error: &dyn std::fmt::Display| BuildError::Certificates(error.to_string());
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|error| refused(&error))?).map_err(|error| refused(&error))?;
    }
    if !pem.is_empty() && roots.len() == before {
        return Err(refused(&"there is none in the PEM"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| refused(&error))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A request with these further headers and this body.
pub(super) fn finished(
    request: http::request::Builder,
    authorization: Option<&HeaderValue>,
    accept: &'static str,
    form: String,
) -> Result<Request<Full<Bytes>>, Failure> {
    let mut request = request.header(ACCEPT, accept);
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    if !form.is_empty() {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    request.body(Full::new(form.into())).map_err(|_| Failure::Unreadable("its address can't be asked"))
}
