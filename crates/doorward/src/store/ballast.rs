//! Room inside of a SQLite database that is kept for bad days. On a full disk its pages are free for rows, and the
//! write-ahead log has grown to its size before: both are ours already, so that no other program can take them.

use super::{Engine, Store, StoreError, values};

/// How much is kept, in bytes: enough for some 25,000 ends of sessions, with their entries in the audit log.
pub(crate) const BALLAST: u64 = 8 << 20;

const KEEP: &str = "INSERT INTO ballast (id, content) VALUES (1, $1) \
     ON CONFLICT (id) DO UPDATE SET content = excluded.content";
const GIVE: &str = "DELETE FROM ballast";

impl Store {
    /// Whether there can be a ballast: the room of a PostgreSQL server is its own affair.
    pub(crate) fn can_keep_ballast(&self) -> bool {
        matches!(self.0.engine, Engine::Sqlite(_))
    }

    /// Takes the room. Written again after each start, since the write-ahead log begins small.
    ///
    /// # Errors
    /// [`StoreError`], as of every write.
    pub(crate) async fn keep_ballast(&self) -> Result<(), StoreError> {
        let zeros = vec![0; usize::try_from(BALLAST).unwrap_or_default()];
        self.execute(KEEP, values![zeros]).await.map(drop)
    }

    /// Leaves the room to rows.
    ///
    /// # Errors
    /// [`StoreError`], as of every write.
    pub(crate) async fn give_ballast(&self) -> Result<(), StoreError> {
        self.execute(GIVE, values![]).await.map(drop)
    }
}
