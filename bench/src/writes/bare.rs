//! The statements of an act without Doorward: by pgbench on PostgreSQL, and by one connection on SQLite. Each act writes
//! the rows that Doorward's writes, into the same tables, in as few round trips.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::crowd::Act;
use super::mint::Pattern;
use crate::Result;
use crate::server::Cores;

/// How many copies of the session its statements use.
pub(super) const COPIES: u64 = 60_000;

/// How many acts of all connections are one round.
fn acts(act: Act) -> usize {
    if act == Act::SignInAndOut { 400 } else { 2_560 }
}

const REFRESH: &str = r"\set n random(1, 60000)
SELECT s.id, s.user_id, u.role, u.claims_version, s.mode, s.created_at, s.authenticated_at, s.amr, s.last_seen_at, s.ip,
  s.user_agent, s.ended_at, u.disabled_at, s.expires_at, s.absolute_expires_at, s.end_reason, s.secret_hash, s.salt,
  s.generation, s.rotated_at FROM sessions s JOIN users u ON u.id = s.user_id
  WHERE s.id = decode(:prefix::text || lpad(to_hex(:n::bigint), 16, '0'), 'hex');
UPDATE sessions SET generation = generation + 1, rotated_at = rotated_at + 1, last_seen_at = last_seen_at + 1,
  ip = '127.0.0.1', expires_at = expires_at + 1
  WHERE id = decode(:prefix::text || lpad(to_hex(:n::bigint), 16, '0'), 'hex') AND expires_at > 0
  RETURNING generation, expires_at, absolute_expires_at, (SELECT role FROM users WHERE id = sessions.user_id),
  (SELECT claims_version FROM users WHERE id = sessions.user_id),
  (SELECT disabled_at FROM users WHERE id = sessions.user_id);
";

const LOGOUT: &str = r"\set n random(1, 60000)
\set a random(1, 4000000000000000000)
\set r random(1, 4000000000000000000)
\startpipeline
BEGIN;
WITH hit AS (UPDATE sessions SET ended_at = created_at + :n::bigint, end_reason = 'logout'
  WHERE id = decode(:prefix::text || lpad(to_hex(:n::bigint), 16, '0'), 'hex') RETURNING 1)
  SELECT CAST(1 / count(*) AS BIGINT) AS hit FROM hit;
INSERT INTO audit (id, created_at, action, actor, user_id, session_id, ip)
  VALUES (decode(:prefix::text || lpad(to_hex(:a::bigint), 16, '0'), 'hex'), 1, 'logout', 'user',
  decode(:user::text, 'hex'), decode(:prefix::text || lpad(to_hex(:n::bigint), 16, '0'), 'hex'), '127.0.0.1');
INSERT INTO lanes (id, position, owner, seen_at)
  VALUES (:lane::bigint, 1, 'the bench', (SELECT micros FROM store_state))
  ON CONFLICT (id) DO UPDATE SET position = lanes.position + 1, seen_at = excluded.seen_at;
INSERT INTO revocations (session_id, user_id, reason, lane, position, created_at, expires_at)
  VALUES (decode(:prefix::text || lpad(to_hex(:r::bigint), 16, '0'), 'hex'), decode(:user::text, 'hex'), 'logout',
  :lane::bigint, (SELECT position FROM lanes WHERE id = :lane::bigint), 1, 1) ON CONFLICT (session_id) DO NOTHING;
COMMIT;
\endpipeline
";

/// The account and the limits; the user's lock and the device; the session. Then the logout.
const SIGN_IN: &str = r"\set s random(1, 4000000000000000000)
\set b random(1, 4000000000000000000)
\startpipeline
SELECT u.id, u.name, u.role, u.credentials_version, a.data FROM users u
  JOIN emails e ON e.user_id = u.id AND e.is_primary = 1
  LEFT JOIN authenticators a ON a.kind = 'password' AND a.identifier = u.id WHERE e.address = 'user0@example.org';
\endpipeline
\startpipeline
BEGIN;
UPDATE users SET updated_at = updated_at WHERE id = decode(:user::text, 'hex') AND disabled_at IS NULL
  RETURNING role, claims_version;
SELECT count(*) FROM sessions WHERE user_id = decode(:user::text, 'hex') AND ended_at IS NULL AND created_at > 4102444800000000;
\endpipeline
\startpipeline
INSERT INTO sessions (id, user_id, mode, created_at, authenticated_at, amr, last_seen_at, expires_at,
  absolute_expires_at, ip, salt)
  VALUES (decode(:prefix::text || lpad(to_hex(:s::bigint), 16, '0'), 'hex'), decode(:user::text, 'hex'), 'bearer', 1, 1,
  'pwd', 1, 4102444800000000, 4102444800000000, '127.0.0.1', decode(:prefix::text, 'hex'));
INSERT INTO audit (id, created_at, action, actor, user_id, session_id, ip)
  VALUES (decode(:prefix::text || lpad(to_hex(:b::bigint), 16, '0'), 'hex'), 1, 'login', 'user',
  decode(:user::text, 'hex'), decode(:prefix::text || lpad(to_hex(:s::bigint), 16, '0'), 'hex'), '127.0.0.1');
COMMIT;
\endpipeline
";

