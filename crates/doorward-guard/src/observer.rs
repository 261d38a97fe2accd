use doorward_core::revocation::RevocationCheck;
use doorward_core::token::{AccessToken, Check};
use doorward_core::{Mode, Refusal, SessionId, UserId};

use crate::Identity;
use crate::credential::Credentials;

/// Sees what a guard decides, while somebody watches. It changes nothing.
pub trait Observer: Send {
    /// The credential was picked, or there is none that counts.
    fn picked(&mut self, picked: Result<&Credentials<'_>, Refusal>);

    /// A check of a token was made; `found` if it failed after the signature held.
    fn checked(&mut self, check: Check, passed: bool, found: Option<String>);

    /// All checks of this token are done.
    fn verified(&mut self, token: &str, verdict: Result<&AccessToken, Refusal>);

    /// Exactly this token was verified before, and only its expiry was checked.
    fn remembered(&mut self, token: &AccessToken, is_live: bool);

    /// The session secret was looked up in memory; `None` if memory doesn't know it.
    fn looked_up(&mut self, answer: Option<&Result<Identity, Refusal>>);

    /// The revocations were asked about a session of this user.
    fn revocations(&mut self, user: UserId, session: SessionId, mode: Mode, answer: RevocationCheck);
}

/// The observer of the current request, if somebody watches it.
pub type Observers = fn() -> Option<Box<dyn Observer>>;
