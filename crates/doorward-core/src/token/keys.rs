use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, ParsedPublicKey, RsaKeyPair};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::jwk::{Jwk, PublicParts};
use super::{Algorithm, base64url, strict_json};
use crate::Secret;

/// Why a key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// HS256 needs a secret of at least 32 bytes (RFC 7518 section 3.2, attack J03).
    #[error("the secret is shorter than 32 bytes")]
    TooShort,
    /// The text is not a JWK, or a member is missing or misspelt.
    #[error("not a JSON Web Key: {0}")]
    Malformed(String),
    /// A public key was expected, and this one contains its private part (attack J40).
    #[error("the key holds a private part: publish public keys only")]
    Private,
    /// A symmetric key where only an asymmetric one makes sense: to publish, import, export or generate (attack J40).
    #[error("a symmetric key can't be published, imported, exported or generated")]
    Symmetric,
    /// A key type, curve, algorithm or size that Doorward doesn't use.
    #[error("unsupported key: expected P-256 (ES256), Ed25519 (EdDSA) or RSA of 2048 to 8192 bits (RS256)")]
    Unsupported,
    /// Its `use`, `key_ops` or `alg` forbids verifying tokens with it.
    #[error("the key is not meant for verifying signatures")]
    NotForVerifying,
    /// The cryptography library refused the key, or could not use it.
    #[error("the cryptography library refused the key")]
    Rejected,
}

/// A key that signs tokens: parsed once, with its header segment ready.
pub struct SigningKey {
    private: Private,
    public: VerifyingKey,
}

enum Private {
    Hs256(Box<Hmac<Sha256>>),
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

impl SigningKey {
    /// The symmetric key under the bytes of `secret`. Its `kid` is an HMAC of a label, so it reveals no more of the
    /// secret than a token does.
    ///
    /// # Errors
    /// [`KeyError::TooShort`] under 32 bytes; [`Secret::configured`] finds what else can be wrong with a secret.
    pub fn hs256(secret: &Secret) -> Result<Self, KeyError> {
        if secret.expose().len() < 32 {
            return Err(KeyError::TooShort);
        }
        let key = Hmac::<Sha256>::new_from_slice(secret.expose()).map_err(|_| KeyError::Rejected)?;
        // No signing input has a space in it, so no token carries this digest as its signature.
        let digest = key.clone().chain_update(b"doorward 1 key id").finalize().into_bytes();
        let kid = base64url::encode(digest.get(..12).unwrap_or_default());
        let key = Box::new(key);
        let public = VerifyingKey::new(Algorithm::Hs256, kid, Check::Mac(key.clone()), None);
        Ok(Self { private: Private::Hs256(key), public })
    }

    /// A new asymmetric key from the library's own random source; RSA with 3072 bits, which takes a second.
    ///
    /// # Errors
    /// [`KeyError::Symmetric`] for HS256, whose secret the operator sets; [`KeyError::Rejected`] without randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let key = match algorithm {
            Algorithm::Hs256 => return Err(KeyError::Symmetric),
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).map(Private::Es256)
            }
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Private::EdDsa),
            Algorithm::Rs256 => RsaKeyPair::generate(rsa::KeySize::Rsa3072).map(Private::Rs256),
        };
        Self::asymmetric(key.map_err(|_| KeyError::Rejected)?)
    }

    /// The asymmetric key that [`SigningKey::to_pkcs8`] wrote.
    ///
    /// # Errors
    /// [`KeyError::Symmetric`] for HS256; [`KeyError::Rejected`] or [`KeyError::Unsupported`] if `pkcs8` is not such a
    /// key.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let key = match algorithm {
            Algorithm::Hs256 => return Err(KeyError::Symmetric),
            Algorithm::Es256 => {
                let suite = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                EcdsaKeyPair::from_pkcs8(suite, pkcs8).map(Private::Es256)
            }
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8).map(Private::EdDsa),
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8).map(Private::Rs256),
        };
        Self::asymmetric(key.map_err(|_| KeyError::Rejected)?)
    }

    fn asymmetric(private: Private) -> Result<Self, KeyError> {
        let parts = match &private {
            Private::Hs256(_) => return Err(KeyError::Symmetric),
            Private::Es256(key) => PublicParts::from_point(key.public_key().as_ref()),
            Private::EdDsa(key) => PublicParts::from_ed25519(key.public_key().as_ref()),
            Private::Rs256(key) => PublicParts::from_rsa_der(key.public_key().as_ref()),
        };
        let public = VerifyingKey::from_parts(&parts.ok_or(KeyError::Rejected)?, None)?;
        Ok(Self { private, public })
    }

    /// The private key in DER (PKCS #8, RFC 5958): seal it before it is stored. `None` for HS256.
    pub fn to_pkcs8(&self) -> Option<Secret> {
        match &self.private {
            Private::Hs256(_) => None,
            Private::Es256(key) => key.to_pkcs8v1().ok().map(|der| Secret::new(der.as_ref())),
            Private::EdDsa(key) => key.to_pkcs8().ok().map(|der| Secret::new(der.as_ref())),
            Private::Rs256(key) => key.as_der().ok().map(|der| Secret::new(der.as_ref())),
        }
    }

    /// The key's id: for an asymmetric key its thumbprint (RFC 7638).
    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    /// The algorithm that it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.public.algorithm
    }

    /// The key that checks its signatures.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.public.clone()
    }

    pub(super) fn header_segment(&self) -> &str {
        &self.public.header_segment
    }

    /// The header segment for another type of token.
    pub(super) fn header_segment_of(&self, typ: &str) -> String {
        header_segment(self.algorithm(), self.kid(), typ)
    }

    /// Appends a dot and the signature of the current content of `token`.
    pub(super) fn append_signature(&self, token: &mut Vec<u8>) -> Result<(), KeyError> {
        let (message, random, rejected) = (token.as_slice(), SystemRandom::new(), |_| KeyError::Rejected);
        match &self.private {
            Private::Hs256(key) => {
                let tag = Hmac::clone(key).chain_update(message).finalize().into_bytes();
                append(token, &tag);
            }
            Private::Es256(key) => append(token, key.sign(&random, message).map_err(rejected)?.as_ref()),
            Private::EdDsa(key) => append(token, key.try_sign(message).map_err(rejected)?.as_ref()),
            Private::Rs256(key) => {
                let mut value = vec![0; key.public_modulus_len()];
                key.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut value).map_err(rejected)?;
                append(token, &value);
            }
        }
        Ok(())
    }
}

