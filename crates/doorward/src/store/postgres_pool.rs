//! The pool of connections. Where the server has no room for another connection, a call waits for one of the pool's own.

use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{HookError, Object, Pool, PoolError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::SqlState;

use super::StoreError;
use super::postgres_connect::{PATIENCE, pool_error};
use crate::clock::steady;

/// How long after the server had no room it is asked again for a connection more.
const AGAIN: Duration = Duration::from_secs(1);
/// How long to wait where the pool has no connection at all.
const PAUSE: Duration = Duration::from_millis(100);

/// The pool, and a seat for each connection that it may have.
#[derive(Clone)]
pub(super) struct Seats {
    pool: Pool,
    free: Arc<Semaphore>,
    taken_away: Arc<Mutex<TakenAway>>,
    all: usize,
}

/// The seats for which the server has no room.
struct TakenAway {
    seats: usize,
    since: Instant,
}

/// A connection, and its seat, which is free again when this is dropped.
pub(super) struct Seated {
    pub(super) client: Object,
    pub(super) seat: OwnedSemaphorePermit,
}

impl Seats {
    pub(super) fn new(pool: Pool) -> Self {
        let all = pool.status().max_size;
        let taken_away = Arc::new(Mutex::new(TakenAway { seats: 0, since: steady() }));
        Self { pool, free: Arc::new(Semaphore::new(all)), taken_away, all }
    }

    /// Closes the connections that nothing uses: they may lead to a server that another has replaced.
    pub(super) fn close_unused(&self) {
        self.pool.retain(|_, _| false);
    }

    /// A connection.
    ///
    /// # Errors
    /// [`StoreError`] if none became free, or none can be opened.
    pub(super) async fn get(&self) -> Result<Seated, StoreError> {
        let until = steady() + PATIENCE;
        loop {
            self.give_back_one(AGAIN);
            let seat = timeout_at(until, self.free.clone().acquire_owned()).await;
            let none = |_| StoreError::Unavailable("no connection became free".to_owned());
            let seat = seat.map_err(none)?.map_err(|_| StoreError::closed())?;
            match self.pool.get().await {
                Ok(client) => {
                    if Object::metrics(&client).recycle_count == 0 {
                        self.give_back_one(Duration::ZERO);
                    }
                    return Ok(Seated { client, seat });
                }
                Err(error) if has_no_room(&error) && steady() < until => {
                    if !self.take_away(seat) {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                Err(error) => return Err(pool_error(error)),
            }
        }
    }

    pub(super) fn close(&self) {
        self.free.close();
        self.pool.close();
    }

    /// Takes a seat away, since the server has no room for its connection; `false` if it is the last one.
    fn take_away(&self, seat: OwnedSemaphorePermit) -> bool {
        let mut away = self.taken_away.lock().unwrap_or_else(PoisonError::into_inner);
        away.since = steady();
        let is_another = away.seats + 1 < self.all;
        if is_another {
            away.seats += 1;
            seat.forget();
        }
        is_another
    }

    /// Gives one of those seats back, if the last was taken away this long ago: there may be room by now. After a
    /// connection was opened there is.
    fn give_back_one(&self, after: Duration) {
        let mut away = self.taken_away.lock().unwrap_or_else(PoisonError::into_inner);
        if away.seats > 0 && away.since.elapsed() >= after {
            away.seats -= 1;
            away.since = steady();
            self.free.add_permits(1);
        }
    }
}

fn has_no_room(error: &PoolError) -> bool {
    let (PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error))) = error else {
        return false;
    };
    // The second is pgbouncer's.
    error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS)
        || error.as_db_error().is_some_and(|said| said.message().contains("no more connections allowed"))
}
