//! `doorward backup`: a copy of a SQLite database.

use std::path::PathBuf;

use clap::Args;
use doorward::internals::store::{Store, StoreSettings};
use serde_json::json;

use super::Outcome;
use crate::output::Answer;
use crate::place::{Place, existing};
use crate::telemetry::{self, Speaker};

/// Copy the SQLite database into a new file, while the server goes on, and check the copy
///
/// The file is only for its owner. The root secret is not in it: keep a copy of secret.key in another place.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to write
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        let settings = place.settings()?;
        telemetry::start(&settings, Speaker::Command);
        existing(&settings)?;
        let bytes = Store::back_up(&StoreSettings { database: settings.database() }, &self.file).await?;
        if self.json {
            return Answer::json(&json!({ "file": self.file, "bytes": bytes }));
        }
        let file = self.file.display();
        Ok(Answer::text(format!("Copied the database to {file}: {bytes} bytes, checked")))
    }
}
