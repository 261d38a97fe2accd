//! The export: closes the database, and writes what is in it to a file.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use aws_lc_rs::hmac;
use doorward_core::RootSecret;

use super::file::{self, Contents, Header, Next, Reader};
use super::{
    CLOSED, Moved, Pages, Progress, State, Tell, TransferError, columns_moved, open_again, rows_moved,
};
use crate::private_file::{self, NotWritable};
use crate::roots::FINGERPRINT;
use crate::store::{Store, StoreError, StoreSettings, Tx, Value, change_schema, statement, values};

/// What an export does.
#[derive(Debug, Clone, Copy)]
pub struct Export<'a> {
    /// The file to write: a new one, or one of the same export that was interrupted.
    pub file: &'a Path,
    /// Whether the database takes writes again at the end.
    pub reopen: bool,
}

/// Exports the database. It takes no writes from now on.
///
/// # Errors
/// If the database was made under another secret, the file is something else, or one of them can't be used.
pub async fn export(
    settings: &StoreSettings,
    roots: &[RootSecret],
    wanted: Export<'_>,
    tell: Tell<'_>,
) -> Result<Vec<Moved>, TransferError> {
    let store = Store::open_as_it_is(settings).await?;
    let exported = export_from(&store, roots, wanted, tell).await;
    store.close().await;
    exported
}

async fn export_from(
    store: &Store,
    roots: &[RootSecret],
    Export { file: path, reopen }: Export<'_>,
    tell: Tell<'_>,
) -> Result<Vec<Moved>, TransferError> {
    let root = root_of(store, roots).await?;
    let file = open(path)?;
    let columns = columns_moved(&store.tables().await?)?;
    let id = close(store).await?;
    let header = header(store, id, root.fingerprint(), columns).await?;
    let moved = header.tables.iter().map(|one| Moved { table: one.name.clone(), rows: one.rows });
    let moved: Vec<_> = moved.collect();
    if let Some(place) = begin(file, header.clone(), &file::key(root))? {
        write(store, &header, place, tell).await?;
    }
    private_file::sync_folder(path)?;
    if reopen {
        open_again(store).await?;
    }
    Ok(moved)
}

/// The root secret that the database was made under, if it is one of these.
async fn root_of<'a>(store: &Store, roots: &'a [RootSecret]) -> Result<&'a RootSecret, TransferError> {
    if State::of(store).await?.importing.is_some() {
        return Err(TransferError::new(
            "an import into this database is not finished",
            "run the same `doorward store import` again, then export",
        ));
    }
    let theirs = store.find_fact(FINGERPRINT).await?;
    roots.iter().find(|root| Some(root.fingerprint()) == theirs).ok_or_else(|| {
        let problem = "this database was made under another root secret";
        TransferError::new(problem, "run it with its DOORWARD_SECRET or its secret.key")
    })
}

/// The file, for this process alone.
fn open(path: &Path) -> Result<File, TransferError> {
    let shown = path.display();
    private_file::open(path).map_err(|error| match error {
        NotWritable::Failed(error) => {
            TransferError::new(format!("cannot write {shown}: {error}"), "name another file")
        }
        NotWritable::NotOurs => {
            TransferError::new(format!("{shown} is not a file of this user alone"), "name a new file")
        }
        NotWritable::Busy => TransferError::new(format!("another export is writing {shown}"), "wait for it"),
    })
}

/// Lets the tables refuse writes, and returns what tells this export from others. Closed already, it is the same
/// export, which was interrupted.
async fn close(store: &Store) -> Result<i64, StoreError> {
    if let Some(id) = State::of(store).await?.closed {
        return Ok(id);
    }
    let statements = store.closing(&super::tables::closed());
    let id = i64::from_be_bytes(crate::random::bytes()) & i64::MAX;
    store
        .transaction(async move |tx: &mut Tx| {
            // Two exports at once: one of them finds the other's number.
            if tx.begin_fact(CLOSED, id).await? {
                change_schema(tx, &statements).await?;
            }
            Ok(())
        })
        .await?;
    Ok(State::of(store).await?.closed.unwrap_or(id))
}

