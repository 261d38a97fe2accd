//! Invitations: challenges that let a person register, with a role, and perhaps for one address only.

use doorward_core::email::Email;
use doorward_core::role::{RoleName, Roles};
use doorward_core::{LinkId, OpaqueSecret, Timestamp, UserId};

use crate::challenges::{self, Data, Found, Maker, NewChallenge, Presented, Purpose};
use crate::store::{Row, Statement, Store, StoreError, Tx, values};
use crate::users::rfc3339;
use crate::wire::shape::shown;

const OPEN: &str = "SELECT id, data, made_by, created_at, expires_at FROM challenges \
     WHERE purpose = 'invite' AND used_at IS NULL AND expires_at > $2 AND id > $1 ORDER BY id LIMIT $3";
const BY_ID: &str = "SELECT data FROM challenges \
     WHERE id = $1 AND purpose = 'invite' AND used_at IS NULL AND expires_at > $2";

/// What an invitation allows.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The only address that may use it.
    pub email: Option<Email>,
    /// The role of the new user.
    pub role: RoleName,
}

impl Invitation {
    /// True if the owner of this address may use it.
    pub(crate) fn is_for(&self, email: &Email) -> bool {
        self.email.as_ref().is_none_or(|invited| invited == email)
    }

    /// A challenge with this invitation.
    pub(crate) fn challenge(self, maker: Option<Maker>, now: Timestamp) -> NewChallenge {
        let Self { email, role } = self;
        NewChallenge::of(Purpose::Invite, now).made_by(maker).with(Data {
            email,
            role: Some(role),
            ..Data::default()
        })
    }
}

impl From<Data> for Invitation {
    fn from(Data { email, role, .. }: Data) -> Self {
        Self { email, role: role.unwrap_or(RoleName::USER) }
    }
}

impl From<Found> for Invitation {
    fn from(found: Found) -> Self {
        found.data.into()
    }
}

fn presented(hash: [u8; 32], now: Timestamp) -> Presented {
    Presented { hash, purpose: Purpose::Invite, now }
}

/// The invitation, if it still works. This doesn't use it up.
pub(crate) async fn find(
    store: &Store,
    roles: &Roles,
    secret: &OpaqueSecret,
    now: Timestamp,
) -> Result<Option<Invitation>, StoreError> {
    Ok(challenges::find(store, roles, presented(secret.hash(), now)).await?.map(Invitation::from))
}

/// Uses up an invitation within its act's transaction; `None` if it doesn't work.
pub(crate) async fn use_up(
    tx: &mut Tx,
    roles: &Roles,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<Option<Invitation>, StoreError> {
    Ok(challenges::use_up(tx, roles, presented(hash, now)).await?.map(Invitation::from))
}

/// The role of an unused invitation.
pub(crate) fn role(rows: Vec<Row>) -> Result<Option<RoleName>, StoreError> {
    let row = rows.into_iter().next();
    row.map(|row| Ok(Invitation::from(Data::of(&row)?).role)).transpose()
}

/// The read of an unused invitation, for [`role`].
pub(crate) fn by_id(id: LinkId, now: Timestamp) -> Statement {
    Statement { sql: BY_ID, values: values![id, now] }
}

shown! {
    /// An unused invitation, as admins see it. Its link can't be shown again.
    pub(crate) struct ListedInvitation as "Invitation" {
        /// Its id: pages go by it.
        pub(crate) id: LinkId,
        /// The address that it is for; null for anyone with the link.
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

/// Unused invitations, by id, as a scan of the user who asks.
pub(crate) async fn list(
    store: &Store,
    after: Option<LinkId>,
    limit: u32,
    now: Timestamp,
    asked_by: Option<UserId>,
) -> Result<Vec<ListedInvitation>, StoreError> {
    let after = after.unwrap_or(LinkId::from_bytes([0; 16]));
    let rows = store.scan(asked_by, OPEN, values![after, now, limit]).await?;
    rows.iter().map(listed).collect()
}

fn listed(row: &Row) -> Result<ListedInvitation, StoreError> {
    let Invitation { email, role } = Data::of(row)?.into();
    Ok(ListedInvitation {
        id: row.get("id")?,
        email: email.map(|email| email.to_string()),
        role,
        maker_id: row.get("made_by")?,
        created_at: rfc3339(row.get("created_at")?),
        expires_at: rfc3339(row.get("expires_at")?),
    })
}
