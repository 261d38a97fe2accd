//! `doorward key`: the keys that sign access tokens.

use std::time::Duration;

use clap::{Args, Subcommand};
use doorward::internals::App;
use doorward::internals::keys::PUBLISH_BEFORE_USE;
use doorward::internals::users::rfc3339;
use doorward_core::token::Algorithm;
use serde_json::json;

use super::{Outcome, with_app};
use crate::output::Answer;
use crate::place::Place;

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// List the keys, the oldest first
    List(List),
    /// Make a new key; the others retire when it begins to sign, and verify until their last token is dead
    Rotate(Rotate),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// How long the new key is published before it signs [default: 10m]
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, conflicts_with = "now")]
    activate_in: Option<Duration>,
    /// Let it sign at once, and let the others verify nothing any more: for a key that is known to somebody else. Every
    /// client refreshes once; a program with the old key set refuses new tokens meanwhile
    #[arg(long)]
    now: bool,
    /// Its algorithm: ES256, EdDSA or RS256 [default: that of the key in force]
    #[arg(long, value_name = "ALGORITHM", value_parser = algorithm)]
    algorithm: Option<Algorithm>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    let algorithm = text.parse().ok().filter(|algorithm| *algorithm != Algorithm::Hs256);
    algorithm.ok_or_else(|| "must be ES256, EdDSA or RS256".to_owned())
}

impl Key {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        with_app(place, async |app| match self {
            Self::List(List { json }) => {
                let keys = app.keys.list(app.now()).await?;
                let columns =
                    ["kid", "algorithm", "state", "created_at", "activates_at", "retires_at", "removed_at"];
                Answer::rows(&keys, &columns, json)
            }
            Self::Rotate(rotate) => rotate.run(app).await,
        })
        .await
    }
}

impl Rotate {
    async fn run(self, app: &App) -> Outcome {
        // A leaked key is replaced at any time.
        if !self.now {
            app.disk.has_room()?;
        }
        let (algorithm, now) = (self.algorithm.unwrap_or_else(|| app.keys.algorithm()), app.now());
        let wait = if self.now { Duration::ZERO } else { self.activate_in.unwrap_or(PUBLISH_BEFORE_USE) };
        let activates_at = now + wait;
        let kid = match self.now {
            true => app.keys.replace(algorithm, now).await?,
            false => app.keys.rotate(algorithm, activates_at, now).await?,
        };
        let activates_at = rfc3339(activates_at);
        if self.json {
            return Answer::json(&json!({ "kid": kid, "activates_at": activates_at }));
        }
        let when = if wait.is_zero() { "from now on".to_owned() } else { format!("from {activates_at} on") };
        Ok(Answer::text(format!("Made the key {kid}; it signs {when}")))
    }
}
