//! Renewing a session in place: after a password change it keeps its id, and copies of its credential are refused. For
//! a minute the answer to them is "try again", since requests with the former credential may be in flight.

use std::time::Duration;

use doorward_core::refresh::RefreshToken;
use doorward_core::sign_in::Authentication;
use doorward_core::token::AppClaims;
use doorward_core::{Mode, OpaqueSecret, Refusal, SessionId, Timestamp, UserId};
use doorward_guard::internals::MOST_COOKIES;

use super::issued::OfSession;
use super::peer::UsedFrom;
use super::stored::authentication;
use super::{Content, Issued, Sessions};
use crate::error::Result;
use crate::store::{Row, Statement, Store, StoreError, Tx, Value, values};
use crate::sweeps::Expired;
use crate::users::Subject;

/// How long a former credential is answered as `token_stale`.
const SUPERSEDED_TTL: Duration = Duration::from_secs(60);

/// A renewal that is about to happen. Everything random or timely in it is made before the transaction.
#[derive(Debug, Clone)]
pub(crate) struct Renewal {
    pub(crate) session: SessionId,
    user: UserId,
    mode: Mode,
    /// When it happens.
    pub(crate) now: Timestamp,
    secret: OpaqueSecret,
    salt: [u8; 16],
    expires_at: Timestamp,
    from: UsedFrom,
    claims: AppClaims,
}

/// A renewal within its act's transaction, for what is handed out after the commit.
#[derive(Debug)]
pub(crate) struct Renewed {
    generation: u64,
    authentication: Authentication,
    expires_at: Timestamp,
    absolute_end: Timestamp,
}

const KEEP_FORMER: &str = "INSERT INTO former_credentials (session_id, secret_hash, salt, is_over, expires_at) \
     SELECT id, secret_hash, salt, 0, CAST($3 AS BIGINT) FROM sessions \
     WHERE id = $1 AND user_id = $2 AND ended_at IS NULL AND salt IS NOT NULL ON CONFLICT DO NOTHING";
const RENEW: &str = "UPDATE sessions SET secret_hash = $3, salt = $4, generation = generation + 1, rotated_at = $5, \
     last_seen_at = $5, ip = $7, user_agent = $8, expires_at = CASE WHEN absolute_expires_at < $6 THEN absolute_expires_at ELSE $6 END \
     WHERE id = $1 AND user_id = $2 AND ended_at IS NULL AND expires_at > $5 \
     RETURNING generation, expires_at, absolute_expires_at, authenticated_at, amr";
/// Kept until their cookies expire, since their rows are deleted with the user.
const KEEP_OVER: &str = "INSERT INTO former_credentials (session_id, secret_hash, salt, is_over, expires_at) \
     SELECT id, secret_hash, salt, 1, absolute_expires_at FROM sessions \
     WHERE user_id = $1 AND salt IS NOT NULL ON CONFLICT DO NOTHING";
const BY_SECRET: &str = "SELECT session_id, secret_hash, salt, is_over FROM former_credentials \
     WHERE secret_hash = $1 AND expires_at > $2";
const BY_SESSION: &str = "SELECT session_id, secret_hash, salt, is_over FROM former_credentials \
     WHERE session_id = $1 AND expires_at > $2 ORDER BY expires_at DESC LIMIT 100";
const BY_SECRETS: &str = "SELECT session_id, secret_hash, salt, is_over FROM former_credentials WHERE secret_hash IN ($1, $2, \
     $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, \
     $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, \
     $44, $45, $46, $47, $48, $49, $50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60, $61, $62, $63, \
     $64) AND expires_at > $65";

/// A credential that was valid once.
pub(super) struct Former {
    pub(super) session: SessionId,
    pub(super) secret_hash: Option<Vec<u8>>,
    salt: Vec<u8>,
    is_over: bool,
}

impl Former {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let (secret_hash, salt, over) =
            (row.get("secret_hash")?, row.get("salt")?, row.get::<i64>("is_over")?);
        Ok(Self { session: row.get("session_id")?, secret_hash, salt, is_over: over != 0 })
    }

    /// Those of these rows.
    pub(super) fn read_all(rows: &[Row]) -> Result<Vec<Self>, StoreError> {
        rows.iter().map(Self::of).collect()
    }

    /// Why it is refused.
    pub(super) fn refusal(&self) -> Refusal {
        if self.is_over { Refusal::SessionEnded } else { Refusal::TokenStale }
    }

    pub(super) fn has(&self, hash: &[u8; 32]) -> bool {
        self.secret_hash.as_deref() == Some(hash.as_slice())
    }
}

/// Keeps what is known of the sessions of a user who is about to be deleted, within its act's transaction.
pub(crate) fn keep_over(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    tx.queue(KEEP_OVER, values![user])
}

