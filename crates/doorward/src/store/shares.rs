//! One user's share of the scans: one at a time, however many they ask for. The others wait for their turn outside of the
//! queue that all share, and what is too many is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorward_core::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::StoreError;

/// The most scans of one user that run or wait.
const WAITING: usize = 64;
/// How long a scan waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who has scans that run or wait. Nobody else takes memory here.
#[derive(Default)]
pub(super) struct Shares(Mutex<HashMap<UserId, Share>>);

struct Share {
    asked: usize,
    turns: Arc<Semaphore>,
}

/// A scan that counts against its user's share until this is dropped: when it is done, not when its caller is gone.
pub(super) struct Turn {
    shares: Arc<Shares>,
    user: UserId,
    permit: Option<OwnedSemaphorePermit>,
}

impl Shares {
    /// Waits for this user's turn.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] if too many of this user's scans wait, or for too long.
    pub(super) async fn turn(self: &Arc<Self>, user: UserId) -> Result<Turn, StoreError> {
        let turns = self.enter(user)?;
        let mut turn = Turn { shares: self.clone(), user, permit: None };
        let permit = timeout(PATIENCE, turns.acquire_owned()).await.map_err(|_| StoreError::Overloaded)?;
        turn.permit = Some(permit.map_err(|_| StoreError::closed())?);
        Ok(turn)
    }

    fn enter(&self, user: UserId) -> Result<Arc<Semaphore>, StoreError> {
        let mut users = self.users();
        let share = users.entry(user).or_insert_with(|| Share { asked: 0, turns: Semaphore::new(1).into() });
        if share.asked >= WAITING {
            return Err(StoreError::Overloaded);
        }
        share.asked += 1;
        Ok(share.turns.clone())
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, Share>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // The next one's turn comes before the share can be forgotten: never two at once.
        drop(self.permit.take());
        let mut users = self.shares.users();
        if let Some(share) = users.get_mut(&self.user) {
            share.asked = share.asked.saturating_sub(1);
            if share.asked == 0 {
                users.remove(&self.user);
            }
        }
    }
}
