//! Looking up what several cookies of one request name, in one statement.

use doorward_core::session::SessionState;
use doorward_core::{SessionId, Timestamp};
use doorward_guard::MOST_COOKIES;

use crate::store::{Row, Store, StoreError, Value};

/// Written out, so that it is one text for both engines; what isn't filled matches nothing.
const FIND: &str = "SELECT s.id, s.user_id, u.role, u.claims_version, s.created_at, s.absolute_expires_at, s.last_seen_at, \
     s.ended_at, u.disabled_at, s.ip, s.user_agent, s.secret_hash, s.salt, s.generation, s.expires_at FROM sessions s JOIN \
     users u ON u.id = s.user_id WHERE s.secret_hash IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
     $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, \
     $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, \
     $52, $53, $54, $55, $56, $57, $58, $59, $60, $61, $62, $63, $64) OR s.id IN ($65, $66, $67, $68, \
     $69, $70, $71, $72, $73, $74, $75, $76, $77, $78, $79, $80, $81, $82, $83, $84, $85, $86, $87, $88, \
     $89, $90, $91, $92, $93, $94, $95, $96, $97, $98, $99, $100, $101, $102, $103, $104, $105, $106, \
     $107, $108, $109, $110, $111, $112, $113, $114, $115, $116, $117, $118, $119, $120, $121, $122, \
     $123, $124, $125, $126, $127, $128)";

/// A session that was found.
pub(crate) struct Found {
    pub(crate) id: SessionId,
    /// The whole row: its first eleven columns are those of `BY_SECRET` in `memory.rs`.
    pub(crate) row: Row,
}

impl Found {
    /// The hash of its secret, in session mode.
    pub(crate) fn secret_hash(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.row.get(11)
    }

    /// What its refresh tokens are signed with.
    pub(crate) fn salt(&self) -> Result<Vec<u8>, StoreError> {
        Ok(self.row.get::<Option<Vec<u8>>>(12)?.unwrap_or_default())
    }

    /// Whether it is alive.
    pub(crate) fn is_live(&self, now: Timestamp) -> Result<bool, StoreError> {
        let state = SessionState {
            ended_at: self.row.get(7)?,
            disabled_at: self.row.get(8)?,
            expires_at: self.row.get(14)?,
            absolute_expires_at: self.row.get(5)?,
        };
        Ok(state.is_alive(now))
    }
}

/// The sessions with these hashes of secrets, and with these ids; more than [`MOST_COOKIES`] of either are not looked at.
pub(crate) async fn find(
    store: &Store,
    hashes: &[[u8; 32]],
    ids: &[SessionId],
) -> Result<Vec<Found>, StoreError> {
    if hashes.is_empty() && ids.is_empty() {
        return Ok(Vec::new());
    }
    let hashes = hashes.iter().map(|hash| Value::from(*hash));
    let ids = ids.iter().map(|id| Value::from(*id));
    let filled = |values: &mut dyn Iterator<Item = Value>| {
        let mut values: Vec<_> = values.take(MOST_COOKIES).collect();
        values.resize(MOST_COOKIES, Value::Null);
        values
    };
    let values = [filled(&mut { hashes }), filled(&mut { ids })].concat();
    let rows = store.list(FIND, values).await?;
    rows.into_iter().map(|row| Ok(Found { id: row.get(0)?, row })).collect()
}
