//! Which process migrates a shared database.
//!
//! Some engines commit each change of the schema by itself, so a transaction keeps no other process off. The turn is a
//! row that is committed before the first change, and counts signs of life, one each second. A process that waits and sees
//! the same count for [`SILENT_AFTER`], by its own steady clock, takes the turn over.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Store, StoreError, Tx, values};
use crate::clock::steady;

pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS migration_turns \
     (id BIGINT PRIMARY KEY, holder BIGINT NOT NULL, beats BIGINT NOT NULL)";
const TAKE: &str = "INSERT INTO migration_turns (id, holder, beats) VALUES (1, $1, 0) ON CONFLICT DO NOTHING";
const SEEN: &str = "SELECT holder, beats FROM migration_turns WHERE id = 1";
const TAKE_OVER: &str =
    "UPDATE migration_turns SET holder = $1, beats = 0 WHERE id = 1 AND holder = $2 AND beats = $3";
const BEAT: &str = "UPDATE migration_turns SET beats = beats + 1 WHERE id = 1 AND holder = $1";
const GIVE_BACK: &str = "DELETE FROM migration_turns WHERE id = 1 AND holder = $1";

/// How often the holder shows that it lives.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// How long a holder may be silent: it has died, or it stands still.
pub(super) const SILENT_AFTER: Duration = Duration::from_secs(10);
/// How often a process that waits looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The turn to migrate, as this process sees it.
pub(super) struct Turn {
    own: i64,
    seen: Option<Seen>,
}

/// A sign of life of another holder, and since when there was no later one.
struct Seen {
    holder: i64,
    beats: i64,
    since: Instant,
}

/// Makes the table of the turn.
///
/// # Errors
/// The store's.
pub(super) async fn prepare(store: &Store) -> Result<(), StoreError> {
    store.transaction(async |tx: &mut Tx| tx.migrate(TABLE).await).await
}

impl Turn {
    /// Of a process that hasn't looked yet.
    pub(super) fn new() -> Self {
        Self { own: i64::from_be_bytes(crate::random::bytes()), seen: None }
    }

    /// Takes the turn if nobody has it, or its holder was silent for so long.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn take(&mut self, store: &Store, silent_after: Duration) -> Result<bool, StoreError> {
        store.execute(TAKE, values![self.own]).await?;
        let Some(row) = store.find(SEEN, values![]).await? else { return Ok(false) };
        let (holder, beats): (i64, i64) = (row.get("holder")?, row.get("beats")?);
        if holder == self.own {
            return Ok(true);
        }
        let before = self.seen.take().filter(|seen| (seen.holder, seen.beats) == (holder, beats));
        let seen = self.seen.insert(before.unwrap_or_else(|| Seen { holder, beats, since: steady() }));
        if seen.since.elapsed() < silent_after {
            return Ok(false);
        }
        Ok(store.execute(TAKE_OVER, values![self.own, holder, beats]).await? == 1)
    }

    /// Does this work, gives signs of life meanwhile, and gives the turn back.
    ///
    /// # Errors
    /// The work's. The turn of a process that can't give it back ends by its silence.
    pub(super) async fn during<T>(
        &self,
        store: &Store,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let done = Notify::new();
        let work = async {
            let outcome = work.await;
            done.notify_one();
            outcome
        };
        let beats = async {
            while tokio::time::timeout(BEAT_EVERY, done.notified()).await.is_err() {
                match store.execute(BEAT, values![self.own]).await {
                    Ok(1) => {}
                    Ok(_) => tracing::warn!("another process took over while this one migrates"),
                    Err(error) => tracing::warn!(%error, "no sign of life could be given while migrating"),
                }
            }
        };
        let (outcome, ()) = tokio::join!(work, beats);
        if let Err(error) = store.execute(GIVE_BACK, values![self.own]).await {
            tracing::warn!(%error, "the turn to migrate could not be given back");
        }
        outcome
    }
}
