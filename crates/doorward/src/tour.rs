//! The tour: the flows of a sign-in server, played for people who want to see them, with JWT and session side by side.
//!
//! Each play opens a server of its own: its store is in memory, and keys, clock, limits and cookie names are its own.
//! The play sends the requests of a script to it in this process, and keeps the recorded flows. Then all of it is
//! dropped. So a play reads and changes nothing of the server that offers the tour, and no clock but its own moves.
//!
//! Two plays of a script give equal flows: the clock starts at a fixed time, steps take their usual time, and ids are
//! named in the order of their appearance.

mod compare;
mod names;
mod scripts;
mod stage;

use std::time::Duration;

use doorward_core::password_hash::HashPolicy;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use crate::app::OpenInner;
use crate::error::{Error, Result};
use crate::flow::Flow;
pub use compare::Aligned;
use compare::{align, first_difference};
pub use scripts::{Break, Part, SCRIPTS, Scene, Script};
use stage::Stage;

/// How many plays run at once; further ones wait.
const PLAYS: usize = 2;
static TURNS: Semaphore = Semaphore::const_new(PLAYS);
/// How long a play may take, and how long one may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of the two columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// An access token that says who sent the request.
    Jwt,
    /// A session id that the server looks up.
    Session,
}

/// A played script.
#[derive(Debug, Clone, Serialize)]
pub struct Played {
    /// The script.
    pub script: &'static Script,
    /// What was broken after it; then only that is in `scenes`.
    pub broken: Option<Break>,
    /// Its scenes, in their order.
    pub scenes: Vec<PlayedScene>,
}

/// A played scene: the same act in both columns.
#[derive(Debug, Clone, Serialize)]
pub struct PlayedScene {
    /// Title and caption.
    #[serde(flatten)]
    pub scene: &'static Scene,
    /// With JWT.
    pub jwt: PlayedPart,
    /// With a session id.
    pub session: PlayedPart,
    /// Which steps are the same in both; empty if one column has no request.
    pub aligned: Vec<Aligned>,
}

/// One column of a played scene.
#[derive(Debug, Clone, Serialize)]
pub struct PlayedPart {
    /// What happens, and why it is safe.
    #[serde(flatten)]
    pub part: &'static Part,
    /// The request; `None` if this column needs none here.
    pub flow: Option<Flow>,
    /// Whether a program that only checks signature and expiry would accept the token of this request.
    pub plain_accepts: bool,
    /// The first step that differs from the scene before, after something was broken.
    pub difference: Option<usize>,
}

impl PlayedScene {
    /// This column of it.
    pub fn part(&self, column: Column) -> &PlayedPart {
        match column {
            Column::Jwt => &self.jwt,
            Column::Session => &self.session,
        }
    }
}

/// The script of this name.
pub fn script(name: &str) -> Option<&'static Script> {
    SCRIPTS.iter().find(|script| script.name == name)
}

/// Plays a script; and then, if something is to be broken, that instead of it.
///
/// # Errors
/// [`Error::Overloaded`] if other plays take too long, or this one does; [`Error::Unavailable`] if the server could not
/// be opened.
pub(crate) async fn play(
    open: OpenInner,
    policy: HashPolicy,
    script: &'static Script,
    broken: Option<Break>,
) -> Result<Played> {
    let turn = timeout(PATIENCE, TURNS.acquire()).await;
    let turn = turn.map_err(|_| Error::Overloaded)?.map_err(|_| Error::Overloaded)?;
    // A task of its own: nothing of the request that asks is in it, and a panic ends it alone. It writes no log lines,
    // which would read as if they were about the server that offers the tour.
    let playing = async move {
        let _turn = turn;
        timeout(PATIENCE, both_columns(open, policy, script, broken)).await
    };
    let played = tokio::spawn(playing.with_subscriber(NoSubscriber::default())).await;
    let played = played.map_err(|_| Error::unavailable("the tour failed", "it panicked"))?;
    played.map_err(|_| Error::Overloaded)?
}

async fn both_columns(
    open: OpenInner,
    policy: HashPolicy,
    script: &'static Script,
    broken: Option<Break>,
) -> Result<Played> {
    let stage = async |column| Stage::open(open, policy, column).await;
    let jwt = column(stage(Column::Jwt).await?, script, broken).await?;
    let session = column(stage(Column::Session).await?, script, broken).await?;
    let scenes = broken.map_or(script.scenes, Break::scenes);
    let scenes = scenes.iter().zip(jwt.into_iter().zip(session));
    let scenes = scenes.map(|(scene, (jwt, session))| PlayedScene {
        aligned: align(jwt.flow.as_ref(), session.flow.as_ref()),
        scene,
        jwt,
        session,
    });
    Ok(Played { script, broken, scenes: scenes.collect() })
}

/// Plays one column on a stage of its own.
async fn column(mut stage: Stage, script: &'static Script, broken: Option<Break>) -> Result<Vec<PlayedPart>> {
    let mut played = Vec::new();
    for scene in script.scenes {
        played.push(stage.play(script.name, scene).await?);
    }
    if let Some(broken) = broken {
        played.clear();
        for scene in broken.scenes() {
            let mut part = stage.play(broken.name(), scene).await?;
            let before = played.last().and_then(|before: &PlayedPart| before.flow.as_ref());
            part.difference = before.zip(part.flow.as_ref()).and_then(|(a, b)| first_difference(a, b));
            played.push(part);
        }
    }
    stage.close().await;
    Ok(played)
}

#[cfg(test)]
mod tests;
