//! Accounts of another system.

use std::collections::HashMap;

use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::role::{RoleName, permission};
use doorward_core::{Timestamp, UserId};

use super::make::verified;
use super::{Accounts, Actor};
use crate::acts::{Change, Done};
use crate::audit::{Action, Entry};
use crate::authenticators;
use crate::error::{Error, Result};
use crate::store::{Statement, StoreError, Tx, values};
use crate::users::{self, User, Users, VouchedBy, folded};

const INSERT: &str = "INSERT INTO users (id, name, name_folded, role, created_at, updated_at, disabled_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";

const INSERT_EMAIL: &str = "INSERT INTO emails (address, user_id, folded, is_primary, verified_at, verified_by) \
     VALUES ($1, $2, $3, 1, $4, $5)";

/// How often a batch begins again because somebody took one of its addresses meanwhile.
const TRIES: usize = 5;

/// An account of another system.
#[derive(Debug, Clone)]
pub struct ImportedUser {
    /// The name.
    pub name: DisplayName,
    /// The address.
    pub email: Email,
    /// The role.
    pub role: RoleName,
    /// The hash of the password, from [`adopt`](doorward_core::password_hash::adopt).
    pub password_hash: Option<String>,
    /// When the account was made; without it, now.
    pub created_at: Option<Timestamp>,
    /// Whether it may not sign in.
    pub disabled: bool,
    /// Whether the old system proved that the address is its owner's.
    pub verified: bool,
}

/// What became of an account of another system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It was made.
    Made,
    /// It is there, with this name, role and age: an import before this one has made it.
    Present,
    /// Its address has another account, which stays as it is.
    Taken,
}

impl ImportedUser {
    fn is(&self, user: &User) -> bool {
        self.name.as_str() == user.name
            && self.role == user.role
            && self.created_at.is_none_or(|at| at == user.created_at)
    }

    fn is_like(&self, other: &Self) -> bool {
        self.name == other.name && self.role == other.role && self.created_at == other.created_at
    }
}

impl Accounts {
    /// Makes accounts of another system, by the command line and in one transaction, with one entry in the audit log. An
    /// address that has an account stays as it is. `dry_run` writes nothing.
    ///
    /// # Errors
    /// The store's; then none was made.
    pub async fn import(&self, batch: &[ImportedUser], dry_run: bool) -> Result<Vec<Imported>> {
        let mut tries = TRIES;
        loop {
            match self.import_once(batch.to_vec(), dry_run).await {
                Err(StoreError::Conflict(_)) if tries > 1 => tries -= 1,
                outcome => return outcome.map_err(Error::from),
            }
        }
    }

    async fn import_once(
        &self,
        batch: Vec<ImportedUser>,
        dry_run: bool,
    ) -> Result<Vec<Imported>, StoreError> {
        let asking = self.asking(Actor::CommandLine, permission::USERS_WRITE);
        let now = asking.at;
        let change = async move |change: &mut Change<'_>| {
            let fates = fates(change, &batch).await?;
            if dry_run {
                return Ok(Done::without_entry(fates));
            }
            let mut made = 0_u32;
            for (user, _) in batch.iter().zip(&fates).filter(|(_, fate)| **fate == Imported::Made) {
                insert(change, user, now)?;
                made += 1;
            }
            let entry = Entry::of(Action::UsersImported).detail(format!("{made} accounts"));
            Ok(if made == 0 { Done::without_entry(fates) } else { Done::new(fates, entry) })
        };
        self.base.acts.commit(asking.act(), change).await
    }
}

/// What becomes of each: those of one address are one after the other, as in two imports.
async fn fates(tx: &mut Tx, batch: &[ImportedUser]) -> Result<Vec<Imported>, StoreError> {
    let mut asked = Vec::with_capacity(batch.len());
    for user in batch {
        let Statement { sql, values } = Users::by_email(&user.email);
        asked.push(tx.ask(sql, values)?);
    }
    let (mut fates, mut firsts) = (Vec::with_capacity(batch.len()), HashMap::new());
    for (user, asked) in batch.iter().zip(asked) {
        let found = tx.answer(asked).await?.into_first().map(|row| users::read(&row)).transpose()?;
        let first: &ImportedUser = firsts.entry(&user.email).or_insert(user);
        fates.push(match found {
            Some(found) if user.is(&found) => Imported::Present,
            Some(_) => Imported::Taken,
            None if std::ptr::eq(first, user) => Imported::Made,
            None if user.is_like(first) => Imported::Present,
            None => Imported::Taken,
        });
    }
    Ok(fates)
}

/// Its id is of the time at which the old system made it, since lists of users are in the order of ids.
fn insert(tx: &mut Tx, user: &ImportedUser, now: Timestamp) -> Result<(), StoreError> {
    let created_at = user.created_at.unwrap_or(now);
    let id = UserId::new(created_at, crate::random::bytes());
    let (name, disabled_at) = (user.name.as_str(), user.disabled.then_some(now));
    tx.queue(INSERT, values![id, name, folded(name), user.role, created_at, now, disabled_at])?;
    let (verified_at, verified_by) = verified(user.verified.then_some(VouchedBy::CommandLine), now);
    let searched = folded(&user.email.searched());
    tx.queue(INSERT_EMAIL, values![&user.email, id, searched, verified_at, verified_by])?;
    match &user.password_hash {
        Some(hash) => authenticators::add_password(tx, id, hash, now),
        None => Ok(()),
    }
}
