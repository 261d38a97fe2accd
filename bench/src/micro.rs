//! What a token costs in process, beside the floor under it: the MAC of the same bytes, by the crates hmac and sha2.

use std::hint::black_box;
use std::time::{Duration, Instant};

use doorward_core::token::{self, Claims, Expected, KeySet, SigningKey};
use doorward_core::{Secret, SessionId, Timestamp, UserId};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Result;
use crate::pairs::Pairs;

/// Nanoseconds for one call, beside HMAC-SHA256 with a prepared key, of what the token's signature covers.
pub(crate) struct Tokens {
    /// The whole check of an HS256 token.
    pub(crate) verify: Pairs,
    /// The whole making of one.
    pub(crate) sign: Pairs,
    /// How many bytes its signature covers.
    pub(crate) bytes: usize,
}

/// Measures signing and checking under HS256, the three in turns.
pub(crate) fn tokens(rounds: usize) -> Result<Tokens> {
    let secret = Secret::new("T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p");
    let key = SigningKey::hs256(&secret)?;
    let keys = KeySet::new(vec![key.verifying_key()])?;
    let names = Expected {
        former_issuer: None,
        issuer: "doorward".into(),
        audience: "doorward".into(),
        max_ttl: Duration::from_secs(900),
    };
    let now = Timestamp::from_secs(1_800_000_000);
    let (user, session) = (UserId::new(now, [1; 10]), SessionId::new(now, [2; 10]));
    let expires_at = now + names.max_ttl;
    let claims = Claims::new(user, session, now, expires_at, [3; 16]);
    let token = token::issue(&key, &names, &claims)?;
    let (signed, _) = token.rsplit_once('.').ok_or("a token without a signature")?;
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.expose())?;

    let mut took = Tokens { verify: Pairs::default(), sign: Pairs::default(), bytes: signed.len() };
    for _ in 0..rounds {
        let floor = nanoseconds(|| {
            let mut mac = mac.clone();
            mac.update(black_box(signed).as_bytes());
            mac.finalize().into_bytes()
        });
        took.verify.push(nanoseconds(|| token::verify(black_box(&token), &keys, &names, now)), floor);
        took.sign.push(nanoseconds(|| token::issue(&key, &names, black_box(&claims))), floor);
    }
    token::verify(&token, &keys, &names, now)?;
    Ok(took)
}

fn nanoseconds<T>(mut call: impl FnMut() -> T) -> f64 {
    const CALLS: u32 = 10_000;
    let began = Instant::now();
    for _ in 0..CALLS {
        black_box(call());
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

/// Seconds for one hash by the bcrypt crate, cost 10, on the calling core: the mean over this time, since a rate is
/// compared with it.
pub(crate) fn bcrypt(span: Duration) -> f64 {
    let (began, mut hashes) = (Instant::now(), 0.0);
    while began.elapsed() < span {
        black_box(bcrypt::bcrypt(10, black_box([7; 16]), black_box(b"correct horse battery staple")));
        hashes += 1.0;
    }
    began.elapsed().as_secs_f64() / hashes
}
