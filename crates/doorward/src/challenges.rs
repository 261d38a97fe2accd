//! Challenges: what waits for an answer. That is a password reset, an invitation, or a sign-in that still needs
//! something.
//!
//! A challenge has a secret, which is in a link or in an answer and is good only for its purpose. Only its hash is
//! stored. It works once, and for a limited time.
//!
//! A challenge works only while the user who made it still has that right (attack X05). It records who made it and in which
//! session. Ending that session for cause deletes it, and so does removing the maker's right. The settings of this process
//! say who has the right. The command line has no maker.

#[cfg_attr(not(test), expect(dead_code, reason = "no way to sign in has a code that is typed"))]
mod codes;

use std::time::Duration;

use doorward_core::email::Email;
use doorward_core::role::{RoleName, Roles, permission};
use doorward_core::sign_in::Methods;
use doorward_core::{LinkId, Mode, OpaqueSecret, SessionId, Timestamp, UserId};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::posts;
use crate::store::{Reads, Row, StoreError, Tx, values};
use crate::sweeps::Expired;
use crate::users;

const MAKE: &str = "INSERT INTO challenges (hash, id, purpose, user_id, made_by, made_in, code_mac, data, created_at, \
     expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const WITHDRAW: &str = "DELETE FROM challenges WHERE id = $1 AND used_at IS NULL";
const VOID_OF_USER: &str = "DELETE FROM challenges WHERE user_id = $1 AND purpose = $2";
const VOID_ALL_OF_USER: &str = "DELETE FROM challenges WHERE user_id = $1";
const VOID_OF_SESSION: &str = "DELETE FROM challenges WHERE made_in = $1";
const VOID_OF_MAKER: &str =
    "DELETE FROM challenges WHERE made_by = $1 AND (made_in IS NULL OR made_in <> $2)";
/// The challenge, the role of its maker if enabled, and the role of its user.
const FIND: &str = "SELECT c.user_id, c.made_by, c.data, m.role AS maker_role, u.role AS user_role FROM challenges c \
     LEFT JOIN users m ON m.id = c.made_by AND m.disabled_at IS NULL LEFT JOIN users u ON u.id = c.user_id \
     WHERE c.hash = $1 AND c.purpose = $2 AND c.used_at IS NULL AND c.expires_at > $3";
const USE: &str = "UPDATE challenges SET used_at = $3 \
     WHERE hash = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $3";
const SWEEP: &str = "DELETE FROM challenges WHERE hash IN (SELECT hash FROM challenges WHERE expires_at <= $1 \
     ORDER BY expires_at LIMIT $2)";

/// The purpose of a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To set the password of a user.
    Reset,
    /// To register.
    Invite,
    /// To finish a sign-in.
    SignIn,
}

impl Purpose {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Invite => "invite",
            Self::SignIn => "sign_in",
        }
    }

    /// How long such a challenge works.
    pub(crate) const fn ttl(self) -> Duration {
        match self {
            Self::Reset => Duration::from_secs(3_600),
            Self::Invite => Duration::from_secs(7 * 86_400),
            Self::SignIn => Duration::from_secs(600),
        }
    }
}

/// The maker of a challenge, and the session that it is made in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maker {
    /// The user.
    pub(crate) user: UserId,
    /// The session of the request.
    pub(crate) session: Option<SessionId>,
}

/// A challenge that is about to be made. Everything random or timely in it is made before the transaction.
#[derive(Debug, Clone)]
pub(crate) struct NewChallenge {
    /// The secret, which is handed out once.
    pub(crate) secret: OpaqueSecret,
    /// Until when it works.
    pub(crate) expires_at: Timestamp,
    id: LinkId,
    now: Timestamp,
    purpose: Purpose,
    user: Option<UserId>,
    maker: Option<Maker>,
    code_mac: Option<Vec<u8>>,
    data: Data,
    /// The form that makes it.
    form: Option<posts::Hash>,
}

impl NewChallenge {
    /// A challenge for this purpose, without user, maker and data.
    pub(crate) fn of(purpose: Purpose, now: Timestamp) -> Self {
        Self {
            secret: OpaqueSecret::new(crate::random::bytes()),
            expires_at: now + purpose.ttl(),
            id: LinkId::new(now, crate::random::bytes()),
            now,
            purpose,
            user: None,
            maker: None,
            code_mac: None,
            data: Data::default(),
            form: posts::current(),
        }
    }

    /// Sets the user whose account it is about.
    pub(crate) fn of_user(self, user: UserId) -> Self {
        Self { user: Some(user), ..self }
    }

    /// Sets the user who makes it.
    pub(crate) fn made_by(self, maker: Option<Maker>) -> Self {
        Self { maker, ..self }
    }

    /// Sets a code that answers it, in the form of [`codes::Codes::mac`].
    #[cfg_attr(not(test), expect(dead_code, reason = "no way to sign in has a code that is typed"))]
    fn with_code(self, mac: Vec<u8>) -> Self {
        Self { code_mac: Some(mac), ..self }
    }

    /// Sets the data for its second half.
    pub(crate) fn with(self, data: Data) -> Self {
        Self { data, ..self }
    }
}

/// Makes the challenge within its act's transaction, which must first write the rows of its maker, of the maker's
/// session and of its user. Older ones of the same user and purpose become void. So if two are made at once, the second
/// voids the first. None survives a new address or password (attack P11), or the end of its maker (attack X05).
pub(crate) async fn make(tx: &mut Tx, new: &NewChallenge) -> Result<(), StoreError> {
    if let Some(user) = new.user {
        void_of_user(tx, user, new.purpose)?;
    }
    if let Some(former) = posts::made(tx, new.form, new.id).await? {
        withdraw(tx, former).await?;
    }
    let (maker, session) = (new.maker.map(|maker| maker.user), new.maker.and_then(|maker| maker.session));
    let (hash, purpose) = (new.secret.hash(), new.purpose.as_str());
    let data = serde_json::to_string(&new.data).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let code = new.code_mac.clone();
    let values =
        values![hash, new.id, purpose, new.user, maker, session, code, data, new.now, new.expires_at];
    tx.queue(MAKE, values)
}

