use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use doorward_core::revocation::{RevocationCheck, RevocationSet};
use doorward_core::token::{self, AccessToken, Expected, Explanation, KeySet};
use doorward_core::{Refusal, Timestamp};
use quick_cache::sync::Cache;

use crate::observer::Observer;

/// How many verified tokens are remembered, and how long one of them may be.
const MEMO: usize = 8_192;
const MEMO_TOKEN: usize = 1_024;

/// Verifies access tokens with the keys, and holds the revocations; both in memory.
///
/// A signature costs more than the rest of a check, with a public key a hundred times more, so verified tokens are
/// remembered. The whole token is compared, never past its `exp`, and revocations are checked all the same. Only
/// verified tokens are remembered, so only a holder of the key could fill the memory.
pub struct Verifier {
    keys: ArcSwap<Keys>,
    /// The ended sessions and stale tokens that this process knows.
    pub revocations: Arc<RevocationSet>,
}

/// The keys that verify.
#[derive(Debug, Clone, Default)]
pub struct VerificationKeys {
    /// The keys of live tokens.
    pub current: KeySet,
    /// Retired keys. They verify nothing but a logout, so that an old cookie can still end its session.
    pub removed: KeySet,
}

/// A key set, the claims that tokens must have, and the tokens verified with both: dropped together, so that no token
/// outlives its key (attack J39).
struct Keys {
    expected: Arc<Expected>,
    set: KeySet,
    removed: KeySet,
    memo: Cache<Box<str>, AccessToken>,
}

impl Keys {
    fn new(
        VerificationKeys { current: set, removed }: VerificationKeys,
        expected: Arc<Expected>,
    ) -> Arc<Self> {
        Arc::new(Self { expected, set, removed, memo: Cache::new(MEMO) })
    }
}

impl Verifier {
    /// A verifier for tokens of this issuer and audience.
    pub fn new(keys: VerificationKeys, expected: Expected, revocations: Arc<RevocationSet>) -> Self {
        Self { keys: ArcSwap::new(Keys::new(keys, Arc::new(expected))), revocations }
    }

    /// Verifies signature and claims of an access token (RFC 9068 section 4). It doesn't check revocations.
    ///
    /// # Errors
    /// [`Refusal::TokenInvalid`], or [`Refusal::TokenExpired`] after a good signature.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<AccessToken, Refusal> {
        self.verify_observed(token, now, None)
    }

    /// The same, with an observer of each check if somebody watches.
    pub(crate) fn verify_observed(
        &self,
        token: &str,
        now: Timestamp,
        observer: Option<&mut dyn Observer>,
    ) -> Result<AccessToken, Refusal> {
        let keys = self.keys.load();
        let is_short = token.len() <= MEMO_TOKEN;
        if is_short && let Some(verified) = keys.memo.get(token) {
            let is_live = now < verified.expires_at;
            if let Some(observer) = observer {
                observer.remembered(&verified, is_live);
            }
            return if is_live { Ok(verified) } else { Err(Refusal::TokenExpired) };
        }
        let verdict = match observer {
            None => token::verify(token, &keys.set, &keys.expected, now),
            Some(observer) => {
                let mut observe =
                    |check, passed, found: Option<String>| observer.checked(check, passed, found);
                let verdict = token::verify_observed(token, &keys.set, &keys.expected, now, &mut observe);
                observer.verified(token, verdict.as_ref().map_err(|refusal| *refusal));
                verdict
            }
        };
        if is_short && let Ok(verified) = verdict {
            keys.memo.insert(token.into(), verified);
        }
        verdict
    }

    /// What the revocations say of a verified token. One that dies after every missing entry is younger than those.
    pub(crate) fn standing(&self, token: &AccessToken, now: Timestamp) -> RevocationCheck {
        match self.revocations.check(token.user, token.session, token.version) {
            RevocationCheck::Unknown if self.revocations.covers(left(token, now)) => RevocationCheck::Good,
            answer => answer,
        }
    }

    /// Verifies a token whose `exp` may have passed: good for ending its session, and for nothing else.
    ///
    /// # Errors
    /// [`Refusal::TokenInvalid`].
    pub fn verify_ignoring_expiry(&self, token: &str, now: Timestamp) -> Result<AccessToken, Refusal> {
        let keys = self.keys.load();
        token::verify_ignoring_expiry(token, &keys.set, &keys.expected, now)
            .or_else(|_| token::verify_ignoring_expiry(token, &keys.removed, &keys.expected, now))
    }

    /// Verifies a token and reports what each check found. It doesn't check revocations.
    pub fn explain(&self, token: &str, now: Timestamp) -> Explanation {
        let keys = self.keys.load();
        token::explain(token, &keys.set, &keys.expected, now)
    }

    /// Whether a token names an unknown key.
    pub fn lacks_the_key_of(&self, token: &str) -> bool {
        token::jws::names_unknown_key(token, &self.keys.load().set)
    }

    /// How many keys can verify.
    pub(crate) fn keys(&self) -> usize {
        self.keys.load().set.iter().count()
    }

    /// Replaces the keys, and forgets the tokens verified with the old ones.
    pub fn replace_keys(&self, keys: VerificationKeys) {
        let expected = self.expected();
        self.keys.store(Keys::new(keys, expected));
    }

    /// From now on, tokens must have these claims: the servers have agreed on them while this one runs.
    pub fn expect(&self, expected: Expected) {
        let keys = self.keys.load();
        if *keys.expected != expected {
            let (current, removed) = (keys.set.clone(), keys.removed.clone());
            self.keys.store(Keys::new(VerificationKeys { current, removed }, Arc::new(expected)));
        }
    }

    /// Forgets the verified tokens: the next request with one makes every check again.
    pub fn forget_verified(&self) {
        let keys = self.keys.load();
        let (current, removed) = (keys.set.clone(), keys.removed.clone());
        self.replace_keys(VerificationKeys { current, removed });
    }

    /// The claims that a token must have.
    pub fn expected(&self) -> Arc<Expected> {
        self.keys.load().expected.clone()
    }
}

/// How long the token lives from now on; never longer than it lives at all, if a clock was set back.
fn left(token: &AccessToken, now: Timestamp) -> Duration {
    token.expires_at.since(now).min(token.expires_at.since(token.issued_at))
}
