//! `doorward user import`: the accounts of another system.

mod csv;
mod fields;
mod records;

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use doorward::internals::App;
use doorward::internals::accounts::{Imported, ImportedUser};
use serde::Serialize;

use self::fields::Columns;
use self::records::{Broken, Record, Records};
use super::Outcome;
use crate::failure::Failure;
use crate::output::{Answer, remark};

/// How many accounts one transaction makes: servers on the same database wait for no longer one.
const BATCH: usize = 1_000;

/// Make accounts from a file of another system: CSV with a header, or JSON lines
///
/// The fields are email and name, and if you like role, password_hash (bcrypt or argon2), created_at (RFC 3339, or
/// seconds since 1970), disabled and verified (true or false). Each line that is wrong is reported with its number and
/// changes nothing. An address that has an account stays as it is. So an import that was killed goes on if you run it
/// again: a line whose account is there, with this name, role and created_at, is skipped.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file, or `-` for standard input
    file: PathBuf,
    /// A field of the file, and the one that it is here: `--map password=password_hash`
    #[arg(long, value_name = "THEIRS=OURS", value_parser = fields::mapping)]
    map: Vec<(String, fields::Field)>,
    /// A field of the file that is not imported
    #[arg(long, value_name = "THEIRS")]
    ignore: Vec<String>,
    /// Change nothing, and report what would be done
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How many lines came to what.
#[derive(Debug, Default, Serialize)]
struct Count {
    imported: u64,
    present: u64,
    refused: u64,
    dry_run: bool,
}

/// An import under way.
struct Run<'a> {
    app: &'a App,
    count: Count,
    /// The accounts of the next transaction, each with the number of its line.
    batch: Vec<(u64, ImportedUser)>,
    bar: Bar,
}

impl Import {
    pub(crate) async fn run(self, app: &App) -> Outcome {
        let (input, size) = opened(&self.file)?;
        let columns = Columns { map: self.map, ignore: self.ignore };
        let mut records = Records::new(input, columns);
        let count = Count { dry_run: self.dry_run, ..Count::default() };
        let mut run = Run { app, count, batch: Vec::with_capacity(BATCH), bar: Bar::new(size) };
        let outcome = run.all(&mut records).await;
        run.bar.clear();
        outcome?;
        run.report(self.json)
    }
}

fn opened(path: &Path) -> Result<(Box<dyn BufRead>, u64), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(BufReader::new(std::io::stdin())), 0));
    }
    let unreadable =
        |error: std::io::Error| Failure::new(format!("cannot read {}: {error}", path.display()), "");
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    Ok((Box::new(BufReader::new(file)), size))
}

impl Run<'_> {
    async fn all(&mut self, records: &mut Records) -> Result<(), Failure> {
        loop {
            let (line, read) = match records.next() {
                Ok(None) => return self.flush().await,
                Ok(Some(Record { line, user })) => (line, user),
                // What was read before it is made all the same: a file that breaks off is like an import that was killed.
                Err(Broken { problem, hint }) => {
                    self.flush().await?;
                    return Err(Failure::new(problem, hint));
                }
            };
            let read = read.and_then(|user| match self.app.accounts.check_role(user.role) {
                Ok(()) => Ok(user),
                Err(error) => Err(Failure::from(error).problem),
            });
            match read {
                Ok(user) => self.batch.push((line, user)),
                Err(reason) => self.refuse(line, &reason),
            }
            if self.batch.len() >= BATCH {
                self.flush().await?;
            }
            self.bar.show(line, records.bytes);
        }
    }

    fn refuse(&mut self, line: u64, reason: &str) {
        self.bar.clear();
        self.count.refused += 1;
        remark(&format!("line {line}: {reason}"));
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.app.disk.has_room()?;
        let (lines, users): (Vec<_>, Vec<_>) = self.batch.drain(..).unzip();
        for (line, fate) in lines.into_iter().zip(self.app.accounts.import(&users, self.count.dry_run).await?)
        {
            match fate {
                Imported::Made => self.count.imported += 1,
                Imported::Present => self.count.present += 1,
                Imported::Taken => {
                    self.refuse(line, "email has another account already, which stays as it is");
                }
            }
        }
        Ok(())
    }

    fn report(self, json: bool) -> Outcome {
        let Count { imported, present, refused, dry_run } = self.count;
        let good = refused == 0;
        if json {
            return Ok(Answer::json(&self.count)?.good(good));
        }
        let made = if dry_run { "Would import" } else { "Imported" };
        let text = format!("{made} {imported}, there already: {present}, refused: {refused}");
        Ok(Answer::text(text).good(good))
    }
}

/// How far it is, on standard error, if that is a terminal.
struct Bar {
    is_terminal: bool,
    size: u64,
    last: Instant,
    shown: bool,
}

impl Bar {
    const EVERY: Duration = Duration::from_millis(100);
    const WIDTH: u64 = 30;

    fn new(size: u64) -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), size, last: Instant::now(), shown: false }
    }

    fn show(&mut self, line: u64, bytes: u64) {
        if !self.is_terminal || self.last.elapsed() < Self::EVERY {
            return;
        }
        (self.last, self.shown) = (Instant::now(), true);
        let part = |of: u64| bytes.saturating_mul(of).checked_div(self.size).map(|part| part.min(of));
        let bar = part(Self::WIDTH).map_or_else(String::new, |full| {
            let full = usize::try_from(full).unwrap_or_default();
            let empty = usize::try_from(Self::WIDTH).unwrap_or_default().saturating_sub(full);
            format!("[{}{}] {:>3} %  ", "#".repeat(full), "-".repeat(empty), part(100).unwrap_or_default())
        });
        write(&format!("\r{bar}line {line}"));
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            write("\r\x1b[K");
        }
    }
}

/// A terminal that is gone misses nothing.
fn write(text: &str) {
    let mut terminal = std::io::stderr().lock();
    let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
}
