//! The signed identities of forward-auth, each remembered for a second: to sign one for each request would take most of
//! its time.
//!
//! What is remembered here is no check. The caller has just checked the request, against the revocations too.

use std::sync::Arc;
use std::time::Duration;

use doorward_core::role::RoleName;
use doorward_core::sign_in::Authentication;
use doorward_core::token::Expected;
use doorward_core::{ClaimsVersion, SessionId, Timestamp};
use doorward_guard::Identity;
use http::HeaderMap;
use quick_cache::sync::Cache;

use crate::keys::Keys;
use crate::users::Cached;

/// How long an assertion serves.
const SERVES: Duration = Duration::from_secs(1);
/// How many are remembered, of about two kilobytes each.
const MOST: usize = 4_096;

/// All that decides what an assertion says, but for the time.
#[derive(Clone)]
pub(crate) struct About {
    session: SessionId,
    /// The place of the application's host in the settings.
    host: usize,
    role: RoleName,
    version: ClaimsVersion,
    authentication: Authentication,
    user: Arc<Cached>,
    key: Arc<str>,
    expected: Arc<Expected>,
}

impl About {
    /// For this request's identity at an application.
    pub(crate) fn of(identity: &Identity, user: Arc<Cached>, host: usize, keys: &Keys) -> Self {
        let (role, version, authentication) =
            (identity.role, identity.claims_version, identity.authentication);
        let (key, expected) = (keys.signing_kid(), keys.verifier().expected());
        Self { session: identity.session, host, role, version, authentication, user, key, expected }
    }

    fn is(&self, other: &Self) -> bool {
        (self.role, self.version, self.authentication) == (other.role, other.version, other.authentication)
            && Arc::ptr_eq(&self.user, &other.user)
            && self.key == other.key
            && self.expected.issuer == other.expected.issuer
    }
}

struct Made {
    about: About,
    at: Timestamp,
    ran: Duration,
    headers: HeaderMap,
}

impl Made {
    fn serves(&self, ran: Duration) -> bool {
        ran.saturating_sub(self.ran) < SERVES
    }
}

/// The assertions of the last second, by session and host.
pub(crate) struct Assertions(Cache<(SessionId, usize), Arc<Made>>);

impl Default for Assertions {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl Assertions {
    /// The headers that were made for the same within the last second.
    pub(crate) fn get(&self, about: &About, now: Timestamp, ran: Duration) -> Option<HeaderMap> {
        let made = self.0.get(&(about.session, about.host))?;
        // By both clocks: neither one that stands still nor one that was set back makes it live for longer.
        let is_fresh = made.at <= now && now.since(made.at) < SERVES && made.serves(ran);
        (is_fresh && made.about.is(about)).then(|| made.headers.clone())
    }

    /// Remembers them.
    pub(crate) fn keep(&self, about: About, now: Timestamp, ran: Duration, headers: &HeaderMap) {
        let (of, headers) = ((about.session, about.host), headers.clone());
        self.0.insert(of, Arc::new(Made { about, at: now, ran, headers }));
    }

    /// Drops those whose second is over.
    pub(crate) fn sweep(&self, ran: Duration) {
        self.0.retain(|_, made| made.serves(ran));
    }
}
