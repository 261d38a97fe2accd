//! `doorward session`: who is signed in.

use clap::{Args, Subcommand};
use doorward::internals::App;
use doorward::internals::accounts::Actor;
use doorward::internals::admin_users;
use doorward_core::SessionId;
use serde_json::json;

use super::user::{Who, typed_id};
use super::{Outcome, with_app};
use crate::failure::Failure;
use crate::output::{Answer, Rows};
use crate::place::Place;

/// How many sessions one query reads.
const PAGE: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// List the live sessions, of one user or of all, the newest first
    List(List),
    /// End one session, or all of a user: log out everywhere
    End(End),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// The user's id or email address
    user: Option<Who>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct End {
    /// The session's id
    #[arg(required_unless_present = "user", conflicts_with = "user", value_parser = typed_id::<SessionId>)]
    session: Option<SessionId>,
    /// All sessions of the user with this id or email address
    #[arg(long)]
    user: Option<Who>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Session {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        with_app(place, async |app| match self {
            Self::List(List { user: Some(user), json }) => of_user(app, &user, json).await,
            Self::List(List { user: None, json }) => all(app, json).await,
            Self::End(end) => end.run(app).await,
        })
        .await
    }
}

async fn of_user(app: &App, user: &Who, json: bool) -> Outcome {
    let sessions = admin_users::sessions_of(app, user.find(app).await?.id, None).await?;
    Answer::rows(&sessions, &["id", "mode", "created_at", "last_seen_at", "expires_at", "ip", "device"], json)
}

async fn all(app: &App, json: bool) -> Outcome {
    let columns = &["id", "user_id", "mode", "created_at", "last_seen_at", "expires_at", "ip"];
    let (mut after, mut sessions) = (None, Rows::new(columns, json));
    loop {
        let (page, next) = admin_users::list_sessions(app, after, PAGE, None).await?;
        sessions.page(&page)?;
        match next {
            Some(_) => after = next,
            None => return sessions.end(),
        }
    }
}

impl End {
    async fn run(self, app: &App) -> Outcome {
        let ended = match (self.session, self.user) {
            (Some(session), _) => end_one(app, session).await?,
            (None, Some(user)) => {
                admin_users::end_sessions(app, user.find(app).await?.id, Actor::CommandLine).await?
            }
            (None, None) => return Err(Failure::new("no session is named", "give its id, or --user")),
        };
        if self.json {
            Answer::json(&json!({ "sessions": ended }))
        } else {
            Ok(Answer::text(format!("Sessions ended: {ended}")))
        }
    }
}

async fn end_one(app: &App, session: SessionId) -> Result<u32, Failure> {
    match admin_users::end_session(app, session, Actor::CommandLine).await? {
        0 => Err(Failure::new(
            format!("there is no live session {session}"),
            "`doorward session list` shows them; what has ended stays ended",
        )),
        ended => Ok(ended),
    }
}
