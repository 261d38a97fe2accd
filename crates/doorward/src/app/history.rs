//! A database that was restored from a backup: a server notices, and starts only when `doorward restored` has run.
//!
//! The data folder keeps the id of the newest entry of the audit log, as it was a moment ago. A database that lacks that
//! entry is older than the folder. A failover that lost the last commits looks the same: there a living node writes back
//! what it knows and says so in the log, and that is enough.
//!
//! It is not enough if the database was set back further than memory holds: then sessions are live again, and no node
//! knows any more that they had ended. A living node sees that, since it notes the newest entry again and again. It writes
//! `set_back` into the database, and then no server answers or starts before `doorward restored` has run.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorward_core::token::Algorithm;
use doorward_core::{SessionId, Timestamp};

use super::App;
use crate::acts::{Act, Change, Done};
use crate::audit::{Action, By, Entry};
use crate::clock::micros;
use crate::error::Result;
use crate::settings::{Settings, SettingsError};
use crate::store::{Database, Store, StoreError, Tx, values};

/// How many rows are changed in one transaction.
const BATCH: i64 = 1_000;

/// When the database was restored last, in milliseconds: it rises with each time, also if an older backup is restored.
pub(super) const TURNS: &str = "history";
/// Not 0 if the database is a backup, or was set back further than memory holds.
pub(super) const SET_BACK: &str = "set_back";
const TURN: &str = "INSERT INTO facts (name, value) VALUES ('history', $1) ON CONFLICT (name) DO UPDATE SET \
     value = CASE WHEN facts.value < excluded.value THEN excluded.value ELSE facts.value + 1 END";
const NEWEST: &str = "SELECT id, created_at FROM audit ORDER BY id DESC LIMIT 1";
const HAS: &str = "SELECT id FROM audit WHERE id = $1";
/// Whether any entry is so old: if not, the log may have been swept.
const OLDEST: &str = "SELECT created_at FROM audit ORDER BY id LIMIT 1";
const HEALED: &str = "SELECT id FROM audit WHERE id > $1 AND action = 'history_lost' ORDER BY id LIMIT 1";
/// Batches go on by id: each would otherwise pass over the rows of all before it.
const LIVE: Batches = Batches {
    last: "SELECT id FROM sessions WHERE ended_at IS NULL AND id > $1 ORDER BY id LIMIT 1 OFFSET $2",
    update: "UPDATE sessions SET ended_at = $1, end_reason = 'restored' \
         WHERE ended_at IS NULL AND id > $2 AND id <= $3",
};
const ALL_USERS: Batches = Batches {
    last: "SELECT id FROM users WHERE id > $1 ORDER BY id LIMIT 1 OFFSET $2",
    update: "UPDATE users SET claims_version = $1 WHERE id > $2 AND id <= $3 AND claims_version < $1",
};
const VOID: &str = "DELETE FROM challenges";
const FORMER: &str = "DELETE FROM former_credentials";
const USERS: &str = "SELECT CAST(count(*) AS BIGINT) AS count FROM users";

/// A change of a whole table, a batch at a time.
struct Batches {
    /// Finds the id that ends the batch after an id.
    last: &'static str,
    /// Changes the rows after an id, up to another.
    update: &'static str,
}

/// What `doorward restored` did.
#[derive(Debug, Clone)]
pub struct Restored {
    /// When the last act happened that the database has.
    pub last_act: Option<Timestamp>,
    /// How many accounts there are, each as it was then.
    pub users: i64,
    /// How many sessions were ended.
    pub ended: u64,
    /// The new signing key, unless a shared secret signs.
    pub kid: Option<String>,
}

/// The newest entry of the audit log that a data folder has seen, and when the database had been restored last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    turns: i64,
    entry: SessionId,
}

impl Seen {
    fn read(text: &str) -> Option<Self> {
        let (turns, entry) = text.trim().split_once(' ')?;
        Some(Self { turns: turns.parse().ok()?, entry: entry.parse().ok()? })
    }
}

/// What this process has seen of the history of its database.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The newest entries of the audit log, each as it was found; the latest find is the last one.
    found: Mutex<VecDeque<Found>>,
    /// When the database was whole for the last time, by [`Clock::ran`](crate::clock::Clock::ran) in microseconds.
    whole_at: AtomicI64,
    is_set_back: AtomicBool,
    /// Whether this process was away for longer than lanes are kept, and has not judged the database since.
    was_away: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Found {
    entry: SessionId,
    /// By [`Clock::ran`](crate::clock::Clock::ran).
    at: Duration,
}

