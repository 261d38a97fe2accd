//! Two flows beside each other, and two below each other.

use serde::Serialize;

use crate::flow::{Fact, Flow, Step, Verdict};

/// Steps beside each other: a place in each flow, or a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Aligned {
    /// The place in the flow with JWT.
    pub jwt: Option<usize>,
    /// The place in the flow with a session id.
    pub session: Option<usize>,
}

/// Puts equal steps beside each other, as many as possible, and a gap beside each other one.
pub(super) fn align(jwt: Option<&Flow>, session: Option<&Flow>) -> Vec<Aligned> {
    let (Some(jwt), Some(session)) = (jwt, session) else { return Vec::new() };
    let (left, right) = (&jwt.steps, &session.steps);
    let width = right.len() + 1;
    // How many equal steps there are from here on, for each pair of places.
    let mut equal = vec![0_usize; (left.len() + 1) * width];
    let at = |equal: &[usize], l: usize, r: usize| equal.get(l * width + r).copied().unwrap_or(0);
    for (l, a) in left.iter().enumerate().rev() {
        for (r, b) in right.iter().enumerate().rev() {
            let most = if a.verb == b.verb {
                1 + at(&equal, l + 1, r + 1)
            } else {
                at(&equal, l + 1, r).max(at(&equal, l, r + 1))
            };
            if let Some(place) = equal.get_mut(l * width + r) {
                *place = most;
            }
        }
    }
    let (mut l, mut r, mut rows) = (0, 0, Vec::new());
    loop {
        let row = match (left.get(l), right.get(r)) {
            (Some(a), Some(b)) if a.verb == b.verb => Aligned { jwt: Some(l), session: Some(r) },
            (Some(_), Some(_)) if at(&equal, l + 1, r) >= at(&equal, l, r + 1) => {
                Aligned { jwt: Some(l), session: None }
            }
            (Some(_), None) => Aligned { jwt: Some(l), session: None },
            (_, Some(_)) => Aligned { jwt: None, session: Some(r) },
            (None, None) => return rows,
        };
        l += usize::from(row.jwt.is_some());
        r += usize::from(row.session.is_some());
        rows.push(row);
    }
}

/// The place of the first step that does something else than in the flow before, or ends otherwise.
pub(super) fn first_difference(before: &Flow, after: &Flow) -> Option<usize> {
    let step = |flow: &Flow, at: usize| flow.steps.get(at).map(outcome);
    (0..before.steps.len().max(after.steps.len()))
        .find(|at| step(before, *at) != step(after, *at))
        .map(|at| at.min(after.steps.len().saturating_sub(1)))
}

/// What counts as the result of a step: not its times, nor the ids in it.
fn outcome(step: &Step) -> impl PartialEq + use<> {
    let code = step.facts.iter().find_map(|fact| match fact {
        Fact::Text { label, text } => Some((*label, *text)),
        _ => None,
    });
    (step.verb, step.verdict == Verdict::Failed, code)
}
