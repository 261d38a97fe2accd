#![doc = include_str!("../README.md")]

mod batch;
mod pi;
mod state;
mod text;

use std::fmt;
use std::hint::black_box;

pub use batch::{Batch, Job, MOST_LANES};
use text::Parts;

/// What bcrypt makes of a password.
pub type Digest = [u8; 23];

/// Why nothing can be hashed or verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A cost outside of 4 to 31.
    Cost(u32),
    /// The text is not that of a bcrypt hash.
    Malformed,
    /// A `$2x$` hash, whose maker had a bug by which many passwords share one hash (CVE-2011-2483).
    Version2x,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cost(cost) => write!(f, "cost {cost} is not within 4 to 31"),
            Self::Malformed => f.write_str("is not the text of a bcrypt hash"),
            Self::Version2x => f.write_str("is a $2x$ hash, which many passwords match"),
        }
    }
}

impl std::error::Error for Error {}

/// The digest of one password. As in every bcrypt, its first 72 bytes count.
///
/// # Errors
/// [`Error::Cost`].
pub fn digest(password: &[u8], salt: [u8; 16], cost: u32) -> Result<Digest, Error> {
    let mut batch = Batch::new();
    batch.add(Job::new(password, salt, cost)?, ()).ok();
    loop {
        if let Some(((), digest)) = batch.turn() {
            return Ok(digest);
        }
    }
}

/// The text of the hash of one password, as `$2b$`. Take 16 new random bytes as its salt.
///
/// ```
/// let salt: [u8; 16] = std::array::from_fn(|i| i as u8); // Random bytes, in a real program.
/// let hash = bcrypt_lanes::hash(b"correct horse", salt, 4)?;
/// assert!(bcrypt_lanes::verify(b"correct horse", &hash)?);
/// assert!(!bcrypt_lanes::verify(b"battery staple", &hash)?);
/// # Ok::<(), bcrypt_lanes::Error>(())
/// ```
///
/// # Errors
/// [`Error::Cost`].
pub fn hash(password: &[u8], salt: [u8; 16], cost: u32) -> Result<String, Error> {
    let digest = digest(password, salt, cost)?;
    Ok(Parts { cost, salt, digest }.write())
}

/// Whether a hash, `$2a$`, `$2b$` or `$2y$`, is that of this password. Digests are compared in constant time.
///
/// # Errors
/// [`Error`], about the hash.
pub fn verify(password: &[u8], hash: &str) -> Result<bool, Error> {
    let known = Parts::read(hash)?;
    let digest = digest(password, known.salt, known.cost)?;
    let different = digest.iter().zip(&known.digest).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    Ok(different == 0)
}
