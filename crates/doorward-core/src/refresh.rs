//! Refresh tokens: opaque, rotated at each use, with detection of reuse.
//!
//! A token is `dr2.` and the base64url of user id, session id, generation, key number and an HMAC over them and the
//! salt of the session's row. It contains nothing random, so a generation always has the same token. A repeated request
//! gets the same successor, and nothing about successors has to be stored (RFC 9700 section 4.14.2).
//!
//! `dr1.` is the former form, without the user's id. It stays valid; its successor is a `dr2.`.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::{Secret, SessionId, Timestamp, UserId};

/// How long the predecessor of the current refresh token gets the same successor again: for a second tab, or a client
/// that lost the answer.
pub const GRACE: Duration = Duration::from_secs(60);

const PREFIX: &str = "dr2.";
const FORMER_PREFIX: &str = "dr1.";
const KEY_NUMBER: u8 = 1;
const CLAIMED: usize = 16 + FORMER_CLAIMED;
const FORMER_CLAIMED: usize = 16 + 8 + 1;
const MAC: usize = 32;

/// True if a text begins like a refresh token; it may be a truncated one.
pub fn is_like_one(text: &str) -> bool {
    text.strip_prefix("dr").and_then(|rest| rest.split_once('.')).is_some_and(|(version, _)| {
        !version.is_empty() && version.len() < 3 && version.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The content of a refresh token; don't trust it before [`RefreshKey::verify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session's user; `None` for a token of the former form.
    pub user: Option<UserId>,
    /// The session that it belongs to.
    pub session: SessionId,
    /// How many rotations came before it.
    pub generation: u64,
    mac: [u8; MAC],
}

impl RefreshToken {
    /// Parses a token in its one spelling; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; CLAIMED + MAC];
        if let Some(encoded) = text.strip_prefix(PREFIX) {
            let (user, rest) = decoded(encoded, &mut bytes)?.split_first_chunk::<16>()?;
            return Self::read(Some(UserId::from_bytes(*user)), rest);
        }
        Self::read(None, decoded(text.strip_prefix(FORMER_PREFIX)?, &mut bytes)?)
    }

    fn read(user: Option<UserId>, bytes: &[u8]) -> Option<Self> {
        let (session, rest) = bytes.split_first_chunk::<16>()?;
        let (generation, rest) = rest.split_first_chunk::<8>()?;
        let (key_number, mac) = rest.split_first_chunk::<1>()?;
        let (session, generation) = (SessionId::from_bytes(*session), u64::from_be_bytes(*generation));
        let mac = mac.try_into().ok()?;
        (*key_number == [KEY_NUMBER]).then_some(Self { user, session, generation, mac })
    }
}

fn decoded<'a>(encoded: &str, bytes: &'a mut [u8]) -> Option<&'a [u8]> {
    let len = URL_SAFE_NO_PAD.decode_slice(encoded, bytes).ok()?;
    bytes.get(..len)
}

/// The key that signs refresh tokens, derived from the root secret.
pub struct RefreshKey(hmac::Key);

impl RefreshKey {
    /// Takes the derived key.
    pub fn new(key: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    /// The refresh token of this generation of the user's session with this salt.
    pub fn issue(&self, user: UserId, session: SessionId, generation: u64, salt: &[u8]) -> String {
        let token = RefreshToken { user: Some(user), session, generation, mac: [0; MAC] };
        let mut bytes = token.claimed();
        bytes.extend_from_slice(self.sign(&token, salt).as_ref());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// True if the token was issued under this key for the session with this salt; compares in constant time.
    pub fn verify(&self, token: &RefreshToken, salt: &[u8]) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.sign(token, salt).as_ref(), token.mac.as_slice()).into()
    }

    fn sign(&self, token: &RefreshToken, salt: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&token.claimed());
        context.update(salt);
        context.sign()
    }
}

impl RefreshToken {
    /// What its MAC covers, besides the salt.
    fn claimed(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CLAIMED + MAC);
        bytes.extend(self.user.iter().flat_map(|user| *user.as_bytes()));
        bytes.extend(self.session.as_bytes());
        bytes.extend(self.generation.to_be_bytes());
        bytes.push(KEY_NUMBER);
        bytes
    }
}

/// What the use of a correctly signed refresh token means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It is the current one: rotate. So is one that is newer than the row, which proves that the row was set back: only
    /// this server's own key makes tokens.
    Rotate,
    /// It is the predecessor, within [`GRACE`] of its rotation: return the same successor again.
    Repeat,
    /// It is older, or comes later than that: somebody has a copy, and the session ends.
    Reuse,
}

