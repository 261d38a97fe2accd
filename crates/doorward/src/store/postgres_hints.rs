//! Hints between nodes: one that has committed an end tells the others to look, on a connection of its own.
//!
//! A hint carries nothing, and may get lost: looks find everything. So it is sent after the commit, never within it, which
//! would make commits wait for each other.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Error, SimpleQueryMessage};

use super::postgres_connect::Plan;
use super::postgres_error::text;

/// Hints within this time are one.
const GATHER: Duration = Duration::from_millis(5);
/// How soon to connect again.
const AGAIN: Duration = Duration::from_secs(1);

const LISTEN: &str = "LISTEN doorward";
const NOTIFY: &str = "NOTIFY doorward";
const OWN: &str = "SELECT pg_backend_pid()";

/// Sends a hint for each notification of `given`, and notifies `heard` of each hint of another process, until the task is
/// aborted or the server turns out not to know hints.
pub(super) async fn keep(plan: Plan, given: Arc<Notify>, heard: Arc<Notify>) {
    loop {
        match once(&plan, &given, &heard).await {
            Err(error) if is_refusal(&error) => {
                let why = text(&error);
                tracing::info!(why, "this database passes on no hints: other nodes look four times a second");
                return;
            }
            // The looks go on meanwhile.
            Ok(()) | Err(_) => sleep(AGAIN).await,
        }
    }
}

/// Whether the server answered that it doesn't know hints, and not that it is down or full.
fn is_refusal(error: &Error) -> bool {
    let is_passing =
        |code: &SqlState| ["08", "25", "53", "57"].iter().any(|class| code.code().starts_with(class));
    error.code().is_some_and(|code| !is_passing(code))
}

async fn once(plan: &Plan, given: &Notify, heard: &Arc<Notify>) -> Result<(), Error> {
    let (client, mut connection) = plan.config.connect(plan.tls.clone()).await?;
    let own = Arc::new(AtomicI32::new(0));
    let (theirs, hears) = (own.clone(), heard.clone());
    // It ends with the connection.
    let mut messages = tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(hint) = message
                && hint.process_id() != theirs.load(Ordering::Relaxed)
            {
                hears.notify_one();
            }
        }
    });
    for message in client.simple_query(OWN).await? {
        if let SimpleQueryMessage::Row(row) = message {
            let process = row.get(0).and_then(|process| process.parse().ok());
            own.store(process.unwrap_or_default(), Ordering::Relaxed);
        }
    }
    client.batch_execute(LISTEN).await?;
    // What others ended while nobody listened is found by a look.
    heard.notify_one();
    loop {
        tokio::select! {
            () = given.notified() => {
                client.batch_execute(NOTIFY).await?;
                sleep(GATHER).await;
            }
            _ = &mut messages => return Ok(()),
        }
    }
}
