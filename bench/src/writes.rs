//! What changes something: refresh, logout, sign-in and logout, beside the same statements without Doorward, and beside
//! another build. On PostgreSQL near and far, by one node and by three, and on SQLite.

mod bare;
mod crowd;
mod far;
mod mint;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::pairs::Pairs;
use crate::server::{Cores, Server, program};
use crate::table::{Goal, row};
use crate::users::registered;
use crate::{Result, micro, table};
use bare::{Bare, COPIES};
use crowd::{Act, Crowd};
use far::Far;
use mint::Pattern;

const ROUNDS: usize = 5;
const SPAN: Duration = Duration::from_secs(1);
const FAR: Duration = Duration::from_millis(2);
const POOLS: [&str; 3] = ["8", "16", "32"];

/// Measures all of it. `before` is another build of Doorward, beside which this one is put.
pub(crate) fn measure(cores: Cores, before: Option<PathBuf>) -> Result<()> {
    table::title();
    match std::env::var("DOORWARD_TEST_POSTGRES") {
        Ok(url) => Postgres::prepare(cores, &url, before.clone())?.measure()?,
        Err(_) => println!("Not on PostgreSQL: DOORWARD_TEST_POSTGRES names no server."),
    }
    sqlite(cores, before)
}

/// A database of its own, with the tables of a build and many sessions in them.
struct Tables {
    url: String,
    node: Server,
    pattern: Pattern,
    tokens: Vec<String>,
}

impl Tables {
    /// Makes the database, and starts a node over it.
    fn make(cores: Cores, program: &Path, admin: &str, far: &Far, name: &str) -> Result<Self> {
        psql(admin, &format!("CREATE DATABASE {name}"))?;
        let (rest, _) = admin.rsplit_once("/postgres").ok_or("not the URL of with-postgres")?;
        let (user, _) = rest.rsplit_once('@').ok_or("a URL without a password")?;
        let url = format!("{user}@{}/{name}?sslmode=disable", far.address);
        let node = Server::node(cores, program, &[("DOORWARD_DATABASE", &url)])?;
        let (pattern, tokens) = copied(node.address)?;
        psql(&url, &copies_on_postgres(&pattern))?;
        Ok(Self { url, node, pattern, tokens })
    }
}

/// One build of Doorward over its own database.
struct Build {
    program: PathBuf,
    url: String,
    node: Server,
    crowd: Crowd,
}

impl Build {
    /// Starts a node with the settings of a release, and registers its users.
    fn start(cores: Cores, program: PathBuf, admin: &str, far: &Far, name: &str) -> Result<Self> {
        let Tables { url, node, tokens, .. } = Tables::make(cores, &program, admin, far, name)?;
        let crowd = Crowd::register(node.address, tokens)?;
        Ok(Self { program, url, node, crowd })
    }

    /// A further node over the same database.
    fn further(&self, cores: Cores, pool: Option<&str>) -> Result<Server> {
        let mut settings = vec![("DOORWARD_DATABASE", self.url.as_str())];
        settings.extend(pool.map(|pool| ("DOORWARD_POSTGRES_POOL_SIZE", pool)));
        Server::node(cores, &self.program, &settings)
    }
}

/// Signs up the user whose session is copied; returns it, and an access token for each copy.
fn copied(node: SocketAddr) -> Result<(Pattern, Vec<String>)> {
    let pattern = Pattern::of(&crowd::text(&registered(node, 0)?, "token")?)?;
    let tokens = (1..=COPIES).map(|number| pattern.token(number)).collect::<Result<_>>()?;
    Ok((pattern, tokens))
}

fn copies_on_postgres(pattern: &Pattern) -> String {
    let (prefix, session) = (pattern.prefix(), pattern.id());
    format!(
        "INSERT INTO sessions SELECT copy.* FROM sessions s CROSS JOIN generate_series(1, {COPIES}) n,
         LATERAL jsonb_populate_record(s, jsonb_build_object('id', '\\x{prefix}' || lpad(to_hex(n), 16, '0'))) copy
         WHERE s.id = decode('{session}', 'hex'); ANALYZE"
    )
}

