//! Statements, values and errors, to PostgreSQL and back.

use std::error::Error;
use std::sync::Arc;

use deadpool_postgres::ClientWrapper;
use futures_util::future::join_all;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::postgres_error::{harmless, store_error, text};
use super::value::Names;
use super::{Row, Statement, StoreError, Value};

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

    /// Runs one statement; behind a pooler in a transaction of its own, sent as one message.
    async fn alone<T>(
        &self,
        client: &ClientWrapper,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, tokio_postgres::Error> {
        let Self::Pooled(begin) = self else { return statement.await };
        let (begun, outcome, committed) = tokio::join!(
            biased;
            client.batch_execute(begin),
            statement,
            client.batch_execute("COMMIT"),
        );
        begun?;
        let outcome = outcome?;
        committed.map(|()| outcome)
    }
}

/// Runs a statement that is a transaction of its own.
pub(super) async fn execute_alone(
    client: &ClientWrapper,
    way: &Way,
    sql: &str,
    values: &[Value],
) -> Result<u64, StoreError> {
    way.alone(client, change(client, way, sql, values)).await.map_err(|error| store_error(&error))
}

/// Runs a read that is a transaction of its own, and can be repeated.
pub(super) async fn read(
    client: &ClientWrapper,
    way: &Way,
    sql: &str,
    values: &[Value],
) -> Result<Vec<Row>, StoreError> {
    let found = way.alone(client, query(client, way, sql, values)).await;
    rows(&found.map_err(|error| harmless(&error))?)
}

/// Runs these statements as one transaction, all sent at once, whose commit doesn't wait for the disk.
pub(super) async fn unsynced(
    client: &ClientWrapper,
    way: &Way,
    queries: &[Statement],
) -> Result<Vec<Vec<Row>>, StoreError> {
    if let Way::Own = way {
        // Prepared first: otherwise the commit would be sent while one of them is still being prepared.
        for query in queries {
            client.prepare_cached(query.sql).await.map_err(|error| harmless(&error))?;
        }
    }
    let begin = format!("{}; SET LOCAL synchronous_commit = off", way.begin());
    let statements = join_all(queries.iter().map(|one| query(client, way, one.sql, &one.values)));
    let (begun, answers, committed) = tokio::join!(
        biased;
        client.batch_execute(&begin),
        statements,
        client.batch_execute("COMMIT"),
    );
    begun.map_err(|error| harmless(&error))?;
    let answers = answers.into_iter().map(|answer| rows(&answer.map_err(|error| harmless(&error))?));
    let answers = answers.collect::<Result<_, _>>()?;
    committed.map(|()| answers).map_err(|error| harmless(&error))
}

async fn change(
    client: &ClientWrapper,
    way: &Way,
    sql: &str,
    values: &[Value],
) -> Result<u64, tokio_postgres::Error> {
    match way {
        Way::Own => {
            let statement = client.prepare_cached(sql).await?;
            client.execute(&statement, &parameters(values)).await
        }
        Way::Pooled(_) => client.execute_typed(sql, &typed(values)).await,
    }
}

async fn query(
    client: &ClientWrapper,
    way: &Way,
    sql: &str,
    values: &[Value],
) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
    match way {
        Way::Own => {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, &parameters(values)).await
        }
        Way::Pooled(_) => client.query_typed(sql, &typed(values)).await,
    }
}

pub(super) fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// The values with their types, so that the server need not be asked for them.
pub(super) fn typed(values: &[Value]) -> Vec<(&(dyn ToSql + Sync), Type)> {
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
