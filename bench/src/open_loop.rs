//! Requests on a fixed schedule, whatever the server does: how long each took, from when it was to be sent.
//!
//! A client that waits for its answer before it sends again sends nothing to a stalled server, and so misses the stall.
//! Here a request that could not be sent in time waits, and its wait counts.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::Result;
use crate::http::{Answer, ROOM};
use crate::load::CONNECTIONS;
use crate::server::Server;

/// Requests a second.
pub(crate) const RATE: u32 = 2_000;

/// How long after the last request its answer may come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one run showed.
#[derive(Clone, Copy)]
pub(crate) struct Latency {
    /// 99 of 100 answers came within this time.
    pub(crate) p99: Duration,
    /// Requests without an answer of 200.
    pub(crate) lost: usize,
}

/// Sends [`RATE`] requests a second for `span`, in turns over the connections.
///
/// It keeps its core busy all the time, because a sleeping thread would wake up too late to measure microseconds.
pub(crate) fn run(server: &Server, request: &[u8], span: Duration) -> Result<Latency> {
    let mut lanes = (0..CONNECTIONS).map(|_| Lane::open(server, request)).collect::<Result<Vec<_>>>()?;
    let (total, interval) = ((span.as_secs_f64() * f64::from(RATE)) as u32, Duration::from_secs(1) / RATE);
    let mut took = Vec::with_capacity(total as usize);
    let (began, mut scheduled) = (Instant::now(), 0);
    while lanes.iter().any(Lane::is_waiting) || scheduled < total {
        let now = Instant::now();
        if now > began + interval * total + PATIENCE {
            break;
        }
        while scheduled < total && began + interval * scheduled <= now {
            let turn = scheduled as usize % lanes.len();
            lanes.get_mut(turn).ok_or("no connection")?.due.push_back(began + interval * scheduled);
            scheduled += 1;
        }
        for lane in &mut lanes {
            took.extend(lane.advance()?);
        }
        std::thread::yield_now();
    }
    took.sort_unstable();
    let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or(PATIENCE);
    Ok(Latency { p99, lost: total as usize - took.len() })
}

/// One connection and the times at which its requests were to be sent; the first of them is under way.
struct Lane<'r> {
    stream: TcpStream,
    request: &'r [u8],
    due: VecDeque<Instant>,
    sent: bool,
    buffer: Vec<u8>,
    filled: usize,
}

impl<'r> Lane<'r> {
    fn open(server: &Server, request: &'r [u8]) -> Result<Self> {
        let stream = TcpStream::connect(server.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, request, due: VecDeque::new(), sent: false, buffer: vec![0; ROOM], filled: 0 })
    }

    fn is_waiting(&self) -> bool {
        !self.due.is_empty()
    }

    /// Sends what is due, reads what has come. Gives the time that a request took, once it is answered.
    fn advance(&mut self) -> Result<Option<Duration>> {
        if self.due.is_empty() {
            return Ok(None);
        }
        if !self.sent {
            // A request is far smaller than an empty socket buffer: it fits whole.
            self.stream.write_all(self.request)?;
            self.sent = true;
        }
        match self.stream.read(self.buffer.get_mut(self.filled..).unwrap_or_default()) {
            Ok(0) => return Err("the server closed the connection".into()),
            Ok(read) => self.filled += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let Some(answer) = Answer::read(self.buffer.get(..self.filled).unwrap_or_default())? else {
            return Ok(None);
        };
        let good = answer.status == "200";
        (self.sent, self.filled) = (false, 0);
        let due = self.due.pop_front();
        Ok(due.filter(|_| good).map(|due| due.elapsed()))
    }
}