fn psql(url: &str, sql: &str) -> Result<()> {
    let done = Command::new("psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, url]).output()?;
    match done.status.success() {
        true => Ok(()),
        false => Err(format!("psql: {}", String::from_utf8_lossy(&done.stderr)).into()),
    }
}

struct Postgres {
    cores: Cores,
    far: Far,
    /// For pgbench, beside which no node runs: it would follow what pgbench ends.
    bare: Tables,
    now: Build,
    before: Option<Build>,
    folder: TempDir,
}

impl Postgres {
    fn prepare(cores: Cores, admin: &str, before: Option<PathBuf>) -> Result<Self> {
        let (_, place) = admin.rsplit_once('@').ok_or("a URL without a password")?;
        let place = place.split('/').next().unwrap_or_default();
        let far = Far::to(place.parse()?)?;
        let mut bare = Tables::make(cores, &program("doorward")?, admin, &far, "bench_bare")?;
        bare.node.stop();
        let now = Build::start(cores, program("doorward")?, admin, &far, "bench_now")?;
        let before = before.map(|program| Build::start(cores, program, admin, &far, "bench_before"));
        Ok(Self { cores, before: before.transpose()?, far, bare, now, folder: TempDir::new()? })
    }

    fn measure(mut self) -> Result<()> {
        let hashes = self.cores.on_servers(|| Ok(1.0 / micro::bcrypt(Duration::from_secs(2))))?;
        row("bcrypt alone, hashes / s", hashes, Goal::None, "cost 10, on the servers' core");
        for delay in [FAR, Duration::ZERO] {
            self.far.set(delay);
            let far = format!("{} ms to PostgreSQL", delay.as_millis());
            row(
                &format!("{far}: round trip, ms"),
                self.bare().round_trip()?,
                Goal::None,
                "SELECT 1 by pgbench",
            );
            for act in [Act::Refresh, Act::Logout, Act::SignInAndOut] {
                self.act(act, &far, delay, hashes)?;
            }
        }
        self.far.set(FAR);
        self.pools()?;
        self.three()
    }

    fn bare(&self) -> Bare<'_> {
        Bare { url: &self.bare.url, pattern: &self.bare.pattern, folder: self.folder.path() }
    }

    fn act(&mut self, act: Act, far: &str, delay: Duration, hashes: f64) -> Result<()> {
        let (mut beside_bare, mut beside_before, mut cost) =
            (Pairs::default(), Pairs::default(), Pairs::default());
        for _ in 0..ROUNDS {
            let bare = self.bare().rate(act, 1)?;
            let bare = if act == Act::SignInAndOut { bare.min(hashes) } else { bare };
            let (address, cpu) = (self.now.node.address, self.now.node.cpu()?);
            let rate = self.now.crowd.load(&[address], act, SPAN)?;
            cost.push((self.now.node.cpu()? - cpu).as_secs_f64() * 1e3 / (rate * SPAN.as_secs_f64()), 1.0);
            beside_bare.push(rate, bare);
            if let Some(before) = &mut self.before {
                beside_before.push(rate, before.crowd.load(&[before.node.address], act, SPAN)?);
            }
        }
        let is_far = !delay.is_zero();
        let name = act.name();
        let goal = if is_far && act != Act::SignInAndOut { Goal::AtLeast(0.7) } else { Goal::None };
        let from = format!("{:.0} / {:.0} a second, medians", beside_bare.ours(), beside_bare.yardstick());
        row(&format!("{far}: {name} / bare SQL"), beside_bare.ratio(), goal, &from);
        let from = format!("{:.3} ms of the node's CPU for one", cost.ours());
        row(&format!("{far}: {name}, a second and core"), 1e3 / cost.ours(), Goal::None, &from);
        if self.before.is_some() {
            let goal = match act {
                Act::Refresh if is_far => Goal::AtLeast(2.0),
                Act::Logout if is_far => Goal::AtLeast(8.0),
                _ => Goal::None,
            };
            let from =
                format!("{:.0} / {:.0} a second, medians", beside_before.ours(), beside_before.yardstick());
            row(&format!("{far}: {name} / build before"), beside_before.ratio(), goal, &from);
        }
        Ok(())
    }

    /// What the size of the pool does, far from PostgreSQL.
    fn pools(&mut self) -> Result<()> {
        let nodes = POOLS.iter().map(|pool| self.now.further(self.cores, Some(pool)));
        let nodes = nodes.collect::<Result<Vec<_>>>()?;
        for act in [Act::Refresh, Act::Logout] {
            let mut pairs: Vec<_> = POOLS.iter().map(|_| Pairs::default()).collect();
            for _ in 0..ROUNDS {
                let bare = self.bare().rate(act, 1)?;
                for (pairs, node) in pairs.iter_mut().zip(&nodes) {
                    pairs.push(self.now.crowd.load(&[node.address], act, SPAN)?, bare);
                }
            }
            for (pool, pairs) in POOLS.iter().zip(&pairs) {
                let from = format!("{:.0} / {:.0} a second, medians", pairs.ours(), pairs.yardstick());
                let name = format!("pool of {pool}, 2 ms: {} / bare SQL", act.name());
                row(&name, pairs.ratio(), Goal::None, &from);
            }
        }
        Ok(())
    }

    /// Three nodes, which share the core.
    fn three(&mut self) -> Result<()> {
        let others = [self.now.further(self.cores, None)?, self.now.further(self.cores, None)?];
        let nodes = [self.now.node.address, others[0].address, others[1].address];
        for act in [Act::Refresh, Act::Logout] {
            let mut pairs = Pairs::default();
            for _ in 0..ROUNDS {
                let bare = self.bare().rate(act, nodes.len())?;
                pairs.push(self.now.crowd.load(&nodes, act, SPAN)?, bare);
            }
            let from = format!("{:.0} / {:.0} a second, medians", pairs.ours(), pairs.yardstick());
            row(&format!("three nodes, 2 ms: {} / bare SQL", act.name()), pairs.ratio(), Goal::None, &from);
        }
        Ok(())
    }
}

