//! The import: checks the whole file, writes its rows into a new database, and reads them back.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use doorward_core::{RootSecret, Timestamp};

use super::export::count;
use super::file::{self, Contents, Digest, Header, Next, Reader};
use super::tables::{FACTS, key_of};
use super::{
    IMPORTED, IMPORTED_ROWS, IMPORTING, Moved, Pages, Progress, State, Tell, TransferError, columns_moved,
};
use crate::roots::FINGERPRINT;
use crate::settings::check_private;
use crate::store::{Store, StoreError, StoreSettings, Tx, Value, statement, values};

/// How many rows one statement writes.
const AT_ONCE: usize = 100;
/// How many rows one transaction writes.
const BATCH: usize = 1_000;

/// Makes the lanes that the moved rows are on. Servers read a lane only if it has a row; and what writes to these has ended.
const LANES: &str = "INSERT INTO lanes (id, position, owner, seen_at) \
     SELECT lane, max(position), 'before the import', (SELECT micros FROM store_state) FROM \
     (SELECT lane, position FROM revocations UNION ALL SELECT lane, position FROM least_versions) AS moved \
     GROUP BY lane ON CONFLICT (id) DO NOTHING";
const COUNTED: &str = "UPDATE facts SET value = $2 WHERE name = 'imported_rows' AND value = $1";

/// Imports the file into a database that nobody has used.
///
/// # Errors
/// If the file is not whole, altered, of another version or under another root secret; if the database is not new; or
/// if one of them can't be used.
pub async fn import(
    settings: &StoreSettings,
    roots: &[RootSecret],
    path: &Path,
    now: Timestamp,
    tell: Tell<'_>,
) -> Result<Vec<Moved>, TransferError> {
    let file = open(path)?;
    let root = root_of(&file, roots)?;
    let key = file::key(root);
    let begin = || Reader::new(&file, &key)?.ok_or_else(unfinished);
    let digests = check(begin()?, tell)?;
    let store = Store::open(settings, now).await?;
    let imported = import_into(&store, root, begin()?, &digests, tell).await;
    store.close().await;
    imported
}

/// The file, if nobody else can have written it.
fn open(path: &Path) -> Result<File, TransferError> {
    let cannot = |problem: String| TransferError::new(problem, "name the file of an export");
    // Something else than a file could let this wait for ever.
    let found = std::fs::metadata(path);
    let found = found.map_err(|error| cannot(format!("cannot read {}: {error}", path.display())))?;
    if !found.is_file() {
        return Err(cannot(format!("{} is not a file", path.display())));
    }
    let file =
        File::open(path).map_err(|error| cannot(format!("cannot read {}: {error}", path.display())))?;
    check_private(&file, path).map_err(|error| TransferError::new(error.problem, error.hint))?;
    Ok(file)
}

/// The root secret that the export was made under, if it is one of these.
fn root_of<'a>(file: &File, roots: &'a [RootSecret]) -> Result<&'a RootSecret, TransferError> {
    // Any key will do for the first line.
    let any = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[]);
    let header = Reader::new(file, &any)?.ok_or_else(unfinished)?.header;
    if header.migration != Store::newest_migration() {
        let (theirs, ours) = (header.migration, Store::newest_migration());
        let problem =
            format!("the export has the tables of migration {theirs}, and this program those of {ours}");
        return Err(TransferError::new(problem, "import it with the program that exported it, then upgrade"));
    }
    roots.iter().find(|root| root.fingerprint() == header.fingerprint).ok_or_else(|| {
        TransferError::new(
            "the export was made under another root secret",
            "give this installation the DOORWARD_SECRET or the secret.key of the exported one",
        )
    })
}

fn unfinished() -> TransferError {
    let hint = "run the same `doorward store export` again: it goes on where it stopped";
    TransferError::new("the export is not finished", hint)
}

