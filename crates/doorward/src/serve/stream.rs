//! A client's stream that never waits forever: neither for a slow reader nor for a writer that doesn't stop.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::wire::with_page;
use crate::clock::steady;

/// How long, and how much, is read from a client that still sends after it got its answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

/// Whose turn it is on a connection, shared by its stream and its service. Even: the client's, to send a head. Odd: the
/// server's, to answer.
#[derive(Clone, Default)]
pub(super) struct Turn(Arc<AtomicU64>);

impl Turn {
    /// Passes the turn to the other side.
    pub(super) fn pass(&self) {
        // One task serves a connection: nobody else writes between the two.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

/// A stream with a deadline for heads and for each write (attack H07), whose end doesn't destroy the last answer. It
/// doesn't support vectored writes: writing head and body in one piece costs the system less than announcing two.
///
/// While the client accepts what is written, the write deadline costs nothing: its timer exists only while a write
/// waits. The timer for heads is reset only when it fires, and not for each request.
pub(super) struct ClientStream<S> {
    stream: S,
    head: HeadDeadline,
    write_timeout: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    lingering: Option<Lingering>,
    /// The rest of the page that replaces hyper's answer to a head that is too large.
    page: Bytes,
}

/// When the next head must be complete.
struct HeadDeadline {
    turn: Turn,
    /// The client's turn that it applies to, and when that was first waited for.
    since: Option<(u64, Instant)>,
    timeout: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl HeadDeadline {
    /// Completes when it is too late. On the server's turn the body is read, which has a deadline elsewhere.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let turn = self.turn.0.load(Ordering::Relaxed);
        if turn % 2 == 1 {
            return Poll::Pending;
        }
        let since = match self.since {
            Some((counted, since)) if counted == turn => since,
            _ => self.since.insert((turn, steady())).1,
        };
        let end = since + self.timeout;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(end)));
        while alarm.deadline() < end {
            ready!(alarm.as_mut().poll(cx));
            alarm.as_mut().reset(end);
        }
        alarm.as_mut().poll(cx)
    }
}

/// The end of a connection, after the server closed its side.
#[derive(Default)]
struct Lingering {
    dropped: usize,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> ClientStream<S> {
    /// `head_timeout` is counted from the start of the client's turn.
    pub(super) fn new(stream: S, turn: Turn, head_timeout: Duration, write_timeout: Duration) -> Self {
        let head = HeadDeadline { turn, since: None, timeout: head_timeout, alarm: None };
        Self { stream, head, write_timeout, deadline: None, lingering: None, page: Bytes::new() }
    }

    fn in_time<T>(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.deadline = None;
            return write;
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(self.write_timeout)));
        deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_pending() {
            ready!(self.head.poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.page.is_empty()
            && let Some(page) = with_page(bytes)
        {
            self.page = page.into();
        }
        while !self.page.is_empty() {
            let this = &mut *self;
            let write = Pin::new(&mut this.stream).poll_write(cx, &this.page);
            let written = ready!(this.in_time(cx, write))?;
            this.page.advance(written);
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if this.page.is_empty() {
                return Poll::Ready(Ok(bytes.len()));
            }
        }
        let write = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, write)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Under TLS this is where a slow reader is waited for.
        let flush = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(cx, flush)
    }

    /// Ends the stream. A client that was refused in the middle of its body may still be sending it. Closing a socket
    /// over unread bytes resets the connection, which can overtake the answer (RFC 9112 section 9.6). So incoming bytes
    /// are dropped for a moment; without unread bytes there is no wait.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            let shutdown = Pin::new(&mut this.stream).poll_shutdown(cx);
            ready!(this.in_time(cx, shutdown))?;
        }
        this.lingering.get_or_insert_default().poll(&mut this.stream, cx).map(Ok)
    }
}

impl Lingering {
    fn poll<S: AsyncRead + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 4_096];
        while self.dropped < LINGER_BYTES {
            let mut unread = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *stream).poll_read(cx, &mut unread) {
                Poll::Ready(Ok(())) if !unread.filled().is_empty() => self.dropped += unread.filled().len(),
                Poll::Ready(_) => break,
                Poll::Pending if self.dropped == 0 => break,
                Poll::Pending => {
                    return self.deadline.get_or_insert_with(|| Box::pin(sleep(LINGER))).as_mut().poll(cx);
                }
            }
        }
        Poll::Ready(())
    }
}
