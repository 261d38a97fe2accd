//! Buckets in the store. On PostgreSQL they count for all servers, and memory stands before them. On SQLite memory
//! decides, and the store keeps its buckets over a restart.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorward_core::Timestamp;
use doorward_core::throttle::Bucket;

use super::buckets::{Buckets, Key};
use super::{Failed, Taking};
use crate::clock::steady;
use crate::store::{Row, Statement, Store, StoreError, Tx, Value, values};
use crate::sweeps::Expired;

/// The most rows. Beyond that, what is new is counted by memory alone.
const MOST: i64 = 1_000_000;
/// Which part of the room a server may fill before it counts the rows again: other servers fill it too.
const SHARE: i64 = 16;
/// How many rows a server may add before it counts them for the first time.
const UNCOUNTED: i64 = 1_000;
/// How long a full table is taken to be full.
const COUNT_AGAIN: Duration = Duration::from_secs(10);
/// How often to ask for a guess that others take and give back at the same moment.
const TRIES: usize = 3;
/// How many buckets may wait to be written.
const WAITING: usize = 100_000;
/// How many buckets are written in one transaction.
const BATCH: usize = 1_000;
/// After a call that failed later than this, the next one is not worth its wait.
const LATE: Duration = Duration::from_secs(1);

/// Takes one from the bucket `$1`, which is full at `$2` if it was full at `$3`, now. Nothing is written if it was full
/// only after `$4`.
const TAKE: &str = "INSERT INTO buckets (key, full_at) SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT) \
     WHERE NOT EXISTS (SELECT key FROM buckets WHERE key = $1 AND full_at > $4) \
     ON CONFLICT (key) DO UPDATE SET full_at = CASE WHEN buckets.full_at < $3 THEN excluded.full_at \
     ELSE buckets.full_at + excluded.full_at - $3 END \
     WHERE buckets.full_at <= $4 RETURNING key, full_at";
/// The same of two buckets, `$1` and `$5`. If one of them has no room, neither is written. Only if another server fills
/// one at the same moment is the other taken alone.
const TAKE_TWO: &str = "INSERT INTO buckets (key, full_at) SELECT wanted.key, wanted.full_at \
     FROM (SELECT CAST($1 AS BIGINT) AS key, CAST($2 AS BIGINT) AS full_at \
     UNION ALL SELECT CAST($5 AS BIGINT) AS key, CAST($6 AS BIGINT) AS full_at) wanted \
     WHERE NOT EXISTS (SELECT key FROM buckets WHERE key = $1 AND full_at > $4) \
     AND NOT EXISTS (SELECT key FROM buckets WHERE key = $5 AND full_at > $7) \
     ON CONFLICT (key) DO UPDATE SET full_at = CASE WHEN buckets.full_at < $3 THEN excluded.full_at \
     ELSE buckets.full_at + excluded.full_at - $3 END \
     WHERE buckets.full_at <= CASE WHEN buckets.key = $1 THEN CAST($4 AS BIGINT) ELSE CAST($7 AS BIGINT) END \
     RETURNING key, full_at";
const STATE: &str = "SELECT key, full_at FROM buckets WHERE key = $1 OR key = $2";
/// After a clock was set back, a bucket lies in the future: it is empty, and fills from there on.
const BRING_BACK: &str = "UPDATE buckets SET full_at = $2 WHERE key = $1 AND full_at > $2";
const GIVE_BACK: &str = "UPDATE buckets SET full_at = full_at - $2 WHERE key = $1";
const COUNT: &str = "SELECT CAST(count(*) AS BIGINT) AS number FROM buckets";
const KEEP: &str = "INSERT INTO buckets (key, full_at) VALUES ($1, $2) \
     ON CONFLICT (key) DO UPDATE SET full_at = excluded.full_at";
const DROP: &str = "DELETE FROM buckets WHERE key = $1";
const KEPT: &str = "SELECT key, full_at FROM buckets WHERE full_at > $1 ORDER BY full_at DESC LIMIT $2";
const SWEEP: &str = "DELETE FROM buckets WHERE full_at <= $1 \
     AND key IN (SELECT key FROM buckets WHERE full_at <= $1 ORDER BY key LIMIT $2)";

/// The buckets of which nothing is used up any more.
pub(crate) fn expired(now: Timestamp) -> Expired {
    Expired::of("buckets", SWEEP, values![now])
}

