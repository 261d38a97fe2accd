//! Changing accounts: the one place where users are made, changed, disabled and deleted, by their owner, an admin, or
//! the command line.
//!
//! Every act first writes the rows that it depends on: the user's, and `admins_lock` if it could remove the last admin.

mod change;
mod end;
mod found;
mod import;
mod links;
mod make;
mod passwords;

use std::sync::Arc;

use doorward_core::message::Message;
use doorward_core::role::RoleName;

use crate::actors::Asking;
pub use crate::actors::{Actor, Admin, Confirmation, Owner};
use crate::acts::Base;
pub use crate::authenticators::CredentialsVersion;
use crate::error::{Error, Result};
pub use crate::invitations::Invitation;
use crate::sessions::Sessions;
use crate::throttle::{Kind, Throttle};
use crate::users::Users;
pub use change::UserChange;
pub use import::{Imported, ImportedUser};
pub use make::NewUser;
pub(crate) use make::insert;

/// Changes accounts.
pub struct Accounts {
    base: Base,
    users: Arc<Users>,
    sessions: Arc<Sessions>,
    throttle: Arc<Throttle>,
}

impl Accounts {
    pub(crate) fn new(
        base: Base,
        users: Arc<Users>,
        sessions: Arc<Sessions>,
        throttle: Arc<Throttle>,
    ) -> Self {
        Self { base, users, sessions, throttle }
    }

    /// An act by this actor, at the current time.
    fn asking(&self, actor: Actor, permission: &'static str) -> Asking {
        Asking { actor, roles: self.base.roles.clone(), permission, at: self.base.clock.now() }
    }

    /// Counts an act that adds to the database.
    fn count(&self, asking: &Asking) -> Result<()> {
        asking.actor.user().map_or(Ok(()), |user| self.throttle.act(Kind::Change, user, asking.at))
    }

    /// Checks that this role exists.
    ///
    /// # Errors
    /// The field `role`, with the roles that there are.
    pub fn check_role(&self, role: RoleName) -> Result<()> {
        if self.base.roles.contains(role) {
            return Ok(());
        }
        let known: Vec<_> = self.base.roles.names().map(|name| name.to_string()).collect();
        Err(Error::field("role", Message::new("role-unknown").with("roles", known.join(", "))))
    }
}
