use std::fmt;

use serde::de::MapAccess;

use super::jwk::Jwk;
use super::strict_json::{self, Members, Strict, fill};
use super::{KeyError, VerifyingKey};

/// The largest JWK set that is read, in bytes.
const MAX_JWKS: usize = 64 * 1024;
/// The most keys of one set.
const MAX_KEYS: usize = 32;

/// Why keys can't form one set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// Two keys have one `kid`: which of them checks a token would be chance (attack J41).
    #[error("two keys have the kid {0:?}")]
    DuplicateKid(String),
    /// A symmetric key beside an asymmetric one (attacks J02, J41).
    #[error("symmetric and asymmetric keys don't go into one set")]
    Mixed,
    /// More than 32 keys, or a JWK set of more than 64 KiB.
    #[error("too large: at most 32 keys, and 64 KiB as JSON")]
    TooLarge,
    /// The text is not a JWK set.
    #[error("not a JSON Web Key set: {0}")]
    Malformed(String),
    /// One of the keys is refused, and the set with it.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The keys that tokens may be signed with, each under its own `kid`. An empty set refuses every token.
#[derive(Clone, Default)]
pub struct KeySet(Vec<VerifyingKey>);

impl KeySet {
    /// The set of these keys.
    ///
    /// # Errors
    /// [`KeySetError::DuplicateKid`], [`KeySetError::Mixed`] or [`KeySetError::TooLarge`].
    pub fn new(keys: Vec<VerifyingKey>) -> Result<Self, KeySetError> {
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooLarge);
        }
        let symmetric = keys.iter().filter(|key| key.algorithm().is_symmetric()).count();
        if symmetric != 0 && symmetric != keys.len() {
            return Err(KeySetError::Mixed);
        }
        for (at, key) in keys.iter().enumerate() {
            if keys.iter().skip(at + 1).any(|other| other.kid() == key.kid()) {
                return Err(KeySetError::DuplicateKid(key.kid().to_owned()));
            }
        }
        Ok(Self(keys))
    }

    /// Reads a JWK set (RFC 7517 section 5) as a Doorward server publishes it. One bad key refuses the whole set.
    ///
    /// # Errors
    /// [`KeySetError`] says what is wrong with the set or with a key.
    pub fn from_jwks(json: &str) -> Result<Self, KeySetError> {
        if json.len() > MAX_JWKS {
            return Err(KeySetError::TooLarge);
        }
        let mut set = Jwks::default();
        let read = strict_json::object(json.as_bytes(), &mut set);
        read.map_err(|error| KeySetError::Malformed(error.to_string()))?;
        let keys = set.keys.ok_or_else(|| KeySetError::Malformed("missing member \"keys\"".into()))?;
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooLarge);
        }
        let keys = keys.iter().map(|Strict(jwk)| VerifyingKey::from_parsed_jwk(jwk));
        Self::new(keys.collect::<Result<_, _>>()?)
    }

    /// The public keys as a JWK set; a symmetric key is never in it (attack J40).
    pub fn to_jwks(&self) -> String {
        let keys: Vec<_> = self.0.iter().filter_map(VerifyingKey::to_jwk).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// The key with exactly this id: a table look-up, never a file, a query or a URL (attack J05).
    pub fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.iter().find(|key| key.kid() == kid)
    }

    /// The keys, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.0.iter()
    }

    /// The key whose own tokens begin with this header segment, byte for byte: the header needs no parsing.
    pub(super) fn find_by_header(&self, segment: &str) -> Option<&VerifyingKey> {
        self.0.iter().find(|key| key.header_segment() == segment)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

#[derive(Default)]
struct Jwks<'a> {
    keys: Option<Vec<Strict<Jwk<'a>>>>,
}

impl<'de> Members<'de> for Jwks<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &'de str, map: &mut A) -> Result<bool, A::Error> {
        if name == "keys" { fill(&mut self.keys, name, map) } else { Ok(false) }
    }
}
