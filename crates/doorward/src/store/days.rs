//! The audit log by the day. Where the engine has partitions, each day's entries are a table of their own, which is dropped
//! whole: deleting them row by row would cost as much as writing them. Elsewhere, and for entries of no such day, the sweep
//! deletes them in batches.

use doorward_core::{SessionId, Timestamp};
use time::{Date, Duration, Month, OffsetDateTime};

use super::{Engine, Store, StoreError, Tx, values};

const KIND: &str = "SELECT CAST(relkind AS TEXT) AS kind FROM pg_class WHERE oid = to_regclass('audit')";
const DAYS: &str = "SELECT CAST(c.relname AS TEXT) AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
     WHERE i.inhparent = to_regclass('audit')";
/// Two nodes come one after the other.
const LOCK: &str = "LOCK TABLE audit IN ACCESS EXCLUSIVE MODE";
/// The same columns and names as in the migration that made it.
const PARTITION: &str = "DROP VIEW audit_log;
    ALTER TABLE audit RENAME TO audit_before;
    CREATE TABLE audit (LIKE audit_before INCLUDING CONSTRAINTS) PARTITION BY RANGE (id);
    CREATE TABLE audit_other PARTITION OF audit DEFAULT;
    INSERT INTO audit SELECT id, created_at, action, actor, user_id, actor_id, session_id, ip, detail FROM audit_before;
    DROP TABLE audit_before;
    ALTER TABLE audit ADD PRIMARY KEY (id);
    CREATE INDEX audit_by_user ON audit (user_id ASC, id ASC) WHERE user_id IS NOT NULL;
    CREATE INDEX audit_by_actor ON audit (actor_id ASC, id ASC) WHERE actor_id IS NOT NULL;
    CREATE VIEW audit_log AS
        SELECT id, created_at, action, actor, CAST(1 AS BIGINT) AS occurrences, user_id, actor_id, session_id, ip, detail
        FROM audit
        UNION ALL SELECT id, created_at, action, actor, occurrences, user_id, actor_id, session_id, ip, detail
        FROM audit_folds";
/// How many days have their table ahead, with today.
const AHEAD: i64 = 2;

impl Store {
    /// Partitions the audit log if the engine can, once, and makes the tables of the next days.
    pub(super) async fn partition(&self, now: Timestamp) {
        if !matches!(self.0.engine, Engine::Postgres(_)) {
            return;
        }
        let convert = async |tx: &mut Tx| {
            if !is_partitioned(tx).await? {
                tx.migrate(LOCK).await?;
                if !is_partitioned(tx).await? {
                    tx.migrate(PARTITION).await?;
                }
            }
            Ok(())
        };
        if let Err(error) = self.transaction(convert).await {
            tracing::info!(%error, "the audit log is one table: its old entries are deleted one by one");
        } else if let Err(error) = self.keep_days(now, None).await {
            // Entries find a place without them, and each sweep tries again.
            tracing::warn!(%error, "the audit log's tables of the next days could not be made");
        }
    }

    /// Makes the tables of the next days, and drops those of days that ended before this time.
    ///
    /// # Errors
    /// [`StoreError`]; the next call tries again.
    pub(crate) async fn keep_days(
        &self,
        now: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        if !matches!(self.0.engine, Engine::Postgres(_)) {
            return Ok(());
        }
        let days = async |tx: &mut Tx| {
            if !is_partitioned(tx).await? {
                return Ok(None);
            }
            tx.list(DAYS, values![]).await.map(Some)
        };
        let Some(rows) = self.transaction(days).await? else { return Ok(()) };
        let names = rows.iter().map(|row| row.get("name")).collect::<Result<Vec<String>, _>>()?;
        let today =
            OffsetDateTime::from_unix_timestamp(now.as_secs()).unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
        for day in (0..AHEAD).filter_map(|days| today.checked_add(Duration::days(days))).map(Day) {
            if !names.contains(&day.name()) {
                self.make(day).await?;
            }
        }
        for day in names.iter().filter_map(|name| Day::read(name)) {
            if before.is_some_and(|before| day.end() <= before) {
                let drop = format!("SET LOCAL lock_timeout = '1s'; DROP TABLE IF EXISTS {}", day.name());
                self.transaction(async move |tx: &mut Tx| tx.migrate(&drop).await).await?;
            }
        }
        Ok(())
    }

    /// Makes a day's table. If there are entries of the day already, they stay where they are, and so do its later ones.
    async fn make(&self, day: Day) -> Result<(), StoreError> {
        let make = format!(
            "SET LOCAL lock_timeout = '1s'; CREATE TABLE IF NOT EXISTS {} PARTITION OF audit FOR VALUES FROM ('{}') TO ('{}')",
            day.name(),
            bytes(day.begin()),
            bytes(day.end()),
        );
        match self.transaction(async move |tx: &mut Tx| tx.migrate(&make).await).await {
            Err(StoreError::Conflict(_)) => Ok(()),
            made => made,
        }
    }
}

async fn is_partitioned(tx: &mut Tx) -> Result<bool, StoreError> {
    let row = tx.find(KIND, values![]).await?;
    Ok(row.map(|row| row.get::<String>("kind")).transpose()?.as_deref() == Some("p"))
}

/// The first id of an entry of this time, as PostgreSQL writes bytes.
fn bytes(at: Timestamp) -> String {
    let id = SessionId::new(at, [0; 10]);
    let digits: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\\x{digits}")
}

/// A day of the log, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Day(Date);

impl Day {
    fn name(self) -> String {
        format!("audit_{:04}_{:02}_{:02}", self.0.year(), u8::from(self.0.month()), self.0.day())
    }

    fn read(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix("audit_")?.splitn(3, '_');
        let (year, month, day) =
            (parts.next()?.parse().ok()?, parts.next()?.parse::<u8>().ok()?, parts.next()?);
        let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day.parse().ok()?);
        date.ok().map(Self)
    }

    fn begin(self) -> Timestamp {
        Timestamp::from_secs(self.0.midnight().assume_utc().unix_timestamp())
    }

    fn end(self) -> Timestamp {
        self.begin() + std::time::Duration::from_secs(86_400)
    }
}
