//! The room on the disk of the data folder. While less than `data.reserve` is free, only what ends something, renews a
//! credential or sets a password is written, so that nobody fills the disk and people can still sign out (attack X10).
//!
//! If another program fills it, the database has room of its own for that: see `store/ballast.rs`. A PostgreSQL database is
//! on a disk that isn't seen from here.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::seldom::seldom;
use crate::settings::Settings;
use crate::store::{BALLAST, Store, StoreError};

/// The disk, as it was seen last.
pub struct Disk {
    /// `None` where nothing is watched.
    folder: Option<PathBuf>,
    reserve: u64,
    free: AtomicU64,
    is_low: AtomicBool,
    /// Whether the log says so.
    is_told: AtomicBool,
    ballast: Mutex<Ballast>,
}

/// Where the room within the database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ballast {
    /// As an earlier process left it.
    Unknown,
    Kept,
    Given,
}

impl Disk {
    /// The disk of these settings, looked at once.
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

    /// Whether less than the reserve was free when last looked.
    pub fn is_low(&self) -> bool {
        self.is_low.load(Ordering::Relaxed)
    }

    /// For what adds to the database.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub fn has_room(&self) -> Result<()> {
        if self.is_low() { Err(Error::NoRoom) } else { Ok(()) }
    }

    /// How many bytes were free when last looked; `None` where nothing is watched.
    pub(crate) fn free(&self) -> Option<u64> {
        self.folder.as_ref().map(|_| self.free.load(Ordering::Relaxed))
    }

    /// Looks how much is free. Blocks for as long as the disk does.
    pub(crate) fn look(&self) {
        let Some(folder) = &self.folder else { return };
        // What can't be asked stays as it was.
        let Ok(found) = rustix::fs::statvfs(folder) else { return };
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        self.free.store(free, Ordering::Relaxed);
        self.is_low.store(free < self.reserve, Ordering::Relaxed);
    }

    /// Logs where the disk became nearly full, or has room again.
    pub(crate) fn tell(&self) {
        let (is_low, free, reserve) = (self.is_low(), self.free.load(Ordering::Relaxed), self.reserve);
        match (self.is_told.swap(is_low, Ordering::Relaxed), is_low) {
            (false, true) => tracing::error!(
                free,
                reserve,
                "the disk of the data folder is nearly full: only endings, refreshes and new passwords go on"
            ),
            (true, false) => {
                tracing::info!(
                    free,
                    reserve,
                    "the disk of the data folder has room again: everything goes on"
                );
            }
            _ => {}
        }
    }

    /// Leaves the room within the database to rows, or takes it again, as the disk was last seen.
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
