//! The flows of a column: headings, lanes, rows of steps, and the time of each lane.

use super::canvas::{
    ACCENT, BAD, BAD_GROUND, BAR, CARD, CHIP, Canvas, EDGE, GOOD_GROUND, INK, LINE, Point, QUIET, Shape,
    Size, Stroke, Type,
};
use crate::flow::Verdict;
use crate::flow::draw::phrases::span;
use crate::flow::draw::picture::{Picture, Row, Scene};
use crate::flow::draw::times::Part;

/// Around the drawing.
pub(super) const MARGIN: i32 = 28;
/// The height of a row.
const ROW: i32 = 44;
/// The height of a lane's name, and what it has around its text.
const HEAD: i32 = 28;
const PAD: i32 = 14;
/// Half of an activation bar.
const HALF: i32 = 5;
/// From a lane to the words of a step that it does by itself.
const LOOP: i32 = 36;
/// The widest particulars that move lanes apart.
const MOST_DETAIL: i32 = 300;
/// The least width of the text under a heading.
const LEAST_TEXT: i32 = 420;

/// From here to there, a lane takes part.
struct Bar {
    begin: i32,
    end: i32,
}

/// A column of scenes over the same lanes.
pub(super) struct Column<'a> {
    picture: &'a Picture,
    left: i32,
    /// Where each lane is.
    places: Vec<i32>,
    width: i32,
}

impl<'a> Column<'a> {
    pub(super) fn new(picture: &'a Picture, left: i32) -> Self {
        let rows = || picture.scenes.iter().flat_map(|scene| &scene.rows);
        let half = |name: &String| Type::LABEL.bold().width(name) / 2 + PAD;
        let mut x = left + MARGIN + picture.lanes.first().map_or(0, half);
        let mut places: Vec<i32> = Vec::new();
        let before = std::iter::once(None).chain(picture.lanes.iter().map(Some));
        for (n, (name, before)) in picture.lanes.iter().zip(before).enumerate() {
            if let (Some(last), Some(before)) = (places.last(), before) {
                // Beside the name before, and far enough for each message between this lane and one before.
                let mut least = last + half(before) + half(name) + PAD;
                for row in rows().filter(|row| row.from.max(row.to) == n && row.from != row.to) {
                    let other = places.get(row.from.min(row.to)).copied().unwrap_or(x);
                    least = least.max(other + words_width(row) + 2 * PAD + 2 * HALF);
                }
                x = least;
            }
            places.push(x);
        }
        let mut right = places.last().map_or(left, |last| last + picture.lanes.last().map_or(0, half));
        for row in rows().filter(|row| row.from == row.to) {
            let from = places.get(row.from).copied().unwrap_or(left);
            right = right.max(from + LOOP + words_width(row));
        }
        let width = (right - left + MARGIN).max(LEAST_TEXT);
        Self { picture, left, places, width }
    }

    pub(super) fn width(&self) -> i32 {
        self.width
    }

    fn place(&self, lane: usize) -> i32 {
        self.places.get(lane).copied().unwrap_or(self.left)
    }

    fn text_left(&self) -> i32 {
        self.left + MARGIN
    }

    fn text_width(&self) -> i32 {
        self.width - 2 * MARGIN
    }

    /// Draws title and note, and says where they end.
    pub(super) fn heading(&self, scene: &Scene, top: i32, canvas: &mut Canvas) -> i32 {
        let x = self.text_left();
        let mut y = top + Type::TITLE.size;
        canvas.text(Point { x, y }, &Type::TITLE.clip(&scene.heading(), self.text_width()), Type::TITLE);
        let look = Type::LABEL.coloured(QUIET);
        for line in lines(&scene.note, look, self.text_width()) {
            y += 22;
            canvas.text(Point { x, y }, &line, look);
        }
        y + 18
    }

