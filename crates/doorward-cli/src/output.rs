use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::queue;

/// The output of a command, and whether it succeeded.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) good: bool,
}

impl Answer {
    /// Lines for people.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), good: true }
    }

    /// JSON for a program, and nothing else.
    pub(crate) fn json(value: &impl Serialize) -> Result<Self, Failure> {
        let json = serde_json::to_string_pretty(value);
        Ok(Self::text(json.map_err(|error| Failure::new(format!("cannot be written as JSON: {error}"), ""))?))
    }

    /// Rows: all of them as JSON, or a table with these of their columns.
    pub(crate) fn rows(rows: &impl Serialize, columns: &[&str], json: bool) -> Result<Self, Failure> {
        if json {
            return Self::json(rows);
        }
        let rows = serde_json::to_value(rows);
        let rows = rows.map_err(|error| Failure::new(format!("cannot be shown: {error}"), ""))?;
        let rows = rows.as_array().map_or(&[][..], Vec::as_slice).iter().map(|row| cells(row, columns));
        let lines: Vec<_> = std::iter::once(heads(columns)).chain(rows).collect();
        Ok(Self::text(table(&lines, &mut vec![0; columns.len()])))
    }

    /// The same with another exit code: 1 if `good` is false.
    pub(crate) fn good(self, good: bool) -> Self {
        Self { good, ..self }
    }
}

/// Rows that are written page by page, so that a list of any length takes little memory.
#[derive(Debug)]
pub(crate) struct Rows {
    columns: &'static [&'static str],
    json: bool,
    /// How wide the columns of the table are so far; `None` before the first page.
    widths: Option<Vec<usize>>,
}

impl Rows {
    /// Rows as JSON, or as a table with these of their columns.
    pub(crate) const fn new(columns: &'static [&'static str], json: bool) -> Self {
        Self { columns, json, widths: None }
    }

    /// Writes a page.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn page(&mut self, rows: &impl Serialize) -> Result<(), Failure> {
        write(&self.text_of(rows)?).map_err(|error| unwritten(&error))
    }

    fn text_of(&mut self, rows: &impl Serialize) -> Result<String, Failure> {
        let rows = serde_json::to_value(rows);
        let rows = rows.map_err(|error| Failure::new(format!("cannot be shown: {error}"), ""))?;
        let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
        if rows.is_empty() && self.json {
            return Ok(String::new());
        }
        let is_first = self.widths.is_none();
        Ok(match self.json {
            true => {
                self.widths = Some(Vec::new());
                let page = Answer::json(&rows)?.text;
                let page = page.trim_start_matches('[').trim_end_matches(']').trim_end();
                format!("{}{page}", if is_first { "[" } else { "," })
            }
            false => {
                let mut lines = if is_first { vec![heads(self.columns)] } else { Vec::new() };
                lines.extend(rows.iter().map(|row| cells(row, self.columns)));
                table(&lines, self.widths.get_or_insert_with(|| vec![0; self.columns.len()]))
            }
        })
    }

    /// Ends the list.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn end(self) -> Result<Answer, Failure> {
        Ok(Answer::text(match (self.json, self.widths) {
            (true, None) => "[]",
            (true, Some(_)) => "\n]",
            (false, _) => "",
        }))
    }
}

/// A colour of a terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
    Cyan = 36,
}

/// `text` in this colour, if `stream` is a terminal and colours are not switched off (no-color.org).
pub(crate) fn coloured(text: &str, colour: Colour, stream: &impl IsTerminal) -> String {
    if has_colour(stream) { format!("\x1b[{}m{text}\x1b[0m", colour as u8) } else { text.to_owned() }
}

/// Whether `stream` may have colours.
pub(crate) fn has_colour(stream: &impl IsTerminal) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Writes the output. If it cannot be written, the command fails: a program may wait for it.
pub(crate) fn show(answer: &Answer) -> ExitCode {
    match line(&answer.text) {
        Ok(()) if answer.good => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            let problem = unwritten(&error).problem;
            fail(&Failure::new(problem, "the command itself was carried out"))
        }
    }
}

