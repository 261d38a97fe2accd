//! How soon an application elsewhere refuses a user who has logged out at the server. And whether it misses a logout if
//! the connection between the two is cut for half a minute.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::http::{Connection, get, post};
use crate::load::saturate;
use crate::pairs::median;
use crate::relay::Relay;
use crate::server::{Cores, Server, Signing};
use crate::table::{Goal, row, title};
use crate::users::{self, Mode, register};
use crate::{Error, Result};

/// How many logouts are timed, and how many happen while the line is cut.
const TIMED: usize = 1_000;
const UNHEARD: usize = 100;
/// How many users log out: one has at most a hundred sessions. One more loads the application.
const USERS: usize = 12;
/// How long the line is cut.
const CUT: Duration = Duration::from_secs(30);
/// How long a logout may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures both.
pub(crate) fn measure(cores: Cores) -> Result<()> {
    let server = Server::doorward(cores, Signing::Default)?;
    let relay = Relay::to(server.address)?;
    let app = Server::axum_app(cores, relay.address)?;
    println!("Signing in {} times …", TIMED + UNHEARD);
    let mut bearers = Vec::new();
    for user in 0..=USERS {
        bearers.push(register(&server, user, Mode::Bearer)?);
    }
    let load = bearers.pop().map(|bearer| get("/", &bearer)).ok_or("nobody")?;
    let mut connection = Connection::open(server.address)?;
    while bearers.len() < TIMED + UNHEARD {
        let answer = connection.exchange(&users::login(bearers.len() % USERS))?;
        bearers.push(users::bearer(&answer).ok_or_else(|| format!("/login: {}", answer.status))?);
    }
    let (timed, unheard) = bearers.split_at(TIMED);
    title();
    time(&server, &app, (timed, &load))?;
    cut(&server, &app, (&relay, unheard))
}

fn time(server: &Server, app: &Server, (bearers, load): (&[String], &[u8])) -> Result<()> {
    let over = AtomicBool::new(false);
    let (delays, rates) = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut rates = Vec::new();
            while !over.load(Ordering::Relaxed) {
                rates.push(saturate(app, load, Duration::from_secs(1))?.rps);
            }
            Ok::<_, Error>(rates)
        });
        let delays = bearers.iter().map(|bearer| delay(server, app, bearer)).collect::<Result<Vec<_>>>();
        over.store(true, Ordering::Relaxed);
        let rates = load.join().map_err(|_| "a thread panicked")??;
        Ok::<_, Error>((delays?, rates))
    })?;
    let mut delays: Vec<_> = delays.into_iter().map(|delay| delay.as_secs_f64() * 1e3).collect();
    delays.sort_unstable_by(f64::total_cmp);
    let at =
        |thousandth: usize| delays.get((delays.len() - 1) * thousandth / 1_000).copied().unwrap_or(f64::NAN);
    let from = format!("{} logouts, beside {:.0} other requests a second", delays.len(), median(rates));
    row("logout to refusal elsewhere, p50, ms", at(500), Goal::None, &from);
    row("logout to refusal elsewhere, p99, ms", at(990), Goal::AtMost(100.0), &from);
    row("logout to refusal elsewhere, the longest, ms", at(1_000), Goal::None, &from);
    Ok(())
}

/// How long after the answer to a logout the application still lets its token in.
fn delay(server: &Server, app: &Server, bearer: &str) -> Result<Duration> {
    let mut connection = Connection::open(app.address)?;
    if status(&mut connection, bearer)? != "200" {
        return Err("refused before the logout".into());
    }
    log_out(server, bearer)?;
    let since = Instant::now();
    while status(&mut connection, bearer)? != "401" {
        if since.elapsed() > PATIENCE {
            return Err("a logout was never heard of".into());
        }
    }
    Ok(since.elapsed())
}

fn cut(server: &Server, app: &Server, (relay, bearers): (&Relay, &[String])) -> Result<()> {
    relay.cut();
    let began = Instant::now();
    for (n, bearer) in bearers.iter().enumerate() {
        log_out(server, bearer)?;
        let next = CUT.mul_f64((n + 1) as f64 / bearers.len() as f64);
        std::thread::sleep(next.saturating_sub(began.elapsed()));
    }
    relay.mend();
    let (mended, mut connection) = (Instant::now(), Connection::open(app.address)?);
    let mut lost = 0;
    for bearer in bearers {
        while status(&mut connection, bearer)? != "401" && mended.elapsed() < PATIENCE {}
        lost += u32::from(status(&mut connection, bearer)? != "401");
    }
    let took = mended.elapsed().as_secs_f64();
    let from = format!("{} logouts while the line was cut for {} s", bearers.len(), CUT.as_secs());
    row("logouts lost over a cut", f64::from(lost), Goal::AtMost(0.0), &from);
    row("all of them known after it, s", took, Goal::None, "the guard waits up to 10 s between its tries");
    Ok(())
}

fn status(connection: &mut Connection, bearer: &str) -> Result<String> {
    let status = connection.exchange(&get("/", bearer))?.status;
    if matches!(status, "200" | "401") {
        Ok(status.to_owned())
    } else {
        Err(format!("answered {status}").into())
    }
}

fn log_out(server: &Server, bearer: &str) -> Result<()> {
    let request = String::from_utf8(post("/logout", &serde_json::json!({})))?;
    let request = request.replacen("\r\n", &format!("\r\n{bearer}\r\n"), 1);
    match Connection::open(server.address)?.exchange(request.as_bytes())?.status {
        "200" => Ok(()),
        other => Err(format!("/logout: {other}").into()),
    }
}
