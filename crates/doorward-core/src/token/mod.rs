//! Access tokens: signed JWTs (RFC 7519) in the compact form (RFC 7515), as RFC 9068 types them (`at+jwt`).
//!
//! [`issue`] makes one, [`verify`] checks one, [`explain`] says check by check why one is accepted or refused; the last
//! two run the same function. Its rules stop section J of the attack list:
//!
//! - The algorithm is the key's, and the key is the one with exactly the header's `kid`. The signature is checked
//!   before any claim is read.
//! - One token has one spelling: canonical base64url, no duplicate member, no escaped name, three parts, 4 KiB.
//! - Every claim that Doorward issues is required, with its type. Tokens of before lack `ver`, `auth_time` and `amr`: they
//!   count as version 0, the longest time ago, and no method. Further claims are allowed and ignored.
//!
//! ```
//! use std::time::Duration;
//! use doorward_core::token::{self, Claims, Expected, KeySet, SigningKey};
//! use doorward_core::{Refusal, Secret, SessionId, Timestamp, UserId, role::RoleName};
//!
//! let key = SigningKey::hs256(&Secret::new("T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p"))?;
//! let keys = KeySet::new(vec![key.verifying_key()])?;
//! let names = Expected { issuer: "doorward".into(), audience: "doorward".into(), max_ttl: Duration::from_secs(900), former_issuer: None };
//! let now = Timestamp::from_secs(1_800_000_000);
//! let (user, session) = (UserId::new(now, [1; 10]), SessionId::new(now, [2; 10]));
//! let mut claims = Claims::new(user, session, now, now + names.max_ttl, [3; 16]);
//! claims.role = RoleName::ADMIN;
//!
//! let token = token::issue(&key, &names, &claims)?;
//! assert_eq!(token::verify(&token, &keys, &names, now)?.user, user);
//! assert_eq!(token::verify(&token, &keys, &names, now + names.max_ttl), Err(Refusal::TokenExpired));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod advice;
mod algorithm;
mod app_claims;
mod base64url;
mod checks;
mod claims;
mod decode;
mod explain;
mod jwk;
pub mod jws;
mod key_life;
mod key_set;
mod keys;
mod recognise;
mod strict_json;
mod verify;

#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, AlgorithmError};
pub use app_claims::{AppClaims, AppClaimsError, app_claims};
pub use checks::{Check, in_words};
pub use claims::{ASSERTION_TYPE, AccessToken, Claims, Expected, assert_identity, issue, issue_with};
pub use decode::{Decoded, decode};
pub use explain::{Explanation, Step, Verdict, explain};
pub use key_life::{KeyLife, KeyState};
pub use key_set::{KeySet, KeySetError};
pub use keys::{KeyError, SigningKey, VerifyingKey};
pub use recognise::{Kind, recognise};
pub use verify::{LEEWAY, verify, verify_ignoring_expiry, verify_observed};

/// The longest token that is read, in bytes; a longer one is refused before any decoding (attack J21).
pub const MAX_LENGTH: usize = 4096;
