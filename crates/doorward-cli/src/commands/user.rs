//! `doorward user`: accounts.

use clap::{Args, Subcommand};
use doorward::internals::accounts::{Actor, UserChange};
use doorward::internals::admin_users::{self, CreateUser, ListedUser, NewLink, Search};
use doorward::internals::users::{User as Account, rfc3339};
use doorward::internals::{App, Error};
use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::role::RoleName;
use serde_json::json;

use super::user_import::Import;
use super::{Outcome, with_app, with_room};
use crate::args::read;
use crate::failure::Failure;
use crate::output::{Answer, Rows, show_first};
use crate::password;
use crate::place::Place;

/// How many users one query reads.
const PAGE: u32 = 1_000;
const COLUMNS: [&str; 6] = ["id", "name", "email", "role", "disabled", "created_at"];

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    Create(Create),
    Import(Import),
    /// List the accounts, the oldest first; of a search, first those that begin with the text
    List(List),
    /// Show an account
    Show(One),
    /// Give a user another role; access tokens with the old one are out of date at once
    Role(Role),
    /// Forbid a user to sign in, and end all of the user's sessions
    Disable(One),
    /// Allow a disabled user to sign in again
    Enable(One),
    /// Delete an account with all that belongs to it
    Delete(One),
    /// Set a user's password, and end all of the user's sessions
    Password(Password),
    /// Make a link by which a user sets a new password, once and within an hour
    ResetLink(One),
}

/// Make an account
///
/// Without a password, and without a terminal to ask for one at, the account gets none: its owner sets one by a link
/// from `doorward user reset-link`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The address to sign in with
    #[arg(long, value_parser = read::<Email>)]
    email: Email,
    /// The name that others see
    #[arg(long, value_parser = read::<DisplayName>)]
    name: DisplayName,
    /// The role: user, admin, or one of the settings
    #[arg(long, default_value = "user", value_parser = read::<RoleName>)]
    role: RoleName,
    #[command(flatten)]
    password: password::Source,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those with this in the name or the address
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those with this role
    #[arg(long, value_parser = read::<RoleName>)]
    role: Option<RoleName>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// The user's id or email address
    user: Who,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Role {
    /// The user's id or email address
    user: Who,
    /// The new role
    #[arg(value_parser = read::<RoleName>)]
    role: RoleName,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Password {
    /// The user's id or email address
    user: Who,
    #[command(flatten)]
    password: password::Source,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A user, by id or email address.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    Id(doorward_core::UserId),
    Email(Email),
}

impl std::str::FromStr for Who {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let id = typed_id(text).map(Self::Id);
        id.or_else(|_| text.parse().map(Self::Email)).map_err(|_| "neither an id nor an email address")
    }
}

/// An id as it was typed or pasted.
pub(super) fn typed_id<T: std::str::FromStr>(text: &str) -> Result<T, T::Err> {
    text.trim().to_ascii_lowercase().parse()
}

impl Who {
    /// The account.
    pub(crate) async fn find(&self, app: &App) -> Result<Account, Failure> {
        let (found, text) = match self {
            Self::Id(id) => (app.users.find(*id).await?, id.to_string()),
            Self::Email(email) => (app.users.find_by_email(email).await?, email.to_string()),
        };
        let account = found.ok_or_else(|| {
            Failure::new(format!("there is no user {text}"), "`doorward user list` shows them all")
        })?;
        Ok(account.user)
    }
}

impl User {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        match self {
            Self::Create(new) => create(new, place).await,
            Self::Import(import) => with_room(place, async |app| import.run(app).await).await,
            Self::List(list) => with_app(place, async |app| list.run(app).await).await,
            Self::Show(One { user, json }) => {
                with_app(place, async |app| shown(&user.find(app).await?, json)).await
            }
            Self::Role(Role { user, role, json }) => {
                let wanted = UserChange { role: Some(role), ..UserChange::default() };
                with_room(place, async |app| change(app, &user, wanted, json).await).await
            }
            Self::Disable(One { user, json }) => {
                let wanted = UserChange { disabled: Some(true), ..UserChange::default() };
                with_app(place, async |app| change(app, &user, wanted, json).await).await
            }
            Self::Enable(One { user, json }) => {
                let wanted = UserChange { disabled: Some(false), ..UserChange::default() };
                with_room(place, async |app| change(app, &user, wanted, json).await).await
            }
            Self::Delete(one) => with_room(place, async |app| delete(app, one).await).await,
            Self::Password(new) => with_app(place, async |app| set_password(app, new).await).await,
            Self::ResetLink(one) => with_room(place, async |app| reset_link(app, one).await).await,
        }
    }
}

