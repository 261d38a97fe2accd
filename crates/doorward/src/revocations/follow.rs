//! Following the lanes of all processes.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use doorward_core::revocation::Least;
use doorward_core::{ClaimsVersion, SessionId, Timestamp, UserId};

use super::log::Entry;
use super::signs::OLDEST;
use super::{AllEnded, Revocations, lane};
use crate::clock::Moment;
use crate::look::{LaneRow, Look};
use crate::store::{Follower, Row, StoreError, values};

/// How many rows are read at once.
const PAGE: i64 = 10_000;
/// What comes after a position of a lane, in order. Each table reads its first rows by its index; otherwise PostgreSQL
/// would sort all later rows. No row is passed over here, so that each page takes the same time.
const SINCE: &str = "SELECT id, user_id, version, position, expires_at, ended_until, kept FROM \
     (SELECT session_id AS id, user_id, CAST(NULL AS BIGINT) AS version, position, expires_at, \
     CAST(NULL AS BIGINT) AS ended_until, session_id AS kept FROM revocations \
     WHERE lane = $1 AND position > $2 ORDER BY position LIMIT $3) AS ended \
     UNION ALL SELECT id, user_id, version, position, expires_at, ended_until, kept FROM \
     (SELECT user_id AS id, user_id, version, position, expires_at, ended_until, kept FROM least_versions \
     WHERE lane = $1 AND position > $2 ORDER BY position LIMIT $3) AS required \
     ORDER BY position LIMIT $3";

/// The lanes that were read.
#[derive(Debug, Default)]
pub(super) struct Marks {
    lanes: HashMap<i64, Mark>,
    is_loaded: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// The position of the last row that was read. A mark is taken from rows alone: the row of the lane and the rows on
    /// it are read one after the other.
    read: i64,
    /// The position of the lane when its rows were read.
    seen: i64,
    /// The store has at least this position, unless it has lost commits.
    highest: i64,
    /// When the owner of the lane wrote last.
    seen_at: Timestamp,
    /// An act that found the lane set back, until what was lost is written back.
    set_back: Option<SetBack>,
}

impl Mark {
    /// Notes an act at this position of a lane that was read before, if it found the lane set back.
    fn notice(&mut self, position: i64) {
        if self.highest > 0 && position > self.read && lane::found_set_back(position) {
            self.set_back = Some(SetBack { position, since: self.seen_at });
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct SetBack {
    position: i64,
    /// When the owner had written last before that.
    since: Timestamp,
}

/// What is read of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Everything that still counts, at the start. The time is the one that rows are dated by.
    All { now: Timestamp },
    /// What is new, however it is dated.
    News,
}

/// What following brought.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// The users concerned.
    pub(crate) users: Vec<UserId>,
    /// This process stood still for long: what memory holds of sessions must be read again.
    pub(crate) stood_still: bool,
    /// This process has not looked for so long that other lanes and its own may have been swept.
    pub(crate) was_away: bool,
    /// The store has lost commits: since when, by its own time.
    pub(crate) lost_since: Option<Timestamp>,
}

impl Revocations {
    /// Reads what is new on all lanes.
    ///
    /// # Errors
    /// The store's; or the look went to a server that must not be believed. The next call reads it again.
    pub(crate) async fn follow(
        &self,
        look: &Look,
        at: Moment,
        follower: &mut Follower<'_>,
    ) -> Result<Followed, StoreError> {
        self.believe(look).inspect_err(|_| self.store.connect_anew())?;
        if let Some(ttl) = look.fact("max_access_ttl") {
            self.max_access_ttl.fetch_max(ttl.unsigned_abs(), Ordering::AcqRel);
        }
        let mut marks = self.marks.lock().await;
        let was_away = self.freshness.was_away(at, look.told.store) >= self.remembered_for();
        if was_away {
            // Lanes may have been swept meanwhile, its own too, and made again: they are read from the beginning.
            self.lane.forget();
            marks.lanes.clear();
        }
        let lost_since = self.losses(&mut marks, look);
        let mut users = Vec::new();
        let reading = if marks.is_loaded { Reading::News } else { Reading::All { now: self.clock.now() } };
        for lane in look.lanes.iter().filter(|_| self.loads) {
            let mark = marks.lanes.entry(lane.id).or_default();
            if lane.position != mark.seen {
                self.read_lane(follower, *lane, reading, mark, &mut users).await?;
            }
            mark.seen_at = lane.seen_at;
        }
        marks.is_loaded = true;
        let stood_still = self.freshness.looked(at, look.told.store);
        let found_set_back = marks.lanes.values().filter_map(|mark| mark.set_back.map(|found| found.since));
        let lost_since = found_set_back.chain(lost_since).min();
        Ok(Followed { users, stood_still, was_away, lost_since })
    }

    /// Everything that was read is in force: memory answers again.
    pub(crate) fn followed(&self) {
        if self.loads && self.set.is_behind() {
            self.set.caught_up();
            tracing::info!("the revocations of other processes can be read again");
        }
    }

