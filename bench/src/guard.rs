//! The guard: what a check costs, and what a guarded route costs.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use doorward_core::token::{self, Claims, Expected, SigningKey};
use doorward_core::{Secret, SessionId, Timestamp, UserId};
use doorward_guard::{Guard, RevocationSet};
use http::{HeaderMap, HeaderValue, header};

use crate::http::get;
use crate::load::saturate;
use crate::pairs::Pairs;
use crate::server::{Cores, JWT_SECRET, Server, Signing};
use crate::table::{Goal, row};
use crate::users::{Mode, register};
use crate::{Effort, Result};

/// How many tokens take turns, so that more than one must be in the processor's caches.
const TOKENS: u64 = 256;

/// A check with this many revocations, compared with one without any, in process.
pub(crate) fn check(effort: Effort) -> Result<()> {
    const SIZES: [(u64, &str); 2] = [(10_000, "10 thousand"), (1_000_000, "1 million")];
    let now = Timestamp::from_secs(1_800_000_000);
    let requests = requests(now)?;
    let none = guard(0, now)?;
    for (size, what) in SIZES {
        let (guard, mut took) = (guard(size, now)?, Pairs::default());
        for _ in 0..effort.repeats {
            let yardstick = nanoseconds(&none, &requests)?;
            took.push(nanoseconds(&guard, &requests)?, yardstick);
        }
        let (ours, yardstick) = (took.ours(), took.yardstick());
        let from = format!("{ours:.0} / {yardstick:.0} ns, medians; HS256, {TOKENS} tokens in turns");
        row(&format!("guard check, {what} revocations / none"), took.ratio(), Goal::AtMost(1.1), &from);
    }
    Ok(())
}

fn guard(revocations: u64, now: Timestamp) -> Result<Guard> {
    let set = Arc::new(RevocationSet::new(2_000_000));
    for n in 0..revocations {
        set.end_session(session(n, 0xFF), now + Duration::from_secs(900));
    }
    // As every holder of a set does each minute.
    set.sweep(now);
    let building = Guard::builder().secret(JWT_SECRET).clock(move || now).revocations(set).build();
    match pin!(building).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(guard) => Ok(guard?),
        Poll::Pending => Err("a guard that asks nobody waited".into()),
    }
}

/// Ids like real ones: the time first, then random bits.
fn session(n: u64, kind: u8) -> SessionId {
    let mut random = [kind; 10];
    let chance = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    random.iter_mut().zip(chance).for_each(|(to, from)| *to = from);
    SessionId::new(Timestamp::from_micros(i64::try_from(n).unwrap_or_default() * 1_000), random)
}

fn requests(now: Timestamp) -> Result<Vec<HeaderMap>> {
    let key = SigningKey::hs256(&Secret::new(JWT_SECRET))?;
    let max_ttl = Duration::from_secs(900);
    let names =
        Expected { issuer: "doorward".into(), audience: "doorward".into(), max_ttl, former_issuer: None };
    let made = (0..TOKENS).map(|n| {
        let claims = Claims::new(UserId::new(now, [1; 10]), session(n, 0), now, now + max_ttl, [3; 16]);
        let value = HeaderValue::from_str(&format!("Bearer {}", token::issue(&key, &names, &claims)?))?;
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    });
    made.collect()
}

fn nanoseconds(guard: &Guard, requests: &[HeaderMap]) -> Result<f64> {
    const TURNS: u32 = 64;
    let mut context = Context::from_waker(Waker::noop());
    let began = Instant::now();
    for headers in (0..TURNS).flat_map(|_| requests) {
        let checked = pin!(guard.check(black_box(headers))).poll(&mut context);
        if !matches!(black_box(checked), Poll::Ready(Ok(_))) {
            return Err("a good token was refused".into());
        }
    }
    Ok(began.elapsed().as_secs_f64() * 1e9 / (f64::from(TURNS) * requests.len() as f64))
}

/// One route of one server, with an `Identity` among its arguments and without.
pub(crate) fn route(cores: Cores, effort: Effort) -> Result<()> {
    let hello = Server::axum_hello(cores)?;
    // A token that is good now: the guard of the server has the system's clock.
    let issuer = Server::doorward(cores, Signing::Hs256)?;
    let bearer = register(&issuer, 0, Mode::Bearer)?;
    let (bare, guarded) = (get("/", &bearer), get("/guarded", &bearer));
    let mut rps = Pairs::default();
    for _ in 0..effort.rounds {
        let yardstick = saturate(&hello, &bare, effort.span)?.rps;
        rps.push(saturate(&hello, &guarded, effort.span)?.rps, yardstick);
    }
    let from = format!("{:.1} / {:.1} k/s, medians; HS256", rps.ours() / 1e3, rps.yardstick() / 1e3);
    row("guarded axum route, rps / the bare one", rps.ratio(), Goal::AtLeast(0.9), &from);
    Ok(())
}
