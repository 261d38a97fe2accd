//! Migrations: numbered SQL files in the program. Each runs once and is recorded in the table `migrations`.
//!
//! They are written in PostgreSQL's dialect. A released one never changes: its checksum is compared at every start.
//!
//! Nodes of two versions run side by side during an upgrade, and an older one may start again. So each migration says
//! the oldest program that can use its result, and the table remembers it. A program starts beside a migration that it
//! doesn't know if that says so. A column or table is taken away only one release after the last program that uses it.

use aws_lc_rs::digest;
use doorward_core::Timestamp;

use super::migration_turn::{self, LOOK_EVERY, SILENT_AFTER, Turn};
use super::{Store, StoreError, Tx, values};

/// One numbered file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    pub(super) version: i64,
    /// The oldest program that can read and write its result, by the last migration that the program has.
    pub(super) reads_from: i64,
    pub(super) sql: &'static str,
}

/// All of them, in order.
pub(super) const ALL: &[Migration] = &[
    Migration { version: 1, reads_from: 1, sql: include_str!("migrations/0001_accounts.sql") },
    Migration { version: 2, reads_from: 1, sql: include_str!("migrations/0002_clients.sql") },
    Migration { version: 3, reads_from: 3, sql: include_str!("migrations/0003_claims_versions.sql") },
    Migration { version: 4, reads_from: 4, sql: include_str!("migrations/0004_authenticators.sql") },
    Migration { version: 5, reads_from: 5, sql: include_str!("migrations/0005_lanes.sql") },
    Migration { version: 6, reads_from: 4, sql: include_str!("migrations/0006_limits.sql") },
    Migration { version: 7, reads_from: 7, sql: include_str!("migrations/0007_growth.sql") },
];

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS migrations (
    version BIGINT PRIMARY KEY,
    checksum BYTEA NOT NULL,
    applied_at BIGINT NOT NULL
)";
const APPLIED: &str = "SELECT version, checksum FROM migrations ORDER BY version";
/// Where changes of the schema are part of the transaction, the row is a second lock.
const CLAIM: &str = "INSERT INTO migrations (version, checksum, applied_at) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING version";

/// From this migration on, the table has `reads_from`.
const HAS_READERS: i64 = 6;
const NOTE_READERS: &str = "UPDATE migrations SET reads_from = $2 WHERE version = $1";
const READERS: &str = "SELECT version, reads_from FROM migrations ORDER BY version";
/// How often to try while another process migrates the same SQLite file, which takes 5 s each.
const WAITS: u32 = 720;

/// Runs those that the database does not have yet, one transaction each. While another node runs one, this waits for as
/// long as that works.
pub(super) async fn run(store: &Store, all: &'static [Migration], now: Timestamp) -> Result<(), StoreError> {
    if store.is_empty().await? {
        store.transaction(async |tx: &mut Tx| tx.migrate(LEDGER).await).await?;
    }
    match store.is_shared() {
        true => Box::pin(run_in_turn(store, all, now)).await,
        false => Box::pin(run_in_file(store, all, now)).await,
    }
}

async fn run_in_turn(store: &Store, all: &'static [Migration], now: Timestamp) -> Result<(), StoreError> {
    if missing(store, all).await?.is_empty() {
        return Ok(());
    }
    migration_turn::prepare(store).await?;
    let mut turn = Turn::new();
    while !missing(store, all).await?.is_empty() {
        match turn.take(store, SILENT_AFTER).await? {
            true => turn.during(store, Box::pin(run_all(store, all, now))).await?,
            false => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
    Ok(())
}

async fn run_all(store: &Store, all: &'static [Migration], now: Timestamp) -> Result<(), StoreError> {
    for next in missing(store, all).await? {
        store.transaction(async move |tx: &mut Tx| claim_and_run(tx, next, now).await).await?;
    }
    Ok(())
}

/// The file has one writer, which is the turn.
async fn run_in_file(store: &Store, all: &'static [Migration], now: Timestamp) -> Result<(), StoreError> {
    let mut waits = 0;
    while let Some(next) = missing(store, all).await?.into_iter().next() {
        match store.transaction(async move |tx: &mut Tx| claim_and_run(tx, next, now).await).await {
            Err(StoreError::Unavailable(_)) if waits < WAITS => waits += 1,
            outcome => outcome?,
        }
    }
    Ok(())
}

async fn claim_and_run(tx: &mut Tx, next: Migration, now: Timestamp) -> Result<(), StoreError> {
    tx.wait_without_limit().await?;
    if tx.find(CLAIM, values![next.version, checksum(next), now]).await?.is_none() {
        return Ok(());
    }
    tx.migrate(next.sql).await?;
    if next.version >= HAS_READERS {
        tx.execute(NOTE_READERS, values![next.version, next.reads_from]).await?;
    }
    Ok(())
}

/// Those that the database does not have yet, in order.
pub(super) async fn missing(store: &Store, all: &'static [Migration]) -> Result<Vec<Migration>, StoreError> {
    let mut missing: Vec<Migration> = all.to_vec();
    let mut unknown = Vec::new();
    for row in store.list(APPLIED, values![]).await? {
        let (version, noted): (i64, Vec<u8>) = (row.get("version")?, row.get("checksum")?);
        let Some(known) = all.iter().find(|migration| migration.version == version) else {
            unknown.push(version);
            continue;
        };
        if noted != checksum(*known) {
            return Err(StoreError::Refused(format!(
                "migration {version} was run with another text than this program has: use the program that made \
                 this database"
            )));
        }
        missing.retain(|migration| migration.version != version);
    }
    require_readable(store, all, &unknown).await?;
    Ok(missing)
}

/// Refuses a database that a newer program has changed so that this one can't use it any more.
async fn require_readable(store: &Store, all: &[Migration], unknown: &[i64]) -> Result<(), StoreError> {
    let Some(newest) = unknown.last() else { return Ok(()) };
    let own = all.last().map_or(0, |migration| migration.version);
    let mut unreadable = unknown.to_vec();
    if own >= HAS_READERS {
        for row in store.list(READERS, values![]).await? {
            let (version, reads_from): (i64, Option<i64>) = (row.get("version")?, row.get("reads_from")?);
            if reads_from.is_some_and(|oldest| oldest <= own) {
                unreadable.retain(|other| *other != version);
            }
        }
    }
    if unreadable.is_empty() {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "the database is newer than this program (it has migration {newest}): use the newer program, or restore a \
         backup from before it"
    )))
}

fn checksum(migration: Migration) -> Vec<u8> {
    digest::digest(&digest::SHA256, migration.sql.as_bytes()).as_ref().to_vec()
}
