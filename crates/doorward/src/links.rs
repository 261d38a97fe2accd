//! One-time links: a reset of a password, an invitation. Only their hash is stored; each works once, for an hour or a week.
//!
//! A link is worth what its maker is worth (attack X05). It notes who made it and in which session. Ending that session
//! for cause deletes it, and so does taking the maker's right away; and it is used only while its maker still has the
//! right to make it, by the settings of this process. The command line has no maker.

use std::time::Duration;

use doorward_core::email::Email;
use doorward_core::role::{RoleName, Roles, permission};
use doorward_core::{LinkId, OpaqueSecret, SessionId, Timestamp, UserId};

use crate::posts;
use crate::store::{Reads, Row, Store, StoreError, Tx, values};
use crate::users;
use crate::wire::shape::shown;

/// How long a reset link works.
pub(crate) const RESET_TTL: Duration = Duration::from_secs(3_600);
/// How long an invitation works.
pub(crate) const INVITE_TTL: Duration = Duration::from_secs(7 * 86_400);

const MAKE: &str = "INSERT INTO one_time_links (hash, purpose, user_id, email, role, maker_id, maker_session_id, \
     created_at, expires_at, id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const OPEN: &str = "SELECT id, email, role, maker_id, created_at, expires_at FROM one_time_links \
     WHERE purpose = 'invite' AND used_at IS NULL AND expires_at > $2 AND id > $1 ORDER BY id LIMIT $3";
const ROLE_OF: &str = "SELECT role FROM one_time_links \
     WHERE id = $1 AND purpose = 'invite' AND used_at IS NULL AND expires_at > $2";
const WITHDRAW: &str = "DELETE FROM one_time_links WHERE id = $1 AND used_at IS NULL";
const VOID_OLDER: &str = "DELETE FROM one_time_links WHERE user_id = $1 AND purpose = 'reset'";
const VOID_OF_SESSION: &str = "DELETE FROM one_time_links WHERE maker_session_id = $1";
const VOID_OF_MAKER: &str = "DELETE FROM one_time_links \
     WHERE maker_id = $1 AND (maker_session_id IS NULL OR maker_session_id <> $2)";
/// The link, its maker if enabled, and the role that it opens: an invitation's, or that of the user of a reset link.
const FIND: &str = "SELECT l.user_id, l.email, l.role, l.maker_id, m.role AS maker_role, \
     u.role AS user_role FROM one_time_links l \
     LEFT JOIN users m ON m.id = l.maker_id AND m.disabled_at IS NULL LEFT JOIN users u ON u.id = l.user_id \
     WHERE l.hash = $1 AND l.purpose = $3 AND l.used_at IS NULL AND l.expires_at > $2";
const USE: &str = "UPDATE one_time_links SET used_at = $2 \
     WHERE hash = $1 AND purpose = $3 AND used_at IS NULL AND expires_at > $2";

/// Who makes a link, and in which session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maker {
    /// The user.
    pub(crate) user: UserId,
    /// The session of the request.
    pub(crate) session: Option<SessionId>,
}

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Reset,
    Invite,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Invite => "invite",
        }
    }
}

/// A link that is about to be made.
#[derive(Debug, Clone)]
pub(crate) struct New {
    /// What is handed out, once.
    pub(crate) secret: OpaqueSecret,
    /// Until when it works.
    pub(crate) expires_at: Timestamp,
    id: LinkId,
    now: Timestamp,
    maker: Option<Maker>,
    opens: Opens,
    /// The form that makes it.
    form: Option<posts::Hash>,
}

#[derive(Debug, Clone)]
enum Opens {
    /// This user's account.
    Account(UserId),
    /// A new account.
    Registration(Invitation),
}

impl New {
    /// A link that resets this user's password.
    pub(crate) fn reset(user: UserId, maker: Option<Maker>, now: Timestamp) -> Self {
        Self::link(Opens::Account(user), maker, now, RESET_TTL)
    }

    /// An invitation to register.
    pub(crate) fn invitation(invitation: Invitation, maker: Option<Maker>, now: Timestamp) -> Self {
        Self::link(Opens::Registration(invitation), maker, now, INVITE_TTL)
    }

    fn link(opens: Opens, maker: Option<Maker>, now: Timestamp, ttl: Duration) -> Self {
        let secret = OpaqueSecret::new(crate::random::bytes());
        let id = LinkId::new(now, crate::random::bytes());
        Self { secret, expires_at: now + ttl, id, now, maker, opens, form: posts::current() }
    }
}

