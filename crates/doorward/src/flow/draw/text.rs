//! A sequence diagram for a terminal.

use std::fmt::Write as _;

use super::Titled;
use super::phrases::span;
use super::picture::{Picture, Row, Scene};
use super::plain::{columns, wrap};
use crate::flow::Verdict;

/// How the text looks.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Whether it may have colours.
    pub colour: bool,
    /// How many columns a line has at most; fewer than 40 count as 40.
    pub width: usize,
}

/// The least width, and the least for lanes side by side.
const LEAST_WIDTH: usize = 40;
const LEAST_FOR_LANES: usize = 60;
/// The least room for particulars below a label.
const LEAST_DETAIL: usize = 24;
/// Lanes are no farther from each other.
const WIDEST_GAP: usize = 22;

/// The flows as sequence diagrams, one below the other; as lists if lanes don't fit side by side. Each line ends with a
/// newline and has at most the given width.
pub fn text(flows: &[Titled<'_>], style: Style) -> String {
    let style = Style { width: style.width.max(LEAST_WIDTH), ..style };
    let picture = Picture::of(flows);
    let lanes = Lanes::new(&picture.lanes, style);
    let mut out = String::new();
    for (n, scene) in picture.scenes.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        heading(scene, style, &mut out);
        match &lanes {
            Some(lanes) => lanes.draw(scene, &mut out),
            None => list(scene, &picture.lanes, style, &mut out),
        }
        out.push('\n');
        footer(scene, style, &mut out);
    }
    out
}

fn heading(scene: &Scene, style: Style, out: &mut String) {
    for line in wrap(&scene.heading(), style.width) {
        paint(Paint::Bold, &line, style, out);
        out.push('\n');
    }
    for line in wrap(&scene.note, style.width) {
        out.push_str(&line);
        out.push('\n');
    }
    out.push('\n');
}

fn footer(scene: &Scene, style: Style, out: &mut String) {
    let mut times = format!("{} in all", span(scene.total_us));
    for (n, part) in scene.parts.iter().enumerate() {
        let _ = write!(times, "{} {} {}", if n == 0 { ":" } else { "," }, part.name, span(part.us));
    }
    for line in wrap(&times, style.width) {
        paint(Paint::Quiet, &line, style, out);
        out.push('\n');
    }
}

/// The steps one below the other.
fn list(scene: &Scene, lanes: &[String], style: Style, out: &mut String) {
    let name = |place: usize| lanes.get(place).map_or("", String::as_str);
    for row in &scene.rows {
        let way = if row.from == row.to {
            format!("{} ↻", name(row.from))
        } else {
            format!("{} → {}", name(row.from), name(row.to))
        };
        paint(Paint::Quiet, &way, style, out);
        out.push('\n');
        for line in wrap(&row.marked(), style.width - 2) {
            out.push_str("  ");
            paint(Paint::of(row), &line, style, out);
            out.push('\n');
        }
        for line in wrap(&row.detail, style.width - 4) {
            out.push_str("    ");
            paint(Paint::Quiet, &line, style, out);
            out.push('\n');
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paint {
    Plain,
    Bold,
    Quiet,
    Good,
    Bad,
}

impl Paint {
    fn of(row: &Row) -> Self {
        match row.verdict {
            Verdict::Failed => Self::Bad,
            Verdict::Passed => Self::Good,
            Verdict::Done if row.is_answer => Self::Bold,
            Verdict::Done => Self::Plain,
        }
    }

    /// The parameters of the control sequence.
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Quiet => "2",
            Self::Good => "32",
            Self::Bad => "1;31",
        }
    }
}

fn paint(paint: Paint, text: &str, style: Style, out: &mut String) {
    if style.colour && paint != Paint::Plain {
        let _ = write!(out, "\u{1b}[{}m{text}\u{1b}[0m", paint.code());
    } else {
        out.push_str(text);
    }
}

/// Lanes side by side.
struct Lanes<'a> {
    names: &'a [String],
    /// The columns of their lines.
    places: Vec<usize>,
    style: Style,
}

