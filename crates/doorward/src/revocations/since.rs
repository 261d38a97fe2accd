//! The tables as followers read them: by position, a page at a time.

use std::time::Duration;

use doorward_core::ClaimsVersion;
use doorward_core::feed::{EndedSession, LeastVersion, Revoked};

use super::Revocations;
use crate::store::{Row, StoreError, values};

/// What was revoked after one position, and up to another.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The revocations.
    pub(crate) revoked: Revoked,
    /// Nothing is missing up to and including this position.
    pub(crate) to: i64,
    /// Whether more comes after it.
    pub(crate) more: bool,
}

/// Each table reads its first rows by its index; otherwise PostgreSQL would sort all later rows.
const SINCE: &str = "SELECT id, version, position FROM \
     (SELECT session_id AS id, CAST(NULL AS BIGINT) AS version, position \
     FROM revocations WHERE position > $1 ORDER BY position LIMIT $2) AS ended \
     UNION ALL SELECT user_id, version, position FROM \
     (SELECT user_id, version, position FROM least_versions WHERE position > $1 \
     ORDER BY position LIMIT $2) AS required ORDER BY position LIMIT $2";
const POSITION: &str = "SELECT value FROM facts WHERE name = 'revocation_position'";

impl Revocations {
    /// What was revoked after this position, about `most` of it. One statement reads both tables at one moment.
    /// Positions rise in the order of commits, so nothing can be added later before its last row. Expired rows are
    /// included until they are swept, and each entry is kept for the whole span after reading. So a wrong clock, here
    /// or there, neither hides an entry nor drops it too early.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn since(&self, after: i64, most: u32) -> Result<Page, StoreError> {
        let (mut limit, keep) = (most, self.remembered_for());
        loop {
            let rows = self.store.follow(SINCE, values![after, limit]).await?;
            let more = rows.len() >= limit as usize;
            let last = rows.last().map_or(Ok(after), position)?;
            // An act's rows share a position, and a page ends with a whole act.
            let mut page = Page { to: after, more, ..Page::default() };
            for row in &rows {
                if !more || position(row)? < last {
                    page.take(row, keep)?;
                }
            }
            if !more || page.to > after {
                return Ok(page);
            }
            limit = limit.saturating_mul(4);
        }
    }

    /// The last position that was assigned.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn last_position(&self) -> Result<i64, StoreError> {
        let rows = self.store.follow(POSITION, values![]).await?;
        rows.first().map_or(Ok(0), |row| row.get("value"))
    }
}

impl Page {
    fn take(&mut self, row: &Row, keep: Duration) -> Result<(), StoreError> {
        match row.get::<Option<ClaimsVersion>>("version")? {
            None => self.revoked.sessions.push(EndedSession { session: row.get("id")?, keep }),
            Some(version) => self.revoked.users.push(LeastVersion { user: row.get("id")?, version, keep }),
        }
        self.to = position(row)?;
        Ok(())
    }
}

fn position(row: &Row) -> Result<i64, StoreError> {
    row.get("position")
}
