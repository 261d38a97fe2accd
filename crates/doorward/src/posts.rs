//! Forms that are sent twice, by a double click or a reload. A form is remembered for a minute with its outcome, so
//! that a repeat ends the same way and runs nothing again (attack X23). A form that showed a secret runs again, and its
//! result replaces the first.
//!
//! A row has the keyed hash of the form, and no credential. Without the root secret, the hash can't be used to guess
//! passwords.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac;
use doorward_core::{Purpose, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::error::{Error, FieldError};
use crate::roots::Roots;
use crate::store::{Column, Row, Store, StoreError, Tx, Value, values};
use crate::sweeps::Expired;

/// How long a form is remembered.
const TTL: Duration = Duration::from_secs(60);
/// How many are remembered for one user, or for one network. A further one is handled as if it were sent once.
const PER_OWNER: i64 = 300;
/// How long after its act the outcome of a form may still be written. After that, the process that ran it is considered
/// dead.
const LOST_AFTER: Duration = Duration::from_secs(5);

/// How often to try to claim a form that others delete meanwhile.
const TRIES: usize = 3;

const CLAIM: &str = "INSERT INTO form_posts (hash, owner, created_at, expires_at) \
     SELECT $1, $2, $3, $4 WHERE (SELECT COUNT(*) FROM form_posts WHERE owner = $2 AND expires_at > $3) < $5 \
     ON CONFLICT (hash) DO UPDATE SET owner = excluded.owner, created_at = excluded.created_at, \
     expires_at = excluded.expires_at, done_at = NULL, session_id = NULL, outcome = NULL, \
     made_id = CASE WHEN form_posts.created_at > $6 THEN form_posts.made_id END WHERE form_posts.expires_at <= $3";
const FIND: &str = "SELECT created_at, done_at, session_id, outcome, made_id FROM form_posts \
     WHERE hash = $1 AND expires_at > $2";
const FIND_MADE: &str = "SELECT made_id FROM form_posts WHERE hash = $1";
const NOTE_MADE: &str = "UPDATE form_posts SET made_id = $2 WHERE hash = $1";
const COMMITTED: &str =
    "UPDATE form_posts SET done_at = $2, session_id = COALESCE($3, session_id) WHERE hash = $1";
const ENDED: &str = "UPDATE form_posts SET outcome = $3 WHERE hash = $1 AND created_at = $2";
const FORGET: &str = "DELETE FROM form_posts \
     WHERE hash = $1 AND created_at = $2 AND (session_id = $3 OR $3 IS NULL) AND made_id IS NULL";
/// A repeat runs, and finds what the first one made.
const SWEEP: &str = "DELETE FROM form_posts WHERE hash IN (SELECT hash FROM form_posts WHERE expires_at <= $1 \
     AND created_at <= $2 ORDER BY expires_at LIMIT $3)";
const RUN_AGAIN: &str = "UPDATE form_posts SET expires_at = created_at \
     WHERE hash = $1 AND created_at = $2 AND made_id IS NOT NULL";

/// The keyed hash of a form: its address, key, cookie and fields.
pub(crate) type Hash = [u8; 32];

/// How a form ended, without any credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// The browser was redirected.
    Went {
        place: String,
        /// Whether the cookies were cleared.
        is_out: bool,
        /// Whether a credential was handed out.
        is_in: bool,
    },
    /// It was refused.
    Refused {
        code: String,
        message: String,
        fields: Vec<FieldError>,
        /// Whether the form was shown again.
        in_form: bool,
    },
}

/// What is known of a form.
#[derive(Debug)]
pub(crate) enum Known {
    /// It is the first: run it.
    First(Timestamp),
    /// The first still runs.
    Runs,
    /// It ended.
    Ended(Ended),
    /// Nothing, since its user or network sent too many.
    Unknown,
}

/// A form that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// When it arrived.
    pub(crate) created_at: Timestamp,
    /// When its act was committed.
    pub(crate) done_at: Option<Timestamp>,
    /// The session whose credential it handed out.
    pub(crate) session: Option<SessionId>,
    /// Whether its page showed a secret, which can't be shown again.
    pub(crate) showed_secret: bool,
    /// The outcome; `None` if the process that ran it died between its act and the answer.
    pub(crate) outcome: Option<Outcome>,
}

tokio::task_local! {
    static CURRENT: Current;
}

/// The form that a task answers.
struct Current {
    hash: Hash,
    /// The error to refuse it with, since the first one was refused.
    refusal: Option<Error>,
    /// Whether its handler asked for that.
    asked: AtomicBool,
}

/// The form that this task answers, for the transaction of its act.
pub(crate) fn current() -> Option<Hash> {
    CURRENT.try_with(|current| current.hash).ok()
}

