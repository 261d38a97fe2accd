use std::fmt;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// An opaque credential of 256 random bits: a session secret, a reset link, an invitation.
///
/// The store keeps only its [hash](OpaqueSecret::hash), so a stolen database signs nobody in.
#[derive(Clone)]
pub struct OpaqueSecret(Zeroizing<[u8; 32]>);

impl OpaqueSecret {
    /// Makes a secret of these random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// Reads the one spelling of a secret: 43 characters of base64url without padding. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        match URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut_slice()) {
            Ok(32) => Some(Self(bytes)),
            _ => None,
        }
    }

    /// The text that its owner gets, once.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }

    /// The SHA-256 of the secret. The store finds the secret by it. Its input has 256 bits of entropy: no salt is
    /// needed.
    pub fn hash(&self) -> [u8; 32] {
        let digest = digest::digest(&digest::SHA256, self.0.as_slice());
        digest.as_ref().try_into().unwrap_or_default()
    }
}

impl fmt::Debug for OpaqueSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpaqueSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_one_spelling_and_its_hash_is_no_secret() {
        let secret = OpaqueSecret::new([0xA5; 32]);
        let text = secret.to_text();
        assert_eq!(OpaqueSecret::parse(&text).unwrap().hash(), secret.hash());
        let hash = URL_SAFE_NO_PAD.encode(secret.hash());
        assert_ne!(OpaqueSecret::parse(&hash).unwrap().hash(), secret.hash());
        let loose_bits = format!("{}{}", &text[..42], "V");
        for bad in [
            "",
            &text[1..],
            &format!("{}A", *text),
            &format!("{}=", *text),
            &loose_bits,
            &"A".repeat(1_000_000),
        ] {
            assert!(OpaqueSecret::parse(bad).is_none(), "{bad}");
        }
    }
}
