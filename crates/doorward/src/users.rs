//! Users: the account, and the cache that signed-in pages read it from.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use doorward_core::email::Email;
use doorward_core::message::Message;
use doorward_core::name::DisplayName;
use doorward_core::password::{Password, check_policy};
use doorward_core::role::RoleName;
use doorward_core::sign_in::Enrolled;
use doorward_core::{ClaimsVersion, Timestamp, UserId};
use quick_cache::sync::Cache;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use unicode_normalization::UnicodeNormalization;

use crate::authenticators::CredentialsVersion;
use crate::error::{Error, Result};
use crate::flow::{self, Fact, Label, Step, Verb, note, tell};
use crate::store::{Asked, Follower, Row, Statement, Store, StoreError, Tx, values};
use crate::wire::shape::shown;

/// How many users are kept in memory for signed-in pages.
const CACHED: usize = 10_000;

/// Who vouched that an address belongs to the owner of an account. What its owner typed is not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VouchedBy {
    /// An admin, who made the account or wrote the address.
    Admin,
    /// The maker of an invitation for this address and no other.
    Invitation,
    /// The command line.
    CommandLine,
}

impl VouchedBy {
    /// The name in the store and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Invitation => "invitation",
            Self::CommandLine => "command_line",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::Admin, Self::Invitation, Self::CommandLine].into_iter().find(|one| one.as_str() == text)
    }
}

/// An account, without its authenticators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The stable id.
    pub id: UserId,
    /// The name as its owner writes it.
    pub name: String,
    /// The primary address, in canonical form.
    pub email: Email,
    /// Who vouched for the address; without a voucher it is not sent to applications.
    pub email_vouched_by: Option<VouchedBy>,
    /// The one role.
    pub role: RoleName,
    /// When the account was made.
    pub created_at: Timestamp,
    /// Since when it may not sign in.
    pub disabled_at: Option<Timestamp>,
}

shown! {
    /// A user as the owner and the API see it.
    pub struct UserView<'a> as "User" {
        /// The stable id.
        id: UserId,
        /// The name as its owner writes it.
        name: &'a str,
        /// The address, in canonical form.
        email: &'a str,
        /// The one role.
        role: RoleName,
        /// When the account was made.
        created_at: String,
    }
}

impl User {
    /// What the owner may see.
    pub fn shown(&self) -> UserView<'_> {
        let (name, email) = (self.name.as_str(), self.email.as_str());
        UserView { id: self.id, name, email, role: self.role, created_at: rfc3339(self.created_at) }
    }
}

/// The user's part of a token. Read it only from a row that the act itself has written or read in its transaction. A
/// version with another version's role would keep the old role in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) user: UserId,
    pub(crate) role: RoleName,
    pub(crate) version: ClaimsVersion,
}

impl Subject {
    /// The subject of a row with `role, claims_version`.
    pub(crate) fn of(user: UserId, row: &Row) -> Result<Self, StoreError> {
        Ok(Self { user, role: row.get("role")?, version: row.get("claims_version")? })
    }
}

/// Writes the row of an enabled user, as [`LOCK`] does.
const LOCK_ENABLED: &str = "UPDATE users SET updated_at = updated_at WHERE id = $1 AND disabled_at IS NULL \
     AND (CAST($2 AS BIGINT) IS NULL OR credentials_version = $2) RETURNING role, claims_version, \
     (SELECT string_agg(kind, ' ') FROM authenticators WHERE user_id = users.id) AS kinds";

/// An enabled user, whose row the act has locked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Enabled {
    pub(crate) subject: Subject,
    pub(crate) enrolled: Enrolled,
}

/// Asks for what [`enabled`] tells, and locks the row of the user.
pub(crate) fn ask_enabled(
    tx: &mut Tx,
    user: UserId,
    proved_at: Option<CredentialsVersion>,
) -> Result<Asked, StoreError> {
    tx.ask(LOCK_ENABLED, values![user, proved_at])
}

/// The answer to [`ask_enabled`].
pub(crate) async fn enabled(tx: &mut Tx, user: UserId, asked: Asked) -> Result<Option<Enabled>, StoreError> {
    let Some(row) = tx.answer(asked).await?.into_first() else { return Ok(None) };
    let kinds = row.get::<Option<String>>("kinds")?.unwrap_or_default();
    Ok(Some(Enabled { subject: Subject::of(user, &row)?, enrolled: Enrolled::of_kinds(&kinds) }))
}

