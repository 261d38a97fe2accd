//! Deleting what has expired: in batches, each table apart, on one node at a time.
//!
//! A batch is a transaction of its own, so that nothing waits long for it: it grows while it takes little time, up to
//! 1,000 rows, and shrinks if it takes long. After each batch the sweep pauses for as long as that took. Tables take
//! turns, so a large one doesn't keep others waiting, and one that fails doesn't stop them. What is left after
//! [`ROUND`] waits for the next sweep.

use std::time::Duration;

use crate::clock::steady;
use crate::store::{Store, StoreError, Tx, Value, values};

/// The fewest and the most rows of a batch. It begins with the fewest: on a slow disk more could take too long.
const LEAST: u32 = 100;
const MOST: u32 = 1_000;
/// A batch that takes longer is halved next time.
const LONG: Duration = Duration::from_millis(40);
/// How long one sweep may take.
const ROUND: Duration = Duration::from_secs(50);
/// How long a node that stopped in the middle keeps others from sweeping, in milliseconds.
const LEASE: i64 = 60_000;
/// When the lease is extended.
const EXTEND_EVERY: Duration = Duration::from_secs(15);

/// The fact is the end of the lease, by the store's own clock, and so also names who took it. One that ends later than
/// any lease is a leftover from before that clock was set back.
const TAKE: &str = "UPDATE facts SET value = (SELECT millis + $1 FROM store_time) WHERE name = 'sweep_lease' \
     AND (value <= (SELECT millis FROM store_time) OR value > (SELECT millis + $1 FROM store_time)) RETURNING value";
const EXTEND: &str = "UPDATE facts SET value = (SELECT millis + $1 FROM store_time) WHERE name = 'sweep_lease' \
     AND value = $2 RETURNING value";
const LEAVE: &str = "UPDATE facts SET value = 0 WHERE name = 'sweep_lease' AND value = $1";

/// The expired rows of one table, and how a batch of them is deleted.
#[derive(Debug, Clone)]
pub(crate) struct Expired {
    table: &'static str,
    statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
struct Statement {
    sql: &'static str,
    values: Vec<Value>,
}

impl Expired {
    /// Those that this statement deletes. Its last parameter, after these values, is the most rows of a batch:
    /// `DELETE FROM t WHERE id IN (SELECT id FROM t WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`.
    pub(crate) fn of(table: &'static str, sql: &'static str, values: Vec<Value>) -> Self {
        Self { table, statements: vec![Statement { sql, values }] }
    }

    /// With a further statement in the same transaction. While the statements of a batch together change as many rows as
    /// a batch has, there is another.
    #[must_use]
    pub(crate) fn then(mut self, sql: &'static str, values: Vec<Value>) -> Self {
        self.statements.push(Statement { sql, values });
        self
    }

    /// Deletes a batch.
    async fn batch(&self, store: &Store, most: u32) -> Result<Batch, StoreError> {
        let statements = self.statements.clone();
        let work = async move |tx: &mut Tx| {
            let (begun, mut rows) = (steady(), 0);
            for Statement { sql, values } in &statements {
                rows += tx.execute(sql, [values.clone(), values![most]].concat()).await?;
            }
            // Without the wait for the start, which others cause.
            Ok(Batch { rows, took: begun.elapsed() })
        };
        store.transaction(work).await
    }
}

/// A batch that was deleted.
struct Batch {
    rows: u64,
    took: Duration,
}

/// A table that isn't done.
struct Turn {
    expired: Expired,
    most: u32,
}

impl Turn {
    /// Deletes a batch, and returns whether there may be more.
    async fn go(&mut self, store: &Store) -> Result<bool, StoreError> {
        let Batch { rows, took } = self.expired.batch(store, self.most).await?;
        let more = rows >= u64::from(self.most);
        self.most = if took > LONG { self.most / 2 } else { self.most * 2 }.clamp(LEAST, MOST);
        if more {
            tokio::time::sleep(took).await;
        }
        Ok(more)
    }
}

/// Deletes all of this, unless another node is doing so.
///
/// # Errors
/// The store's, about the first table that failed: the others were swept all the same.
pub(crate) async fn sweep(store: &Store, all: Vec<Expired>) -> Result<(), StoreError> {
    let take = async |tx: &mut Tx| tx.find(TAKE, values![LEASE]).await;
    let Some(row) = store.transaction(take).await? else { return Ok(()) };
    let mut lease: i64 = row.get("value")?;
    let (begun, mut extended) = (steady(), steady());
    let mut turns: Vec<Turn> = all.into_iter().map(|expired| Turn { expired, most: LEAST }).collect();
    let mut failed = None;
    while !turns.is_empty() && begun.elapsed() < ROUND {
        let mut left = Vec::new();
        for mut turn in turns {
            match turn.go(store).await {
                Ok(true) => left.push(turn),
                Ok(false) => {}
                Err(error) => {
                    let table = turn.expired.table;
                    tracing::warn!(table, %error, "expired rows could not be deleted; trying again later");
                    failed.get_or_insert(error);
                }
            }
        }
        turns = left;
        if extended.elapsed() > EXTEND_EVERY {
            let extend = async move |tx: &mut Tx| tx.find(EXTEND, values![LEASE, lease]).await;
            let Some(row) = store.transaction(extend).await? else { break };
            (lease, extended) = (row.get("value")?, steady());
        }
    }
    store.execute(LEAVE, values![lease]).await?;
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
