//! A look at the store: its time, the lanes of all processes, and single numbers, in one statement.

use std::collections::HashMap;

use doorward_core::Timestamp;

use crate::clock::{Told, boot};
use crate::store::{Follower, Row, StoreError, values};

const LOOK: &str = "SELECT id, CAST(NULL AS TEXT) AS name, position AS value, seen_at FROM lanes \
     UNION ALL SELECT NULL, name, value, NULL FROM facts \
     UNION ALL SELECT NULL, 'users_changed', COALESCE(max(updated_at), 0), NULL FROM users \
     UNION ALL SELECT NULL, read_only, micros, 0 FROM store_state";

/// What a look found.
pub(crate) struct Look {
    /// The store's time.
    pub(crate) told: Told,
    /// Whether the server refuses writes: it is a replica, or was set so.
    pub(crate) is_read_only: bool,
    pub(crate) lanes: Vec<LaneRow>,
    facts: HashMap<String, i64>,
}

/// A lane as the store has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneRow {
    pub(crate) id: i64,
    pub(crate) position: i64,
    /// When its owner wrote last, by the store's clock.
    pub(crate) seen_at: Timestamp,
}

impl Look {
    /// # Errors
    /// The store's.
    pub(crate) async fn through(follower: &mut Follower<'_>) -> Result<Self, StoreError> {
        let asked = boot();
        let rows = follower.list(LOOK, values![]).await?;
        let answered = boot();
        let (mut lanes, mut facts, mut state) = (Vec::new(), HashMap::new(), None);
        for row in &rows {
            let name = row.get::<Option<String>>("name")?;
            match (row.get::<Option<i64>>("id")?, name) {
                (Some(id), _) => lanes.push(lane(id, row)?),
                (None, Some(name)) if row.get::<Option<i64>>("seen_at")?.is_none() => {
                    facts.insert(name, row.get("value")?);
                }
                (None, read_only) => state = Some((row.get("value")?, read_only.as_deref() != Some("off"))),
            }
        }
        let (store, is_read_only) =
            state.ok_or_else(|| StoreError::Corrupt("the store doesn't tell its time".into()))?;
        Ok(Self { told: Told { store, asked, answered }, is_read_only, lanes, facts })
    }

    /// A single number of the table `facts`; or `users_changed`, when a user was changed last.
    pub(crate) fn fact(&self, name: &str) -> Option<i64> {
        self.facts.get(name).copied()
    }
}

fn lane(id: i64, row: &Row) -> Result<LaneRow, StoreError> {
    Ok(LaneRow { id, position: row.get("value")?, seen_at: row.get("seen_at")? })
}
