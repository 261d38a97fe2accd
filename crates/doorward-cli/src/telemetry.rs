use std::io::IsTerminal;

use doorward::settings::{LogFormat, LogLevel, Settings};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::output::has_colour;

/// Who writes the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// The server: everything that the settings ask for.
    Server,
    /// A command: what is wrong, and more only where the settings ask for more than the default.
    Command,
}

/// Sends the log to standard error, in the settings' form.
pub(crate) fn start(settings: &Settings, speaker: Speaker) {
    let stream = std::io::stderr();
    let json = match settings.log_format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => speaker == Speaker::Server && !stream.is_terminal(),
    };
    // Only Doorward's own events at the asked level: what a library traces may hold a secret.
    let level = level(settings, speaker);
    let targets = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("doorward", level);
    let ansi = has_colour(&stream);
    // Told of a full disk or a closed pipe, the layer would print to standard error again, and panic.
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let layer = if json { layer.json().flatten_event(true).boxed() } else { layer.with_ansi(ansi).boxed() };
    let _ = tracing_subscriber::registry().with(layer.with_filter(targets)).try_init();
}

fn level(settings: &Settings, speaker: Speaker) -> LevelFilter {
    match settings.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info if speaker == Speaker::Command => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
