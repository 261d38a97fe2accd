//! A copy of a SQLite database whose server goes on writing.

use std::path::Path;

#[cfg(feature = "sqlite")]
use super::sqlite_backup::back_up;
use super::{Database, Store, StoreError, StoreSettings};

impl Store {
    /// Copies the database into a new file, only for its owner, as it is at one moment, and checks the copy. Readers
    /// and writers go on. Returns the length of the file in bytes.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the database is no SQLite file, or the file can't be written or is there already;
    /// [`StoreError::Corrupt`] if the copy is not whole.
    pub async fn back_up(settings: &StoreSettings, to: &Path) -> Result<u64, StoreError> {
        match &settings.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(file) => {
                let (file, to) = (file.clone(), to.to_owned());
                let copied = tokio::task::spawn_blocking(move || back_up(file, &to)).await;
                copied.map_err(|_| StoreError::closed())?
            }
            _ => Err(StoreError::Refused(format!(
                "{} can't be made: this is for SQLite; PostgreSQL has pg_dump and pg_basebackup",
                to.display()
            ))),
        }
    }
}
