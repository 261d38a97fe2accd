//! `doorward doctor`: checks the installation from the settings to the keys, and says what to do.

mod surroundings;

use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use clap::Args;
use doorward::internals::settings::{RootSource, Secrets, Settings};
use doorward::internals::store::{Database, Store, StoreSettings};
use doorward::internals::{App, Clock};
use serde::Serialize;

use super::Outcome;
use crate::failure::Failure;
use crate::output::{Answer, Colour, coloured};
use crate::place::{Place, secrets_given};
use crate::telemetry::{self, Speaker};

/// Check the whole installation, and say what to do about what is wrong
///
/// Exit code 1: something failed. A warning is not a failure. Nothing is changed.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Check it for `doorward serve --dev`
    #[arg(long)]
    dev: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Ok,
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Finding {
    health: Health,
    what: String,
    /// What to do; empty if there is nothing to do.
    hint: String,
}

#[derive(Debug, Default)]
struct Report(Vec<Finding>);

impl Report {
    fn say(&mut self, health: Health, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Finding { health, what: what.into(), hint: hint.into() });
    }

    fn ok(&mut self, what: impl Into<String>) {
        self.say(Health::Ok, what, "");
    }

    /// What the start would refuse, in the same words.
    fn fail(&mut self, part: &str, failure: Failure) {
        self.say(Health::Fail, format!("{part}{}", failure.problem), failure.hint);
    }

    fn text(&self) -> String {
        let line = |finding: &Finding| {
            let (word, colour) = match finding.health {
                Health::Ok => ("ok  ", Colour::Green),
                Health::Warn => ("warn", Colour::Yellow),
                Health::Fail => ("fail", Colour::Red),
            };
            let hint = if finding.hint.is_empty() {
                String::new()
            } else {
                format!("\n      hint: {}", finding.hint)
            };
            format!("{}  {}{hint}\n", coloured(word, colour, &std::io::stdout()), finding.what)
        };
        self.0.iter().map(line).collect()
    }
}

impl Doctor {
    pub(crate) async fn run(self, mut place: Place) -> Outcome {
        place.flags = self.dev.then(|| ("dev", "true".to_owned(), "--dev")).into_iter().collect();
        let mut report = Report::default();
        examine(&place, &mut report).await;
        let good = report.0.iter().all(|finding| finding.health != Health::Fail);
        let answer = if self.json { Answer::json(&report.0)? } else { Answer::text(report.text()) };
        Ok(answer.good(good))
    }
}

/// From the bottom up; a check whose base failed is skipped.
async fn examine(place: &Place, report: &mut Report) {
    let settings = match place.settings() {
        Ok(settings) => settings,
        Err(failure) => return report.fail("settings: ", failure),
    };
    telemetry::start(&settings, Speaker::Command);
    report.ok("settings: read and safe");
    about_settings(&settings, report);
    surroundings::settings_file(place, report);
    surroundings::certificate(&settings, report).await;
    surroundings::addresses(&settings, report).await;
    let usable = settings.database.is_some() || folder(&settings.data, settings.data_reserve, report);
    let secrets = match secrets_given(&settings) {
        Ok(Some(secrets)) => secrets,
        Ok(None) => {
            return report.say(Health::Warn, "secret: there is none yet", "`doorward serve` makes one");
        }
        Err(failure) => return report.fail("secret: ", failure),
    };
    for warning in settings.noticed.warnings.iter().chain(&secrets.warnings) {
        report.say(Health::Warn, format!("files: {warning}"), "nobody but Doorward should be able to");
    }
    report.ok(match &secrets.root_source {
        RootSource::File(path) | RootSource::Made(path) => {
            format!("secret: {}, only for its owner", path.display())
        }
        RootSource::Variable => "secret: given by DOORWARD_SECRET".to_owned(),
    });
    if usable && database(&settings, report).await {
        inside(settings, secrets, report).await;
    }
}

fn about_settings(settings: &Settings, report: &mut Report) {
    for (what, hint) in settings.advice() {
        report.say(Health::Warn, format!("settings: {what}"), hint);
    }
    match &settings.public_url {
        Some(url) => report.ok(format!("settings: people reach it under {url}")),
        None => report.ok(format!("settings: for this machine only, at {}", settings.listen)),
    }
}

