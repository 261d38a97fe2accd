//! The audit log: who signed in, who failed to, what admins did. Entries are written in the transaction of their act.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use doorward_core::{ClientId, SessionId, Timestamp, UserId};

use crate::posts;
use crate::store::{Row, Store, StoreError, Tx, Value, values};
use crate::sweeps::Expired;
use crate::users::rfc3339;
use crate::wire::shape::shown;

/// A kind of entry. A feature's own kinds are in its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// Its name in the log and the API.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub meaning: &'static str,
}

impl Action {
    pub(crate) const fn new(name: &'static str, meaning: &'static str) -> Self {
        Self { name, meaning }
    }
}

macro_rules! actions {
    ($(#[doc = $doc:literal] $name:ident = $text:literal;)+) => {
        #[allow(non_upper_case_globals, reason = "they read as the kinds that they are")]
        impl Action {
            $(#[doc = $doc] pub const $name: Self = Self::new($text, $doc);)+
        }

        /// Those that belong to no feature.
        pub(crate) const ACTIONS: &[Action] = &[$(Action::$name),+];
    };
}

actions! {
    /// An account was made by its owner.
    Register = "register";
    /// Somebody signed in.
    Login = "login";
    /// Somebody proved one factor, and the account needs another.
    LoginPending = "login_pending";
    /// Somebody failed to sign in, or to give the current password.
    LoginFailed = "login_failed";
    /// A session was ended by its owner.
    Logout = "logout";
    /// All sessions of a user were ended by their owner.
    LogoutAll = "logout_all";
    /// A session was ended because its refresh token was used twice.
    RefreshReused = "refresh_reused";
    /// A refresh token was newer than the database knew, which had lost commits: it was taken as the current one.
    RefreshAhead = "refresh_ahead";
    /// Name or email was changed by the owner.
    ProfileChanged = "profile_changed";
    /// A password was changed by its owner.
    PasswordChanged = "password_changed";
    /// An account was deleted.
    UserDeleted = "user_deleted";
    /// An admin or the command line made an account.
    UserCreated = "user_created";
    /// The command line made accounts of another system; the detail says how many.
    UsersImported = "users_imported";
    /// An admin or the command line changed an account; the detail says what.
    UserChanged = "user_changed";
    /// An admin or the command line ended sessions.
    SessionsEnded = "sessions_ended";
    /// A reset link was made.
    ResetLinkMade = "reset_link_made";
    /// An invitation was made.
    InvitationMade = "invitation_made";
    /// An invitation was withdrawn.
    InvitationWithdrawn = "invitation_withdrawn";
    /// A signing key was made.
    KeyRotated = "key_rotated";
    /// The root secret was changed.
    SecretRotated = "secret_rotated";
    /// The command line cleared the limits on guesses and registrations.
    LimitsCleared = "limits_cleared";
    /// The command line made another issuer of tokens that of all servers. `detail` is the issuer.
    IssuerAdopted = "issuer_adopted";
    /// A client was registered.
    ClientCreated = "client_created";
    /// A client was deleted.
    ClientDeleted = "client_deleted";
    /// The database has lost what was written in a time that the detail names.
    HistoryLost = "history_lost";
    /// The database was restored from a backup, and made safe.
    Restored = "restored";
}

/// Who did what an entry says, and from which address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The user that the entry is about.
    Owner(IpAddr),
    /// Another user, by an admin route.
    Admin(UserId, IpAddr),
    /// The command line, at the machine.
    CommandLine,
    /// A registered client.
    Client(ClientId, IpAddr),
    /// Somebody who did not prove who they are.
    Visitor(IpAddr),
    /// The server by itself.
    Server,
}

impl By {
    /// The name in the log and the API.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Owner(_) => "owner",
            Self::Admin(..) => "admin",
            Self::CommandLine => "command_line",
            Self::Client(..) => "client",
            Self::Visitor(_) => "visitor",
            Self::Server => "server",
        }
    }

    const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Owner(ip) | Self::Admin(_, ip) | Self::Client(_, ip) | Self::Visitor(ip) => Some(ip),
            Self::CommandLine | Self::Server => None,
        }
    }
}

