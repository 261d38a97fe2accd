//! The tables of lanes, verbs and labels as JSON, by which a page reads flows.

use serde_json::{Value, json};

use super::{Label, Lane, Verb};

/// `{lanes: [name], verbs: [{name, from, to, label, failed, sentence, source}], labels: [name]}`: in a flow, lanes, verbs
/// and labels are places in these lists.
pub fn words() -> Value {
    let verb = |verb: &Verb| {
        json!({
            "name": verb.name(),
            "from": verb.from().index(),
            "to": verb.to().index(),
            "label": verb.label(),
            "failed": verb.failed_label(),
            "sentence": verb.sentence(),
            "source": verb.source(),
        })
    };
    json!({
        "lanes": Lane::ALL.iter().map(|lane| lane.name()).collect::<Vec<_>>(),
        "verbs": Verb::ALL.iter().map(verb).collect::<Vec<_>>(),
        "labels": Label::ALL.iter().map(|label| label.name()).collect::<Vec<_>>(),
    })
}
