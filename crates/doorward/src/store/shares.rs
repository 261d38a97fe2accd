//! One user's share of the scans: one at a time, however many they ask for. The user's other scans wait for their turn
//! outside the queue that all users share, and too many are refused.

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

/// The users whose scans run or wait. Other users take no memory here.
#[derive(Default)]
pub(super) struct Shares(Mutex<HashMap<UserId, Share>>);

struct Share {
    asked: usize,
    turns: Arc<Semaphore>,
}

/// A scan that counts against its user's share until this is dropped: when the scan is done, not when its caller is
/// gone.
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
        // The next one gets its turn before the share can be removed, so two never run at once.
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
