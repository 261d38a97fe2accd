//! Checking a password for an account. A guess is counted before it is hashed, given back if it is right, and audited
//! if it is wrong. Sign-in, password change, change of address and deletion all use this, so no route allows more
//! guesses.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use doorward_core::email::Email;
use doorward_core::password::Password;
use doorward_core::{Purpose, Timestamp, UserId, password_hash};

use crate::acts::{Act, Acts, Base, Change, Done};
use crate::audit::{Action, By, Entry};
use crate::authenticators::CredentialsVersion;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::flow::{Step, Verb, note, tell};
use crate::hashing::Hashing;
use crate::known_devices;
use crate::roots::Roots;
use crate::store::{Store, StoreError, values};
use crate::throttle::{Counted, Failed, Guess, Refused, Throttle};
use crate::users::{Account, User, Users};
use crate::wire::peer::{self, Peer};

/// A user who gave their password.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) user: User,
    /// The version of their authenticators: if it changes, the password may have changed too.
    pub(crate) credentials: CredentialsVersion,
    /// The stored hash that the password matched.
    stored: String,
    /// The guess that it was.
    pub(crate) guess: Guess,
}

/// Replaces a hash by a stronger one of the same password.
const UPGRADE: &str =
    "UPDATE authenticators SET data = $3 WHERE user_id = $1 AND kind = 'password' AND data = $2";

/// Checks passwords.
pub struct Passwords {
    store: Store,
    clock: Clock,
    acts: Acts,
    users: Arc<Users>,
    hashing: Arc<Hashing>,
    throttle: Arc<Throttle>,
    addresses: hmac::Key,
}

impl Passwords {
    pub(crate) fn new(
        base: Base,
        users: Arc<Users>,
        hashing: Arc<Hashing>,
        throttle: Arc<Throttle>,
        roots: &Roots,
    ) -> Self {
        let key = roots.first().derive(Purpose::AuditedAddresses);
        let addresses = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        let Base { store, clock, acts, .. } = base;
        Self { store, clock, acts, users, hashing, throttle, addresses }
    }

    /// The user of this address with this password.
    ///
    /// Unknown address, wrong password and no password set take the same work and give the same answer (attacks E01,
    /// E02). Only after the right password does the answer say that an account is disabled. The sign-in gives the guess
    /// back.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`], [`Error::UserDisabled`], [`Error::TooManyAttempts`], or an internal failure.
    pub(crate) async fn sign_in(
        &self,
        email: &Email,
        password: Arc<Password>,
        client: &Peer,
    ) -> Result<Proof> {
        tell(|story| story.address = Some(self.address_tag(email)));
        let read = Some(Users::by_email(email));
        let proof = match self.throttle.guess(email, client.network(), read, self.clock.now()).await {
            Ok(mut counted) => {
                let found = match (counted.read.take(), &counted.failed) {
                    (Some(rows), _) => Users::found_by_email(rows),
                    (None, Some(Failed { error, is_late: true })) => Err(error.clone()),
                    (None, _) => self.users.find_by_email(email).await,
                };
                self.check(counted, email, found, password, client).await?
            }
            Err(refused) if client.device.is_empty() => return Err(self.throttle.refuse(refused)),
            Err(refused) => {
                let found = self.users.find_by_email(email).await;
                self.by_device(refused, email, found, password, client).await?
            }
        };
        if proof.user.disabled_at.is_some() {
            self.throttle.give_back(proof.guess).await;
            return Err(Error::UserDisabled);
        }
        Ok(proof)
    }

