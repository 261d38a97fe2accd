use std::str::FromStr;

use clap::{Parser, Subcommand};
use doorward_core::message::Message;

use crate::commands;
use crate::place::Place;

/// Doorward signs people in: accounts, sessions and tokens, with a logout that counts at once.
#[derive(Debug, Parser)]
#[command(name = "doorward", version, max_term_width = 100, propagate_version = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands, one file each in `commands/`. Those without a line here have it in their file.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(commands::serve::Serve),
    /// Make, list and change accounts
    #[command(subcommand)]
    User(commands::user::User),
    /// See who is signed in, and end sessions
    #[command(subcommand)]
    Session(commands::session::Session),
    /// Look into access tokens: why one is accepted or refused
    #[command(subcommand)]
    Token(commands::token::Token),
    Hash(commands::hash::Hash),
    VerifyHash(commands::verify_hash::VerifyHash),
    Calibrate(commands::calibrate::Calibrate),
    /// See and rotate the keys that sign access tokens
    #[command(subcommand)]
    Key(commands::key::Key),
    /// Change the root secret, without signing anybody out
    #[command(subcommand)]
    Secret(commands::secret::Secret),
    /// Move everything to another database
    #[command(subcommand)]
    Store(commands::store::Store),
    Backup(commands::backup::Backup),
    Healthcheck(commands::healthcheck::Healthcheck),
    /// Invite somebody to register
    #[command(subcommand)]
    Invite(commands::invite::Invite),
    /// Register programs that may ask about tokens and follow the revocations
    #[command(subcommand)]
    Client(commands::client::Client),
    /// Clear the limits on guesses and registrations
    #[command(subcommand)]
    Limits(commands::limits::Limits),
    /// Read the audit log
    #[command(subcommand)]
    Audit(commands::audit::Audit),
    /// Check and print the settings
    #[command(subcommand)]
    Config(commands::config::Config),
    Restored(commands::restored::Restored),
    Tour(commands::tour::Tour),
    Doctor(commands::doctor::Doctor),
    Completions(commands::completions::Completions),
}

/// Reads a value whose error is a message, in English.
pub(crate) fn read<T: FromStr<Err: Into<Message>>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|problem: T::Err| doorward::internals::english(&problem.into()).into_owned())
}