/// Locks the row of a user within an act's transaction; `None` if there is no such user, they are disabled, or an
/// authenticator of theirs changed since the version at which they proved their identity.
pub(crate) async fn lock_enabled(
    tx: &mut Tx,
    user: UserId,
    proved_at: Option<CredentialsVersion>,
) -> Result<Option<Enabled>, StoreError> {
    let asked = ask_enabled(tx, user, proved_at)?;
    enabled(tx, user, asked).await
}

/// The next version is the greater of the old one plus one and the store's time. So none is given twice, even if a
/// failover or a restored backup has lost the last ones.
const RAISE: &str = "UPDATE users SET claims_version = (SELECT CASE WHEN users.claims_version < millis THEN millis \
     ELSE users.claims_version + 1 END FROM store_time) WHERE id = $1 RETURNING role, claims_version";

/// Makes every earlier token of this user stale, within an act's transaction; `None` if there is no such user.
pub(crate) async fn raise_version(tx: &mut Tx, user: UserId) -> Result<Option<Subject>, StoreError> {
    tx.find(RAISE, values![user]).await?.map(|row| Subject::of(user, &row)).transpose()
}

/// Reads a row with `id, name, email, role, created_at, disabled_at, email_vouched_by`.
pub(crate) fn read(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: row.get("id")?,
        name: row.get("name")?,
        email: row.get("email")?,
        role: row.get("role")?,
        created_at: row.get("created_at")?,
        disabled_at: row.get("disabled_at")?,
        email_vouched_by: row.get::<Option<String>>("email_vouched_by")?.as_deref().and_then(VouchedBy::read),
    })
}

/// The text of a query for users with their primary addresses: the columns of [`read`], and a condition.
macro_rules! select_users {
    ($condition:literal) => {
        concat!(
            "SELECT u.id, u.name, e.address AS email, e.verified_by AS email_vouched_by, u.role, u.created_at, \
             u.disabled_at, u.claims_version, u.credentials_version FROM users u \
             JOIN emails e ON e.user_id = u.id AND e.is_primary = 1 ",
            $condition
        )
    };
}

/// A user, whose row an act has locked or is about to lock.
pub(crate) const FIND: &str = select_users!("WHERE u.id = $1");
/// The same, with the hash of the password.
macro_rules! select_accounts {
    ($condition:literal) => {
        concat!(
            "SELECT u.id, u.name, e.address AS email, e.verified_by AS email_vouched_by, u.role, u.created_at, \
             u.disabled_at, u.credentials_version, a.data AS password_hash FROM users u \
             JOIN emails e ON e.user_id = u.id AND e.is_primary = 1 \
             LEFT JOIN authenticators a ON a.kind = 'password' AND a.identifier = u.id ",
            $condition
        )
    };
}

const BY_ID: &str = select_accounts!("WHERE u.id = $1");
const BY_EMAIL: &str = select_accounts!("WHERE e.address = $1");
const ANY_ADMIN: &str = "SELECT id FROM users WHERE role = 'admin' AND disabled_at IS NULL LIMIT 1";
const ANY: &str = "SELECT id FROM users LIMIT 1";

/// Locks a user's row by writing it without a change. The rest of the transaction comes after every other act that did
/// so, and before every later one.
pub(crate) const LOCK: &str = "UPDATE users SET updated_at = updated_at WHERE id = $1";

/// A user, with their proofs.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user.
    pub user: User,
    /// The hash of the password, if one is set.
    pub(crate) password_hash: Option<String>,
    /// The version of all authenticators together.
    pub(crate) credentials: CredentialsVersion,
}

impl Account {
    /// True if a password is set.
    pub fn has_password(&self) -> bool {
        self.password_hash.is_some()
    }
}

/// Finds users.
///
/// A user in memory is replaced, never dropped: while the store can't be read, the old one is shown.
pub struct Users {
    store: Store,
    cache: Cache<UserId, Arc<Cached>>,
    ready: Vec<fn(&User) -> Bytes>,
    /// How many changes of users were recorded.
    changes: AtomicU64,
    /// Rises when every user must be read again.
    round: AtomicU64,
    followed: Mutex<Followed>,
}

