//! `doorward hash`: a hash as the store keeps it, to import an account or to inspect.

use std::net::Ipv4Addr;
use std::sync::Arc;

use clap::Args;
use doorward::internals::hashing::{Hashing, Queue};
use serde_json::json;

use super::Outcome;
use crate::output::Answer;
use crate::password;
use crate::place::Place;

/// Hash a password as the settings say
///
/// The password is asked for at a terminal, else it is the first line of standard input.
#[derive(Debug, Args)]
pub(crate) struct Hash {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Hash {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        let settings = place.settings()?;
        let password = Arc::new(password::any()?);
        let hashing = Hashing::start(settings.hash_policy()?, Queue::of(&settings))?;
        let hash = hashing.hash(password, Ipv4Addr::LOCALHOST.into()).await?;
        if self.json { Answer::json(&json!({ "hash": hash })) } else { Ok(Answer::text(hash)) }
    }
}