/// Reads the whole file, and returns the digest of each table.
fn check(mut reader: Reader, tell: Tell<'_>) -> Result<Vec<Digest>, TransferError> {
    let total = total(&reader.header);
    let mut digests = vec![Digest::default(); reader.header.tables.len()];
    loop {
        match reader.next()? {
            Next::Row(table, row) => {
                digests.iter_mut().skip(table).take(1).for_each(|digest| digest.add(&row));
                tell(Progress { step: "checking", done: reader.rows, total });
            }
            Next::End => return Ok(digests),
            Next::Torn => return Err(unfinished()),
            Next::Altered => {
                return Err(TransferError::new("the file was altered after the export", "export again"));
            }
        }
    }
}

fn total(header: &Header) -> u64 {
    header.tables.iter().fold(0, |sum, table| sum.saturating_add(table.rows))
}

async fn import_into(
    store: &Store,
    root: &RootSecret,
    mut reader: Reader,
    digests: &[Digest],
    tell: Tell<'_>,
) -> Result<Vec<Moved>, TransferError> {
    let header = reader.header.clone();
    fits(store, &header).await?;
    if State::of(store).await?.imported != Some(header.id) {
        let done = claim(store, root.fingerprint(), &header).await?;
        write(store, &mut reader, done, tell).await?;
        verify(store, &header, digests, tell).await?;
        let id = header.id;
        store
            .transaction(async move |tx: &mut Tx| {
                tx.execute(LANES, values![]).await?;
                tx.set_fact(IMPORTED, id)?;
                tx.drop_fact(IMPORTED_ROWS)?;
                tx.drop_fact(IMPORTING)
            })
            .await?;
    }
    Ok(header.tables.into_iter().map(|one| Moved { table: one.name, rows: one.rows }).collect())
}

/// Checks that both databases have the same tables and columns.
async fn fits(store: &Store, header: &Header) -> Result<(), TransferError> {
    let sorted = |mut columns: Vec<String>| {
        columns.sort();
        columns
    };
    let ours = columns_moved(&store.tables().await?)?;
    let ours: Vec<_> = ours.into_iter().map(|(name, columns)| (name.to_owned(), sorted(columns))).collect();
    let theirs: Vec<_> =
        header.tables.iter().map(|one| (one.name.clone(), sorted(one.columns.clone()))).collect();
    if ours == theirs {
        return Ok(());
    }
    Err(TransferError::new(
        "the export has other tables or columns than this program",
        "import it with the program that exported it, then upgrade",
    ))
}

