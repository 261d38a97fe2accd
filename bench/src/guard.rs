//! The guard: what a check costs, what a guarded route costs, and how soon a logout elsewhere is refused.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use doorward_core::role::RoleName;
use doorward_core::token::{self, Claims, Expected, SigningKey};
use doorward_core::{Secret, SessionId, Timestamp, UserId};
use doorward_guard::{Guard, RevocationSet};
use http::{HeaderMap, HeaderValue, header};

use crate::http::{Connection, get, post};
use crate::load::saturate;
use crate::server::{Cores, JWT_SECRET, Server, Signing};
use crate::table::{Goal, row};
use crate::users::{self, Mode, register};
use crate::{Effort, Result};

/// How many tokens take turns, so that not one alone is in the processor's caches.
const TOKENS: u64 = 256;
/// How many logouts are measured, of how many users: one has at most a hundred sessions.
const LOGOUTS: usize = 1_000;
const USERS: usize = 11;

/// A check with so many revocations beside one without any, in process.
pub(crate) fn check(effort: Effort) -> Result<()> {
    const SIZES: [u64; 3] = [0, 10_000, 1_000_000];
    let now = Timestamp::from_secs(1_800_000_000);
    let requests = requests(now)?;
    let guards = SIZES.map(|size| guard(size, now));
    let mut best = [f64::MAX; SIZES.len()];
    for _ in 0..effort.repeats {
        for (guard, best) in guards.iter().zip(&mut best) {
            let guard = guard.as_ref().map_err(ToString::to_string)?;
            *best = best.min(nanoseconds(guard, &requests)?);
        }
    }
    let [none, ten_thousand, million] = best;
    for (what, ours) in [("10 thousand", ten_thousand), ("1 million", million)] {
        let from = format!("{ours:.0} / {none:.0} ns, the best; HS256, {TOKENS} tokens in turns");
        row(&format!("guard check, {what} revocations / none"), ours / none, Goal::AtMost(1.1), &from);
    }
    Ok(())
}

fn guard(revocations: u64, now: Timestamp) -> Result<Guard> {
    let set = Arc::new(RevocationSet::new(2_000_000));
    for n in 0..revocations {
        set.end_session(session(n, 0xFF), now + Duration::from_secs(900));
    }
    let building = Guard::builder().secret(JWT_SECRET).clock(move || now).revocations(set).build();
    match pin!(building).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(guard) => Ok(guard?),
        Poll::Pending => Err("a guard that asks nobody waited".into()),
    }
}

/// Ids like real ones: the time in front, and chance behind it.
fn session(n: u64, kind: u8) -> SessionId {
    let mut random = [kind; 10];
    let chance = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    random.iter_mut().zip(chance).for_each(|(to, from)| *to = from);
    SessionId::new(Timestamp::from_micros(i64::try_from(n).unwrap_or_default() * 1_000), random)
}

fn requests(now: Timestamp) -> Result<Vec<HeaderMap>> {
    let key = SigningKey::hs256(&Secret::new(JWT_SECRET))?;
    let max_ttl = Duration::from_secs(900);
    let names = Expected { issuer: "doorward".into(), audience: "doorward".into(), max_ttl };
    let made = (0..TOKENS).map(|n| {
        let claims = Claims {
            user: UserId::new(now, [1; 10]),
            session: session(n, 0),
            role: RoleName::USER,
            issued_at: now,
            expires_at: now + max_ttl,
            jti: [3; 16],
        };
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
    let mut best = [0.0_f64; 2];
    for _ in 0..effort.rounds {
        for (request, best) in [&bare, &guarded].into_iter().zip(&mut best) {
            *best = best.max(saturate(&hello, request, effort.span)?.rps);
        }
    }
    let [bare, guarded] = best;
    let from = format!("{:.1} / {:.1} k/s, the best; HS256", guarded / 1e3, bare / 1e3);
    row("guarded axum route, rps / the bare one", guarded / bare, Goal::AtLeast(0.9), &from);
    Ok(())
}

/// How long after the answer to a logout an application elsewhere still lets the token in, while it is under load.
pub(crate) fn logouts(cores: Cores) -> Result<()> {
    let server = Server::doorward(cores, Signing::Default)?;
    let app = Server::axum_app(cores, &server)?;
    println!("Signing in {LOGOUTS} times …");
    let everybody: Result<Vec<_>> = (0..USERS).map(|user| register(&server, user, Mode::Bearer)).collect();
    let everybody = everybody?;
    let mut sessions = Vec::new();
    let mut connection = Connection::open(server.address)?;
    for n in 0..LOGOUTS {
        // The last one's is the session of the load.
        let answer = connection.exchange(&users::login(n % (USERS - 1)))?;
        sessions.push(users::bearer(&answer).ok_or_else(|| format!("/login: {}", answer.status))?);
    }
    let load = everybody.last().map(|bearer| get("/", bearer)).ok_or("nobody")?;
    let over = AtomicBool::new(false);
    let mut delays = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut rates = Vec::new();
            while !over.load(Ordering::Relaxed) {
                rates.push(saturate(&app, &load, Duration::from_secs(1))?.rps);
            }
            Ok::<_, crate::Error>(rates)
        });
        let delays = sessions.iter().map(|bearer| delay(&server, &app, bearer)).collect::<Result<Vec<_>>>();
        over.store(true, Ordering::Relaxed);
        let rates = load.join().map_err(|_| "a thread panicked")??;
        println!("The application answered {:.0} other requests a second.", crate::requests::median(rates));
        delays
    })?;
    delays.sort_unstable();
    let at = |share: usize| {
        delays.get(delays.len() * share / 100).map_or(f64::NAN, |delay| delay.as_secs_f64() * 1e3)
    };
    crate::table::title();
    let from = format!("{} logouts, from the answer to the first refusal", delays.len());
    row("logout to refusal elsewhere, p50, ms", at(50), Goal::None, &from);
    row("logout to refusal elsewhere, p99, ms", at(99), Goal::AtMost(100.0), &from);
    row(
        "logout to refusal elsewhere, the longest, ms",
        delays.last().map_or(f64::NAN, |d| d.as_secs_f64() * 1e3),
        Goal::None,
        &from,
    );
    Ok(())
}

fn delay(server: &Server, app: &Server, bearer: &str) -> Result<Duration> {
    let mut connection = Connection::open(app.address)?;
    let request = get("/", bearer);
    let before = connection.exchange(&request)?.status.to_owned();
    let logout = post("/logout", &serde_json::json!({}));
    let logout = String::from_utf8(logout)?.replacen("\r\n", &format!("\r\n{bearer}\r\n"), 1);
    let mut at_server = Connection::open(server.address)?;
    let out = at_server.exchange(logout.as_bytes())?.status.to_owned();
    if (before.as_str(), out.as_str()) != ("200", "200") {
        return Err(format!("before the logout {before}, the logout {out}").into());
    }
    let since = Instant::now();
    loop {
        let status = connection.exchange(&request)?.status.to_owned();
        let took = since.elapsed();
        match status.as_str() {
            "401" => return Ok(took),
            "200" if took < Duration::from_secs(30) => {}
            other => return Err(format!("{other} for {took:?} after the logout").into()),
        }
    }
}
