//! The signing keys: made on first start, encrypted in the store, and published before they sign. Each verifies until
//! the last token that it signed has expired.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use doorward_core::token::{
    self, Algorithm, AppClaims, Claims, Expected, KeyLife, KeySet, KeyState, SigningKey, VerifyingKey,
};
use doorward_core::{Secret, Timestamp};
use doorward_guard::internals::VerificationKeys;
use doorward_guard::internals::Verifier;
use serde::Serialize;

use crate::acts::{Act, Acts, Base, Change, Done};
use crate::audit::{Action, By, Entry};
use crate::error::{Error, Result};
use crate::next_look::NextLook;
use crate::revocations::Revocations;
use crate::roots::Roots;
use crate::store::{Row, Store, StoreError, Tx, values};
use crate::sweeps::Expired;
use crate::users::rfc3339;

/// How long a new key is published before it signs: longer than anybody may cache the key set.
pub const PUBLISH_BEFORE_USE: Duration = Duration::from_secs(600);
/// How long anybody may cache the key set.
pub const JWKS_MAX_AGE: Duration = Duration::from_secs(300);
/// How many keys may be published at once.
const MOST: usize = 12;
/// How long a retired key verifies beyond the last token that it signed.
const MARGIN: Duration = Duration::from_secs(60);

/// One key of the store, with its times.
#[derive(Debug, Clone, Serialize)]
pub struct KeyView {
    /// Its id, in the header of every token that it signed.
    pub kid: String,
    /// Its algorithm (JOSE name).
    pub algorithm: String,
    /// `next`, `active`, `retired` or `removed`.
    pub state: &'static str,
    /// When it was made.
    pub created_at: String,
    /// It signs from this time on.
    pub activates_at: String,
    /// It no longer signs from this time on.
    pub retires_at: Option<String>,
    /// It no longer verifies from this time on.
    pub removed_at: Option<String>,
}

#[derive(Clone)]
struct StoredKey {
    key: Arc<SigningKey>,
    created_at: Timestamp,
    life: KeyLife,
}

/// The keys in force at one time.
struct ActiveKeys {
    signing: Arc<SigningKey>,
    /// Its id.
    id: Arc<str>,
    jwks: String,
    /// Which keys are published and which verify; this changes with time.
    outline: Vec<(String, &'static str)>,
    /// When time alone changes that.
    until: Option<Timestamp>,
}

/// Whose settings they are. If they name another algorithm than the newest key has, only a server's matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithms {
    /// A server's.
    AsSet,
    /// Those of the command line, which may not be the server's.
    AsStored,
}

/// The keys that sign, verify and are published.
pub struct Keys {
    store: Store,
    acts: Acts,
    roots: Arc<Roots>,
    shared: bool,
    active: ArcSwap<ActiveKeys>,
    verifier: Arc<Verifier>,
    /// The keys as they were read last, so that only new ones are opened.
    read: Mutex<Vec<StoredKey>>,
    /// The store's version of the keys when they were read last.
    version: AtomicI64,
    next_look: Arc<NextLook>,
}

const LIST: &str = "SELECT kid, algorithm, private_key, created_at, activates_at, retires_at, removed_at \
     FROM signing_keys ORDER BY activates_at, kid";
const SWEEP: &str =
    "DELETE FROM signing_keys WHERE kid IN (SELECT kid FROM signing_keys WHERE removed_at <= $1 LIMIT $2)";
const INSERT: &str = "INSERT INTO signing_keys (kid, algorithm, private_key, public_jwk, created_at, activates_at) \
     VALUES ($1, $2, $3, $4, $5, $6)";
const FIRST: &str = "INSERT INTO signing_keys (kid, algorithm, private_key, public_jwk, created_at, activates_at) \
     SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), $3, CAST($4 AS TEXT), CAST($5 AS BIGINT), CAST($6 AS BIGINT) \
     WHERE NOT EXISTS (SELECT kid FROM signing_keys WHERE retires_at IS NULL)";
/// Each change of the keys raises their version. Nodes that start at the same time wait for each other here.
pub(crate) const VERSION: &str = "keys_version";
/// Also of keys that retire later, or are verified with until later: if the new one replaces keys that leaked, both times
/// are now, and no other key counts.
const RETIRE: &str = "UPDATE signing_keys SET \
     retires_at = CASE WHEN retires_at IS NULL OR retires_at > $2 OR $2 = $3 THEN $2 ELSE retires_at END, \
     removed_at = CASE WHEN removed_at IS NULL OR removed_at > $3 THEN $3 ELSE removed_at END \
     WHERE kid <> $1 AND (removed_at IS NULL OR removed_at > $3)";

/// What the settings want of a new key.
pub(crate) struct Wanted {
    pub(crate) algorithm: Algorithm,
    pub(crate) algorithms: Algorithms,
}

