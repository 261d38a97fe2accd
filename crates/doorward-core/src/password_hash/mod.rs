//! Password hashes: made, verified, and made again when the policy asks for more.
//!
//! A new hash is bcrypt or argon2id ([`HashPolicy`]). A password that bcrypt would cut, over 72 bytes or with a NUL,
//! always gets argon2id. It is never cut or pre-hashed (attacks P01, P02, P03). Accepted are bcrypt `$2a$`, `$2b$`,
//! `$2y$` and argon2 in PHC strings, with ceilings on their cost (attack P09). The ceilings are bcrypt cost 16, argon2
//! 256 MiB, 16 passes, 16 lanes.
//!
//! The caller provides the salt and the working memory. Every call takes 10 ms to seconds: not on an async thread.

mod policy;
mod scratch;
mod side;
mod stored;
#[cfg(test)]
mod tests;

use std::fmt;

use argon2::{Algorithm, Version};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

pub use policy::{Argon2Params, HashAlgorithm, HashPolicy, PolicyError};
pub use scratch::Scratch;
pub use side::SideBySide;
use stored::{Argon2Hash, BcryptHash, Stored};

use crate::password::Password;

/// Why a hash can't be made or verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// The stored text is not a hash.
    #[error("is no bcrypt or argon2 hash")]
    Malformed,
    /// A `$2x$` or `$2$` hash, whose maker had a bug by which many passwords share one hash (CVE-2011-2483).
    #[error("is a $2x$ or $2$ hash, which many passwords match: reset the password")]
    Unsupported,
    /// The stored hash needs more than the ceilings allow.
    #[error(
        "asks for more than bcrypt cost 16, or argon2 with 256 MiB, 16 passes and 16 lanes: reset the password"
    )]
    TooExpensive,
    /// Not enough memory for argon2.
    #[error("no memory for argon2")]
    OutOfMemory,
}

/// Hashes a password for the store. `salt` is 16 random bytes, new for every hash.
///
/// # Errors
/// [`HashError::OutOfMemory`].
pub fn hash(
    password: &Password,
    policy: &HashPolicy,
    salt: [u8; 16],
    scratch: &mut Scratch,
) -> Result<String, HashError> {
    let password_bytes = password.expose();
    let mut hash = blank(policy.algorithm_for(password), policy, salt);
    match &mut hash {
        Stored::Bcrypt(hash) => hash.digest = bcrypt_digest(password_bytes, hash),
        Stored::Argon2(hash) => hash.tag = scratch.argon2_tag(password_bytes, hash)?,
    }
    Ok(hash.to_string())
}

/// Whether `stored` is a hash of `password`.
///
/// The work depends on `stored` alone, not on the password. A password that bcrypt would cut never matches a bcrypt
/// hash (attack P01), but is hashed all the same. A hash that [`adopt`] marked as imported matches a password over 72
/// bytes as the old system cut it; one with a NUL never. So a long guess takes as long for a user as for a [`dummy_hash`]
/// (attack E01).
///
/// # Errors
/// [`HashError`]: the stored text is not a hash, or is one that is not accepted here; or memory is missing.
pub fn verify(password: &Password, stored: &str, scratch: &mut Scratch) -> Result<bool, HashError> {
    verify_bytes(password.expose(), &Stored::parse(stored)?, scratch)
}

/// A hash of another system, as the store keeps it: a bcrypt hash is marked as imported, and an argon2 hash stays as it
/// is.
///
/// # Errors
/// [`HashError`]: the text is no hash, or one that is not accepted here.
pub fn adopt(foreign: &str) -> Result<String, HashError> {
    match Stored::parse(foreign)? {
        Stored::Bcrypt(BcryptHash { imported: true, .. }) => Err(HashError::Malformed),
        Stored::Bcrypt(hash) => Ok(Stored::Bcrypt(BcryptHash { imported: true, ..hash }).to_string()),
        argon2 @ Stored::Argon2(_) => Ok(argon2.to_string()),
    }
}

/// The same hash without the mark of [`adopt`], for a password that was verified and that bcrypt uses whole. `None` if
/// it has no mark, or the password is longer.
pub fn settle(stored: &str, password: &Password) -> Option<String> {
    match Stored::parse(stored) {
        Ok(Stored::Bcrypt(hash)) if hash.imported && fits_bcrypt(password.expose()) => {
            Some(Stored::Bcrypt(BcryptHash { imported: false, ..hash }).to_string())
        }
        _ => None,
    }
}