/// The buckets in the store.
pub(super) struct Shared {
    store: Store,
    /// How many rows this server may still add before it counts them.
    room: AtomicI64,
    /// When a full table was counted last.
    counted_at: AtomicI64,
    /// On SQLite: what changed since the last write.
    changed: Mutex<HashMap<Key, Arc<Bucket>>>,
}

/// The store's word on a guess.
pub(super) enum Answer {
    /// All buckets had room, and the rows that were read with them.
    Taken(Vec<Row>),
    /// This one of them had none.
    Refused(usize),
    /// It does not count: memory alone decides.
    Unknown,
    /// It should count, and failed.
    Failed(Failed),
}

impl Shared {
    pub(super) fn new(store: Store) -> Self {
        let (room, counted_at) = (AtomicI64::new(UNCOUNTED), AtomicI64::new(i64::MIN));
        Self { store, room, counted_at, changed: Mutex::default() }
    }

    /// Takes one from each bucket, for all servers. Of those that have none left, memory learns it.
    pub(super) async fn take(&self, takings: &[Taking], read: Option<Statement>, now: Timestamp) -> Answer {
        if !self.store.is_shared() {
            self.changed(takings);
            return Answer::Unknown;
        }
        let begun = steady();
        let answered = match self.has_room(now).await {
            Ok(false) => return Answer::Unknown,
            Ok(true) => self.ask(takings, read, now).await,
            Err(error) => Err(error),
        };
        answered.unwrap_or_else(|error| Answer::Failed(Failed { error, is_late: begun.elapsed() > LATE }))
    }

    async fn ask(
        &self,
        takings: &[Taking],
        read: Option<Statement>,
        now: Timestamp,
    ) -> Result<Answer, StoreError> {
        let mut missing = Vec::new();
        for _ in 0..TRIES {
            let (rows, left) = self.take_once(takings, read.clone(), now).await?;
            if left.is_empty() {
                return Ok(Answer::Taken(rows));
            }
            self.put_back(takings.iter().filter(|taking| !left.contains(&taking.key))).await?;
            if let Some(refused) = self.refused(takings, now).await? {
                return Ok(Answer::Refused(refused));
            }
            // Somebody gave one back meanwhile.
            missing = left;
        }
        let first = takings.iter().position(|taking| missing.contains(&taking.key));
        Ok(first.map_or(Answer::Unknown, Answer::Refused))
    }