impl Keys {
    /// Loads the keys, and makes the first one. With a shared secret, that is the only key.
    ///
    /// # Errors
    /// The store fails, or holds keys that were sealed under another root secret.
    pub(crate) async fn load(
        base: Base,
        roots: Arc<Roots>,
        shared: Option<&Secret>,
        wanted: Wanted,
        expected: Expected,
        revocations: &Revocations,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let Base { store, acts, .. } = base;
        let active = match shared {
            Some(secret) => {
                let key = SigningKey::hs256(secret).map_err(refused)?;
                ActiveKeys {
                    id: key.kid().into(),
                    signing: Arc::new(key),
                    jwks: "{\"keys\":[]}".into(),
                    outline: Vec::new(),
                    until: None,
                }
            }
            None => {
                prepare(&store, &roots, wanted, now).await?;
                ActiveKeys::at(&read(&store, &roots, &[]).await?, now)?.0
            }
        };
        let current = KeySet::new(vec![active.signing.verifying_key()]).map_err(refused)?;
        let set = VerificationKeys { current, ..VerificationKeys::default() };
        let verifier = Arc::new(Verifier::new(set, expected, revocations.set.clone()));
        let active = ArcSwap::new(Arc::new(active));
        let (read, version, next_look) = (Mutex::default(), AtomicI64::new(0), Arc::default());
        let keys =
            Self { store, acts, roots, shared: shared.is_some(), active, verifier, read, version, next_look };
        keys.follow(now, true).await?;
        Ok(keys)
    }

    /// The verifier with these keys.
    pub fn verifier(&self) -> &Arc<Verifier> {
        &self.verifier
    }

    /// Signs an access token, with the application's claims.
    ///
    /// # Errors
    /// If the cryptography library fails.
    pub fn issue(&self, claims: &Claims, app: &AppClaims) -> Result<String> {
        let (active, names) = (self.active.load(), self.verifier.expected());
        token::issue_with(&active.signing, &names, claims, app)
            .map_err(|error| Error::unavailable("an access token could not be signed", error))
    }

    /// The algorithm and the id of the key that signs.
    pub(crate) fn signs_with(&self) -> (Algorithm, String) {
        let active = self.active.load();
        (active.signing.algorithm(), active.signing.kid().to_owned())
    }

    /// The algorithm of the newest key, which signs already or soon.
    pub fn algorithm(&self) -> Algorithm {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = read.iter().rfind(|stored| stored.life.retires_at.is_none());
        newest.map_or_else(|| self.signs_with().0, |newest| newest.key.algorithm())
    }

    /// The id of the key that signs now.
    pub(crate) fn signing_kid(&self) -> Arc<str> {
        self.active.load().id.clone()
    }

    /// Signs an assertion for the application of this audience.
    ///
    /// # Errors
    /// As for [`Keys::issue`].
    pub fn assert_identity(&self, audience: &str, claims: &Claims) -> Result<String> {
        let names = self.verifier.expected();
        token::assert_identity(&self.active.load().signing, &names.issuer, audience, claims)
            .map_err(|error| Error::unavailable("an assertion could not be signed", error))
    }

    /// The public keys as a JWK set (RFC 7517 section 5).
    pub fn jwks(&self) -> String {
        self.active.load().jwks.clone()
    }

    /// The looks that find new keys.
    pub(crate) fn next_look(&self) -> &Arc<NextLook> {
        &self.next_look
    }

    /// NextLook for the key of a token, if it is unknown: another node may have made it just now.
    pub(crate) async fn look_for_the_key_of(&self, token: &str) {
        if self.next_look.is_coming() && self.verifier.lacks_the_key_of(token) {
            self.next_look.wait().await;
        }
    }

    /// Whether a key's state changes about now.
    pub fn are_due(&self, now: Timestamp) -> bool {
        self.active.load().until.is_some_and(|until| until <= now)
    }

