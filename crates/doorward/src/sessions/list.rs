//! The live sessions of a user.

use doorward_core::device::device;
use doorward_core::sign_in::Methods;
use doorward_core::{Mode, SessionId, UserId};

use super::stored::authentication;
use super::{LastUse, Memory, Sessions};
use crate::error::Result;
use crate::store::{Row, StoreError, values};
use crate::users::rfc3339;
use crate::wire::shape::shown;

shown! {
    /// A session as its owner sees it.
    pub struct SessionView as "Session" {
        /// The public id.
        pub id: SessionId,
        /// Whether the request came from it.
        pub current: bool,
        /// How its client holds the credential.
        mode: Mode,
        /// When it began.
        created_at: String,
        /// When its user signed in.
        authenticated_at: String,
        /// How its user signed in, by the names of RFC 8176: `pwd` for a password.
        amr: Methods,
        /// When it was last used, to the minute or so.
        last_seen_at: String,
        /// When it ends if it isn't used any more.
        expires_at: String,
        /// The address that it was last used from.
        ip: Option<String>,
        /// The client's user agent.
        user_agent: Option<String>,
        /// Browser and system, read from that.
        device: String,
    }
}

const OF_USER: &str = "SELECT id, mode, created_at, authenticated_at, amr, last_seen_at, expires_at, ip, user_agent, secret_hash FROM sessions \
     WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY created_at DESC, id DESC LIMIT 1000";
const USER_OF: &str = "SELECT user_id FROM sessions WHERE id = $1 AND ended_at IS NULL";

impl Sessions {
    /// The live sessions of a user, the newest first, as a scan of the user who asks.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        user: UserId,
        current: Option<SessionId>,
        asked_by: Option<UserId>,
    ) -> Result<Vec<SessionView>> {
        let rows = self.store.scan(asked_by, OF_USER, values![user, self.clock.now()]).await?;
        Ok(rows.iter().map(|row| view(row, current, &self.memory)).collect::<Result<_, _>>()?)
    }

    /// The user of this live session.
    ///
    /// # Errors
    /// The store's.
    pub async fn owner(&self, session: SessionId) -> Result<Option<UserId>> {
        let row = self.store.find(USER_OF, values![session]).await?;
        Ok(row.map(|row| row.get("user_id")).transpose()?)
    }
}

fn view(row: &Row, current: Option<SessionId>, memory: &Memory) -> Result<SessionView, StoreError> {
    let id = row.get("id")?;
    let LastUse { at, ip, user_agent } = memory.last_use(row)?;
    Ok(SessionView {
        id,
        current: current == Some(id),
        mode: row.get("mode")?,
        created_at: rfc3339(row.get("created_at")?),
        authenticated_at: rfc3339(row.get("authenticated_at")?),
        amr: authentication(row)?.methods,
        last_seen_at: rfc3339(at),
        expires_at: rfc3339(row.get("expires_at")?),
        ip,
        device: device(user_agent.as_deref()),
        user_agent,
    })
}
