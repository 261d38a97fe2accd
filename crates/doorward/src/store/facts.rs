//! Single numbers, by name, in the table `facts`. A number that rises with each change says whether there is anything to
//! read again.

use super::{Store, StoreError, Tx, values};

const IS: &str = "SELECT value FROM facts WHERE name = $1";
const RAISE: &str = "INSERT INTO facts (name, value) VALUES ($1, 1) \
     ON CONFLICT (name) DO UPDATE SET value = facts.value + 1";

impl Store {
    /// The number with this name; 0 if there is none.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn fact(&self, name: &'static str) -> Result<i64, StoreError> {
        self.find(IS, values![name]).await?.map_or(Ok(0), |row| row.get("value"))
    }

    /// The same for what follows other processes: on SQLite by the follower's reader, which no other read keeps busy.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn follow_fact(&self, name: &'static str) -> Result<i64, StoreError> {
        self.follow(IS, values![name]).await?.first().map_or(Ok(0), |row| row.get("value"))
    }
}

impl Tx {
    /// Raises the number with this name by one, with the next statement or the commit. Acts that raise the same one
    /// wait for each other.
    ///
    /// # Errors
    /// As [`Tx::queue`].
    pub(crate) fn raise_fact(&mut self, name: &'static str) -> Result<(), StoreError> {
        self.queue(RAISE, values![name])
    }
}
