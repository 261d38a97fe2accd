//! Reads the SQL in the crate's sources: every engine must understand all of it, and prepare it.

use std::path::Path;

use super::place::postgres_or_a_loud_skip;
use super::*;

/// A string literal of a source file that is a whole SQL statement.
pub(super) struct Statement {
    pub(super) file: PathBuf,
    pub(super) sql: String,
}

pub(super) fn statements() -> Vec<Statement> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![sources];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // And those that query the engine itself.
            let ours = path.components().any(|part| part.as_os_str() == "tests")
                || path.ends_with("tests.rs")
                || [
                    "closing.rs",
                    "condition.rs",
                    "days.rs",
                    "order.rs",
                    "postgres_connect.rs",
                    "postgres_hints.rs",
                    "postgres_pipeline.rs",
                    "postgres_proof.rs",
                    "sqlite_backup.rs",
                ]
                .iter()
                .any(|name| path.ends_with(format!("store/{name}")));
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !ours {
                let text = std::fs::read_to_string(&path).unwrap();
                found.extend(whole(literals(&text)).map(|sql| Statement { file: path.clone(), sql }));
            }
        }
    }
    found
}

/// The string literals of a Rust source, with their escapes undone.
fn literals(source: &str) -> Vec<String> {
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect::<String>()
        .replace("'\"'", "");
    let mut literals = Vec::new();
    let mut characters = code.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '"' {
            continue;
        }
        let mut literal = String::new();
        while let Some(character) = characters.next_if(|next| *next != '"') {
            match (character, characters.peek()) {
                ('\\', Some('\n')) => while characters.next_if(|next| next.is_whitespace()).is_some() {},
                ('\\', Some(_)) => literal.extend(characters.next()),
                _ => literal.push(character),
            }
        }
        characters.next();
        literals.push(literal);
    }
    literals
}

/// The literals that are SQL. A condition on its own belongs to the query before it, which a macro adds.
fn whole(literals: Vec<String>) -> impl Iterator<Item = String> {
    let mut query = String::new();
    literals.into_iter().filter_map(move |literal| {
        if literal.starts_with("WHERE ") {
            return Some(format!("{query}{literal}"));
        }
        is_sql(&literal).then(|| query.clone_from(&literal))?;
        Some(literal)
    })
}

fn is_sql(literal: &str) -> bool {
    let statement = literal.trim_start();
    ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "WITH "]
        .iter()
        .any(|verb| statement.starts_with(verb))
        // What is made for one table at a time is prepared by each export and import.
        && !statement.contains('{')
}

/// What is wrong with the text for one of the engines.
fn complaint(sql: &str) -> Option<String> {
    let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let upper = sql.to_uppercase();
    let forbidden = [
        "FOR UPDATE",
        "FOR SHARE",
        "SERIAL",
        "AUTOINCREMENT",
        "AS (INSERT",
        "AS (UPDATE",
        "AS (DELETE",
        "ILIKE",
        "::",
        "INSERT OR ",
        "REPLACE INTO",
        "NOW()",
        "CURRENT_TIMESTAMP",
        "DATETIME(",
        "SELECT *",
        "RETURNING *",
        "PRAGMA ",
        "PG_",
        "?",
        "NEXTVAL",
        "LISTEN ",
        "NOTIFY ",
        "LASTVAL",
        "TO_REGCLASS",
        "XMIN",
        "CTID",
        "LOCK TABLE",
        "MERGE INTO",
        "TABLESAMPLE",
        "GROUPING SETS",
        "ROLLUP",
        "TEMP ",
        "COLLATE",
    ];
    if let Some(word) = forbidden.into_iter().find(|word| upper.contains(word)) {
        return Some(format!("{word:?} is not for all engines"));
    }
    if upper.contains(" LIKE ") && !upper.contains(" ESCAPE ") {
        return Some("LIKE without ESCAPE".to_owned());
    }
    upper.split("CAST(").skip(1).find_map(|cast| {
        let kind = cast.split(" AS ").nth(1).unwrap_or_default();
        let allowed = kind.starts_with("BIGINT)") || kind.starts_with("TEXT)");
        (!allowed).then(|| format!("a cast to {kind:.8}"))
    })
}

/// Whether each column has a name of its own: rows are read by name. SQLite names an expression after its whole text, if
/// nothing gives it a name.
fn are_names(columns: &[&str]) -> bool {
    let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let distinct: std::collections::BTreeSet<_> = columns.iter().collect();
    columns.iter().all(is_name) && distinct.len() == columns.len()
}

