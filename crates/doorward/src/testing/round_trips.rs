//! A proxy to a PostgreSQL server that counts round trips.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::clock::steady;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long a client is silent that waits for an answer.
const SILENCE: Duration = Duration::from_millis(25);

/// The proxy. It hands an answer on only when the client has been silent for a while: until then, the client may be
/// sending what belongs to the same round trip.
pub struct RoundTrips {
    /// The server's URL, through the proxy.
    pub url: String,
    counted: Arc<AtomicU32>,
}

impl RoundTrips {
    /// A proxy to the server with this URL.
    pub async fn to(server: &str) -> Self {
        let mut url = url::Url::parse(server).unwrap();
        let target = format!("127.0.0.1:{}", url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let counted = Arc::new(AtomicU32::new(0));
        let counts = counted.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&target).await.unwrap();
                tokio::spawn(carry(near, far, counts.clone()));
            }
        });
        Self { url: url.into(), counted }
    }

    /// How many there were since the last call, on all connections together.
    pub fn count(&self) -> u32 {
        self.counted.swap(0, Ordering::SeqCst)
    }
}

/// Ends with an error when one side closes.
async fn carry(mut near: TcpStream, mut far: TcpStream, counted: Arc<AtomicU32>) -> std::io::Result<()> {
    let (mut asked, mut answered) = ([0; 16_384], [0; 16_384]);
    let mut held = Vec::new();
    let (mut spoke, mut silent_at) = (false, steady());
    loop {
        tokio::select! {
            read = near.read(&mut asked) => {
                let read = some(read?)?;
                far.write_all(&asked[..read]).await?;
                (spoke, silent_at) = (true, steady() + SILENCE);
            }
            read = far.read(&mut answered) => held.extend_from_slice(&answered[..some(read?)?]),
            () = tokio::time::sleep_until(silent_at), if !held.is_empty() => {
                counted.fetch_add(u32::from(std::mem::take(&mut spoke)), Ordering::SeqCst);
                near.write_all(&std::mem::take(&mut held)).await?;
            }
        }
    }
}

fn some(read: usize) -> std::io::Result<usize> {
    if read == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(read) }
}