async fn create(new: Create, place: &Place) -> Outcome {
    let password = new.password.new_password()?;
    let without = password.is_none();
    let app = place.open_or_make().await?;
    let user = CreateUser { name: new.name, email: new.email, role: new.role, password };
    let created = match app.disk.has_room() {
        Ok(()) => admin_users::create(&app, user, Actor::CommandLine).await,
        Err(error) => Err(error),
    };
    app.store.close().await;
    let user = created?;
    if new.json {
        return Answer::json(&ListedUser::from(&user));
    }
    let mut text = format!("Made {} <{}> with the role {}, id {}", user.name, user.email, user.role, user.id);
    if without {
        text.push_str(&format!(
            "\nIt has no password yet. Make a link to set one: doorward user reset-link {}",
            user.email
        ));
    }
    Ok(Answer::text(text))
}

impl List {
    async fn run(self, app: &App) -> Outcome {
        let mut search = Search { text: self.search, role: self.role, after: None };
        let mut users = Rows::new(&COLUMNS, self.json);
        loop {
            let (page, next) = admin_users::list_users(app, &search, PAGE, None).await?;
            users.page(&page)?;
            match next {
                Some(_) => search.after = next,
                None => return users.end(),
            }
        }
    }
}

async fn change(app: &App, user: &Who, change: UserChange, json: bool) -> Outcome {
    let user = user.find(app).await?;
    let user = app.accounts.change(user.id, change, Actor::CommandLine).await?;
    shown(&user, json)
}

async fn delete(app: &App, One { user, json }: One) -> Outcome {
    let user = user.find(app).await?;
    app.accounts.delete(user.id, Actor::CommandLine).await?;
    if json {
        return Answer::json(&json!({ "deleted": user.id }));
    }
    Ok(Answer::text(format!("Deleted {} <{}>, with all sessions", user.name, user.email)))
}

async fn set_password(app: &App, new: Password) -> Outcome {
    let user = new.user.find(app).await?;
    let sessions = admin_users::set_password(app, user.id, new.password.required()?).await?;
    if new.json {
        return Answer::json(&json!({ "user": user.id, "sessions": sessions }));
    }
    Ok(Answer::text(format!("{} <{}> has a new password; sessions ended: {sessions}", user.name, user.email)))
}

async fn reset_link(app: &App, One { user, json }: One) -> Outcome {
    let user = user.find(app).await?;
    let actor = Actor::CommandLine;
    let new = admin_users::prepare_reset(app, user.id, &actor);
    show_link(&new, json)?;
    made(admin_users::make_reset(app, new, user.id, actor).await)
}

/// Prints a one-time link before it is made: a link that was never shown opens nothing, and voids no older one. It is
/// on the first line, so that a program can read it there.
pub(super) fn show_link(new: &NewLink, json: bool) -> Result<(), Failure> {
    let (url, expires_at) = (&new.url, rfc3339(new.expires_at));
    show_first(&match json {
        true => Answer::json(&json!({ "url": url, "expires_at": expires_at }))?,
        false => Answer::text(format!(
            "{url}\nIt works once, until {expires_at}. Who has it can use it: send it safely."
        )),
    })
}

/// The result of making the printed link.
pub(super) fn made(outcome: Result<(), Error>) -> Outcome {
    outcome.map_err(|error| {
        Failure::new(
            Failure::from(error).problem,
            "nothing was made: the link above opens nothing; try again",
        )
    })?;
    Ok(Answer::text(""))
}

fn shown(user: &Account, json: bool) -> Outcome {
    let listed = ListedUser::from(user);
    if json { Answer::json(&listed) } else { Answer::rows(&[listed], &COLUMNS, false) }
}
