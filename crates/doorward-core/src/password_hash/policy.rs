use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::stored::{MAX_ARGON2_LANES, MAX_ARGON2_MEMORY, MAX_ARGON2_PASSES, MAX_BCRYPT_COST};
use crate::password::Password;

const MIN_BCRYPT_COST: u32 = 10;
/// The smallest of OWASP's equivalent choices for Argon2id (Password Storage Cheat Sheet): 7 MiB with 5 passes, …, 46
/// MiB with 1.
const MIN_ARGON2_MEMORY: u32 = 7_168;
const MIN_ARGON2_WORK: u64 = 35_840;

/// Why a hashing policy is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The bcrypt cost is not in 10..=16.
    #[error("bcrypt cost must be 10 to 16")]
    BcryptCost,
    /// The argon2 parameters are weaker than OWASP's minimum, or above the ceilings for any hash.
    #[error(
        "argon2 needs 7168 to 262144 KiB, 1 to 16 passes, memory times passes at least 35840, and 1 to 16 lanes"
    )]
    Argon2,
}

/// Which hash a new password gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// bcrypt; argon2id for a password that bcrypt would cut.
    Bcrypt,
    /// Argon2id (RFC 9106) for all.
    Argon2id,
}

impl HashAlgorithm {
    /// The algorithm's name in the settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bcrypt => "bcrypt",
            Self::Argon2id => "argon2id",
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HashAlgorithm {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::Bcrypt, Self::Argon2id];
        known.into_iter().find(|one| one.as_str() == text).ok_or("must be bcrypt or argon2id")
    }
}

/// The cost parameters of argon2 (RFC 9106 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Params {
    pub(super) m_kib: u32,
    pub(super) t: u32,
    pub(super) p: u32,
}

impl Argon2Params {
    /// Memory in KiB (7,168 to 262,144), passes (1 to 16), lanes (1 to 16); memory × passes at least 35,840.
    ///
    /// # Errors
    /// [`PolicyError::Argon2`].
    pub fn new(m_kib: u32, t: u32, p: u32) -> Result<Self, PolicyError> {
        let params = Self { m_kib, t, p };
        let within = (MIN_ARGON2_MEMORY..=MAX_ARGON2_MEMORY).contains(&m_kib)
            && (1..=MAX_ARGON2_PASSES).contains(&t)
            && (1..=MAX_ARGON2_LANES).contains(&p);
        if within && !params.is_below_floor() { Ok(params) } else { Err(PolicyError::Argon2) }
    }

    /// Memory in KiB.
    pub const fn m_kib(self) -> u32 {
        self.m_kib
    }

    /// Passes over the memory.
    pub const fn t(self) -> u32 {
        self.t
    }

    /// Lanes.
    pub const fn p(self) -> u32 {
        self.p
    }

    /// Whether they are below the minimum of any policy.
    pub(super) const fn is_below_floor(self) -> bool {
        self.m_kib < MIN_ARGON2_MEMORY || self.work() < MIN_ARGON2_WORK
    }

    /// Whether these have at least as much memory and as much work. Lanes add no strength.
    pub(super) const fn covers(self, other: Self) -> bool {
        self.m_kib >= other.m_kib && self.work() >= other.work()
    }

    const fn work(self) -> u64 {
        self.m_kib as u64 * self.t as u64
    }
}

impl Default for Argon2Params {
    /// 19 MiB, 2 passes, 1 lane: OWASP's first choice, about 13 ms.
    fn default() -> Self {
        Self { m_kib: 19_456, t: 2, p: 1 }
    }
}

/// How new passwords are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashPolicy {
    pub(super) algorithm: HashAlgorithm,
    pub(super) bcrypt_cost: u32,
    pub(super) argon2: Argon2Params,
}

impl HashPolicy {
    /// The policy of the settings; `bcrypt_cost` is 10 to 16.
    ///
    /// # Errors
    /// [`PolicyError::BcryptCost`].
    pub fn new(
        algorithm: HashAlgorithm,
        bcrypt_cost: u32,
        argon2: Argon2Params,
    ) -> Result<Self, PolicyError> {
        if (MIN_BCRYPT_COST..=MAX_BCRYPT_COST).contains(&bcrypt_cost) {
            Ok(Self { algorithm, bcrypt_cost, argon2 })
        } else {
            Err(PolicyError::BcryptCost)
        }
    }

    /// For tests only: bcrypt cost 4 and argon2 with 64 KiB and one pass, which take at most a millisecond or two.
    #[cfg(any(test, feature = "testing"))]
    pub const fn for_tests(algorithm: HashAlgorithm) -> Self {
        Self { algorithm, bcrypt_cost: 4, argon2: Argon2Params { m_kib: 64, t: 1, p: 1 } }
    }

    /// Which hash a new password gets.
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The cost of bcrypt, which does 2^cost rounds.
    pub const fn bcrypt_cost(&self) -> u32 {
        self.bcrypt_cost
    }

    /// The parameters of argon2id.
    pub const fn argon2(&self) -> Argon2Params {
        self.argon2
    }

    /// The algorithm for this password: never bcrypt for one that bcrypt would cut (attacks P01 and P02).
    pub(super) fn algorithm_for(&self, password: &Password) -> HashAlgorithm {
        match self.algorithm {
            HashAlgorithm::Bcrypt if super::fits_bcrypt(password.expose()) => HashAlgorithm::Bcrypt,
            _ => HashAlgorithm::Argon2id,
        }
    }
}

impl Default for HashPolicy {
    /// bcrypt with cost 10, about 60 ms; argon2id with 19 MiB for a password that bcrypt would cut.
    fn default() -> Self {
        Self { algorithm: HashAlgorithm::Bcrypt, bcrypt_cost: 10, argon2: Argon2Params::default() }
    }
}
