//! Room inside a SQLite database that is reserved for a full disk. Once the ballast is deleted, its pages hold new
//! rows. The write-ahead log has already grown to its size. So both belong to the database, and no other program can
//! take them.

use super::{Engine, Store, StoreError, values};

/// How much is reserved, in bytes: enough for some 25,000 ends of sessions, with their entries in the audit log.
pub(crate) const BALLAST: u64 = 8 << 20;

const KEEP: &str = "INSERT INTO ballast (id, content) VALUES (1, $1) \
     ON CONFLICT (id) DO UPDATE SET content = excluded.content";
const GIVE: &str = "DELETE FROM ballast";

impl Store {
    /// Whether there can be a ballast: a PostgreSQL server manages its own room.
    pub(crate) fn can_keep_ballast(&self) -> bool {
        matches!(self.0.engine, Engine::Sqlite(_))
    }

    /// Reserves the room. Call it after each start too, since the write-ahead log begins small.
    ///
    /// # Errors
    /// [`StoreError`], as for every write.
    pub(crate) async fn keep_ballast(&self) -> Result<(), StoreError> {
        let zeros = vec![0; usize::try_from(BALLAST).unwrap_or_default()];
        self.execute(KEEP, values![zeros]).await.map(drop)
    }

    /// Releases the room for rows.
    ///
    /// # Errors
    /// [`StoreError`], as for every write.
    pub(crate) async fn give_ballast(&self) -> Result<(), StoreError> {
        self.execute(GIVE, values![]).await.map(drop)
    }
}
