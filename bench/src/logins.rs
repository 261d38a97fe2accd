//! Clients that do nothing but sign in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Result;
use crate::http::Connection;
use crate::server::Server;
use crate::users;

/// How many of the users with the lowest numbers sign in.
pub(crate) const USERS: usize = 16;

/// Registers them.
pub(crate) fn register_all(server: &Server) -> Result<()> {
    (0..USERS).try_for_each(|user| users::register(server, user, users::Mode::Bearer).map(drop))
}

/// The result of hammering.
#[derive(Default)]
pub(crate) struct Hammered {
    /// When each sign-in succeeded, in order.
    succeeded: Vec<Instant>,
    /// How long each of them took, from the shortest to the longest.
    took: Vec<Duration>,
    /// How many were refused, with 503 or 429.
    pub(crate) turned_away: usize,
}

impl Hammered {
    /// How many sign-ins succeeded.
    pub(crate) fn count(&self) -> usize {
        self.succeeded.len()
    }

    /// This many of a hundred sign-ins took no longer.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.took.len().saturating_sub(1);
        self.took.get((self.took.len() * percent / 100).min(last)).copied().unwrap_or_default()
    }

    /// Successes a second, from the first to the last: exact even if there are few.
    pub(crate) fn rate(&self) -> f64 {
        match (self.succeeded.first(), self.succeeded.last()) {
            (Some(first), Some(last)) if first < last => {
                (self.succeeded.len() - 1) as f64 / (*last - *first).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

/// Signs in for `span`, and finishes what was begun.
pub(crate) fn for_a_while(server: &Server, clients: usize, span: Duration) -> Result<Hammered> {
    let (_, hammered) = beside(server, clients, || {
        std::thread::sleep(span);
        Ok(())
    })?;
    Ok(hammered)
}

/// Does `work` while `clients` clients sign in, each again as soon as it has its answer.
pub(crate) fn beside<T>(
    server: &Server,
    clients: usize,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, Hammered)> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let over = &over;
        let clients: Vec<_> =
            (0..clients).map(|n| scope.spawn(move || client(server, n % USERS, over))).collect();
        let done = work();
        over.store(true, Ordering::Relaxed);
        let mut all = Hammered::default();
        for client in clients {
            let one = client.join().map_err(|_| "a thread panicked")??;
            all.succeeded.extend(one.succeeded);
            all.took.extend(one.took);
            all.turned_away += one.turned_away;
        }
        all.succeeded.sort_unstable();
        all.took.sort_unstable();
        Ok((done?, all))
    })
}

fn client(server: &Server, user: usize, over: &AtomicBool) -> Result<Hammered> {
    let (mut connection, request) = (Connection::open(server.address)?, users::login(user));
    let mut hammered = Hammered::default();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let answer = connection.exchange(&request)?;
        match answer.status {
            "200" => {
                hammered.succeeded.push(Instant::now());
                hammered.took.push(began.elapsed());
            }
            "503" | "429" => hammered.turned_away += 1,
            _ => return Err(format!("/login: {} {}", answer.status, answer.body).into()),
        }
    }
    Ok(hammered)
}
