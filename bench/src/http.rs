//! The HTTP/1.1 that a load generator needs: requests made beforehand, answers with a `Content-Length`.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Result;

/// Room for an answer; a longer one is an error.
pub(crate) const ROOM: usize = 16 * 1024;

/// A GET with one further header line, such as `Cookie: a=b`; with none if that is empty.
pub(crate) fn get(path: &str, header: &str) -> Vec<u8> {
    let line_end = if header.is_empty() { "" } else { "\r\n" };
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n{header}{line_end}\r\n")
        .into()
}

/// A POST of a JSON document.
pub(crate) fn post(path: &str, json: &serde_json::Value) -> Vec<u8> {
    let body = json.to_string();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into()
}

/// A whole answer.
pub(crate) struct Answer<'a> {
    /// The status code as it stands in the status line.
    pub(crate) status: &'a str,
    /// The lines after it.
    pub(crate) head: &'a str,
    /// The body.
    pub(crate) body: &'a str,
}

impl<'a> Answer<'a> {
    /// Reads an answer; `None` while there is less than a whole one.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Option<Self>> {
        let Some(head_end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return if bytes.len() < ROOM { Ok(None) } else { Err("an answer is too long".into()) };
        };
        let text = str::from_utf8(bytes)?;
        let (head, body) = text.split_at_checked(head_end + 4).ok_or("an answer is cut")?;
        let (status_line, head) = head.split_once("\r\n").ok_or("an answer without a status line")?;
        let status = status_line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let status = status.ok_or_else(|| format!("not HTTP/1.1: {status_line}"))?;
        let mut answer = Answer { status, head, body: "" };
        let length: usize = answer.header("content-length").ok_or("no Content-Length")?.parse()?;
        match body.len().cmp(&length) {
            std::cmp::Ordering::Less if head_end + 4 + length <= ROOM => Ok(None),
            std::cmp::Ordering::Equal => {
                answer.body = body;
                Ok(Some(answer))
            }
            _ => Err("an answer is longer than it should be".into()),
        }
    }

    /// The value of the first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers(name).next()
    }

    /// The values of every header of this name.
    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let fields = self.head.split("\r\n").filter_map(|line| line.split_once(':'));
        fields.filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim_ascii())
    }
}

/// A connection that waits for each answer.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects. An answer that takes longer than thirty seconds is an error.
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream, buffer: vec![0; ROOM] })
    }

    /// Sends a request and waits for the answer, whatever its status.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        while Answer::read(self.buffer.get(..filled).unwrap_or_default())?.is_none() {
            match self.stream.read(self.buffer.get_mut(filled..).unwrap_or_default()) {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err("no answer in 30 s".into()),
                Err(error) => return Err(error.into()),
            }
        }
        Answer::read(self.buffer.get(..filled).unwrap_or_default())?.ok_or_else(|| "no answer".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_once_it_is_whole_and_no_longer() {
        let whole = b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\nContent-Length: 2\r\nSet-Cookie: c=d\r\n\r\nok";
        for end in 0..whole.len() {
            assert!(Answer::read(&whole[..end]).unwrap().is_none());
        }
        let answer = Answer::read(whole).unwrap().unwrap();
        assert_eq!((answer.status, answer.body), ("200", "ok"));
        assert_eq!(answer.headers("set-cookie").collect::<Vec<_>>(), ["a=b", "c=d"]);
        assert!(Answer::read(&[whole.as_slice(), b"!"].concat()).is_err());
    }
}
