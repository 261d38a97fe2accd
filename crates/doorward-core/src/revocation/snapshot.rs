//! Everything that a set holds, to be read in pieces.

use std::sync::Arc;

use super::table::{Entry, Kind, Shard};
use super::{Tables, version};
use crate::{ClaimsVersion, SessionId, Timestamp, UserId};

/// One revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The session has ended.
    Session(SessionId),
    /// Tokens of a lower version are stale.
    User(UserId, ClaimsVersion),
}

/// A revocation, and until when the set keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The revocation.
    pub revocation: Revocation,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Everything that the set held when it was made, and perhaps what came later. It takes hardly any memory of its own,
/// but what the set drops meanwhile is freed with it.
pub struct Snapshot(Arc<Tables>);

impl Snapshot {
    pub(super) fn of(tables: Arc<Tables>) -> Self {
        Self(tables)
    }

    /// The entries from a place on, each with the place where reading goes on after it. The first place is 0.
    pub fn entries(&self, from: usize) -> impl Iterator<Item = (usize, Kept)> + Send {
        let shards = self.shards();
        let mut first = 0;
        let begun = shards.map(move |(kind, shard)| {
            let before = first;
            first += shard.places();
            (kind, before, shard)
        });
        let rest = begun.skip_while(move |(_, before, shard)| before + shard.places() <= from);
        rest.flat_map(move |(kind, before, shard)| {
            let entries = shard.entries(from.saturating_sub(before));
            entries.filter_map(move |(next, entry)| Some((before + next, kept(kind, entry)?)))
        })
    }

    fn shards(&self) -> impl Iterator<Item = (Kind, &Shard)> {
        let of = |kind| self.0.of(kind).shards().iter().map(move |shard| (kind, &**shard));
        of(Kind::Sessions).chain(of(Kind::Users))
    }
}

fn kept(kind: Kind, entry: Entry) -> Option<Kept> {
    let id = entry.key.id();
    let revocation = match kind {
        Kind::Sessions => Revocation::Session(SessionId::from_bytes(id)),
        Kind::Users => Revocation::User(UserId::from_bytes(id), version(entry.version)?),
    };
    Some(Kept { revocation, expires_at: Timestamp::from_secs(entry.until.into()) })
}
