use super::{Engine, Row, Statement, Store, StoreError, Tx};

impl Store {
    /// Whether other servers may be on this database.
    pub fn is_shared(&self) -> bool {
        matches!(self.0.engine, Engine::Postgres(_))
    }

    /// Runs these statements as one transaction, and returns the rows of each. On PostgreSQL they are one round trip,
    /// and their commit doesn't wait for the disk: if the database crashes, the last ones are lost. If the connection is
    /// lost, they are repeated, though they may have been done.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn unsynced(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, StoreError> {
        self.counted("write", async {
            match &self.0.engine {
                Engine::Sqlite(sqlite) => sqlite.transaction(run_each(statements)).await?,
                Engine::Postgres(postgres) => postgres.unsynced(&statements).await,
            }
        })
        .await
    }
}

fn run_each(
    statements: Vec<Statement>,
) -> impl AsyncFn(&mut Tx) -> Result<Vec<Vec<Row>>, StoreError> + Send + 'static {
    async move |tx: &mut Tx| {
        let mut answers = Vec::new();
        for Statement { sql, values } in &statements {
            answers.push(tx.list(sql, values.clone()).await?);
        }
        Ok(answers)
    }
}
