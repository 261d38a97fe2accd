//! Moving everything from one database to another: an export to a file, and an import from it.
//!
//! While a database is exported its tables refuse every write, in all processes, so that the file is one snapshot; and
//! afterwards, until [`reopen`], so that nothing is written there that the new database lacks. A process that is
//! killed goes on where it stopped: an export by what is in its file, an import by a number that is written in the
//! transaction of the rows.
//!
//! Values are moved as they are. Private keys stay sealed, and the HMAC of the file is keyed by the root secret: an
//! import under another one is refused.

mod export;
mod file;
mod import;
mod tables;

use serde::Serialize;

use crate::store::{
    Row, Store, StoreError, StoreSettings, Tables, Tx, Value, change_schema, statement, values,
};
pub use export::{Export, export};
pub use import::import;
pub use tables::left;

/// Why nothing, or not all, was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferError {
    /// What is wrong, and where.
    pub problem: String,
    /// What to do; may be empty.
    pub hint: String,
}

impl TransferError {
    fn new(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: hint.into() }
    }
}

impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        Self::new(error.to_string(), error.hint())
    }
}

impl From<std::io::Error> for TransferError {
    fn from(error: std::io::Error) -> Self {
        Self::new(format!("the file: {error}"), "run it again then: it goes on where it stopped")
    }
}

/// How many rows of a table were moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The table.
    pub table: String,
    /// Its rows.
    pub rows: u64,
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is being done.
    pub step: &'static str,
    /// How many rows are done.
    pub done: u64,
    /// Of how many.
    pub total: u64,
}

/// Called after each step.
pub type Tell<'a> = &'a mut dyn FnMut(Progress);

/// Set in a database that was exported and is closed to writes: what tells the export from others.
const CLOSED: &str = "closed_by_export";
/// Set in a database until an import into it is whole: what tells the export from others.
const IMPORTING: &str = "importing";
/// How many rows of that file are in the database.
const IMPORTED_ROWS: &str = "imported_rows";
/// Set afterwards.
const IMPORTED: &str = "imported";

const STATE: &str = "SELECT name, value FROM facts WHERE name IN ('closed_by_export', 'importing', 'imported_rows', 'imported')";
/// The numbers that are moved: all others.
const MOVED_FACTS: &str = "name NOT IN ('closed_by_export', 'importing', 'imported_rows', 'imported')";

/// What exports and imports have noted in a database.
#[derive(Debug, Default)]
struct State {
    closed: Option<i64>,
    importing: Option<i64>,
    imported_rows: Option<i64>,
    imported: Option<i64>,
}

impl State {
    async fn of(store: &Store) -> Result<Self, StoreError> {
        let mut state = Self::default();
        for row in store.list(STATE, values![]).await? {
            let value = Some(row.get("value")?);
            match row.get::<String>("name")?.as_str() {
                CLOSED => state.closed = value,
                IMPORTING => state.importing = value,
                IMPORTED_ROWS => state.imported_rows = value,
                _ => state.imported = value,
            }
        }
        Ok(state)
    }
}

/// Why no server and no command may use this database just now: it was exported, or an import into it isn't whole.
///
/// # Errors
/// The store's.
pub(crate) async fn refusal(store: &Store) -> Result<Option<TransferError>, StoreError> {
    let state = State::of(store).await?;
    Ok(if state.importing.is_some() {
        Some(TransferError::new(
            "an import into this database is not finished",
            "run the same `doorward store import` again: it goes on where it stopped",
        ))
    } else if state.closed.is_some() {
        Some(TransferError::new(
            "this database was exported, and is closed to writes since",
            "start with the database that the export was imported into; `doorward store reopen` opens this one again",
        ))
    } else {
        None
    })
}

/// Lets a database that was exported take writes again. False if it did already.
///
/// # Errors
/// If the database can't be used.
pub async fn reopen(settings: &StoreSettings) -> Result<bool, TransferError> {
    let store = Store::open_as_it_is(settings).await?;
    let opened = open_again(&store).await;
    store.close().await;
    Ok(opened?)
}

async fn open_again(store: &Store) -> Result<bool, StoreError> {
    if State::of(store).await?.closed.is_none() {
        return Ok(false);
    }
    let statements = store.opening(&tables::closed());
    store
        .transaction(async move |tx: &mut Tx| {
            change_schema(tx, &statements).await?;
            tx.drop_fact(CLOSED)
        })
        .await?;
    Ok(true)
}

/// The columns of each table that is moved, in the order of [`tables::TABLES`].
///
/// # Errors
/// [`StoreError::Corrupt`] if the database has a table that this program doesn't know, or lacks one.
fn columns_moved(tables: &Tables) -> Result<Vec<(&'static str, Vec<String>)>, StoreError> {
    let known = |name: &String| tables::TABLES.iter().any(|(known, _)| known == name);
    if let Some(unknown) = tables.keys().find(|name| !known(name)) {
        let text = format!("there is a table {unknown}, and it is not known whether it is moved");
        return Err(StoreError::Corrupt(text));
    }
    let moved = tables::moved().map(|name| {
        let columns = tables.get(name).cloned();
        columns
            .map(|columns| (name, columns))
            .ok_or_else(|| StoreError::Corrupt(format!("there is no table {name}")))
    });
    moved.collect()
}

/// Which rows of a table are moved, as a condition.
fn rows_moved(table: &str) -> &'static str {
    if table == tables::FACTS { MOVED_FACTS } else { "1 = 1" }
}

/// The statements that read a table from its first row on, and from any row on.
struct Pages {
    first: &'static str,
    next: &'static str,
    /// The places of the key among the columns.
    key: Vec<usize>,
}

/// How many rows one query reads.
const PAGE: usize = 500;

impl Pages {
    /// `columns` are those of the table, in any order.
    fn of(table: &str, columns: &[String]) -> Self {
        let key = tables::key_of(table).unwrap_or_default();
        let (list, order) = (columns.join(", "), key.join(", "));
        let given: Vec<String> = (1..=key.len()).map(|number| format!("${number}")).collect();
        let begin = format!("SELECT {list} FROM {table}");
        let mine = rows_moved(table);
        let end = format!("ORDER BY {order} LIMIT {PAGE}");
        Self {
            first: statement(format!("{begin} WHERE {mine} {end}")),
            next: statement(format!("{begin} WHERE {mine} AND ({order}) > ({}) {end}", given.join(", "))),
            key: key.iter().filter_map(|name| columns.iter().position(|column| column == name)).collect(),
        }
    }

    /// The rows after `last`, or the first ones.
    async fn after(&self, store: &Store, last: Option<&[Value]>) -> Result<Vec<Vec<Value>>, StoreError> {
        let rows = match last {
            None => store.list(self.first, values![]).await?,
            Some(last) => {
                let key = self.key.iter().filter_map(|at| last.get(*at).cloned()).collect();
                store.list(self.next, key).await?
            }
        };
        Ok(rows.into_iter().map(Row::into_values).collect())
    }
}

#[cfg(test)]
mod tests;