    /// A look counts only if the server takes writes, and has this process's own.
    fn believe(&self, look: &Look) -> Result<(), StoreError> {
        if look.is_read_only {
            return Err(StoreError::Unavailable(
                "the server takes no writes: another one has taken over".into(),
            ));
        }
        if !self.signs.are_written() {
            return Ok(());
        }
        let own = look.lanes.iter().find(|lane| lane.id == self.lane.id);
        match own {
            Some(lane) if look.told.store.since(lane.seen_at) <= OLDEST => Ok(()),
            _ => Err(StoreError::Unavailable("the server lacks what this process wrote a moment ago".into())),
        }
    }

    /// Since when commits are lost, if a lane is below a position that it had, or is gone although its owner wrote a
    /// short time ago.
    fn losses(&self, marks: &mut Marks, look: &Look) -> Option<Timestamp> {
        let acknowledged = self.lane.acknowledged();
        if acknowledged > 0 {
            let own = marks.lanes.entry(self.lane.id).or_default();
            own.highest = own.highest.max(acknowledged);
        }
        let at = |id: i64| look.lanes.iter().find(|lane| lane.id == id);
        let silent = look.told.store - self.remembered_for();
        let (mut lost_since, mut gone) = (None, Vec::new());
        for (id, mark) in &marks.lanes {
            let since = match at(*id) {
                Some(lane) if lane.position < mark.highest => lane.seen_at,
                Some(_) => continue,
                None if mark.seen_at < silent && (*id != self.lane.id || !self.signs.are_written()) => {
                    gone.push(*id);
                    continue;
                }
                None => mark.seen_at,
            };
            lost_since = Some(lost_since.map_or(since, |other: Timestamp| other.min(since)));
        }
        marks.lanes.retain(|id, _| !gone.contains(id));
        lost_since
    }

    /// What was lost is written back: from now on, lanes are held against the positions that they have.
    pub(super) async fn accept_losses(&self, look: &Look) {
        let mut marks = self.marks.lock().await;
        marks.lanes.retain(|id, _| look.lanes.iter().any(|lane| lane.id == *id));
        for lane in &look.lanes {
            if let Some(mark) = marks.lanes.get_mut(&lane.id) {
                mark.highest = mark.highest.min(lane.position);
                // One that came later is not written back yet.
                mark.set_back = mark.set_back.filter(|found| found.position > lane.position);
            }
        }
    }

    /// Reads a lane to its end, page by page.
    async fn read_lane(
        &self,
        follower: &mut Follower<'_>,
        lane: LaneRow,
        reading: Reading,
        mark: &mut Mark,
        users: &mut Vec<UserId>,
    ) -> Result<(), StoreError> {
        let mut limit = PAGE;
        mark.notice(lane.position);
        loop {
            let rows = follower.list(SINCE, values![lane.id, mark.read, limit]).await?;
            let is_whole = rows.len() < usize::try_from(limit).unwrap_or(usize::MAX);
            // The rows of an act share a position, and a page ends with a whole act.
            let last = rows.last().map_or(Ok(mark.read), |row| row.get("position"))?;
            let (before, mut to) = (mark.read, mark.read);
            let mut new = Vec::new();
            for row in &rows {
                let position: i64 = row.get("position")?;
                if is_whole || position < last {
                    to = position;
                    mark.notice(position);
                    let entry = self.take(row, reading)?;
                    // Nobody has read anything before all of it is loaded.
                    if reading == Reading::News {
                        users.push(row.get("user_id")?);
                        new.extend(entry);
                    }
                }
            }
            mark.read = to;
            if self.log.add(new) {
                self.news.notify_one();
            }
            if is_whole {
                mark.seen = lane.position;
                mark.highest = mark.highest.max(lane.position).max(mark.read);
                return Ok(());
            }
            if to == before {
                limit = limit.saturating_mul(4);
            }
        }
    }

    /// Until when a row is kept that was read now; `None` if it is over. A row that is read with all others is not new:
    /// how long it still counts is for the store's clock to say, as for rows that are swept.
    fn kept_of(&self, row: &Row, reading: Reading) -> Result<Option<Timestamp>, StoreError> {
        let Reading::All { now } = reading else { return Ok(Some(self.kept_until())) };
        let left = row.get::<Timestamp>("expires_at")?.since(now);
        Ok((!left.is_zero()).then(|| self.steady_now() + left.min(self.remembered_for())))
    }

    /// Puts a row in force; the entry, if the set did not have it.
    fn take(&self, row: &Row, reading: Reading) -> Result<Option<Entry>, StoreError> {
        let Some(until) = self.kept_of(row, reading)? else { return Ok(None) };
        match row.get::<Option<ClaimsVersion>>("version")? {
            None => {
                let session: SessionId = row.get("id")?;
                Ok(self.set.end_session(session, until).then_some(Entry::Session(session)))
            }
            Some(version) => {
                let user: UserId = row.get("user_id")?;
                if let Some(until) = row.get::<Option<Timestamp>>("ended_until")? {
                    self.apply_all_ended(user, AllEnded { until, kept: row.get("kept")? });
                }
                let is_new = self.set.require_version(user, Least { version, expires_at: until });
                Ok(is_new.then_some(Entry::User(user, version)))
            }
        }
    }
}
