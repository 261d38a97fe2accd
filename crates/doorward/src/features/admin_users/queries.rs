use doorward_core::email::Email;
use doorward_core::role::RoleName;
use doorward_core::{Mode, SessionId, UserId};

use crate::app::App;
use crate::error::Result;
use crate::sessions::{LastUse, Memory};
use crate::store::{Row, StoreError, values};
use crate::users::{self, folded, rfc3339};
use crate::wire::shape::shown;

/// Which users to list.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// A part of the name or address.
    pub text: Option<String>,
    /// Only this role.
    pub role: Option<RoleName>,
    /// Only those after this id.
    pub after: Option<UserId>,
}

shown! {
    /// A user as admins see it.
    pub struct ListedUser as "ListedUser" {
        /// The stable id: pages go by it.
        pub id: UserId,
        /// The name.
        pub name: String,
        /// The address.
        pub email: Email,
        /// Who vouched for the address: `admin`, `invitation` (made for it) or `command_line`. Null if its owner typed
        /// it: then it is not sent to applications.
        pub email_vouched_by: Option<String>,
        /// The role.
        pub role: RoleName,
        /// When the account was made.
        pub created_at: String,
        /// Whether it may not sign in.
        pub disabled: bool,
    }
}

impl From<&users::User> for ListedUser {
    fn from(user: &users::User) -> Self {
        Self {
            id: user.id,
            name: user.name.clone(),
            email: user.email.clone(),
            email_vouched_by: user.email_vouched_by.map(|by| by.as_str().to_owned()),
            role: user.role,
            created_at: rfc3339(user.created_at),
            disabled: user.disabled_at.is_some(),
        }
    }
}

/// A page of users by id, as a scan of the user who asks, and whether there are more.
///
/// # Errors
/// The store's.
pub async fn list_users(
    app: &App,
    search: &Search,
    limit: u32,
    asked_by: Option<UserId>,
) -> Result<(Vec<ListedUser>, Option<UserId>)> {
    let after = search.after.unwrap_or(UserId::from_bytes([0; 16]));
    let pattern = search.text.as_deref().map(pattern);
    // A whole address may be typed in ways that its canonical form doesn't contain.
    let email = search.text.as_deref().and_then(|text| Email::parse(text).ok());
    let email = email.as_ref().map(Email::as_str).map(str::to_owned);
    let rows = app
        .store
        .scan(asked_by, users::SEARCH, values![after, pattern, search.role, limit + 1, email])
        .await?;
    let mut users = Vec::new();
    for row in &rows {
        users.push(ListedUser::from(&users::read(row)?));
    }
    let next = cut(&mut users, limit).map(|last| last.id);
    Ok((users, next))
}

/// A text to search for anywhere within: wildcards of `LIKE` are escaped (attack I01).
fn pattern(text: &str) -> String {
    let literal = folded(text).replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{literal}%")
}

shown! {
    /// A user's session as admins see it.
    pub struct ListedSession as "ListedSession" {
        /// The public id: pages go by it.
        pub id: SessionId,
        /// Its user.
        pub user_id: UserId,
        /// How its client holds the credential.
        mode: Mode,
        /// When it began.
        created_at: String,
        /// When it was last used, to the minute or so.
        last_seen_at: String,
        /// When it ends if it isn't used any more.
        expires_at: String,
        /// The address that it was last used from.
        ip: Option<String>,
        /// The client's user agent.
        pub user_agent: Option<String>,
    }
}

const SESSIONS: &str = "SELECT id, user_id, mode, created_at, last_seen_at, expires_at, ip, user_agent, secret_hash FROM sessions \
     WHERE id > $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY id LIMIT $3";

/// A page of all users' live sessions by id, as a scan of the user who asks, and where the next one begins.
///
/// # Errors
/// The store's.
pub async fn list_sessions(
    app: &App,
    after: Option<SessionId>,
    limit: u32,
    asked_by: Option<UserId>,
) -> Result<(Vec<ListedSession>, Option<SessionId>)> {
    let after = after.unwrap_or(SessionId::from_bytes([0; 16]));
    let rows = app.store.scan(asked_by, SESSIONS, values![after, app.now(), limit + 1]).await?;
    let mut sessions =
        rows.iter().map(|row| listed(row, &app.sessions.memory)).collect::<Result<Vec<_>, _>>()?;
    let next = cut(&mut sessions, limit).map(|last| last.id);
    Ok((sessions, next))
}

fn listed(row: &Row, memory: &Memory) -> Result<ListedSession, StoreError> {
    let LastUse { at, ip, user_agent } = memory.last_use(row)?;
    Ok(ListedSession {
        id: row.get("id")?,
        user_id: row.get("user_id")?,
        mode: row.get("mode")?,
        created_at: rfc3339(row.get("created_at")?),
        last_seen_at: rfc3339(at),
        expires_at: rfc3339(row.get("expires_at")?),
        ip,
        user_agent,
    })
}

/// Cuts a list that was read one row longer than a page; returns the last row of the page if there are more.
pub(super) fn cut<T>(rows: &mut Vec<T>, limit: u32) -> Option<&T> {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| more)
}
