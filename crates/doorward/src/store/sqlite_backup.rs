//! A copy of the database file, by SQLite itself.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::StoreError;
use super::sqlite::{Place, connect};
use super::sqlite_query::store_error;
use crate::private_file::{self, NotWritable};

const MARK: &str =
    "INSERT INTO facts (name, value) VALUES ('set_back', 1) ON CONFLICT (name) DO UPDATE SET value = 1";

/// Copies what is committed at the beginning: into a file beside the wanted one, which gets its name once it is whole.
pub(super) fn back_up(database: PathBuf, to: &Path) -> Result<u64, StoreError> {
    let cannot = |error: std::io::Error| {
        StoreError::Refused(format!("the backup {} can't be written: {error}", to.display()))
    };
    if to.exists() {
        return Err(StoreError::Refused(format!("there is a {} already: name a new file", to.display())));
    }
    let mut beside = to.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let file = private_file::open(&beside).map_err(|error| match error {
        NotWritable::Failed(error) => {
            StoreError::Refused(format!("{} can't be written: {error}", beside.display()))
        }
        NotWritable::NotOurs => {
            StoreError::Refused(format!("{} is not a file of this user alone: remove it", beside.display()))
        }
        NotWritable::Busy => StoreError::Refused(format!("another backup is writing {}", beside.display())),
    })?;
    // What a backup that was killed has left.
    file.set_len(0).map_err(cannot)?;
    private_file::make_private(&file).map_err(cannot)?;
    let done =
        copy(database, &beside).and_then(|()| check(&beside)).and_then(|()| mark(&beside)).and_then(|()| {
            file.sync_all().map_err(cannot)?;
            std::fs::hard_link(&beside, to).map_err(cannot)?;
            private_file::sync_folder(to).map_err(cannot)?;
            Ok(file.metadata().map_err(cannot)?.len())
        });
    // It has its name now, or is of no use.
    let _ = std::fs::remove_file(&beside);
    done
}

/// `VACUUM INTO` reads from one snapshot, and needs no turn among the writers.
fn copy(database: PathBuf, to: &Path) -> Result<(), StoreError> {
    let connection = connect(&Place::File(database), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let Some(to) = to.to_str() else {
        return Err(StoreError::Refused(format!("the name {} is not UTF-8", to.display())));
    };
    connection.execute("VACUUM INTO ?1", [to]).map(drop).map_err(|error| store_error(&error))
}

/// Notes that it is older than what people have done since: no server starts on it before `doorward restored` has run.
fn mark(copy: &Path) -> Result<(), StoreError> {
    let connection = Connection::open(copy).map_err(|error| store_error(&error))?;
    connection.execute(MARK, []).map(drop).map_err(|error| store_error(&error))
}

fn check(copy: &Path) -> Result<(), StoreError> {
    let looked = || -> rusqlite::Result<(String, i64, i64)> {
        let connection = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let found = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        let lost = "SELECT COUNT(*) FROM pragma_foreign_key_check";
        let lost = connection.query_row(lost, [], |row| row.get(0))?;
        let migrations = connection.query_row("SELECT COUNT(*) FROM migrations", [], |row| row.get(0))?;
        Ok((found, lost, migrations))
    };
    match looked().map_err(|error| store_error(&error))? {
        (found, 0, 1..) if found == "ok" => Ok(()),
        (found, lost, _) => Err(StoreError::Corrupt(format!(
            "the copy is not whole: {found}; {lost} rows refer to nothing. See whether the database itself is: sqlite3 \
             doorward.db 'PRAGMA integrity_check'"
        ))),
    }
}
