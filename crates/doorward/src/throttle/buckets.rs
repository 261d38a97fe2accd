//! The buckets in memory, by a keyed hash of what they count.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_lc_rs::hmac;
use doorward_core::throttle::Bucket;
use doorward_core::{Purpose, RootSecret, Timestamp};
use quick_cache::sync::Cache;

/// What a bucket counts, as an HMAC under the root secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(pub(super) i64);

impl Key {
    /// Networks have the negative keys.
    fn is_network(self) -> bool {
        self.0 < 0
    }
}

/// The buckets. Accounts have a memory of their own, so that they can't push networks out of it.
pub(super) struct Buckets {
    accounts: Cache<i64, Arc<Bucket>>,
    networks: Cache<i64, Arc<Bucket>>,
    secret: hmac::Key,
    /// How often the limits were cleared. It is in every key, so nothing from before is found.
    cleared: AtomicI64,
}

impl Buckets {
    /// A memory of this many accounts, and half as many networks.
    pub(super) fn new(root: &RootSecret, memory: usize) -> Self {
        Self {
            accounts: Cache::new(memory),
            networks: Cache::new(memory / 2),
            secret: hmac::Key::new(hmac::HMAC_SHA256, root.derive(Purpose::Limits).expose()),
            cleared: AtomicI64::new(0),
        }
    }

    /// The key of something about an account or a person.
    pub(super) fn of_account(&self, parts: &[&[u8]]) -> Key {
        Key(self.tag(parts) & i64::MAX)
    }

    /// The key of something about a network.
    pub(super) fn of_network(&self, what: &str, network: IpAddr) -> Key {
        Key(self.tag(&[what.as_bytes(), network.to_string().as_bytes()]) | i64::MIN)
    }

    /// The bucket with this key.
    pub(super) fn get(&self, key: Key) -> Arc<Bucket> {
        let buckets = if key.is_network() { &self.networks } else { &self.accounts };
        let made = || Ok::<_, std::convert::Infallible>(Arc::default());
        let Ok(bucket) = buckets.get_or_insert_with(&key.0, made);
        bucket
    }

    /// Takes over what the store had kept.
    pub(super) fn learn(&self, key: Key, full_at: Timestamp) {
        self.get(key).learn(full_at);
    }

    /// Empties the limits, if they were cleared since the last time.
    pub(super) fn clear(&self, cleared: i64) {
        if self.cleared.swap(cleared, Ordering::SeqCst) != cleared {
            self.accounts.clear();
            self.networks.clear();
        }
    }

    fn tag(&self, parts: &[&[u8]]) -> i64 {
        let mut tag = hmac::Context::with_key(&self.secret);
        tag.update(&self.cleared.load(Ordering::SeqCst).to_be_bytes());
        for part in parts {
            tag.update(&part.len().to_be_bytes());
            tag.update(part);
        }
        tag.sign().as_ref().first_chunk().copied().map_or(0, i64::from_be_bytes)
    }

    #[cfg(test)]
    pub(super) fn accounts(&self) -> usize {
        self.accounts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_apart_what_is_counted_and_reveal_nothing_without_the_root_secret() {
        let buckets =
            |secret: u8| Buckets::new(&RootSecret::new(&doorward_core::Secret::new([secret; 32])), 10);
        let (one, other) = (buckets(1), buckets(2));
        let key =
            |parts: &[&str]| one.of_account(&parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>());
        assert_eq!(key(&["account", "ada"]), key(&["account", "ada"]));
        assert_ne!(key(&["account", "ada"]), key(&["accounta", "da"]));
        assert_ne!(key(&["account", "ada"]), other.of_account(&[b"account", b"ada"]));
        let network = "192.0.2.1".parse().unwrap();
        assert!(one.of_network("network", network).is_network() && !key(&["account"]).is_network());
        let before = key(&["account"]);
        one.clear(1);
        assert_ne!(key(&["account"]), before);
    }
}