/// What the audit log says of an act. The [`Act`](crate::acts::Act) says who did it, from where and when.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    action: Action,
    user: Option<UserId>,
    session: Option<SessionId>,
    detail: Option<String>,
    fold: Option<[u8; 32]>,
}

impl Entry {
    pub(crate) fn of(action: Action) -> Self {
        Self { action, user: None, session: None, detail: None, fold: None }
    }

    /// Its action.
    pub(crate) fn action(&self) -> Action {
        self.action
    }

    /// Concerning this user.
    #[must_use]
    pub(crate) fn user(self, user: UserId) -> Self {
        Self { user: Some(user), ..self }
    }

    /// In this session.
    #[must_use]
    pub(crate) fn session(self, session: SessionId) -> Self {
        Self { session: Some(session), ..self }
    }

    /// With this detail.
    #[must_use]
    pub(crate) fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Counted together with entries of the same fold.
    #[must_use]
    pub(crate) fn fold(self, fold: [u8; 32]) -> Self {
        Self { fold: Some(fold), ..self }
    }
}

const RECORD: &str = "INSERT INTO audit (id, created_at, action, actor, user_id, actor_id, session_id, ip, detail) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const FOLD: &str = "INSERT INTO audit_folds (id, created_at, action, actor, user_id, actor_id, session_id, ip, detail, \
     fold_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
     ON CONFLICT (fold_key) DO UPDATE SET occurrences = audit_folds.occurrences + 1";

/// Writes an entry within its act's transaction. If that fails, also with the commit, `failure` is set.
pub(crate) fn record(
    tx: &mut Tx,
    entry: &Entry,
    by: By,
    at: Timestamp,
    form: Option<posts::Hash>,
    failure: &Arc<AtomicBool>,
) -> Result<(), StoreError> {
    // The id is a UUIDv7, so that pages are in order of time.
    let id = SessionId::new(at, crate::random::bytes());
    let (ip, action) = (by.ip().map(|ip| ip.to_string()), entry.action.name);
    let actor = if let By::Admin(user, _) = by { Some(user) } else { None };
    let client = if let By::Client(client, _) = by { Some(format!("client {client}")) } else { None };
    let detail = entry.detail.clone().or(client);
    let (user, session, fold) = (entry.user, entry.session, entry.fold);
    let mut values = values![id, at, action, by.as_str(), user, actor, session, ip, detail];
    values.extend(fold.map(Value::from));
    tx.queue_noting(if fold.is_some() { FOLD } else { RECORD }, values, failure)?;
    match (form, entry.action) {
        (None, _) | (_, Action::LoginFailed | Action::RefreshReused) => Ok(()),
        (Some(form), Action::Login | Action::Register | Action::PasswordChanged) => {
            posts::committed(tx, form, at, session, failure)
        }
        (Some(form), _) => posts::committed(tx, form, at, None, failure),
    }
}

/// Removes the user's id and data from all entries: the acts stay, the person is removed. Acts of others on the user
/// keep the address that they came from.
pub(crate) fn forget(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    tx.queue(
        "UPDATE audit SET ip = CASE WHEN actor_id IS NULL THEN NULL ELSE ip END, detail = NULL, session_id = NULL, \
         user_id = NULL WHERE user_id = $1",
        values![user],
    )?;
    tx.queue(
        "UPDATE audit_folds SET ip = CASE WHEN actor_id IS NULL THEN NULL ELSE ip END, detail = NULL, \
         session_id = NULL, user_id = NULL WHERE user_id = $1",
        values![user],
    )?;
    tx.queue("UPDATE audit SET actor_id = NULL, ip = NULL WHERE actor_id = $1", values![user])?;
    tx.queue("UPDATE audit_folds SET actor_id = NULL, ip = NULL WHERE actor_id = $1", values![user])
}

const SWEEP: &str = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id < $1 ORDER BY id LIMIT $2)";
const SWEEP_FOLDS: &str = "DELETE FROM audit_folds WHERE fold_key IN (SELECT fold_key FROM audit_folds WHERE id < $1 \
     ORDER BY id LIMIT $2)";

