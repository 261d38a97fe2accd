//! The tables as others follow them: by position, a page at a time.

use doorward_core::role::RoleName;
use doorward_core::{SessionId, Timestamp, UserId};

use super::Revocations;
use crate::store::{Row, StoreError, values};

/// What was revoked after one position, and up to another.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Sessions that ended, and until when that must be remembered.
    pub(crate) sessions: Vec<(SessionId, Timestamp)>,
    /// Users with their role since, its version, and until when that must be remembered.
    pub(crate) roles: Vec<(UserId, RoleName, i64, Timestamp)>,
    /// Up to and with this position nothing is missing.
    pub(crate) to: i64,
    /// Whether more comes after it.
    pub(crate) more: bool,
}

/// Each table gives its first rows by its index, or PostgreSQL sorts all that come after.
const SINCE: &str = "SELECT id, role, version, position, expires_at FROM \
     (SELECT session_id AS id, CAST(NULL AS TEXT) AS role, CAST(0 AS BIGINT) AS version, position, expires_at \
     FROM revocations WHERE position > $1 ORDER BY position LIMIT $2) AS ended \
     UNION ALL SELECT user_id, role, version, position, expires_at FROM \
     (SELECT user_id, role, version, position, expires_at FROM role_changes WHERE position > $1 \
     ORDER BY position LIMIT $2) AS changed ORDER BY 4 LIMIT $2";
const POSITION: &str = "SELECT value FROM facts WHERE name = 'revocation_position'";

impl Revocations {
    /// What was revoked after this position, about `most` of it. One statement, so one moment of both tables; positions
    /// rise in the order of commits, so nothing can come later that belongs before its last row. What has expired is told
    /// until it is swept: no clock that jumps hides anything.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn since(&self, after: i64, most: u32) -> Result<Page, StoreError> {
        let mut limit = most;
        loop {
            let rows = self.store.follow(SINCE, values![after, limit]).await?;
            let more = rows.len() >= limit as usize;
            let last = rows.last().map_or(Ok(after), position)?;
            // An act's rows share a position, and a page ends with a whole act.
            let mut page = Page { to: after, more, ..Page::default() };
            for row in &rows {
                if !more || position(row)? < last {
                    page.take(row)?;
                }
            }
            if !more || page.to > after {
                return Ok(page);
            }
            limit = limit.saturating_mul(4);
        }
    }

    /// The last position that was given out.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn last_position(&self) -> Result<i64, StoreError> {
        let rows = self.store.follow(POSITION, values![]).await?;
        rows.first().map_or(Ok(0), |row| row.get(0))
    }
}

impl Page {
    fn take(&mut self, row: &Row) -> Result<(), StoreError> {
        let expires_at = row.get(4)?;
        match row.get::<Option<RoleName>>(1)? {
            None => self.sessions.push((row.get(0)?, expires_at)),
            Some(role) => self.roles.push((row.get(0)?, role, row.get(2)?, expires_at)),
        }
        self.to = position(row)?;
        Ok(())
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.roles.is_empty()
    }
}

fn position(row: &Row) -> Result<i64, StoreError> {
    row.get(3)
}
