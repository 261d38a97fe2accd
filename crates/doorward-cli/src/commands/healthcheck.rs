//! `doorward healthcheck`: for what starts and restarts the server, such as a container engine.

use clap::Args;
use doorward::internals::Health;

use super::Outcome;
use crate::failure::Failure;
use crate::output::Answer;
use crate::place::Place;

/// Ask the server of these settings whether it answers
///
/// Exit code 1: it doesn't, or it says that it can't work. For container engines: the image needs no other program.
#[derive(Debug, Args)]
pub(crate) struct Healthcheck {
    /// Ask whether it is ready for requests (/readyz), and not only whether it is alive (/healthz)
    #[arg(long)]
    ready: bool,
}

impl Healthcheck {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        let settings = place.settings()?;
        let path = if self.ready { "/readyz" } else { "/healthz" };
        let hint = "see its log, and that this runs with the same settings";
        match Health::ask(&settings, path).await {
            Ok(Health { status: 200, .. }) => Ok(Answer::text("ok")),
            Ok(Health { status, address }) => {
                Err(Failure::new(format!("{path} at {address} answers {status}"), hint))
            }
            Err(error) => {
                Err(Failure::new(format!("no answer at {}: {error}", Health::address(&settings)), hint))
            }
        }
    }
}
