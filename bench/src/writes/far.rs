//! A proxy to PostgreSQL that makes it far away: every answer takes longer.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::Result;

/// The proxy, which ends with the process.
pub(super) struct Far {
    pub(super) address: SocketAddr,
    delay: Arc<AtomicU64>,
}

impl Far {
    pub(super) fn to(server: SocketAddr) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let (address, delay) = (listener.local_addr()?, Arc::new(AtomicU64::new(0)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let delays = delay.clone();
        std::thread::spawn(move || {
            // A connection that cannot be passed on is closed; without a listener there is none.
            let _: Result<()> = runtime.block_on(async {
                let listener = TcpListener::from_std(listener)?;
                loop {
                    let (near, _) = listener.accept().await?;
                    tokio::spawn(pass(near, server, delays.clone()));
                }
            });
        });
        Ok(Self { address, delay })
    }

    /// How much longer each answer takes from now on.
    pub(super) fn set(&self, delay: Duration) {
        self.delay.store(delay.as_micros().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

async fn pass(near: TcpStream, server: SocketAddr, delay: Arc<AtomicU64>) -> Result<()> {
    let far = TcpStream::connect(server).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let ((mut asking, answered), (answering, mut asked)) = (near.into_split(), far.into_split());
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(hold(answering, sender, delay));
    tokio::spawn(hand_on(receiver, answered));
    copy(&mut asking, &mut asked).await?;
    Ok(asked.shutdown().await?)
}

struct Held {
    until: Instant,
    bytes: Vec<u8>,
}

/// Later answers don't wait for earlier ones: each is late by itself.
async fn hold(mut from: OwnedReadHalf, to: mpsc::UnboundedSender<Held>, delay: Arc<AtomicU64>) -> Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        let until = Instant::now() + Duration::from_micros(delay.load(Ordering::Relaxed));
        match buffer.get(..read) {
            Some(bytes) if read > 0 => to.send(Held { until, bytes: bytes.to_vec() })?,
            _ => return Ok(()),
        }
    }
}

async fn hand_on(mut from: mpsc::UnboundedReceiver<Held>, mut to: OwnedWriteHalf) -> Result<()> {
    while let Some(Held { until, bytes }) = from.recv().await {
        if until > Instant::now() {
            sleep_until(until).await;
        }
        to.write_all(&bytes).await?;
    }
    Ok(to.shutdown().await?)
}
