//! The order of texts. Searches take ranges of the names and addresses that begin with a text, so their columns must be
//! compared by bytes, as all engines but PostgreSQL do. PostgreSQL compares as its database's locale does.

use super::{Engine, Store, StoreError, Tx, values};

/// Whether the searched columns are compared by bytes, and whether all texts are.
const ORDER: &str = "SELECT CAST(c.collname AS TEXT) AS collation, CAST(CASE WHEN 'B' < 'a' AND 'a-c' < 'ab' \
     AND 'a c' < 'a-b' AND 'Z' < 'é' THEN 1 ELSE 0 END AS BIGINT) AS by_bytes \
     FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation \
     WHERE a.attrelid = to_regclass('users') AND a.attname = 'name_folded'";
const BY_BYTES: &str = "ALTER TABLE users ALTER COLUMN name_folded TYPE TEXT COLLATE \"C\";
    ALTER TABLE emails ALTER COLUMN folded TYPE TEXT COLLATE \"C\"";

impl Store {
    /// Makes PostgreSQL compare the searched columns by bytes.
    pub(super) async fn order_texts(&self) -> Result<(), StoreError> {
        if !matches!(self.0.engine, Engine::Postgres(_)) {
            return Ok(());
        }
        let order = async |tx: &mut Tx| {
            let Some(row) = tx.find(ORDER, values![]).await? else { return Ok(()) };
            let (collation, by_bytes) = (row.get::<String>("collation")?, row.get::<i64>("by_bytes")?);
            if collation == "C" || by_bytes == 1 { Ok(()) } else { tx.migrate(BY_BYTES).await }
        };
        self.transaction(order).await
    }
}
