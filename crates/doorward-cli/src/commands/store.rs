//! `doorward store`: moving everything from one database to another.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use doorward::internals::Clock;
use doorward::internals::settings::Settings;
use doorward::internals::store::StoreSettings;
use doorward::internals::transfer::{self, Export, Moved, Progress};
use serde_json::json;

use super::Outcome;
use crate::failure::Failure;
use crate::output::Answer;
use crate::place::{Place, existing, secrets_given};
use crate::telemetry::{self, Speaker};

#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Write everything into a file; the database takes no writes from now on
    ///
    /// Servers go on checking requests and refuse all changes with 503, also after the export: nothing is written that
    /// the new database lacks. `doorward store reopen` undoes that. An export that was killed goes on where it stopped.
    /// The file is as secret as the database; the root secret is not in it.
    Export(ExportTo),
    /// Read everything from such a file into a new database
    ///
    /// The root secret must be that of the exported database. First the whole file is checked; at the end every row is
    /// read back and compared. Until then no server starts with the database. An import that was killed goes on where it
    /// stopped.
    Import(ImportFrom),
    /// Let a database that was exported take writes again
    Reopen(Reopen),
}

#[derive(Debug, Args)]
pub(crate) struct ExportTo {
    /// The file to write
    file: PathBuf,
    /// Let the database take writes again at the end: for a copy, if nothing moves
    #[arg(long)]
    reopen: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportFrom {
    /// The file that `doorward store export` has written
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Reopen {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Store {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        let settings = place.settings()?;
        telemetry::start(&settings, Speaker::Command);
        let store = StoreSettings { database: settings.database().at_once() };
        match self {
            Self::Export(export) => export.run(&settings, &store).await,
            Self::Import(import) => import.run(&settings, &store).await,
            Self::Reopen(Reopen { json }) => {
                existing(&settings)?;
                let opened = transfer::reopen(&store).await?;
                if json {
                    return Answer::json(&json!({ "reopened": opened }));
                }
                let text =
                    if opened { "The database takes writes again" } else { "The database was not closed" };
                Ok(Answer::text(text))
            }
        }
    }
}

impl ExportTo {
    async fn run(self, settings: &Settings, store: &StoreSettings) -> Outcome {
        existing(settings)?;
        let roots = secrets_given(settings)?.ok_or_else(no_secret)?.roots();
        let mut bar = Bar::new();
        let wanted = Export { file: &self.file, reopen: self.reopen };
        let exported = transfer::export(store, &roots, wanted, &mut |progress| bar.show(progress)).await;
        bar.clear();
        let next = if self.reopen {
            "The database takes writes again"
        } else {
            "The database takes no writes now: import the file into the new one, and start the servers with that. \
             `doorward store reopen` opens this one again"
        };
        report(&exported?, &format!("Exported to {}", self.file.display()), next, self.json)
    }
}

impl ImportFrom {
    async fn run(self, settings: &Settings, store: &StoreSettings) -> Outcome {
        settings.make_data_folder()?;
        let roots = secrets_given(settings)?.ok_or_else(no_secret)?.roots();
        let (mut bar, now) = (Bar::new(), Clock::system().now());
        let imported =
            transfer::import(store, &roots, &self.file, now, &mut |progress| bar.show(progress)).await;
        bar.clear();
        let next = "Every row was read back and is the same. Start the servers with this database, and delete the file";
        report(&imported?, &format!("Imported {}", self.file.display()), next, self.json)
    }
}

fn no_secret() -> Failure {
    Failure::new(
        "there is no root secret: what is sealed under it would be of no use",
        "copy the secret.key of the exported installation into the data folder, or set its DOORWARD_SECRET",
    )
}

fn report(moved: &[Moved], what: &str, next: &str, json: bool) -> Outcome {
    let rows: u64 = moved.iter().map(|one| one.rows).sum();
    if json {
        return Answer::json(&json!({ "rows": rows, "tables": moved }));
    }
    let table = Answer::rows(&moved, &["table", "rows"], false)?.text;
    let left: String = transfer::left().map(|(name, why)| format!("Not moved: {name} ({why})\n")).collect();
    Ok(Answer::text(format!("{}\n\n{left}{what}: {rows} rows\n{next}", table.trim_end())))
}

/// How far it is, on standard error: a bar if that is a terminal, lines otherwise.
struct Bar {
    is_terminal: bool,
    step: &'static str,
    last: Instant,
}

impl Bar {
    const EVERY: Duration = Duration::from_millis(100);
    const EVERY_LINE: Duration = Duration::from_secs(10);
    const WIDTH: u64 = 30;

    fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), step: "", last: Instant::now() }
    }

    fn show(&mut self, Progress { step, done, total }: Progress) {
        let is_due = match self.is_terminal {
            true => self.step != step || self.last.elapsed() >= Self::EVERY,
            false => self.last.elapsed() >= Self::EVERY_LINE,
        };
        if !is_due {
            return;
        }
        (self.step, self.last) = (step, Instant::now());
        let part = |of: u64| done.saturating_mul(of).checked_div(total).unwrap_or(of);
        if !self.is_terminal {
            return write(&format!("{step}: {done} of {total} rows, {} %\n", part(100)));
        }
        let full = usize::try_from(part(Self::WIDTH)).unwrap_or_default();
        let empty = usize::try_from(Self::WIDTH).unwrap_or_default().saturating_sub(full);
        let bar = format!("{}{}", "#".repeat(full), "-".repeat(empty));
        write(&format!("\r{step:<9} [{bar}] {:>3} %  {done} of {total} rows", part(100)));
    }

    fn clear(&self) {
        if self.is_terminal && !self.step.is_empty() {
            write("\r\x1b[K");
        }
    }
}

/// A terminal that is gone misses nothing.
fn write(text: &str) {
    let mut terminal = std::io::stderr().lock();
    let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
}
