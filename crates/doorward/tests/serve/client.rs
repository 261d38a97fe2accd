//! A client that sends any bytes, and never waits forever.

use std::net::SocketAddr;
use std::time::Duration;

use doorward::testing::Site;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// More than anything here takes, and less than any time-out that a test is not about.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// Waits for something that must happen.
#[track_caller]
pub(crate) fn soon<T>(what: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let done = tokio::time::timeout(BOUND, what).await;
        done.unwrap_or_else(|_| panic!("{place}: nothing happened for {BOUND:?}"))
    }
}

/// One connection.
pub(crate) struct Wire(TcpStream);

impl Wire {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// One from another address of this machine.
    pub(crate) async fn from(own: [u8; 4], address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((own, 0).into()).unwrap();
        Self(socket.connect(address).await.unwrap())
    }

    /// One whose system buffers little of what it sends, so that it is still sending when the server answers.
    pub(crate) async fn narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4_096).unwrap();
        Self(socket.connect(address).await.unwrap())
    }

    /// Sends it, as far as the server still listens.
    pub(crate) async fn says(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        soon(self.0.write_all(bytes.as_ref())).await.is_ok()
    }

    /// The next answer, whole.
    pub(crate) async fn hears(&mut self) -> Reply {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(self.0.read_u8()).await.expect("an answer"));
        }
        let head = String::from_utf8(head).unwrap();
        let mut body = vec![0; length(&head)];
        soon(self.0.read_exact(&mut body)).await.unwrap();
        Reply { head, body: String::from_utf8(body).unwrap() }
    }

    /// Sends a request and hears the answer.
    pub(crate) async fn asks(&mut self, request: &str) -> Reply {
        assert!(self.says(request).await);
        self.hears().await
    }

    /// Everything until the server closes, by a reset or not.
    pub(crate) async fn hears_the_end(mut self) -> String {
        let mut all = Vec::new();
        let _ = soon(self.0.read_to_end(&mut all)).await;
        String::from_utf8_lossy(&all).into_owned()
    }

    /// What is there within this time; nothing at all is `None`, and the end of the connection is empty.
    pub(crate) async fn hears_within(&mut self, time: Duration) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 4_096];
        match tokio::time::timeout(time, self.0.read(&mut bytes)).await {
            Err(_) => None,
            Ok(Err(_)) => Some(Vec::new()),
            Ok(Ok(n)) => Some(bytes[..n].to_vec()),
        }
    }

    /// Whether an answer, or the end, can be read.
    pub(crate) fn has_heard(&self) -> bool {
        self.0.try_read(&mut [0; 1]).is_ok()
    }

    /// Breaks off: by a reset, which drops what the server did not read yet, or in the orderly way.
    pub(crate) fn hangs_up(self, reset: bool) {
        if reset {
            self.0.set_zero_linger().unwrap();
        }
    }
}

fn length(head: &str) -> usize {
    let line = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    line.map_or(0, |length| length.parse().unwrap())
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        status(&self.head)
    }

    pub(crate) fn field(&self, name: &str) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")).to_owned()
    }
}

/// The status of the first answer.
#[track_caller]
pub(crate) fn status(text: &str) -> u16 {
    let line = text.strip_prefix("HTTP/1.").unwrap_or_else(|| panic!("no answer: {text:?}"));
    line[2..5].parse().unwrap()
}

/// How many answers there are.
pub(crate) fn answers(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count() + text.matches("HTTP/1.0 ").count()
}

/// A valid GET.
pub(crate) const GET: &str = "GET /healthz HTTP/1.1\r\nHost: doorward\r\n\r\n";

/// A POST with a JSON body.
pub(crate) fn post(path: &str, body: &serde_json::Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// A server with these settings.
pub(crate) async fn server(settings: &[(&str, &str)]) -> (Site, SocketAddr) {
    let site = Site::with(settings).await;
    let address = site.listen().await;
    (site, address)
}
