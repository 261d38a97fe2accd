use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use doorward::internals::settings::{LogFormat, LogLevel, Settings};
use doorward_core::seldom::Seldom;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::output::has_colour;
use crate::queue::{self, Queue};

static STARTED_AT: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The program that writes the log.
#[derive(Clone, Copy)]
pub(crate) enum Speaker {
    /// The server: everything that the settings ask for, through this queue.
    Server(&'static Queue),
    /// A command: errors, and more only if the settings ask for more than the default.
    Command,
}

/// Sends the log to standard error, in the settings' form: the server's through a queue.
pub(crate) fn start(settings: &Settings, speaker: Speaker) {
    let stream = std::io::stderr();
    let json = match settings.log_format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => matches!(speaker, Speaker::Server(_)) && !stream.is_terminal(),
    };
    // Only Doorward's own events at the configured level: a library's trace may hold a secret.
    let level = level(settings, speaker);
    let targets = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("doorward", level);
    let ansi = has_colour(&stream);
    let writer = match speaker {
        Speaker::Server(queue) => {
            std::panic::set_hook(Box::new(log_panic));
            BoxMakeWriter::new(queue.clone())
        }
        Speaker::Command => BoxMakeWriter::new(std::io::stderr),
    };
    // On a full disk or a closed pipe, the layer would print to standard error again, and panic.
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).log_internal_errors(false);
    let layer = if json { layer.json().flatten_event(true).boxed() } else { layer.with_ansi(ansi).boxed() };
    let _ = tracing_subscriber::registry().with(layer.with_filter(targets)).try_init();
}

/// Replaces the usual hook, which waits for the reader of standard error. It writes a line to the log, at most once a
/// minute for each place in the sources.
fn log_panic(panic: &PanicHookInfo<'_>) {
    static PANICS: Mutex<Seldom<(u32, u32)>> = Mutex::new(Seldom::new());
    let place = panic.location().map(|place| (place.line(), place.column())).unwrap_or_default();
    let now = STARTED_AT.elapsed();
    let times = PANICS.lock().unwrap_or_else(PoisonError::into_inner).happened(place, now);
    if let Some(times) = times {
        let place = panic.location().map(ToString::to_string);
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        let message = panic.payload_as_str();
        let request_id = doorward::internals::current_request_id().map(tracing::field::display);
        tracing::error!(request_id, place, times, why = message, backtrace, "a thread panicked");
    }
    // The process ends with this thread, past the end of `main`.
    if std::thread::current().name() == Some("main") {
        queue::finish();
    }
}

fn level(settings: &Settings, speaker: Speaker) -> LevelFilter {
    match settings.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info if matches!(speaker, Speaker::Command) => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x01_a_panic_waits_for_nobody_who_reads_the_log() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let queue = Queue::to(writer).unwrap();
        let layer = tracing_subscriber::fmt::layer().with_writer(queue);
        let _guard = tracing_subscriber::registry().with(layer).set_default();
        // More than the pipe holds.
        (0..10_000).for_each(|n| tracing::info!(n, "something that nobody reads"));
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(log_panic));
        let panicked = std::panic::catch_unwind(|| panic!("planted"));
        std::panic::set_hook(usual);
        assert!(panicked.is_err());
    }
}