/// The error to refuse a repeated form with, before its handler does anything.
pub(crate) fn refusal() -> Option<Error> {
    let of = |current: &Current| {
        current.asked.store(true, Ordering::Relaxed);
        current.refusal.clone()
    };
    CURRENT.try_with(of).ok().flatten()
}

/// Answers a form within `run`; with `refusal`, only by that. Also returns whether the handler can be refused like
/// that.
pub(crate) async fn answering<T>(
    hash: Hash,
    refusal: Option<Error>,
    run: impl Future<Output = T>,
) -> (T, bool) {
    let current = Current { hash, refusal, asked: AtomicBool::new(false) };
    let answer = async {
        let answer = run.await;
        (answer, CURRENT.try_with(|current| current.asked.load(Ordering::Relaxed)).unwrap_or(false))
    };
    CURRENT.scope(current, answer).await
}

/// Records within an act's transaction that a form's act is done, and which session it began. If that
/// fails, `failure` is set.
pub(crate) fn committed(
    tx: &mut Tx,
    form: Hash,
    now: Timestamp,
    session: Option<SessionId>,
    failure: &Arc<AtomicBool>,
) -> Result<(), StoreError> {
    tx.queue_noting(COMMITTED, values![form, now, session], failure)
}

/// Records within an act's transaction the link or client that a form makes, whose secret its page shows. Returns the
/// one that it made when it was sent before: nobody saw that page, so that one is removed.
pub(crate) async fn made<Id: Column + Into<Value>>(
    tx: &mut Tx,
    form: Option<Hash>,
    id: Id,
) -> Result<Option<Id>, StoreError> {
    let Some(form) = form else { return Ok(None) };
    let former = tx.find(FIND_MADE, values![form]).await?;
    let former = former.map(|row| row.get::<Option<Id>>("made_id")).transpose()?.flatten();
    let id: Value = id.into();
    tx.queue(NOTE_MADE, values![form, id])?;
    Ok(former)
}

/// The forms that were sent within the last minute.
pub(crate) struct Posts {
    store: Store,
    clock: Clock,
    key: hmac::Key,
}

impl Posts {
    pub(crate) fn new(store: Store, clock: Clock, roots: &Roots) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, roots.first().derive(Purpose::FormPosts).expose());
        Self { store, clock, key }
    }

    /// The keyed hash of these parts, with clear bounds between them.
    pub(crate) fn hash(&self, parts: &[&[u8]]) -> Hash {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut hash = Hash::default();
        hash.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        hash
    }

    /// Claims a form, or returns what is known of it. `owner` is the user or network that sent it.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn claim(&self, hash: Hash, owner: &str) -> Result<Known, StoreError> {
        let now = self.clock.now();
        for _ in 0..TRIES {
            let values = values![hash, owner.to_owned(), now, now + TTL, PER_OWNER, now - TTL];
            if self.store.execute(CLAIM, values).await? == 1 {
                return Ok(Known::First(now));
            }
            // Without a row, the first one was deleted in between, or its owner sent too many.
            if let Some(row) = self.store.find(FIND, values![hash, now]).await? {
                return known(&row, now);
            }
        }
        Ok(Known::Unknown)
    }

    /// Records the outcome of a form that arrived at `created_at`.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn ended(
        &self,
        hash: Hash,
        created_at: Timestamp,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        let text = serde_json::to_string(outcome).unwrap_or_default();
        self.store.execute(ENDED, values![hash, created_at, text]).await.map(drop)
    }

    /// Deletes a form that arrived at `created_at`, so that a repeat runs. With a session, only while that is the one
    /// that it began.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn forget(
        &self,
        hash: Hash,
        created_at: Timestamp,
        session: Option<SessionId>,
    ) -> Result<(), StoreError> {
        self.store.execute(RUN_AGAIN, values![hash, created_at]).await?;
        self.store.execute(FORGET, values![hash, created_at, session]).await.map(drop)
    }
}

/// What a form's row says.
fn known(row: &Row, now: Timestamp) -> Result<Known, StoreError> {
    let outcome: Option<String> = row.get("outcome")?;
    let outcome = outcome.and_then(|text| serde_json::from_str(&text).ok());
    let showed_secret = row.get::<Option<Vec<u8>>>("made_id")?.is_some();
    let ended = Ended {
        created_at: row.get("created_at")?,
        done_at: row.get("done_at")?,
        session: row.get("session_id")?,
        showed_secret,
        outcome,
    };
    let is_lost = ended.done_at.is_some_and(|done_at| now >= done_at + LOST_AFTER);
    Ok(if ended.outcome.is_some() || is_lost { Known::Ended(ended) } else { Known::Runs })
}

/// What is too old.
pub(crate) fn expired(now: Timestamp) -> Expired {
    Expired::of("form_posts", SWEEP, values![now, now - TTL])
}