/// Whether the data folder exists and may be used.
fn folder(path: &Path, reserve: u64, report: &mut Report) -> bool {
    let shown = path.display();
    let found = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => found,
        Ok(_) => {
            report.say(
                Health::Fail,
                format!("data folder: cannot make the data folder {shown}: there is a file of that name"),
                "name another one with --data",
            );
            return false;
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            no_folder(path, report);
            return false;
        }
        Err(error) => {
            report.say(
                Health::Fail,
                format!("data folder: {shown}: {error}"),
                "see who may read the folders above it",
            );
            return false;
        }
    };
    let (ours, me) = (found.uid(), rustix::process::geteuid().as_raw());
    if rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_err() {
        let hint = format!("run as its owner (user id {ours}), or: chown -R {me} {shown}");
        report.say(Health::Fail, format!("data folder: {shown} may not be written by user id {me}"), hint);
        return false;
    }
    match found.permissions().mode() & 0o777 {
        mode if mode & 0o077 == 0 => report.ok(format!("data folder: {shown}, only for its owner")),
        mode => {
            report.say(
                Health::Warn,
                format!("data folder: others may enter {shown} (mode {mode:03o})"),
                format!("chmod 700 {shown}"),
            );
        }
    }
    surroundings::disk(path, reserve, report);
    surroundings::clock_of_files(path, report);
    true
}

/// The first start makes the folder, if it may.
fn no_folder(path: &Path, report: &mut Report) {
    let shown = path.display();
    let may_write = |folder: &Path| {
        rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
    };
    // The last ancestor is "": the current folder.
    let above = path.ancestors().skip(1).find(|above| above.exists() || above.as_os_str().is_empty());
    let above = above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if above.is_dir() && may_write(above) {
        let what = format!("data folder: there is no {shown} yet");
        report.say(Health::Warn, what, "`doorward serve` makes it");
    } else {
        let what = format!(
            "data folder: cannot make the data folder {shown}: {} may not be written",
            above.display()
        );
        report.say(Health::Fail, what, "name one that you may write to as data (--data)");
    }
}

/// Whether the database answers and has the tables that this program knows.
async fn database(settings: &Settings, report: &mut Report) -> bool {
    let database = settings.database();
    if let Database::Sqlite(file) = &database {
        match std::fs::metadata(file).map(|found| found.permissions().mode() & 0o777) {
            Err(_) => {
                report.say(
                    Health::Warn,
                    format!("database: there is no {} yet", file.display()),
                    "`doorward serve` makes it",
                );
                return false;
            }
            Ok(mode) if mode & 0o077 != 0 => {
                let what = format!("database: others may read {} (mode {mode:03o})", file.display());
                report.say(Health::Warn, what, format!("chmod 600 {0} {0}-*", file.display()));
            }
            Ok(_) => {}
        }
    }
    match Store::missing_migrations(&StoreSettings { database: database.at_once() }).await {
        Ok(missing) if missing.is_empty() => report.ok("database: answers, tables are up to date"),
        Ok(missing) => {
            let what = format!("database: answers, and lacks {} migration(s)", missing.len());
            report.say(Health::Warn, what, "the next start of this program adds them: make a backup first");
            return false;
        }
        Err(error) => {
            report.fail("database: ", error.into());
            return false;
        }
    }
    true
}

/// The checks that need an open application.
async fn inside(settings: Settings, secrets: Secrets, report: &mut Report) {
    let shared = secrets.jwt.is_some();
    let app = match App::join(settings, secrets, Clock::system()).await {
        Ok(app) => app,
        Err(error) => return report.fail("opening it: ", error.into()),
    };
    match app.refusal_of_kind().await {
        Ok(None) => {}
        Ok(Some(refusal)) => report.fail("database: ", refusal.into()),
        Err(error) => report.fail("database: ", error.into()),
    }
    surroundings::condition(&app, report).await;
    for (what, hint) in app.disagreements() {
        report.say(Health::Warn, format!("servers: {what}"), hint);
    }
    match app.keys.list(app.now()).await {
        _ if shared => report.ok("keys: access tokens are signed with JWT_SECRET (HS256)"),
        Ok(keys) => match keys.iter().find(|key| key.state == "active") {
            Some(key) => report.ok(format!("keys: {} signs with {}", key.kid, key.algorithm)),
            None => report.say(Health::Fail, "keys: none is active", "doorward key rotate --now"),
        },
        Err(error) => report.say(Health::Fail, format!("keys: {error}"), ""),
    }
    match app.users.have_admin().await {
        Ok(true) => report.ok("accounts: there is an admin"),
        Ok(false) => {
            let hint = "doorward user create --role admin --email E --name N";
            report.say(Health::Warn, "accounts: there is no admin yet", hint);
        }
        Err(error) => report.say(Health::Fail, format!("accounts: {error}"), ""),
    }
    app.store.close().await;
}
