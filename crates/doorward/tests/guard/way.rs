//! The connection between a guard and its server, which a test can cut, redirect, and inspect.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections, unless it is cut.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    /// The target; `None` while it is cut.
    to: watch::Sender<Option<SocketAddr>>,
    /// All that was sent to the server.
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Way {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (to, _) = watch::channel(Some(server));
        let way = Self { address: listener.local_addr().unwrap(), to, sent: Arc::default() };
        let all = way.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(all.clone().pass(client));
            }
        });
        way
    }

    async fn pass(self, mut client: TcpStream) {
        let mut to = self.to.subscribe();
        let Some(server) = *to.borrow_and_update() else { return };
        let Ok(mut server) = TcpStream::connect(server).await else { return };
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let up = async {
            let mut bytes = [0; 4_096];
            while let Ok(read @ 1..) = from_client.read(&mut bytes).await {
                self.sent.lock().unwrap().extend(&bytes[..read]);
                if to_server.write_all(&bytes[..read]).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = up => {}
            _ = copy(&mut from_server, &mut to_client) => {}
            _ = to.changed() => {}
        }
    }

    /// Breaks every connection, and lets no new one through.
    pub(crate) fn cut(&self) {
        self.to.send_replace(None);
    }

    /// Forwards to this server from now on.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        self.to.send_replace(Some(server));
    }

    /// How often this was sent to the server, in any case of letters.
    pub(crate) fn count(&self, text: &str) -> usize {
        let sent = String::from_utf8_lossy(&self.sent.lock().unwrap()).to_lowercase();
        sent.matches(&text.to_lowercase()).count()
    }
}
