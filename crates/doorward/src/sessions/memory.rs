mod writes;

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorward_core::revocation::{RevocationCheck, RevocationSet};
use doorward_core::role::RoleName;
use doorward_core::sign_in::Authentication;
use doorward_core::token::AccessToken;
use doorward_core::{ClaimsVersion, Mode, OpaqueSecret, Refusal, SessionId, Timestamp, UserId};
use doorward_guard::Identity;
use doorward_guard::internals::{Lookup, LookupFuture};
use quick_cache::sync::Cache;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::peer::{CurrentPeer, UsedFrom, fingerprint};
use super::renewal::{self, Former};
use super::stored::{self, Stored};
use crate::error::Cause;
use crate::flow::{self, Fact, Label, Step, Verb, note, tell};
use crate::next_look::NextLook;
use crate::revocations::Signs;
use crate::store::{Row, Store, StoreError};
use writes::{Seen, Writes, write};

/// A session's last use is written at most this often; one from elsewhere at once, but not more often either.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// How often to read a session again if its user changes meanwhile.
const TRIES: usize = 3;

/// A session in session mode, as memory has it.
struct Remembered {
    id: SessionId,
    user: UserId,
    role: RoleName,
    /// The version of the user's claims when the row was read.
    version: ClaimsVersion,
    authentication: Authentication,
    began_at: Timestamp,
    absolute_end: Timestamp,
    /// When its row was read, or shortly before.
    read_at: Timestamp,
    last_seen: AtomicI64,
    written: AtomicI64,
    /// The fingerprint of its last user.
    peer: AtomicU64,
    /// The place of the last use, if it changed since the row was read. Locked only to change it, and to write it.
    moved_to: Mutex<Option<Arc<UsedFrom>>>,
    /// When a use from elsewhere was written last.
    move_written: AtomicI64,
}

/// The last use of a session, which its row may not have yet.
pub(crate) struct LastUse {
    pub(crate) at: Timestamp,
    pub(crate) ip: Option<String>,
    pub(crate) user_agent: Option<String>,
}

/// The recently used sessions in session mode, by the hash of their secret. Every answer is checked against the
/// revocations.
pub struct Memory {
    known: Cache<[u8; 32], Arc<Remembered>>,
    set: Arc<RevocationSet>,
    signs: Arc<Signs>,
    store: Store,
    idle_ttl: Duration,
    access_ttl: Duration,
    seen: mpsc::Sender<Seen>,
    next_look: Arc<NextLook>,
    /// Why the last look-up of a session in the store failed. A refusal carries no text.
    failure: Mutex<Cause>,
}

/// What the memory of sessions works with.
pub struct MemoryParts {
    pub(crate) store: Store,
    pub(crate) set: Arc<RevocationSet>,
    pub(crate) signs: Arc<Signs>,
    pub(crate) next_look: Arc<NextLook>,
    /// Sessions end if they are not used for so long.
    pub(crate) idle_ttl: Duration,
    /// How long access tokens live.
    pub(crate) access_ttl: Duration,
}

impl Memory {
    /// A memory of `capacity` sessions.
    pub(crate) fn new(parts: MemoryParts, capacity: usize) -> (Self, Writes) {
        let MemoryParts { store, set, signs, next_look, idle_ttl, access_ttl } = parts;
        let (seen, writes) = Writes::over(store.clone());
        let (known, failure) = (Cache::new(capacity), Mutex::default());
        (Self { known, set, signs, store, idle_ttl, access_ttl, seen, next_look, failure }, writes)
    }

    /// Drops ended and outdated sessions, and has their last uses written unless a later use includes them. Call it
    /// before the revocations that say so are dropped. While revocations are missing it drops all.
    pub fn sweep(&self, now: Timestamp) {
        self.known.retain(|_, session| {
            let is_kept = self.standing(session) == RevocationCheck::Good && !self.is_over(session, now);
            if is_kept && session.unwritten().is_some() {
                self.write_if_due(session, now, false);
            }
            is_kept
        });
    }

    /// Reads every session from the store at its next use. Their last uses are written first, if the store takes them.
    pub(crate) async fn forget_all(&self) {
        if let Err(error) = self.flush().await {
            tracing::warn!(%error, "the last uses of sessions could not be written");
        }
        self.known.clear();
    }

