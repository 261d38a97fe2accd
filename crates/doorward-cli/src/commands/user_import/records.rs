//! The records of a file: CSV with a header, or JSON lines, told by the first character.

use std::io::{BufRead, Read};

use doorward::internals::accounts::ImportedUser;
use serde_json::{Map, Value};

use super::csv::{self, Csv};
use super::fields::{Columns, Field, Texts};

/// The longest record, in bytes.
const MAX_RECORD: usize = 64 * 1024;
/// The most fields of a record.
const MAX_FIELDS: usize = 100;

/// A record: the number of its first line, and its account or the reason why it is none.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) line: u64,
    pub(super) user: Result<ImportedUser, String>,
}

/// The file can't be read any further.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) problem: String,
    pub(super) hint: String,
}

impl Broken {
    fn new(problem: impl Into<String>, hint: &str) -> Self {
        Self { problem: problem.into(), hint: hint.to_owned() }
    }
}

/// How the records are written.
#[derive(Debug)]
enum Form {
    Json,
    /// Each column's field, or `None` for one that is not imported.
    Csv(Vec<Option<Field>>),
}

/// Reads records one by one, in constant memory.
pub(super) struct Records {
    input: Box<dyn BufRead>,
    columns: Columns,
    form: Option<Form>,
    line: u64,
    /// How many bytes were read.
    pub(super) bytes: u64,
}

/// A line of the file.
enum Line {
    End,
    TooLong,
    Bytes(Vec<u8>),
}

impl Records {
    pub(super) fn new(input: Box<dyn BufRead>, columns: Columns) -> Self {
        Self { input, columns, form: None, line: 0, bytes: 0 }
    }

    /// The next record; `None` at the end. Empty lines are skipped.
    ///
    /// # Errors
    /// The file can't be read, its header is wrong, or a quote is never closed.
    pub(super) fn next(&mut self) -> Result<Option<Record>, Broken> {
        loop {
            let text = match self.line()? {
                Line::End if self.form.is_none() => {
                    return Err(Broken::new("the file is empty", "the first line of CSV names the fields"));
                }
                Line::End => return Ok(None),
                Line::TooLong => return self.unread(format!("is longer than {MAX_RECORD} bytes")),
                Line::Bytes(bytes) => String::from_utf8(bytes),
            };
            let Ok(text) = text else { return self.unread("is not UTF-8".to_owned()) };
            if text.trim().is_empty() {
                continue;
            }
            let line = self.line;
            let user = match &self.form {
                Some(Form::Json) => self.json(&text),
                None if text.starts_with('{') => {
                    self.form = Some(Form::Json);
                    self.json(&text)
                }
                None => {
                    self.header(text)?;
                    continue;
                }
                Some(Form::Csv(_)) => fields(self.record(text)?).and_then(|fields| self.csv(fields)),
            };
            return Ok(Some(Record { line, user }));
        }
    }

    fn unread(&self, reason: String) -> Result<Option<Record>, Broken> {
        match self.form {
            None => Err(Broken::new(format!("line {} {reason}", self.line), "")),
            Some(_) => Ok(Some(Record { line: self.line, user: Err(reason) })),
        }
    }

    /// Reads a line without its break. What is too long is skipped.
    fn line(&mut self) -> Result<Line, Broken> {
        let (mut bytes, mut is_too_long) = (Vec::new(), false);
        loop {
            let room = (MAX_RECORD + 2).saturating_sub(bytes.len()).try_into().unwrap_or(u64::MAX);
            let read = self.input.by_ref().take(room).read_until(b'\n', &mut bytes);
            let read = read.map_err(|error| Broken::new(format!("cannot read the file: {error}"), ""))?;
            self.bytes += read as u64;
            let is_whole = bytes.last() == Some(&b'\n');
            is_too_long |= !is_whole && bytes.len() > MAX_RECORD;
            if read == 0 || is_whole || !is_too_long {
                break;
            }
            bytes.clear();
        }
        if bytes.is_empty() && !is_too_long {
            return Ok(Line::End);
        }
        self.line += 1;
        let end = bytes
            .strip_suffix(b"\n")
            .map_or(bytes.len(), |line| line.strip_suffix(b"\r").unwrap_or(line).len());
        bytes.truncate(end);
        if self.line == 1 && bytes.starts_with("\u{feff}".as_bytes()) {
            bytes.drain(..3);
        }
        Ok(if is_too_long || bytes.len() > MAX_RECORD { Line::TooLong } else { Line::Bytes(bytes) })
    }