/// Judges the use of a token of generation `presented`, if the session is at `current` since `rotated_at`.
pub fn judge(presented: u64, current: u64, rotated_at: Option<Timestamp>, now: Timestamp) -> Use {
    // In both directions: a clock that was set back far must not make the grace longer (attack R03).
    let in_grace =
        rotated_at.is_some_and(|rotated_at| now.since(rotated_at).max(rotated_at.since(now)) <= GRACE);
    match current.checked_sub(presented) {
        None | Some(0) => Use::Rotate,
        Some(1) if in_grace => Use::Repeat,
        _ => Use::Reuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> RefreshKey {
        RefreshKey::new(&Secret::new([byte; 32]))
    }

    const USER: UserId = UserId::from_bytes([5; 16]);
    const SESSION: SessionId = SessionId::from_bytes([7; 16]);

    /// A token of the former form.
    fn former(key: &RefreshKey, generation: u64, salt: &[u8]) -> String {
        let token = RefreshToken { user: None, session: SESSION, generation, mac: [0; MAC] };
        let bytes = [token.claimed(), key.sign(&token, salt).as_ref().to_vec()].concat();
        format!("{FORMER_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    #[test]
    fn a_token_is_known_again_and_each_generation_has_one() {
        let token = key(1).issue(USER, SESSION, 3, b"salt");
        let parsed = RefreshToken::parse(&token).unwrap();
        assert_eq!((parsed.user, parsed.session, parsed.generation), (Some(USER), SESSION, 3));
        assert!(key(1).verify(&parsed, b"salt"));
        assert_eq!(token, key(1).issue(USER, SESSION, 3, b"salt"));
        assert_ne!(token, key(1).issue(USER, SESSION, 4, b"salt"));
    }

    #[test]
    fn a_token_of_the_former_form_stays_good_and_neither_form_is_taken_for_the_other() {
        let token = former(&key(1), 3, b"salt");
        let parsed = RefreshToken::parse(&token).unwrap();
        assert_eq!((parsed.user, parsed.session, parsed.generation), (None, SESSION, 3));
        assert!(key(1).verify(&parsed, b"salt"));
        assert!(!key(2).verify(&parsed, b"salt") && !key(1).verify(&parsed, b"tlas"));
        let usual = key(1).issue(USER, SESSION, 3, b"salt");
        for swapped in [usual.replace(PREFIX, FORMER_PREFIX), token.replace(FORMER_PREFIX, PREFIX)] {
            assert_eq!(RefreshToken::parse(&swapped), None, "{swapped}");
        }
        // The extra bytes of the other form can't serve as the salt.
        let with_user = RefreshToken { user: Some(USER), ..parsed };
        assert!(!key(1).verify(&with_user, b"salt"));
    }

    #[test]
    fn another_key_another_salt_or_any_flipped_bit_is_refused() {
        let token = key(1).issue(USER, SESSION, 3, b"salt");
        let parsed = RefreshToken::parse(&token).unwrap();
        assert!(!key(2).verify(&parsed, b"salt") && !key(1).verify(&parsed, b"tlas"));
        let bytes = URL_SAFE_NO_PAD.decode(&token[PREFIX.len()..]).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let forged = RefreshToken::parse(&format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(forged)));
            assert!(forged.is_none_or(|forged| !key(1).verify(&forged, b"salt")), "bit {bit}");
        }
    }

    #[test]
    fn r09_other_spellings_are_no_token() {
        let token = key(1).issue(USER, SESSION, 3, b"salt");
        for bad in [
            "",
            "dr1.",
            "dr2.",
            "dr2",
            "dr2.AAAA",
            "dr3.AAAA",
            &token[4..],
            &token[..token.len() - 1],
            &format!("{token}A"),
            &format!("{token}="),
            &format!(" {token}"),
            &token.replace("dr2", "DR2"),
            &"A".repeat(1_000_000),
        ] {
            assert_eq!(RefreshToken::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_predecessor_within_the_grace_is_answered_again_and_a_newer_one_is_the_current_one() {
        let now = Timestamp::from_secs(1_000);
        assert_eq!(judge(5, 5, None, now), Use::Rotate);
        assert_eq!(judge(4, 5, Some(now - GRACE), now), Use::Repeat);
        assert_eq!(judge(4, 5, Some(now - GRACE - Duration::from_micros(1)), now), Use::Reuse);
        assert_eq!(judge(3, 5, Some(now), now), Use::Reuse);
        assert_eq!(judge(6, 5, Some(now), now), Use::Rotate);
        assert_eq!(judge(4, 5, None, now), Use::Reuse);
    }

    #[test]
    fn r03_a_clock_that_was_set_back_far_gives_no_longer_grace() {
        let now = Timestamp::from_secs(1_000);
        assert_eq!(judge(4, 5, Some(now + GRACE), now), Use::Repeat);
        assert_eq!(judge(4, 5, Some(now + GRACE + Duration::from_micros(1)), now), Use::Reuse);
    }
}
