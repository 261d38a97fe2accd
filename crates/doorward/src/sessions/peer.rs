//! The client that uses a session in session mode. The guard looks the session up by its secret alone, so a task-local
//! holds the current request's client.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::LazyLock;

use http::HeaderValue;

use crate::wire::peer::said_of_itself;

tokio::task_local! {
    static CURRENT: Option<CurrentPeer>;
}

/// The sender of the current request. Making one allocates nothing.
#[derive(Debug, Clone)]
pub(crate) struct CurrentPeer {
    pub(crate) ip: IpAddr,
    pub(crate) user_agent: Option<HeaderValue>,
}

/// The place where a session was used, as its row has it.
#[derive(Debug, Clone)]
pub(crate) struct UsedFrom {
    pub(crate) ip: String,
    pub(crate) user_agent: Option<String>,
}

impl From<super::Origin> for UsedFrom {
    fn from(from: super::Origin) -> Self {
        Self { ip: from.ip.to_string(), user_agent: from.user_agent }
    }
}

impl CurrentPeer {
    /// Runs the answer to a request of this peer.
    pub(crate) async fn answers<T>(peer: Option<Self>, work: impl Future<Output = T>) -> T {
        CURRENT.scope(peer, work).await
    }

    /// Runs an answer that waits for nothing.
    pub(crate) fn answering<T>(peer: Option<Self>, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(peer, work)
    }

    /// Passes the peer whose request this task answers to `look`, if there is one.
    pub(super) fn current<T>(look: impl FnOnce(&Self) -> T) -> Option<T> {
        CURRENT.try_with(|peer| peer.as_ref().map(look)).ok().flatten()
    }

    pub(super) fn fingerprint(&self) -> u64 {
        let user_agent = self.user_agent.as_ref().map(said_of_itself);
        fingerprint(self.ip, user_agent.as_deref())
    }

    pub(super) fn used_from(&self) -> UsedFrom {
        let user_agent = self.user_agent.as_ref().map(|value| said_of_itself(value).into_owned());
        UsedFrom { ip: self.ip.to_string(), user_agent }
    }
}

/// Distinguishes peers, for as long as this process runs. Nobody outside can make two with the same value.
pub(super) fn fingerprint(ip: IpAddr, user_agent: Option<&str>) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one((ip, user_agent))
}
