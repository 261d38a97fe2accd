//! A program that follows the feed of revocations.

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::soon;

/// One event of the stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) id: Option<String>,
    pub(crate) data: Value,
}

/// A stream of events, and the sessions and roles in it.
pub(crate) struct Follower {
    stream: TcpStream,
    head: String,
    /// The part of the chunked body that is not a whole event yet, and the part that is not a whole chunk.
    text: String,
    raw: Vec<u8>,
    events: VecDeque<Event>,
    pub(crate) last_id: Option<String>,
}

impl Follower {
    /// Asks for the events, with this `Authorization` and `Last-Event-ID`.
    pub(crate) async fn to(address: SocketAddr, authorization: &str, last_id: Option<&str>) -> Self {
        // A small buffer, so that a slow reader soon has an effect.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8_192).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let last = last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!(
            "GET /revocations HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nAuthorization: {authorization}\r\n{last}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(stream.read_u8()).await.expect("an answer"));
        }
        let head = String::from_utf8(head).unwrap();
        let (text, raw, events) = (String::new(), Vec::new(), VecDeque::new());
        Self { stream, head, text, raw, events, last_id: last_id.map(str::to_owned) }
    }

    pub(crate) fn status(&self) -> u16 {
        crate::client::status(&self.head)
    }

    pub(crate) fn head(&self) -> &str {
        &self.head
    }

    /// The next event; `None` at the orderly end of the stream.
    pub(crate) async fn hears(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                self.last_id = event.id.clone().or(self.last_id.take());
                return Some(event);
            }
            let mut bytes = [0; 4_096];
            let read = soon(self.stream.read(&mut bytes)).await.unwrap_or(0);
            if read == 0 {
                return None;
            }
            self.raw.extend(&bytes[..read]);
            if !self.take_chunks() {
                return None;
            }
        }
    }

    /// Reads whole chunks; `false` at the last one.
    fn take_chunks(&mut self) -> bool {
        while let Some(end) = self.raw.windows(2).position(|pair| pair == b"\r\n") {
            let size = std::str::from_utf8(&self.raw[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                return false;
            }
            if self.raw.len() < end + 2 + size + 2 {
                break;
            }
            let chunk: Vec<u8> = self.raw.drain(..end + 2 + size + 2).skip(end + 2).take(size).collect();
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
        while let Some((event, rest)) = self.text.split_once("\n\n") {
            self.events.push_back(read(event));
            self.text = rest.to_owned();
        }
        true
    }

    /// The next event of this kind, and those before it.
    #[track_caller]
    pub(crate) fn until<'a>(
        &'a mut self,
        kind: &'a str,
    ) -> impl Future<Output = (Vec<Event>, Event)> + use<'a> {
        let place = std::panic::Location::caller();
        async move {
            let mut before = Vec::new();
            loop {
                let event = self.hears().await;
                let event = event.unwrap_or_else(|| panic!("{place}: it ended before {kind}: {before:?}"));
                if event.kind == kind {
                    return (before, event);
                }
                before.push(event);
            }
        }
    }

    /// Reads until nothing is missing; returns the ended sessions.
    pub(crate) async fn catches_up(&mut self) -> Vec<String> {
        let (before, _) = self.until("current").await;
        before.iter().flat_map(sessions).collect()
    }
}

fn read(text: &str) -> Event {
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        lines.next().map(str::to_owned)
    };
    let data = serde_json::from_str(&field("data").unwrap()).unwrap();
    Event { kind: field("event").unwrap(), id: field("id"), data }
}

/// The ended sessions in an event.
pub(crate) fn sessions(event: &Event) -> Vec<String> {
    let rows = event.data["sessions"].as_array().map_or(&[][..], Vec::as_slice);
    rows.iter().map(|row| row[0].as_str().unwrap().to_owned()).collect()
}
