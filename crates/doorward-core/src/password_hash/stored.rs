//! Stored password hashes: parsed strictly, with a ceiling on every parameter that decides work or memory (attack P09).

use std::fmt;

use argon2::{Algorithm, Version};
use base64::engine::general_purpose::{NO_PAD, STANDARD_NO_PAD};
use base64::engine::{Engine, GeneralPurpose};

use super::{Argon2Params, HashError};

/// 2^16 rounds take about four seconds; an imported 31 would take two days.
pub(super) const MAX_BCRYPT_COST: u32 = 16;
const MIN_BCRYPT_COST: u32 = 4;
/// 256 MiB, in KiB.
pub(super) const MAX_ARGON2_MEMORY: u32 = 256 * 1024;
pub(super) const MAX_ARGON2_PASSES: u32 = 16;
pub(super) const MAX_ARGON2_LANES: u32 = 16;
/// The longest text within these ceilings has 207 bytes.
const MAX_TEXT: usize = 256;

/// Stands before a bcrypt hash of another system in the store.
const IMPORTED: &str = "imported:";

/// bcrypt's own alphabet; like [`STANDARD_NO_PAD`] it refuses stray bits at the end.
const BCRYPT_BASE64: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::BCRYPT, NO_PAD);

/// A hash as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stored {
    Bcrypt(BcryptHash),
    Argon2(Argon2Hash),
}

/// A bcrypt hash: `$2b$` cost, 16 bytes of salt, 23 of digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BcryptHash {
    /// `a`, `b` or `y`: three names of one algorithm, as long as no password has 255 bytes (attack P04).
    pub(super) version: char,
    pub(super) cost: u32,
    pub(super) salt: [u8; 16],
    pub(super) digest: [u8; 23],
    /// Made by another system, which may have cut the password at 72 bytes without a word.
    pub(super) imported: bool,
}

/// An argon2 hash in the PHC string format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Argon2Hash {
    pub(super) variant: Algorithm,
    pub(super) version: Version,
    pub(super) params: Argon2Params,
    pub(super) salt: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

impl Stored {
    /// Reads a hash. Each parameter is checked against its ceiling before anything is allocated or computed for it.
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        // ASCII first: a cut inside a multi-byte character would panic (attack P04, RUSTSEC-2026-0199).
        if text.len() > MAX_TEXT || !text.is_ascii() {
            return Err(HashError::Malformed);
        }
        match text.strip_prefix("$argon2") {
            Some(rest) => parse_argon2(rest).map(Self::Argon2),
            None => {
                let (text, imported) = text.strip_prefix(IMPORTED).map_or((text, false), |text| (text, true));
                let hash = parse_bcrypt(text)?;
                Ok(Self::Bcrypt(BcryptHash { imported, ..hash }))
            }
        }
    }
}

fn parse_bcrypt(text: &str) -> Result<BcryptHash, HashError> {
    let (version, rest) =
        text.strip_prefix("$2").and_then(|rest| rest.split_once('$')).ok_or(HashError::Malformed)?;
    let version = match version {
        "a" => 'a',
        "b" => 'b',
        "y" => 'y',
        // Made by crypt_blowfish with its sign extension bug (CVE-2011-2483): many passwords share one hash.
        // The first makers did not hash the NUL at the end, so `ab` and `abab` share one hash.
        "x" | "" => return Err(HashError::Unsupported),
        _ => return Err(HashError::Malformed),
    };
    let (cost, rest) = rest.split_once('$').ok_or(HashError::Malformed)?;
    // Two digits, and not `+4`, which Rust would parse as a number.
    if cost.len() != 2 || !cost.bytes().all(|byte| byte.is_ascii_digit()) || rest.len() != 53 {
        return Err(HashError::Malformed);
    }
    let cost = cost.parse::<u32>().map_err(|_| HashError::Malformed)?;
    let (salt, digest) = rest.split_at_checked(22).ok_or(HashError::Malformed)?;
    let (salt, digest) = (bcrypt_base64(salt)?, bcrypt_base64(digest)?);
    let hash = BcryptHash { version, cost, salt, digest, imported: false };
    match cost {
        MIN_BCRYPT_COST..=MAX_BCRYPT_COST => Ok(hash),
        17..=31 => Err(HashError::TooExpensive),
        _ => Err(HashError::Malformed),
    }
}

