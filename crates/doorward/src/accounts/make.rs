//! Making an account.

use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::role::{RoleName, Roles, permission};
use doorward_core::{Timestamp, UserId};

use super::found::gone;
use super::{Accounts, Actor};
use crate::actors::Standing;
use crate::acts::{Change, Done};
use crate::audit::{Action, Entry};
use crate::authenticators;
use crate::error::{Error, Result};
use crate::store::{StoreError, Tx, values};
use crate::users::{Subject, User, VouchedBy, folded};

const INSERT: &str = "INSERT INTO users (id, name, name_folded, role, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $5) RETURNING role, claims_version";
const INSERT_EMAIL: &str = "INSERT INTO emails (address, user_id, folded, is_primary, verified_at, verified_by) \
     VALUES ($1, $2, $3, 1, $4, $5) ON CONFLICT (address) DO NOTHING";

/// A new account.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name.
    pub name: DisplayName,
    /// The address.
    pub email: Email,
    /// The role.
    pub role: RoleName,
    /// The hash of the password; without one, the user needs a reset link to sign in.
    pub password_hash: Option<String>,
}

impl NewUser {
    /// Whether this actor may make it.
    fn may_be_made(&self, standing: Standing, roles: &Roles) -> Result<()> {
        standing.covers(roles, self.role)?;
        // An actor who sets a password knows it.
        match self.password_hash {
            Some(_) => standing.is_confirmed(),
            None => standing.is_confirmed_for(roles, &[self.role]),
        }
    }
}

impl Accounts {
    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], an unknown role, one that the actor may not give, or [`Error::ConfirmationRequired`].
    pub async fn create(&self, new: NewUser, actor: Actor) -> Result<User> {
        self.check_role(new.role)?;
        let asking = self.asking(actor, permission::USERS_WRITE);
        let id = UserId::new(asking.at, crate::random::bytes());
        new.may_be_made(asking.standing_unlocked(&self.base.store).await?, &asking.roles)?;
        self.count(&asking)?;
        let act = asking.act();
        let change = async move |change: &mut Change<'_>| {
            new.may_be_made(asking.stands(change).await?, &asking.roles)?;
            let made = insert(change, id, &new, asking.actor.vouches(), asking.at).await?;
            let user = made.ok_or(Error::EmailTaken)?.user;
            let entry = Entry::of(Action::UserCreated).user(id).detail(format!("role {}", new.role));
            Ok(Done::new(user, entry))
        };
        self.base.acts.commit(act, change).await
    }
}

/// A user who was inserted.
#[derive(Debug, Clone)]
pub(crate) struct Inserted {
    pub(crate) user: User,
    pub(crate) subject: Subject,
}

/// Inserts a user within its act's transaction, with or without a voucher for the address; `None` if the address is
/// taken.
pub(crate) async fn insert(
    tx: &mut Tx,
    id: UserId,
    new: &NewUser,
    email_vouched_by: Option<VouchedBy>,
    now: Timestamp,
) -> Result<Option<Inserted>, StoreError> {
    let (name, email) = (new.name.as_str(), &new.email);
    let made = tx.ask(INSERT, values![id, name, folded(name), new.role, now])?;
    let (verified_at, verified_by) = verified(email_vouched_by, now);
    let searched = folded(&email.searched());
    let values = values![email, id, searched, verified_at, verified_by];
    let is_free = tx.execute(INSERT_EMAIL, values).await? == 1;
    let row = tx.answer(made).await?.into_first().ok_or_else(gone)?;
    if !is_free {
        return Ok(None);
    }
    if let Some(hash) = &new.password_hash {
        authenticators::add_password(tx, id, hash, now)?;
    }
    let user = User {
        id,
        name: name.to_owned(),
        email: email.clone(),
        email_vouched_by,
        role: new.role,
        created_at: now,
        disabled_at: None,
    };
    Ok(Some(Inserted { user, subject: Subject::of(id, &row)? }))
}

/// Whether an address is proved, according to its row.
pub(super) fn verified(by: Option<VouchedBy>, now: Timestamp) -> (Option<Timestamp>, Option<String>) {
    by.map(|by| (now, by.as_str().to_owned())).unzip()
}