    /// Draws the names of the lanes, their lines and the steps, and says where they end.
    pub(super) fn rows(&self, rows: &[Option<&Row>], top: i32, canvas: &mut Canvas) -> i32 {
        let first = top + HEAD + 8;
        let count = i32::try_from(rows.len()).unwrap_or(0);
        let end = first + count * ROW + 6;
        for (name, x) in self.picture.lanes.iter().zip(&self.places) {
            let look = Type::LABEL.bold();
            let half = look.width(name) / 2 + PAD;
            let line = Stroke { colour: LINE, width: "1", dashes: "2 4" };
            canvas.line(&[Point { x: *x, y: top + HEAD }, Point { x: *x, y: end }], line);
            let shape = Shape { fill: CHIP, edge: Some(EDGE), radius: 7, is_dashed: false };
            canvas.rect(Point { x: x - half, y: top }, Size { width: 2 * half, height: HEAD }, shape);
            canvas.middle(Point { x: *x, y: top + 19 }, name, look);
        }
        self.activations(rows, first, canvas);
        let tops = (0..).map(|n: i32| first + n * ROW);
        for (row, y) in rows.iter().zip(tops) {
            match row {
                Some(row) if row.from == row.to => self.own(row, y, canvas),
                Some(row) => self.message(row, y, canvas),
                None => self.gap(y, canvas),
            }
        }
        end
    }

    /// A bar on each lane for as long as it takes part; the client waits until the end.
    fn activations(&self, rows: &[Option<&Row>], first: i32, canvas: &mut Canvas) {
        let takes_part = |lane, row: &Option<&Row>| row.map(|row| row.from == lane || row.to == lane);
        for (lane, x) in self.places.iter().enumerate() {
            let mut bars: Vec<Bar> = Vec::new();
            let mut goes_on = false;
            for (y, row) in (0..).map(|n| first + n * ROW).zip(rows) {
                match (takes_part(lane, row), bars.last_mut()) {
                    (Some(true), Some(bar)) if goes_on || lane == 0 => bar.end = y + 38,
                    (Some(true), _) => bars.push(Bar { begin: y + 12, end: y + 38 }),
                    _ => {}
                }
                goes_on = takes_part(lane, row).unwrap_or(goes_on);
            }
            let shape = Shape { fill: BAR, edge: Some(ACCENT), radius: 3, is_dashed: false };
            for Bar { begin, end } in bars {
                canvas.rect(
                    Point { x: x - HALF, y: begin },
                    Size { width: 2 * HALF, height: end - begin },
                    shape,
                );
            }
        }
    }

    /// A step that a lane does by itself.
    fn own(&self, row: &Row, y: i32, canvas: &mut Canvas) {
        let x = self.place(row.from) + HALF;
        let (out, up, down) = (x + 18, y + 14, y + 32);
        let end = Point { x, y: down };
        let points = [Point { x, y: up }, Point { x: out, y: up }, Point { x: out, y: down }, end];
        canvas.line(&points, stroke(row));
        canvas.head(end, false, colour(row));
        let at = Point { x: x - HALF + LOOP, y: y + if row.detail.is_empty() { 28 } else { 20 } };
        let look = Type::LABEL.coloured(colour(row));
        if row.verdict == Verdict::Failed {
            note(at, &row.marked(), look, canvas);
        } else {
            canvas.text_over(at, &row.marked(), look);
        }
        let room = self.left + self.width - MARGIN - at.x;
        canvas.text_over(Point { y: y + 37, ..at }, &Type::SMALL.clip(&row.detail, room), Type::SMALL);
    }

    /// A message from one lane to another.
    fn message(&self, row: &Row, y: i32, canvas: &mut Canvas) {
        let is_rightward = row.to > row.from;
        let side = if is_rightward { HALF } else { -HALF };
        let (from, to) = (self.place(row.from) + side, self.place(row.to) - side);
        let (begin, end) = (Point { x: from, y: y + 25 }, Point { x: to, y: y + 25 });
        let middle = (from + to) / 2;
        canvas.line(&[begin, Point { x: to - side, ..end }], stroke(row));
        canvas.head(end, is_rightward, colour(row));
        if row.is_answer {
            let look = Type::LABEL.bold().coloured(colour(row));
            let text = look.clip(&answer(row), (to - from).abs() - 3 * PAD);
            return note(Point { x: middle - look.width(&text) / 2, y: y + 30 }, &text, look, canvas);
        }
        let look = Type::LABEL.coloured(colour(row));
        let label = row.marked();
        canvas.text_over(Point { x: middle - look.width(&label) / 2, y: y + 18 }, &label, look);
        let detail = Type::SMALL.clip(&row.detail, (to - from).abs() - PAD);
        canvas.text_over(
            Point { x: middle - Type::SMALL.width(&detail) / 2, y: y + 42 },
            &detail,
            Type::SMALL,
        );
    }

    /// A step that only the flow beside this one has.
    fn gap(&self, y: i32, canvas: &mut Canvas) {
        let (Some(first), Some(last)) = (self.places.first(), self.places.last()) else { return };
        let line = Stroke { colour: EDGE, width: "1", dashes: "1 5" };
        canvas.line(&[Point { x: *first, y: y + 25 }, Point { x: *last, y: y + 25 }], line);
    }

