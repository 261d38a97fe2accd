//! Two flows side by side: equal steps stand beside each other.

use crate::flow::draw::picture::Row;

/// The rows that stand beside each other; a gap if only one flow has the step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beside<'a> {
    pub(super) left: Option<&'a Row>,
    pub(super) right: Option<&'a Row>,
}

/// As many equal verbs beside each other as possible, in their order.
pub(super) fn align<'a>(left: &'a [Row], right: &'a [Row]) -> Vec<Beside<'a>> {
    let (mut lefts, mut rights) = (left, right);
    let common = common(left, right);
    let at = |lefts: &[Row], rights: &[Row]| {
        let row = common.get(left.len() - lefts.len());
        row.and_then(|row| row.get(right.len() - rights.len())).copied().unwrap_or(0)
    };
    let mut rows = Vec::new();
    loop {
        rows.push(match (lefts.split_first(), rights.split_first()) {
            (None, None) => return rows,
            (Some((one, rest)), Some((other, others))) if one.verb == other.verb => {
                (lefts, rights) = (rest, others);
                Beside { left: Some(one), right: Some(other) }
            }
            (Some((one, rest)), others) if others.is_none() || at(rest, rights) >= at(lefts, rights) => {
                lefts = rest;
                Beside { left: Some(one), right: None }
            }
            (_, Some((other, others))) => {
                rights = others;
                Beside { left: None, right: Some(other) }
            }
            (Some((one, rest)), None) => {
                lefts = rest;
                Beside { left: Some(one), right: None }
            }
        });
    }
}

/// How many verbs the rows from these places on have in common.
fn common(left: &[Row], right: &[Row]) -> Vec<Vec<usize>> {
    let mut table = vec![vec![0; right.len() + 1]];
    for one in left.iter().rev() {
        let below = table.last().cloned().unwrap_or_default();
        let mut row = vec![0];
        for (n, other) in right.iter().enumerate().rev() {
            let diagonal = below.get(n + 1).copied().unwrap_or(0);
            let down = below.get(n).copied().unwrap_or(0);
            let after = row.last().copied().unwrap_or(0);
            row.push(if one.verb == other.verb { diagonal + 1 } else { down.max(after) });
        }
        row.reverse();
        table.push(row);
    }
    table.reverse();
    table
}
