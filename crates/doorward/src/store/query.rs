//! A statement of a transaction, and its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Row, StoreError, Value};

/// A statement of a transaction.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value>,
    /// Whether the transaction fails if it changes no row.
    pub(super) must_change: bool,
    /// Set if it fails.
    pub(super) failure: Option<Arc<AtomicBool>>,
}

impl Query {
    pub(super) fn new(sql: &'static str, values: Vec<Value>) -> Self {
        Self { sql, values, must_change: false, failure: None }
    }

    /// Notes that this one failed.
    pub(super) fn has_failed(&self) {
        if let Some(failure) = &self.failure {
            failure.store(true, Ordering::Relaxed);
        }
    }
}

/// The answer to a statement.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The rows of a `SELECT` or of `… RETURNING`.
    pub rows: Vec<Row>,
    /// The number of rows that it changed or returned.
    pub changed: u64,
}

impl Answer {
    /// The first row.
    pub fn into_first(self) -> Option<Row> {
        self.rows.into_iter().next()
    }
}

/// The result of a transaction: what its closure returned, of which only `Ok` is kept; or the failure of the store.
pub(super) type Outcome<T, E> = Result<Result<T, E>, StoreError>;
