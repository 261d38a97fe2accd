//! Tickets: what a page hands back to end sessions that its request proved, where the cookies that proved them may not
//! travel along. A ticket is the base64url of its end, of session ids, and of an HMAC over them.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::{Secret, SessionId, Timestamp};

/// How long a page with a ticket may stay open.
pub const TICKET_TTL: Duration = Duration::from_secs(3_600);

const MOST: usize = 192;
const MAC: usize = 32;

/// The key that signs tickets, derived from the root secret.
pub struct TicketKey(hmac::Key);

impl TicketKey {
    /// Takes the derived key.
    pub fn new(key: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    /// A ticket to end these sessions.
    pub fn issue(&self, sessions: &[SessionId], now: Timestamp) -> String {
        let mut bytes = (now + TICKET_TTL).as_secs().to_be_bytes().to_vec();
        bytes.extend(sessions.iter().take(MOST).flat_map(|session| *session.as_bytes()));
        let mac = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(mac.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The sessions of a ticket; none for one that is too old, or not ours.
    pub fn read(&self, text: &str, now: Timestamp) -> Vec<SessionId> {
        const LONGEST: usize = 8 + MOST * 16 + MAC;
        let bytes = if text.len() <= LONGEST * 4 / 3 + 2 { URL_SAFE_NO_PAD.decode(text).ok() } else { None };
        let bytes = bytes.unwrap_or_default();
        let Some((signed, mac)) = bytes.split_last_chunk::<MAC>() else { return Vec::new() };
        let Some((until, ids)) = signed.split_first_chunk::<8>() else { return Vec::new() };
        let is_ours = hmac::verify(&self.0, signed, mac).is_ok();
        if !is_ours || Timestamp::from_secs(i64::from_be_bytes(*until)) <= now {
            return Vec::new();
        }
        ids.chunks_exact(16).filter_map(|id| id.try_into().ok()).map(SessionId::from_bytes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_names_its_sessions_for_an_hour_and_cannot_be_forged() {
        let key = TicketKey::new(&Secret::new([1; 32]));
        let (now, ids) =
            (Timestamp::from_secs(1_000), [SessionId::from_bytes([7; 16]), SessionId::from_bytes([8; 16])]);
        let ticket = key.issue(&ids, now);
        assert_eq!(key.read(&ticket, now), ids);
        assert!(key.read(&ticket, now + TICKET_TTL).is_empty());
        assert!(TicketKey::new(&Secret::new([2; 32])).read(&ticket, now).is_empty());
        let bytes = URL_SAFE_NO_PAD.decode(&ticket).unwrap();
        for at in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at] ^= 1;
            assert!(key.read(&URL_SAFE_NO_PAD.encode(&forged), now).is_empty(), "byte {at}");
            assert!(key.read(&URL_SAFE_NO_PAD.encode(&bytes[..at]), now).is_empty(), "cut at {at}");
        }
        assert!(key.read(&"A".repeat(1_000_000), now).is_empty());
    }
}
