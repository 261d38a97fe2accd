//! What a feed of a million revocations costs: bytes, time until a follower has all of it, memory of the server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::Result;
use crate::server::{Cores, FEED_SECRET, Server, Signing};

const ENTRIES: u32 = 1_000_000;
/// The end of the century, in microseconds, so that none is swept.
const END: i64 = 4_102_444_800_000_000;
const FOLLOWERS: [usize; 2] = [1, 4];
/// Nothing may take longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Fills a database, starts a server over it, and follows.
pub(crate) fn measure(cores: Cores) -> Result<()> {
    let data = Arc::new(TempDir::new()?);
    drop(Server::doorward_over(cores, Signing::Default, data.clone(), &[])?);
    fill(&data.path().join("doorward.db"))?;
    let began = Instant::now();
    let server = Server::doorward_over(cores, Signing::Default, data, &[])?;
    println!("{ENTRIES} revocations in the database");
    println!("start over them                {:8.1} s", began.elapsed().as_secs_f64());
    println!("memory before anybody follows  {:8.0} MiB", server.memory()?);
    for followers in FOLLOWERS {
        let began = Instant::now();
        let followed = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..followers).map(|_| scope.spawn(|| follow(&server))).collect();
            let mut most = server.memory()?;
            while threads.iter().any(|thread| !thread.is_finished()) {
                std::thread::sleep(Duration::from_millis(20));
                most = most.max(server.memory()?);
            }
            let bytes = threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?);
            Ok::<_, crate::Error>((bytes.collect::<Result<Vec<usize>>>()?, most))
        })?;
        let (bytes, most) = followed;
        println!("\n{followers} at once");
        println!("until they have all of it      {:8.1} s", began.elapsed().as_secs_f64());
        println!(
            "bytes for each                 {:8.1} MB",
            bytes.first().map_or(0.0, |one| *one as f64 / 1e6)
        );
        println!("most memory of the server      {most:8.0} MiB");
    }
    Ok(())
}

/// Puts the entries into the tables as separate acts would have.
fn fill(database: &Path) -> Result<()> {
    let mut connection = Connection::open(database)?;
    let act = connection.transaction()?;
    let insert = "INSERT INTO revocations (session_id, user_id, reason, lane, position, created_at, expires_at) \
                  VALUES (?1, ?1, 'logout', 1, ?2, 0, ?3)";
    let mut insert = act.prepare(insert)?;
    for position in 1..=ENTRIES {
        // Scattered, like random ids.
        let id = u128::from(position).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        insert.execute(params![id.to_be_bytes(), position, END])?;
    }
    drop(insert);
    let position = "INSERT INTO lanes (id, position, owner, seen_at) VALUES (1, ?1, 'the bench', 0)";
    act.execute(position, params![ENTRIES])?;
    Ok(act.commit()?)
}

/// Follows until nothing is missing, and gives the number of bytes.
fn follow(server: &Server) -> Result<usize> {
    let mut stream = TcpStream::connect(server.address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /revocations HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nAuthorization: Bearer {FEED_SECRET}\r\n\r\n"
    )?;
    let (mut total, mut tail, mut bytes) = (0, Vec::new(), vec![0; 64 * 1024]);
    loop {
        let read = stream.read(&mut bytes)?;
        let piece = bytes.get(..read).unwrap_or_default();
        if piece.is_empty() {
            return Err(format!("the feed ended after {total} bytes").into());
        }
        total += read;
        tail.extend_from_slice(piece);
        if tail.windows(CURRENT.len()).any(|window| window == CURRENT) {
            return Ok(total);
        }
        let cut = tail.len().saturating_sub(CURRENT.len());
        tail.drain(..cut);
    }
}

const CURRENT: &[u8] = b"event: current";
