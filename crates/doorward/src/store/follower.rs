//! The connection that follows other processes' writes.

#[cfg(not(feature = "postgres"))]
use super::absent::Absent as Reader;
#[cfg(feature = "postgres")]
use super::postgres::Reader;
use super::{Engine, Row, Store, StoreError, Value};

/// Reads what other processes wrote, all through one connection. So its answers come from one server, also while another
/// takes over. On SQLite it has a reader of its own, which goes on while every other reader is busy.
pub(crate) struct Follower<'a> {
    store: &'a Store,
    reader: Option<Reader>,
}

impl Store {
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn follower(&self) -> Result<Follower<'_>, StoreError> {
        let reader = match &self.0.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(postgres) => Some(postgres.reader().await?),
        };
        Ok(Follower { store: self, reader })
    }

    /// Writes one statement on a connection that nothing else uses, so that it never waits behind another act.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn beat(&self, sql: &'static str, values: Vec<Value>) -> Result<(), StoreError> {
        match &self.0.engine {
            Engine::Sqlite(_) => self.execute(sql, values).await.map(drop),
            Engine::Postgres(postgres) => {
                self.counted("write", async { postgres.beat(sql, &values).await }).await
            }
        }
    }

    /// Acts go on with new connections: behind those that nothing uses now, another server has taken over.
    pub(crate) fn connect_anew(&self) {
        if let Engine::Postgres(postgres) = &self.0.engine {
            postgres.connect_anew();
        }
    }
}

impl Follower<'_> {
    /// All rows of the answer.
    ///
    /// # Errors
    /// [`StoreError`], as for every call.
    pub(crate) async fn list(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let (store, reader) = (self.store, self.reader.as_mut());
        let read = async {
            match (&store.0.engine, reader) {
                (Engine::Sqlite(sqlite), _) => sqlite.follow(sql, values).await,
                (Engine::Postgres(_), Some(reader)) => reader.list(sql, &values).await,
                (Engine::Postgres(_), None) => Err(StoreError::closed()),
            }
        };
        store.counted("read", read).await
    }

    /// Closes the connection, since it leads to the wrong server, or nowhere.
    pub(crate) fn distrust(self) {
        if let Some(reader) = self.reader {
            reader.close_reader();
        }
    }
}