/// Makes the link within its act's transaction, which wrote the rows of its maker, of the maker's session, and of the user
/// whose password it resets first. So of two made at once the second voids the first, and none slips past a new address
/// or password (attack P11), or past the end of its maker (attack X05).
pub(crate) async fn make(tx: &mut Tx, new: &New) -> Result<(), StoreError> {
    let (purpose, user, email, role) = match &new.opens {
        Opens::Account(user) => {
            tx.execute(VOID_OLDER, values![*user]).await?;
            (Purpose::Reset, Some(*user), None, None)
        }
        Opens::Registration(Invitation { email, role }) => {
            (Purpose::Invite, None, email.as_ref().map(ToString::to_string), Some(*role))
        }
    };
    if let Some(former) = posts::made(tx, new.form, new.id).await? {
        withdraw(tx, former).await?;
    }
    let (maker, session) = (new.maker.map(|maker| maker.user), new.maker.and_then(|maker| maker.session));
    let (hash, purpose) = (new.secret.hash(), purpose.as_str());
    let values = values![hash, purpose, user, email, role, maker, session, new.now, new.expires_at, new.id];
    tx.execute(MAKE, values).await.map(drop)
}

/// Deletes the links that were made in this session, within the transaction that ends it.
pub(crate) async fn void_of_session(tx: &mut Tx, session: SessionId) -> Result<(), StoreError> {
    tx.execute(VOID_OF_SESSION, values![session]).await.map(drop)
}

/// Deletes the links that this user made, except in the session `keep`, within the transaction of the act against them.
pub(crate) async fn void_of_maker(
    tx: &mut Tx,
    maker: UserId,
    keep: Option<SessionId>,
) -> Result<(), StoreError> {
    let keep = keep.unwrap_or(SessionId::from_bytes([0; 16]));
    tx.execute(VOID_OF_MAKER, values![maker, keep]).await.map(drop)
}

/// Deletes the reset links of this user, within the transaction of the act that makes them void.
pub(crate) async fn void_resets(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    tx.execute(VOID_OLDER, values![user]).await.map(drop)
}

/// The secret of a link. A text that is none becomes one that nobody has: it takes the same way to the same refusal, so
/// that neither answer nor time tells the two apart.
pub(crate) fn secret(text: &str) -> OpaqueSecret {
    OpaqueSecret::parse(text).unwrap_or_else(|| OpaqueSecret::new(crate::random::bytes()))
}

/// Whose password the reset link is for, if it still works. Doesn't use it up.
pub(crate) async fn find_reset(
    store: &Store,
    roles: &Roles,
    secret: &OpaqueSecret,
    now: Timestamp,
) -> Result<Option<UserId>, StoreError> {
    let row = store.find(FIND, values![secret.hash(), now, Purpose::Reset.as_str()]).await?;
    let link = row.map(|row| Found::read(&row)).transpose()?;
    Ok(link.filter(|link| link.stands(roles)).and_then(|link| link.user))
}

