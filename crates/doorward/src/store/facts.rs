//! Single numbers, by name, in the table `facts`. A number that rises with each change says whether there is anything to
//! read again.

use super::{Row, Store, StoreError, Tx, values};

const IS: &str = "SELECT value FROM facts WHERE name = $1";
const BEGIN: &str = "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
const SET: &str = "INSERT INTO facts (name, value) VALUES ($1, $2) \
     ON CONFLICT (name) DO UPDATE SET value = excluded.value";
const RAISE: &str = "INSERT INTO facts (name, value) VALUES ($1, 1) \
     ON CONFLICT (name) DO UPDATE SET value = facts.value + 1";
const DROP: &str = "DELETE FROM facts WHERE name = $1";

impl Store {
    /// The number with this name, if there is one.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn find_fact(&self, name: &'static str) -> Result<Option<i64>, StoreError> {
        value(self.find(IS, values![name]).await?)
    }

    /// The number with this name; 0 if there is none.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn fact(&self, name: &'static str) -> Result<i64, StoreError> {
        Ok(self.find_fact(name).await?.unwrap_or_default())
    }

    /// The same for what follows other processes: on SQLite by the follower's reader, which no other read keeps busy.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn follow_fact(&self, name: &'static str) -> Result<i64, StoreError> {
        let rows = self.follow(IS, values![name]).await?;
        Ok(value(rows.into_iter().next())?.unwrap_or_default())
    }

    /// Writes the number with this name.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn set_fact(&self, name: &'static str, number: i64) -> Result<(), StoreError> {
        self.execute(SET, values![name, number]).await.map(drop)
    }
}

impl Tx {
    /// The number with this name; 0 if there is none.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn fact(&mut self, name: &'static str) -> Result<i64, StoreError> {
        Ok(value(self.find(IS, values![name]).await?)?.unwrap_or_default())
    }

    /// Writes the number with this name, unless there is one. Returns whether there was none.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn begin_fact(&mut self, name: &'static str, number: i64) -> Result<bool, StoreError> {
        Ok(self.execute(BEGIN, values![name, number]).await? == 1)
    }

    /// Writes the number with this name, with the next statement or the commit.
    ///
    /// # Errors
    /// As [`Tx::queue`].
    pub(crate) fn set_fact(&mut self, name: &'static str, number: i64) -> Result<(), StoreError> {
        self.queue(SET, values![name, number])
    }

    /// Raises the number with this name by one, with the next statement or the commit. Acts that raise the same one
    /// wait for each other.
    ///
    /// # Errors
    /// As [`Tx::queue`].
    pub(crate) fn raise_fact(&mut self, name: &'static str) -> Result<(), StoreError> {
        self.queue(RAISE, values![name])
    }

    /// Deletes the number with this name, with the next statement or the commit.
    ///
    /// # Errors
    /// As [`Tx::queue`].
    pub(crate) fn drop_fact(&mut self, name: &'static str) -> Result<(), StoreError> {
        self.queue(DROP, values![name])
    }
}

fn value(row: Option<Row>) -> Result<Option<i64>, StoreError> {
    row.map(|row| row.get("value")).transpose()
}
