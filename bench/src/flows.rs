//! What it costs to see requests: servers that record flows beside one that doesn't, in turns.

use crate::http::get;
use crate::load::saturate;
use crate::pairs::Pairs;
use crate::server::{Cores, Server, Signing};
use crate::table::{Goal, row};
use crate::users::{Mode, register};
use crate::{Effort, Result};

/// Measures a server whose requests are watched, within the recorder's budget, and one that keeps every refusal.
pub(crate) fn measure(cores: Cores, effort: Effort) -> Result<()> {
    let start = |sample: &str| -> Result<_> {
        let server = Server::doorward_setting(cores, Signing::Hs256, "DOORWARD_FLOW_SAMPLE", sample)?;
        let request = get("/profile", &register(&server, 0, Mode::Bearer)?);
        Ok((server, request))
    };
    let (off, watched, errors) = (start("off")?, start("100%")?, start("errors")?);
    let (mut of_watched, mut of_errors, mut recording) =
        (Pairs::default(), Pairs::default(), Pairs::default());
    for _ in 0..effort.rounds {
        let [off, watched, errors] = [&off, &watched, &errors]
            .map(|(server, request)| saturate(server, request, effort.span).map(|load| load.cpu));
        let (off, watched, errors) = (off?, watched?, errors?);
        of_watched.push(watched, off);
        of_errors.push(errors, off);
        recording.push(errors - off, 1.0);
    }
    let from =
        |pairs: &Pairs| format!("{:.1} / {:.1} µs a request, medians", pairs.ours(), pairs.yardstick());
    row("watched, CPU / unwatched", of_watched.ratio(), Goal::AtMost(1.05), &from(&of_watched));
    row("flow.sample = errors, CPU / off", of_errors.ratio(), Goal::None, &from(&of_errors));
    row("one recorded flow, µs", recording.ours(), Goal::AtMost(5.0), "the difference of the line above");
    Ok(())
}
