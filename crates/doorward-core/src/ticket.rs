//! Tickets: a page sends one back to end the sessions that its own request proved. It works even if their cookies are
//! not sent along. A ticket is the base64url of session ids and of an HMAC over them. It can only end sessions, so it
//! is good for as long as they live.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::{Secret, SessionId};

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
    pub fn issue(&self, sessions: &[SessionId]) -> String {
        let mut bytes: Vec<u8> = sessions.iter().take(MOST).flat_map(|session| *session.as_bytes()).collect();
        let mac = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(mac.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The sessions of a ticket; none if its signature is wrong.
    pub fn read(&self, text: &str) -> Vec<SessionId> {
        const LONGEST: usize = MOST * 16 + MAC;
        let bytes = if text.len() <= LONGEST * 4 / 3 + 2 { URL_SAFE_NO_PAD.decode(text).ok() } else { None };
        let bytes = bytes.unwrap_or_default();
        let Some((ids, mac)) = bytes.split_last_chunk::<MAC>() else { return Vec::new() };
        if hmac::verify(&self.0, ids, mac).is_err() {
            return Vec::new();
        }
        ids.chunks_exact(16).filter_map(|id| id.try_into().ok()).map(SessionId::from_bytes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_names_its_sessions_and_cannot_be_forged() {
        let key = TicketKey::new(&Secret::new([1; 32]));
        let ids = [SessionId::from_bytes([7; 16]), SessionId::from_bytes([8; 16])];
        let ticket = key.issue(&ids);
        assert_eq!(key.read(&ticket), ids);
        assert!(TicketKey::new(&Secret::new([2; 32])).read(&ticket).is_empty());
        let bytes = URL_SAFE_NO_PAD.decode(&ticket).unwrap();
        for at in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at] ^= 1;
            assert!(key.read(&URL_SAFE_NO_PAD.encode(&forged)).is_empty(), "byte {at}");
            assert!(key.read(&URL_SAFE_NO_PAD.encode(&bytes[..at])).is_empty(), "cut at {at}");
        }
        assert!(key.read(&"A".repeat(1_000_000)).is_empty());
    }
}
