//! Public keys as JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037) and their thumbprints (RFC 7638).

use aws_lc_rs::digest;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{self, ParsedPublicKey};
use serde::de::MapAccess;

use super::strict_json::{Members, Unread, fill};
use super::{Algorithm, KeyError, base64url};

/// The members of a JWK that matter here, as the JSON text has them.
#[derive(Default)]
pub(super) struct Jwk<'a> {
    kty: Option<&'a str>,
    crv: Option<&'a str>,
    alg: Option<&'a str>,
    r#use: Option<&'a str>,
    key_ops: Option<Vec<&'a str>>,
    kid: Option<&'a str>,
    x: Option<&'a str>,
    y: Option<&'a str>,
    n: Option<&'a str>,
    e: Option<&'a str>,
    private: Option<Unread>,
}

impl<'de> Members<'de> for Jwk<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &'de str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "kty" => fill(&mut self.kty, name, map),
            "crv" => fill(&mut self.crv, name, map),
            "alg" => fill(&mut self.alg, name, map),
            "use" => fill(&mut self.r#use, name, map),
            "key_ops" => fill(&mut self.key_ops, name, map),
            "kid" => fill(&mut self.kid, name, map),
            "x" => fill(&mut self.x, name, map),
            "y" => fill(&mut self.y, name, map),
            "n" => fill(&mut self.n, name, map),
            "e" => fill(&mut self.e, name, map),
            "k" | "d" | "p" | "q" | "dp" | "dq" | "qi" | "oth" => {
                self.private = Some(map.next_value()?);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

impl Jwk<'_> {
    /// The key's id, of letters that need no escape in JSON.
    pub(super) fn kid(&self) -> Result<Option<&str>, KeyError> {
        let plain = |kid: &str| kid.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        match self.kid {
            Some(kid) if kid.is_empty() || kid.len() > 128 || !plain(kid) => {
                Err(KeyError::Malformed("kid: expected 1 to 128 plain ASCII characters".into()))
            }
            kid => Ok(kid),
        }
    }

    /// The public key in it, if it is for verifying signatures and nothing else.
    pub(super) fn public_parts(&self) -> Result<PublicParts, KeyError> {
        if self.kty == Some("oct") {
            return Err(KeyError::Symmetric);
        }
        if self.private.is_some() {
            return Err(KeyError::Private);
        }
        let verifies = self.key_ops.as_ref().is_none_or(|ops| ops.contains(&"verify"));
        if self.r#use.is_some_and(|purpose| purpose != "sig") || !verifies {
            return Err(KeyError::NotForVerifying);
        }
        let parts = match (self.kty, self.crv) {
            (Some("EC"), Some("P-256")) => PublicParts::Ec { x: text(self.x)?, y: text(self.y)? },
            (Some("OKP"), Some("Ed25519")) => PublicParts::Okp { x: text(self.x)? },
            (Some("RSA"), None) => PublicParts::Rsa { n: text(self.n)?, e: text(self.e)? },
            _ => return Err(KeyError::Unsupported),
        };
        match self.alg {
            Some(alg) if alg != parts.algorithm().as_str() => Err(KeyError::NotForVerifying),
            _ => Ok(parts),
        }
    }
}

fn text(member: Option<&str>) -> Result<String, KeyError> {
    member.map(str::to_owned).ok_or_else(|| KeyError::Malformed("a part of the key is missing".into()))
}

/// The parts of a public key, in base64url.
pub(super) enum PublicParts {
    Ec { x: String, y: String },
    Okp { x: String },
    Rsa { n: String, e: String },
}

impl PublicParts {
    /// A point on P-256, uncompressed: 4, x, y.
    pub(super) fn from_point(point: &[u8]) -> Option<Self> {
        let (x, y) = point.strip_prefix(&[4])?.split_at_checked(32)?;
        Some(Self::Ec { x: base64url::encode(x), y: base64url::encode(y) })
    }

    pub(super) fn from_ed25519(point: &[u8]) -> Option<Self> {
        Some(Self::Okp { x: base64url::encode(point) })
    }