fn bcrypt_base64<const N: usize>(text: &str) -> Result<[u8; N], HashError> {
    let bytes = BCRYPT_BASE64.decode(text).map_err(|_| HashError::Malformed)?;
    bytes.try_into().map_err(|_| HashError::Malformed)
}

/// Reads the text after `$argon2`: `id$v=19$m=19456,t=2,p=1$salt$tag`.
fn parse_argon2(text: &str) -> Result<Argon2Hash, HashError> {
    let mut parts = text.split('$').peekable();
    let variant = match parts.next() {
        Some("id") => Algorithm::Argon2id,
        Some("i") => Algorithm::Argon2i,
        Some("d") => Algorithm::Argon2d,
        _ => return Err(HashError::Malformed),
    };
    // The first version of the format had no `v`.
    let version = match parts.next_if(|part| part.starts_with("v=")) {
        Some("v=19") => Version::V0x13,
        Some("v=16") | None => Version::V0x10,
        Some(_) => return Err(HashError::Malformed),
    };
    let (Some(params), Some(salt), Some(tag), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HashError::Malformed);
    };
    let params = parse_params(params)?;
    let (salt, tag) = (phc_base64(salt)?, phc_base64(tag)?);
    if !(8..=64).contains(&salt.len()) || !(16..=64).contains(&tag.len()) {
        return Err(HashError::Malformed);
    }
    Ok(Argon2Hash { variant, version, params, salt, tag })
}

/// Reads `m=19456,t=2,p=1`, in this order and nothing else: key ids and associated data have no use for passwords.
fn parse_params(text: &str) -> Result<Argon2Params, HashError> {
    let mut parts = text.split(',');
    let mut next = |name: &str| parts.next()?.strip_prefix(name).and_then(decimal);
    let (Some(m_kib), Some(t), Some(p)) = (next("m="), next("t="), next("p=")) else {
        return Err(HashError::Malformed);
    };
    if parts.next().is_some() || t == 0 || p == 0 {
        return Err(HashError::Malformed);
    }
    if m_kib > MAX_ARGON2_MEMORY || t > MAX_ARGON2_PASSES || p > MAX_ARGON2_LANES {
        return Err(HashError::TooExpensive);
    }
    // RFC 9106 section 3.1: at least eight blocks a lane.
    if m_kib < 8 * p { Err(HashError::Malformed) } else { Ok(Argon2Params { m_kib, t, p }) }
}

/// Reads a decimal number in its one spelling: no sign, no leading zero.
fn decimal(text: &str) -> Option<u32> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}

fn phc_base64(text: &str) -> Result<Vec<u8>, HashError> {
    STANDARD_NO_PAD.decode(text).map_err(|_| HashError::Malformed)
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bcrypt(BcryptHash { version, cost, salt, digest, imported }) => {
                let (salt, digest) = (BCRYPT_BASE64.encode(salt), BCRYPT_BASE64.encode(digest));
                f.write_str(if *imported { IMPORTED } else { "" })?;
                write!(f, "$2{version}${cost:02}${salt}{digest}")
            }
            Self::Argon2(Argon2Hash {
                variant,
                version,
                params: Argon2Params { m_kib, t, p },
                salt,
                tag,
            }) => {
                write!(f, "${}", variant.as_str())?;
                if *version == Version::V0x13 {
                    f.write_str("$v=19")?;
                }
                let (salt, tag) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(tag));
                write!(f, "$m={m_kib},t={t},p={p}${salt}${tag}")
            }
        }
    }
}
