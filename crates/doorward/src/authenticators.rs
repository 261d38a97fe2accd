//! Authenticators: how users prove their identity. A password is one kind; a user may have none.

use doorward_core::{Timestamp, UserId};

use crate::store::{Column, StoreError, Tx, Value, values};

/// Rises with each change of a user's authenticators. An act that a user has confirmed is kept only if this number is
/// unchanged since the confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialsVersion(i64);

impl From<CredentialsVersion> for Value {
    fn from(version: CredentialsVersion) -> Self {
        Self::Int(version.0)
    }
}

impl Column for CredentialsVersion {
    fn read(value: &Value) -> Option<Self> {
        i64::read(value).map(Self)
    }
}

const RAISE: &str = "UPDATE users SET credentials_version = credentials_version + 1, updated_at = $2 \
     WHERE id = $1 AND (CAST($3 AS BIGINT) IS NULL OR credentials_version = $3)";
const SET: &str = "INSERT INTO authenticators (id, user_id, kind, identifier, data, created_at) \
     VALUES ($1, $1, 'password', $1, $2, $3) \
     ON CONFLICT (kind, identifier) DO UPDATE SET data = excluded.data, created_at = excluded.created_at";

/// A new password of a user.
#[derive(Debug, Clone)]
pub(crate) struct PasswordChange {
    pub(crate) user: UserId,
    /// Its hash.
    pub(crate) hash: String,
    /// The version at which the user confirmed the change, if it needs that.
    pub(crate) confirmed_by: Option<CredentialsVersion>,
}

/// Sets a password within its act's transaction; `false` if there is no such user, or another authenticator changed
/// since the confirmation.
pub(crate) async fn set_password(
    tx: &mut Tx,
    new: &PasswordChange,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let raised = tx.ask(RAISE, values![new.user, at, new.confirmed_by])?;
    // Without such a user the act is refused, which undoes it.
    add_password(tx, new.user, &new.hash, at)?;
    Ok(tx.answer(raised).await?.changed == 1)
}

/// Sets the password of a user who has just been made, within the same transaction.
pub(crate) fn add_password(tx: &mut Tx, user: UserId, hash: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.queue(SET, values![user, hash, at])
}