    /// A CSV record, which may have several lines: never [`Csv::Open`].
    fn record(&mut self, mut text: String) -> Result<Csv, Broken> {
        let begun = self.line;
        loop {
            match csv::read(&text) {
                Csv::Open => {}
                whole => return Ok(whole),
            }
            let next = match self.line()? {
                Line::Bytes(bytes) if text.len() + bytes.len() < MAX_RECORD => String::from_utf8(bytes).ok(),
                _ => None,
            };
            let Some(next) = next else {
                let problem =
                    format!("line {begun}: a quote is not closed within {MAX_RECORD} bytes of UTF-8");
                return Err(Broken::new(problem, "lines before it count: mend it, and run the import again"));
            };
            text.push('\n');
            text.push_str(&next);
        }
    }

    fn header(&mut self, text: String) -> Result<(), Broken> {
        if text.starts_with('[') {
            let hint = "one object a line, as from mongoexport without --jsonArray";
            return Err(Broken::new("a JSON array is not JSON lines", hint));
        }
        let broken = |reason: String| Broken::new(format!("line 1, the header: {reason}"), "");
        let names = fields(self.record(text)?).map_err(broken)?;
        let mut fields = Vec::with_capacity(names.len());
        for name in &names {
            let field = self.columns.field(name.trim()).map_err(broken)?;
            if field.is_some() && fields.contains(&field) {
                return Err(broken(format!("{} is there twice", name.trim())));
            }
            fields.push(field);
        }
        for field in [Field::Email, Field::Name] {
            if !fields.contains(&Some(field)) {
                return Err(broken(format!("{} is missing: it must name the fields", field.as_str())));
            }
        }
        self.form = Some(Form::Csv(fields));
        Ok(())
    }

    fn csv(&self, values: Vec<String>) -> Result<ImportedUser, String> {
        let Some(Form::Csv(fields)) = &self.form else { return Err("is no CSV".to_owned()) };
        if values.len() != fields.len() {
            return Err(format!("has {} fields, and the header has {}", values.len(), fields.len()));
        }
        let mut texts = Texts::default();
        for (field, value) in fields.iter().zip(values) {
            if let Some(field) = field {
                texts.add(*field, value)?;
            }
        }
        texts.account()
    }

    fn json(&self, text: &str) -> Result<ImportedUser, String> {
        let object: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| "is not one JSON object".to_owned())?;
        if object.len() > MAX_FIELDS {
            return Err(format!("has more than {MAX_FIELDS} fields"));
        }
        let mut texts = Texts::default();
        for (name, value) in object {
            if let Some(field) = self.columns.field(&name)? {
                let text = text_of(value).ok_or_else(|| format!("{} is no text", field.as_str()))?;
                texts.add(field, text)?;
            }
        }
        texts.account()
    }
}

/// The fields of a whole record.
fn fields(record: Csv) -> Result<Vec<String>, String> {
    match record {
        Csv::Fields(fields) if fields.len() > MAX_FIELDS => Err(format!("has more than {MAX_FIELDS} fields")),
        Csv::Fields(fields) => Ok(fields),
        Csv::Wrong | Csv::Open => {
            Err("has a quote inside a field: double it, and quote the field".to_owned())
        }
    }
}

/// A value as text; a time also as mongoexport writes it.
fn text_of(value: Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Object(mut object) if object.len() == 1 => match object.remove("$date") {
            Some(Value::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
