//! `doorward verify-hash`: whether a hash is the hash of a password.

use clap::Args;
use doorward_core::password_hash::{Scratch, describe, verify};
use serde_json::json;

use super::Outcome;
use crate::failure::Failure;
use crate::output::Answer;
use crate::password;

/// Say whether a password is the one of a hash, and what the hash is
///
/// The password is asked for at a terminal, else it is the first line of standard input. Exit code 1: it is not.
#[derive(Debug, Args)]
pub(crate) struct VerifyHash {
    /// A bcrypt or argon2 hash
    hash: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl VerifyHash {
    pub(crate) fn run(self) -> Outcome {
        let refused =
            |error| Failure::new(format!("the hash {error}"), "put it into single quotes: it contains $");
        let kind = describe(&self.hash).map_err(refused)?.to_string();
        let matches = verify(&password::any()?, &self.hash, &mut Scratch::default()).map_err(refused)?;
        if self.json {
            return Ok(Answer::json(&json!({ "matches": matches, "hash": kind }))?.good(matches));
        }
        let verdict = if matches { "The password matches" } else { "The password does not match" };
        Ok(Answer::text(format!("{verdict}: {kind}")).good(matches))
    }
}
