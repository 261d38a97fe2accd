//! What the database reports about itself, for `doorward doctor`: the only SQL that is written for one engine.

use doorward_core::Timestamp;

use super::{Engine, Store, StoreError, values};

/// The oldest PostgreSQL that still gets fixes.
const OLDEST: i64 = 140_000;

/// The condition of the database.
#[derive(Debug)]
pub struct Condition {
    /// The engine and its version.
    pub engine: String,
    /// Its clock, if it has one of its own.
    pub now: Option<Timestamp>,
    /// What is wrong, and what to do.
    pub warnings: Vec<(&'static str, &'static str)>,
}

const OF_POSTGRES: &str = "SELECT current_setting('server_version') AS version, \
     CAST(current_setting('server_version_num') AS BIGINT) AS version_number, \
     current_setting('synchronous_commit') AS synchronous_commit, \
     current_setting('fsync') AS fsync, (SELECT micros FROM store_state) AS now, \
     CAST(inet_server_addr() AS TEXT) AS address";
const IS_ENCRYPTED: &str = "SELECT CAST(ssl AS TEXT) AS ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

const MAY_CREATE: &str = "SELECT CAST(current_schema() AS TEXT) AS schema, \
     CAST(has_schema_privilege(current_schema(), 'CREATE') AS TEXT) AS may_create, CAST(current_user AS TEXT) AS role, \
     CAST(current_database() AS TEXT) AS database";

impl Store {
    /// Asks the database for its version, clock and safety.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub async fn condition(&self) -> Result<Condition, StoreError> {
        match self.0.engine {
            Engine::Sqlite(_) => self.of_sqlite().await,
            Engine::Postgres(_) => self.of_postgres().await,
        }
    }

    /// Whether Doorward has made no tables here yet.
    pub(super) async fn is_empty(&self) -> Result<bool, StoreError> {
        let ledger = match self.0.engine {
            Engine::Sqlite(_) => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'migrations'"
            }
            Engine::Postgres(_) => "SELECT CAST(to_regclass('migrations') AS TEXT) AS name",
        };
        let row = self.find(ledger, values![]).await?;
        Ok(row.map(|row| row.get::<Option<String>>("name")).transpose()?.flatten().is_none())
    }

    /// Checks that tables can be made. Since PostgreSQL 15 only the owner of a database may make them in `public`.
    pub(super) async fn require_create(&self) -> Result<(), StoreError> {
        if let Engine::Sqlite(_) = self.0.engine {
            return Ok(());
        }
        let none = || StoreError::Corrupt("the server says nothing of itself".into());
        let row = self.find(MAY_CREATE, values![]).await?.ok_or_else(none)?;
        let Some(schema) = row.get::<Option<String>>("schema")? else {
            return Err(StoreError::Refused(
                "none of the schemas in search_path exists: make it with CREATE SCHEMA, or correct schema in the \
                 database URL"
                    .into(),
            ));
        };
        if row.get::<Option<String>>("may_create")?.as_deref() == Some("true") {
            return Ok(());
        }
        let (user, database): (String, String) = (row.get("role")?, row.get("database")?);
        Err(StoreError::Refused(format!(
            "the database user \"{user}\" may not create tables in the schema \"{schema}\": as its owner run ALTER \
             DATABASE \"{database}\" OWNER TO \"{user}\", or GRANT CREATE ON SCHEMA \"{schema}\" TO \"{user}\""
        )))
    }

    async fn of_sqlite(&self) -> Result<Condition, StoreError> {
        let version = self.find("SELECT CAST(sqlite_version() AS TEXT) AS version", values![]).await?;
        let version = version.map_or(Ok(String::new()), |row| row.get::<String>("version"))?;
        let engine = format!("SQLite {version}");
        let mode = self.find("PRAGMA journal_mode", values![]).await?;
        let mode = mode.map_or(Ok(String::new()), |row| row.get::<String>("journal_mode"))?;
        let hint = "put the data folder on a local disk: without a write-ahead log readers and writers wait for each other";
        let warnings =
            if mode == "wal" { Vec::new() } else { vec![("the journal is not a write-ahead log", hint)] };
        Ok(Condition { engine, now: None, warnings })
    }

    async fn of_postgres(&self) -> Result<Condition, StoreError> {
        let none = || StoreError::Corrupt("the server says nothing of itself".into());
        let row = self.find(OF_POSTGRES, values![]).await?.ok_or_else(none)?;
        let encrypted = self.find(IS_ENCRYPTED, values![]).await?;
        let encrypted =
            encrypted.map(|row| row.get::<String>("ssl")).transpose()?.is_some_and(|ssl| ssl == "true");
        // A server behind a Unix socket has no address.
        let address: Option<String> = row.get("address")?;
        let local = address.is_none_or(|address| address.starts_with("127.") || address.starts_with("::1"));
        let judged = [
            (
                row.get::<i64>("version_number")? < OLDEST,
                "the server's version no longer gets fixes",
                "upgrade it: https://www.postgresql.org/support/versioning/",
            ),
            (
                row.get::<String>("synchronous_commit")? == "off",
                "synchronous_commit is off",
                "turn it on: after a power cut, logouts that were answered would be forgotten",
            ),
            (
                row.get::<String>("fsync")? == "off",
                "fsync is off",
                "turn it on: a power cut could destroy the database",
            ),
            (
                !encrypted && !local,
                "the connection is not encrypted",
                "turn TLS on at the server, and leave sslmode=disable out of the URL",
            ),
        ];
        let warnings =
            judged.into_iter().filter(|(bad, ..)| *bad).map(|(_, what, hint)| (what, hint)).collect();
        let engine = format!("PostgreSQL {}", row.get::<String>("version")?);
        Ok(Condition { engine, now: Some(row.get("now")?), warnings })
    }
}
