//! Where the time of a request went.

use crate::flow::{Fact, Flow, Label, Lane, Step, Verb};

/// A share of a request's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) us: u64,
}

/// The shares that are measured, in the order in which they are drawn.
const NAMES: [&str; 7] = ["limits", "wait for hashing", "hash", "store", "verify", "sign", "application"];

/// What the measured steps took, and the rest; without what took no time.
pub(super) fn times(flow: &Flow) -> Vec<Part> {
    let sum = |name| flow.steps.iter().map(|step| share(step, name)).fold(0, u64::saturating_add);
    let mut parts: Vec<Part> = NAMES.into_iter().map(|name| Part { name, us: sum(name) }).collect();
    let measured = parts.iter().map(|part| part.us).fold(0, u64::saturating_add);
    parts.push(Part { name: "the rest", us: flow.total_us.saturating_sub(measured) });
    parts.retain(|part| part.us > 0);
    parts
}

/// How much of a step's time is of this kind.
fn share(step: &Step, name: &str) -> u64 {
    let took = step.took_us.unwrap_or(0);
    let waited = step.facts.iter().find_map(|fact| match fact {
        Fact::Span { label: Label::Waited, us } => Some(*us),
        _ => None,
    });
    let waited = waited.unwrap_or(0).min(took);
    match (name, step.verb, step.verb.to()) {
        ("limits", Verb::TakeGuess | Verb::GiveBackGuess, _) => took,
        ("wait for hashing", _, Lane::Hashing) => waited,
        ("hash", _, Lane::Hashing) => took - waited,
        ("store", _, Lane::Store) => took,
        ("verify", Verb::VerifySignature, _) | ("sign", Verb::SignToken, _) => took,
        ("application", _, Lane::Application) => took,
        _ => 0,
    }
}
