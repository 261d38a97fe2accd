//! How each SQL text is carried out on tables with thousands of rows: none reads a whole table that grows, and none sorts
//! what no index has narrowed.

use rusqlite::{OpenFlags, StatementStatus};

use super::super::sqlite::{self, connect};
use super::lint::{Statement, statements};
use super::*;

const USERS: u32 = 6_000;

/// Tables that stay small, and what makes no table.
const SMALL: [&str; 11] = [
    "migrations",
    "signing_keys",
    "facts",
    "lanes",
    "clients",
    "agreed",
    "ballast",
    "store_time",
    "store_state",
    "CONSTANT",
    // A list of values in a statement.
    "wanted",
];

/// Statements that read a whole table, and why they may.
const ALLOWED: [(&str, &str); 10] = [
    ("SELECT CAST(count(*) AS BIGINT) AS count FROM users", "`doorward restored`"),
    ("DELETE FROM challenges", "`doorward restored`"),
    ("INSERT INTO lanes (id, position, owner, seen_at) SELECT lane", "`doorward store import`"),
    ("DELETE FROM former_credentials", "`doorward restored`"),
    ("SELECT id FROM users LIMIT 1", "the first row is enough"),
    ("INSERT INTO facts (name, value) SELECT 'server_kind'", "the first row is enough, once at a start"),
    ("SELECT CAST(count(*) AS BIGINT) AS number FROM buckets", "each minute, of at most a million"),
    ("SELECT key, full_at FROM buckets", "once at a start, of at most a million"),
    ("DELETE FROM buckets", "each minute, of at most a million: an index would cost more at each guess"),
    ("DELETE FROM least_versions", "each minute: a row is there for as long as an access token lives"),
];

/// Fills the tables that grow. `ID(n)` is an id, `HASH(n)` one of a secret; neither is in the order of numbers.
const FILL: [&str; 13] = [
    "INSERT INTO users (id, name, name_folded, role, created_at, updated_at) \
     SELECT ID(n), 'name' || n, 'name' || n, 'user', n, n FROM series(USERS)",
    "INSERT INTO emails (address, user_id, folded, is_primary) \
     SELECT n || '@example.org', ID(n), n || '@example.org', 1 FROM series(USERS)",
    "INSERT INTO authenticators (id, user_id, kind, identifier, data, created_at) \
     SELECT ID(n), ID(n), 'password', ID(n), 'a hash', n FROM series(USERS)",
    "INSERT INTO sessions (id, user_id, mode, created_at, authenticated_at, amr, last_seen_at, expires_at, \
     absolute_expires_at, secret_hash, salt, ended_at, end_reason, sweep_at) \
     SELECT ID(n), ID(1 + n % USERS), 'session', n, n, 'pwd', n, n + 1000, n + 2000, HASH(n), ID(n), \
     CASE WHEN n % 3 = 0 THEN n ELSE NULL END, CASE WHEN n % 3 = 0 THEN 'logout' ELSE NULL END, n + 1000 \
     FROM series(5 * USERS)",
    "INSERT INTO former_credentials (session_id, secret_hash, salt, is_over, expires_at) \
     SELECT ID(n), HASH(n), ID(n), 0, n FROM series(USERS)",
    "INSERT INTO challenges (hash, id, purpose, user_id, made_by, created_at, expires_at) \
     SELECT HASH(n), ID(n), 'password_reset', ID(n), ID(1 + n % USERS), n, n FROM series(USERS)",
    "INSERT INTO revocations (session_id, user_id, reason, lane, position, created_at, expires_at) \
     SELECT ID(n), ID(n), 'logout', n % 3, n, n, n FROM series(USERS)",
    "INSERT INTO least_versions (user_id, version, lane, position, created_at, expires_at) \
     SELECT ID(n), 1, n % 3, n, n, n FROM series(USERS)",
    "INSERT INTO form_posts (hash, owner, created_at, expires_at) SELECT HASH(n), 'owner' || n, n, n FROM series(USERS)",
    "INSERT INTO buckets (key, full_at) SELECT n * 7919, n FROM series(USERS)",
    "INSERT INTO devices (hash, user_id, used_at) SELECT ID(n), ID(n), n FROM series(USERS)",
    "INSERT INTO audit (id, created_at, action, actor, user_id, actor_id) \
     SELECT ID(n), n, 'login', 'owner', ID(1 + n % USERS), ID(n) FROM series(5 * USERS)",
    "INSERT INTO audit_folds (fold_key, id, created_at, action, actor, user_id, actor_id) \
     SELECT HASH(n), ID(n), n, 'login_failed', 'owner', ID(n), ID(n) FROM series(USERS)",
];

