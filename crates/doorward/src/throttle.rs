//! Limits on guesses and registrations, in memory and bounded. A restart forgets them, and `doorward limits clear` empties
//! them in every server on the database.
//!
//! A guess is counted before the password is hashed, and given back if it was right. So only failures count, and a
//! hundred parallel ones get no further than the limit. It is a back-off, never a lock. The owner can sign in from
//! another network (attacks L04 to L07), and on a device that the account knows (attack X11).

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use doorward_core::throttle::{Bucket, Limit};
use doorward_core::{OpaqueSecret, Timestamp, UserId, email::Email};
use ipnet::IpNet;
use quick_cache::sync::Cache;

use crate::acts::{Act, Acts, Change, Done};
use crate::audit::{Action, By, Entry};
use crate::counters::{self, Counts};
use crate::error::{Error, Result};
use crate::flow::{Fact, Label, Step, Verb, note};
use crate::known_devices::Seen;
use crate::settings::Settings;
use crate::store::{Store, StoreError, values};
use crate::wire::peer;

/// How many accounts one device may try, besides those that know it: each such try costs a hash for nothing.
const ACCOUNTS_OF_DEVICE: u32 = 5;
/// What one invitation may try: 10 times, then once a minute.
const INVITATION: Limit = Limit::new(10, Duration::from_secs(60));

/// The limits, as the settings have them.
#[derive(Debug, Clone)]
pub struct Limits {
    account: Limit,
    network: Limit,
    device: Limit,
    registrations: Limit,
    acts: Limit,
    exempt: Vec<IpNet>,
}

impl Limits {
    /// Those of these settings.
    pub fn of(settings: &Settings) -> Self {
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
    /// By a keyed hash of what is counted; `None` if limits are off. Accounts have a memory of their own, so that they
    /// can't push networks out of it.
    buckets: Option<Buckets>,
    limits: Limits,
    hasher: RandomState,
    /// How often the limits were cleared on this database, as of the last check.
    cleared: AtomicI64,
    /// Refusals, by limit.
    pub(crate) refused: Counts,
}

struct Buckets {
    accounts: Cache<u64, Arc<Bucket>>,
    networks: Cache<u64, Arc<Bucket>>,
}

/// A guess that was counted.
#[must_use = "a right guess is forgiven"]
#[derive(Default)]
pub struct Guess(Vec<(Limit, Arc<Bucket>)>);

impl Guess {
    /// Gives the guess back: it was no failure.
    pub fn forgive(self) {
        self.0.iter().for_each(|(limit, bucket)| limit.give_back(bucket));
    }
}

/// A guess that a limit refuses.
#[derive(Debug, Clone, Copy)]
pub struct Refused {
    limit: &'static str,
    wait: Duration,
}

/// The kind of an act.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) enum Kind {
    /// It changes or makes something.
    Change,
    /// A sign-in by the right password.
    SignIn,
    /// A new password.
    Password,
}

const CLEAR: &str = "INSERT INTO facts (name, value) VALUES ('limits_cleared', 1) \
     ON CONFLICT (name) DO UPDATE SET value = facts.value + 1";
const CLEARED: &str = "SELECT value FROM facts WHERE name = 'limits_cleared'";

/// Empties the limits of every server on this database, which each server does in its next round of following.
///
/// # Errors
/// The store's.
pub(crate) async fn clear_everywhere(acts: &Acts, now: Timestamp) -> Result<(), StoreError> {
    let change = async |change: &mut Change<'_>| {
        change.execute(CLEAR, values![]).await?;
        Ok(Done::new((), Entry::of(Action::LimitsCleared)))
    };
    acts.commit(Act::new(By::CommandLine, now), change).await
}

