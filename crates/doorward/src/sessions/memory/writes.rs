//! Writing the last uses of sessions, many in one transaction.

use std::sync::Arc;

use doorward_core::{SessionId, Timestamp};
use tokio::sync::mpsc;

use crate::seldom::seldom;
use crate::sessions::peer::UsedFrom;
use crate::store::{Store, StoreError, Tx, values};

/// How many uses may wait to be written. Beyond that, they are written with a later one.
const WAITING: usize = 10_000;
/// Guarded: a late write neither revives an ended session nor turns time back.
const WRITE: &str = "UPDATE sessions SET last_seen_at = $2, \
     expires_at = CASE WHEN absolute_expires_at < $3 THEN absolute_expires_at ELSE $3 END, \
     ip = COALESCE($4, ip), user_agent = CASE WHEN $4 IS NULL THEN user_agent ELSE $5 END \
     WHERE id = $1 AND ended_at IS NULL AND last_seen_at <= $2";

/// One use to write.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) session: SessionId,
    pub(super) at: Timestamp,
    pub(super) expires_at: Timestamp,
    /// `None` keeps the row's value.
    pub(super) from: Option<Arc<UsedFrom>>,
}

/// The uses to write; [`Writes::run`] writes them.
pub(crate) struct Writes {
    store: Store,
    seen: mpsc::Receiver<Seen>,
}

impl Writes {
    /// The writes of this store, and where uses go to be written.
    pub(super) fn over(store: Store) -> (mpsc::Sender<Seen>, Self) {
        let (seen, waiting) = mpsc::channel(WAITING);
        (seen, Self { store, seen: waiting })
    }

    /// Writes uses as they come, many in one transaction, until the memory is dropped.
    pub(crate) async fn run(mut self) {
        let mut uses = Vec::new();
        while self.seen.recv_many(&mut uses, 1_000).await > 0 {
            if let Err(error) = write(&self.store, std::mem::take(&mut uses)).await {
                seldom!(WARN, "the last use of sessions could not be written; a later one will be", %error);
            }
        }
    }
}

/// Writes these uses in one transaction.
pub(super) async fn write(store: &Store, uses: Vec<Seen>) -> Result<(), StoreError> {
    if uses.is_empty() {
        return Ok(());
    }
    store
        .transaction(async move |tx: &mut Tx| {
            for seen in &uses {
                let (ip, user_agent) = match &seen.from {
                    Some(from) => (Some(from.ip.clone()), from.user_agent.clone()),
                    None => (None, None),
                };
                tx.execute(WRITE, values![seen.session, seen.at, seen.expires_at, ip, user_agent]).await?;
            }
            Ok(())
        })
        .await
}
