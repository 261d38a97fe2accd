use std::fmt;

use aws_lc_rs::{aead, hkdf};

use crate::Secret;

/// The use of a key that is derived from the root secret: one label each, so that no two uses share a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// Encrypts the private signing keys in the store.
    StoredKeys,
    /// Signs refresh tokens.
    RefreshTokens,
    /// Hides unknown email addresses in the audit log.
    AuditedAddresses,
    /// Signs the tickets by which a page ends sessions.
    Tickets,
    /// Recognises at the start whether the store was made under this root secret.
    Fingerprint,
    /// Recognises a form that is sent twice.
    FormPosts,
    /// Hides the codes that people type to answer a challenge.
    TypedCodes,
    /// Hides what limits count.
    Limits,
    /// Shows that the file of an export was not altered.
    Exports,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::StoredKeys => b"doorward 1 stored keys",
            Self::RefreshTokens => b"doorward 1 refresh tokens",
            Self::AuditedAddresses => b"doorward 1 audited addresses",
            Self::Tickets => b"doorward 1 tickets",
            Self::Fingerprint => b"doorward 1 fingerprint",
            Self::FormPosts => b"doorward 1 form posts",
            Self::TypedCodes => b"doorward 1 typed codes",
            Self::Limits => b"doorward 1 limits",
            Self::Exports => b"doorward 1 exports",
        }
    }
}

/// The cryptography library refused: the input was altered, or was not sealed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was altered, or sealed under another root secret")]
pub struct SealError;

/// The root secret. It never signs or encrypts anything itself: HKDF (RFC 5869) makes one key for each [`Purpose`].
pub struct RootSecret(hkdf::Prk);

impl RootSecret {
    /// Takes the secret.
    pub fn new(secret: &Secret) -> Self {
        Self(hkdf::Salt::new(hkdf::HKDF_SHA256, b"doorward").extract(secret.expose()))
    }

    /// The key for this purpose: 32 bytes.
    pub fn derive(&self, purpose: Purpose) -> Secret {
        let mut key = [0; 32];
        let info = [purpose.label()];
        // Cannot fail: 32 bytes are one block of the hash. If it did, an all-zero key would be the worst possible
        // result.
        match self.0.expand(&info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut key)) {
            Ok(()) => Secret::new(key),
            Err(_) => std::process::abort(),
        }
    }

    /// A number that recognises the secret, and says nothing of it.
    pub fn fingerprint(&self) -> i64 {
        let key = self.derive(Purpose::Fingerprint);
        key.expose().first_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes))
    }

    /// Encrypts `plain` with AES-256-GCM under a fresh random `nonce`, bound to `context`; returns nonce and
    /// ciphertext.
    ///
    /// # Errors
    /// [`SealError`] if the library refuses, which it does only for sizes of gigabytes.
    pub fn seal(&self, nonce: [u8; 12], context: &str, plain: &Secret) -> Result<Vec<u8>, SealError> {
        let mut sealed = plain.expose().to_vec();
        let aad = aead::Aad::from(context.as_bytes());
        self.key()?
            .seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| SealError)?;
        Ok([nonce.as_slice(), sealed.as_slice()].concat())
    }

    /// Decrypts what [`RootSecret::seal`] made for the same `context`.
    ///
    /// # Errors
    /// [`SealError`] if it was altered, moved to another context, or sealed under another root secret.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<12>().ok_or(SealError)?;
        let mut plain = ciphertext.to_vec();
        let aad = aead::Aad::from(context.as_bytes());
        let opened = self.key()?.open_in_place(aead::Nonce::assume_unique_for_key(*nonce), aad, &mut plain);
        let len = opened.map_err(|_| SealError)?.len();
        plain.truncate(len);
        Ok(Secret::new(plain))
    }

    fn key(&self) -> Result<aead::LessSafeKey, SealError> {
        let key = aead::UnboundKey::new(&aead::AES_256_GCM, self.derive(Purpose::StoredKeys).expose());
        key.map(aead::LessSafeKey::new).map_err(|_| SealError)
    }
}

impl fmt::Debug for RootSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_unaltered_in_its_context_and_under_its_secret() {
        let root = RootSecret::new(&Secret::new([1; 32]));
        let sealed = root.seal([9; 12], "kid-1", &Secret::new("private")).unwrap();
        assert_eq!(root.open("kid-1", &sealed).unwrap().expose(), b"private");
        assert!(root.open("kid-2", &sealed).is_err());
        assert!(RootSecret::new(&Secret::new([2; 32])).open("kid-1", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(root.open("kid-1", &altered).is_err(), "byte {at}");
            assert!(root.open("kid-1", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn each_purpose_has_a_key_of_its_own() {
        let root = RootSecret::new(&Secret::new([1; 32]));
        let key = |purpose| root.derive(purpose).expose().to_vec();
        assert_ne!(key(Purpose::StoredKeys), key(Purpose::RefreshTokens));
        assert_ne!(key(Purpose::AuditedAddresses), key(Purpose::Fingerprint));
    }
}