    /// A keyed hash of an address: flows are found by it, and nobody reads the address.
    pub(crate) fn address_tag(&self, email: &Email) -> [u8; 8] {
        let tag = hmac::sign(&self.addresses, email.as_str().as_bytes());
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// The signed-in user, who sent the current password again.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], [`Error::TooManyAttempts`], or an internal failure.
    pub(crate) async fn confirm(
        &self,
        user: UserId,
        password: Arc<Password>,
        client: &Peer,
    ) -> Result<Proof> {
        let found =
            self.users.find(user).await?.ok_or(Error::Refused(doorward_core::Refusal::SessionEnded))?;
        let email = found.user.email.clone();
        let found = Ok(Some(found));
        let checked = match self.throttle.guess(&email, client.network(), None, self.clock.now()).await {
            Ok(counted) => self.check(counted, &email, found, password, client).await,
            Err(refused) => self.by_device(refused, &email, found, password, client).await,
        };
        let proof = checked.map_err(|error| match error {
            Error::InvalidCredentials => Error::WrongPassword,
            other => other,
        })?;
        self.throttle.give_back(proof.guess.clone()).await;
        Ok(proof)
    }

    /// Stores a stronger hash of the proved password, if the settings ask for one, and an imported hash without its
    /// mark. If that can't be done just now, a later sign-in will.
    pub(crate) async fn upgrade(&self, proof: &Proof, password: Arc<Password>, from: IpAddr) {
        let hash = match password_hash::needs_rehash(&proof.stored, &password, self.hashing.policy()) {
            true => self.hashing.hash(password, from).await.ok(),
            false => password_hash::settle(&proof.stored, &password),
        };
        if let Some(hash) = hash {
            let _ = self.store.execute(UPGRADE, values![proof.user.id, &proof.stored, hash]).await;
        }
    }

    /// The network's guesses are used up: only a device that the account knows may still try (attack X11).
    ///
    /// A device that another account knows causes the same work, and a wrong password is answered as the limit that was
    /// reached. So neither answer nor time reveals which accounts know a device.
    async fn by_device(
        &self,
        refused: Refused,
        email: &Email,
        found: Result<Option<Account>, StoreError>,
        password: Arc<Password>,
        client: &Peer,
    ) -> Result<Proof> {
        let found = found?;
        let account = found.as_ref().map(|account| account.user.id);
        let seen = known_devices::find(&self.store, &client.device, account).await?;
        let seen = seen.ok_or_else(|| self.throttle.refuse(refused))?;
        let counted = self.throttle.guess_by_device(seen, email, self.clock.now()).await;
        let counted = counted.map_err(|_| self.throttle.refuse(refused))?;
        let known = |account: Account| Account {
            password_hash: account.password_hash.filter(|_| seen.known.is_some()),
            ..account
        };
        let found = found.map(known);
        let checked = self.check(counted, email, Ok(found), password, client).await;
        checked.map_err(|error| match error {
            Error::InvalidCredentials => self.throttle.refuse(refused),
            other => other,
        })
    }

    /// Compares the password. A guess is given back if the server was too busy to compare it; the caller gives back a
    /// right one.
    ///
    /// The store must have counted the guess, or take writes, before anything is compared. Otherwise a right password would fail with 503 and a
    /// wrong one would not, and both could be tried while no failure is recorded (attack X09). Such a try stays
    /// counted.
    async fn check(
        &self,
        Counted { guess, failed, .. }: Counted,
        email: &Email,
        found: Result<Option<Account>, StoreError>,
        password: Arc<Password>,
        client: &Peer,
    ) -> Result<Proof> {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.throttle.give_back(guess).await;
                return Err(error.into());
            }
        };
        if let Some(Failed { error, .. }) = failed {
            return Err(error.into());
        }
        if !guess.is_stored {
            self.store.takes_writes().await?;
        }
        let stored = found.as_ref().and_then(|account| account.password_hash.clone());
        let matches = match self.hashing.verify(password, stored.clone(), client.network()).await {
            Ok(matches) => matches,
            Err(error) => {
                self.throttle.give_back(guess).await;
                return Err(error);
            }
        };
        let user = found.as_ref().map(|account| account.user.id);
        if matches && let (Some(Account { user, credentials, .. }), Some(stored)) = (found, stored) {
            note(|| Step::of(Verb::GiveBackGuess));
            return Ok(Proof { user, credentials, stored, guess });
        }
        // No later failure changes the answer. The store counts its failures itself.
        let _ = self.record_failure(email, user, client.ip).await;
        Err(Error::InvalidCredentials)
    }

    /// One row for the failures of one account from one network in one minute. An unknown address is in it as an HMAC,
    /// since it may be a password typed into the wrong field.
    async fn record_failure(
        &self,
        email: &Email,
        user: Option<UserId>,
        ip: IpAddr,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let tag = |text: &str| hmac::sign(&self.addresses, text.as_bytes());
        let address = self.address_tag(email).map(|byte| format!("{byte:02x}")).concat();
        let network = peer::network(ip);
        let fold = tag(&format!("{email} {network} {}", minute(now))).as_ref().try_into().unwrap_or([0; 32]);
        let entry = Entry::of(Action::LoginFailed).fold(fold);
        let entry = match user {
            Some(user) => entry.user(user),
            None => entry.detail(format!("unknown address {address}")),
        };
        let change = async move |_: &mut Change<'_>| Ok(Done::new((), entry.clone()));
        self.acts.commit(Act::new(By::Visitor(ip), now), change).await
    }
}

fn minute(now: Timestamp) -> i64 {
    now.as_secs().div_euclid(60)
}
