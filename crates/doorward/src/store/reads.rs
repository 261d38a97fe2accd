use super::{Engine, Row, Statement, Store, StoreError, Tx, Value};

/// A source of reads: the store, or an open transaction.
pub(crate) trait Reads {
    /// The first row of the answer.
    async fn find(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, StoreError>;

    /// The rows of each, for reads of few rows by an index. On PostgreSQL all of them are one round trip. They run in
    /// their order, and each sees what is there when it runs.
    async fn each(&mut self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, StoreError>;
}

impl Reads for &Store {
    async fn find(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Store::find(self, sql, values).await
    }

    async fn each(&mut self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, StoreError> {
        self.counted("read", async {
            match &self.0.engine {
                Engine::Sqlite(sqlite) => {
                    let mut rows = Vec::with_capacity(reads.len());
                    for Statement { sql, values } in reads {
                        rows.push(sqlite.list(sql, values).await?);
                    }
                    Ok(rows)
                }
                Engine::Postgres(postgres) => postgres.each(reads).await,
            }
        })
        .await
    }
}

impl Reads for &mut Tx {
    async fn find(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Tx::find(self, sql, values).await
    }

    async fn each(&mut self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, StoreError> {
        let asked = reads.into_iter().map(|read| self.ask(read.sql, read.values));
        let asked: Vec<_> = asked.collect::<Result<_, _>>()?;
        let mut rows = Vec::with_capacity(asked.len());
        for asked in asked {
            rows.push(self.answer(asked).await?.rows);
        }
        Ok(rows)
    }
}
