//! bcrypt beside other bcrypt: the work itself is done by a [`bcrypt_lanes::Batch`], which takes several at once.

use bcrypt_lanes::Job;
use subtle::{Choice, ConstantTimeEq};

use super::stored::{BcryptHash, Stored};
use super::{HashAlgorithm, HashPolicy, blank, may_match};
use crate::password::Password;

/// A password that is to be hashed or verified with bcrypt, without the work.
#[derive(Debug)]
pub struct SideBySide {
    hash: BcryptHash,
    fits: Choice,
}

impl SideBySide {
    /// As [`hash`](super::hash); `None` if the policy wants another algorithm for this password.
    pub fn hash(password: &Password, policy: &HashPolicy, salt: [u8; 16]) -> Option<(Job, Self)> {
        match blank(policy.algorithm_for(password), policy, salt) {
            Stored::Bcrypt(hash) => Self::begin(password, hash),
            Stored::Argon2(_) => None,
        }
    }

    /// As [`verify`](super::verify); `None` if the stored hash isn't one of bcrypt with the policy's cost.
    pub fn verify(password: &Password, stored: &str, policy: &HashPolicy) -> Option<(Job, Self)> {
        match Stored::parse(stored) {
            Ok(Stored::Bcrypt(hash))
                if policy.algorithm == HashAlgorithm::Bcrypt && hash.cost == policy.bcrypt_cost =>
            {
                Self::begin(password, hash)
            }
            _ => None,
        }
    }

    fn begin(password: &Password, hash: BcryptHash) -> Option<(Job, Self)> {
        let bytes = password.expose();
        let job = Job::new(bytes, hash.salt, hash.cost).ok()?;
        let fits = Choice::from(u8::from(may_match(bytes, &hash)));
        Some((job, Self { hash, fits }))
    }

    /// The new hash for the store, if this is the digest of the password.
    pub fn hashed(mut self, digest: bcrypt_lanes::Digest) -> String {
        self.hash.digest = digest;
        Stored::Bcrypt(self.hash).to_string()
    }

    /// Whether the stored hash is that of the password, if this is the digest of the password. A password that bcrypt
    /// would cut never matches (attack P01), unless the hash was imported.
    pub fn matches(&self, digest: &bcrypt_lanes::Digest) -> bool {
        (digest.ct_eq(&self.hash.digest) & self.fits).into()
    }
}