/// pgbench over this database, with the sessions that are copies of one.
pub(super) struct Bare<'p> {
    pub(super) url: &'p str,
    pub(super) pattern: &'p Pattern,
    pub(super) folder: &'p Path,
}

impl Bare<'_> {
    /// Acts a second by this many connections, on as many lanes as there are nodes.
    pub(super) fn rate(&self, act: Act, nodes: usize) -> Result<f64> {
        let script = match act {
            Act::Refresh => REFRESH.to_owned(),
            Act::Logout => LOGOUT.to_owned(),
            Act::SignInAndOut => format!("{SIGN_IN}{LOGOUT}"),
        };
        let script = format!("\\set lane 1 + :client_id % {nodes}\n{script}");
        // A number, and not a span, in which pgbench would count the time that it needs to connect.
        let said = self.run(&script, act.clients(), acts(act) / act.clients())?;
        number(&said, "tps = ")
    }

    /// The milliseconds of one round trip.
    pub(super) fn round_trip(&self) -> Result<f64> {
        number(&self.run("SELECT 1;\n", 1, 300)?, "latency average = ")
    }

    fn run(&self, script: &str, clients: usize, each: usize) -> Result<String> {
        let file = self.folder.join("script.sql");
        fs::write(&file, script)?;
        let mut command = Command::new("pgbench");
        command.args(["-n", "-M", "prepared", "-j", "1", "-c", &clients.to_string()]);
        command.args(["-t", &each.to_string(), "-f"]).arg(&file);
        command.arg("-D").arg(format!("prefix={}", self.pattern.prefix()));
        command.arg("-D").arg(format!("user={}", self.pattern.user()));
        let done = command.arg(self.url).output()?;
        if !done.status.success() {
            return Err(format!("pgbench: {}", String::from_utf8_lossy(&done.stderr)).into());
        }
        Ok(String::from_utf8(done.stdout)?)
    }
}

fn number(said: &str, before: &str) -> Result<f64> {
    let found = said.split_once(before).and_then(|(_, rest)| rest.split_whitespace().next());
    Ok(found.ok_or_else(|| format!("pgbench said no {before}: {said}"))?.parse()?)
}

/// The same on SQLite, by one connection over a copy of the database, on the servers' core.
pub(super) fn on_sqlite(
    cores: Cores,
    database: &Path,
    pattern: &Pattern,
    act: Act,
    span: Duration,
) -> Result<f64> {
    cores.on_servers(|| {
        let mut connection = Connection::open(database)?;
        connection.execute_batch("PRAGMA synchronous = FULL")?;
        let (began, mut done) = (Instant::now(), 0_u32);
        while began.elapsed() < span {
            let number = (u64::from(done) * 7_919) % COPIES + 1;
            let id = bytes(&pattern.copy(number))?;
            if act == Act::Refresh {
                refresh_on_sqlite(&mut connection, &id)?;
            } else {
                logout_on_sqlite(&mut connection, &id, &bytes(&pattern.user())?)?;
            }
            done += 1;
        }
        Ok(f64::from(done) / began.elapsed().as_secs_f64())
    })
}

fn refresh_on_sqlite(connection: &mut Connection, id: &[u8]) -> Result<()> {
    let act = connection.transaction()?;
    let find = "SELECT s.*, u.role, u.claims_version FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = ?1";
    let _: i64 = act.prepare_cached(find)?.query_row([id], |row| row.get("generation"))?;
    let rotate = "UPDATE sessions SET generation = generation + 1, rotated_at = 1, last_seen_at = last_seen_at + 1, \
                  expires_at = expires_at + 1 WHERE id = ?1";
    act.prepare_cached(rotate)?.execute([id])?;
    Ok(act.commit()?)
}

fn logout_on_sqlite(connection: &mut Connection, id: &[u8], user: &[u8]) -> Result<()> {
    let act = connection.transaction()?;
    let end = "UPDATE sessions SET ended_at = created_at + 1, end_reason = 'logout' WHERE id = ?1";
    act.prepare_cached(end)?.execute([id])?;
    let record = "INSERT INTO audit (id, created_at, action, actor, user_id, session_id, ip) \
                  VALUES (randomblob(16), 1, 'logout', 'user', ?1, ?2, '127.0.0.1')";
    act.prepare_cached(record)?.execute(params![user, id])?;
    let lane = "INSERT INTO lanes (id, position, owner, seen_at) VALUES (1, 1, 'the bench', 1) \
                ON CONFLICT (id) DO UPDATE SET position = lanes.position + 1";
    act.prepare_cached(lane)?.execute([])?;
    let revoke = "INSERT INTO revocations (session_id, user_id, reason, lane, position, created_at, expires_at) \
                  VALUES (randomblob(16), ?1, 'logout', 1, (SELECT position FROM lanes WHERE id = 1), 1, 1)";
    act.prepare_cached(revoke)?.execute([user])?;
    Ok(act.commit()?)
}

/// Bytes of hexadecimal digits.
pub(super) fn bytes(hex: &str) -> Result<Vec<u8>> {
    let pairs = (0..hex.len()).step_by(2).filter_map(|at| hex.get(at..at + 2));
    pairs.map(|pair| Ok(u8::from_str_radix(pair, 16)?)).collect()
}
