//! `doorward audit`: who signed in, who failed to, what admins did.

use clap::{Args, Subcommand};
use doorward::internals::audit;

use super::{Outcome, with_app};
use crate::output::Rows;
use crate::place::Place;

/// How many entries one query reads.
const PAGE: u32 = 1_000;
const COLUMNS: [&str; 8] = ["at", "action", "actor", "occurrences", "user_id", "actor_id", "ip", "detail"];

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List the entries, the newest first
    List(List),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// How many entries at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub(crate) async fn run(self, place: &Place) -> Outcome {
        let Self::List(List { limit, json }) = self;
        with_app(place, async |app| {
            let (mut after, mut left, mut rows) = (None, limit, Rows::new(&COLUMNS, json));
            loop {
                let page = audit::page(&app.store, after, left.min(PAGE), None).await?;
                rows.page(&page)?;
                left -= left.min(PAGE);
                after = page.last().map(|entry| entry.id);
                if left == 0 || page.len() < PAGE as usize {
                    return rows.end();
                }
            }
        })
        .await
    }
}
