//! Flows as SVG: text and shapes only, with their own ground, so that they are legible on light and dark pages.

mod align;
mod canvas;
mod column;

use align::align;
use canvas::{Canvas, Size};
use column::{Column, MARGIN};

use super::Titled;
use super::phrases::span;
use super::picture::{Picture, Scene};
use crate::flow::Flow;

/// The flow as SVG.
pub fn svg(flow: &Flow) -> String {
    svg_of(&[Titled::from(flow)])
}

/// The flows as SVG, one below the other, over the same lanes.
pub fn svg_of(flows: &[Titled<'_>]) -> String {
    svg_pair(flows, &[])
}

/// Two sequences of flows as SVG, side by side: equal steps have equal heights, and a step that one of them saves is a
/// gap.
pub fn svg_pair(left: &[Titled<'_>], right: &[Titled<'_>]) -> String {
    let pictures: Vec<Picture> =
        [left, right].into_iter().filter(|flows| !flows.is_empty()).map(Picture::of).collect();
    let mut columns: Vec<Column<'_>> = Vec::new();
    let mut width = 0;
    for picture in &pictures {
        let column = Column::new(picture, width);
        width += column.width();
        columns.push(column);
    }
    let mut canvas = Canvas::new();
    let mut y = MARGIN;
    for n in 0..pictures.iter().map(|picture| picture.scenes.len()).max().unwrap_or(0) {
        let scenes: Vec<Option<&Scene>> = pictures.iter().map(|picture| picture.scenes.get(n)).collect();
        y = scene(&columns, &scenes, y, &mut canvas);
    }
    canvas.finish(
        Size { width: width.max(2 * MARGIN), height: y.max(2 * MARGIN) },
        &title(&pictures),
        &description(&pictures),
    )
}

/// Draws a scene, or two side by side, and says where it ends.
fn scene(columns: &[Column<'_>], scenes: &[Option<&Scene>], top: i32, canvas: &mut Canvas) -> i32 {
    let rows = |n: usize| scenes.get(n).copied().flatten().map_or(&[][..], |scene| &scene.rows);
    let beside = align(rows(0), rows(1));
    let there = || columns.iter().zip(scenes).filter_map(|(column, scene)| Some((column, (*scene)?)));
    let mut y = top;
    for (column, scene) in there() {
        y = y.max(column.heading(scene, top, canvas));
    }
    let below = y;
    for (n, (column, scene)) in there().enumerate() {
        let rows: Vec<_> = beside.iter().map(|row| if n == 0 { row.left } else { row.right }).collect();
        let end = column.rows(&rows, below, canvas);
        y = y.max(column.times(scene, end, canvas));
    }
    y + MARGIN
}

fn title(pictures: &[Picture]) -> String {
    let titles: Vec<_> =
        pictures.iter().filter_map(|picture| picture.scenes.first()).map(Scene::heading).collect();
    titles.join(", and ")
}

/// The whole drawing in words.
fn description(pictures: &[Picture]) -> String {
    let mut out = String::new();
    for picture in pictures {
        let name = |place: usize| picture.lanes.get(place).map_or("", String::as_str);
        for scene in &picture.scenes {
            out.push_str(&format!("{}. {}\n", scene.heading(), scene.note));
            for (n, row) in scene.rows.iter().enumerate() {
                let way = match row.from == row.to {
                    true => name(row.from).to_owned(),
                    false => format!("{} to {}", name(row.from), name(row.to)),
                };
                let detail = if row.detail.is_empty() { String::new() } else { format!(" ({})", row.detail) };
                out.push_str(&format!("{}. {way}: {}{detail}.\n", n + 1, row.marked()));
            }
            out.push_str(&format!("It took {}.\n", span(scene.total_us)));
        }
    }
    out
}