/// Takes the database for this import, or finds how many rows of it an interrupted one has written. A server that starts
/// at the same time waits for this transaction, and then finds the import.
async fn claim(store: &Store, fingerprint: i64, header: &Header) -> Result<u64, TransferError> {
    let id = header.id;
    let names = header.tables.iter().map(|one| one.name.as_str()).filter(|name| *name != FACTS);
    let any: Vec<_> =
        names.map(|name| statement(format!("SELECT CAST(1 AS BIGINT) AS one FROM {name} LIMIT 1"))).collect();
    let claimed = store.transaction(async move |tx: &mut Tx| {
        let mut is_new = tx.begin_fact(FINGERPRINT, fingerprint).await?;
        for sql in &any {
            is_new = is_new && tx.find(sql, values![]).await?.is_none();
        }
        if is_new {
            tx.set_fact(IMPORTING, id)?;
            tx.set_fact(IMPORTED_ROWS, 0)?;
            return Ok(());
        }
        // Nothing is kept: the database isn't taken.
        Err(StoreError::Conflict("it has been used".into()))
    });
    match claimed.await {
        Ok(()) => return Ok(0),
        Err(StoreError::Conflict(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let state = State::of(store).await?;
    match (state.importing, state.imported_rows) {
        (Some(theirs), Some(rows)) if theirs == id => Ok(rows.unsigned_abs()),
        (Some(_), _) => Err(TransferError::new(
            "another export is being imported into this database",
            "finish that one, or name a new database",
        )),
        _ => Err(TransferError::new(
            "the database has been used already",
            "name a new one, which no server has been started with",
        )),
    }
}

async fn write(store: &Store, reader: &mut Reader, done: u64, tell: Tell<'_>) -> Result<(), TransferError> {
    let header = reader.header.clone();
    let inserts: Vec<_> = header.tables.iter().map(Insert::into).collect();
    let total = total(&header);
    let (mut batch, mut table) = (Vec::new(), 0);
    loop {
        let next = reader.next()?;
        let (at, row) = match next {
            Next::Row(at, row) => (Some(at), Some(row)),
            Next::End => (None, None),
            Next::Torn | Next::Altered => {
                return Err(TransferError::new("the file changed meanwhile", "import it again"));
            }
        };
        let is_over = at.is_none_or(|at| at != table) || batch.len() >= BATCH;
        if is_over && !batch.is_empty() {
            // Without the row that was just read, which begins the next batch.
            let before = reader.rows - u64::from(row.is_some());
            put(store, inserts.get(table), std::mem::take(&mut batch), before).await?;
            tell(Progress { step: "importing", done: before, total });
        }
        let (Some(at), Some(row)) = (at, row) else { return Ok(()) };
        table = at;
        if reader.rows > done {
            batch.push(row);
        }
    }
}

/// The statements that write into one table.
#[derive(Clone, Copy)]
struct Insert {
    one: &'static str,
    many: &'static str,
}

impl Insert {
    fn into(table: &Contents) -> Self {
        let width = table.columns.len();
        let row = |number: usize| {
            let given: Vec<_> = (1..=width).map(|column| format!("${}", number * width + column)).collect();
            format!("({})", given.join(", "))
        };
        let text = |rows: usize| {
            let rows: Vec<_> = (0..rows).map(row).collect();
            let begin = format!("INSERT INTO {} ({})", table.name, table.columns.join(", "));
            // A new database begins with some of them.
            let end = if table.name == FACTS {
                format!(
                    " ON CONFLICT ({}) DO UPDATE SET value = excluded.value",
                    key_of(FACTS).unwrap_or_default().join(", ")
                )
            } else {
                String::new()
            };
            statement(format!("{begin} VALUES {}{end}", rows.join(", ")))
        };
        Self { one: text(1), many: text(AT_ONCE) }
    }
}

/// Writes rows of one table, and with them that all up to `done` are there.
async fn put(
    store: &Store,
    insert: Option<&Insert>,
    rows: Vec<Vec<Value>>,
    done: u64,
) -> Result<(), TransferError> {
    let Some(insert) = insert.copied() else { return Ok(()) };
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (before, done, rows) = (signed(done - rows.len() as u64), signed(done), Arc::new(rows));
    let written = store.transaction(async move |tx: &mut Tx| {
        if tx.execute(COUNTED, values![before, done]).await? != 1 {
            return Err(StoreError::Refused("another process imports into this database, too".into()));
        }
        for rows in rows.chunks(AT_ONCE) {
            if rows.len() == AT_ONCE {
                tx.execute(insert.many, rows.concat()).await?;
            } else {
                for row in rows {
                    tx.execute(insert.one, row.clone()).await?;
                }
            }
        }
        Ok(())
    });
    Ok(written.await?)
}

/// Compares number and content of all rows with those of the file.
async fn verify(
    store: &Store,
    header: &Header,
    digests: &[Digest],
    tell: Tell<'_>,
) -> Result<(), TransferError> {
    let (mut read, total) = (0, total(header));
    for (table, wanted) in header.tables.iter().zip(digests) {
        let (pages, mut found, mut last) = (Pages::of(&table.name, &table.columns), Digest::default(), None);
        loop {
            let page = pages.after(store, last.as_deref()).await?;
            page.iter().for_each(|row| found.add(row));
            read += page.len() as u64;
            tell(Progress { step: "verifying", done: read, total });
            match page.into_iter().next_back() {
                Some(row) => last = Some(row),
                None => break,
            }
        }
        let counted = count(store, &table.name).await?;
        if found != *wanted || counted != wanted.rows {
            let problem = format!(
                "{} has {counted} rows after the import, which are not the {} of the export",
                table.name, table.rows
            );
            return Err(TransferError::new(problem, "import into a new database"));
        }
    }
    Ok(())
}
