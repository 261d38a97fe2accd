//! `doorward secret`: changing the root secret.

use clap::{Args, Subcommand};
use doorward::internals::App;
use doorward::internals::root_rotation::Stage;
use doorward::internals::settings::{RootSource, drop_former_root, make_other_root};
use doorward::internals::users::rfc3339;
use serde_json::json;

use super::Outcome;
use crate::failure::Failure;
use crate::output::Answer;
use crate::place::{Place, secrets};

#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// Put a new root secret in force; what was made under the former one stays valid
    ///
    /// With secret.key, the first run makes a second one beside it. With DOORWARD_SECRET, set DOORWARD_SECRET_OTHER to the
    /// new one on every server. Restart the servers, and run it again.
    Rotate(Rotate),
    /// Drop the former root secret, once all that it signed has expired
    Retire(Retire),
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Retire {
    /// Drop it at once: somebody else knows it. Who has not refreshed since the change must sign in again
    #[arg(long)]
    now: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Secret {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        let settings = place.settings()?;
        // Opening the installation takes the secrets, and only they say where they come from.
        let source = secrets(&settings)?.root_source;
        let app = place.open().await?;
        let outcome = match self {
            Self::Rotate(Rotate { json }) => rotate(&app, &source, json).await,
            Self::Retire(retire) => retire.run(&app, &source).await,
        };
        app.store.close().await;
        outcome
    }
}

async fn rotate(app: &App, source: &RootSource, json: bool) -> Outcome {
    match (app.stage_of_root_rotation().await?, source) {
        (Stage::One, RootSource::Variable) => Err(Failure::new(
            "there is no new root secret yet",
            "set DOORWARD_SECRET_OTHER to the output of `openssl rand -base64 32` on every server, restart them, and run \
             this again",
        )),
        (Stage::One, _) => {
            let file = make_other_root(&app.settings)?;
            let text = format!(
                "Made {}: restart the server, and run this again. Keep a copy of it beside that of secret.key",
                file.display()
            );
            answer(json, "made", text)
        }
        (Stage::Unannounced, _) => Err(Failure::new(
            "no server has been started with the new root secret yet",
            "restart every server with it, and run this again",
        )),
        (Stage::Ready, _) => {
            app.rotate_root().await?;
            let from = rfc3339(app.now() + app.settings.refresh_ttl);
            let text = format!(
                "The new root secret is in force. From {from} on nothing needs the former one: `doorward secret retire`"
            );
            answer(json, "in_force", text)
        }
        (Stage::Changed(_), _) => Err(Failure::new(
            "the root secret was changed, and the former one is still known",
            "`doorward secret retire` drops that; then it can be changed again",
        )),
    }
}

impl Retire {
    async fn run(self, app: &App, source: &RootSource) -> Outcome {
        let Stage::Changed(at) = app.stage_of_root_rotation().await? else {
            return Err(Failure::new(
                "there is no former root secret",
                "`doorward secret rotate` changes the root secret",
            ));
        };
        let until = at + app.settings.refresh_ttl;
        if !self.now && app.now() < until {
            let problem =
                format!("refresh tokens of the former root secret are valid until {}", rfc3339(until));
            return Err(Failure::new(problem, "wait, or name --now: their owners must sign in again"));
        }
        if *source == RootSource::Variable {
            return Err(Failure::new(
                "the root secrets are given by variables",
                "on every server, set DOORWARD_SECRET to the new one, unset DOORWARD_SECRET_OTHER, and restart",
            ));
        }
        drop_former_root(&app.settings)?;
        answer(self.json, "retired", "secret.key holds the new root secret only: restart the server".into())
    }
}

fn answer(json: bool, state: &str, text: String) -> Outcome {
    if json { Answer::json(&json!({ "state": state })) } else { Ok(Answer::text(text)) }
}