    /// Applies changes that the store has by now, if its version of the keys is another, and those that come with time.
    ///
    /// # Errors
    /// The store's; the keys in force stay.
    pub(crate) async fn follow_to(&self, version: i64, now: Timestamp) -> Result<(), StoreError> {
        if self.version.load(Ordering::SeqCst) != version || self.are_due(now) {
            self.follow(now, false).await?;
            self.version.store(version, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Applies changes in the store and those that come with time. `all` puts keys in force even if nothing seems to
    /// have changed.
    ///
    /// # Errors
    /// The store's; the keys in force stay.
    pub async fn follow(&self, now: Timestamp, all: bool) -> Result<(), StoreError> {
        if self.shared {
            return Ok(());
        }
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stored = read(&self.store, &self.roots, &known).await?;
        let (new, set) = ActiveKeys::at(&stored, now)?;
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = stored;
        let old = self.active.load();
        if all || (&new.outline, new.until) != (&old.outline, old.until) {
            // The verifying keys are replaced first, so nothing is signed that can't be verified.
            self.verifier.replace_keys(set);
            self.active.store(Arc::new(new));
        }
        Ok(())
    }

    /// Makes a new key, which signs from `activates_at` on; the others retire then.
    ///
    /// # Errors
    /// The store's; or there is a shared secret, which is rotated by changing it.
    pub async fn rotate(
        &self,
        algorithm: Algorithm,
        activates_at: Timestamp,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        let removed_at = activates_at + self.verifier.expected().max_ttl + MARGIN;
        self.succeed(algorithm, activates_at, removed_at, now).await
    }

    /// Makes a new key that signs at once, and stops verifying with the others: one of them has leaked. Every client
    /// refreshes once.
    ///
    /// # Errors
    /// As for [`Keys::rotate`].
    pub async fn replace(&self, algorithm: Algorithm, now: Timestamp) -> Result<String, StoreError> {
        self.succeed(algorithm, now, now, now).await
    }

    async fn succeed(
        &self,
        algorithm: Algorithm,
        activates_at: Timestamp,
        removed_at: Timestamp,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        if self.shared {
            let refusal = "access tokens are signed with JWT_SECRET: change that instead";
            return Err(StoreError::Refused(refusal.into()));
        }
        let published = self.active.load().outline.iter().filter(|(_, state)| *state != "removed").count();
        if published >= MOST && activates_at > now {
            let refusal = format!("there are {published} keys already: wait until the oldest is removed");
            return Err(StoreError::Refused(refusal));
        }
        let new = NewKey::make(&self.roots, algorithm, now).await?;
        let kid = new.kid.clone();
        let entry = Entry::of(Action::KeyRotated).detail(kid.clone());
        new.succeeds(&self.acts, Act::new(By::CommandLine, now), activates_at, removed_at, entry).await?;
        self.follow(now, true).await?;
        Ok(kid)
    }

    /// All keys of the store, the oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, now: Timestamp) -> Result<Vec<KeyView>, StoreError> {
        let shown = |stored: &StoredKey| KeyView {
            kid: stored.key.kid().into(),
            algorithm: stored.key.algorithm().to_string(),
            state: stored.life.state(now).as_str(),
            created_at: rfc3339(stored.created_at),
            activates_at: rfc3339(stored.life.activates_at),
            retires_at: stored.life.retires_at.map(rfc3339),
            removed_at: stored.life.removed_at.map(rfc3339),
        };
        Ok(read(&self.store, &self.roots, &[]).await?.iter().map(shown).collect())
    }
}

/// The keys that were removed before this time: no session of their tokens can still be alive.
pub(crate) fn expired(before: Timestamp) -> Expired {
    Expired::of("signing_keys", SWEEP, values![before])
}

impl ActiveKeys {
    /// The keys in force at `now`: the newest active key signs, and the next one is published already.
    fn at(keys: &[StoredKey], now: Timestamp) -> Result<(Self, VerificationKeys), StoreError> {
        let turns = keys.iter().flat_map(|stored| stored.life.turns());
        let until = turns.filter(|at| *at > now).min();
        // A clock may have been set back to before the first key's start, for example if it was ahead when the key was
        // made. The server works all the same: the first key is always in force (attack J43).
        let now =
            keys.iter().map(|stored| stored.life.activates_at).min().map_or(now, |first| now.max(first));
        let is = |stored: &StoredKey, state| stored.life.state(now) == state;
        let shape = |stored: &StoredKey| {
            if stored.life.is_due(now) { "due" } else { stored.life.state(now).as_str() }
        };
        let outline = keys.iter().map(|stored| (stored.key.kid().to_owned(), shape(stored))).collect();
        let those = |chosen: &dyn Fn(&StoredKey) -> bool| -> Vec<VerifyingKey> {
            keys.iter().filter(|stored| chosen(stored)).map(|stored| stored.key.verifying_key()).collect()
        };
        let published = KeySet::new(those(&|stored| !is(stored, KeyState::Removed))).map_err(refused)?;
        let current = KeySet::new(those(&|stored| stored.life.verifies(now))).map_err(refused)?;
        let removed = keys.iter().rev();
        let removed = removed.filter(|stored| is(stored, KeyState::Removed) && !stored.life.is_compromised());
        let removed = removed.take(MOST).map(|stored| stored.key.verifying_key()).collect();
        let verifying = VerificationKeys { current, removed: KeySet::new(removed).map_err(refused)? };
        let signing = keys.iter().rfind(|stored| is(stored, KeyState::Active));
        let signing = signing.ok_or_else(|| StoreError::Refused("no signing key is active".into()))?;
        let signing = signing.key.clone();
        let (id, jwks) = (signing.kid().into(), published.to_jwks());
        Ok((Self { signing, id, jwks, outline, until }, verifying))
    }
}

/// Makes the first key. Of several nodes that start on an empty database, one makes it.
///
/// If a server's settings name another algorithm than the newest key has, it says so: nodes of two settings would
/// otherwise make keys in turn.
async fn prepare(store: &Store, roots: &Roots, wanted: Wanted, now: Timestamp) -> Result<(), StoreError> {
    let Wanted { algorithm, algorithms } = wanted;
    let keys = read(store, roots, &[]).await?;
    let Some(newest) = keys.iter().rfind(|stored| stored.life.retires_at.is_none()) else {
        let new = NewKey::make(roots, algorithm, now).await?;
        let first = async move |tx: &mut Tx| {
            tx.raise_fact(VERSION)?;
            tx.execute(FIRST, new.values(now)).await.map(drop)
        };
        return store.transaction(first).await;
    };
    let in_force = newest.key.algorithm();
    if in_force != algorithm && algorithms == Algorithms::AsSet {
        tracing::warn!(
            "access.algorithm is {algorithm}, and the signing key in force is one of {in_force}, which goes on: change \
             it with `doorward key rotate --algorithm {algorithm}`"
        );
    }
    Ok(())
}

/// A key that was made just now, sealed.
struct NewKey {
    kid: String,
    algorithm: Algorithm,
    sealed: Vec<u8>,
    /// The fingerprint of the root secret.
    sealed_under: i64,
    jwk: String,
    created_at: Timestamp,
}

impl NewKey {
    /// Generating an RSA key takes long: do it off the threads that answer requests.
    async fn make(roots: &Roots, algorithm: Algorithm, now: Timestamp) -> Result<Self, StoreError> {
        let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await;
        let key = made.map_err(refused)?.map_err(refused)?;
        let private = key.to_pkcs8().ok_or_else(|| refused("the key has no private part"))?;
        let sealed_under = roots.current().fingerprint();
        let sealed = roots.seal(key.kid(), &private).map_err(refused)?;
        let jwk = key.verifying_key().to_jwk().unwrap_or_default().to_owned();
        Ok(Self { kid: key.kid().to_owned(), algorithm, sealed, sealed_under, jwk, created_at: now })
    }

    /// Stores it in one transaction: it signs from `activates_at` on, when the others retire.
    async fn succeeds(
        self,
        acts: &Acts,
        act: Act,
        activates_at: Timestamp,
        removed_at: Timestamp,
        entry: Entry,
    ) -> Result<(), StoreError> {
        let change = async move |change: &mut Change<'_>| {
            if !Roots::keep(change, self.sealed_under).await? {
                return Err(StoreError::Refused("the root secret was changed just now: run it again".into()));
            }
            change.raise_fact(VERSION)?;
            change.execute(INSERT, self.values(activates_at)).await?;
            change.execute(RETIRE, values![&self.kid, activates_at, removed_at]).await?;
            Ok(Done::new((), entry.clone()))
        };
        acts.commit(act, change).await
    }

    fn values(&self, activates_at: Timestamp) -> Vec<crate::store::Value> {
        let algorithm = self.algorithm.as_str();
        values![&self.kid, algorithm, self.sealed.clone(), &self.jwk, self.created_at, activates_at]
    }
}

/// The keys of the store. Those that are known already are not opened again.
async fn read(store: &Store, roots: &Roots, known: &[StoredKey]) -> Result<Vec<StoredKey>, StoreError> {
    store.follow(LIST, values![]).await?.iter().map(|row| stored(row, roots, known)).collect()
}

fn stored(row: &Row, roots: &Roots, known: &[StoredKey]) -> Result<StoredKey, StoreError> {
    let kid: String = row.get("kid")?;
    let life = KeyLife {
        activates_at: row.get("activates_at")?,
        retires_at: row.get("retires_at")?,
        removed_at: row.get("removed_at")?,
    };
    if let Some(known) = known.iter().find(|known| known.key.kid() == kid) {
        return Ok(StoredKey { life, ..known.clone() });
    }
    let algorithm: Algorithm = row.get::<String>("algorithm")?.parse().map_err(refused)?;
    let private = roots.open(&kid, &row.get::<Vec<u8>>("private_key")?).map_err(|error| {
        StoreError::Refused(format!(
            "the signing key {kid} cannot be opened: {error}; start with the DOORWARD_SECRET or secret.key that this \
             database was made with"
        ))
    })?;
    Ok(StoredKey {
        key: Arc::new(SigningKey::from_pkcs8(algorithm, private.expose()).map_err(refused)?),
        created_at: row.get("created_at")?,
        life,
    })
}

fn refused(error: impl std::fmt::Display) -> StoreError {
    StoreError::Refused(format!("signing keys: {error}"))
}