impl History {
    fn found(&self) -> MutexGuard<'_, VecDeque<Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the newest entry that the database has. What is older than `span` is forgotten, but for one. Returns whether
    /// the database has not been set back since the last time.
    fn note(&self, new: Found, span: Duration) -> bool {
        let mut found = self.found();
        if found.back().is_some_and(|last| new.entry < last.entry) {
            return false;
        }
        found.push_back(new);
        while found.get(1).is_some_and(|second| new.at.saturating_sub(second.at) > span) {
            found.pop_front();
        }
        true
    }
}

const SET_BACK_FAR: &str = "was set back further than its servers remember";
const HINT: &str = "if it was restored, run `doorward restored`, which ends every session";

fn file(data: &Path) -> PathBuf {
    data.join("history")
}

/// Why this database is older than the data folder, if it is.
pub(super) async fn refusal(store: &Store, settings: &Settings) -> Result<Option<SettingsError>, StoreError> {
    if store.fact(SET_BACK).await? > 0 {
        let refusal = format!("the database is a backup, or {SET_BACK_FAR}");
        return Ok(Some(SettingsError::new(refusal, HINT)));
    }
    let seen = std::fs::read_to_string(file(&settings.data)).ok();
    let Some(seen) = seen.as_deref().and_then(Seen::read) else { return Ok(None) };
    let turns = store.fact(TURNS).await?;
    if matches!(settings.database(), Database::Memory) || turns > seen.turns {
        return Ok(None);
    }
    // A backup from before the last `doorward restored` has a lower number.
    if turns == seen.turns
        && (has(store, seen.entry).await? || store.find(HEALED, values![seen.entry]).await?.is_some())
    {
        return Ok(None);
    }
    Ok(Some(SettingsError::new(
        "the database is older than this server's data folder: it was restored, or another one is named",
        "if it was restored, run `doorward restored`, which ends every session; if not, name the right database",
    )))
}

/// Whether the database has this entry of the audit log, or has swept all entries of its time.
async fn has(store: &Store, entry: SessionId) -> Result<bool, StoreError> {
    if store.find(HAS, values![entry]).await?.is_some() {
        return Ok(true);
    }
    match store.find(OLDEST, values![]).await? {
        Some(row) => Ok(SessionId::new(row.get("created_at")?, [0; 10]) > entry),
        None => Ok(false),
    }
}

