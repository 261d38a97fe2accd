//! Sessions with their users, as the store has them: the one query that every route decides by.

use doorward_core::role::RoleName;
use doorward_core::session::SessionState;
use doorward_core::sign_in::{Authentication, Methods};
use doorward_core::{ClaimsVersion, Mode, SessionId, Timestamp, UserId};
use doorward_guard::internals::MOST_COOKIES;

use super::Sessions;
use crate::store::{Reads, Row, Statement, Store, StoreError, Value, values};
use crate::users::Subject;

/// The text of a query for sessions with their users: the columns of [`Stored`], and a condition.
macro_rules! with_user {
    ($condition:literal) => {
        concat!(
            "SELECT s.id, s.user_id, u.role, u.claims_version, s.mode, s.created_at, s.authenticated_at, \
             s.amr, s.last_seen_at, s.ip, s.user_agent, \
             s.secret_hash, s.salt, s.generation, s.rotated_at, s.expires_at, s.absolute_expires_at, s.ended_at, \
             s.end_reason, u.disabled_at FROM sessions s JOIN users u ON u.id = s.user_id ",
            $condition
        )
    };
}

/// One session.
pub(super) const BY_ID: &str = with_user!("WHERE s.id = $1");
const BY_SECRET: &str = with_user!("WHERE s.secret_hash = $1");
/// Written out, so that it is one text for both engines; unfilled parameters match nothing.
const SEVERAL: &str = with_user!(
    "WHERE s.secret_hash IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
     $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, \
     $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, \
     $52, $53, $54, $55, $56, $57, $58, $59, $60, $61, $62, $63, $64) OR s.id IN ($65, $66, $67, $68, \
     $69, $70, $71, $72, $73, $74, $75, $76, $77, $78, $79, $80, $81, $82, $83, $84, $85, $86, $87, $88, \
     $89, $90, $91, $92, $93, $94, $95, $96, $97, $98, $99, $100, $101, $102, $103, $104, $105, $106, \
     $107, $108, $109, $110, $111, $112, $113, $114, $115, $116, $117, $118, $119, $120, $121, $122, \
     $123, $124, $125, $126, $127, $128)"
);

/// A session with its user, as the store has them.
#[derive(Clone)]
pub struct Stored {
    /// The public id.
    pub id: SessionId,
    /// The session's user.
    pub user: UserId,
    /// The user's role now.
    pub role: RoleName,
    /// The version of the user's claims now: tokens of a lower one are stale.
    pub claims_version: ClaimsVersion,
    /// How the client holds its credential.
    pub mode: Mode,
    /// When it began.
    pub created_at: Timestamp,
    /// When and how its user signed in.
    pub authentication: Authentication,
    /// When it was last used, as far as that was written.
    pub last_seen_at: Timestamp,
    /// The address that it was last used from.
    pub ip: Option<String>,
    /// The client's user agent.
    pub user_agent: Option<String>,
    /// What decides whether it is alive.
    pub state: SessionState,
    /// Why it was ended.
    pub end_reason: Option<String>,
    /// The hash of its secret, in session mode.
    pub(crate) secret_hash: Option<[u8; 32]>,
    /// The salt that signs its refresh tokens.
    pub(crate) salt: Vec<u8>,
    /// How often its refresh token was exchanged.
    pub(crate) generation: u64,
    /// When that was last.
    pub(crate) rotated_at: Option<Timestamp>,
}

impl Stored {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            user: row.get("user_id")?,
            role: row.get("role")?,
            claims_version: row.get("claims_version")?,
            mode: row.get("mode")?,
            created_at: row.get("created_at")?,
            authentication: authentication(row)?,
            last_seen_at: row.get("last_seen_at")?,
            ip: row.get("ip")?,
            user_agent: row.get("user_agent")?,
            state: SessionState {
                ended_at: row.get("ended_at")?,
                disabled_at: row.get("disabled_at")?,
                expires_at: row.get("expires_at")?,
                absolute_expires_at: row.get("absolute_expires_at")?,
            },
            end_reason: row.get("end_reason")?,
            secret_hash: row.get("secret_hash")?,
            salt: row.get::<Option<Vec<u8>>>("salt")?.unwrap_or_default(),
            generation: row.get::<i64>("generation")?.unsigned_abs(),
            rotated_at: row.get("rotated_at")?,
        })
    }

    /// The same after its refresh token was exchanged, from a row with what that changed, and with its user as they are
    /// now.
    pub(super) fn rotated(self, row: &Row) -> Result<Self, StoreError> {
        let state = SessionState {
            disabled_at: row.get("disabled_at")?,
            expires_at: row.get("expires_at")?,
            absolute_expires_at: row.get("absolute_expires_at")?,
            ..self.state
        };
        Ok(Self {
            role: row.get("role")?,
            claims_version: row.get("claims_version")?,
            generation: row.get::<i64>("generation")?.unsigned_abs(),
            state,
            ..self
        })
    }

    /// The contents of its tokens.
    pub(crate) fn subject(&self) -> Subject {
        Subject { user: self.user, role: self.role, version: self.claims_version }
    }
}

/// From a row with `authenticated_at` and `amr`.
pub(super) fn authentication(row: &Row) -> Result<Authentication, StoreError> {
    let methods = Methods::parse(&row.get::<String>("amr")?);
    Ok(Authentication { at: row.get("authenticated_at")?, methods })
}

impl Sessions {
    /// This session of this user; `None` if there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn stored(&self, session: SessionId, user: UserId) -> Result<Option<Stored>, StoreError> {
        Ok(by_id(&self.store, session).await?.filter(|stored| stored.user == user))
    }
}

/// The session with this id.
pub(super) async fn by_id(mut reads: impl Reads, id: SessionId) -> Result<Option<Stored>, StoreError> {
    reads.find(BY_ID, values![id]).await?.as_ref().map(Stored::read).transpose()
}

/// The session of the secret with this hash.
pub(super) async fn by_secret(store: &Store, hash: [u8; 32]) -> Result<Option<Stored>, StoreError> {
    store.find(BY_SECRET, values![hash]).await?.as_ref().map(Stored::read).transpose()
}

/// The read of the sessions with these hashes of secrets, and with these ids; more than [`MOST_COOKIES`] of either are ignored.
pub(super) fn read_several(hashes: &[[u8; 32]], ids: &[SessionId]) -> Statement {
    let hashes = hashes.iter().map(|hash| Value::from(*hash));
    let ids = ids.iter().map(|id| Value::from(*id));
    let filled = |values: &mut dyn Iterator<Item = Value>| {
        let mut values: Vec<_> = values.take(MOST_COOKIES).collect();
        values.resize(MOST_COOKIES, Value::Null);
        values
    };
    Statement { sql: SEVERAL, values: [filled(&mut { hashes }), filled(&mut { ids })].concat() }
}

/// The sessions with these hashes of secrets, and with these ids.
pub(super) async fn several(
    store: &Store,
    hashes: &[[u8; 32]],
    ids: &[SessionId],
) -> Result<Vec<Stored>, StoreError> {
    if hashes.is_empty() && ids.is_empty() {
        return Ok(Vec::new());
    }
    let Statement { sql, values } = read_several(hashes, ids);
    read_all(&store.list(sql, values).await?)
}

/// The sessions of these rows.
pub(super) fn read_all(rows: &[Row]) -> Result<Vec<Stored>, StoreError> {
    rows.iter().map(Stored::read).collect()
}
