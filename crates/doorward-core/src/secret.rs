use std::fmt;

use zeroize::Zeroizing;

/// Why a configured secret is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Fewer than 32 bytes (RFC 7518 section 3.2: a key of the hash's size or larger).
    #[error("is shorter than 32 bytes")]
    TooShort,
    /// Fewer than 8 distinct bytes.
    #[error("has fewer than 8 distinct bytes")]
    TooUniform,
    /// It is, ignoring case, on the list of secrets that tutorials and frameworks print.
    #[error("is a well-known example value")]
    WellKnown,
}

/// Secret bytes: wiped when dropped, never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes as they are, without judging them.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// Takes a secret that an operator chose, and refuses one that an attacker would try first.
    ///
    /// # Errors
    /// [`SecretError`] says what is wrong with it.
    pub fn configured(bytes: impl Into<Vec<u8>>) -> Result<Self, SecretError> {
        let secret = Self::new(bytes);
        let bytes = secret.expose();
        if bytes.len() < 32 {
            return Err(SecretError::TooShort);
        }
        let mut seen = [false; 256];
        bytes.iter().for_each(|byte| {
            if let Some(slot) = seen.get_mut(usize::from(*byte)) {
                *slot = true;
            }
        });
        if seen.iter().filter(|seen| **seen).count() < 8 {
            return Err(SecretError::TooUniform);
        }
        if WELL_KNOWN.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(bytes)) {
            return Err(SecretError::WellKnown);
        }
        Ok(secret)
    }

    /// The bytes. Don't keep, print or compare them with `==`.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Values of 32 bytes and more that documentation, tutorials and templates print as an example.
const WELL_KNOWN: &[&str] = &[
    "your-256-bit-secret-your-256-bit-secret",
    "a-string-secret-at-least-256-bits-long",
    "your-secret-key-at-least-32-characters-long",
    "your-super-secret-jwt-token-with-at-least-32-characters-long",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "this-is-a-very-long-secret-key-for-jwt",
    "my-super-secret-key-that-is-32-characters",
    "please-change-this-secret-in-production",
    "change-me-change-me-change-me-change-me",
    "changemechangemechangemechangeme",
    "0123456789abcdef0123456789abcdef",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz123456",
    "abcdefghijklmnopqrstuvwxyz012345",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "12345678901234567890123456789012",
    "01234567890123456789012345678901",
    "your_jwt_secret_key_here_change_it",
    "your_super_secret_jwt_key_change_this",
    "mysecretkeymysecretkeymysecretkey",
    "supersecretsupersecretsupersecret",
    "404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970",
    "ayqiaiosfyaiyzt0ryv0aaabwaabbqeb",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_uniform_and_well_known_secrets_are_refused_and_a_random_one_is_taken() {
        assert_eq!(Secret::configured("secret").unwrap_err(), SecretError::TooShort);
        assert_eq!(Secret::configured(vec![0; 64]).unwrap_err(), SecretError::TooUniform);
        let shouted = "CHANGE-ME-change-me-CHANGE-ME-change-me";
        assert_eq!(Secret::configured(shouted).unwrap_err(), SecretError::WellKnown);
        assert!(Secret::configured("T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p").is_ok());
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }
}
