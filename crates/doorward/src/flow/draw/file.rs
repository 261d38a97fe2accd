//! A flow as a file.

use serde_json::{Value, json};

use crate::flow::{Flow, Label, Lane, Verb};

/// The version of the shape.
const VERSION: u32 = 1;

/// The flow as a file that can be mailed: `{doorward_flow: 1, words: {lanes, verbs, labels}, flow}`. `words` has how many
/// lanes, verbs and labels the writer knew. In `flow`, verbs and labels are places in those tables, instants are
/// milliseconds since 1970, spans microseconds. It has no address, no user agent and no secret.
pub fn file(flow: &Flow) -> Value {
    json!({
        "doorward_flow": VERSION,
        "words": { "lanes": Lane::ALL.len(), "verbs": Verb::ALL.len(), "labels": Label::ALL.len() },
        "flow": flow,
    })
}