/// Other nodes' changes that are known.
#[derive(Default)]
struct Followed {
    /// All until here, except those whose commit was late.
    to: Option<Timestamp>,
    /// Those that were read last.
    users: HashSet<(UserId, Timestamp)>,
}

/// How late a commit may be, behind the time that its rows have.
const LATE: Duration = Duration::from_secs(10);
/// How many changed users are read one by one.
const CHANGED_AT_ONCE: i64 = 1_000;
const CHANGED_SINCE: &str =
    "SELECT id, updated_at FROM users WHERE updated_at > $1 ORDER BY updated_at LIMIT $2";

/// The round of a changed user, who must be read again at once.
const CHANGED: u64 = u64::MAX;

/// A user in memory, with the prepared answers to the most frequent requests of programs.
pub struct Cached {
    /// The user.
    pub user: User,
    /// The answers, in the order of their makers.
    pub(crate) ready: Box<[Bytes]>,
    /// The round that it is good for.
    round: AtomicU64,
}

impl Users {
    /// Users of this store; `ready` makes the answers that are kept with each user in memory.
    pub(crate) fn new(store: Store, ready: Vec<fn(&User) -> Bytes>) -> Self {
        let (changes, round, followed) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::default());
        Self { store, cache: Cache::new(CACHED), ready, changes, round, followed }
    }

    /// Reads a user from the store.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        let started = flow::started();
        let found = account(self.store.find(BY_ID, values![id]).await?)?;
        note(|| {
            Step::check(Verb::FindUser, found.is_some())
                .since(started)
                .fact(Fact::text(Label::Where, "by id"))
        });
        Ok(found)
    }

    /// Reads the user with this address from the store.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        let started = flow::started();
        let Statement { sql, values } = Self::by_email(email);
        let found = account(self.store.find(sql, values).await?)?;
        Self::note_by_email(found.as_ref(), started);
        Ok(found)
    }

    /// The query of [`Users::find_by_email`].
    pub(crate) fn by_email(email: &Email) -> Statement {
        Statement { sql: BY_EMAIL, values: values![email] }
    }

    /// The account that [`Users::by_email`] found.
    ///
    /// # Errors
    /// If the row is invalid.
    pub(crate) fn found_by_email(rows: Vec<Row>) -> Result<Option<Account>, StoreError> {
        let found = account(rows.into_iter().next())?;
        Self::note_by_email(found.as_ref(), flow::started());
        Ok(found)
    }

    fn note_by_email(found: Option<&Account>, started: Option<tokio::time::Instant>) {
        note(|| {
            let step = Step::check(Verb::FindUser, found.is_some()).since(started);
            step.fact(Fact::text(Label::Where, "by email address"))
        });
        if let Some(account) = found {
            tell(|story| story.user = Some(account.user.id));
        }
    }

    /// Whether there is an enabled user who may do everything.
    ///
    /// # Errors
    /// The store's.
    pub async fn have_admin(&self) -> Result<bool, StoreError> {
        Ok(self.store.find(ANY_ADMIN, values![]).await?.is_some())
    }

    /// Whether there is a user.
    ///
    /// # Errors
    /// The store's.
    pub async fn have_any(&self) -> Result<bool, StoreError> {
        Ok(self.store.find(ANY, values![]).await?.is_some())
    }

    /// The user, if memory has it as it is now.
    pub fn find_in_memory(&self, id: UserId) -> Option<Arc<Cached>> {
        let round = self.round.load(Ordering::Acquire);
        self.cache.get(&id).filter(|cached| cached.round.load(Ordering::Acquire) == round)
    }

    /// The user from memory, or from the store once. If the store can't be read, the old one from memory.
    ///
    /// # Errors
    /// The store's.
    pub async fn cached(&self, id: UserId) -> Result<Option<Arc<Cached>>, StoreError> {
        match self.find_in_memory(id) {
            Some(cached) => Ok(Some(cached)),
            // Boxed, so that the usual path reserves no room for the store's.
            None => Box::pin(self.fill(id)).await,
        }
    }

    async fn fill(&self, id: UserId) -> Result<Option<Arc<Cached>>, StoreError> {
        let (changes, round) = (self.changes.load(Ordering::SeqCst), self.round.load(Ordering::SeqCst));
        let user = match self.find(id).await {
            Ok(Some(account)) => account.user,
            Ok(None) => {
                self.cache.remove(&id);
                return Ok(None);
            }
            Err(error) => return self.cache.get(&id).map(|old| Some(old.kept_for(round))).ok_or(error),
        };
        let ready = self.ready.iter().map(|json| json(&user)).collect();
        let cached = Arc::new(Cached { user, ready, round: AtomicU64::new(round) });
        self.cache.insert(id, cached.clone());
        // A user changed while this one was read: it may be the old one.
        if self.changes.load(Ordering::SeqCst) != changes {
            cached.round.store(CHANGED, Ordering::SeqCst);
        }
        Ok(Some(cached))
    }

    /// Has users read again that another node has changed: a new name shows everywhere at once.
    ///
    /// # Errors
    /// The store's; the next call reads it again.
    pub(crate) async fn follow(
        &self,
        changed_at: i64,
        follower: &mut Follower<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // On SQLite all users are read again when another process wrote.
        let is_quiet = Timestamp::from_micros(changed_at) < now - LATE;
        if is_quiet || !self.store.is_shared() {
            return Ok(());
        }
        let followed = || self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        // The first call reads what has changed lately: there is nothing older in memory.
        let known_to = followed().to.map_or(now, |to| to.min(now));
        let rows = follower.list(CHANGED_SINCE, values![known_to - LATE, CHANGED_AT_ONCE]).await?;
        let (mut to, mut users) = (known_to, HashSet::new());
        for row in &rows {
            let (user, at): (UserId, Timestamp) = (row.get("id")?, row.get("updated_at")?);
            if !followed().users.contains(&(user, at)) {
                self.read_again(user);
            }
            to = to.max(at);
            users.insert((user, at));
        }
        if rows.len() >= CHANGED_AT_ONCE as usize {
            self.read_all_again();
            to = now;
        }
        *followed() = Followed { to: Some(to), users };
        Ok(())
    }

    /// Makes every user be read again at their next use, so that other processes' changes show by then.
    pub fn read_all_again(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.round.fetch_add(1, Ordering::SeqCst);
    }

    /// Makes this user be read again at the next use. Called after the commit of every change.
    pub fn read_again(&self, id: UserId) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        if let Some(cached) = self.cache.get(&id) {
            cached.round.store(CHANGED, Ordering::SeqCst);
        }
    }

    /// Forgets a user who was deleted.
    pub fn forget(&self, id: UserId) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.cache.remove(&id);
    }
}