impl<'a> Lanes<'a> {
    /// `None` if they don't fit.
    fn new(names: &'a [String], style: Style) -> Option<Self> {
        if style.width < LEAST_FOR_LANES {
            return None;
        }
        let widths: Vec<usize> = names.iter().map(|name| columns(name)).collect();
        let half = |width: usize| width.div_ceil(2);
        let mut gaps: Vec<usize> = widths
            .iter()
            .zip(widths.iter().skip(1))
            .map(|(one, next)| half(*one) + half(*next) + 1)
            .collect();
        let (first, last) = (half(*widths.first()?), half(*widths.last()?));
        let least = first + gaps.iter().sum::<usize>() + last;
        let mut spare = style.width.checked_sub(least)?;
        // The narrowest gap grows first, so that all become equal.
        while let Some(gap) = gaps.iter_mut().min().filter(|gap| **gap < WIDEST_GAP)
            && spare > 0
        {
            *gap += 1;
            spare -= 1;
        }
        let mut place = first;
        let mut places = vec![place];
        for gap in gaps {
            place += gap;
            places.push(place);
        }
        Some(Self { names, places, style })
    }

    fn draw(&self, scene: &Scene, out: &mut String) {
        let mut names = Line::empty(self.style);
        for (name, place) in self.names.iter().zip(&self.places) {
            names.write(place.saturating_sub(columns(name) / 2), name, Paint::Bold);
        }
        names.end(out);
        self.lines().end(out);
        for row in &scene.rows {
            self.row(row, out);
        }
        self.lines().end(out);
    }

    /// A line with that of each lane.
    fn lines(&self) -> Line {
        let mut line = Line::empty(self.style);
        for place in &self.places {
            line.write(*place, "│", Paint::Quiet);
        }
        line
    }

    fn row(&self, row: &Row, out: &mut String) {
        let at = |place: usize| self.places.get(place).copied().unwrap_or(0);
        let (from, to) = (at(row.from), at(row.to));
        if from == to {
            return self.words(row, from + 3, out);
        }
        let (left, right) = (from.min(to), from.max(to));
        self.words(row, left + 2, out);
        let mut line = self.lines();
        let dash = if row.verdict == Verdict::Failed { "╌" } else { "─" };
        line.write(left + 1, &dash.repeat(right - left - 1), Paint::of(row));
        if to > from {
            line.write(right - 1, "▶", Paint::of(row));
        } else {
            line.write(left + 1, "◀", Paint::of(row));
        }
        line.end(out);
    }

    /// The label from this column on, and behind it the particulars, or in lines below it. If the label has no room
    /// there, it ends at the right.
    fn words(&self, row: &Row, from: usize, out: &mut String) {
        let width = self.style.width;
        let label = row.marked();
        let from = from.min(width.saturating_sub(columns(&label)));
        let mut line = self.lines();
        if row.from == row.to {
            line.write(self.places.get(row.from).map_or(0, |place| place + 1), "↻", Paint::of(row));
        }
        let end = line.words(from, &label, Paint::of(row));
        if end + 2 + columns(&row.detail) <= width {
            line.words(end + 2, &row.detail, Paint::Quiet);
            return line.end(out);
        }
        line.end(out);
        let from = (from + 2).min(width.saturating_sub(LEAST_DETAIL));
        for text in wrap(&row.detail, width - from) {
            let mut line = self.lines();
            line.words(from, &text, Paint::Quiet);
            line.end(out);
        }
    }
}

/// A line that is being drawn.
struct Line {
    cells: Vec<(char, Paint)>,
    style: Style,
}

impl Line {
    fn empty(style: Style) -> Self {
        Self { cells: vec![(' ', Paint::Plain); style.width], style }
    }

    fn write(&mut self, at: usize, text: &str, paint: Paint) {
        for (cell, c) in self.cells.iter_mut().skip(at).zip(text.chars()) {
            *cell = (c, paint);
        }
    }

    /// Writes words that no line touches, and says where they end.
    fn words(&mut self, from: usize, text: &str, paint: Paint) -> usize {
        let end = from + columns(text);
        if !text.is_empty() {
            self.write(from.saturating_sub(1), " ", Paint::Plain);
            self.write(from, text, paint);
            self.write(end, " ", Paint::Plain);
        }
        end
    }

    fn end(self, out: &mut String) {
        let filled = self.cells.iter().rposition(|(c, _)| *c != ' ').map_or(0, |last| last + 1);
        let mut cells = self.cells.into_iter().take(filled).peekable();
        while let Some((c, kind)) = cells.next() {
            let mut run = String::from(c);
            while let Some((c, _)) = cells.next_if(|(_, next)| *next == kind) {
                run.push(c);
            }
            paint(kind, &run, self.style, out);
        }
        out.push('\n');
    }
}
