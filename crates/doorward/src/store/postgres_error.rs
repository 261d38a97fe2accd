//! Maps errors of PostgreSQL and of its driver to the store's.

use std::error::Error;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::WrongType;

use super::StoreError;

/// As [`store_error`], for a call that has had no effect yet. A dead connection, as all of the pool are after a restart
/// of the server, is worth another try.
pub(super) fn harmless(error: &tokio_postgres::Error) -> StoreError {
    let cut = match error.code() {
        None => true,
        Some(code) => [&SqlState::ADMIN_SHUTDOWN, &SqlState::CRASH_SHUTDOWN].contains(&code),
    };
    match store_error(error) {
        StoreError::Unavailable(text) if cut => StoreError::Contended(text),
        other => other,
    }
}

pub(super) fn store_error(error: &tokio_postgres::Error) -> StoreError {
    let Some(code) = error.code() else {
        let wrong_type = error.source().is_some_and(<dyn Error>::is::<WrongType>);
        return if wrong_type {
            StoreError::Corrupt(text(error))
        } else {
            StoreError::Unavailable(text(error))
        };
    };
    let text = text(error);
    match code {
        // The last: another act held a lock for long. A process that stands still loses it soon.
        &SqlState::T_R_SERIALIZATION_FAILURE
        | &SqlState::T_R_DEADLOCK_DETECTED
        | &SqlState::LOCK_NOT_AVAILABLE => StoreError::Contended(text),
        // Only a statement that must change a row divides.
        &SqlState::DIVISION_BY_ZERO => StoreError::Missed,
        code if code.code().starts_with("23") => StoreError::Conflict(text),
        _ if text.contains("statement pooling mode") => StoreError::Refused(format!(
            "{text}: have the pooler use transaction mode, or session mode without postgres.pooler"
        )),
        // Connection, resources, operator intervention (also a statement that took too long), the system itself.
        code if ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.code().starts_with(class)) => {
            StoreError::Unavailable(text)
        }
        &SqlState::INSUFFICIENT_PRIVILEGE => StoreError::Refused(format!(
            "{text}: Doorward's tables must belong to the user of the database URL, or be granted to it"
        )),
        // A replica that was the primary until just now.
        &SqlState::READ_ONLY_SQL_TRANSACTION => StoreError::Unavailable(text),
        _ => StoreError::Corrupt(text),
    }
}

/// The message of the driver or the server, without the details that hold values.
pub(super) fn text(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