/// One build over SQLite.
struct OnSqlite {
    node: Server,
    pattern: Pattern,
    crowd: Crowd,
    data: Arc<TempDir>,
}

impl OnSqlite {
    fn start(cores: Cores, program: &Path) -> Result<Self> {
        let data = Arc::new(TempDir::new()?);
        let node = Server::node_over(cores, program, &[], data.clone())?;
        let (pattern, tokens) = copied(node.address)?;
        copies_on_sqlite(&data.path().join("doorward.db"), &pattern)?;
        let crowd = Crowd::register(node.address, tokens)?;
        Ok(Self { node, pattern, crowd, data })
    }
}

fn sqlite(cores: Cores, before: Option<PathBuf>) -> Result<()> {
    let mut now = OnSqlite::start(cores, &program("doorward")?)?;
    let mut before = before.map(|program| OnSqlite::start(cores, &program)).transpose()?;
    let bare = now.data.path().join("bare.db");
    Connection::open(now.data.path().join("doorward.db"))?
        .execute("VACUUM INTO ?1", [bare.to_str().ok_or("a folder without a name")?])?;
    Connection::open(&bare)?.execute_batch("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON")?;
    for act in [Act::Refresh, Act::Logout] {
        let (mut beside_bare, mut beside_before) = (Pairs::default(), Pairs::default());
        let mut cost = Pairs::default();
        for _ in 0..ROUNDS {
            let bare = bare::on_sqlite(cores, &bare, &now.pattern, act, SPAN)?;
            let cpu = now.node.cpu()?;
            let rate = now.crowd.load(&[now.node.address], act, SPAN)?;
            cost.push((now.node.cpu()? - cpu).as_secs_f64() * 1e3 / (rate * SPAN.as_secs_f64()), 1.0);
            beside_bare.push(rate, bare);
            if let Some(before) = &mut before {
                beside_before.push(rate, before.crowd.load(&[before.node.address], act, SPAN)?);
            }
        }
        let name = act.name();
        let from = format!("{:.0} / {:.0} a second, medians", beside_bare.ours(), beside_bare.yardstick());
        row(&format!("SQLite: {name} / bare SQL"), beside_bare.ratio(), Goal::None, &from);
        let from = format!("{:.3} ms of CPU for one", cost.ours());
        row(&format!("SQLite: {name}, a second and core"), 1e3 / cost.ours(), Goal::None, &from);
        if before.is_some() {
            let from =
                format!("{:.0} / {:.0} a second, medians", beside_before.ours(), beside_before.yardstick());
            row(&format!("SQLite: {name} / build before"), beside_before.ratio(), Goal::None, &from);
        }
    }
    Ok(())
}

fn copies_on_sqlite(database: &Path, pattern: &Pattern) -> Result<()> {
    let mut connection = Connection::open(database)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    let mut columns = Vec::new();
    connection.pragma(None, "table_info", "sessions", |row| {
        columns.push(row.get::<_, String>("name")?);
        Ok(())
    })?;
    let rest: Vec<_> = columns.into_iter().filter(|column| column != "id").collect();
    let rest = rest.join(", ");
    let act = connection.transaction()?;
    let copy = format!("INSERT INTO sessions (id, {rest}) SELECT ?1, {rest} FROM sessions WHERE id = ?2");
    let (mut copy, session) = (act.prepare(&copy)?, bare::bytes(&pattern.id())?);
    for number in 1..=COPIES {
        copy.execute([&bare::bytes(&pattern.copy(number))?, &session])?;
    }
    drop(copy);
    Ok(act.commit()?)
}