/// The entries from before this time.
pub(crate) fn expired(before: Timestamp) -> [Expired; 2] {
    let oldest = SessionId::new(before, [0; 10]);
    [Expired::of("audit", SWEEP, values![oldest]), Expired::of("audit_folds", SWEEP_FOLDS, values![oldest])]
}

shown! {
    /// An entry as admins see it.
    pub struct AuditView as "AuditEntry" {
        /// Its id: pages go by it.
        pub id: SessionId,
        /// When it happened.
        at: String,
        /// What happened.
        action: String,
        /// What did it: `owner` (the user that it concerns), `admin`, `command_line`, `client`, `visitor` (somebody who
        /// did not prove who they are) or `server`.
        actor: String,
        /// How often, if failures of the same kind share an entry.
        occurrences: i64,
        /// The user that it concerns.
        pub user_id: Option<UserId>,
        /// The admin who did it.
        pub actor_id: Option<UserId>,
        /// In which session.
        session_id: Option<SessionId>,
        /// From where.
        ip: Option<String>,
        /// What exactly, in a few words.
        detail: Option<String>,
    }
}

/// The columns that [`AuditView`] is read from.
const PAGE: &str = "SELECT id, created_at, action, actor, occurrences, user_id, actor_id, session_id, ip, detail \
     FROM audit_log WHERE id < $1 ORDER BY id DESC LIMIT $2";

/// A page of entries, the newest first, older than `before`, as a scan of the user who asks.
///
/// # Errors
/// The store's.
pub async fn page(
    store: &Store,
    before: Option<SessionId>,
    limit: u32,
    asked_by: Option<UserId>,
) -> Result<Vec<AuditView>, StoreError> {
    let before = before.unwrap_or(SessionId::from_bytes([0xff; 16]));
    let rows = store.scan(asked_by, PAGE, values![before, limit]).await?;
    rows.iter().map(shown).collect()
}

const WHO: &str = "SELECT actor, actor_id, detail FROM audit_log WHERE user_id = $1 AND id >= $2 AND created_at = $3 \
     AND action = $4 AND actor <> 'owner' \
     ORDER BY id LIMIT 1";

/// Who did this to a user at this time, in words; `None` if it was the user, or if the log no longer has it.
pub(crate) async fn who(
    store: &Store,
    user: UserId,
    action: &'static str,
    at: Timestamp,
) -> Result<Option<String>, StoreError> {
    let first = SessionId::new(at, [0; 10]);
    let Some(row) = store.find(WHO, values![user, first, at, action]).await? else { return Ok(None) };
    let (actor, admin) = (row.get::<String>("actor")?, row.get::<Option<UserId>>("actor_id")?);
    Ok(Some(match (actor.as_str(), admin) {
        ("admin", Some(admin)) => format!("the admin {admin}"),
        ("admin", None) => "an admin whose account was deleted".to_owned(),
        ("client", _) => row
            .get::<Option<String>>("detail")?
            .map_or_else(|| "a registered client".to_owned(), |client| format!("the registered {client}")),
        _ => "the command line".to_owned(),
    }))
}

fn shown(row: &Row) -> Result<AuditView, StoreError> {
    Ok(AuditView {
        id: row.get("id")?,
        at: rfc3339(row.get("created_at")?),
        action: row.get("action")?,
        actor: row.get("actor")?,
        occurrences: row.get("occurrences")?,
        user_id: row.get("user_id")?,
        actor_id: row.get("actor_id")?,
        session_id: row.get("session_id")?,
        ip: row.get("ip")?,
        detail: row.get("detail")?,
    })
}
