//! The proof that a new connection has a server process of its own.
//!
//! A pooler in transaction mode gives the server side of a connection to somebody else between two transactions. The
//! driver names its statements `s0`, `s1` and so on, the same in each process, so that a process would run the SQL of
//! another (attack X06). Nothing is prepared, and nothing is set, on a connection before this is through.

use tokio_postgres::{Client, Config, Error, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::StoreError;

/// How often both connections change places. A pooler that chose among two servers by chance would pass one in 256 times.
const ROUNDS: usize = 4;

const LOOK: &str = "SELECT pg_backend_pid(), (SELECT count(*) FROM pg_prepared_statements)";
const LOOK_AND_STAY: &str = "BEGIN; SELECT pg_backend_pid(), 0";

/// Why there is no proof.
pub(super) enum Unproven {
    /// Somebody else was there, or the process changed.
    Shared,
    /// The server could not be asked.
    Failed(Error),
}

impl From<Error> for Unproven {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What to do about a connection that is shared.
pub(super) fn refusal() -> StoreError {
    StoreError::Refused(
        "a pooler shares its connections to PostgreSQL among its clients (pool_mode = transaction), so statements that one \
         process prepares would be run by another: say postgres.pooler = true (or pgbouncer=true in the database URL), \
         or have the pooler use session mode"
            .to_owned(),
    )
}

/// The server's side of a connection.
struct Side {
    process: String,
    is_empty: bool,
}

/// Sees that the server side of `ours` stays the same while another connection is busy, and that nobody has prepared
/// anything there. It opens the other connection, and closes it again.
pub(super) async fn prove(ours: &Client, config: &Config, tls: MakeRustlsConnect) -> Result<(), Unproven> {
    let first = look(ours, LOOK).await?;
    if !first.is_empty {
        return Err(Unproven::Shared);
    }
    let (other, connection) = config.connect(tls).await?;
    // It ends with its client.
    tokio::spawn(connection);
    in_turns(ours, &other, &first).await
}

async fn in_turns(ours: &Client, other: &Client, first: &Side) -> Result<(), Unproven> {
    let theirs = look(other, LOOK).await?;
    let ours = (ours, first.process.as_str());
    let other = (other, theirs.process.as_str());
    if ours.1 == other.1 {
        return Err(Unproven::Shared);
    }
    for _ in 0..ROUNDS {
        for (busy, idle) in [(other, ours), (ours, other)] {
            let of_busy = look(busy.0, LOOK_AND_STAY).await?;
            let of_idle = look(idle.0, LOOK).await?;
            busy.0.batch_execute("COMMIT").await?;
            if of_busy.process != busy.1 || of_idle.process != idle.1 || !of_idle.is_empty {
                return Err(Unproven::Shared);
            }
        }
    }
    Ok(())
}

/// Asks without a prepared statement.
async fn look(client: &Client, question: &str) -> Result<Side, Unproven> {
    let answer = client.simple_query(question).await?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((row.get(0)?, row.get(1)?)),
        _ => None,
    });
    let (process, prepared) = row.ok_or(Unproven::Shared)?;
    Ok(Side { process: process.to_owned(), is_empty: prepared == "0" })
}
