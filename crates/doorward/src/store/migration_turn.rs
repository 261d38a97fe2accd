//! Which process migrates a shared database.
//!
//! Some engines commit each change of the schema by itself, so a transaction keeps no other process off. The turn is a
//! row that is committed before the first change, and gets a new number each second as a sign of life. A process that
//! waits and sees the same number for [`SILENT_AFTER`], by its own steady clock, takes the turn over.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Store, StoreError, Tx, values};
use crate::clock::steady;

pub(super) const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS migration_turns (id BIGINT PRIMARY KEY, sign BIGINT NOT NULL)";
const TAKE: &str =
    "INSERT INTO migration_turns (id, sign) VALUES (1, $1) ON CONFLICT DO NOTHING RETURNING sign";
const SEEN: &str = "SELECT sign FROM migration_turns WHERE id = 1";
const RENEW: &str = "UPDATE migration_turns SET sign = $1 WHERE id = 1 AND sign = $2 RETURNING sign";
const GIVE_BACK: &str = "DELETE FROM migration_turns WHERE id = 1 AND sign = $1";

/// How often the holder shows that it lives.
const SIGN_EVERY: Duration = Duration::from_secs(1);
/// How long a holder may be silent: it has died, or it stands still.
pub(super) const SILENT_AFTER: Duration = Duration::from_secs(10);
/// How often a process that waits looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The turn of this process.
pub(super) struct Turn {
    sign: i64,
}

/// Another process's turn, as it is seen by one that waits for it.
#[derive(Default)]
pub(super) struct Seen {
    sign: Option<i64>,
    since: Option<Instant>,
}

impl Seen {
    /// Whether the holder gave no sign for this long.
    fn is_silent(&mut self, sign: i64, silent_after: Duration) -> bool {
        if self.sign != Some(sign) {
            *self = Self { sign: Some(sign), since: Some(steady()) };
        }
        self.since.is_some_and(|since| since.elapsed() >= silent_after)
    }
}

/// Makes the table of the turn.
///
/// # Errors
/// The store's.
pub(super) async fn prepare(store: &Store) -> Result<(), StoreError> {
    store.transaction(async |tx: &mut Tx| tx.migrate(TABLE).await).await
}

impl Turn {
    /// Takes the turn if nobody has it, or its holder was seen to be silent.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn take(
        store: &Store,
        seen: &mut Seen,
        silent_after: Duration,
    ) -> Result<Option<Self>, StoreError> {
        let sign = new_sign();
        if write(store, TAKE, vec![sign]).await? {
            return Ok(Some(Self { sign }));
        }
        let Some(row) = store.find(SEEN, values![]).await? else { return Ok(None) };
        let other: i64 = row.get("sign")?;
        let taken = seen.is_silent(other, silent_after) && write(store, RENEW, vec![sign, other]).await?;
        Ok(taken.then_some(Self { sign }))
    }

    /// Does this work, gives signs of life meanwhile, and gives the turn back.
    ///
    /// # Errors
    /// The work's. The turn of a process that can't give it back ends by its silence.
    pub(super) async fn during<T>(
        mut self,
        store: &Store,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let done = Notify::new();
        let work = async {
            let outcome = work.await;
            done.notify_one();
            outcome
        };
        let signs = async {
            while tokio::time::timeout(SIGN_EVERY, done.notified()).await.is_err() {
                let next = new_sign();
                match write(store, RENEW, vec![next, self.sign]).await {
                    Ok(true) => self.sign = next,
                    Ok(false) => {
                        tracing::warn!("another process took over while this one migrated");
                        break;
                    }
                    Err(error) => tracing::warn!(%error, "no sign of life could be given while migrating"),
                }
            }
        };
        let (outcome, ()) = tokio::join!(work, signs);
        if let Err(error) = store.execute(GIVE_BACK, values![self.sign]).await {
            tracing::warn!(%error, "the turn to migrate could not be given back");
        }
        outcome
    }
}

fn new_sign() -> i64 {
    i64::from_be_bytes(crate::random::bytes())
}

/// Whether the statement changed the row.
async fn write(store: &Store, sql: &'static str, signs: Vec<i64>) -> Result<bool, StoreError> {
    let work = async move |tx: &mut Tx| tx.find(sql, signs.iter().map(|sign| (*sign).into()).collect()).await;
    store.transaction(work).await.map(|row| row.is_some())
}
