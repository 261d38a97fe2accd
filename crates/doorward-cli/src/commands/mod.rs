//! The commands: one file each, with its arguments and its action.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod calibrate;
pub(crate) mod client;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod hash;
pub(crate) mod healthcheck;
pub(crate) mod invite;
pub(crate) mod key;
pub(crate) mod limits;
pub(crate) mod restored;
pub(crate) mod secret;
pub(crate) mod serve;
pub(crate) mod session;
pub(crate) mod store;
pub(crate) mod token;
mod token_explain;
pub(crate) mod tour;
pub(crate) mod user;
mod user_import;
pub(crate) mod verify_hash;

use std::time::Duration;

use doorward::internals::App;

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::output::Answer;
use crate::place::Place;

/// The result of a command.
pub(crate) type Outcome = Result<Answer, Failure>;

/// Runs the command.
pub(crate) fn run(cli: Cli) -> Outcome {
    let place = cli.place;
    match cli.command {
        Command::Serve(serve) => serve.run(place),
        Command::User(user) => wait_for(user.run(&place)),
        Command::Session(session) => wait_for(session.run(&place)),
        Command::Token(token) => token.run(&place),
        Command::Hash(hash) => wait_for(hash.run(&place)),
        Command::VerifyHash(verify) => verify.run(),
        Command::Calibrate(calibrate) => calibrate.run(),
        Command::Key(key) => wait_for(key.run(&place)),
        Command::Secret(secret) => wait_for(secret.run(&place)),
        Command::Store(store) => wait_for(store.run(&place)),
        Command::Backup(backup) => wait_for(backup.run(&place)),
        Command::Healthcheck(healthcheck) => wait_for(healthcheck.run(&place)),
        Command::Invite(invite) => wait_for(invite.run(&place)),
        Command::Client(client) => wait_for(client.run(&place)),
        Command::Limits(limits) => wait_for(limits.run(&place)),
        Command::Audit(audit) => wait_for(audit.run(&place)),
        Command::Config(config) => wait_for(config.run(&place)),
        Command::Restored(restored) => wait_for(restored.run(&place)),
        Command::Tour(tour) => wait_for(tour.run()),
        Command::Doctor(doctor) => wait_for(doctor.run(place)),
        Command::Completions(completions) => completions.run(),
    }
}

/// Runs one action on this thread. Its background tasks end with it, since the store is closed then.
fn wait_for(act: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(act);
    runtime.shutdown_timeout(Duration::ZERO);
    outcome
}

/// The same for an action that adds to the database: it is refused if the disk is nearly full, as the server refuses
/// it.
async fn with_room(place: &Place, act: impl AsyncFnOnce(&App) -> Outcome) -> Outcome {
    with_app(place, async |app| {
        app.disk.has_room()?;
        act(app).await
    })
    .await
}

/// Opens the existing installation, acts on it, and closes it.
async fn with_app(place: &Place, act: impl AsyncFnOnce(&App) -> Outcome) -> Outcome {
    let app = place.open().await?;
    let outcome = act(&app).await;
    app.store.close().await;
    outcome
}
