//! A database that takes no writes: its tables refuse them, in whatever process, until it is opened again. And what its
//! tables are, asked of the database itself. The SQL here is written for one engine each.

use std::collections::BTreeMap;

use super::{Engine, Store, StoreError, StoreSettings, Tx, migrate, values};

const TABLES_OF_SQLITE: &str = "SELECT m.name AS name, c.name AS column_name FROM sqlite_master m, \
     pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY m.name, c.cid";
/// A partition is a part of its table, and no table of its own.
const TABLES_OF_POSTGRES: &str = "SELECT CAST(c.relname AS TEXT) AS name, CAST(a.attname AS TEXT) AS column_name \
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
     WHERE c.relnamespace = CAST(CAST(current_schema() AS TEXT) AS regnamespace) AND c.relkind IN ('r', 'p') \
     AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum";

/// SQLSTATE 25006 is that of a server that only reads, which the store knows as unavailable.
const REFUSE_ON_POSTGRES: &str = "CREATE OR REPLACE FUNCTION doorward_closed() RETURNS trigger LANGUAGE plpgsql AS \
     'BEGIN RAISE EXCEPTION ''the database is closed to writes'' USING ERRCODE = ''25006''; END'";
const DROP_ON_POSTGRES: &str = "DROP FUNCTION doorward_closed()";

/// The tables of a database, each with its columns in their order.
pub(crate) type Tables = BTreeMap<String, Vec<String>>;

impl Store {
    /// Opens the database as it is, without a migration or any other write.
    ///
    /// # Errors
    /// As [`Store::open`]; and [`StoreError::Refused`] if it lacks a migration of this program.
    pub(crate) async fn open_as_it_is(settings: &StoreSettings) -> Result<Self, StoreError> {
        let store = Self::connect(settings).await?;
        if store.is_empty().await? {
            return Err(StoreError::Refused("Doorward has made no tables in this database".into()));
        }
        match migrate::missing(&store, migrate::ALL).await?.as_slice() {
            [] => Ok(store),
            missing => Err(StoreError::Refused(format!(
                "the database lacks {} migration(s) of this program: start the server with it once, or use the program \
                 that the server runs",
                missing.len()
            ))),
        }
    }

    /// The newest migration of this program.
    pub(crate) fn newest_migration() -> i64 {
        migrate::ALL.iter().map(|migration| migration.version).max().unwrap_or_default()
    }

    /// The tables that the database has, and their columns.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn tables(&self) -> Result<Tables, StoreError> {
        let sql = match self.0.engine {
            Engine::Sqlite(_) => TABLES_OF_SQLITE,
            Engine::Postgres(_) => TABLES_OF_POSTGRES,
        };
        let mut tables = Tables::new();
        for row in self.list(sql, values![]).await? {
            tables.entry(row.get("name")?).or_default().push(row.get("column_name")?);
        }
        Ok(tables)
    }

    /// The statements that let these tables refuse every write.
    pub(crate) fn closing(&self, tables: &[&str]) -> Vec<&'static str> {
        match self.0.engine {
            Engine::Sqlite(_) => {
                tables.iter().flat_map(|table| EVENTS.map(|event| close_on_sqlite(table, event))).collect()
            }
            Engine::Postgres(_) => {
                let triggers = tables.iter().map(|table| {
                    statement(format!(
                        "CREATE TRIGGER doorward_closed BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} \
                         FOR EACH STATEMENT EXECUTE FUNCTION doorward_closed()"
                    ))
                });
                std::iter::once(REFUSE_ON_POSTGRES).chain(triggers).collect()
            }
        }
    }

    /// The statements that undo [`Store::closing`].
    pub(crate) fn opening(&self, tables: &[&str]) -> Vec<&'static str> {
        match self.0.engine {
            Engine::Sqlite(_) => {
                let drop_one = |table: &str, event| {
                    statement(format!("DROP TRIGGER IF EXISTS {}", trigger(table, event)))
                };
                tables.iter().flat_map(|table| EVENTS.map(|event| drop_one(table, event))).collect()
            }
            Engine::Postgres(_) => {
                let triggers = tables
                    .iter()
                    .map(|table| statement(format!("DROP TRIGGER IF EXISTS doorward_closed ON {table}")));
                triggers.chain([DROP_ON_POSTGRES]).collect()
            }
        }
    }
}

/// What can change a row.
const EVENTS: [&str; 3] = ["INSERT", "UPDATE", "DELETE"];

fn trigger(table: &str, event: &str) -> String {
    format!("doorward_closed_{table}_{}", event.to_ascii_lowercase())
}

fn close_on_sqlite(table: &str, event: &str) -> &'static str {
    let name = trigger(table, event);
    statement(format!(
        "CREATE TRIGGER {name} BEFORE {event} ON {table} BEGIN \
         SELECT RAISE(ABORT, 'the database is closed to writes'); END"
    ))
}

/// A text of SQL that is made for one table, for the rest of a command. Their number is that of the tables.
pub(crate) fn statement(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// Runs statements that change the schema, within a transaction.
///
/// # Errors
/// [`StoreError`], as for every call.
pub(crate) async fn change_schema(tx: &mut Tx, statements: &[&'static str]) -> Result<(), StoreError> {
    for sql in statements {
        tx.migrate(sql).await?;
    }
    Ok(())
}