/// The statement of `FILL` for an engine, whose function makes bytes of hexadecimal digits.
fn filling(statement: &str, bytes: impl Fn(&str, u32) -> String) -> String {
    let mut sql = statement.to_owned();
    for (name, digits) in [("ID(", 32), ("HASH(", 64)] {
        while let Some(start) = sql.find(name) {
            let inner = &sql[start + name.len()..];
            let end = inner.find(')').unwrap();
            let made = bytes(&format!("(({}) * 7919 % 1000003)", &inner[..end]), digits);
            sql.replace_range(start..start + name.len() + end + 1, &made);
        }
    }
    let (into, select) = sql.split_once("SELECT").unwrap();
    let (select, most) = select.rsplit_once("series(").unwrap();
    let most = most.trim_end_matches(')');
    let series =
        format!("WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {most})");
    format!("{into}{series} SELECT{select}series").replace("USERS", &USERS.to_string())
}

/// The statements as they are sent, without the beginnings to which a condition is added, and those of tests.
fn sent() -> Vec<Statement> {
    let all = statements();
    let is_beginning = |one: &Statement| {
        all.iter().any(|other| {
            other.file == one.file
                && other.sql.strip_prefix(&one.sql).is_some_and(|rest| rest.starts_with("WHERE "))
        })
    };
    let kept: Vec<_> = all.iter().map(|one| !is_beginning(one) && !is_apart(one)).collect();
    let all = all.into_iter().zip(kept).filter(|(_, is_kept)| *is_kept).map(|(one, _)| one);
    all.filter(|one| one.sql != "SELECT attempts FROM challenges").collect()
}

/// Whether it runs in tests, or beside migrations, alone.
fn is_apart(one: &Statement) -> bool {
    let name = one.file.file_name().unwrap().to_str().unwrap();
    ["tests.rs", "testing.rs", "migration_turn.rs"].contains(&name)
}

fn is_allowed(sql: &str) -> bool {
    ALLOWED.iter().any(|(beginning, _)| sql.starts_with(beginning))
}

/// What is wrong with the steps of a plan of SQLite.
fn complaint_of_sqlite(steps: &[String], has_limit: bool) -> Option<String> {
    let is_narrowed = steps.iter().any(|step| step.starts_with("SEARCH ") && step.contains("=?"))
        || !steps.iter().any(|step| step.starts_with("SEARCH "));
    let found = steps.iter().find(|step| {
        let Some(table) = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next()) else {
            return step.contains("TEMP B-TREE FOR ORDER BY") && !is_narrowed;
        };
        // The name of a subquery or view, whose own steps follow.
        let is_table = !steps
            .iter()
            .any(|other| other.ends_with(&format!(" {table}")) && other.starts_with("CO-ROUTINE"));
        // In the order of an index, until there are enough.
        let is_walk = step.contains(" USING ") && has_limit;
        is_table && !is_walk && !SMALL.contains(&table)
    })?;
    Some(found.clone())
}

