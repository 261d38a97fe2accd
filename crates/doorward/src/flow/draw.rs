//! Flows as drawings: SVG, text for a terminal, Mermaid, and a file that others can open.
//!
//! All of them are pure functions of the flows. Sessions and users are named by their order ("session 1"), so that two
//! runs with the same steps and durations give the same bytes.

mod file;
mod mermaid;
mod phrases;
mod picture;
mod plain;
mod svg;
mod text;
mod times;

#[cfg(test)]
mod tests;

pub use file::file;
pub use mermaid::mermaid;
pub use svg::{svg, svg_of, svg_pair};
pub use text::{Style, text};

use super::Flow;

/// A flow with the heading under which it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Titled<'a> {
    /// The heading; if empty, method, route and status.
    pub title: &'a str,
    /// One or two sentences below it; may be empty.
    pub note: &'a str,
    /// The flow.
    pub flow: &'a Flow,
}

impl<'a> From<&'a Flow> for Titled<'a> {
    fn from(flow: &'a Flow) -> Self {
        Self { title: "", note: "", flow }
    }
}
