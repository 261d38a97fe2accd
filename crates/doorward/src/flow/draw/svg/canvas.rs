//! The few shapes that a drawing consists of. No script, style, link or foreign content can be written.

use std::fmt::Write as _;

use crate::flow::draw::plain::plain;

/// The colours, of which each is legible on the card.
pub(super) const CARD: &str = "#fffdf8";
pub(super) const EDGE: &str = "#d9d3c4";
pub(super) const INK: &str = "#22281f";
pub(super) const QUIET: &str = "#5b6157";
pub(super) const LINE: &str = "#a9a493";
pub(super) const ACCENT: &str = "#1b5e50";
pub(super) const BAR: &str = "#cfe3da";
pub(super) const CHIP: &str = "#ece7da";
pub(super) const BAD: &str = "#9c2f1f";
pub(super) const BAD_GROUND: &str = "#fbeae5";
pub(super) const GOOD_GROUND: &str = "#e3efe4";

const FONT: &str = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Helvetica Neue', Arial, sans-serif";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) x: i32,
    pub(super) y: i32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) width: i32,
    pub(super) height: i32,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    pub(super) size: i32,
    pub(super) is_bold: bool,
    pub(super) colour: &'static str,
}

impl Type {
    pub(super) const TITLE: Self = Self { size: 17, is_bold: true, colour: INK };
    pub(super) const LABEL: Self = Self { size: 14, is_bold: false, colour: INK };
    pub(super) const SMALL: Self = Self { size: 12, is_bold: false, colour: QUIET };

    pub(super) const fn bold(self) -> Self {
        Self { is_bold: true, ..self }
    }

    pub(super) const fn coloured(self, colour: &'static str) -> Self {
        Self { colour, ..self }
    }

    /// About how wide a text is, in a wide font.
    pub(super) fn width(self, text: &str) -> i32 {
        let hundredths: i32 = text.chars().map(hundredths).sum();
        hundredths * self.size * if self.is_bold { 114 } else { 100 } / 10_000
    }

    /// The beginning of the plain text that is no wider than this.
    pub(super) fn clip(self, text: &str, width: i32) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let mut kept = String::new();
        for c in text.chars() {
            kept.push(c);
            if self.width(&kept) + self.width("…") > width {
                kept.pop();
                break;
            }
        }
        format!("{}…", kept.trim_end())
    }
}

/// The width of a character in hundredths of the font's size.
fn hundredths(c: char) -> i32 {
    match c {
        'i' | 'j' | 'l' | 'I' | '|' | '\'' | '.' | ',' | ':' | ';' | '!' => 32,
        ' ' | 'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' => 40,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' | '✓' | '✗' | '→' => 92,
        'A'..='Z' => 69,
        _ => 60,
    }
}

/// A drawing that is being written.
pub(super) struct Canvas(String);

impl Canvas {
    pub(super) fn new() -> Self {
        Self(String::new())
    }

    pub(super) fn text(&mut self, at: Point, text: &str, look: Type) {
        let weight = if look.is_bold { " font-weight=\"650\"" } else { "" };
        let Type { size, colour, .. } = look;
        let _ = writeln!(
            self.0,
            "<text x=\"{}\" y=\"{}\" font-size=\"{size}\"{weight} fill=\"{colour}\">{}</text>",
            at.x,
            at.y,
            escaped(text)
        );
    }

    /// A text around this point.
    pub(super) fn middle(&mut self, at: Point, text: &str, look: Type) {
        let Type { size, colour, .. } = look;
        let _ = writeln!(
            self.0,
            "<text x=\"{}\" y=\"{}\" font-size=\"{size}\" font-weight=\"650\" text-anchor=\"middle\" fill=\"{colour}\">{}</text>",
            at.x,
            at.y,
            escaped(text)
        );
    }

    /// A text over the lines of other lanes.
    pub(super) fn text_over(&mut self, at: Point, text: &str, look: Type) {
        if text.is_empty() {
            return;
        }
        let (x, y) = (at.x - 3, at.y - look.size + 1);
        let size = Size { width: look.width(text) + 6, height: look.size + 3 };
        self.rect(Point { x, y }, size, Shape { fill: CARD, edge: None, radius: 2, is_dashed: false });
        self.text(at, text, look);
    }

    pub(super) fn rect(&mut self, at: Point, size: Size, shape: Shape) {
        let edge = shape.edge.map_or_else(String::new, |edge| format!(" stroke=\"{edge}\""));
        let dashes = if shape.is_dashed { " stroke-dasharray=\"4 3\"" } else { "" };
        let _ = writeln!(
            self.0,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\" fill=\"{}\"{edge}{dashes}/>",
            at.x, at.y, size.width, size.height, shape.radius, shape.fill
        );
    }

    /// A line through these points.
    pub(super) fn line(&mut self, points: &[Point], stroke: Stroke) {
        let dashes = match stroke.dashes {
            "" => String::new(),
            dashes => format!(" stroke-dasharray=\"{dashes}\""),
        };
        let (colour, width) = (stroke.colour, stroke.width);
        let points = listed(points);
        let _ = writeln!(
            self.0,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}/>"
        );
    }

    /// The head of an arrow, whose point is here.
    pub(super) fn head(&mut self, at: Point, is_rightward: bool, colour: &str) {
        let back = at.x + if is_rightward { -9 } else { 9 };
        let points = listed(&[at, Point { x: back, y: at.y - 5 }, Point { x: back, y: at.y + 5 }]);
        let _ = writeln!(self.0, "<polygon points=\"{points}\" fill=\"{colour}\"/>");
    }

    /// The whole drawing.
    pub(super) fn finish(self, size: Size, title: &str, description: &str) -> String {
        let Size { width, height } = size;
        let title = escaped(title);
        let description = description.lines().map(escaped).collect::<Vec<_>>().join("\n");
        let card = format!(
            "<rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"12\" fill=\"{CARD}\" stroke=\"{EDGE}\"/>",
            width - 1,
            height - 1
        );
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FONT}\">\n\
             <title>{title}</title>\n<desc>{description}</desc>\n{card}\n{}</svg>\n",
            self.0
        )
    }
}

/// How a rectangle looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) fill: &'static str,
    pub(super) edge: Option<&'static str>,
    pub(super) radius: i32,
    pub(super) is_dashed: bool,
}

/// How a line looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub(super) colour: &'static str,
    pub(super) width: &'static str,
    pub(super) dashes: &'static str,
}

fn listed(points: &[Point]) -> String {
    points.iter().map(|point| format!("{},{}", point.x, point.y)).collect::<Vec<_>>().join(" ")
}

/// The text as XML's character data or attribute value.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