impl Cached {
    /// The store can't be read: this stands for the round, unless the user was changed since. Otherwise each request
    /// would wait for the store.
    fn kept_for(self: Arc<Self>, round: u64) -> Arc<Self> {
        let kept = |old| (old != CHANGED).then_some(round);
        let _ = self.round.fetch_update(Ordering::SeqCst, Ordering::SeqCst, kept);
        self
    }
}

fn account(row: Option<Row>) -> Result<Option<Account>, StoreError> {
    let account = |row: Row| {
        let (password_hash, credentials) = (row.get("password_hash")?, row.get("credentials_version")?);
        Ok(Account { user: read(&row)?, password_hash, credentials })
    };
    row.map(account).transpose()
}

/// A text as it is stored for searches and searched: trimmed, in lower case, in NFC.
pub(crate) fn folded(text: &str) -> String {
    text.trim().nfc().collect::<String>().to_lowercase().nfc().collect()
}

/// A time as the API writes it (RFC 3339), to the second.
pub fn rfc3339(at: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at.as_secs()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

/// A time in RFC 3339, or in whole seconds since the Unix epoch; `None` for any other text.
pub fn read_time(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse() {
        return Some(Timestamp::from_secs(seconds));
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000).ok().map(Timestamp::from_micros)
}

/// Checks a new password of this user against the policy.
///
/// # Errors
/// The field `new_password`, with what is wrong.
pub fn check_new_password(new: &Password, user: &User) -> Result<()> {
    let judged = DisplayName::parse(&user.name).map_err(Message::from);
    let judged = judged.and_then(|name| Ok(check_policy(new, &name, &user.email)?));
    judged.map_err(|problem| Error::field("new_password", problem))
}
