//! The proof that a new connection has a server process of its own.
//!
//! Between two transactions, a pooler in transaction mode gives the server side of a connection to another client. The
//! driver names its statements `s0`, `s1` and so on, the same in each process, so one process would run another's SQL
//! (attack X06). Before this proof, nothing is prepared and nothing is set on a connection.

use tokio_postgres::{Client, Config, Error, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::StoreError;

const LOOK: &str = "SELECT pg_backend_pid(), (SELECT count(*) FROM pg_prepared_statements)";
const LOOK_AND_STAY: &str = "BEGIN; SELECT pg_backend_pid(), (SELECT count(*) FROM pg_prepared_statements)";
const LEAVE: &str = "COMMIT";

/// Why there is no proof.
pub(super) enum Unproven {
    /// Another client was there, or the process changed.
    Shared,
    /// The server could not be asked.
    Failed(Error),
}

impl From<Error> for Unproven {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What to do about a shared connection.
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

/// A connection, and the process that it must have each time.
struct End<'a> {
    client: &'a Client,
    process: String,
}

/// Checks that the server side of `ours` stays the same while another connection is busy, and that nobody has prepared
/// anything there. Opens the other connection, and closes it again.
pub(super) async fn prove(ours: &Client, config: &Config, tls: MakeRustlsConnect) -> Result<(), Unproven> {
    let connecting = async { config.connect(tls).await.map_err(Unproven::from) };
    let (first, (other, connection)) = tokio::try_join!(look(ours, LOOK), connecting)?;
    // It ends with its client.
    tokio::spawn(connection);
    let theirs = look(&other, LOOK).await?;
    if !first.is_empty || !theirs.is_empty || first.process == theirs.process {
        return Err(Unproven::Shared);
    }
    let ours = End { client: ours, process: first.process };
    let other = End { client: &other, process: theirs.process };
    while_busy(&ours, &other).await?;
    in_turns(&ours, &other).await
}

/// Each connection must keep its process while the other is inside a transaction. For `ours` these are several
/// transactions.
async fn while_busy(ours: &End<'_>, other: &End<'_>) -> Result<(), Unproven> {
    other.stays(LOOK_AND_STAY).await?;
    ours.stays(LOOK).await?;
    // One round trip for both: the query is sent first, and a pooler frees the other server only after the answer to
    // its `COMMIT`.
    tokio::try_join!(ours.stays(LOOK), other.leaves())?;
    ours.stays(LOOK_AND_STAY).await?;
    tokio::try_join!(other.stays(LOOK), ours.leaves()).map(drop)
}

/// Each time a pooler has both servers free and must choose. Each connection is asked twice before the other is. So one
/// of them gets the other's server, whether a pooler takes the last used one, the longest unused one, or the next in
/// turn. A pooler that chose at random between two would pass once in 256 times: it had two choices in `while_busy`.
async fn in_turns(ours: &End<'_>, other: &End<'_>) -> Result<(), Unproven> {
    for end in [other, ours, ours, other, other, ours] {
        end.stays(LOOK).await?;
    }
    Ok(())
}

impl End<'_> {
    /// Checks that the process is the same, and that nobody has prepared anything there.
    async fn stays(&self, question: &str) -> Result<(), Unproven> {
        let side = look(self.client, question).await?;
        if side.is_empty && side.process == self.process { Ok(()) } else { Err(Unproven::Shared) }
    }

    /// Ends its transaction.
    async fn leaves(&self) -> Result<(), Unproven> {
        Ok(self.client.batch_execute(LEAVE).await?)
    }
}

/// Queries without a prepared statement.
async fn look(client: &Client, question: &str) -> Result<Side, Unproven> {
    let answer = client.simple_query(question).await?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((row.get(0)?, row.get(1)?)),
        _ => None,
    });
    let (process, prepared) = row.ok_or(Unproven::Shared)?;
    Ok(Side { process: process.to_owned(), is_empty: prepared == "0" })
}
