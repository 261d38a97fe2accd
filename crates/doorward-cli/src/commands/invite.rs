//! `doorward invite`: invitations to register.

use clap::{Args, Subcommand};
use doorward::internals::accounts::Actor;
use doorward::internals::admin_users;
use doorward_core::email::Email;
use doorward_core::role::RoleName;

use super::{Outcome, user, with_room};
use crate::args::read;
use crate::place::Place;

#[derive(Debug, Subcommand)]
pub(crate) enum Invite {
    /// Make a link by which somebody registers, once and within a week
    Create(Create),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Only for this address; without it for anyone with the link
    #[arg(long, value_parser = read::<Email>)]
    email: Option<Email>,
    /// The role of the new user
    #[arg(long, default_value = "user", value_parser = read::<RoleName>)]
    role: RoleName,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Invite {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        let Self::Create(Create { email, role, json }) = self;
        with_room(place, async |app| {
            let actor = Actor::CommandLine;
            let new = admin_users::prepare_invitation(app, email, role, &actor)?;
            user::show_link(&new, json)?;
            user::made(admin_users::make_invitation(app, new, role, actor).await)
        })
        .await
    }
}
