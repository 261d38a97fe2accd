//! A flow as a Mermaid sequence diagram.

use std::fmt::Write as _;

use super::Titled;
use super::phrases::span;
use super::picture::{Picture, Row};
use crate::flow::{Flow, Verdict};

/// The flow as Mermaid text. Whatever isn't a letter, digit, space, comma or dot is an entity code, so nothing in it is
/// Mermaid's syntax.
pub fn mermaid(flow: &Flow) -> String {
    let picture = Picture::of(&[Titled::from(flow)]);
    let mut out = String::from("sequenceDiagram\n");
    for (n, lane) in picture.lanes.iter().enumerate() {
        let _ = writeln!(out, "    participant L{n} as {}", coded(lane));
    }
    for scene in &picture.scenes {
        for row in &scene.rows {
            message(row, &mut out);
        }
        if !picture.lanes.is_empty() {
            let total = format!("{}: {} in all", scene.title, span(scene.total_us));
            let _ = writeln!(out, "    Note over L0,L{}: {}", picture.lanes.len() - 1, coded(&total));
        }
    }
    out
}

fn message(row: &Row, out: &mut String) {
    let arrow = match (row.verdict, row.is_answer) {
        (Verdict::Failed, false) => "-x",
        (Verdict::Failed, true) => "--x",
        (_, false) => "->>",
        (_, true) => "-->>",
    };
    let _ = writeln!(out, "    L{}{arrow}L{}: {}", row.from, row.to, coded(&row.marked()));
    if !row.detail.is_empty() {
        let _ = writeln!(out, "    Note over L{}: {}", row.to, coded(&row.detail));
    }
}

/// A word that Mermaid would read as the end of a block is coded too.
fn coded(text: &str) -> String {
    let mut out = String::new();
    for (n, word) in text.split(' ').enumerate() {
        if n > 0 {
            out.push(' ');
        }
        for (n, c) in word.chars().enumerate() {
            let is_end = n == 0 && word.eq_ignore_ascii_case("end");
            if (c.is_ascii_alphanumeric() || matches!(c, '.' | ',')) && !is_end {
                out.push(c);
            } else {
                let _ = write!(out, "#{};", u32::from(c));
            }
        }
    }
    out
}