/// A database with rows, on a connection like the store's own.
async fn filled() -> (Place, rusqlite::Connection) {
    let place = Place::sqlite();
    place.open().await.close().await;
    let connection = connect(&sqlite::Place::File(place.file()), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    connection.execute_batch("PRAGMA synchronous = OFF; BEGIN").unwrap();
    for statement in FILL {
        let sql = filling(statement, |number, digits| format!("unhex(printf('%0{digits}x', {number}))"));
        connection.execute_batch(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    }
    connection.execute_batch("COMMIT; ANALYZE").unwrap();
    (place, connection)
}

#[tokio::test]
async fn no_sql_text_is_planned_anew_for_other_values_on_sqlite() {
    let (_place, connection) = filled().await;
    connection.execute_batch("BEGIN").unwrap();
    let mut complaints = Vec::new();
    for Statement { file, sql } in sent() {
        let mut statement = connection.prepare(&sql).unwrap();
        for run in 1..=3 {
            for index in 1..=statement.parameter_count() {
                statement.raw_bind_parameter(index, run).unwrap();
            }
            // A row that a constraint refuses was planned for all the same.
            drop(statement.raw_query().next());
            statement.clear_bindings();
        }
        let again = statement.get_status(StatementStatus::RePrepare);
        if again != 0 {
            complaints.push(format!("{}: {again} times: {sql}", file.display()));
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test]
async fn no_sql_text_reads_a_whole_table_that_grows_on_sqlite() {
    let (_place, connection) = filled().await;
    let mut complaints = Vec::new();
    for Statement { file, sql } in sent() {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps =
            plan.raw_query().mapped(|row| row.get::<_, String>(3)).map(Result::unwrap).collect::<Vec<_>>();
        if let Some(complaint) = complaint_of_sqlite(&steps, sql.contains(" LIMIT "))
            && !is_allowed(&sql)
        {
            complaints.push(format!("{}: {complaint}: {sql}", file.display()));
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// What is wrong with a plan of PostgreSQL.
fn complaint_of_postgres(plan: &[String]) -> Option<String> {
    let rows = |step: &str| -> u64 {
        let rows = step.split_once(" rows=").and_then(|(_, rest)| rest.split(' ').next());
        rows.and_then(|rows| rows.parse().ok()).unwrap_or(0)
    };
    let found = plan.iter().find(|step| {
        let Some((_, table)) = step.split_once("Seq Scan on ") else {
            return step.contains("Sort  (") && rows(step) > u64::from(USERS) / 10;
        };
        let table = table.split(' ').next().unwrap_or_default();
        // Here the log's partitions of single days are empty.
        let is_empty = table.starts_with("audit_") && rows(step) <= 1;
        !SMALL.contains(&table) && !is_empty
    })?;
    Some(found.trim().to_owned())
}

fn cost(plan: &[String]) -> f64 {
    let first =
        plan.first().and_then(|step| step.split_once("..")).and_then(|(_, rest)| rest.split(' ').next());
    first.and_then(|cost| cost.parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn no_sql_text_reads_a_whole_table_that_grows_on_postgres() {
    let Some(place) = Place::postgres().await else { return };
    place.open().await.close().await;
    let Database::Postgres(PostgresSettings { url, .. }) = &place.settings.database else { panic!("no URL") };
    let url = str::from_utf8(url.expose()).unwrap();
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for statement in FILL {
        let sql = filling(statement, |number, digits| {
            format!("decode(lpad(to_hex({number}), {digits}, '0'), 'hex')")
        });
        client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{error:?}: {sql}"));
    }
    // As on a disk without moving parts.
    client.batch_execute("SET random_page_cost = 1.1").await.unwrap();
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
    let explain = async |mode: &str, number: usize, values: &str| -> Vec<String> {
        let sql = format!("SET plan_cache_mode = {mode}; EXPLAIN EXECUTE plan{number}{values}");
        let rows = client.simple_query(&sql).await.unwrap();
        let text = |row: &tokio_postgres::SimpleQueryMessage| match row {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        rows.iter().filter_map(text).collect()
    };
    let mut complaints = Vec::new();
    for (number, Statement { file, sql }) in sent().into_iter().enumerate() {
        client.batch_execute(&format!("PREPARE plan{number} AS {sql}")).await.unwrap();
        let prepared = client.prepare(&sql).await.unwrap();
        let values: Vec<_> = prepared.params().iter().map(|kind| value_of_type(kind.name())).collect();
        let values = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
        let general = explain("force_generic_plan", number, &values).await;
        let own = explain("force_custom_plan", number, &values).await;
        // After five executions the server takes the general plan, unless those for the values cost less.
        let taken = if cost(&general) <= 1.2 * cost(&own) { general } else { own };
        if let Some(complaint) = complaint_of_postgres(&taken)
            && !is_allowed(&sql)
        {
            complaints.push(format!("{}: {complaint}: {sql}", file.display()));
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    place.remove().await;
}

fn value_of_type(name: &str) -> &'static str {
    match name {
        "int8" => "10",
        "text" => "'name10'",
        _ => "decode('0000000000000000000000000000f00f', 'hex')",
    }
}

#[test]
fn the_guard_of_plans_finds_what_it_looks_for() {
    let steps = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    for (bad, has_limit) in [
        (vec!["SCAN users"], true),
        (vec!["SCAN users USING INDEX users_by_name"], false),
        (vec!["SEARCH users USING INDEX users_by_name (name>?)", "USE TEMP B-TREE FOR ORDER BY"], true),
    ] {
        assert!(complaint_of_sqlite(&steps(&bad), has_limit).is_some(), "{bad:?}");
    }
    for good in [
        vec!["SCAN users USING INDEX users_by_name"],
        vec!["SCAN facts"],
        vec!["SEARCH sessions USING INDEX sessions_by_user (user_id=?)", "USE TEMP B-TREE FOR ORDER BY"],
        vec![
            "CO-ROUTINE audit_log",
            "SEARCH audit USING INDEX audit_by_user (user_id=? AND id>?)",
            "SCAN audit_log",
        ],
    ] {
        assert_eq!(complaint_of_sqlite(&steps(&good), true), None, "{good:?}");
    }
    for bad in [
        "  ->  Seq Scan on users u  (cost=0.00..77.01 rows=3001 width=68)",
        "Sort  (cost=1.00..2.00 rows=3000 width=9)",
    ] {
        assert!(complaint_of_postgres(&steps(&[bad])).is_some(), "{bad}");
    }
    for good in
        ["Seq Scan on facts  (cost=0.00..1.01 rows=5 width=9)", "Sort  (cost=8.31..8.31 rows=1 width=83)"]
    {
        assert_eq!(complaint_of_postgres(&steps(&[good])), None, "{good}");
    }
}
