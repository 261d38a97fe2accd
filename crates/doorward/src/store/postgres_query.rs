//! Statements, values and errors, to PostgreSQL and back.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;

use deadpool_postgres::ClientWrapper;
use futures_util::TryStreamExt;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{RowStream, Statement};

use super::postgres_error::{harmless, store_error, text};
use super::query::Answer;
use super::value::Names;
use super::{Row, StoreError, Value};

/// How statements go to the server.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// Each connection is proven to have a server process of its own: statements are prepared once and used again.
    Own,
    /// A pooler may give the server side to another client after each transaction (attack X06). Nothing is prepared,
    /// and each transaction begins with these statements, which set its parameters.
    Pooled(Arc<str>),
}

impl Way {
    /// The statements that begin a transaction.
    pub(super) fn begin(&self) -> &str {
        match self {
            Self::Own => "BEGIN",
            Self::Pooled(begin) => begin,
        }
    }
}

/// Runs a change that is a transaction of its own.
pub(super) async fn change(
    client: &ClientWrapper,
    way: &Way,
    sql: &str,
    values: &[Value],
) -> Result<Answer, StoreError> {
    let (found, changed) = alone(client, way, sql, values).await.map_err(|error| store_error(&error))?;
    Ok(Answer { rows: rows(&found)?, changed })
}

/// Runs a read that is a transaction of its own, and can be repeated.
pub(super) async fn read(
    client: &ClientWrapper,
    way: &Way,
    sql: &str,
    values: &[Value],
) -> Result<Vec<Row>, StoreError> {
    let (found, _) = alone(client, way, sql, values).await.map_err(|error| harmless(&error))?;
    rows(&found)
}

/// The rows of an answer, and how many the statement changed or returned.
pub(super) type Raw = (Vec<tokio_postgres::Row>, u64);

/// Runs one statement; behind a pooler in a transaction of its own, sent as one message.
async fn alone(
    client: &ClientWrapper,
    way: &Way,
    sql: &str,
    values: &[Value],
) -> Result<Raw, tokio_postgres::Error> {
    let Way::Pooled(begin) = way else {
        let statement = client.prepare_cached(sql).await?;
        return prepared(client, &statement, values).await;
    };
    let (begun, outcome, committed) = tokio::join!(
        biased;
        client.batch_execute(begin),
        unnamed(client, sql, values),
        client.batch_execute("COMMIT"),
    );
    begun?;
    let outcome = outcome?;
    committed.map(|()| outcome)
}

pub(super) async fn prepared(
    client: &ClientWrapper,
    statement: &Statement,
    values: &[Value],
) -> Result<Raw, tokio_postgres::Error> {
    collected(client.query_raw(statement, parameters(values)).await?).await
}

pub(super) async fn unnamed(
    client: &ClientWrapper,
    sql: &str,
    values: &[Value],
) -> Result<Raw, tokio_postgres::Error> {
    collected(client.query_typed_raw(sql, typed(values)).await?).await
}

async fn collected(stream: RowStream) -> Result<Raw, tokio_postgres::Error> {
    let mut stream = pin!(stream);
    let mut found = Vec::new();
    while let Some(row) = stream.try_next().await? {
        found.push(row);
    }
    Ok((found, stream.rows_affected().unwrap_or_default()))
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// The values with their types, so that the server need not be asked for them.
fn typed(values: &[Value]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    let kind = |value: &Value| match value {
        Value::Null => Type::UNKNOWN,
        Value::Int(_) => Type::INT8,
        Value::Text(_) => Type::TEXT,
        Value::Bytes(_) => Type::BYTEA,
    };
    values.iter().map(|value| (value as &(dyn ToSql + Sync), kind(value))).collect()
}

/// Runs the statements of a migration, however long they take.
pub(super) async fn migrate(client: &ClientWrapper, sql: &str) -> Result<(), StoreError> {
    let run = async {
        client.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
        client.batch_execute(sql).await
    };
    run.await.map_err(|error| match error.code() {
        // Two nodes that make the same table at once: IF NOT EXISTS does not wait, but the next try finds the table.
        Some(&(SqlState::UNIQUE_VIOLATION | SqlState::DUPLICATE_TABLE | SqlState::DUPLICATE_OBJECT)) => {
            StoreError::Contended(text(&error))
        }
        _ => store_error(&error),
    })
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(int) => int.to_sql_checked(kind, out),
            Self::Text(text) => text.to_sql_checked(kind, out),
            Self::Bytes(bytes) => bytes.to_sql_checked(kind, out),
        }
    }

    /// Any type may be NULL; otherwise the value decides which types it fits.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

pub(super) fn rows(answer: &[tokio_postgres::Row]) -> Result<Vec<Row>, StoreError> {
    let Some(first) = answer.first() else { return Ok(Vec::new()) };
    let names = Names::new(first.columns().iter().map(tokio_postgres::Column::name));
    answer.iter().map(|row| row_of(row, names.clone())).collect()
}

fn row_of(row: &tokio_postgres::Row, names: Names) -> Result<Row, StoreError> {
    let columns = row.columns().iter().enumerate().map(|(index, column)| {
        let value = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(index).map(Value::from),
            Type::TEXT => row.try_get::<_, Option<String>>(index).map(Value::from),
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(index).map(Value::from),
            ref other => {
                let name = column.name();
                return Err(StoreError::Corrupt(format!(
                    "column {name} is {other}: cast it AS BIGINT or AS TEXT"
                )));
            }
        };
        value.map_err(|error| store_error(&error))
    });
    Ok(Row { names, values: columns.collect::<Result<_, _>>()? })
}