/// The invitation, if it still works. Doesn't use it up.
pub(crate) async fn find_invitation(
    store: &Store,
    roles: &Roles,
    secret: &OpaqueSecret,
    now: Timestamp,
) -> Result<Option<Invitation>, StoreError> {
    let row = store.find(FIND, values![secret.hash(), now, Purpose::Invite.as_str()]).await?;
    let link = row.map(|row| Found::read(&row)).transpose()?;
    Ok(link.filter(|link| link.stands(roles)).map(Found::into_invitation))
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

shown! {
    /// An invitation that waits to be used, as admins see it. Nobody can show its link again.
    pub(crate) struct ListedInvitation as "Invitation" {
        /// Its id: pages go by it.
        pub(crate) id: LinkId,
        /// The address that it is for; null for anybody who has the link.
        pub(crate) email: Option<String>,
        /// The role of the new user.
        pub(crate) role: RoleName,
        /// The admin who made it; null for the command line.
        pub(crate) maker_id: Option<UserId>,
        /// When it was made.
        pub(crate) created_at: String,
        /// Until when it works.
        pub(crate) expires_at: String,
    }
}

/// Invitations that wait to be used, by id, in the share of the user who asks.
pub(crate) async fn invitations(
    store: &Store,
    after: Option<LinkId>,
    limit: u32,
    now: Timestamp,
    asked_by: Option<UserId>,
) -> Result<Vec<ListedInvitation>, StoreError> {
    let after = after.unwrap_or(LinkId::from_bytes([0; 16]));
    let rows = store.scan(asked_by, OPEN, values![after, now, limit]).await?;
    let listed = rows.iter().map(|row| {
        Ok(ListedInvitation {
            id: row.get("id")?,
            email: row.get("email")?,
            role: row.get::<Option<RoleName>>("role")?.unwrap_or(RoleName::USER),
            maker_id: row.get("maker_id")?,
            created_at: users::rfc3339(row.get("created_at")?),
            expires_at: users::rfc3339(row.get("expires_at")?),
        })
    });
    listed.collect()
}

/// The role of an invitation that waits to be used.
pub(crate) async fn role_of_invitation(
    mut reads: impl Reads,
    id: LinkId,
    now: Timestamp,
) -> Result<Option<RoleName>, StoreError> {
    let row = reads.find(ROLE_OF, values![id, now]).await?;
    row.map(|row| Ok(row.get::<Option<RoleName>>("role")?.unwrap_or(RoleName::USER))).transpose()
}

/// Deletes an invitation within its act's transaction; `false` if it was used in the meantime.
pub(crate) async fn withdraw(tx: &mut Tx, id: LinkId) -> Result<bool, StoreError> {
    Ok(tx.execute(WITHDRAW, values![id]).await? == 1)
}

/// Uses up a reset link within its act's transaction; `None` if it is unknown, used, too old, or its maker has lost the
/// right to make it.
pub(crate) async fn use_reset(
    tx: &mut Tx,
    roles: &Roles,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<Option<UserId>, StoreError> {
    Ok(use_up(tx, roles, (hash, Purpose::Reset), now).await?.and_then(|link| link.user))
}

/// Uses up an invitation within its act's transaction; `None` as for [`use_reset`].
pub(crate) async fn use_invitation(
    tx: &mut Tx,
    roles: &Roles,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<Option<Invitation>, StoreError> {
    let link = use_up(tx, roles, (hash, Purpose::Invite), now).await?;
    Ok(link.map(Found::into_invitation))
}

/// The rows of maker and user are written before the link is: an act against either comes before this one, or after it.
async fn use_up(
    tx: &mut Tx,
    roles: &Roles,
    (hash, purpose): ([u8; 32], Purpose),
    now: Timestamp,
) -> Result<Option<Found>, StoreError> {
    let find = || values![hash, now, purpose.as_str()];
    let Some(row) = tx.find(FIND, find()).await? else { return Ok(None) };
    let seen = Found::read(&row)?;
    for user in [seen.maker, seen.user].into_iter().flatten() {
        tx.execute(users::LOCK, values![user]).await?;
    }
    let Some(row) = tx.find(FIND, find()).await? else { return Ok(None) };
    let link = Found::read(&row)?;
    let used = link.stands(roles) && tx.execute(USE, find()).await? == 1;
    Ok(used.then_some(link))
}

/// A link that was neither used nor too old.
struct Found {
    user: Option<UserId>,
    email: Option<Email>,
    /// The role of an invitation.
    invited: Option<RoleName>,
    maker: Option<UserId>,
    /// The role of the maker, who is enabled.
    maker_role: Option<RoleName>,
    /// The role of the user whose password it resets.
    user_role: Option<RoleName>,
}

impl Found {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            user: row.get("user_id")?,
            email: row.get("email")?,
            invited: row.get("role")?,
            maker: row.get("maker_id")?,
            maker_role: row.get("maker_role")?,
            user_role: row.get("user_role")?,
        })
    }

    fn into_invitation(self) -> Invitation {
        Invitation { email: self.email, role: self.invited.unwrap_or(RoleName::USER) }
    }

    /// Whether its maker could make it now.
    fn stands(&self, roles: &Roles) -> bool {
        let opens = self.invited.or(self.user_role);
        let may = |own| {
            roles.grants(own, permission::USERS_WRITE) && opens.is_none_or(|opened| roles.covers(own, opened))
        };
        self.maker.is_none() || self.maker_role.is_some_and(may)
    }
}

/// Deletes links that are too old.
pub(crate) async fn sweep(store: &Store, now: Timestamp) -> Result<u64, StoreError> {
    store.execute("DELETE FROM one_time_links WHERE expires_at <= $1", values![now]).await
}
