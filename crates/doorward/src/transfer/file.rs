//! The file of an export: lines of JSON. The first says what is in it; then each line is a row, in the order of the
//! tables; the last has the number of rows and an HMAC of all lines before it.
//!
//! A row is a list: a number, a text, `null`, or bytes as a list of one text in base64.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use doorward_core::{Purpose, RootSecret};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::TransferError;
use crate::store::Value;

/// The form of the file that this program reads and writes.
pub(super) const FORM: u32 = 1;
/// No row is nearly as long.
const LONGEST_LINE: u64 = 1 << 20;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The form of the file.
    pub(super) doorward_export: u32,
    /// What tells this export from others.
    pub(super) id: i64,
    /// The newest migration of the database.
    pub(super) migration: i64,
    /// Recognises the root secret.
    pub(super) fingerprint: i64,
    pub(super) tables: Vec<Contents>,
}

/// What the file has of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: u64,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    rows: u64,
    mac: String,
}

/// The key of the HMAC.
pub(super) fn key(root: &RootSecret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, root.derive(Purpose::Exports).expose())
}

/// The line of a row.
pub(super) fn row_line(values: &[Value]) -> String {
    let values = values.iter().map(|value| match value {
        Value::Null => serde_json::Value::Null,
        Value::Int(int) => json!(int),
        Value::Text(text) => json!(text),
        Value::Bytes(bytes) => json!([BASE64.encode(bytes)]),
    });
    serde_json::Value::Array(values.collect()).to_string() + "\n"
}

/// The last line, for a file whose lines before it have this HMAC.
pub(super) fn end_line(rows: u64, mac: hmac::Context) -> String {
    let mac = BASE64.encode(mac.sign());
    json!({ "rows": rows, "mac": mac }).to_string() + "\n"
}

fn read_row(line: &[u8]) -> Option<Vec<Value>> {
    let values: Vec<serde_json::Value> = serde_json::from_slice(line).ok()?;
    let value = |value| match value {
        serde_json::Value::Null => Some(Value::Null),
        serde_json::Value::Number(int) => int.as_i64().map(Value::Int),
        serde_json::Value::String(text) => Some(Value::Text(text)),
        serde_json::Value::Array(bytes) => match bytes.as_slice() {
            [serde_json::Value::String(text)] => BASE64.decode(text).ok().map(Value::Bytes),
            _ => None,
        },
        _ => None,
    };
    values.into_iter().map(value).collect()
}

/// What comes next in the file.
#[derive(Debug)]
pub(super) enum Next {
    /// A row of the table with this place in the header.
    Row(usize, Vec<Value>),
    /// The last line, which is right.
    End,
    /// Nothing that is whole: the export was interrupted here.
    Torn,
    /// The last line doesn't belong to the lines before it.
    Altered,
}

/// Reads an export from its beginning.
pub(super) struct Reader {
    lines: BufReader<File>,
    pub(super) header: Header,
    /// Of all lines that were read.
    pub(super) mac: hmac::Context,
    /// The length of all lines that were read.
    pub(super) length: u64,
    /// How many rows were read.
    pub(super) rows: u64,
    /// The table of the last row, and how many of its rows were read.
    at: (usize, u64),
}

impl Reader {
    /// Reads the first line; `None` if it isn't there or not whole.
    ///
    /// # Errors
    /// If the file can't be read, or is something else.
    pub(super) fn new(mut file: &File, key: &hmac::Key) -> Result<Option<Self>, TransferError> {
        file.seek(SeekFrom::Start(0))?;
        let mut lines = BufReader::with_capacity(1 << 20, file.try_clone()?);
        let Some(line) = whole_line(&mut lines)? else { return Ok(None) };
        let header: Header = serde_json::from_slice(&line).map_err(|_| not_ours())?;
        if header.doorward_export != FORM {
            return Err(TransferError::new(
                format!("the export has form {}, and this program knows form {FORM}", header.doorward_export),
                "use the program that made it",
            ));
        }
        let mut mac = hmac::Context::with_key(key);
        mac.update(&line);
        let length = line.len() as u64;
        Ok(Some(Self { lines, header, mac, length, rows: 0, at: (0, 0) }))
    }

    /// The next line.
    ///
    /// # Errors
    /// If the file can't be read.
    pub(super) fn next(&mut self) -> Result<Next, TransferError> {
        let Some(line) = whole_line(&mut self.lines)? else { return Ok(Next::Torn) };
        while self.header.tables.get(self.at.0).is_some_and(|table| self.at.1 == table.rows) {
            self.at = (self.at.0 + 1, 0);
        }
        let Some(table) = self.header.tables.get(self.at.0) else {
            let is_last = self.lines.fill_buf()?.is_empty();
            return Ok(if is_last { self.end(&line) } else { Next::Altered });
        };
        match read_row(&line) {
            Some(row) if row.len() == table.columns.len() => {
                self.mac.update(&line);
                (self.length, self.rows, self.at.1) =
                    (self.length + line.len() as u64, self.rows + 1, self.at.1 + 1);
                Ok(Next::Row(self.at.0, row))
            }
            _ => Ok(Next::Torn),
        }
    }

    fn end(&self, line: &[u8]) -> Next {
        let Ok(end) = serde_json::from_slice::<End>(line) else { return Next::Torn };
        let mac = BASE64.decode(&end.mac).unwrap_or_default();
        let ours = self.mac.clone().sign();
        let same = verify_slices_are_equal(ours.as_ref(), &mac).is_ok();
        if end.rows == self.rows && same { Next::End } else { Next::Altered }
    }
}

/// The next line with its end; `None` if there is none that is whole.
fn whole_line(lines: &mut BufReader<File>) -> Result<Option<Vec<u8>>, TransferError> {
    let mut line = Vec::new();
    lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    if line.len() as u64 == LONGEST_LINE && !line.ends_with(b"\n") {
        return Err(not_ours());
    }
    Ok(line.ends_with(b"\n").then_some(line))
}

pub(super) fn not_ours() -> TransferError {
    TransferError::new("the file is no export of Doorward", "name another one")
}

/// A digest of rows that doesn't depend on their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sum: u128,
}

impl Digest {
    pub(super) fn add(&mut self, values: &[Value]) {
        let hash = digest::digest(&digest::SHA256, row_line(values).as_bytes());
        let hash = hash.as_ref().first_chunk::<16>().map_or(0, |bytes| u128::from_be_bytes(*bytes));
        (self.rows, self.sum) = (self.rows + 1, self.sum.wrapping_add(hash));
    }
}
