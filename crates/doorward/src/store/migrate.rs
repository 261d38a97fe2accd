//! Migrations: numbered SQL files in the program. Each runs once and is recorded in the table `migrations`.
//!
//! They are written in PostgreSQL's dialect. A released one never changes: its checksum is compared at every start. A
//! database with a migration that this program doesn't know is refused.

use aws_lc_rs::digest;
use doorward_core::Timestamp;

use super::{Store, StoreError, Tx, values};

/// One numbered file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    pub(super) version: i64,
    pub(super) sql: &'static str,
}

/// All of them, in order.
pub(super) const ALL: &[Migration] = &[
    Migration { version: 1, sql: include_str!("migrations/0001_accounts.sql") },
    Migration { version: 2, sql: include_str!("migrations/0002_clients.sql") },
    Migration { version: 3, sql: include_str!("migrations/0003_claims_versions.sql") },
    Migration { version: 4, sql: include_str!("migrations/0004_authenticators.sql") },
    Migration { version: 6, sql: include_str!("migrations/0006_limits.sql") },
    Migration { version: 7, sql: include_str!("migrations/0007_growth.sql") },
];

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS migrations (
    version BIGINT PRIMARY KEY,
    checksum BYTEA NOT NULL,
    applied_at BIGINT NOT NULL
)";
const APPLIED: &str = "SELECT version, checksum FROM migrations ORDER BY version";
/// The row is the lock: a second node waits here for the first, and then finds the row.
const CLAIM: &str = "INSERT INTO migrations (version, checksum, applied_at) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING version";

/// Runs those that the database does not have yet, one transaction each.
pub(super) async fn run(store: &Store, all: &'static [Migration], now: Timestamp) -> Result<(), StoreError> {
    store.transaction(async |tx: &mut Tx| tx.migrate(LEDGER).await).await?;
    while let Some(next) = missing(store, all).await?.into_iter().next() {
        let claim_and_run = async move |tx: &mut Tx| {
            let claimed = tx.find(CLAIM, values![next.version, checksum(next), now]).await?;
            if claimed.is_some() { tx.migrate(next.sql).await } else { Ok(()) }
        };
        store.transaction(claim_and_run).await?;
    }
    Ok(())
}

/// Those that the database does not have yet, in order.
pub(super) async fn missing(store: &Store, all: &'static [Migration]) -> Result<Vec<Migration>, StoreError> {
    let mut missing: Vec<Migration> = all.to_vec();
    for row in store.list(APPLIED, values![]).await? {
        let (version, noted): (i64, Vec<u8>) = (row.get("version")?, row.get("checksum")?);
        let Some(known) = all.iter().find(|migration| migration.version == version) else {
            return Err(StoreError::Refused(format!(
                "the database is newer than this program (it has migration {version}): use the newer program, or \
                 restore a backup from before it"
            )));
        };
        if noted != checksum(*known) {
            return Err(StoreError::Refused(format!(
                "migration {version} was run with another text than this program has: use the program that made \
                 this database"
            )));
        }
        missing.retain(|migration| migration.version != version);
    }
    Ok(missing)
}

fn checksum(migration: Migration) -> Vec<u8> {
    digest::digest(&digest::SHA256, migration.sql.as_bytes()).as_ref().to_vec()
}
