//! Protected requests beside axum's hello: for each, a round of the one and then of the other, again and again.

use crate::http::get;
use crate::load::{Load, saturate};
use crate::pairs::Pairs;
use crate::server::{Cores, Server, Signing};
use crate::table::{Goal, row};
use crate::users::{Mode, register};
use crate::{Effort, Result};

/// What is requested, and which of two ratios has a goal.
struct Line<'s> {
    name: &'static str,
    server: &'s Server,
    request: Vec<u8>,
    rps: Goal,
    cpu: Goal,
    /// The yardstick and this, round by round.
    rounds: Vec<(Load, Load)>,
}

/// Measures every request of the goals, and memory, which a server under load shows.
pub(crate) fn measure(cores: Cores, effort: Effort) -> Result<()> {
    let hello = Server::axum_hello(cores)?;
    let hs256 = Server::doorward(cores, Signing::Hs256)?;
    let es256 = Server::doorward(cores, Signing::Default)?;
    let idle = hs256.memory()?;
    let mut lines = lines(&hs256, &es256)?;
    for _ in 0..effort.rounds {
        for line in &mut lines {
            let yardstick = saturate(&hello, &get("/", ""), effort.span)?;
            line.rounds.push((yardstick, saturate(line.server, &line.request, effort.span)?));
        }
    }
    for line in &lines {
        line.print();
    }
    let loaded = lines.iter().filter(|line| std::ptr::eq(line.server, &hs256)).flat_map(|line| &line.rounds);
    let loaded = loaded.map(|(_, load)| load.memory).fold(0.0, f64::max);
    row("idle memory, MiB", idle, Goal::AtMost(20.0), "resident, once it answers");
    row("loaded memory, MiB", loaded, Goal::AtMost(30.0), "resident, the most under the loads above");
    let busy = lines.iter().flat_map(|line| &line.rounds).map(|(hello, _)| hello.busy);
    let busy = busy.fold(0.0, f64::max) * 100.0;
    row("axum hello's use of its core, %", busy, Goal::None, "under 95 the load was the limit");
    Ok(())
}

fn lines<'s>(hs256: &'s Server, es256: &'s Server) -> Result<Vec<Line<'s>>> {
    let (many, little, more) = (Goal::AtLeast(0.85), Goal::AtMost(1.4), Goal::AtMost(2.0));
    let bearer = register(hs256, 0, Mode::Bearer)?;
    let line = |name, server, path, header: &str, rps, cpu| Line {
        name,
        server,
        request: get(path, header),
        rps,
        cpu,
        rounds: Vec::new(),
    };
    Ok(vec![
        line("/profile bearer HS256", hs256, "/profile", &bearer, many, Goal::None),
        line(
            "/profile cookie HS256",
            hs256,
            "/profile",
            &register(hs256, 1, Mode::Cookie)?,
            many,
            Goal::None,
        ),
        line(
            "/profile bearer ES256",
            es256,
            "/profile",
            &register(es256, 0, Mode::Bearer)?,
            many,
            Goal::None,
        ),
        line("/profile session", hs256, "/profile", &register(hs256, 2, Mode::Session)?, Goal::None, little),
        line("/dashboard bearer HS256", hs256, "/dashboard", &bearer, Goal::None, more),
    ])
}

impl Line<'_> {
    fn print(&self) {
        let rps = self.pairs(|load| load.rps / 1e3);
        let from = format!("{:.1} / {:.1} k/s, medians", rps.ours(), rps.yardstick());
        row(&format!("{}, rps / axum hello", self.name), rps.ratio(), self.rps, &from);

        let cpu = self.pairs(|load| load.cpu);
        let from = format!("{:.1} / {:.1} µs a request, medians", cpu.ours(), cpu.yardstick());
        row(&format!("{}, CPU / axum hello", self.name), cpu.ratio(), self.cpu, &from);
    }

    fn pairs(&self, of: fn(&Load) -> f64) -> Pairs {
        let mut pairs = Pairs::default();
        self.rounds.iter().for_each(|(hello, ours)| pairs.push(of(ours), of(hello)));
        pairs
    }
}
