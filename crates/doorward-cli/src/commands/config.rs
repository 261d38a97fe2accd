//! `doorward config`: the settings, as this command and a server with the same flags see them.

use clap::{Args, Subcommand};
use doorward::internals::App;
use doorward::internals::settings::Origin;
use serde_json::json;

use super::{Outcome, with_room};
use crate::output::Answer;
use crate::place::{Place, secrets_given};

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check the settings and the secrets without starting anything
    Check,
    /// Print every setting with its value and where it comes from; passwords in it are hidden
    Print(Print),
    /// Make the issuer of these settings that of all servers on the database. They follow within a second, and still
    /// accept tokens of the former one. Then start each with the new public_url
    Adopt,
}

#[derive(Debug, Args)]
pub(crate) struct Print {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Config {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        match self {
            Self::Check => check(place),
            Self::Print(Print { json }) => print(place, json),
            Self::Adopt => with_room(place, adopt).await,
        }
    }
}

async fn adopt(app: &App) -> Outcome {
    app.adopt_issuer().await?;
    Ok(Answer::text(format!("All servers issue tokens as {} from now on", app.settings.issuer())))
}

fn check(place: &Place) -> Outcome {
    let settings = place.settings()?;
    secrets_given(&settings)?;
    Ok(Answer::text("The settings are good"))
}

fn print(place: &Place, json: bool) -> Outcome {
    check(place)?;
    let values = place.values()?;
    let rows: Vec<_> = values
        .shown()
        .map(|(key, value, origin)| {
            let from = if *origin == Origin::Default { String::new() } else { origin.to_string() };
            json!({ "setting": key, "value": value, "origin": if json { origin.to_string() } else { from } })
        })
        .collect();
    Answer::rows(&rows, &["setting", "value", "origin"], json)
}