    /// Writes the last use of every session that memory knows, before the process ends.
    ///
    /// # Errors
    /// The store's; then up to a minute of use is lost.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let unwritten =
            |session: &Remembered| session.unwritten().map(|at| self.use_of(session, at, session.moved_to()));
        let uses: Vec<Seen> = self.known.iter().filter_map(|(_, session)| unwritten(&session)).collect();
        write(&self.store, uses).await
    }

    /// The session of the secret with this hash, whether revoked or not.
    pub(crate) fn session_of(&self, hash: &[u8; 32]) -> Option<SessionId> {
        self.known
            .get(hash)
            .filter(|session| self.standing(session) != RevocationCheck::Stale)
            .map(|session| session.id)
    }

    /// What the revocations say of the session. A stale one is read again. Since its row was read, the user's sessions
    /// may have ended, the role may have changed, and the session may have been renewed with another secret.
    fn standing(&self, session: &Remembered) -> RevocationCheck {
        self.set.check(session.user, session.id, session.version)
    }

    /// Whether no missing revocation concerns the session: it counts as long as a token that was made when its row was
    /// read.
    fn is_covered(&self, session: &Remembered, now: Timestamp) -> bool {
        let left = (session.read_at + self.access_ttl).since(now);
        self.set.covers(left.min(self.access_ttl))
    }

    /// Before the store is asked: if memory doesn't know every ending, the store must.
    fn trust_store(&self) -> Result<(), Refusal> {
        let trusted = if self.set.is_behind() { self.signs.require_fresh() } else { Ok(()) };
        trusted.map_err(|error| self.unavailable(error))
    }

    /// How many it knows.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Why a check was recently refused as [`Refusal::Unavailable`].
    pub(crate) fn last_failure(&self) -> Cause {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn unavailable(&self, error: StoreError) -> Refusal {
        let cause = Cause::new("a session could not be looked up", "", error);
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = cause;
        Refusal::Unavailable
    }

    fn is_over(&self, session: &Remembered, now: Timestamp) -> bool {
        let idle_end = Timestamp::from_micros(session.last_seen.load(Ordering::Acquire)) + self.idle_ttl;
        now >= session.absolute_end || now >= idle_end
    }

    fn answer(&self, session: &Remembered, now: Timestamp) -> Result<Identity, Refusal> {
        if self.is_over(session, now) {
            return Err(Refusal::SessionExpired);
        }
        session.last_seen.fetch_max(now.as_micros(), Ordering::AcqRel);
        let has_moved = CurrentPeer::current(|peer| session.moves_to(peer)).unwrap_or_default();
        self.write_if_due(session, now, has_moved);
        let Remembered { user, id, began_at, absolute_end, .. } = *session;
        let mut identity = Identity::new(user, id, Mode::Session, began_at, absolute_end);
        (identity.role, identity.claims_version) = (session.role, session.version);
        identity.authentication = session.authentication;
        Ok(identity)
    }

    /// Has the last use written, if that is due.
    fn write_if_due(&self, session: &Remembered, now: Timestamp, has_moved: bool) {
        let long_ago = |at: i64| now.since(Timestamp::from_micros(at)) >= WRITE_EVERY;
        let written = session.written.load(Ordering::Acquire);
        let move_written = session.move_written.load(Ordering::Acquire);
        let moves = has_moved && long_ago(move_written);
        if !moves && !long_ago(written) {
            return;
        }
        let at = session.last_seen.load(Ordering::Acquire);
        let this = at.max(now.as_micros());
        // Only one of several concurrent requests has it written.
        if session.written.compare_exchange(written, this, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return;
        }
        if moves {
            session.move_written.store(this, Ordering::Release);
        }
        // Another process may have written another place since the row was read.
        let from = CurrentPeer::current(|peer| Arc::new(peer.used_from())).or_else(|| session.moved_to());
        if self.seen.try_send(self.use_of(session, Timestamp::from_micros(at), from)).is_err() {
            session.written.store(written, Ordering::Release);
            session.move_written.store(move_written, Ordering::Release);
        }
    }

    fn use_of(&self, session: &Remembered, at: Timestamp, from: Option<Arc<UsedFrom>>) -> Seen {
        Seen { session: session.id, at, expires_at: (at + self.idle_ttl).min(session.absolute_end), from }
    }

    /// The last use of the session of a row with `last_seen_at, ip, user_agent, secret_hash`.
    ///
    /// # Errors
    /// The row has other columns.
    pub(crate) fn last_use(&self, row: &Row) -> Result<LastUse, StoreError> {
        let mut last =
            LastUse { at: row.get("last_seen_at")?, ip: row.get("ip")?, user_agent: row.get("user_agent")? };
        let hash: Option<[u8; 32]> = row.get("secret_hash")?;
        let Some(session) = hash.and_then(|hash| self.known.peek(&hash)) else { return Ok(last) };
        let at = Timestamp::from_micros(session.last_seen.load(Ordering::Acquire));
        if at >= last.at {
            last.at = at;
            if let Some(from) = session.moved_to() {
                (last.ip, last.user_agent) = (Some(from.ip.clone()), from.user_agent.clone());
            }
        }
        Ok(last)
    }

    async fn load(&self, hash: [u8; 32], now: Timestamp) -> Result<Identity, Refusal> {
        self.trust_store()?;
        for _ in 0..TRIES {
            let found =
                stored::by_secret(&self.store, hash).await.map_err(|error| self.unavailable(error))?;
            let Some(stored) = found else {
                let former = renewal::by_secret(&self.store, hash, now).await;
                let former = former.map_err(|error| self.unavailable(error))?;
                return Err(former.map_or(Refusal::TokenInvalid, |former| former.refusal()));
            };
            if let Some(identity) = self.take(hash, &stored, now)? {
                return Ok(identity);
            }
        }
        Err(self.unavailable(StoreError::Contended("its user changed over and over".into())))
    }

    /// The same for several secrets, in one statement.
    async fn load_all(
        &self,
        hashes: Vec<[u8; 32]>,
        now: Timestamp,
    ) -> Result<Vec<Result<Identity, Refusal>>, Refusal> {
        self.trust_store()?;
        for _ in 0..TRIES {
            let found =
                stored::several(&self.store, &hashes, &[]).await.map_err(|error| self.unavailable(error))?;
            let former = match found.len() < hashes.len() {
                true => renewal::by_secrets(&self.store, &hashes, now).await,
                false => Ok(Vec::new()),
            };
            let former = former.map_err(|error| self.unavailable(error))?;
            let answers: Option<Vec<_>> =
                hashes.iter().map(|hash| self.answer_from(&found, &former, hash, now)).collect();
            if let Some(answers) = answers {
                return Ok(answers);
            }
        }
        Err(self.unavailable(StoreError::Contended("its user changed over and over".into())))
    }

    fn answer_from(
        &self,
        found: &[Stored],
        former: &[Former],
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Option<Result<Identity, Refusal>> {
        if let Some(stored) = found.iter().find(|stored| stored.secret_hash.as_ref() == Some(hash)) {
            return self.take(*hash, stored, now).transpose();
        }
        let former = former.iter().find(|former| former.has(hash));
        Some(Err(former.map_or(Refusal::TokenInvalid, Former::refusal)))
    }

    /// Remembers a stored session, and answers for it; `None` if it must be read again.
    fn take(&self, hash: [u8; 32], stored: &Stored, now: Timestamp) -> Result<Option<Identity>, Refusal> {
        stored.state.check_not_ended()?;
        let session = Arc::new(Remembered::of(stored, now));
        // Remember first, check after: a session that ends in between is refused here, and from memory too.
        self.known.insert(hash, session.clone());
        match self.standing(&session) {
            RevocationCheck::Ended => Err(Refusal::SessionEnded),
            RevocationCheck::Stale => Ok(None),
            RevocationCheck::Good | RevocationCheck::Unknown => self.answer(&session, now).map(Some),
        }
    }

    /// Whether a verified token is still good according to the store: session live, user enabled, claims not older than
    /// theirs.
    ///
    /// # Errors
    /// [`Refusal::SessionEnded`], [`Refusal::TokenStale`], or an internal failure.
    pub async fn confirm(&self, token: AccessToken, mode: Mode) -> Result<Identity, Refusal> {
        self.trust_store()?;
        let stored = stored::by_id(&self.store, token.session).await;
        judge(&token, mode, stored.map_err(|error| self.unavailable(error))?.as_ref())
    }

    /// The same for several tokens, in one statement.
    async fn confirm_all(
        &self,
        tokens: &[AccessToken],
        mode: Mode,
    ) -> Result<Vec<Result<Identity, Refusal>>, Refusal> {
        self.trust_store()?;
        let ids: Vec<_> = tokens.iter().map(|token| token.session).collect();
        let found = stored::several(&self.store, &[], &ids).await.map_err(|error| self.unavailable(error))?;
        let stored_of = |token: &AccessToken| found.iter().find(|stored| stored.id == token.session);
        Ok(tokens.iter().map(|token| judge(token, mode, stored_of(token))).collect())
    }
}

/// Whether a verified token is still good, according to the stored session.
fn judge(token: &AccessToken, mode: Mode, stored: Option<&Stored>) -> Result<Identity, Refusal> {
    let stored = stored.filter(|stored| stored.user == token.user).ok_or(Refusal::SessionEnded)?;
    stored.state.check_not_ended()?;
    if token.version < stored.claims_version {
        return Err(Refusal::TokenStale);
    }
    Ok(Identity::of_token(*token, mode))
}

impl Remembered {
    fn of(stored: &Stored, read_at: Timestamp) -> Self {
        let last_seen = stored.last_seen_at.as_micros();
        let ip: Option<IpAddr> = stored.ip.as_ref().and_then(|ip| ip.parse().ok());
        Self {
            id: stored.id,
            user: stored.user,
            role: stored.role,
            version: stored.claims_version,
            authentication: stored.authentication,
            began_at: stored.created_at,
            absolute_end: stored.state.absolute_expires_at,
            read_at,
            last_seen: AtomicI64::new(last_seen),
            written: AtomicI64::new(last_seen),
            peer: AtomicU64::new(ip.map_or(0, |ip| fingerprint(ip, stored.user_agent.as_deref()))),
            moved_to: Mutex::default(),
            move_written: AtomicI64::new(0),
        }
    }

    /// Records that the peer uses it; true if another did before.
    fn moves_to(&self, peer: &CurrentPeer) -> bool {
        let fingerprint = peer.fingerprint();
        if self.peer.load(Ordering::Acquire) == fingerprint {
            return false;
        }
        let mut moved_to = self.moved_to.lock().unwrap_or_else(PoisonError::into_inner);
        *moved_to = Some(Arc::new(peer.used_from()));
        self.peer.swap(fingerprint, Ordering::AcqRel) != fingerprint
    }

    fn moved_to(&self) -> Option<Arc<UsedFrom>> {
        self.moved_to.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last use, if it is not written yet.
    fn unwritten(&self) -> Option<Timestamp> {
        let at = self.last_seen.load(Ordering::Acquire);
        (at > self.written.load(Ordering::Acquire)).then(|| Timestamp::from_micros(at))
    }
}

/// A session that was read from the store, as a step.
fn note_found(found: &Result<Identity, Refusal>, started: Option<Instant>) {
    note(|| {
        let step = Step::check(Verb::ReadSession, found.is_ok()).since(started);
        match found {
            Ok(identity) => step.fact(Fact::session(identity.session)),
            Err(refusal) => step.fact(Fact::text(Label::Code, refusal.code())),
        }
    });
    if let Ok(identity) = found {
        tell(|story| (story.user, story.session) = (Some(identity.user), Some(identity.session)));
    }
}

impl Lookup for Memory {
    fn fetches_keys(&self) -> bool {
        self.next_look.is_coming()
    }

    fn newer_keys(&self) -> LookupFuture<'_, bool> {
        Box::pin(async move { Ok(self.next_look.wait().await) })
    }

    fn session_in_memory(&self, hash: &[u8; 32], now: Timestamp) -> Option<Result<Identity, Refusal>> {
        let session = self.known.get(hash)?;
        match self.standing(&session) {
            RevocationCheck::Good => Some(self.answer(&session, now)),
            RevocationCheck::Unknown if self.is_covered(&session, now) => Some(self.answer(&session, now)),
            RevocationCheck::Ended => Some(Err(Refusal::SessionEnded)),
            RevocationCheck::Stale | RevocationCheck::Unknown => None,
        }
    }

    fn session<'a>(&'a self, secret: &'a OpaqueSecret, now: Timestamp) -> LookupFuture<'a> {
        Box::pin(async move {
            let started = flow::started();
            let found = self.load(secret.hash(), now).await;
            note_found(&found, started);
            found
        })
    }

    fn sessions<'a>(
        &'a self,
        secrets: &'a [OpaqueSecret],
        now: Timestamp,
    ) -> LookupFuture<'a, Vec<Result<Identity, Refusal>>> {
        Box::pin(self.load_all(secrets.iter().map(OpaqueSecret::hash).collect(), now))
    }

    fn token(&self, token: AccessToken, mode: Mode, _: Timestamp) -> LookupFuture<'_> {
        Box::pin(async move {
            let started = flow::started();
            let found = self.confirm(token, mode).await;
            note_found(&found, started);
            found
        })
    }

    fn tokens<'a>(
        &'a self,
        tokens: &'a [AccessToken],
        mode: Mode,
        _: Timestamp,
    ) -> LookupFuture<'a, Vec<Result<Identity, Refusal>>> {
        Box::pin(self.confirm_all(tokens, mode))
    }
}