#[test]
fn every_sql_text_is_for_all_engines() {
    let complaints: Vec<_> = statements()
        .iter()
        .filter_map(|one| Some(format!("{}: {}: {}", one.file.display(), complaint(&one.sql)?, one.sql)))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// What CockroachDB or YugabyteDB lack, or do otherwise, in a statement of a migration.
fn lacking(statement: &str) -> Option<String> {
    const LACKING: [&str; 26] = [
        "PARTITION",
        "INHERITS",
        "EXTENSION",
        "TRIGGER",
        "FUNCTION",
        "PROCEDURE",
        "DO $$",
        "EXCLUDE",
        "DEFERRABLE",
        "UNLOGGED",
        "TEMP ",
        "TABLESPACE",
        "CLUSTER",
        "VACUUM",
        "LISTEN",
        "NOTIFY",
        "ADVISORY",
        "LOCK TABLE",
        "GENERATED",
        "CONCURRENTLY",
        "USING ",
        "COLLATE",
        "RULE ",
        "SERIAL",
        "SEQUENCE",
        "ALTER COLUMN",
    ];
    let upper = statement.to_uppercase();
    if let Some(word) = LACKING.into_iter().find(|word| upper.contains(word)) {
        return Some(format!("{word:?} is not for all engines"));
    }
    // YugabyteDB would hash the first column, and then no range or order of it is quick.
    let columns = upper.split_once(" INDEX ")?.1.split_once('(')?.1.split(')').next()?;
    let other = columns.split(',').find(|column| !column.trim_end().ends_with(" ASC"))?;
    Some(format!("an index of {other} without ASC"))
}

/// The statements of a migration, without comments.
fn of_migration(sql: &str) -> Vec<String> {
    let code: String = sql
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .flat_map(|line| [line, " "])
        .collect();
    code.split(';').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_migration_from_the_fifth_on_is_for_all_engines() {
    let new = migrate::ALL.iter().filter(|migration| migration.version >= 5);
    let complaints: Vec<_> = new
        .flat_map(|one| of_migration(one.sql).into_iter().map(move |sql| (one.version, sql)))
        .filter_map(|(version, sql)| Some(format!("{version}: {}: {sql}", lacking(&sql)?)))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_lint_of_migrations_finds_what_it_looks_for() {
    for bad in [
        "CREATE INDEX a_by_b ON a (b)",
        "CREATE UNIQUE INDEX a_by_b ON a (b ASC, c) WHERE d IS NULL",
        "CREATE INDEX a_by_b ON a USING gin (b ASC)",
        "CREATE TABLE a (b BIGINT) PARTITION BY RANGE (b)",
        "CREATE TABLE a (b BIGSERIAL)",
        "CREATE EXTENSION pg_trgm",
    ] {
        assert!(lacking(bad).is_some(), "{bad}");
    }
    for good in
        ["CREATE UNIQUE INDEX a_by_b ON a (b ASC, c ASC) WHERE d IS NULL", "DROP INDEX a", "DELETE FROM a"]
    {
        assert_eq!(lacking(good), None, "{good}");
    }
    let sql = "-- a; b\nCREATE TABLE a (\n  -- c\n  b BIGINT\n);\nDROP TABLE b;\n";
    assert_eq!(of_migration(sql).len(), 2);
}

#[test]
fn the_lint_finds_what_it_looks_for() {
    for bad in [
        "SELECT id FROM users FOR UPDATE",
        "WITH gone AS (DELETE FROM users RETURNING id) SELECT id FROM gone",
        "SELECT id FROM users WHERE name LIKE $1",
        "SELECT CAST(id AS INTEGER) FROM users",
        "SELECT count(*)::BIGINT FROM users",
    ] {
        assert!(is_sql(bad) && complaint(bad).is_some(), "{bad}");
    }
    assert_eq!(complaint("SELECT CAST(count(*) AS BIGINT) FROM users WHERE name LIKE $1 ESCAPE '!'"), None);
    assert!(are_names(&["id", "user_id"]));
    assert!(!are_names(&["role", "role"]) && !are_names(&["CAST(count(*) AS BIGINT)"]));
    let source = "let a = '\"'; // \"no\n // \"SELECT 1\"\nf(\"SELECT \\\n      2\", \"a\\\"b\")";
    assert_eq!(literals(&source.replace(" // \"no", "")), ["SELECT 2", "a\"b"]);
    let all = statements();
    let has = |start, end| all.iter().any(|one| one.sql.starts_with(start) && one.sql.ends_with(end));
    assert!(has("SELECT version, checksum FROM migrations", ""));
    assert!(
        has("SELECT s.id, s.user_id, u.role", " WHERE s.secret_hash = $1"),
        "a condition joins its query"
    );
}

#[tokio::test]
async fn every_sql_text_prepares_on_sqlite() {
    let place = Place::sqlite();
    place.open().await.close().await;
    let connection = rusqlite::Connection::open(place.file()).unwrap();
    connection.execute(super::super::migration_turn::TABLE, []).unwrap();
    for Statement { file, sql } in statements() {
        let statement = connection.prepare(&sql);
        let statement = statement.unwrap_or_else(|error| panic!("{}: {error}: {sql}", file.display()));
        let names: Vec<_> = statement.column_names().collect();
        assert!(are_names(&names), "{}: name each column, and differently: {names:?}: {sql}", file.display());
    }
}

#[tokio::test]
async fn every_sql_text_prepares_on_postgres_with_types_that_the_store_knows() {
    let (Some(_), Some(place)) = (postgres_or_a_loud_skip(), Place::postgres().await) else { return };
    let store = place.open().await;
    let Database::Postgres(PostgresSettings { url, .. }) = &place.settings.database else { panic!("no URL") };
    let url = str::from_utf8(url.expose()).unwrap();
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for Statement { file, sql } in statements() {
        let statement = client.prepare(&sql).await;
        let statement = statement.unwrap_or_else(|error| panic!("{}: {error:?}: {sql}", file.display()));
        let names: Vec<_> = statement.columns().iter().map(tokio_postgres::Column::name).collect();
        assert!(are_names(&names), "{}: {names:?}: {sql}", file.display());
        let columns = statement.columns().iter().map(|column| column.type_().name());
        let unknown: Vec<_> = columns
            .chain(statement.params().iter().map(tokio_postgres::types::Type::name))
            .filter(|name| !["int8", "text", "bytea"].contains(name))
            .collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}: {sql}", file.display());
    }
    store.close().await;
    place.remove().await;
}