impl App {
    /// Notes in the data folder what the database has.
    pub(crate) async fn note_history(&self) -> Result<(), StoreError> {
        if matches!(self.settings.database(), Database::Memory) || self.clock.is_manual() {
            return Ok(());
        }
        let Some(newest) = self.store.find(NEWEST, values![]).await? else { return Ok(()) };
        let entry = newest.get::<SessionId>("id")?;
        if !self.history.note(Found { entry, at: self.clock.ran() }, self.revocations.remembered_for()) {
            return Ok(());
        }
        let text = format!("{} {entry}\n", self.store.fact(TURNS).await?);
        let (path, new) = (file(&self.settings.data), file(&self.settings.data).with_extension("new"));
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &path));
        if let Err(error) = written {
            // A server on PostgreSQL needs no data folder.
            let is_absent = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ReadOnlyFilesystem);
            if !is_absent || self.settings.database.is_none() {
                tracing::warn!(%error, "the data folder could not be written");
            }
        }
        Ok(())
    }

    /// Takes over that the database was restored: memory from before counts no more, and followers begin again. If it was
    /// restored earlier than is known here, it is a backup from before that.
    ///
    /// # Errors
    /// The store's; the next look tries again.
    pub(super) async fn take_over_history(&self, turns: i64) -> Result<(), StoreError> {
        if turns < self.feed.turns() {
            self.note_set_back().await?;
        }
        if self.feed.begins_again(turns) {
            self.history.found().clear();
            self.note_whole();
            self.sessions.memory.forget_all().await;
            self.users.read_all_again();
        }
        Ok(())
    }

    /// This process was away for longer than lanes are kept: they tell nothing about lost commits.
    pub(super) fn note_absence(&self) {
        self.history.was_away.store(true, Ordering::Relaxed);
    }

    /// After an absence: the newest entry that was seen before says whether the database was set back meanwhile.
    ///
    /// # Errors
    /// The store's; the next look tries again.
    pub(super) async fn judge_absence(&self) -> Result<(), StoreError> {
        if !self.history.was_away.load(Ordering::Relaxed) {
            return Ok(());
        }
        let newest = self.history.found().back().copied();
        match newest {
            Some(Found { entry, .. }) if !has(&self.store, entry).await? => self.note_set_back().await?,
            _ => self.note_whole(),
        }
        self.history.was_away.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Notes in the database that no server may answer or start.
    async fn note_set_back(&self) -> Result<(), StoreError> {
        self.take_over_set_back(true);
        self.tell_set_back();
        self.store.transaction(async move |tx: &mut Tx| tx.raise_fact(SET_BACK)).await
    }

    /// Whether no request may be answered: the database was set back further than memory holds.
    pub(crate) fn is_set_back(&self) -> bool {
        self.history.is_set_back.load(Ordering::Relaxed)
    }

    /// Takes over whether the database was set back so far, as some server noted in it.
    pub(super) fn take_over_set_back(&self, is_set_back: bool) {
        self.history.is_set_back.store(is_set_back, Ordering::Relaxed);
    }

    /// Says, each time that it is called, that nothing is answered.
    pub(super) fn tell_set_back(&self) {
        if self.is_set_back() {
            tracing::error!("the database {SET_BACK_FAR}, so nothing is answered: {HINT}");
        }
    }

    /// The database has lost nothing so far.
    pub(super) fn note_whole(&self) {
        self.history.whole_at.store(micros(self.clock.ran()), Ordering::Relaxed);
    }

    /// The database has lost commits. If they reach further back than memory holds, nothing is answered any more. Memory is
    /// swept once in `swept_every`.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn judge_loss(&self, swept_every: Duration) -> Result<(), StoreError> {
        let found = self.history.found().clone();
        if found.is_empty() {
            return Ok(());
        }
        let (whole_at, span) =
            (self.history.whole_at.load(Ordering::Relaxed), micros(self.revocations.remembered_for()));
        // While the database is away nothing is lost; but memory is swept.
        let was_away_for = micros(self.clock.ran()).saturating_sub(whole_at);
        let is_remembered = was_away_for <= span.saturating_add(micros(swept_every));
        for Found { entry, at } in found.into_iter().rev() {
            if has(&self.store, entry).await? {
                if is_remembered && whole_at.saturating_sub(micros(at)) <= span {
                    return Ok(());
                }
                break;
            }
        }
        self.note_set_back().await
    }

    /// Makes a restored database safe: what was ended, changed or made since the backup is unknown. So every session
    /// ends, all keys are replaced, and every challenge is void. With `keeps_sessions`, for a database that has lost
    /// nothing, only its history is accepted.
    ///
    /// # Errors
    /// The store's. It can be run again.
    pub async fn restored(&self, keeps_sessions: bool) -> Result<Restored> {
        let now = self.now();
        let last_act = self.store.find(NEWEST, values![]).await?;
        let last_act = last_act.map(|row| row.get("created_at")).transpose()?;
        let (mut ended, mut kid) = (0, None);
        // Above all that were given: guards may know some that this database has forgotten, and new tokens must be good
        // there.
        self.in_batches(ALL_USERS, now.as_micros() / 1_000).await?;
        if !keeps_sessions {
            ended = self.in_batches(LIVE, now.as_micros()).await?;
            for void in [VOID, FORMER] {
                self.store.execute(void, values![]).await?;
            }
            let (algorithm, _) = self.keys.signs_with();
            if algorithm != Algorithm::Hs256 {
                kid = Some(self.keys.replace(algorithm, now).await?);
            }
        }
        let detail =
            if keeps_sessions { "sessions kept".to_owned() } else { format!("{ended} sessions ended") };
        let entry = Entry::of(Action::Restored).detail(detail);
        let turn = async move |change: &mut Change<'_>| -> Result<_, StoreError> {
            change.queue(TURN, values![now.as_micros() / 1_000])?;
            change.set_fact(SET_BACK, 0)?;
            Ok(Done::new((), entry.clone()))
        };
        // Last, so that a call that was cut off is run again.
        self.acts.commit(Act::new(By::CommandLine, now), turn).await?;
        let users = self.store.find(USERS, values![]).await?;
        let users = users.map_or(Ok(0), |row| row.get("count"))?;
        Ok(Restored { last_act, users, ended, kid })
    }

    async fn in_batches(&self, batches: Batches, value: i64) -> Result<u64, StoreError> {
        let (mut all, mut after) = (0, [0; 16]);
        loop {
            let last = self.store.find(batches.last, values![after, BATCH]).await?;
            let last = last.map(|row| row.get::<[u8; 16]>("id")).transpose()?;
            let until = last.unwrap_or([0xff; 16]);
            all += self.store.execute(batches.update, values![value, after, until]).await?;
            let Some(id) = last else { return Ok(all) };
            after = id;
        }
    }
}
