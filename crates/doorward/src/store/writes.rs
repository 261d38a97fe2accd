use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Store, StoreError, values};
use crate::clock::steady;

/// When the last trial write began, and its result.
#[derive(Default)]
pub(super) struct LastWrite(Mutex<Option<(Instant, Result<(), StoreError>)>>);

const TRY: &str = "UPDATE facts SET value = value + 1 WHERE name = 'trial_writes'";

impl Store {
    /// Checks that the database takes writes, by a write that began after this call. Callers that wait at the same time
    /// share one.
    ///
    /// # Errors
    /// [`StoreError`], as for every write.
    pub(crate) async fn takes_writes(&self) -> Result<(), StoreError> {
        let called = steady();
        let mut last = self.0.written.0.lock().await;
        if let Some((began, outcome)) = &*last
            && *began >= called
        {
            return outcome.clone();
        }
        let began = steady();
        let outcome = self.execute(TRY, values![]).await.map(drop);
        *last = Some((began, outcome.clone()));
        outcome
    }
}
