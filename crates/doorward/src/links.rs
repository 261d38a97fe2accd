//! One-time links: a reset of a password, an invitation. Only their hash is stored; each works once, for an hour or a week.

use std::time::Duration;

use doorward_core::email::Email;
use doorward_core::role::RoleName;
use doorward_core::{OpaqueSecret, Timestamp, UserId};

use crate::store::{Store, StoreError, Tx, values};

/// How long a reset link works.
pub(crate) const RESET_TTL: Duration = Duration::from_secs(3_600);
/// How long an invitation works.
pub(crate) const INVITE_TTL: Duration = Duration::from_secs(7 * 86_400);

const MAKE: &str = "INSERT INTO one_time_links (hash, purpose, user_id, email, role, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";
const VOID_OLDER: &str = "DELETE FROM one_time_links WHERE user_id = $1 AND purpose = 'reset'";
const FIND: &str = "SELECT user_id FROM one_time_links \
     WHERE hash = $1 AND purpose = $3 AND used_at IS NULL AND expires_at > $2";
const USE: &str = "UPDATE one_time_links SET used_at = $2 \
     WHERE hash = $1 AND purpose = $3 AND used_at IS NULL AND expires_at > $2 RETURNING user_id, email, role";

/// A link that is about to be made.
#[derive(Debug, Clone)]
pub(crate) struct New {
    /// What is handed out, once.
    pub(crate) secret: OpaqueSecret,
    /// Until when it works.
    pub(crate) expires_at: Timestamp,
    now: Timestamp,
    user: Option<UserId>,
    /// An invitation: its address, if it is for one, and its role.
    invitation: Option<(Option<Email>, RoleName)>,
}

impl New {
    /// A link that resets this user's password.
    pub(crate) fn reset(user: UserId, now: Timestamp) -> Self {
        let secret = OpaqueSecret::new(crate::random::bytes());
        Self { secret, expires_at: now + RESET_TTL, now, user: Some(user), invitation: None }
    }

    /// An invitation. It goes when its maker is disabled, deleted, or given another role.
    pub(crate) fn invitation(
        invitation: (Option<Email>, RoleName),
        maker: Option<UserId>,
        now: Timestamp,
    ) -> Self {
        let secret = OpaqueSecret::new(crate::random::bytes());
        Self { secret, expires_at: now + INVITE_TTL, now, user: maker, invitation: Some(invitation) }
    }
}

/// Makes the link within its act's transaction, which wrote the row of the user whose password it resets first: of two
/// made at once the second voids the first, and none slips past a new address or password (attack P11).
pub(crate) async fn make(tx: &mut Tx, new: &New) -> Result<(), StoreError> {
    let (hash, purpose) = (new.secret.hash(), if new.invitation.is_some() { "invite" } else { "reset" });
    if new.invitation.is_none() {
        tx.execute(VOID_OLDER, values![new.user]).await?;
    }
    let (email, role) = new.invitation.clone().unzip();
    let email = email.flatten().map(|email| email.to_string());
    tx.execute(MAKE, values![hash, purpose, new.user, email, role, new.now, new.expires_at]).await.map(drop)
}

/// The secret of a link. A text that is none becomes one that nobody has: it takes the same way to the same refusal, so
/// that neither answer nor time tells the two apart.
pub(crate) fn secret(text: &str) -> OpaqueSecret {
    OpaqueSecret::parse(text).unwrap_or_else(|| OpaqueSecret::new(crate::random::bytes()))
}

/// Whose password the reset link is for, if it still works. Doesn't use it up.
pub(crate) async fn find_reset(
    store: &Store,
    secret: &OpaqueSecret,
    now: Timestamp,
) -> Result<Option<UserId>, StoreError> {
    let row = store.find(FIND, values![secret.hash(), now, "reset"]).await?;
    row.map(|row| row.get(0)).transpose()
}

/// Whether the invitation still works. Doesn't use it up.
pub(crate) async fn is_invited(
    store: &Store,
    secret: &OpaqueSecret,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(store.find(FIND, values![secret.hash(), now, "invite"]).await?.is_some())
}

/// What an invitation allows.
#[derive(Debug, Clone)]
pub(crate) struct Invitation {
    /// The address that it is for, where it is for one.
    pub(crate) email: Option<Email>,
    /// The role of the new user.
    pub(crate) role: RoleName,
}

impl Invitation {
    /// Whether whoever has this address may use it.
    pub(crate) fn is_for(&self, email: &Email) -> bool {
        self.email.as_ref().is_none_or(|invited| invited == email)
    }
}

/// Makes a link that was used within this act's transaction good again: the act came to nothing.
pub(crate) async fn give_back(tx: &mut Tx, hash: [u8; 32]) -> Result<(), StoreError> {
    tx.execute("UPDATE one_time_links SET used_at = NULL WHERE hash = $1", values![hash]).await.map(drop)
}

/// Uses up a reset link within its act's transaction; `None` where it is unknown, used or too old.
pub(crate) async fn use_reset(
    tx: &mut Tx,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<Option<UserId>, StoreError> {
    let row = tx.find(USE, values![hash, now, "reset"]).await?;
    row.map(|row| row.get(0)).transpose()
}

/// Uses up an invitation within its act's transaction; `None` where it is unknown, used or too old.
pub(crate) async fn use_invitation(
    tx: &mut Tx,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<Option<Invitation>, StoreError> {
    let row = tx.find(USE, values![hash, now, "invite"]).await?;
    row.map(|row| {
        Ok(Invitation { email: row.get(1)?, role: row.get::<Option<RoleName>>(2)?.unwrap_or(RoleName::USER) })
    })
    .transpose()
}

/// Deletes links that are too old.
pub(crate) async fn sweep(store: &Store, now: Timestamp) -> Result<u64, StoreError> {
    store.execute("DELETE FROM one_time_links WHERE expires_at <= $1", values![now]).await
}
