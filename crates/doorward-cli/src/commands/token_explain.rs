//! `doorward token explain`: each check of a token in its order, then what the store says of its session.

use doorward::internals::App;
use doorward::internals::explain::{self, CheckView, Explained};
use serde_json::Value;

use super::Outcome;
use crate::output::{Answer, Colour, coloured};

pub(super) async fn explain(app: &App, token: &str, json: bool) -> Outcome {
    let explained = explain::explain(app, token).await?;
    if json {
        return Ok(Answer::json(&explained)?.good(explained.accepted));
    }
    Ok(Answer::text(text(&explained)).good(explained.accepted))
}

fn text(explained: &Explained) -> String {
    let mut lines: Vec<_> = explained.looks_like.into_iter().map(|what| format!("{what}\n")).collect();
    let parts = [("Header", &explained.header), ("Payload", &explained.payload)];
    let shown = parts.into_iter().filter(|(_, part)| !part.is_null());
    let before = lines.len();
    lines.extend(shown.map(|(title, part)| pretty(title, part)));
    if lines.len() > before {
        lines.push(String::new());
    }
    lines.extend(explained.checks.iter().map(line));
    lines.push(String::new());
    lines.extend(explained.times.iter().cloned());
    lines.extend(explained.advice.map(|advice| format!("What to do: {advice}")));
    lines.push(explained.verdict.clone());
    lines.join("\n")
}

fn line(one: &CheckView) -> String {
    let (mark, colour) = match one.verdict {
        "passed" => ("✓", Colour::Green),
        "failed" => ("✗", Colour::Red),
        _ => ("–", Colour::Yellow),
    };
    let mark = coloured(mark, colour, &std::io::stdout());
    format!("{mark} {:<12}  {}", one.check, one.detail).trim_end().to_owned()
}

pub(super) fn pretty(title: &str, part: &Value) -> String {
    let text = serde_json::to_string_pretty(part).unwrap_or_default();
    // JSON may hold control characters of the upper range, which some terminals obey.
    let plain = text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
    format!("{title} {plain}")
}
