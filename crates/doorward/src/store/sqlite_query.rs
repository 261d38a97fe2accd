//! Statements, values and errors, to SQLite and back.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, ToSql};

use super::query::{Answer, Query};
use super::value::Names;
use super::{Row, StoreError, Value};

/// Runs a statement of a transaction.
pub(super) fn run(connection: &Connection, query: &Query) -> Result<Answer, StoreError> {
    let answer = answer(connection, query).map_err(|error| store_error(&error));
    let answer = answer.and_then(|answer| match answer.changed {
        0 if query.must_change => Err(StoreError::Missed),
        _ => Ok(answer),
    });
    answer.inspect_err(|_| query.has_failed())
}

fn answer(connection: &Connection, query: &Query) -> rusqlite::Result<Answer> {
    let mut statement = bound(connection, query.sql, &query.values)?;
    if statement.column_count() == 0 {
        let changed = statement.raw_execute()? as u64;
        return Ok(Answer { rows: Vec::new(), changed });
    }
    let rows = all(&mut statement)?;
    Ok(Answer { changed: rows.len() as u64, rows })
}

pub(super) fn find(connection: &Connection, sql: &str, values: &[Value]) -> Result<Option<Row>, StoreError> {
    let first = bound(connection, sql, values).and_then(|mut statement| {
        statement.raw_query().next()?.map(|row| row_of(row, names_of(row))).transpose()
    });
    first.map_err(|error| store_error(&error))
}

pub(super) fn list(connection: &Connection, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
    let rows = bound(connection, sql, values).and_then(|mut statement| all(&mut statement));
    rows.map_err(|error| store_error(&error))
}

fn all(statement: &mut CachedStatement<'_>) -> rusqlite::Result<Vec<Row>> {
    let mut rows = statement.raw_query();
    let mut list: Vec<Row> = Vec::new();
    while let Some(row) = rows.next()? {
        let names = list.last().map_or_else(|| names_of(row), |before| before.names.clone());
        list.push(row_of(row, names)?);
    }
    Ok(list)
}

pub(super) fn batch(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.execute_batch(sql).map_err(|error| store_error(&error))
}

/// The prepared statement with its values bound. SQLite takes `$2` for a *name* and numbers names by their first
/// appearance. So each parameter is bound by the number in its name: the first one may well be `$2`.
fn bound<'a>(
    connection: &'a Connection,
    sql: &str,
    values: &[Value],
) -> rusqlite::Result<CachedStatement<'a>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut highest = 0;
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index).unwrap_or_default();
        let number = name.strip_prefix('$').and_then(|digits| digits.parse().ok()).unwrap_or(0_usize);
        let Some(value) = number.checked_sub(1).and_then(|at| values.get(at)) else {
            return Err(rusqlite::Error::InvalidParameterName(name.to_owned()));
        };
        statement.raw_bind_parameter(index, value)?;
        highest = highest.max(number);
    }
    // PostgreSQL refuses a value too many, so this does too.
    if highest == values.len() {
        Ok(statement)
    } else {
        Err(rusqlite::Error::InvalidParameterCount(values.len(), highest))
    }
}

/// Runs the statements of a migration.
pub(super) fn migrate(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    batch(connection, &in_own_words(sql))
}

/// Translates the same statements for SQLite: its type names, its clock, its state, and strict tables, which enforce their column
/// types. A literal contains no `;`, and comments are whole lines.
pub(super) fn in_own_words(sql: &str) -> String {
    let code: String =
        sql.lines().filter(|line| !line.starts_with("--")).flat_map(|line| [line, "\n"]).collect();
    code.split(';').map(statement_in_own_words).collect()
}

fn statement_in_own_words(statement: &str) -> String {
    let statement = statement.trim();
    if statement.is_empty() {
        return String::new();
    }
    let no_word = |character: char| !(character.is_ascii_alphanumeric() || character == '_');
    let statement = statement
        .replace("extract(epoch FROM clock_timestamp())", "unixepoch('subsec')")
        .replace("current_setting('transaction_read_only')", "'off'");
    let words = statement.split_inclusive(no_word).flat_map(|piece| {
        let word = piece.trim_end_matches(no_word);
        let rest = piece.strip_prefix(word).unwrap_or_default();
        let word = match word {
            "BIGINT" => "INTEGER",
            "BYTEA" => "BLOB",
            other => other,
        };
        [word, rest]
    });
    let words: String = words.collect();
    let strict = if statement.starts_with("CREATE TABLE") { " STRICT" } else { "" };
    format!("{words}{strict};\n")
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(int) => ValueRef::Integer(*int),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn names_of(row: &rusqlite::Row<'_>) -> Names {
    Names::new(row.as_ref().column_names())
}

fn row_of(row: &rusqlite::Row<'_>, names: Names) -> rusqlite::Result<Row> {
    let column = |index| match row.get_ref(index)? {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(int) => Ok(Value::Int(int)),
        text @ ValueRef::Text(_) => Ok(Value::Text(text.as_str()?.to_owned())),
        ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes.to_vec())),
        ValueRef::Real(_) => Err(rusqlite::Error::InvalidQuery),
    };
    let values = (0..row.as_ref().column_count()).map(column).collect::<rusqlite::Result<_>>()?;
    Ok(Row { names, values })
}

pub(super) fn store_error(error: &rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Unavailable("another process has kept the database file locked for 5 s".to_owned())
        }
        // Of a table that is closed to writes.
        Some(ErrorCode::ConstraintViolation) if is_of_trigger(error) => StoreError::Unavailable(text),
        Some(ErrorCode::ConstraintViolation) => StoreError::Conflict(text),
        Some(ErrorCode::DiskFull) => StoreError::Full(text),
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::OperationAborted
            | ErrorCode::FileLockingProtocolFailed,
        ) => StoreError::Unavailable(text),
        _ => StoreError::Corrupt(text),
    }
}

fn is_of_trigger(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER)
}
