//! `doorward limits`: the limits on guesses and registrations.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Outcome, with_room};
use crate::output::Answer;
use crate::place::Place;

#[derive(Debug, Subcommand)]
pub(crate) enum Limits {
    /// Forget all counted guesses and registrations; a running server does so within a second
    Clear(Clear),
}

#[derive(Debug, Args)]
pub(crate) struct Clear {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Limits {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        let Self::Clear(Clear { json }) = self;
        with_room(place, async |app| {
            app.clear_limits().await?;
            if json {
                return Answer::json(&json!({ "cleared": true }));
            }
            Ok(Answer::text("Cleared the limits on guesses and registrations".to_owned()))
        })
        .await
    }
}
