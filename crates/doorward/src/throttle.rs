//! Limits on guesses and registrations, bounded. `doorward limits clear` empties them in every server on the database.
//!
//! A guess is counted before the password is hashed, and given back if it was right. So only failures count, and a
//! hundred parallel ones get no further than the limit. It is a back-off, never a lock. The owner can sign in from
//! another network (attacks L04 to L07), and on a device that the account knows (attack X11).
//!
//! Servers on one PostgreSQL count together, in the store. Memory stands before it: what the store has refused is
//! refused from memory until there is room again. While the store is away, memory counts alone. On SQLite memory
//! decides, and is written each second, so that a restart forgets nothing. Acts of users are counted in memory only.

mod buckets;
mod shared;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use doorward_core::throttle::{Bucket, Limit};
use doorward_core::{OpaqueSecret, RootSecret, Timestamp, UserId, email::Email};
use ipnet::IpNet;

use crate::acts::{Act, Acts, Change, Done};
use crate::audit::{Action, By, Entry};
use crate::counters::{self, Counts};
use crate::error::{Error, Result};
use crate::flow::{Fact, Label, Step, Verb, note};
use crate::known_devices::Seen;
use crate::settings::Settings;
use crate::store::{Row, Statement, Store, StoreError, Tx};
use crate::wire::peer;
use buckets::{Buckets, Key};
pub(crate) use shared::expired;
use shared::{Answer, Shared};

/// How many accounts one device may try, besides those that know it: each such try costs a hash for nothing.
const ACCOUNTS_OF_DEVICE: u32 = 5;
/// What one invitation may try: 10 times, then once a minute.
const INVITATION: Limit = Limit::new(10, Duration::from_secs(60));

/// The least wait: others take and give back at the same moment.
const SOON: Duration = Duration::from_secs(1);

/// The limits, as the settings have them.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    account: Limit,
    network: Limit,
    device: Limit,
    registrations: Limit,
    acts: Limit,
    exempt: Vec<IpNet>,
}

impl Limits {
    /// Those of these settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            account: settings.throttle_account,
            network: settings.throttle_network,
            device: settings.throttle_device,
            registrations: settings.throttle_registrations,
            acts: settings.throttle_acts,
            exempt: settings.throttle_exempt.clone(),
        }
    }

    /// An IPv6 network narrower than a /64 exempts the whole /64, which is the unit of counting.
    fn exempts(&self, network: IpAddr) -> bool {
        self.exempt.iter().any(|net| net.contains(&network) || peer::network(net.addr()) == network)
    }
}

/// Counts guesses and registrations.
pub struct Throttle {
    /// `None` if limits are off.
    counting: Option<Counting>,
    limits: Limits,
    /// Refusals, by limit.
    pub(crate) refused: Counts,
}

struct Counting {
    buckets: Buckets,
    shared: Shared,
}

/// A limit that applies, and its bucket.
#[derive(Clone)]
struct Taking {
    limit: Limit,
    name: &'static str,
    key: Key,
    bucket: Arc<Bucket>,
}

/// A guess that was counted.
#[must_use = "a right guess is given back"]
#[derive(Clone, Default)]
pub(crate) struct Guess {
    takings: Vec<Taking>,
    /// Whether the store has counted it, and so takes writes.
    pub(crate) is_stored: bool,
}

impl std::fmt::Debug for Guess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guess").field("is_stored", &self.is_stored).finish_non_exhaustive()
    }
}

impl Guess {
    /// Gives the guess back in the store, within the transaction that it led to; then call [`Throttle::given_back`].
    pub(crate) fn give_back(&self, tx: &mut Tx) -> Result<(), StoreError> {
        if self.is_stored { Shared::put_back_within(tx, &self.takings) } else { Ok(()) }
    }

    fn forget(&self) {
        self.takings.iter().for_each(|taking| taking.limit.give_back(&taking.bucket));
    }
}

/// A guess that was counted.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) guess: Guess,
    /// What was read with it, if the store counted it.
    pub(crate) read: Option<Vec<Row>>,
    /// Why servers that count together could not count it: then no password may be compared.
    pub(crate) failed: Option<Failed>,
}

/// A failure of the store to count.
pub(crate) struct Failed {
    pub(crate) error: StoreError,
    /// It took so long that the next call is not worth its wait.
    pub(crate) is_late: bool,
}

/// A guess that a limit refuses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused {
    limit: &'static str,
    wait: Duration,
}