/// Writes the help or the version that was asked for, or what is wrong with the arguments.
pub(crate) fn usage(usage: &clap::Error) -> ExitCode {
    let written = usage.print().and_then(|()| std::io::stdout().flush());
    match written {
        _ if usage.use_stderr() => ExitCode::from(2),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&unwritten(&error)),
    }
}

/// Writes the output before its action is done: a secret that was never shown must not count.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn show_first(answer: &Answer) -> Result<(), Failure> {
    line(&answer.text).map_err(|error| unwritten(&error))
}

/// The failure to write on standard output.
pub(crate) fn unwritten(error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot write to standard output: {error}"), "")
}

/// Writes the first lines of a server on standard output. If nobody reads the pipe, the server waits two seconds and
/// not forever.
///
/// # Errors
/// If they cannot be written.
pub(crate) fn announce(lines: String) -> std::io::Result<()> {
    let (done, written) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("announce".into()).spawn(move || done.send(line(&lines)))?;
    written.recv_timeout(Duration::from_secs(2)).unwrap_or_else(|_| {
        tracing::warn!("the first lines are not written: nobody reads standard output");
        Ok(())
    })
}

/// Writes on standard output.
fn write(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes on standard output at once.
fn line(text: &str) -> std::io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end_matches('\n'))?;
    out.flush()
}

/// Writes a remark for people to standard error, so that programs can ignore it.
pub(crate) fn remark(text: &str) {
    let line = format!("{text}\n");
    if !queue::write(&line) {
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

/// Writes the error and the hint.
pub(crate) fn fail(failure: &Failure) -> ExitCode {
    let stream = std::io::stderr();
    remark(&format!("{} {}", coloured("error:", Colour::Red, &stream), failure.problem));
    if !failure.hint.is_empty() {
        remark(&format!("{} {}", coloured("hint:", Colour::Cyan, &stream), failure.hint));
    }
    ExitCode::FAILURE
}

fn heads(columns: &[&str]) -> Vec<String> {
    columns.iter().map(|column| column.replace('_', " ").to_uppercase()).collect()
}

fn cells(row: &Value, columns: &[&str]) -> Vec<String> {
    columns.iter().map(|column| cell(row.get(column))).collect()
}

/// Lines of aligned cells. Columns are at least as wide as before, and `widths` says how wide they are now.
fn table(lines: &[Vec<String>], widths: &mut [usize]) -> String {
    for (at, width) in widths.iter_mut().enumerate() {
        let cells = lines.iter().filter_map(|line| line.get(at)).map(|cell| cell.chars().count());
        *width = cells.max().unwrap_or(0).max(*width);
    }
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&*widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".into(),
        // A terminal obeys control characters, and strangers wrote some of this text.
        Some(Value::String(text)) => text.replace(char::is_control, "\u{fffd}"),
        Some(Value::Bool(holds)) => if *holds { "yes" } else { "no" }.into(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_says_nothing_to_the_terminal() {
        let rows = serde_json::json!([{ "id": 7, "user_agent": "curl\x1b[2J" }, { "id": "long one", "user_agent": null }]);
        let answer = Answer::rows(&rows, &["id", "user_agent"], false).unwrap();
        assert_eq!(answer.text, "ID        USER AGENT\n7         curl\u{fffd}[2J\nlong one  -\n");
    }
    #[test]
    fn rows_in_pages_are_one_list() {
        let all = serde_json::json!([{ "id": 1, "of": [2] }, { "id": "a long one" }, { "id": 3 }]);
        let pages = [&all.as_array().unwrap()[..2], &[], &all.as_array().unwrap()[2..]];
        let written = |json| {
            let mut rows = Rows::new(&["id"], json);
            let pages: String = pages.iter().map(|page| rows.text_of(page).unwrap()).collect();
            pages + &rows.end().unwrap().text
        };
        assert_eq!(written(true), Answer::json(&all).unwrap().text);
        assert_eq!(written(false), Answer::rows(&all, &["id"], false).unwrap().text);
        assert_eq!(Rows::new(&["id"], true).end().unwrap().text, "[]");
    }
}
