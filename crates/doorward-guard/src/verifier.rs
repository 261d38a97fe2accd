use std::sync::Arc;

use arc_swap::ArcSwap;
use doorward_core::revocation::RevocationSet;
use doorward_core::token::{self, AccessToken, Expected, Explanation, KeySet};
use doorward_core::{Refusal, Timestamp};
use quick_cache::sync::Cache;

/// How many verified tokens are remembered, and the longest that is.
const MEMO: usize = 8_192;
const MEMO_TOKEN: usize = 1_024;

/// Verifies access tokens with the keys, and knows the revocations; both in memory.
///
/// A signature costs more than the rest of a check, a public-key one a hundred times more, so verified tokens are
/// remembered: the whole token is compared, never past its `exp`, and never instead of the revocations. Only what was
/// verified is remembered, so nobody fills the memory who cannot sign.
pub struct Verifier {
    keys: ArcSwap<Keys>,
    expected: Expected,
    /// What this process knows of ended sessions and stale tokens.
    pub revocations: Arc<RevocationSet>,
}

/// The keys that verify.
#[derive(Debug, Clone, Default)]
pub struct Verifying {
    /// Those of live tokens.
    pub current: KeySet,
    /// Those whose last token is dead. A session may live longer than the key of its first token, and its cookie still
    /// has to reach the logout.
    pub removed: KeySet,
}

/// A key set and what was verified with it: dropped together, so that no token outlives its key (attack J39).
struct Keys {
    set: KeySet,
    removed: KeySet,
    memo: Cache<Box<str>, AccessToken>,
}

impl Keys {
    fn new(Verifying { current: set, removed }: Verifying) -> Arc<Self> {
        Arc::new(Self { set, removed, memo: Cache::new(MEMO) })
    }
}

impl Verifier {
    /// A verifier for tokens of this issuer and audience.
    pub fn new(keys: Verifying, expected: Expected, revocations: Arc<RevocationSet>) -> Self {
        Self { keys: ArcSwap::new(Keys::new(keys)), expected, revocations }
    }

    /// Verifies signature and claims of an access token (RFC 9068 section 4). Revocations are not looked at.
    ///
    /// # Errors
    /// [`Refusal::TokenInvalid`], or [`Refusal::TokenExpired`] after a good signature.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<AccessToken, Refusal> {
        let keys = self.keys.load();
        if token.len() > MEMO_TOKEN {
            return token::verify(token, &keys.set, &self.expected, now);
        }
        if let Some(verified) = keys.memo.get(token) {
            return if now < verified.expires_at { Ok(verified) } else { Err(Refusal::TokenExpired) };
        }
        let verified = token::verify(token, &keys.set, &self.expected, now)?;
        keys.memo.insert(token.into(), verified);
        Ok(verified)
    }

    /// Verifies a token whose `exp` may have passed: enough to end its session, and for nothing else.
    ///
    /// # Errors
    /// [`Refusal::TokenInvalid`].
    pub fn verify_ignoring_expiry(&self, token: &str, now: Timestamp) -> Result<AccessToken, Refusal> {
        let keys = self.keys.load();
        token::verify_ignoring_expiry(token, &keys.set, &self.expected, now)
            .or_else(|_| token::verify_ignoring_expiry(token, &keys.removed, &self.expected, now))
    }

    /// Verifies a token and tells what each check found. Revocations are not looked at.
    pub fn explain(&self, token: &str, now: Timestamp) -> Explanation {
        token::explain(token, &self.keys.load().set, &self.expected, now)
    }

    /// Whether a token names a key that is not here.
    pub(crate) fn lacks_the_key_of(&self, token: &str) -> bool {
        token::jws::names_unknown_key(token, &self.keys.load().set)
    }

    /// How many keys verify.
    pub(crate) fn keys(&self) -> usize {
        self.keys.load().set.iter().count()
    }

    /// Takes other keys; what was verified with the old ones is forgotten.
    pub fn replace_keys(&self, keys: Verifying) {
        self.keys.store(Keys::new(keys));
    }

    /// What a token must say.
    pub fn expected(&self) -> &Expected {
        &self.expected
    }
}