/// The kind of an act.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// It changes or makes something.
    Change,
    /// A sign-in by the right password.
    SignIn,
    /// A new password.
    Password,
}

/// How often the limits were cleared.
pub(crate) const CLEARED: &str = "limits_cleared";

/// Empties the limits of every server on this database, which each server does in its next round of following.
///
/// # Errors
/// The store's.
pub(crate) async fn clear_everywhere(acts: &Acts, now: Timestamp) -> Result<(), StoreError> {
    let change = async |change: &mut Change<'_>| {
        change.raise_fact(CLEARED)?;
        Ok(Done::new((), Entry::of(Action::LimitsCleared)))
    };
    acts.commit(Act::new(By::CommandLine, now), change).await
}

impl Throttle {
    /// The limits of these settings, with what earlier processes counted.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn open(
        settings: &Settings,
        store: &Store,
        root: &RootSecret,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let (limits, memory) = (Limits::of(settings), settings.throttle_memory);
        let counting =
            || Counting { buckets: Buckets::new(root, memory), shared: Shared::new(store.clone()) };
        let counting = settings.throttle.then(counting);
        let throttle = Self { counting, limits, refused: Counts::default() };
        throttle.follow(store).await?;
        if let Some(Counting { buckets, shared }) = &throttle.counting {
            shared.read(buckets, memory, now).await?;
        }
        Ok(throttle)
    }

    /// Counts a guess at the password of this account, known or not, from this network. If the store counts it, `read`
    /// is read on the same way.
    ///
    /// # Errors
    /// [`Refused`]: then nothing was counted.
    pub(crate) async fn guess(
        &self,
        email: &Email,
        network: IpAddr,
        read: Option<Statement>,
        now: Timestamp,
    ) -> Result<Counted, Refused> {
        let Some(Counting { buckets, .. }) = &self.counting else { return Ok(Counted::default()) };
        // The network first. A network that has used up its limit makes no bucket for an account, so it can't flush the
        // memory with invented addresses (attack L07).
        let of_network = (!self.limits.exempts(network))
            .then(|| (self.limits.network, buckets.of_network("network", network), "network"));
        let address = network.to_string();
        let account = buckets.of_account(&[b"account", email.as_str().as_bytes(), address.as_bytes()]);
        let of_account = (self.limits.account, account, "account");
        self.take(of_network.into_iter().chain([of_account]), read, now).await
    }

    /// Counts a guess by a device, at an account that may know it or not: both are counted alike.
    ///
    /// # Errors
    /// [`Refused`]: then nothing was counted.
    pub(crate) async fn guess_by_device(
        &self,
        seen: Seen,
        email: &Email,
        now: Timestamp,
    ) -> Result<Counted, Refused> {
        let Some(Counting { buckets, .. }) = &self.counting else { return Ok(Counted::default()) };
        let (limit, all) = (self.limits.device, self.limits.device.times(ACCOUNTS_OF_DEVICE));
        let device = seen.known.unwrap_or(seen.device);
        let at_account = buckets.of_account(&[b"device and account", &device, email.as_str().as_bytes()]);
        let limits =
            [(all, buckets.of_account(&[b"device", &seen.device]), "device"), (limit, at_account, "device")];
        self.take(limits, None, now).await
    }

    /// Counts a registration from this network.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`].
    pub(crate) async fn registration(&self, network: IpAddr, now: Timestamp) -> Result<()> {
        let Some(Counting { buckets, .. }) = &self.counting else { return Ok(()) };
        // A registration counts whether or not it succeeds: nothing is given back.
        let key = buckets.of_network("registration", network);
        let counted = self.take([(self.limits.registrations, key, "registration")], None, now).await;
        counted.map(drop).map_err(|refused| self.refuse(refused))
    }

    /// Counts a registration by a valid invitation.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`].
    pub(crate) async fn invitation(&self, invite: &OpaqueSecret, now: Timestamp) -> Result<()> {
        let Some(Counting { buckets, .. }) = &self.counting else { return Ok(()) };
        let key = buckets.of_account(&[b"invitation", &invite.hash()]);
        let counted = self.take([(INVITATION, key, "invitation")], None, now).await;
        counted.map(drop).map_err(|refused| self.refuse(refused))
    }

    /// Counts an act of a user that adds to the database, in this server's memory. Kinds of acts are counted
    /// separately, so a thief of a token can't keep its owner from signing in or setting a new password.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`].
    pub(crate) fn act(&self, kind: Kind, user: UserId, now: Timestamp) -> Result<()> {
        let Some(Counting { buckets, .. }) = &self.counting else { return Ok(()) };
        let key = buckets.of_account(&[b"act", &[kind as u8], user.as_bytes()]);
        let guess = self.take_from_memory([(self.limits.acts, key, "acts")], now);
        let guess = guess.map_err(|refused| self.refuse(refused))?;
        note_taken(&guess.takings);
        Ok(())
    }

    /// The error for a refused guess.
    pub(crate) fn refuse(&self, refused: Refused) -> Error {
        counters::count(&self.refused, "limit", refused.limit);
        Error::TooManyAttempts(refused.wait)
    }

    /// Gives a guess back: it was no failure. If the store can't be reached just now, it stays counted there.
    pub(crate) async fn give_back(&self, guess: Guess) {
        guess.forget();
        if let Some(Counting { shared, .. }) = &self.counting {
            shared.changed(&guess.takings);
            if guess.is_stored {
                // The store counts its failures itself.
                let _ = shared.put_back(guess.takings.iter()).await;
            }
        }
    }

    /// A transaction has given this guess back in the store.
    pub(crate) fn given_back(&self, guess: &Guess) {
        guess.forget();
        if let Some(Counting { shared, .. }) = &self.counting {
            shared.changed(&guess.takings);
        }
    }

    /// Empties the limits if that was requested since the last check.
    ///
    /// # Errors
    /// The store's; the next call tries again.
    pub(crate) async fn follow(&self, store: &Store) -> Result<(), StoreError> {
        self.follow_to(store.fact(CLEARED).await?);
        Ok(())
    }

    /// The same, once it is known how often that was requested.
    pub(crate) fn follow_to(&self, cleared: i64) {
        if let Some(Counting { buckets, .. }) = &self.counting {
            buckets.clear(cleared);
        }
    }

    /// Writes what only memory knows.
    ///
    /// # Errors
    /// The store's; the next call tries again.
    pub(crate) async fn write(&self, now: Timestamp) -> Result<(), StoreError> {
        match &self.counting {
            Some(Counting { shared, .. }) => shared.write(now).await,
            None => Ok(()),
        }
    }

    /// Takes one from each of these limits, in their order, or from none.
    async fn take(
        &self,
        limits: impl IntoIterator<Item = (Limit, Key, &'static str)>,
        read: Option<Statement>,
        now: Timestamp,
    ) -> Result<Counted, Refused> {
        let Some(Counting { shared, .. }) = &self.counting else { return Ok(Counted::default()) };
        let mut guess = self.take_from_memory(limits, now)?;
        let mut counted = Counted::default();
        match shared.take(&guess.takings, read, now).await {
            Answer::Taken(rows) => {
                guess.is_stored = true;
                counted.read = Some(rows);
            }
            Answer::Unknown => {}
            Answer::Failed(failed) => counted.failed = Some(failed),
            Answer::Refused(at) => {
                let (taken, refused) = guess.takings.split_at(at);
                note_taken(taken);
                return match refused {
                    [Taking { limit, name, bucket, .. }, ..] => {
                        Err(Refused::noted(name, limit.wait(bucket, now).max(SOON)))
                    }
                    [] => Ok(counted),
                };
            }
        }
        note_taken(&guess.takings);
        Ok(Counted { guess, ..counted })
    }

    fn take_from_memory(
        &self,
        limits: impl IntoIterator<Item = (Limit, Key, &'static str)>,
        now: Timestamp,
    ) -> Result<Guess, Refused> {
        let Some(Counting { buckets, .. }) = &self.counting else { return Ok(Guess::default()) };
        let mut guess = Guess::default();
        for (limit, key, name) in limits {
            let bucket = buckets.get(key);
            if let Err(wait) = limit.take(&bucket, now) {
                guess.forget();
                note_taken(&guess.takings);
                return Err(Refused::noted(name, wait));
            }
            guess.takings.push(Taking { limit, name, key, bucket });
        }
        Ok(guess)
    }
}

impl Refused {
    fn noted(limit: &'static str, wait: Duration) -> Self {
        note(|| step(limit, false).fact(Fact::span(Label::RetryAfter, wait)));
        Self { limit, wait }
    }
}

fn note_taken(takings: &[Taking]) {
    takings.iter().for_each(|taking| note(|| step(taking.name, true)));
}

fn step(limit: &'static str, is_taken: bool) -> Step {
    Step::check(Verb::TakeGuess, is_taken).fact(Fact::text(Label::Limit, limit))
}

#[cfg(test)]
mod tests;