/// Whether a password that has just been verified should be hashed again under `policy`.
///
/// Only upwards (attack P17): for a higher bcrypt cost, for more argon2 memory or work and no less of either, or from
/// bcrypt to argon2id. Never from argon2id to bcrypt, unless the old parameters are below the policy's minimum. An
/// unreadable hash stays as it is.
pub fn needs_rehash(stored: &str, password: &Password, policy: &HashPolicy) -> bool {
    match (Stored::parse(stored), policy.algorithm_for(password)) {
        (Ok(Stored::Bcrypt(old)), HashAlgorithm::Bcrypt) => old.cost < policy.bcrypt_cost,
        (Ok(Stored::Bcrypt(_)), HashAlgorithm::Argon2id) => true,
        (Ok(Stored::Argon2(old)), HashAlgorithm::Bcrypt) => old.params.is_below_floor(),
        (Ok(Stored::Argon2(old)), HashAlgorithm::Argon2id) => {
            let current = old.variant == Algorithm::Argon2id && old.version == Version::V0x13;
            policy.argon2.covers(old.params) && !(current && old.params.covers(policy.argon2))
        }
        (Err(_), _) => false,
    }
}

/// A hash of no password, to verify a guess without a user or without a password: the same work, and never a match
/// (attack E01). Making it costs nothing.
///
/// It costs as much as a hash under `policy`. A user with another kind of hash answers in another time: an imported or
/// older hash until the next sign-in. Under the bcrypt policy, so does a password over 72 bytes, which is argon2id
/// (about 13 ms against 60). Under the argon2id policy no such password exists.
pub fn dummy_hash(policy: &HashPolicy) -> String {
    blank(policy.algorithm, policy, *b"nobody's account").to_string()
}

/// A description of a stored hash: `bcrypt $2b$, cost 10`, or `argon2id v=19, 19456 KiB, 2 passes, 1 lane`.
///
/// # Errors
/// [`HashError`], if [`verify`] would not accept it.
pub fn describe(stored: &str) -> Result<Description, HashError> {
    Stored::parse(stored).map(Description)
}

/// A hash without its digest. The digest is all zeros, so nobody's password has it: the chance of a match is 2^-184.
fn blank(algorithm: HashAlgorithm, policy: &HashPolicy, salt: [u8; 16]) -> Stored {
    match algorithm {
        HashAlgorithm::Bcrypt => Stored::Bcrypt(BcryptHash {
            version: 'b',
            cost: policy.bcrypt_cost,
            salt,
            digest: [0; 23],
            imported: false,
        }),
        HashAlgorithm::Argon2id => Stored::Argon2(Argon2Hash {
            variant: Algorithm::Argon2id,
            version: Version::V0x13,
            params: policy.argon2,
            salt: salt.to_vec(),
            tag: vec![0; 32],
        }),
    }
}

fn verify_bytes(password: &[u8], stored: &Stored, scratch: &mut Scratch) -> Result<bool, HashError> {
    let matches = match stored {
        Stored::Bcrypt(hash) => {
            let same = bcrypt_digest(password, hash).ct_eq(&hash.digest);
            same & Choice::from(u8::from(may_match(password, hash)))
        }
        Stored::Argon2(hash) => scratch.argon2_tag(password, hash)?.ct_eq(&hash.tag),
    };
    Ok(matches.into())
}

/// Whether bcrypt uses the whole password: it reads 72 bytes, and C implementations stop at a NUL.
fn fits_bcrypt(password: &[u8]) -> bool {
    password.len() <= 72 && !password.contains(&0)
}

/// Whether this hash may be that of this password: an imported one also of a password over 72 bytes, which the old
/// system cut. With a NUL it never matches, since old systems cut there, refused it, or went on.
fn may_match(password: &[u8], hash: &BcryptHash) -> bool {
    fits_bcrypt(password) || (hash.imported && !password.contains(&0))
}

/// The digest of a password under cost and salt of `hash`: plain bcrypt, which ignores what follows 72 bytes.
fn bcrypt_digest(password: &[u8], hash: &BcryptHash) -> [u8; 23] {
    let mut key = Zeroizing::new(Vec::with_capacity(73));
    key.extend(password.iter().take(72));
    key.push(0);
    key.truncate(72);
    let [digest @ .., _] = bcrypt::bcrypt(hash.cost, hash.salt, &key);
    digest
}

/// The description of a stored hash, by its [`Display`](fmt::Display).
#[derive(Clone)]
pub struct Description(Stored);

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Stored::Bcrypt(hash) => write!(f, "bcrypt $2{}$, cost {}", hash.version, hash.cost),
            Stored::Argon2(hash) => {
                let Argon2Params { m_kib, t, p } = hash.params;
                let (variant, version) = (hash.variant.as_str(), u32::from(hash.version));
                let (passes, lanes) =
                    (if t == 1 { "pass" } else { "passes" }, if p == 1 { "lane" } else { "lanes" });
                write!(f, "{variant} v={version}, {m_kib} KiB, {t} {passes}, {p} {lanes}")
            }
        }
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
