//! How many requests one core of the server answers: 64 connections, each sending when it has its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::Result;
use crate::http::{Answer, ROOM};
use crate::server::Server;

/// How many connections there are.
pub(crate) const CONNECTIONS: usize = 64;

/// What one round of load showed.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Answers a second.
    pub(crate) rps: f64,
    /// The server's processor time for one request, in microseconds.
    pub(crate) cpu: f64,
    /// How much of its core the server used; well below 1, the load was the limit and not the server.
    pub(crate) busy: f64,
    /// The server's memory at the end, in MiB, with all connections open.
    pub(crate) memory: f64,
}

#[derive(Default)]
struct Progress {
    answers: AtomicU64,
    over: AtomicBool,
}

/// Loads `server` with one request for `span`, after a moment to warm up. Any answer but 200 is an error.
pub(crate) fn saturate(server: &Server, request: &[u8], span: Duration) -> Result<Load> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(round(server, request.into(), span))
}

async fn round(server: &Server, request: Arc<[u8]>, span: Duration) -> Result<Load> {
    let progress = Arc::new(Progress::default());
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(server.address).await?;
        stream.set_nodelay(true)?;
        clients.spawn(client(stream, request.clone(), progress.clone()));
    }
    sleep(Duration::from_millis(100)).await;
    let (began, cpu, answers) = (Instant::now(), server.cpu()?, progress.answers.load(Ordering::Relaxed));
    sleep(span).await;
    let (took, cpu) = (began.elapsed().as_secs_f64(), (server.cpu()? - cpu).as_secs_f64());
    let answers = (progress.answers.load(Ordering::Relaxed) - answers) as f64;
    let memory = server.memory()?;
    progress.over.store(true, Ordering::Relaxed);
    while let Some(ended) = timeout(Duration::from_secs(10), clients.join_next()).await? {
        ended??;
    }
    Ok(Load { rps: answers / took, cpu: cpu * 1e6 / answers, busy: cpu / took, memory })
}

async fn client(mut stream: TcpStream, request: Arc<[u8]>, progress: Arc<Progress>) -> Result<()> {
    let mut buffer = vec![0; ROOM];
    while !progress.over.load(Ordering::Relaxed) {
        stream.write_all(&request).await?;
        let mut filled = 0;
        loop {
            match stream.read(buffer.get_mut(filled..).unwrap_or_default()).await? {
                0 => return Err("the server closed the connection".into()),
                read => filled += read,
            }
            match Answer::read(buffer.get(..filled).unwrap_or_default())? {
                Some(answer) if answer.status == "200" => break,
                Some(answer) => return Err(format!("{} {}", answer.status, answer.body).into()),
                None => {}
            }
        }
        progress.answers.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
