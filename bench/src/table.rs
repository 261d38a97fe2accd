//! The table that is printed: measured, goal, met or not.

use std::fmt;

/// A goal.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// Nothing: the line is for comparison.
    None,
}

impl Goal {
    fn met(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(goal) => Some(value >= goal),
            Self::AtMost(goal) => Some(value <= goal),
            Self::None => None,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(goal) => f.pad(&format!(">= {goal}")),
            Self::AtMost(goal) => f.pad(&format!("<= {goal}")),
            Self::None => f.pad("-"),
        }
    }
}

/// Prints the title row.
pub(crate) fn title() {
    println!("{:50} {:>9} {:>13}  {:8} from", "what", "measured", "goal", "met");
}

/// Prints one row, `from` telling what the value was made of.
pub(crate) fn row(what: &str, value: f64, goal: Goal, from: &str) {
    row_if(true, what, value, goal, from);
}

/// Prints one row whose goal is met only if `holds`, too.
pub(crate) fn row_if(holds: bool, what: &str, value: f64, goal: Goal, from: &str) {
    let met = match goal.met(value) {
        Some(met) if met && holds => "met",
        Some(_) => "NOT MET",
        None => "",
    };
    println!("{what:50} {value:>9.2} {goal:>13}  {met:8} {from}");
}