    /// Returns what was read, and the buckets from which nothing was taken.
    async fn take_once(
        &self,
        takings: &[Taking],
        read: Option<Statement>,
        now: Timestamp,
    ) -> Result<(Vec<Row>, Vec<Key>), StoreError> {
        let queries = read.into_iter().chain(take(takings, now)).collect();
        let mut answers = self.store.unsynced(queries).await?;
        let taken = answers.pop().unwrap_or_default();
        let mut left: Vec<_> = takings.iter().map(|taking| taking.key).collect();
        for row in taken {
            let (key, full_at): (i64, Timestamp) = (row.get("key")?, row.get("full_at")?);
            left.retain(|other| other.0 != key);
            if let Some(taking) = takings.iter().find(|taking| taking.key.0 == key) {
                taking.bucket.learn(full_at);
                // It was empty, or new.
                if full_at == now + taking.limit.period() {
                    self.room.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
        Ok((answers.pop().unwrap_or_default(), left))
    }

    /// The first of these buckets that has no room. Memory learns what is used up, so that until there is room the next
    /// guesses cost the store nothing.
    async fn refused(&self, takings: &[Taking], now: Timestamp) -> Result<Option<usize>, StoreError> {
        let keys = takings.iter().chain(takings.last()).map(|taking| taking.key.0);
        let (mut refused, mut unknown) = (None, takings.iter().collect::<Vec<_>>());
        for row in self.store.list(STATE, keys.take(2).map(Value::from).collect()).await? {
            let (key, full_at): (i64, Timestamp) = (row.get("key")?, row.get("full_at")?);
            unknown.retain(|taking| taking.key.0 != key);
            let Some(at) = takings.iter().position(|taking| taking.key.0 == key) else { continue };
            let Some(Taking { limit, bucket, .. }) = takings.get(at) else { continue };
            let latest = limit.room_until(now) + limit.period();
            if full_at > latest {
                let bring_back = Statement { sql: BRING_BACK, values: values![key, latest] };
                self.store.unsynced(vec![bring_back]).await?;
            }
            bucket.learn(full_at.min(latest));
            if full_at > limit.room_until(now) {
                refused = refused.map_or(Some(at), |first: usize| Some(first.min(at)));
            }
        }
        if refused.is_some() {
            unknown.iter().for_each(|taking| taking.limit.give_back(&taking.bucket));
        }
        Ok(refused)
    }

    /// Puts back what was taken in the store.
    pub(super) async fn put_back(&self, takings: impl Iterator<Item = &Taking>) -> Result<(), StoreError> {
        let queries: Vec<_> =
            takings.map(|taking| Statement { sql: GIVE_BACK, values: given_back(taking) }).collect();
        if queries.is_empty() { Ok(()) } else { self.store.unsynced(queries).await.map(drop) }
    }

    /// The same within a transaction.
    pub(super) fn put_back_within(tx: &mut Tx, takings: &[Taking]) -> Result<(), StoreError> {
        for taking in takings {
            tx.queue(GIVE_BACK, given_back(taking))?;
        }
        Ok(())
    }

    /// On SQLite: these buckets must be written.
    pub(super) fn changed(&self, takings: &[Taking]) {
        if self.store.is_shared() {
            return;
        }
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        for Taking { key, bucket, .. } in takings {
            if changed.len() < WAITING {
                changed.insert(*key, bucket.clone());
            }
        }
    }

    /// On SQLite: writes the buckets that changed, many in one transaction.
    pub(super) async fn write(&self, now: Timestamp) -> Result<(), StoreError> {
        let changed = std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner));
        let changed: Vec<_> = changed.into_iter().collect();
        for (at, batch) in changed.chunks(BATCH).enumerate() {
            let has_room = self.has_room(now).await;
            let written = match has_room {
                Ok(true) => self.store.unsynced(batch.iter().map(|kept| keep(kept, now)).collect()).await,
                Ok(false) => return Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                let mut waiting = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.extend(changed.into_iter().skip(at * BATCH).take(WAITING));
                return Err(error);
            }
            self.room.fetch_sub(i64::try_from(batch.len()).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
        Ok(())
    }

    /// On SQLite: reads what an earlier process counted, the most used up first.
    pub(super) async fn read(
        &self,
        buckets: &Buckets,
        most: usize,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.store.is_shared() {
            return Ok(());
        }
        for row in self.store.list(KEPT, values![now, i64::try_from(most).unwrap_or(i64::MAX)]).await? {
            buckets.learn(Key(row.get("key")?), row.get("full_at")?);
        }
        Ok(())
    }

    /// Whether rows may be added. A flood of made-up addresses and networks doesn't fill the disk.
    async fn has_room(&self, now: Timestamp) -> Result<bool, StoreError> {
        if self.room.load(Ordering::Relaxed) > 0 {
            return Ok(true);
        }
        let (counted_at, micros) = (self.counted_at.load(Ordering::Relaxed), now.as_micros());
        let is_due = counted_at.abs_diff(micros) >= COUNT_AGAIN.as_micros() as u64;
        let due = is_due
            && self
                .counted_at
                .compare_exchange(counted_at, micros, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        if due {
            let row = self.store.find(COUNT, values![]).await?;
            let number = row.map_or(Ok(0), |row| row.get::<i64>("number"))?;
            self.room.store((MOST - number) / SHARE, Ordering::Relaxed);
        }
        Ok(self.room.load(Ordering::Relaxed) > 0)
    }

    #[cfg(test)]
    pub(super) fn is_full(&self, now: Timestamp) {
        self.room.store(0, Ordering::Relaxed);
        self.counted_at.store(now.as_micros(), Ordering::Relaxed);
    }
}

fn take(takings: &[Taking], now: Timestamp) -> Option<Statement> {
    let of = |taking: &Taking| {
        let Taking { limit, key, .. } = taking;
        (key.0, now + limit.period(), limit.room_until(now))
    };
    let (first, second) = (takings.first()?, takings.get(1));
    let (key, full_at, room_until) = of(first);
    let values = values![key, full_at, now, room_until];
    Some(match second.map(of) {
        None => Statement { sql: TAKE, values },
        Some((key, full_at, room_until)) => {
            Statement { sql: TAKE_TWO, values: [values, values![key, full_at, room_until]].concat() }
        }
    })
}

fn given_back(taking: &Taking) -> Vec<Value> {
    values![taking.key.0, taking.limit.period()]
}

fn keep((key, bucket): &(Key, Arc<Bucket>), now: Timestamp) -> Statement {
    let full_at = bucket.full_at();
    if full_at > now {
        Statement { sql: KEEP, values: values![key.0, full_at] }
    } else {
        Statement { sql: DROP, values: values![key.0] }
    }
}
