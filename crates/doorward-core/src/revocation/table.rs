//! Ids in little memory: open addressing over plain atomic words, 20 bytes for a session and 28 for a user.
//!
//! A reader takes no lock and writes nothing. There is one writer at a time. It fills free places, and never changes the
//! id in a place. To make room or to drop entries it builds a shard again, and puts the new one in place of the old one.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use foldhash::fast::RandomState;

/// An id as two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    high: u64,
    low: u64,
}

impl Key {
    pub(super) fn of(id: &[u8; 16]) -> Self {
        let id = u128::from_be_bytes(*id);
        Self { high: (id >> 64) as u64, low: id as u64 }
    }

    fn number(self) -> u128 {
        (u128::from(self.high) << 64) | u128::from(self.low)
    }

    pub(super) fn id(self) -> [u8; 16] {
        self.number().to_be_bytes()
    }
}

/// An entry: until which second it is kept, and the least version if it is a user's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) until: u32,
    pub(super) version: u64,
}

/// What an entry has besides its key and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sessions,
    Users,
}

/// A part of a table. A place is free while its `until` is 0.
#[derive(Default)]
pub(super) struct Shard {
    low: Box<[AtomicU64]>,
    high: Box<[AtomicU64]>,
    until: Box<[AtomicU32]>,
    /// Of users alone.
    versions: Box<[AtomicU64]>,
    taken: AtomicUsize,
}

impl Shard {
    /// A shard with these entries. It is at least two thirds full, and has room for a fifth more.
    pub(super) fn of(entries: &[Entry], kind: Kind, hasher: &RandomState) -> Self {
        let places = (entries.len() * 7 / 5).max(8);
        let words = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        let shard = Self {
            low: words(places),
            high: words(places),
            until: (0..places).map(|_| AtomicU32::new(0)).collect(),
            versions: words(if kind == Kind::Users { places } else { 0 }),
            taken: AtomicUsize::new(0),
        };
        for entry in entries {
            shard.insert(*entry, hash(entry.key, hasher));
        }
        shard
    }

    pub(super) fn len(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many places it has, free or not.
    pub(super) fn places(&self) -> usize {
        self.low.len()
    }

    /// Whether one more entry would make look-ups slow.
    pub(super) fn is_full(&self) -> bool {
        self.len() * 20 >= self.places() * 17
    }

    /// Where look-ups of this hash begin.
    fn first(&self, hash: u64) -> usize {
        (((hash & u64::from(u32::MAX)) * self.low.len() as u64) >> 32) as usize
    }

    /// The place of an id.
    pub(super) fn find(&self, key: Key, hash: u64) -> Option<usize> {
        let first = self.first(hash);
        let (before, from) = self.low.split_at_checked(first)?;
        self.scan(key, from, first).or_else(|| self.scan(key, before, 0)).and_then(Result::ok)
    }

    /// Looks through neighbouring places: where the id is, or that it is nowhere; `None` if it may come later.
    fn scan(&self, key: Key, low: &[AtomicU64], first: usize) -> Option<Result<usize, Absent>> {
        for (at, word) in (first..).zip(low) {
            let word = word.load(Ordering::Relaxed);
            if word == key.low && self.is_taken(at) {
                // A place is taken after its words are written.
                if self.high.get(at)?.load(Ordering::Relaxed) == key.high {
                    return Some(Ok(at));
                }
            } else if word == 0 && !self.is_taken(at) {
                return Some(Err(Absent));
            }
        }
        None
    }

    fn is_taken(&self, at: usize) -> bool {
        self.until.get(at).is_some_and(|until| until.load(Ordering::Acquire) != 0)
    }

    /// The least version in this place.
    pub(super) fn version(&self, at: usize) -> Option<u64> {
        Some(self.versions.get(at)?.load(Ordering::Acquire))
    }

    /// Keeps the entry in this place for longer, and raises its version. Returns whether the version is higher now.
    pub(super) fn raise(&self, at: usize, entry: Entry) -> bool {
        if let Some(until) = self.until.get(at) {
            until.fetch_max(entry.until, Ordering::AcqRel);
        }
        let version = self.versions.get(at);
        version.is_some_and(|version| version.fetch_max(entry.version, Ordering::AcqRel) < entry.version)
    }

    /// Adds an entry that is not there, if there is a free place.
    pub(super) fn insert(&self, entry: Entry, hash: u64) {
        let first = self.first(hash);
        let Some(at) = (first..self.places()).chain(0..first).find(|at| !self.is_taken(*at)) else { return };
        let (low, high, until) = (self.low.get(at), self.high.get(at), self.until.get(at));
        let (Some(low), Some(high), Some(until)) = (low, high, until) else { return };
        high.store(entry.key.high, Ordering::Relaxed);
        if let Some(version) = self.versions.get(at) {
            version.store(entry.version, Ordering::Relaxed);
        }
        low.store(entry.key.low, Ordering::Relaxed);
        until.store(entry.until.max(1), Ordering::Release);
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// The entry in a place.
    fn entry(&self, at: usize) -> Option<Entry> {
        let until = self.until.get(at)?.load(Ordering::Acquire);
        let word = |words: &[AtomicU64]| Some(words.get(at)?.load(Ordering::Relaxed));
        let key = Key { high: word(&self.high)?, low: word(&self.low)? };
        (until != 0).then(|| Entry { key, until, version: word(&self.versions).unwrap_or_default() })
    }

    /// Its entries from a place on, each with the place after it.
    pub(super) fn entries(&self, from: usize) -> impl Iterator<Item = (usize, Entry)> {
        (from..self.places()).filter_map(|at| Some((at + 1, self.entry(at)?)))
    }
}

/// An id is in no place.
struct Absent;

/// A table: its shards, of which there are none before its first entry.
#[derive(Clone, Default)]
pub(super) struct Table {
    shards: Box<[Arc<Shard>]>,
}

impl Table {
    /// A table with so many empty shards, a power of two.
    pub(super) fn with_shards(count: usize) -> Self {
        let empty = Arc::new(Shard::default());
        Self { shards: (0..count).map(|_| empty.clone()).collect() }
    }

    pub(super) fn is_unused(&self) -> bool {
        self.shards.is_empty()
    }

    /// Which shard has the ids of this hash.
    pub(super) fn shard_of(&self, hash: u64) -> usize {
        (hash >> 32) as usize & self.shards.len().wrapping_sub(1)
    }

    pub(super) fn shard(&self, index: usize) -> Option<&Arc<Shard>> {
        self.shards.get(index)
    }

    pub(super) fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    pub(super) fn put(&mut self, index: usize, shard: Shard) {
        if let Some(place) = self.shards.get_mut(index) {
            *place = Arc::new(shard);
        }
    }

    /// The shard and the place of an id.
    pub(super) fn find(&self, key: Key, hasher: &RandomState) -> Option<(&Shard, usize)> {
        if self.shards.is_empty() {
            return None;
        }
        let hash = hash(key, hasher);
        let shard = self.shards.get(self.shard_of(hash))?;
        Some((shard, shard.find(key, hash)?))
    }
}

/// Ids are the server's own and looked up after the signature, so nobody can choose colliding ones.
pub(super) fn hash(key: Key, hasher: &RandomState) -> u64 {
    hasher.hash_one(key.number())
}
