use doorward_core::email::Email;
use doorward_core::role::RoleName;
use doorward_core::{Mode, SessionId, UserId};

use crate::app::App;
use crate::error::Result;
use crate::sessions::{LastUse, Memory};
use crate::store::{Row, StoreError, values};
use crate::users::{self, rfc3339};
use crate::wire::shape::shown;

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
     WHERE id < $1 AND id >= $4 AND ended_at IS NULL AND expires_at > $2 ORDER BY id DESC LIMIT $3";
const LAST_SESSION: &str =
    "SELECT id FROM sessions WHERE id < $1 AND ended_at IS NULL ORDER BY id DESC LIMIT 1 OFFSET $2";
/// How many sessions a page looks at, since many may have expired: the one after so many ends the page.
const LOOKED: u32 = 10_000;

/// A page of all users' live sessions, the newest first, as a scan of the user who asks, and where the next one begins.
///
/// # Errors
/// The store's.
pub async fn list_sessions(
    app: &App,
    after: Option<SessionId>,
    limit: u32,
    asked_by: Option<UserId>,
) -> Result<(Vec<ListedSession>, Option<SessionId>)> {
    let after = after.unwrap_or(SessionId::from_bytes([0xff; 16]));
    let scans = app.store.scans(asked_by).await?;
    // Usually nearly all are live, and few have to be looked at.
    for looked in [2 * limit, LOOKED] {
        let last = scans.list(LAST_SESSION, values![after, looked]).await?;
        let last: Option<SessionId> = last.first().map(|row| row.get("id")).transpose()?;
        let least = last.unwrap_or(SessionId::from_bytes([0; 16]));
        let rows = scans.list(SESSIONS, values![after, app.now(), limit + 1, least]).await?;
        let sessions = rows.iter().map(|row| listed(row, &app.sessions.memory));
        let mut sessions = sessions.collect::<Result<Vec<_>, _>>()?;
        let next = cut(&mut sessions, limit).map(|last| last.id);
        if next.is_some() || last.is_none() || looked == LOOKED {
            return Ok((sessions, next.or(last)));
        }
    }
    Ok((Vec::new(), None))
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
