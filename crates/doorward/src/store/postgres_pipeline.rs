//! Statements of a transaction that are sent together, so that all of them take one round trip.
//!
//! The driver writes what is polled before the first answer into one flight. The server runs it in its order; after a
//! statement that fails it refuses the rest, and answers COMMIT with a rollback.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use deadpool_postgres::ClientWrapper;
use futures_util::future::try_join_all;
use tokio_postgres::Statement;

use super::postgres_error::{harmless, store_error, text};
use super::postgres_query::{Raw, Way, prepared, rows, unnamed};
use super::query::{Answer, Query};
use super::{Row, StoreError};

/// What is sent together.
pub(super) struct Flight<'a> {
    /// The statements that begin the transaction, if it begins with this flight.
    pub(super) begin: Option<&'a str>,
    pub(super) queries: &'a [Query],
    /// Whether the transaction ends with it.
    pub(super) commits: bool,
}

/// Why a flight failed.
pub(super) struct Failed {
    pub(super) error: StoreError,
    /// Whether the server has ended the transaction, and answered everything.
    pub(super) is_over: bool,
}

/// The text of a statement for PostgreSQL. If it must change a row, the server refuses it with a division by zero if it
/// changes none, since a commit that is in the same flight must then fail.
fn text_of(query: &Query) -> Cow<'static, str> {
    if !query.must_change {
        return Cow::Borrowed(query.sql);
    }
    let sql = query.sql;
    Cow::Owned(format!("WITH hit AS ({sql} RETURNING 1) SELECT CAST(1 / count(*) AS BIGINT) AS hit FROM hit"))
}

/// A statement that is ready to be sent.
pub(super) enum Ready {
    /// It is prepared on this connection.
    Prepared(Statement),
    /// Its text goes with it.
    Text(Cow<'static, str>),
}

/// Prepares what this connection hasn't prepared yet, in one round trip. Nothing is sent if it has.
pub(super) async fn prepare(
    client: &ClientWrapper,
    way: &Way,
    queries: &[Query],
) -> Result<Vec<Ready>, tokio_postgres::Error> {
    let ready = queries.iter().map(async |query| {
        let text = text_of(query);
        Ok(match way {
            Way::Own => {
                let prepared = client.prepare_cached(&text).await;
                Ready::Prepared(prepared.inspect_err(|_| query.has_failed())?)
            }
            Way::Pooled(_) => Ready::Text(text),
        })
    });
    try_join_all(ready).await
}

type Raws = Vec<Option<Result<Raw, tokio_postgres::Error>>>;
type Running<'a> = Pin<Box<dyn Future<Output = Result<Raw, tokio_postgres::Error>> + Send + 'a>>;

/// Sends a flight and waits for its answers, of which those to its queries are returned.
pub(super) async fn send(
    client: &ClientWrapper,
    flight: Flight<'_>,
    ready: &[Ready],
) -> Result<Vec<Answer>, Failed> {
    let Flight { begin, queries, commits } = flight;
    let begins = begin.is_some();
    let simple = |sql| -> Running<'_> { Box::pin(simple(client, sql)) };
    let statements = queries.iter().zip(ready).map(|(query, ready)| -> Running<'_> {
        match ready {
            Ready::Prepared(statement) => Box::pin(prepared(client, statement, &query.values)),
            Ready::Text(text) => Box::pin(unnamed(client, text, &query.values)),
        }
    });
    let running = begin.map(simple).into_iter().chain(statements);
    let mut raws = together(running.chain(commits.then(|| simple("COMMIT"))).collect()).await;
    if let Some(at) = raws.iter().position(|raw| matches!(raw, Some(Err(_)))) {
        let commit_was_sent = commits && raws.last().is_some_and(Option::is_some);
        let is_commit = commits && at + 1 == raws.len();
        if let Some(query) = at.checked_sub(usize::from(begins)).and_then(|at| queries.get(at)) {
            query.has_failed();
        }
        let error = raws.swap_remove(at).and_then(Result::err);
        return Err(match error {
            Some(error) if is_commit => failed_commit(&error),
            Some(error) if commit_was_sent => failed_before_commit(&error, begins),
            Some(error) if begins => Failed { error: harmless(&error), is_over: false },
            Some(error) => Failed { error: store_error(&error), is_over: false },
            None => Failed { error: StoreError::closed(), is_over: false },
        });
    }
    let of_queries = raws.into_iter().skip(usize::from(begins)).take(queries.len()).flatten().flatten();
    let answers = of_queries.map(|(found, changed)| Ok(Answer { rows: rows(&found)?, changed }));
    answers.collect::<Result<_, _>>().map_err(|error| Failed { error, is_over: commits })
}

/// Runs these statements as one transaction, all sent at once, whose commit doesn't wait for the disk.
pub(super) async fn unsynced(
    client: &ClientWrapper,
    way: &Way,
    statements: &[super::Statement],
) -> Result<Vec<Vec<Row>>, Failed> {
    let queries: Vec<_> = statements.iter().map(|one| Query::new(one.sql, one.values.clone())).collect();
    let ready = prepare(client, way, &queries).await;
    let ready = ready.map_err(|error| Failed { error: harmless(&error), is_over: true })?;
    let begin = format!("{}; SET LOCAL synchronous_commit = off", way.begin());
    let flight = Flight { begin: Some(&begin), queries: &queries, commits: true };
    let answers = send(client, flight, &ready).await?;
    Ok(answers.into_iter().map(|answer| answer.rows).collect())
}

/// The commit was refused, or its answer was lost.
fn failed_commit(error: &tokio_postgres::Error) -> Failed {
    match error.code() {
        Some(_) => Failed { error: store_error(error), is_over: true },
        None => Failed { error: lost(&text(error)), is_over: false },
    }
}

/// A statement failed, and a commit was sent behind it. If the server said so, nothing is kept: it runs them in their
/// order. If the connection was cut, all may have been done.
fn failed_before_commit(error: &tokio_postgres::Error, begins: bool) -> Failed {
    match error.code() {
        Some(_) if begins => Failed { error: harmless(error), is_over: true },
        Some(_) => Failed { error: store_error(error), is_over: true },
        None => Failed { error: lost(&text(error)), is_over: false },
    }
}

/// The answer to a commit is missing.
pub(super) fn lost(why: &str) -> StoreError {
    StoreError::Unavailable(format!("the answer to a commit was lost, it may have been done: {why}"))
}

/// Polls all until each has its answer, always in their order, since a statement is sent when it is polled first. If one
/// fails before all were sent, the rest is not: no commit may follow a statement that could not be written.
async fn together(mut running: Vec<Running<'_>>) -> Raws {
    let mut answers: Raws = running.iter().map(|_| None).collect();
    let mut are_sent = false;
    poll_fn(move |context| {
        for (one, answer) in running.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(ready) = one.as_mut().poll(context)
            {
                let has_failed = ready.is_err();
                *answer = Some(ready);
                if has_failed && !are_sent {
                    return Poll::Ready(std::mem::take(&mut answers));
                }
            }
        }
        are_sent = true;
        if answers.iter().all(Option::is_some) {
            Poll::Ready(std::mem::take(&mut answers))
        } else {
            Poll::Pending
        }
    })
    .await
}

async fn simple(client: &ClientWrapper, sql: &str) -> Result<Raw, tokio_postgres::Error> {
    client.batch_execute(sql).await.map(|()| (Vec::new(), 0))
}