    /// An RSAPublicKey (RFC 8017 appendix A.1.1), as the library writes it.
    pub(super) fn from_rsa_der(der: &[u8]) -> Option<Self> {
        let (sequence, _) = der_value(0x30, der)?;
        let (n, rest) = der_value(0x02, sequence)?;
        let (e, _) = der_value(0x02, rest)?;
        let unsigned = |integer: &[u8]| base64url::encode(integer.strip_prefix(&[0]).unwrap_or(integer));
        Some(Self::Rsa { n: unsigned(n), e: unsigned(e) })
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ec { .. } => Algorithm::Es256,
            Self::Okp { .. } => Algorithm::EdDsa,
            Self::Rsa { .. } => Algorithm::Rs256,
        }
    }

    /// RFC 7638 section 3: the required members, in the order of their names, hashed with SHA-256.
    pub(super) fn thumbprint(&self) -> String {
        let json = match self {
            Self::Ec { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Self::Okp { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        base64url::encode(digest::digest(&digest::SHA256, json.as_bytes()))
    }

    pub(super) fn to_jwk(&self, kid: &str) -> String {
        let key = match self {
            Self::Ec { x, y } => format!(r#""kty":"EC","crv":"P-256","x":"{x}","y":"{y}""#),
            Self::Okp { x } => format!(r#""kty":"OKP","crv":"Ed25519","x":"{x}""#),
            Self::Rsa { n, e } => format!(r#""kty":"RSA","n":"{n}","e":"{e}""#),
        };
        format!(r#"{{{key},"kid":"{kid}","use":"sig","alg":"{}"}}"#, self.algorithm())
    }

    pub(super) fn parse(&self) -> Result<ParsedPublicKey, KeyError> {
        let rejected = |_| KeyError::Rejected;
        match self {
            Self::Ec { x, y } => {
                let point = [[4].as_slice(), &coordinate(x)?, &coordinate(y)?].concat();
                ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).map_err(rejected)
            }
            Self::Okp { x } => {
                let point = coordinate(x)?;
                if is_small_order(point) {
                    return Err(KeyError::Rejected);
                }
                ParsedPublicKey::new(&signature::ED25519, point).map_err(rejected)
            }
            Self::Rsa { n, e } => {
                let components = PublicKeyComponents { n: modulus(n)?, e: exponent(e)? };
                components.to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256).map_err(rejected)
            }
        }
    }
}

fn bytes(part: &str) -> Result<Vec<u8>, KeyError> {
    base64url::decode(part).ok_or_else(|| KeyError::Malformed("a part of the key is not base64url".into()))
}

fn coordinate(part: &str) -> Result<[u8; 32], KeyError> {
    let wrong_size = |_| KeyError::Malformed("a coordinate must have 32 bytes".into());
    bytes(part)?.try_into().map_err(wrong_size)
}

/// Whole bytes with the first bit set: no leading zeros, which would give one key two thumbprints, and no odd sizes.
fn modulus(part: &str) -> Result<Vec<u8>, KeyError> {
    let modulus = bytes(part)?;
    let full = modulus.first().is_some_and(|first| *first >= 0x80)
        && modulus.last().is_some_and(|last| last & 1 == 1);
    if full && (256..=1024).contains(&modulus.len()) { Ok(modulus) } else { Err(KeyError::Unsupported) }
}

/// An odd number from 3 to 2³² - 1: a larger one only makes every check slower.
fn exponent(part: &str) -> Result<Vec<u8>, KeyError> {
    match bytes(part)?.as_slice() {
        [] | [0, ..] | [1] | [_, _, _, _, _, ..] => Err(KeyError::Unsupported),
        [.., last] if last & 1 == 0 => Err(KeyError::Unsupported),
        exponent => Ok(exponent.to_vec()),
    }
}

/// The content of the DER element at the start of `der`, and the rest after it. Use it only for what the library wrote.
fn der_value(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = match der.strip_prefix(&[tag])? {
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [0x81, len, rest @ ..] | [len @ 0..=0x7f, rest @ ..] => (usize::from(*len), rest),
        _ => return None,
    };
    rest.split_at_checked(len)
}

/// Whether an Ed25519 public key is one of the few points for which a signature fits any message (attack J13).
fn is_small_order(mut point: [u8; 32]) -> bool {
    point[31] &= 0x7f;
    SMALL_ORDER.contains(&point)
}

/// The y of every point whose order divides 8, little-endian, and the two spellings of them that are not reduced.
const SMALL_ORDER: [[u8; 32]; 7] = [
    ends(0x00, 0x00, 0x00),
    ends(0x01, 0x00, 0x00),
    ends(0xec, 0xff, 0x7f),
    ends(0xed, 0xff, 0x7f),
    ends(0xee, 0xff, 0x7f),
    *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\
       \xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
    *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\
       \x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
];

const fn ends(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}
