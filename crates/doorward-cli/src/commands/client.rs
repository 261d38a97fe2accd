//! `doorward client`: programs that may ask about tokens, end their sessions and follow the revocations.

use clap::{Args, Subcommand};
use doorward::internals::accounts::Actor;
use doorward_core::ClientId;
use doorward_core::name::DisplayName;
use serde_json::json;

use super::user::typed_id;
use super::{Outcome, with_app};
use crate::args::read;
use crate::failure::Failure;
use crate::output::{Answer, show_first};
use crate::place::Place;

#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// Register a client; prints its id and its secret, which nobody can show again
    Create(Create),
    /// List the clients, the oldest first
    List(List),
    /// Delete a client: a server learns of it within a second, and ends what it follows
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What you call it, such as the name of the application
    #[arg(long, value_parser = read::<DisplayName>)]
    name: DisplayName,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The client's id
    #[arg(value_parser = typed_id::<ClientId>)]
    client: ClientId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Client {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        with_app(place, async |app| match self {
            Self::Create(Create { name, json }) => {
                app.disk.has_room()?;
                let new = app.clients.prepare(&name);
                let (id, secret) = (new.id, new.secret());
                show_first(&match json {
                    true => Answer::json(&json!({ "client_id": id, "client_secret": *secret }))?,
                    false => Answer::text(format!("client_id: {id}\nclient_secret: {}", *secret)),
                })?;
                app.clients.register(new, &Actor::CommandLine).await.map_err(|error| {
                    let problem = Failure::from(error).problem;
                    Failure::new(problem, "nothing was registered: the secret above opens nothing; try again")
                })?;
                Ok(Answer::text(""))
            }
            Self::List(List { json }) => {
                Answer::rows(&app.clients.list().await?, &["client_id", "name", "created_at"], json)
            }
            Self::Delete(Delete { client, json }) => {
                app.disk.has_room()?;
                if !app.clients.delete(client, &Actor::CommandLine).await? {
                    let problem = format!("there is no client {client}");
                    return Err(Failure::new(problem, "`doorward client list` shows them"));
                }
                if json {
                    return Answer::json(&json!({ "client_id": client, "deleted": true }));
                }
                Ok(Answer::text(format!("Deleted the client {client}")))
            }
        })
        .await
    }
}
