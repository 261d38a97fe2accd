//! TLS by the server itself.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use doorward::internals::Listening;
use doorward::testing::Site;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::{GET, Wire, post, soon, status};

/// Writes a new certificate for `localhost` and its key into the folder; gives it.
fn certify(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    let key = folder.join("key.pem");
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    made.cert.der().clone()
}

async fn server(folder: &Path, settings: &[(&str, &str)]) -> (Site, SocketAddr) {
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let mut all = vec![("tls.cert", cert.to_str().unwrap()), ("tls.key", key.to_str().unwrap())];
    all.extend_from_slice(settings);
    crate::client::server(&all).await
}

fn client(trusted: CertificateDer<'static>, protocols: &[&[u8]]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

async fn shake(client: &TlsConnector, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    soon(client.connect(ServerName::try_from("localhost").unwrap(), stream)).await
}

async fn ask(stream: &mut TlsStream<TcpStream>, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut heard = vec![0; 8_192];
    let length = soon(stream.read(&mut heard)).await.unwrap();
    String::from_utf8_lossy(&heard[..length]).into_owned()
}

#[tokio::test]
async fn requests_are_answered_over_tls_with_cookies_that_only_travel_there() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = certify(folder.path());
    let public = ("public_url", "https://localhost");
    let (site, address) = server(folder.path(), &[public]).await;
    site.logged_in("ada").await;
    let mut stream = shake(&client(trusted.clone(), &[b"h2", b"http/1.1"]), address).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let who = serde_json::json!({ "email": "ada@example.org", "password": doorward::testing::PASSWORD, "mode": "session" });
    let heard = ask(&mut stream, &post("/login", &who)).await;
    assert_eq!(status(&heard), 200, "{heard}");
    assert!(heard.contains("set-cookie: __Host-sessionId=") && heard.contains("; Secure"), "{heard}");
    assert!(heard.contains("strict-transport-security: "), "{heard}");
    assert_eq!(status(&ask(&mut stream, GET).await), 200, "the connection goes on");
    let only_h2 = shake(&client(trusted, &[b"h2"]), address).await;
    assert!(only_h2.is_err(), "HTTP/2 was agreed to");
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = client(certify(folder.path()), &[]);
    let (_site, address) = server(folder.path(), &[]).await;
    let mut kept = shake(&first, address).await.unwrap();
    std::fs::write(folder.path().join("cert.pem"), "half a certificate").unwrap();
    let renewed = async {
        // While it is broken, the old one is used.
        assert!(shake(&first, address).await.is_ok());
        let second = client(certify(folder.path()), &[]);
        while shake(&second, address).await.is_err() {
            // It may be taken up between the two.
            let by_first = shake(&first, address).await.is_ok();
            assert!(by_first || shake(&second, address).await.is_ok(), "neither is answered with");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(shake(&first, address).await.is_err());
    };
    soon(renewed).await;
    assert_eq!(status(&ask(&mut kept, GET).await), 200, "an open connection goes on");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let stranger = tempfile::tempdir().unwrap();
    certify(stranger.path());
    let (cert, key) = (folder.path().join("cert.pem"), stranger.path().join("key.pem"));
    let key = [("tls.cert", cert.to_str().unwrap()), ("tls.key", key.to_str().unwrap())];
    let site = Site::with(&key).await;
    let error = Listening::bind(&site.app).await.err().unwrap();
    assert!(error.to_string().contains("key.pem: "), "{error}");
}

/// The head of a TLS record, a ClientHello of this version without the extension that offers newer ones.
fn old_hello(version: [u8; 2]) -> Vec<u8> {
    let mut body = version.to_vec();
    body.extend([7; 32]); // random
    body.push(0); // no session
    body.extend([0, 4, 0xC0, 0x13, 0x00, 0x2F]); // two old suites
    body.extend([1, 0]); // no compression
    body.extend([0, 0]); // no extensions
    let mut hello = vec![22, 3, 1];
    hello.extend(u16::try_from(body.len() + 4).unwrap().to_be_bytes());
    hello.extend([1, 0]);
    hello.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    hello.extend(body);
    hello
}

#[tokio::test]
async fn h13_old_versions_and_plain_requests_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let (_site, address) = server(folder.path(), &[]).await;
    for hello in [old_hello([3, 1]), old_hello([3, 2]), old_hello([3, 0])] {
        let mut wire = Wire::to(address).await;
        assert!(wire.says(&hello).await);
        let heard = soon(async {
            let mut all = Vec::new();
            while let Some(bytes) = wire.hears_within(Duration::from_secs(5)).await.filter(|b| !b.is_empty())
            {
                all.extend(bytes);
            }
            all
        })
        .await;
        // An alert, fatal: handshake_failure or protocol_version, and nothing else.
        let refused = matches!(heard[..], [21, _, _, 0, 2, 2, 40 | 70]);
        assert!(refused, "{heard:?}");
    }
    let mut wire = Wire::to(address).await;
    assert!(wire.says(GET).await);
    let heard = wire.hears_the_end().await;
    assert!(!heard.contains("HTTP/1.1"), "{heard}");
}

#[tokio::test]
async fn h13_a_hello_in_pieces_is_read_and_half_handshakes_hold_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let connector = client(certify(folder.path()), &[]);
    let (_site, address) = server(folder.path(), &[("http.head_timeout", "2s")]).await;
    let mut halves = Vec::new();
    for n in 0..500 {
        let mut half = Wire::to(address).await;
        let hello = old_hello([3, 3]);
        assert!(half.says(&hello[..n % hello.len()]).await);
        halves.push(half);
    }
    let mut stream = shake(&connector, address).await.unwrap();
    assert_eq!(status(&ask(&mut stream, GET).await), 200);
    for half in halves {
        assert!(!half.hears_the_end().await.contains("HTTP"), "it was cut off, as it should be");
    }
    // A whole hello, one byte a packet, by a pipe between a client and the server.
    let (near, far) = tokio::io::duplex(1);
    let wire = TcpStream::connect(address).await.unwrap();
    wire.set_nodelay(true).unwrap();
    let piping = tokio::spawn(async move {
        let (mut far, mut wire) = (far, wire);
        drop(tokio::io::copy_bidirectional_with_sizes(&mut far, &mut wire, 1, 1_024).await);
    });
    let shaken = soon(connector.connect(ServerName::try_from("localhost").unwrap(), near)).await;
    let mut stream = shaken.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut heard = [0; 12];
    soon(stream.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"HTTP/1.1 200");
    piping.abort();
}

#[tokio::test]
async fn h07_who_asks_over_tls_and_never_reads_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let connector = client(certify(folder.path()), &[]);
    let (_site, address) =
        server(folder.path(), &[("http.write_timeout", "1s"), ("http.head_timeout", "120s")]).await;
    let mut stream = shake(&connector, address).await.unwrap();
    // Until neither side's buffers take any more; then the server gives up, and writing fails.
    let flood = async { while stream.write_all(GET.repeat(100).as_bytes()).await.is_ok() {} };
    soon(flood).await;
}
