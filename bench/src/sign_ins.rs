//! Sign-ins: how many a second, how long each takes, and what protected requests feel of them. Hashed side by side and
//! one at a time, in turns, on one core and on two.

use crate::logins::{self, Hammered};
use crate::open_loop;
use crate::pairs::{Pairs, median};
use crate::server::{Cores, Server, Signing};
use crate::table::{Goal, row, row_if};
use crate::users::{Mode, register};
use crate::{Effort, Result, http, micro};

/// How many clients sign in at once.
const CLIENTS: [usize; 5] = [1, 2, 4, 16, 64];
/// How many hammer the login in a storm.
const STORM: usize = 32;

/// Prints all rows.
pub(crate) fn measure(cores: Cores, effort: Effort) -> Result<()> {
    for (cores, name, count) in [(cores, "one core", 1.0), (cores.both(), "two cores", 2.0)] {
        let servers = Servers::start(cores)?;
        for clients in CLIENTS {
            servers.rows(cores, effort, clients, name, count)?;
        }
    }
    storm(cores, effort)
}

/// One that hashes side by side, as many as this machine does quickest, and one that uses the crate `bcrypt`.
struct Servers {
    beside: Server,
    alone: Server,
}

impl Servers {
    fn start(cores: Cores) -> Result<Self> {
        let servers = Self {
            beside: Server::doorward(cores, Signing::Default)?,
            alone: Server::doorward_setting(cores, Signing::Default, "DOORWARD_HASHING_LANES", "1")?,
        };
        logins::register_all(&servers.beside)?;
        logins::register_all(&servers.alone)?;
        Ok(servers)
    }

    fn rows(&self, cores: Cores, effort: Effort, clients: usize, name: &str, count: f64) -> Result<()> {
        let (mut rates, mut middles, mut tails) = (Pairs::default(), Pairs::default(), Pairs::default());
        let (mut alone, mut turned_away) = (Vec::new(), 0);
        for _ in 0..effort.rounds {
            let span = effort.span * 3;
            let hashes = count / cores.on_servers(|| Ok(micro::bcrypt(span)))?;
            let (ours, others) = (
                logins::for_a_while(&self.beside, clients, span)?,
                logins::for_a_while(&self.alone, clients, span)?,
            );
            rates.push(ours.rate(), hashes);
            alone.push(others.rate());
            middles.push(milliseconds(&ours, 50), milliseconds(&others, 50));
            tails.push(milliseconds(&ours, 99), milliseconds(&others, 99));
            turned_away += ours.turned_away;
        }
        let is_one_core = count < 1.5;
        let goal = if clients == 16 { Goal::AtLeast(2.5) } else { Goal::None };
        let from = format!(
            "{:.1} sign-ins/s, {:.1} with 1 lane, {:.1} hashes/s; {turned_away} turned away",
            rates.ours(),
            median(alone),
            rates.yardstick()
        );
        let what = |what: &str| format!("{clients} clients, {name}: {what}");
        row(&what("sign-ins / hashes"), rates.ratio(), goal, &from);
        let of = |pairs: &Pairs| format!("{:.1} / {:.1} ms, medians", pairs.ours(), pairs.yardstick());
        let goal = if clients == 1 && is_one_core { Goal::AtMost(1.03) } else { Goal::None };
        row(&what("p50 / with 1 lane"), middles.ratio(), goal, &of(&middles));
        let goal = if clients == 4 && is_one_core { Goal::AtMost(1.0) } else { Goal::None };
        row(&what("p99 / with 1 lane"), tails.ratio(), goal, &of(&tails));
        Ok(())
    }
}

fn milliseconds(hammered: &Hammered, percent: usize) -> f64 {
    hammered.percentile(percent).as_secs_f64() * 1e3
}

/// Protected requests on a schedule, in calm and while many sign in.
pub(crate) fn storm(cores: Cores, effort: Effort) -> Result<()> {
    let servers = Servers::start(cores)?;
    let (beside, lost) = storm_at(&servers.beside, "lanes on", effort)?;
    row_if(lost == 0, "storm p99 / calm p99, none lost", beside.ratio(), Goal::AtMost(3.0), "lanes on");
    let more = beside.ours() - beside.yardstick();
    row_if(lost == 0, "storm p99 - calm p99, ms, none lost", more, Goal::AtMost(1.0), "lanes on");
    let (alone, _) = storm_at(&servers.alone, "1 lane", effort)?;
    row("storm p99 / calm p99 with 1 lane", alone.ratio(), Goal::None, "for comparison");
    Ok(())
}

/// The times in the storm and in calm, and how many requests got no answer.
fn storm_at(server: &Server, name: &str, effort: Effort) -> Result<(Pairs, usize)> {
    // Another user: after a hundred sign-ins each further one ends the user's oldest session.
    let profile = http::get("/profile", &register(server, logins::USERS, Mode::Bearer)?);
    let (mut p99, mut lost) = (Pairs::default(), 0);
    let (mut signed_in, mut turned_away) = (0, 0);
    for _ in 0..effort.rounds {
        let calm = open_loop::run(server, &profile, effort.span * 2)?;
        let (stormy, logins) =
            logins::beside(server, STORM, || open_loop::run(server, &profile, effort.span * 2))?;
        p99.push(stormy.p99.as_secs_f64() * 1e3, calm.p99.as_secs_f64() * 1e3);
        lost += calm.lost + stormy.lost;
        (signed_in, turned_away) = (signed_in + logins.count(), turned_away + logins.turned_away);
    }
    let (stormy, calm) = (p99.ours(), p99.yardstick());
    println!(
        "# {name}: {stormy:.2} / {calm:.2} ms, medians; {lost} lost; {signed_in} sign-ins, {turned_away} turned away"
    );
    Ok((p99, lost))
}
