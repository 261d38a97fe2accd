//! The root secrets that this process knows: one, or two while it is being changed.
//!
//! Which of them is in force is written in the database, as the fingerprint of that one. What is made now is made under
//! it; what was made under the other stays good for as long as this process knows that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use doorward_core::{Purpose, RootSecret, SealError, Secret};

use crate::store::{Store, StoreError, Tx, values};

/// The name of the number that says which one is in force.
pub(crate) const FINGERPRINT: &str = "root_fingerprint";
/// Keeps the one in force for the rest of a transaction.
const KEEP: &str = "UPDATE facts SET value = value WHERE name = 'root_fingerprint' AND value = $1";
const REPLACE: &str = "UPDATE facts SET value = $2 WHERE name = 'root_fingerprint' AND value = $1";
/// Set by a server that knows a second secret, with that one's fingerprint.
const ANNOUNCED: &str = "root_announced";

const FIRST: u8 = 0;
const SECOND: u8 = 1;
/// No secret that this process knows is in force.
const NEITHER: u8 = 2;

/// The root secrets of this process.
pub struct Roots {
    first: RootSecret,
    second: Option<RootSecret>,
    in_force: AtomicU8,
}

impl Roots {
    /// Finds which of these is in force; in a new database that is the first.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the database was made under another one: its keys and refresh tokens would all be
    /// useless.
    pub(crate) async fn recognise(
        store: &Store,
        first: RootSecret,
        second: Option<RootSecret>,
    ) -> Result<Self, StoreError> {
        let fingerprint = first.fingerprint();
        store.transaction(async move |tx: &mut Tx| tx.begin_fact(FINGERPRINT, fingerprint).await).await?;
        let roots = Self { first, second, in_force: AtomicU8::new(NEITHER) };
        roots.follow(store).await?;
        roots.require()?;
        Ok(roots)
    }

    /// Reads again which one is in force.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn follow(&self, store: &Store) -> Result<(), StoreError> {
        self.put_in_force(store.find_fact(FINGERPRINT).await?);
        Ok(())
    }

    /// Takes the one with this fingerprint for the one in force.
    pub(crate) fn put_in_force(&self, theirs: Option<i64>) {
        let is = |root: &RootSecret| Some(root.fingerprint()) == theirs;
        let in_force = match &self.second {
            _ if is(&self.first) => FIRST,
            Some(second) if is(second) => SECOND,
            _ => NEITHER,
        };
        self.in_force.store(in_force, Ordering::Release);
    }

    /// Checks that this process knows the secret in force. It doesn't if the secret was changed, and this process was
    /// not started with the new one.
    ///
    /// # Errors
    /// [`StoreError::Refused`].
    pub(crate) fn require(&self) -> Result<(), StoreError> {
        if self.in_force.load(Ordering::Acquire) != NEITHER {
            return Ok(());
        }
        Err(StoreError::Refused(
            "this database was made under another root secret, or that was changed: start with its DOORWARD_SECRET or \
             its secret.key"
                .into(),
        ))
    }

    fn is_second(&self) -> bool {
        self.in_force.load(Ordering::Acquire) == SECOND
    }

    /// The secret in force.
    pub(crate) fn current(&self) -> &RootSecret {
        chosen(self.is_second(), &self.first, self.second.as_ref())
    }

    /// The one that is given first. It stays the same while another takes its place in the database: for what must be
    /// recognised only for a minute, on all nodes.
    pub(crate) fn first(&self) -> &RootSecret {
        &self.first
    }

    /// The secret that is known beside the one in force.
    pub(crate) fn other(&self) -> Option<&RootSecret> {
        if self.is_second() { Some(&self.first) } else { self.second.as_ref() }
    }

    /// Encrypts under the secret in force: see [`RootSecret::seal`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn seal(&self, context: &str, plain: &Secret) -> Result<Vec<u8>, SealError> {
        self.current().seal(crate::random::bytes(), context, plain)
    }

    /// Decrypts what was encrypted under any of them: see [`RootSecret::open`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        let opened = self.current().open(context, sealed);
        opened.or_else(|error| self.other().ok_or(error)?.open(context, sealed))
    }

    /// Notes, for a server, that it knows a second secret.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn announce(&self, store: &Store) -> Result<(), StoreError> {
        let Some(other) = self.other().map(RootSecret::fingerprint) else { return Ok(()) };
        store.set_fact(ANNOUNCED, other).await
    }

    /// Whether a server has noted that it knows this secret.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn is_announced(store: &Store, root: &RootSecret) -> Result<bool, StoreError> {
        Ok(store.fact(ANNOUNCED).await? == root.fingerprint())
    }

    /// Makes sure, first in a transaction, that this one stays in force until its end. False if it isn't.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn keep(tx: &mut Tx, fingerprint: i64) -> Result<bool, StoreError> {
        Ok(tx.execute(KEEP, values![fingerprint]).await? == 1)
    }

    /// Puts another one in force, first in a transaction. False if `before` wasn't in force.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn replace(tx: &mut Tx, before: i64, after: i64) -> Result<bool, StoreError> {
        Ok(tx.execute(REPLACE, values![before, after]).await? == 1)
    }
}

fn chosen<'a, T>(is_second: bool, first: &'a T, second: Option<&'a T>) -> &'a T {
    second.filter(|_| is_second).unwrap_or(first)
}

/// The keys for one purpose, one of each root secret.
pub(crate) struct Derived<K> {
    roots: Arc<Roots>,
    first: K,
    second: Option<K>,
}

impl<K> Derived<K> {
    pub(crate) fn new(roots: &Arc<Roots>, purpose: Purpose, make: impl Fn(&Secret) -> K) -> Self {
        let of = |root: &RootSecret| make(&root.derive(purpose));
        Self { roots: roots.clone(), first: of(&roots.first), second: roots.second.as_ref().map(of) }
    }

    /// The key that makes things now.
    pub(crate) fn current(&self) -> &K {
        chosen(self.roots.is_second(), &self.first, self.second.as_ref())
    }

    /// What one of the keys recognises, if one does.
    pub(crate) fn find<T>(&self, recognise: impl Fn(&K) -> Option<T>) -> Option<T> {
        recognise(&self.first).or_else(|| recognise(self.second.as_ref()?))
    }
}
