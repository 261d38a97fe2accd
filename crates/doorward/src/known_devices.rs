//! Known devices: the secret that a browser or program presents at its next sign-in. With it, other people's guesses
//! from the same network don't lock the owner out (attack X11).
//!
//! A device holds a random secret for each account, for at most five accounts; the store has their hashes. It gives
//! extra failures at that account, and nothing else. An account knows its ten latest devices. A password reset and an
//! admin's "sign out everywhere" void them for good: the next sign-in makes a new secret.

use std::time::Duration;

use doorward_core::{OpaqueSecret, Timestamp, UserId};

use crate::store::{Asked, Statement, Store, StoreError, Tx, Value, values};
use crate::sweeps::Expired;
use crate::wire::device::{ACCOUNTS, Device};

/// How long a device is known from its last sign-in: as long as browsers keep a cookie.
pub(crate) const TTL: Duration = Duration::from_secs(400 * 86_400);

/// A device that some account knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// The smallest hash of its secrets that count.
    pub(crate) device: [u8; 32],
    /// The hash of its secret for this account, if the account knows it.
    pub(crate) known: Option<[u8; 32]>,
}

/// The device of a sign-in, and its new secret if the account doesn't know it.
#[derive(Debug, Clone)]
pub(crate) struct Presented {
    device: Device,
    fresh: OpaqueSecret,
}

const SEEN: &str = "SELECT hash FROM devices WHERE hash IN ($1, $2, $3, $4, $5) ORDER BY hash LIMIT 1";
const KNOWN: &str = "SELECT hash FROM devices WHERE hash IN ($1, $2, $3, $4, $5) AND user_id = $6 LIMIT 1";
const USE: &str = "UPDATE devices SET used_at = $3 WHERE hash = $1 AND user_id = $2";
const INSERT: &str = "INSERT INTO devices (hash, user_id, used_at) VALUES ($1, $2, $3)";
const KEEP_TEN: &str = "DELETE FROM devices WHERE user_id = $1 AND hash IN (SELECT hash FROM devices \
     WHERE user_id = $1 AND hash <> $2 ORDER BY used_at DESC, hash LIMIT 1000 OFFSET 9)";
const ANY: &str = "SELECT hash FROM devices WHERE user_id = $1 LIMIT 1";
const VOID: &str = "DELETE FROM devices WHERE user_id = $1";
const SWEEP: &str = "DELETE FROM devices WHERE hash IN (SELECT hash FROM devices WHERE used_at < $1 \
     ORDER BY used_at LIMIT $2)";

impl Presented {
    /// A sign-in by this device.
    pub(crate) fn new(device: Device) -> Self {
        Self { device, fresh: OpaqueSecret::new(crate::random::bytes()) }
    }
}

/// As many hashes as the maximum; the last one is repeated for missing ones.
fn hashes(device: &Device) -> Option<Vec<Value>> {
    let secrets = device.secrets();
    let all = secrets.iter().chain(std::iter::repeat(secrets.last()?)).take(ACCOUNTS);
    Some(all.map(|secret| Value::from(secret.hash())).collect())
}

/// The device, if any account knows it. An account that doesn't exist takes the same work.
pub(crate) async fn find(
    store: &Store,
    device: &Device,
    account: Option<UserId>,
) -> Result<Option<Seen>, StoreError> {
    let Some(hashes) = hashes(device) else { return Ok(None) };
    let Some(row) = store.find(SEEN, hashes.clone()).await? else { return Ok(None) };
    let account = account.unwrap_or(UserId::from_bytes([0; 16]));
    let known = store.find(KNOWN, [hashes, values![account]].concat()).await?;
    Ok(Some(Seen { device: row.get("hash")?, known: known.map(|row| row.get("hash")).transpose()? }))
}

/// Asks within a sign-in's transaction which of the device's secrets the account knows, for [`note`].
pub(crate) fn ask_known(
    tx: &mut Tx,
    user: UserId,
    presented: &Presented,
) -> Result<Option<Asked>, StoreError> {
    let Some(hashes) = hashes(&presented.device) else { return Ok(None) };
    tx.ask(KNOWN, [hashes, values![user]].concat()).map(Some)
}

/// Records the device of a sign-in within its transaction, and returns what the device presents from now on. `known` is
/// the answer to [`ask_known`].
pub(crate) async fn note(
    tx: &mut Tx,
    user: UserId,
    presented: &Presented,
    known: Option<Asked>,
    now: Timestamp,
) -> Result<Device, StoreError> {
    if let Some(known) = known
        && let Some(row) = tx.answer(known).await?.into_first()
    {
        let hash: [u8; 32] = row.get("hash")?;
        tx.queue(USE, values![hash, user, now])?;
        let known = presented.device.secrets().iter().find(|secret| secret.hash() == hash);
        return Ok(presented.device.with_first(known.unwrap_or(&presented.fresh).clone()));
    }
    let hash = presented.fresh.hash();
    tx.queue(INSERT, values![hash, user, now])?;
    tx.queue(KEEP_TEN, values![user, hash])?;
    Ok(presented.device.with_first(presented.fresh.clone()))
}

/// The read of whether the account knows any device: a row if it does.
pub(crate) fn any(user: UserId) -> Statement {
    Statement { sql: ANY, values: values![user] }
}

/// Makes the account forget all devices, within its act's transaction.
pub(crate) fn void(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    tx.queue(VOID, values![user])
}

/// Devices whose last sign-in is so old that no browser has their cookie any more.
pub(crate) fn expired(now: Timestamp) -> Expired {
    Expired::of("devices", SWEEP, values![now - TTL])
}
