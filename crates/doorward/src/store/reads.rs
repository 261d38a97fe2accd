use super::{Row, Store, StoreError, Tx, Value};

/// A source of reads: the store, or an open transaction.
pub(crate) trait Reads {
    /// The first row of the answer.
    async fn find(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, StoreError>;
}

impl Reads for &Store {
    async fn find(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Store::find(self, sql, values).await
    }
}

impl Reads for &mut Tx {
    async fn find(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Tx::find(self, sql, values).await
    }
}
