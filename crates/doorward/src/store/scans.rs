//! Scans: reads that look at many rows, of which a user has one at a time.

use std::sync::Arc;

use doorward_core::UserId;

use super::shares::Turn;
use super::{Engine, Row, Store, StoreError, Value};
use crate::clock::steady;

/// The scans of one request. They have one turn together: a request that has begun is not overtaken by later ones of its
/// user, which would have it refused halfway.
pub(crate) struct Scans<'a> {
    store: &'a Store,
    turn: Option<Arc<Turn>>,
}

impl Store {
    /// All rows of the answer, for a user's other reads: scans, whose number of rows the query limits. A user has one
    /// at a time; `None` for a caller without a share, such as the command line.
    ///
    /// # Errors
    /// [`StoreError`], as for every call; [`StoreError::Overloaded`] if too many of this user's scans wait.
    pub async fn scan(
        &self,
        user: Option<UserId>,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        self.counted("scan", async {
            let turn = self.turn(user).await?;
            self.run_scan(sql, values, turn).await
        })
        .await
    }

    /// The same for a request that needs several, once it is this user's turn.
    ///
    /// # Errors
    /// As [`Store::scan`].
    pub(crate) async fn scans(&self, user: Option<UserId>) -> Result<Scans<'_>, StoreError> {
        let begun = steady();
        let turn = self.turn(user).await;
        if turn.is_err() {
            self.0.counts.done("scan", begun.elapsed(), &turn);
        }
        Ok(Scans { store: self, turn: turn? })
    }

    async fn turn(&self, user: Option<UserId>) -> Result<Option<Arc<Turn>>, StoreError> {
        match user {
            Some(user) => self.0.shares.turn(user).await.map(|turn| Some(Arc::new(turn))),
            None => Ok(None),
        }
    }

    async fn run_scan(
        &self,
        sql: &'static str,
        values: Vec<Value>,
        turn: Option<Arc<Turn>>,
    ) -> Result<Vec<Row>, StoreError> {
        match &self.0.engine {
            Engine::Sqlite(sqlite) => sqlite.scan(sql, values, turn).await,
            Engine::Postgres(postgres) => postgres.scan(sql, values, turn).await,
        }
    }
}

impl Scans<'_> {
    /// All rows of the answer.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn list(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.store.counted("scan", self.store.run_scan(sql, values, self.turn.clone())).await
    }
}