/// Renews the session within its act's transaction, which must first write the user's row; `None` if it has ended
/// meanwhile.
pub(crate) async fn renew(tx: &mut Tx, new: &Renewal) -> Result<Option<Renewed>, StoreError> {
    tx.queue(KEEP_FORMER, values![new.session, new.user, new.now + SUPERSEDED_TTL])?;
    let hash = (new.mode == Mode::Session).then(|| new.secret.hash());
    let UsedFrom { ip, user_agent } = new.from.clone();
    let values = values![new.session, new.user, hash, new.salt, new.now, new.expires_at, ip, user_agent];
    let Some(row) = tx.find(RENEW, values).await? else { return Ok(None) };
    let generation = row.get::<i64>("generation")?.unsigned_abs();
    Ok(Some(Renewed {
        generation,
        authentication: authentication(&row)?,
        expires_at: row.get("expires_at")?,
        absolute_end: row.get("absolute_expires_at")?,
    }))
}

/// The former credential with this hash of a secret.
pub(super) async fn by_secret(
    store: &Store,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<Option<Former>, StoreError> {
    store.find(BY_SECRET, values![hash, now]).await?.map(|row| Former::of(&row)).transpose()
}

/// The read of the former credentials with these hashes of secrets, if there are any.
pub(super) fn read_by_secrets(hashes: &[[u8; 32]], now: Timestamp) -> Option<Statement> {
    if hashes.is_empty() {
        return None;
    }
    let mut values: Vec<_> = hashes.iter().take(MOST_COOKIES).map(|hash| Value::from(*hash)).collect();
    values.resize(MOST_COOKIES, Value::Null);
    values.push(now.into());
    Some(Statement { sql: BY_SECRETS, values })
}

/// The former credentials with these hashes of secrets.
pub(super) async fn by_secrets(
    store: &Store,
    hashes: &[[u8; 32]],
    now: Timestamp,
) -> Result<Vec<Former>, StoreError> {
    let Some(Statement { sql, values }) = read_by_secrets(hashes, now) else { return Ok(Vec::new()) };
    Former::read_all(&store.list(sql, values).await?)
}

impl Sessions {
    /// Prepares the renewal of a session in this mode, which is used from there.
    ///
    /// # Errors
    /// The application's, when it is asked for its claims.
    pub(crate) async fn prepare_renewal(
        &self,
        session: SessionId,
        user: UserId,
        mode: Mode,
        from: super::Origin,
    ) -> Result<Renewal> {
        let claims = if mode.has_tokens() { self.hooks.claims_of(user).await? } else { AppClaims::none() };
        let now = self.clock.now();
        // The renewing statement applies the absolute end.
        let end = self.lifetimes.idle_end(mode, now, now + self.lifetimes.absolute_ttl);
        Ok(Renewal {
            session,
            user,
            mode,
            now,
            secret: OpaqueSecret::new(crate::random::bytes()),
            salt: crate::random::bytes(),
            expires_at: end,
            from: from.into(),
            claims,
        })
    }

    /// Makes the credential of a session whose renewal was committed.
    ///
    /// # Errors
    /// If the token could not be signed: an internal failure.
    pub(crate) fn issue_renewed(&self, new: &Renewal, subject: Subject, done: &Renewed) -> Result<Issued> {
        let content = match new.mode.has_tokens() {
            false => Content::Secret(new.secret.to_text(), done.expires_at),
            true => self.tokens(
                &OfSession {
                    subject,
                    session: new.session,
                    authentication: done.authentication,
                    generation: done.generation,
                    salt: &new.salt,
                    expires_at: done.expires_at,
                    absolute_expires_at: done.absolute_end,
                },
                new.now,
                &new.claims,
            )?,
        };
        let ends_at = if new.mode == Mode::Session { done.absolute_end } else { done.expires_at };
        let (mode, session, now) = (new.mode, new.session, new.now);
        Ok(Issued { mode, session, user: new.user, now, again: false, ends_at, content, device: None })
    }

    /// The refusal of a correctly signed former refresh token.
    pub(super) async fn former(&self, token: &RefreshToken) -> Result<Option<Refusal>> {
        let rows = self.store.list(BY_SESSION, values![token.session, self.clock.now()]).await?;
        for row in &rows {
            let former = Former::of(row)?;
            if self.has_signed(token, &former.salt) {
                return Ok(Some(former.refusal()));
            }
        }
        Ok(None)
    }
}

const SWEEP: &str = "DELETE FROM former_credentials WHERE (session_id, salt) IN (SELECT session_id, salt \
     FROM former_credentials WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";

/// Expired former credentials.
pub(super) fn expired(now: Timestamp) -> Expired {
    Expired::of("former_credentials", SWEEP, values![now])
}