fn append(token: &mut Vec<u8>, signature: &[u8]) {
    token.push(b'.');
    base64url::append(token, signature);
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm(), self.kid())
    }
}

/// A key that checks the signatures of one [`SigningKey`]: parsed once. A symmetric one also makes them.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    kid: Box<str>,
    header_segment: Box<str>,
    check: Check,
    jwk: Option<Box<str>>,
}

#[derive(Clone)]
enum Check {
    Mac(Box<Hmac<Sha256>>),
    Signature(ParsedPublicKey),
}

impl VerifyingKey {
    /// Reads a public key (RFC 7517, RFC 8037): P-256, Ed25519, or RSA with 2048 to 8192 bits. `kid` may be missing, and
    /// is then the thumbprint.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong: a key that is ambiguous, private or meant for something else is refused.
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        let mut jwk = Jwk::default();
        let read = strict_json::object(json.as_bytes(), &mut jwk);
        read.map_err(|error| KeyError::Malformed(error.to_string()))?;
        Self::from_parsed_jwk(&jwk)
    }

    pub(super) fn from_parsed_jwk(jwk: &Jwk<'_>) -> Result<Self, KeyError> {
        Self::from_parts(&jwk.public_parts()?, jwk.kid()?)
    }

    fn from_parts(parts: &PublicParts, kid: Option<&str>) -> Result<Self, KeyError> {
        let kid = kid.map_or_else(|| parts.thumbprint(), str::to_owned);
        let jwk = parts.to_jwk(&kid).into_boxed_str();
        Ok(Self::new(parts.algorithm(), kid, Check::Signature(parts.parse()?), Some(jwk)))
    }

    fn new(algorithm: Algorithm, kid: String, check: Check, jwk: Option<Box<str>>) -> Self {
        let header_segment = header_segment(algorithm, &kid, "at+jwt").into_boxed_str();
        Self { algorithm, kid: kid.into_boxed_str(), header_segment, check, jwk }
    }

    /// The key as a JWK; `None` for HS256, whose key is secret (attack J40).
    pub fn to_jwk(&self) -> Option<&str> {
        self.jwk.as_deref()
    }

    /// The key's id, which a token's header names.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm that it checks, and the only one that it is ever used with (attacks J02, J04).
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The header segment of a token that Doorward signs with this key.
    pub(super) fn header_segment(&self) -> &str {
        &self.header_segment
    }

    /// Whether `segment` is the base64url text of this key's signature of `message`. The length is exact, so a
    /// truncated or extended signature fails (attack J10).
    pub(super) fn verifies(&self, message: &[u8], segment: &str) -> bool {
        let mut small = [0; 64];
        match &self.check {
            Check::Mac(key) => base64url::decode_into(segment, &mut small)
                .is_some_and(|tag| Hmac::clone(key).chain_update(message).verify_slice(tag).is_ok()),
            Check::Signature(key) if self.algorithm == Algorithm::Rs256 => {
                base64url::decode(segment).is_some_and(|value| key.verify_sig(message, &value).is_ok())
            }
            Check::Signature(key) => base64url::decode_into(segment, &mut small)
                .is_some_and(|value| key.verify_sig(message, value).is_ok()),
        }
    }
}

fn header_segment(algorithm: Algorithm, kid: &str, typ: &str) -> String {
    base64url::encode(format!(r#"{{"alg":"{algorithm}","kid":"{kid}","typ":"{typ}"}}"#))
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({} {})", self.algorithm, self.kid)
    }
}
