//! Limits on guesses and registrations, in memory and bounded. A restart forgets them.
//!
//! A guess is counted before the password is hashed and forgiven when it was right, so that only failures count and a
//! hundred parallel ones get no further than the limit. It is back-off, never a lock: the owner on another network is
//! not kept out (attacks L04 to L07).

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use doorward_core::throttle::{Bucket, Limit};
use doorward_core::{Timestamp, email::Email};
use quick_cache::sync::Cache;

use crate::error::{Error, Result};
use crate::metrics::{self, Counts};

/// 10 failures of one account from one network, then one each 30 s.
const ACCOUNT: Limit = Limit::new(10, Duration::from_secs(30));
/// 100 failures from one network, then one each 9 s: 100 in 15 min.
const NETWORK: Limit = Limit::new(100, Duration::from_secs(9));
/// 30 registrations from one network, then one a minute: 60 an hour.
const REGISTRATIONS: Limit = Limit::new(30, Duration::from_secs(60));

/// Counts guesses and registrations.
pub struct Throttle {
    /// By a keyed hash of what is counted; `None` where limits are off. Accounts have a memory of their own, so that they
    /// can't push networks out of it.
    buckets: Option<Buckets>,
    hasher: RandomState,
    /// What was refused, by limit.
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
    /// It was no failure: give it back.
    pub fn forgive(self) {
        self.0.iter().for_each(|(limit, bucket)| limit.give_back(bucket));
    }
}

impl Throttle {
    /// Limits with a memory of so many accounts and networks.
    pub fn new(enabled: bool, memory: usize) -> Self {
        let buckets = || Buckets { accounts: Cache::new(memory), networks: Cache::new(memory / 2) };
        Self { buckets: enabled.then(buckets), hasher: RandomState::new(), refused: Counts::default() }
    }

    /// Counts a guess at the password of this account, known or not, from this network.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`]: then nothing was counted.
    pub fn guess(&self, email: &Email, network: IpAddr, now: Timestamp) -> Result<Guess> {
        let mut guess = Guess::default();
        // The network first: one that has used up its limit makes no bucket for an account, so it can't flush the memory
        // with addresses that it makes up (attack L07).
        for (limit, what) in
            [(NETWORK, ("network", "", network)), (ACCOUNT, ("account", email.as_str(), network))]
        {
            let Some(bucket) = self.bucket(what) else { continue };
            if let Err(wait) = limit.take(&bucket, now) {
                guess.forgive();
                return Err(self.refuse(what.0, wait));
            }
            guess.0.push((limit, bucket));
        }
        Ok(guess)
    }

    /// Counts a registration from this network.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`].
    pub fn registration(&self, network: IpAddr, now: Timestamp) -> Result<()> {
        // A registration counts whether or not it succeeds: nothing is given back.
        match self.bucket(("registration", "", network)) {
            Some(bucket) => {
                REGISTRATIONS.take(&bucket, now).map_err(|wait| self.refuse("registration", wait))
            }
            None => Ok(()),
        }
    }

    fn refuse(&self, limit: &'static str, wait: Duration) -> Error {
        metrics::count(&self.refused, "limit", limit);
        Error::TooManyAttempts(wait)
    }

    fn bucket(&self, what: (&str, &str, IpAddr)) -> Option<Arc<Bucket>> {
        let buckets = self.buckets.as_ref()?;
        let kind = if what.0 == "account" { &buckets.accounts } else { &buckets.networks };
        let found = kind.get_or_insert_with(&self.hasher.hash_one(what), || {
            Ok::<_, std::convert::Infallible>(Arc::default())
        });
        found.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn email(text: &str) -> Email {
        Email::parse(text).unwrap()
    }

    #[test]
    fn an_account_has_ten_guesses_from_one_network_and_is_not_locked_elsewhere() {
        let throttle = Throttle::new(true, 10_000);
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert!((0..10).all(|_| throttle.guess(&email("ada@example.org"), here, NOW).is_ok()));
        assert!(throttle.guess(&email("ADA@example.org "), here, NOW).is_err());
        assert!(throttle.guess(&email("ada@example.org"), there, NOW).is_ok());
        assert!(throttle.guess(&email("ben@example.org"), here, NOW).is_ok());
    }

    #[test]
    fn a_network_has_a_hundred_guesses_over_all_accounts_and_refused_ones_cost_nothing() {
        let throttle = Throttle::new(true, 10_000);
        let here = "192.0.2.1".parse().unwrap();
        let passed =
            (0..500).filter(|n| throttle.guess(&email(&format!("u{n}@example.org")), here, NOW).is_ok());
        assert_eq!(passed.count(), 100);
        assert!(throttle.guess(&email("ada@example.org"), here, NOW + Duration::from_secs(9)).is_ok());
    }

    #[test]
    fn guesses_that_an_account_refuses_cost_its_network_nothing() {
        let throttle = Throttle::new(true, 10_000);
        let here = "192.0.2.1".parse().unwrap();
        let passed = (0..300).filter(|_| throttle.guess(&email("ada@example.org"), here, NOW).is_ok());
        assert_eq!(passed.count(), 10);
        let others =
            (0..300).filter(|n| throttle.guess(&email(&format!("u{n}@example.org")), here, NOW).is_ok());
        assert_eq!(others.count(), 90);
    }

    #[test]
    fn l07_a_flood_of_keys_stays_within_the_memory() {
        let throttle = Throttle::new(true, 1_000);
        for n in 0..100_000_u32 {
            let _ = throttle.guess(&email("ada@example.org"), std::net::Ipv4Addr::from(n).into(), NOW);
        }
        assert!(throttle.buckets.as_ref().unwrap().accounts.len() <= 1_100);
    }
}