async fn header(
    store: &Store,
    id: i64,
    fingerprint: i64,
    columns: Vec<(&'static str, Vec<String>)>,
) -> Result<Header, StoreError> {
    let mut tables = Vec::new();
    for (name, columns) in columns {
        tables.push(Contents { rows: count(store, name).await?, name: name.to_owned(), columns });
    }
    let migration = Store::newest_migration();
    Ok(Header { doorward_export: file::FORM, id, migration, fingerprint, tables })
}

/// How many rows of a table are moved.
pub(super) async fn count(store: &Store, table: &str) -> Result<u64, StoreError> {
    let mine = rows_moved(table);
    let sql = statement(format!("SELECT CAST(COUNT(*) AS BIGINT) AS number FROM {table} WHERE {mine}"));
    let row = store.list(sql, values![]).await?.pop();
    let number: i64 = row.map_or(Ok(0), |row| row.get("number"))?;
    Ok(number.unsigned_abs())
}

/// Where an export goes on.
struct Place {
    file: File,
    mac: hmac::Context,
    /// How many rows are in the file.
    rows: u64,
    /// The last row's table, how many of its rows are in the file, and the row.
    last: Option<(usize, u64, Vec<Value>)>,
}

/// Begins the file, or finds the end of what an interrupted export has written; `None` if that was all.
fn begin(mut file: File, header: Header, key: &hmac::Key) -> Result<Option<Place>, TransferError> {
    let Some(mut reader) = Reader::new(&file, key)? else {
        let line = serde_json::to_string(&header).map_err(std::io::Error::from)? + "\n";
        let mut begun = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        (&file).take(line.len() as u64 + 1).read_to_end(&mut begun)?;
        if !line.as_bytes().starts_with(&begun) {
            return Err(file::not_ours());
        }
        private_file::make_private(&file)?;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(line.as_bytes())?;
        let mut mac = hmac::Context::with_key(key);
        mac.update(line.as_bytes());
        return Ok(Some(Place { file, mac, rows: 0, last: None }));
    };
    if reader.header != header {
        return Err(TransferError::new("the file holds another export", "name a new file"));
    }
    private_file::make_private(&file)?;
    let mut last: Option<(usize, u64, Vec<Value>)> = None;
    loop {
        match reader.next()? {
            Next::Row(table, row) => {
                let number = last.as_ref().filter(|last| last.0 == table).map_or(1, |last| last.1 + 1);
                last = Some((table, number, row));
            }
            Next::End => return Ok(None),
            Next::Torn | Next::Altered => break,
        }
    }
    file.set_len(reader.length)?;
    file.seek(SeekFrom::Start(reader.length))?;
    Ok(Some(Place { file, mac: reader.mac, rows: reader.rows, last }))
}

async fn write(store: &Store, header: &Header, place: Place, tell: Tell<'_>) -> Result<(), TransferError> {
    let Place { file, mut mac, mut rows, last } = place;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let total = header.tables.iter().map(|table| table.rows).sum();
    let (from, mut done, mut last) = match last {
        Some((table, done, row)) => (table, done, Some(row)),
        None => (0, 0, None),
    };
    for table in header.tables.iter().skip(from) {
        let pages = Pages::of(&table.name, &table.columns);
        loop {
            let page = pages.after(store, last.as_deref()).await?;
            for row in &page {
                let line = file::row_line(row);
                mac.update(line.as_bytes());
                out.write_all(line.as_bytes())?;
            }
            (done, rows) = (done + page.len() as u64, rows + page.len() as u64);
            tell(Progress { step: "exporting", done: rows, total });
            match page.into_iter().next_back() {
                Some(row) => last = Some(row),
                None => break,
            }
        }
        if done != table.rows {
            let problem = format!("{} has {} rows, and {done} were read", table.name, table.rows);
            return Err(TransferError::new(problem, "something wrote to it: see who else uses the database"));
        }
        (done, last) = (0, None);
    }
    out.write_all(file::end_line(rows, mac).as_bytes())?;
    out.flush()?;
    Ok(out.get_ref().sync_all()?)
}
