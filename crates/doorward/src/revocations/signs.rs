//! The signs of life that this process writes to a database that other machines use too.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::{boot, micros};
use crate::store::StoreError;

/// How old this process's last sign of life may be in a look that counts, and before a check by the database. An older
/// one shows that the look went to another server than the writes.
pub(super) const OLDEST: Duration = Duration::from_secs(5);

/// When the database took the last one.
#[derive(Default)]
pub(crate) struct Signs {
    /// By a clock that counts while the machine sleeps; 0 if none was ever written.
    taken_at: AtomicI64,
}

impl Signs {
    pub(super) fn taken(&self) {
        self.taken_at.store(micros(boot()).max(1), Ordering::Relaxed);
    }

    /// Whether this process writes any.
    pub(super) fn are_written(&self) -> bool {
        self.taken_at.load(Ordering::Relaxed) > 0
    }

    /// Before a check by the database alone. One that takes no sign of life may be one that another has replaced: it
    /// knows no ending since.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub(crate) fn require_fresh(&self) -> Result<(), StoreError> {
        let taken_at = self.taken_at.load(Ordering::Relaxed);
        if taken_at == 0 || micros(boot()).saturating_sub(taken_at) <= micros(OLDEST) {
            return Ok(());
        }
        Err(StoreError::Unavailable("the server has taken nothing from this process for a while".into()))
    }

    #[cfg(test)]
    pub(crate) fn age(&self, by: Duration) {
        self.taken_at.fetch_sub(micros(by), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use doorward_core::Mode;

    use super::*;
    use crate::testing::Site;

    #[tokio::test]
    async fn x20_a_blind_node_believes_no_database_that_took_no_sign_of_life_for_long() {
        let site = Site::new().await;
        let revocations = &site.app.revocations;
        let modes = [Mode::Session, Mode::Bearer, Mode::Cookie];
        let mut visitors = Vec::new();
        for (mode, name) in modes.into_iter().zip(["ada", "grace", "joan"]) {
            visitors.push(site.logged_in_by(name, mode).await);
        }
        revocations.beat().await.unwrap();
        revocations.set.fall_behind();
        for ada in &visitors {
            ada.get("/profile").await.is_ok();
        }
        revocations.signs.age(2 * OLDEST);
        for ada in &visitors {
            ada.get("/profile").await.has_status(503);
        }
        revocations.beat().await.unwrap();
        for ada in &visitors {
            ada.get("/profile").await.is_ok();
        }
        // What memory knows of every ending needs no database.
        revocations.signs.age(2 * OLDEST);
        revocations.set.caught_up();
        for ada in &visitors {
            ada.get("/profile").await.is_ok();
        }
    }
}
