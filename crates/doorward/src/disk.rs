//! The room on the disk of the data folder. While less than `data.reserve` is free, only three kinds of writes are
//! allowed: those that end something, renew a credential, or set a password. So nobody can fill the disk, and people
//! can still sign out (attack X10).
//!
//! If another program fills the disk, the database has reserved room of its own: see `store/ballast.rs`. The disk of a
//! PostgreSQL database can't be seen from here.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::seldom::seldom;
use crate::settings::Settings;
use crate::store::{BALLAST, Store, StoreError};

/// The disk, as of the last check.
pub struct Disk {
    /// `None` if nothing is watched.
    folder: Option<PathBuf>,
    reserve: u64,
    free: AtomicU64,
    is_low: AtomicBool,
    /// Whether the log has reported it.
    is_told: AtomicBool,
    ballast: Mutex<Ballast>,
}

/// The state of the reserved room within the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ballast {
    /// As an earlier process left it.
    Unknown,
    Kept,
    Given,
}

impl Disk {
    /// The disk of these settings, checked once.
    pub(crate) fn of(settings: &Settings) -> Self {
        let is_watched = settings.database.is_none() && settings.data_reserve > 0;
        let disk = Self {
            folder: is_watched.then(|| settings.data.clone()),
            reserve: settings.data_reserve,
            free: AtomicU64::new(u64::MAX),
            is_low: AtomicBool::new(false),
            is_told: AtomicBool::new(false),
            ballast: Mutex::new(Ballast::Unknown),
        };
        disk.look();
        disk
    }

    /// Whether less than the reserve was free at the last check.
    pub fn is_low(&self) -> bool {
        self.is_low.load(Ordering::Relaxed)
    }

    /// A check for acts that add to the database.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub fn has_room(&self) -> Result<()> {
        if self.is_low() { Err(Error::NoRoom) } else { Ok(()) }
    }

    /// How many bytes were free at the last check; `None` if nothing is watched.
    pub(crate) fn free(&self) -> Option<u64> {
        self.folder.as_ref().map(|_| self.free.load(Ordering::Relaxed))
    }

    /// Checks how much is free. Blocks for as long as the disk does.
    pub(crate) fn look(&self) {
        let Some(folder) = &self.folder else { return };
        // If the disk can't be asked, the last answer stays.
        let Ok(found) = rustix::fs::statvfs(folder) else { return };
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        self.free.store(free, Ordering::Relaxed);
        self.is_low.store(free < self.reserve, Ordering::Relaxed);
    }

    /// Logs when the disk becomes nearly full, and when it has room again.
    pub(crate) fn tell(&self) {
        let (is_low, free, reserve) = (self.is_low(), self.free.load(Ordering::Relaxed), self.reserve);
        match (self.is_told.swap(is_low, Ordering::Relaxed), is_low) {
            (false, true) => tracing::error!(
                free,
                reserve,
                "the disk of the data folder is nearly full: only ends of sessions, refreshes and new passwords go on"
            ),
            (true, false) => {
                tracing::info!(free, reserve, "the disk of the data folder has room again: everything works");
            }
            _ => {}
        }
    }

    /// Releases the reserved room within the database, or reserves it again, according to the last check.
    pub(crate) async fn balance(&self, store: &Store) {
        let ballast = *self.ballast.lock().unwrap_or_else(PoisonError::into_inner);
        let has_much = self.free.load(Ordering::Relaxed) >= self.reserve.saturating_add(4 * BALLAST);
        let wanted = match self.is_low() {
            _ if self.folder.is_none() || !store.can_keep_ballast() => return,
            true => Ballast::Given,
            false if has_much => Ballast::Kept,
            false => return,
        };
        if wanted == ballast {
            return;
        }
        let done: Result<(), StoreError> = match wanted {
            Ballast::Given => store.give_ballast().await,
            Ballast::Kept | Ballast::Unknown => store.keep_ballast().await,
        };
        match done {
            Ok(()) => *self.ballast.lock().unwrap_or_else(PoisonError::into_inner) = wanted,
            Err(error) => seldom!(WARN, "the room within the database could not be kept or given", %error),
        }
    }
}
