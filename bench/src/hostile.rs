//! The effect of hostile clients on a legitimate one: its p99 and the server's memory before, during and after each
//! crowd.
//!
//! The crowds come from many addresses of the loopback network, since the server gives each address only a share.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::http::get;
use crate::open_loop;
use crate::server::{Cores, Server, Signing};
use crate::users::{Mode, register};
use crate::{Effort, Result};

/// Connections of one crowd that only wait or drip.
const MANY: usize = 10_000;
/// Connections that send as fast as they can.
const FLOOD: usize = 64;
/// Connections from one address.
const PER_ADDRESS: usize = 500;
/// How often a slow client sends a byte.
const DRIP: Duration = Duration::from_secs(2);

#[derive(Clone, Copy)]
enum Crowd {
    Idle,
    SlowHeads,
    SlowBodies,
    LargeHeads,
    LargeBodies,
    NeverReads,
}

impl Crowd {
    const ALL: [(Self, &str); 6] = [
        (Self::Idle, "10,000 idle connections"),
        (Self::SlowHeads, "10,000 heads, a byte each 2 s"),
        (Self::SlowBodies, "10,000 bodies, a byte each 2 s"),
        (Self::LargeHeads, "64 clients, heads of 64 KiB"),
        (Self::LargeBodies, "64 clients, bodies of 16 MiB"),
        (Self::NeverReads, "64 clients that ask and never read"),
    ];

    fn size(self) -> usize {
        match self {
            Self::Idle | Self::SlowHeads | Self::SlowBodies => MANY,
            _ => FLOOD,
        }
    }

    /// One client: until its connection ends.
    async fn client(self, mut stream: TcpStream) -> std::io::Result<()> {
        const POST: &[u8] = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        match self {
            Self::Idle => stream.read(&mut [0]).await.map(drop),
            Self::SlowHeads => drip(stream, b"GET /profile HTTP/1.1\r\nX: ").await,
            Self::SlowBodies => drip(stream, &[POST, b"Content-Length: 60000\r\n\r\n{"].concat()).await,
            Self::LargeHeads => {
                stream.write_all(b"GET /profile HTTP/1.1\r\nHost: localhost\r\nX: ").await?;
                stream.write_all(&[b'x'; 64 * 1024]).await
            }
            Self::LargeBodies => {
                stream.write_all(&[POST, b"Content-Length: 16777216\r\n\r\n"].concat()).await?;
                for _ in 0..256 {
                    stream.write_all(&[b' '; 64 * 1024]).await?;
                }
                Ok(())
            }
            Self::NeverReads => loop {
                stream.write_all(&get("/login", "Accept: text/html")).await?;
            },
        }
    }
}

async fn drip(mut stream: TcpStream, begins: &[u8]) -> std::io::Result<()> {
    stream.write_all(begins).await?;
    loop {
        tokio::time::sleep(DRIP).await;
        stream.write_all(b"a").await?;
    }
}

/// Prints the table.
pub(crate) fn measure(cores: Cores, effort: Effort) -> Result<()> {
    raise_limit()?;
    let server = Server::doorward(cores, Signing::Hs256)?;
    let bearer = register(&server, 0, Mode::Bearer)?;
    let profile = get("/profile", &bearer);
    println!("{:40} {:>8} {:>8} {:>10}", "while there are", "p99, ms", "lost", "MiB");
    let row = |what: &str| -> Result<()> {
        let latency = open_loop::run(&server, &profile, effort.span * 3)?;
        let (p99, memory) = (latency.p99.as_secs_f64() * 1e3, server.memory()?);
        println!("{what:40} {p99:>8.2} {:>8} {memory:>10.1}", latency.lost);
        Ok(())
    };
    row("nobody else")?;
    for (crowd, what) in Crowd::ALL {
        beside(server.address, crowd, || row(what))?;
    }
    // The time that the server gives to a request that was cut off in the middle.
    std::thread::sleep(Duration::from_secs(5));
    row("nobody else any more")
}

/// Does some work while the crowd is there.
fn beside(server: SocketAddr, crowd: Crowd, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let (there, mut is_there) = watch::channel(0);
    let (stop, stopped) = watch::channel(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // The crowd shares a core with the client that is measured, and must not make that one wait.
            setpriority_process(None, 19)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(gather(server, crowd, &there, stopped));
            Ok::<_, std::io::Error>(())
        });
        let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let gathered = async { is_there.wait_for(|count| *count >= crowd.size()).await.map(drop) };
        let in_time =
            waiting.block_on(async { tokio::time::timeout(Duration::from_secs(30), gathered).await });
        let done = if in_time.is_ok() { work() } else { Err("the crowd did not get in within 30 s".into()) };
        // The thread may have failed and gone already.
        let _ = stop.send(true);
        done
    })
}

/// Keeps the crowd complete: a client that is cut off is replaced by another.
async fn gather(
    server: SocketAddr,
    crowd: Crowd,
    there: &watch::Sender<usize>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut clients = JoinSet::new();
    for number in 0..crowd.size() {
        clients.spawn(one(server, crowd, number, there.clone()));
    }
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            Some(Ok(number)) = clients.join_next() => {
                clients.spawn(one(server, crowd, number, there.clone()));
            }
        }
    }
}

async fn one(server: SocketAddr, crowd: Crowd, number: usize, there: watch::Sender<usize>) -> usize {
    if let Ok(stream) = connect(server, number).await {
        there.send_modify(|count| *count += 1);
        // Being cut off is expected.
        drop(crowd.client(stream).await);
    } else {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    number
}

async fn connect(server: SocketAddr, number: usize) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let subnet = u8::try_from(number / PER_ADDRESS + 1).unwrap_or(u8::MAX);
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, subnet, 1), 0)))?;
    socket.connect(server).await
}

/// As many descriptors as the crowds need.
fn raise_limit() -> Result<()> {
    let (limit, needed) = (getrlimit(Resource::Nofile), MANY as u64 + 1_000);
    if limit.maximum.is_some_and(|most| most < needed) {
        return Err(format!("{needed} open files are needed: raise the limit (ulimit -n)").into());
    }
    let current = limit.current.map(|now| now.max(needed));
    Ok(setrlimit(Resource::Nofile, Rlimit { current, ..limit })?)
}
