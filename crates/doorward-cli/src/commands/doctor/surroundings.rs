//! What the installation depends on: files, disk, clocks, the certificate, the database server.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use doorward::internals::settings::{Origin, Settings};
use doorward::internals::{App, Certificate, Clock, Listening};

use super::super::serve::cannot_listen;
use super::{Health, Report};
use crate::place::Place;

/// With less free space than this, warn.
const NEARLY_FULL: u64 = 1024 * 1024 * 1024;
/// How far apart two clocks may be.
const DRIFT: Duration = Duration::from_secs(5);
/// Further apart, a server isn't ready.
const UNREADY: Duration = Duration::from_secs(30);
/// Most tools renew a certificate 30 days before its end.
const RENEWAL: Duration = Duration::from_secs(14 * 86_400);

/// A settings file with a password in it must be private.
pub(super) fn settings_file(place: &Place, report: &mut Report) {
    let Ok(values) = place.values() else { return };
    for (_, value, origin) in values.shown() {
        let Origin::File(path) = origin else { continue };
        let mode = std::fs::metadata(path).map_or(0, |found| found.permissions().mode() & 0o777);
        if value.contains("hidden") && mode & 0o004 != 0 {
            let what =
                format!("settings: everybody can read {path} (mode {mode:03o}), and a password is in it");
            report.say(Health::Warn, what, format!("chmod 640 {path}, or give it as DOORWARD_DATABASE_FILE"));
        }
    }
}

/// The certificate belongs to its key and to the host, and doesn't expire soon.
pub(super) async fn certificate(settings: &Settings, report: &mut Report) {
    let found = match Certificate::of(settings).await {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err(error) => return report.fail("", cannot_listen(settings.listen, &error)),
    };
    let left = found.ends_at.since(Clock::system().now());
    if !found.covers_host {
        let hint = "get one for the host of public_url: browsers refuse this one";
        report.say(Health::Fail, "tls: the certificate is for another host", hint);
    }
    match left {
        Duration::ZERO => {
            report.say(
                Health::Fail,
                "tls: the certificate has ended",
                "renew it; it is taken up without a restart",
            );
        }
        left if left < RENEWAL => {
            let what = format!("tls: the certificate ends in {} days", left.as_secs() / 86_400);
            report.say(Health::Warn, what, "renew it; it is taken up without a restart");
        }
        left => report.ok(format!("tls: the certificate is good for {} days", left.as_secs() / 86_400)),
    }
}

/// Whether the addresses are free.
pub(super) async fn addresses(settings: &Settings, report: &mut Report) {
    match Listening::check(settings).await {
        Ok(()) => report.ok(format!("listen: {} can be had", settings.listen)),
        // Expected if a server is running.
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let failure = cannot_listen(settings.listen, &error);
            report.ok(format!("listen: {}, by the server if it runs", failure.problem));
        }
        Err(error) => report.fail("listen: ", cannot_listen(settings.listen, &error)),
    }
}

/// Room for the database to grow.
pub(super) fn disk(folder: &Path, reserve: u64, report: &mut Report) {
    let Ok(found) = rustix::fs::statvfs(folder) else { return };
    let (free, shown) = (found.f_bavail.saturating_mul(found.f_frsize), folder.display());
    let megabytes = free / (1024 * 1024);
    let hint = "make room: below data.reserve nobody can sign in";
    if free < reserve {
        let what = format!(
            "disk: {free} bytes free for {shown}, less than data.reserve ({reserve}): only ends of sessions, refreshes and new passwords go on"
        );
        report.say(Health::Fail, what, "make room");
    } else if free < NEARLY_FULL {
        report.say(Health::Warn, format!("disk: {megabytes} MB free for {shown}"), hint);
    } else {
        report.ok(format!("disk: {megabytes} MB free for {shown}"));
    }
}

/// A file with a time in the future: this clock was set back since, or another machine writes here.
pub(super) fn clock_of_files(folder: &Path, report: &mut Report) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let changed =
        |entry: std::fs::DirEntry| entry.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok();
    let newest = entries.flatten().filter_map(changed).max().unwrap_or_default();
    let now = Duration::from_micros(Clock::system().now().as_micros().unsigned_abs());
    if newest > now + DRIFT {
        let ahead = (newest - now).as_secs();
        let what = format!("clock: a file in {} is {ahead} s in the future", folder.display());
        report.say(Health::Warn, what, "set this machine's clock by NTP: tokens and sessions live by it");
    } else {
        report.ok("clock: no file is from the future");
    }
}

/// What the database reports about itself.
pub(super) async fn condition(app: &App, report: &mut Report) {
    let asked_at = Clock::system().now();
    let condition = match app.store.condition().await {
        Ok(condition) => condition,
        Err(error) => return report.say(Health::Fail, format!("database: {error}"), ""),
    };
    report.ok(format!("database: {}", condition.engine));
    for (what, hint) in condition.warnings {
        report.say(Health::Warn, format!("database: {what}"), hint);
    }
    let Some(theirs) = condition.now else { return };
    let (ahead, behind) = (asked_at.since(theirs), theirs.since(Clock::system().now()));
    let (apart, way) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    let what =
        format!("clock: this machine's is {} s {way} the database server's, which counts", apart.as_secs());
    if apart > UNREADY {
        report.say(Health::Fail, what, "set it by NTP: until then /readyz answers 503 here");
    } else if apart > DRIFT {
        report.say(Health::Warn, what, "set it by NTP: over 30 s, /readyz would answer 503 here");
    } else {
        report.ok("clock: the same as the database server's");
    }
}
