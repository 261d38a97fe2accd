//! A database that was restored from a backup: a server notices, and starts only when `doorward restored` has run.
//!
//! The data folder keeps the id of the newest entry of the audit log, as it was a moment ago. A database that lacks that
//! entry is older than the folder. A failover that lost the last commits looks the same: there a living node writes back
//! what it knows and says so in the log, and that is enough.

use std::path::{Path, PathBuf};

use doorward_core::token::Algorithm;
use doorward_core::{SessionId, Timestamp};

use super::App;
use crate::acts::{Act, Change, Done};
use crate::audit::{Action, By, Entry};
use crate::error::Result;
use crate::settings::{Settings, SettingsError};
use crate::store::{Database, Store, StoreError, Tx, values};

/// How many rows are changed in one transaction.
const BATCH: i64 = 1_000;

/// How often the database was restored.
pub(super) const TURNS: &str = "history";
const NEWEST: &str = "SELECT id, created_at FROM audit ORDER BY id DESC LIMIT 1";
const HAS: &str = "SELECT id FROM audit WHERE id = $1";
/// Whether any entry is so old: if not, the log may have been swept.
const OLDEST: &str = "SELECT created_at FROM audit ORDER BY id LIMIT 1";
const HEALED: &str = "SELECT id FROM audit WHERE id > $1 AND action = 'history_lost' ORDER BY id LIMIT 1";
const END_SOME: &str = "UPDATE sessions SET ended_at = $1, end_reason = 'restored' \
     WHERE id IN (SELECT id FROM sessions WHERE ended_at IS NULL ORDER BY id LIMIT $2)";
const RAISE_SOME: &str = "UPDATE users SET claims_version = $1 \
     WHERE id IN (SELECT id FROM users WHERE claims_version < $1 ORDER BY id LIMIT $2)";
const VOID: &str = "DELETE FROM challenges";
const FORMER: &str = "DELETE FROM former_credentials";
const USERS: &str = "SELECT CAST(count(*) AS BIGINT) AS count FROM users";

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

/// The newest entry of the audit log that a data folder has seen, and how often the database had been restored.
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

fn file(data: &Path) -> PathBuf {
    data.join("history")
}

/// Why this database is older than the data folder, if it is.
pub(super) async fn refusal(store: &Store, settings: &Settings) -> Result<Option<SettingsError>, StoreError> {
    let seen = std::fs::read_to_string(file(&settings.data)).ok();
    let Some(seen) = seen.as_deref().and_then(Seen::read) else { return Ok(None) };
    if matches!(settings.database(), Database::Memory) || store.fact(TURNS).await? != seen.turns {
        return Ok(None);
    }
    let has = store.find(HAS, values![seen.entry]).await?.is_some();
    let oldest = store.find(OLDEST, values![]).await?;
    let was_swept = match oldest {
        Some(row) => SessionId::new(row.get("created_at")?, [0; 10]) > seen.entry,
        None => false,
    };
    if has || was_swept || store.find(HEALED, values![seen.entry]).await?.is_some() {
        return Ok(None);
    }
    Ok(Some(SettingsError::new(
        "the database is older than this server's data folder: it was restored, or another one is named",
        "if it was restored, run `doorward restored`, which ends every session; if not, name the right database",
    )))
}

impl App {
    /// Notes in the data folder what the database has.
    pub(crate) async fn note_history(&self) -> Result<(), StoreError> {
        if matches!(self.settings.database(), Database::Memory) || self.clock.is_manual() {
            return Ok(());
        }
        let Some(newest) = self.store.find(NEWEST, values![]).await? else { return Ok(()) };
        let text = format!("{} {}\n", self.store.fact(TURNS).await?, newest.get::<SessionId>("id")?);
        let (path, new) = (file(&self.settings.data), file(&self.settings.data).with_extension("new"));
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &path));
        if let Err(error) = written {
            tracing::warn!(%error, "the data folder could not be written");
        }
        Ok(())
    }

    /// Takes over that the database was restored: memory from before counts no more, and followers begin again.
    pub(super) async fn take_over_history(&self, turns: i64) {
        if self.feed.begins_again(turns) {
            self.sessions.memory.forget_all().await;
            self.users.read_all_again();
        }
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
        self.in_batches(RAISE_SOME, now.as_micros() / 1_000).await?;
        if !keeps_sessions {
            ended = self.in_batches(END_SOME, now.as_micros()).await?;
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
            change.raise_fact(TURNS)?;
            Ok(Done::new((), entry.clone()))
        };
        // Last, so that a call that was cut off is run again.
        self.acts.commit(Act::new(By::CommandLine, now), turn).await?;
        let users = self.store.find(USERS, values![]).await?;
        let users = users.map_or(Ok(0), |row| row.get("count"))?;
        Ok(Restored { last_act, users, ended, kid })
    }

    async fn in_batches(&self, sql: &'static str, value: i64) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            let change = async move |tx: &mut Tx| tx.execute(sql, values![value, BATCH]).await;
            let changed = self.store.transaction(change).await?;
            all += changed;
            if changed < BATCH.unsigned_abs() {
                return Ok(all);
            }
        }
    }
}