impl Throttle {
    /// Limits with a memory of this many accounts and networks.
    pub fn new(enabled: bool, limits: Limits, memory: usize) -> Self {
        let buckets = || Buckets { accounts: Cache::new(memory), networks: Cache::new(memory / 2) };
        Self {
            buckets: enabled.then(buckets),
            limits,
            hasher: RandomState::new(),
            cleared: AtomicI64::new(0),
            refused: Counts::default(),
        }
    }

    /// The limits of these settings, nothing counted yet.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn open(settings: &Settings, store: &Store) -> Result<Self, StoreError> {
        let throttle = Self::new(settings.throttle, Limits::of(settings), settings.throttle_memory);
        throttle.follow(store).await?;
        Ok(throttle)
    }

    /// Counts a guess at the password of this account, known or not, from this network.
    ///
    /// # Errors
    /// [`Refused`]: then nothing was counted.
    pub fn guess(&self, email: &Email, network: IpAddr, now: Timestamp) -> Result<Guess, Refused> {
        // The network first. A network that has used up its limit makes no bucket for an account, so it can't flush the
        // memory with invented addresses (attack L07).
        let of_network = (!self.limits.exempts(network))
            .then(|| (self.limits.network, self.of_network("network", network), "network"));
        let of_account = std::iter::once_with(|| {
            (self.limits.account, self.of_account(("account", email.as_str(), network)), "account")
        });
        Self::take(of_network.into_iter().chain(of_account), now)
    }

    /// Counts a guess by a device, at an account that may know it or not: both are counted alike.
    ///
    /// # Errors
    /// [`Refused`]: then nothing was counted.
    pub(crate) fn guess_by_device(
        &self,
        seen: Seen,
        email: &Email,
        now: Timestamp,
    ) -> Result<Guess, Refused> {
        let (limit, all) = (self.limits.device, self.limits.device.times(ACCOUNTS_OF_DEVICE));
        let device = seen.known.unwrap_or(seen.device);
        let limits = [
            (all, self.of_account(("device", seen.device)), "device"),
            (limit, self.of_account(("device and account", device, email.as_str())), "device"),
        ];
        Self::take(limits, now)
    }

    /// Counts a registration from this network.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`].
    pub fn registration(&self, network: IpAddr, now: Timestamp) -> Result<()> {
        // A registration counts whether or not it succeeds: nothing is given back.
        let bucket = self.of_network("registration", network);
        let counted = Self::take([(self.limits.registrations, bucket, "registration")], now);
        counted.map(drop).map_err(|refused| self.refuse(refused))
    }

    /// Counts a registration by a valid invitation.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`].
    pub(crate) fn invitation(&self, invite: &OpaqueSecret, now: Timestamp) -> Result<()> {
        let bucket = self.of_account(("invitation", invite.hash()));
        let counted = Self::take([(INVITATION, bucket, "invitation")], now);
        counted.map(drop).map_err(|refused| self.refuse(refused))
    }

    /// Counts an act of a user that adds to the database. Kinds of acts are counted separately, so a thief of a token
    /// can't keep its owner from signing in or setting a new password.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`].
    pub(crate) fn act(&self, kind: Kind, user: UserId, now: Timestamp) -> Result<()> {
        let bucket = self.of_account(("act", kind, user));
        let counted = Self::take([(self.limits.acts, bucket, "acts")], now);
        counted.map(drop).map_err(|refused| self.refuse(refused))
    }

    /// The error for a refused guess.
    pub fn refuse(&self, refused: Refused) -> Error {
        counters::count(&self.refused, "limit", refused.limit);
        Error::TooManyAttempts(refused.wait)
    }

    /// Empties the limits if that was requested since the last check.
    ///
    /// # Errors
    /// The store's; the next call tries again.
    pub(crate) async fn follow(&self, store: &Store) -> Result<(), StoreError> {
        let cleared =
            store.follow(CLEARED, values![]).await?.first().map_or(Ok(0), |row| row.get("value"))?;
        if self.cleared.swap(cleared, Ordering::SeqCst) != cleared
            && let Some(Buckets { accounts, networks }) = &self.buckets
        {
            accounts.clear();
            networks.clear();
        }
        Ok(())
    }

    fn take(
        limits: impl IntoIterator<Item = (Limit, Option<Arc<Bucket>>, &'static str)>,
        now: Timestamp,
    ) -> Result<Guess, Refused> {
        let mut guess = Guess::default();
        for (limit, bucket, name) in limits {
            let Some(bucket) = bucket else { continue };
            let taken = limit.take(&bucket, now);
            note(|| {
                let step = Step::check(Verb::TakeGuess, taken.is_ok()).fact(Fact::text(Label::Limit, name));
                step.maybe(taken.err().map(|wait| Fact::span(Label::RetryAfter, wait)))
            });
            if let Err(wait) = taken {
                guess.forgive();
                return Err(Refused { limit: name, wait });
            }
            guess.0.push((limit, bucket));
        }
        Ok(guess)
    }

    fn of_account(&self, what: impl Hash) -> Option<Arc<Bucket>> {
        self.buckets.as_ref().and_then(|buckets| self.bucket(&buckets.accounts, what))
    }

    fn of_network(&self, what: &str, network: IpAddr) -> Option<Arc<Bucket>> {
        self.buckets.as_ref().and_then(|buckets| self.bucket(&buckets.networks, (what, network)))
    }

    fn bucket(&self, kind: &Cache<u64, Arc<Bucket>>, what: impl Hash) -> Option<Arc<Bucket>> {
        let made = || Ok::<_, std::convert::Infallible>(Arc::default());
        kind.get_or_insert_with(&self.hasher.hash_one(what), made).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn throttle(memory: usize) -> Throttle {
        let settings = Settings::read(&crate::settings::Values::default()).unwrap();
        Throttle::new(true, Limits::of(&settings), memory)
    }

    fn email(text: &str) -> Email {
        Email::parse(text).unwrap()
    }

    #[test]
    fn an_account_has_ten_guesses_from_one_network_and_is_not_locked_elsewhere() {
        let throttle = throttle(10_000);
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert!((0..10).all(|_| throttle.guess(&email("ada@example.org"), here, NOW).is_ok()));
        assert!(throttle.guess(&email("ADA@example.org "), here, NOW).is_err());
        assert!(throttle.guess(&email("ada@example.org"), there, NOW).is_ok());
        assert!(throttle.guess(&email("ben@example.org"), here, NOW).is_ok());
    }

    #[test]
    fn a_network_has_a_hundred_guesses_over_all_accounts_and_refused_ones_cost_nothing() {
        let throttle = throttle(10_000);
        let here = "192.0.2.1".parse().unwrap();
        let passed =
            (0..500).filter(|n| throttle.guess(&email(&format!("u{n}@example.org")), here, NOW).is_ok());
        assert_eq!(passed.count(), 100);
        assert!(throttle.guess(&email("ada@example.org"), here, NOW + Duration::from_secs(9)).is_ok());
    }

    #[test]
    fn guesses_that_an_account_refuses_cost_its_network_nothing() {
        let throttle = throttle(10_000);
        let here = "192.0.2.1".parse().unwrap();
        let passed = (0..300).filter(|_| throttle.guess(&email("ada@example.org"), here, NOW).is_ok());
        assert_eq!(passed.count(), 10);
        let others =
            (0..300).filter(|n| throttle.guess(&email(&format!("u{n}@example.org")), here, NOW).is_ok());
        assert_eq!(others.count(), 90);
    }

    #[test]
    fn l07_a_flood_of_keys_stays_within_the_memory() {
        let throttle = throttle(1_000);
        for n in 0..100_000_u32 {
            let _ = throttle.guess(&email("ada@example.org"), std::net::Ipv4Addr::from(n).into(), NOW);
        }
        assert!(throttle.buckets.as_ref().unwrap().accounts.len() <= 1_100);
    }
}
