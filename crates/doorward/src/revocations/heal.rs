//! Writing back what the store has lost: a failover that lost commits, or a restore, takes ends of sessions back.
//!
//! Every process holds each end in memory for as long as a token of it lives. So what any living process knows is
//! written back: ended sessions, and claims versions where they are higher. What was learned last comes first, since that is
//! what the store may lack. The rest of the lost span is gone.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use doorward_core::{ClaimsVersion, SessionId, Timestamp, UserId};

use super::{AllEnded, EndReason, Entry, Revocations};
use crate::look::Look;
use crate::store::{StoreError, Tx, values};

/// How many entries are written in one transaction.
const BATCH: usize = 500;
/// What was learned within these times is written back first, one after the other, and then all the rest.
const FIRST: [Duration; 4] =
    [Duration::from_secs(15), Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(1_200)];

const END: &str = "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE id = $1 AND ended_at IS NULL";
const REVOKE: &str = "INSERT INTO revocations (session_id, user_id, reason, lane, position, created_at, expires_at) \
     VALUES ($1, COALESCE((SELECT user_id FROM sessions WHERE id = $1), $1), $2, $3, \
     (SELECT position FROM lanes WHERE id = $3), $4, $5) ON CONFLICT (session_id) DO NOTHING";
const RAISE: &str = "UPDATE users SET claims_version = $2 WHERE id = $1 AND claims_version < $2";
const END_ALL: &str = "UPDATE sessions SET ended_at = $2, end_reason = $3 \
     WHERE user_id = $1 AND created_at <= $4 AND ended_at IS NULL AND id <> $5";
const REQUIRE: &str = "INSERT INTO least_versions (user_id, version, lane, position, created_at, expires_at, \
     ended_until, kept) VALUES ($1, $2, $3, (SELECT position FROM lanes WHERE id = $3), $4, $5, $6, $7) \
     ON CONFLICT (user_id) DO UPDATE SET version = excluded.version, lane = excluded.lane, \
     position = excluded.position, created_at = excluded.created_at, expires_at = excluded.expires_at, \
     ended_until = excluded.ended_until, kept = excluded.kept WHERE least_versions.version < excluded.version";

/// A user whose tokens below a version are stale.
#[derive(Debug, Clone, Copy)]
struct Stale {
    user: UserId,
    version: ClaimsVersion,
    all_ended: Option<AllEnded>,
}

impl Revocations {
    /// Writes back everything that the set holds and the store lacks. Returns how many entries the store lacked; `None`
    /// if it is being done already.
    ///
    /// # Errors
    /// The store's; the next look tries again.
    pub(crate) async fn heal(&self, look: &Look, now: Timestamp) -> Result<Option<u64>, StoreError> {
        if self.heals.swap(true, Ordering::SeqCst) {
            return Ok(None);
        }
        let healed = self.write_back(now).await;
        if healed.is_ok() {
            self.accept_losses(look).await;
        }
        self.heals.store(false, Ordering::SeqCst);
        healed.map(Some)
    }

    async fn write_back(&self, now: Timestamp) -> Result<u64, StoreError> {
        let latest = self.kept_until() + Duration::from_secs(1);
        let (mut lacked, mut end) = (0, Timestamp::from_micros(i64::MAX));
        for begin in FIRST.map(|span| latest - span).into_iter().chain([Timestamp::from_micros(0)]) {
            lacked += self.write_span(begin..end, now).await?;
            end = begin;
        }
        // Lifts the own lane over what was acknowledged on it, also if nothing was written on it.
        let lane = self.lane.clone();
        let number = self.store.transaction(async move |tx: &mut Tx| lane.next(tx)).await?;
        self.committed(number);
        Ok(lacked)
    }

    /// Writes back the entries that are kept until a time in this span.
    async fn write_span(&self, span: Range<Timestamp>, now: Timestamp) -> Result<u64, StoreError> {
        let snapshot = self.set.snapshot();
        let kept = snapshot.entries(0).map(|(_, kept)| kept);
        let mut entries = kept.filter(|kept| span.contains(&kept.expires_at)).map(|kept| kept.revocation);
        let mut lacked = 0;
        loop {
            let batch: Vec<Entry> = entries.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(lacked);
            }
            let (mut sessions, mut users) = (Vec::new(), Vec::new());
            for entry in batch {
                match entry {
                    Entry::Session(session) => sessions.push(session),
                    Entry::User(user, version) => users.push(self.stale(user, version)),
                }
            }
            // In the order of their ids, like every act (attack X16).
            sessions.sort_unstable();
            users.sort_unstable_by_key(|stale| stale.user);
            if !sessions.is_empty() {
                lacked += self.write_sessions(sessions, now).await?;
            }
            if !users.is_empty() {
                lacked += self.write_versions(users, now).await?;
            }
        }
    }

    fn stale(&self, user: UserId, version: ClaimsVersion) -> Stale {
        Stale { user, version, all_ended: self.all_ended().get(&user).copied() }
    }

    async fn write_sessions(&self, batch: Vec<SessionId>, now: Timestamp) -> Result<u64, StoreError> {
        let (lane, until, reason) = (self.lane.clone(), now + self.remembered_for(), EndReason::Recovered);
        let written = self.store.transaction(async move |tx: &mut Tx| {
            for session in &batch {
                tx.queue(END, values![*session, now, reason.as_str()])?;
            }
            let (number, mut lacked) = (lane.next(tx)?, 0);
            for session in &batch {
                let row = values![*session, reason.as_str(), lane.id, now, until];
                lacked += tx.execute(REVOKE, row).await?;
            }
            Ok((number, lacked))
        });
        let (number, lacked) = written.await?;
        self.committed(number);
        Ok(lacked)
    }

    async fn write_versions(&self, batch: Vec<Stale>, now: Timestamp) -> Result<u64, StoreError> {
        let (lane, until, reason) = (self.lane.clone(), now + self.remembered_for(), EndReason::Recovered);
        let written = self.store.transaction(async move |tx: &mut Tx| {
            for Stale { user, version, all_ended } in &batch {
                tx.queue(RAISE, values![*user, *version])?;
                if let Some(AllEnded { until, kept }) = *all_ended {
                    let kept = kept.unwrap_or(SessionId::from_bytes([0; 16]));
                    tx.queue(END_ALL, values![*user, now, reason.as_str(), until, kept])?;
                }
            }
            let (number, mut lacked) = (lane.next(tx)?, 0);
            for Stale { user, version, all_ended } in &batch {
                let (ended_until, kept) =
                    (all_ended.map(|all| all.until), all_ended.and_then(|all| all.kept));
                let row = values![*user, *version, lane.id, now, until, ended_until, kept];
                lacked += tx.execute(REQUIRE, row).await?;
            }
            Ok((number, lacked))
        });
        let (number, lacked) = written.await?;
        self.committed(number);
        Ok(lacked)
    }
}