/// Deletes the challenges that were made in this session, within the transaction that ends it.
pub(crate) fn void_of_session(tx: &mut Tx, session: SessionId) -> Result<(), StoreError> {
    tx.queue(VOID_OF_SESSION, values![session])
}

/// Deletes the challenges that this user made, except in the session `keep`, within the transaction of the act against them.
pub(crate) fn void_of_maker(tx: &mut Tx, maker: UserId, keep: Option<SessionId>) -> Result<(), StoreError> {
    let keep = keep.unwrap_or(SessionId::from_bytes([0; 16]));
    tx.queue(VOID_OF_MAKER, values![maker, keep])
}

/// Deletes the challenges of this user and purpose, within the transaction of the act that makes them void.
fn void_of_user(tx: &mut Tx, user: UserId, purpose: Purpose) -> Result<(), StoreError> {
    tx.queue(VOID_OF_USER, values![user, purpose.as_str()])
}

/// Deletes every challenge of this user, within the transaction of an act that changes what they were made for.
pub(crate) fn void_all_of_user(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    tx.queue(VOID_ALL_OF_USER, values![user])
}

/// Deletes a challenge within its act's transaction; `false` if it was used in the meantime.
pub(crate) async fn withdraw(tx: &mut Tx, id: LinkId) -> Result<bool, StoreError> {
    Ok(tx.execute(WITHDRAW, values![id]).await? == 1)
}

/// The secret of a challenge. An invalid text becomes an unknown secret: it takes the same path to the same refusal, so
/// that neither answer nor time reveals the difference.
pub(crate) fn secret(text: &str) -> OpaqueSecret {
    OpaqueSecret::parse(text).unwrap_or_else(|| OpaqueSecret::new(crate::random::bytes()))
}

/// The data for the second half of a challenge, as JSON of at most 4 KiB, which the types in it bound.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Data {
    /// The only address that may use it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "read_email")]
    pub(crate) email: Option<Email>,
    /// The role that it gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<RoleName>,
    /// How the client will hold its credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<Mode>,
    /// What was proved already.
    #[serde(default)]
    pub(crate) proved: Methods,
}

fn read_email<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Email>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Email::parse(&text).map(Some).map_err(|_| D::Error::custom("not an address"))
}

impl Data {
    /// From a row with `data`.
    pub(crate) fn of(row: &Row) -> Result<Self, StoreError> {
        let text = row.get::<Option<String>>("data")?.unwrap_or_else(|| "{}".into());
        serde_json::from_str(&text).map_err(|error| StoreError::Corrupt(format!("a challenge: {error}")))
    }
}

/// The look-up of a challenge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Presented {
    /// The hash of the presented secret.
    pub(crate) hash: [u8; 32],
    pub(crate) purpose: Purpose,
    pub(crate) now: Timestamp,
}

/// A challenge that is neither used nor expired.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) user: Option<UserId>,
    maker: Option<UserId>,
    /// The role of the maker, who is enabled.
    maker_role: Option<RoleName>,
    /// The role of the user.
    user_role: Option<RoleName>,
    pub(crate) data: Data,
}

impl Found {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            user: row.get("user_id")?,
            maker: row.get("made_by")?,
            maker_role: row.get("maker_role")?,
            user_role: row.get("user_role")?,
            data: Data::of(row)?,
        })
    }

    /// True if its maker may make it now.
    fn stands(&self, roles: &Roles) -> bool {
        let opens = self.user_role.or(self.data.role);
        let may = |own| {
            roles.grants(own, permission::USERS_WRITE) && opens.is_none_or(|opened| roles.covers(own, opened))
        };
        self.maker.is_none() || self.maker_role.is_some_and(may)
    }
}

/// The challenge, if it still works. This doesn't use it up.
pub(crate) async fn find(
    mut reads: impl Reads,
    roles: &Roles,
    presented: Presented,
) -> Result<Option<Found>, StoreError> {
    let Presented { hash, purpose, now } = presented;
    let row = reads.find(FIND, values![hash, purpose.as_str(), now]).await?;
    let found = row.map(|row| Found::read(&row)).transpose()?;
    Ok(found.filter(|found| found.stands(roles)))
}

/// Uses up a challenge within its act's transaction; `None` if it is unknown, used, expired, or its maker has lost the
/// right to make it. The rows of maker and user are written before it, so an act against either comes before this one
/// or after.
pub(crate) async fn use_up(
    tx: &mut Tx,
    roles: &Roles,
    presented: Presented,
) -> Result<Option<Found>, StoreError> {
    let Some(seen) = find(&mut *tx, roles, presented).await? else { return Ok(None) };
    for user in [seen.maker, seen.user].into_iter().flatten() {
        tx.queue(users::LOCK, values![user])?;
    }
    let Presented { hash, purpose, now } = presented;
    let found = tx.ask(FIND, values![hash, purpose.as_str(), now])?;
    let used = tx.ask(USE, values![hash, purpose.as_str(), now])?;
    let found = tx.answer(found).await?.into_first().map(|row| Found::read(&row)).transpose()?;
    let used = tx.answer(used).await?.changed == 1;
    // Without a challenge the act is refused, which undoes the use.
    Ok(found.filter(|found| used && found.stands(roles)))
}

/// Expired challenges.
pub(crate) fn expired(now: Timestamp) -> Expired {
    Expired::of("challenges", SWEEP, values![now])
}
