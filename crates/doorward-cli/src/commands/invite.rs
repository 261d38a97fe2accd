//! `doorward invite`: invitations to register.

use clap::{Args, Subcommand};
use doorward::accounts::Actor;
use doorward::features::admin_users;
use doorward::users::rfc3339;
use doorward_core::email::Email;
use doorward_core::role::RoleName;

use super::{Outcome, user, with_app};
use crate::place::Place;

#[derive(Debug, Subcommand)]
pub(crate) enum Invite {
    /// Make a link by which somebody registers, once and within a week
    Create(Create),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Only for this address; without it for anybody who has the link
    #[arg(long)]
    email: Option<Email>,
    /// The role of the new user
    #[arg(long, default_value = "user")]
    role: RoleName,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Invite {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        let Self::Create(Create { email, role, json }) = self;
        with_app(place, async |app| {
            let (url, expires_at) = admin_users::invite(app, (email, role), Actor::CommandLine).await?;
            user::link(&url, &rfc3339(expires_at), json)
        })
        .await
    }
}