    /// Draws where the time went as a bar, and says where it ends.
    pub(super) fn times(&self, scene: &Scene, top: i32, canvas: &mut Canvas) -> i32 {
        let (x, width) = (self.text_left(), self.text_width());
        let total = scene.total_us.max(1);
        let y = top + 30;
        canvas.text(
            Point { x, y: top + 20 },
            &format!("{} in all", span(scene.total_us)),
            Type::SMALL.bold(),
        );
        if scene.parts.len() < 2 {
            return top + 24;
        }
        let mut at = x;
        for (part, fill) in scene.parts.iter().zip(fills(&scene.parts)) {
            let share = i64::try_from(part.us).unwrap_or(i64::MAX).saturating_mul(width.into());
            let share = share / i64::try_from(total).unwrap_or(i64::MAX);
            let share = i32::try_from(share).unwrap_or(0).clamp(2, (x + width - at).max(2));
            let shape = Shape { fill, edge: Some(CARD), radius: 0, is_dashed: false };
            canvas.rect(Point { x: at, y }, Size { width: share, height: 12 }, shape);
            at += share;
        }
        let mut line = Point { x, y: y + 30 };
        for (part, fill) in scene.parts.iter().zip(fills(&scene.parts)) {
            let text = format!("{} {}", part.name, span(part.us));
            let wide = 16 + Type::SMALL.width(&text) + PAD;
            if line.x > x && line.x + wide > x + width {
                line = Point { x, y: line.y + 18 };
            }
            let shape = Shape { fill, edge: None, radius: 2, is_dashed: false };
            canvas.rect(Point { y: line.y - 9, ..line }, Size { width: 10, height: 10 }, shape);
            canvas.text(Point { x: line.x + 16, ..line }, &text, Type::SMALL);
            line.x += wide;
        }
        line.y + 4
    }
}

/// The colours of the shares.
fn fills(parts: &[Part]) -> Vec<&'static str> {
    const FILLS: [(&str, &str); 7] = [
        ("limits", "#9c2f1f"),
        ("wait for hashing", "#d9a441"),
        ("hash", "#f4b754"),
        ("store", "#1b5e50"),
        ("sign", "#6b7fb3"),
        ("verify", "#4a7fa5"),
        ("application", "#8a5a83"),
    ];
    let fill = |part: &Part| FILLS.iter().find(|(name, _)| *name == part.name).map_or(LINE, |(_, fill)| fill);
    parts.iter().map(fill).collect()
}

fn colour(row: &Row) -> &'static str {
    match row.verdict {
        Verdict::Failed => BAD,
        Verdict::Passed => ACCENT,
        Verdict::Done => INK,
    }
}

fn stroke(row: &Row) -> Stroke {
    let dashes = match (row.verdict, row.is_answer) {
        (Verdict::Failed, _) => "5 3",
        (_, true) => "8 4",
        _ => "",
    };
    Stroke { colour: colour(row), width: "1.5", dashes }
}

/// A text on ground of its own: the verdict.
fn note(at: Point, text: &str, look: Type, canvas: &mut Canvas) {
    let is_bad = look.colour == BAD;
    let fill = if is_bad { BAD_GROUND } else { GOOD_GROUND };
    let shape = Shape { fill, edge: Some(look.colour), radius: 8, is_dashed: is_bad };
    let size = Size { width: look.width(text) + 16, height: 22 };
    canvas.rect(Point { x: at.x - 8, y: at.y - 16 }, size, shape);
    canvas.text(at, text, look);
}

/// What an answer says.
fn answer(row: &Row) -> String {
    if row.detail.is_empty() { row.marked() } else { format!("{} {}", row.marked(), row.detail) }
}

/// How wide the words of a step are; particulars may be clipped.
fn words_width(row: &Row) -> i32 {
    match row.is_answer {
        true => Type::LABEL.bold().width(&answer(row)).min(MOST_DETAIL) + 2 * PAD,
        false => Type::LABEL.width(&row.marked()).max(Type::SMALL.width(&row.detail).min(MOST_DETAIL)),
    }
}

/// The text in lines that are no wider than this.
fn lines(text: &str, look: Type, width: i32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let word = look.clip(word, width);
        match lines.last_mut() {
            Some(line) if look.width(&format!("{line} {word}")) <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}
